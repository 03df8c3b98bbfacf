"""The server's message to its clients, and its bytes: a question at given prices.

All numbers are little-endian. There is no pickle and nothing that names a type: the terms say how to read a message.
"""

import struct
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from alignsolve.federated.terms import Terms
from alignsolve.numerics import FloatArray, IntArray

HEAD = struct.Struct("<BHBIHi")
"""Kind, exchange, and the numbers of edges, absent clients, steps of the rule and, −1 for none, experts given."""


class Kind(IntEnum):
    """What a message asks for."""

    VOTE = 0
    """The choice at these prices, and which other choices are how near."""
    CORE = 1
    """The choice, and reduced losses within the window, the only edge."""
    SETTLE = 2
    """Apply the rule or take the experts given, and vote once more: the last exchange if its sums are as expected."""


def _none() -> IntArray:
    return np.zeros(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Ask:
    """A question to the clients.

    Attributes
    ----------
    kind
        What is asked for.
    exchange
        Its number, from 1 on. A repeated question has a new one.
    prices
        (num_experts,) for one unit of load.
    edges
        (num_edges,) ascending: losses up to which another choice is near.
    absent
        The clients that take no part any more.
    rule
        (num_steps, 3) for ``SETTLE``: the expert that leaves, the one that enters, and the number of edges. A client
        whose cheapest move is between these two makes it, if it loses no more than the last of so many edges.
    experts
        For ``SETTLE``, the experts that this client is given; None: its choice stands, but for the rule.
    """

    kind: Kind
    exchange: int
    prices: FloatArray
    edges: FloatArray = field(default_factory=lambda: np.zeros(0))
    absent: IntArray = field(default_factory=_none)
    rule: IntArray = field(default_factory=lambda: np.zeros((0, 3), dtype=np.int64))
    experts: IntArray | None = None

    def encode(self, terms: Terms) -> bytes:
        """Write the message."""
        given = -1 if self.experts is None else len(self.experts)
        head = HEAD.pack(self.kind, self.exchange, len(self.edges), len(self.absent), len(self.rule), given)
        parts = [
            self.prices.astype(_price_type(self.kind, terms)),
            self.edges.astype("<f4"),
            self.absent.astype("<u4"),
            self.rule.astype(terms.label),
            _none().astype(terms.label) if self.experts is None else self.experts.astype(terms.label),
        ]
        return head + b"".join(part.tobytes() for part in parts)

    @classmethod
    def decode(cls, message: bytes, terms: Terms) -> "Ask":
        """Read and check a message.

        Raises
        ------
        ValueError
            If it cannot be one under these terms; the field is named.
        """
        if len(message) < HEAD.size:
            raise ValueError(f"the server's message has {len(message)} bytes; its head alone has {HEAD.size}")
        kind, exchange, num_edges, num_absent, num_steps, given = HEAD.unpack_from(message)
        if kind not in set(Kind):
            raise ValueError(
                f"kind of the server's message is {kind}; it must be one of {[each.value for each in Kind]}"
            )
        types = [_price_type(Kind(kind), terms), np.dtype("<f4"), np.dtype("<u4"), terms.label, terms.label]
        counts = [terms.num_experts, num_edges, num_absent, 3 * num_steps, max(given, 0)]
        expected = HEAD.size + sum(count * each.itemsize for count, each in zip(counts, types, strict=True))
        if len(message) != expected:
            raise ValueError(f"exchange {exchange}: the server's message has {len(message)} bytes, expected {expected}")
        parts, at = [], HEAD.size
        for count, each in zip(counts, types, strict=True):
            parts.append(np.frombuffer(message, dtype=each, count=count, offset=at))
            at += count * each.itemsize
        ask = cls(
            Kind(kind),
            exchange,
            parts[0].astype(np.float64),
            parts[1].astype(np.float64),
            parts[2].astype(np.int64),
            parts[3].astype(np.int64).reshape(num_steps, 3),
            None if given < 0 else parts[4].astype(np.int64),
        )
        ask.check(terms)
        return ask

    def check(self, terms: Terms) -> None:
        """Check the numbers.

        Raises
        ------
        ValueError
            If a price is not finite or too large, an edge is negative, or an expert is unknown.
        """
        told = f"exchange {self.exchange}:"
        if self.prices.shape != (terms.num_experts,):
            raise ValueError(f"{told} prices have shape {self.prices.shape}, expected {(terms.num_experts,)}")
        for j in np.flatnonzero(~(np.abs(self.prices) <= terms.largest))[:1]:
            raise ValueError(
                f"{told} price of expert {j} is {self.prices[j]}; it must be finite, {terms.largest} at most"
            )
        if not ((self.edges >= 0) & np.isfinite(self.edges)).all() or (np.diff(self.edges) < 0).any():
            raise ValueError(f"{told} edges are {self.edges}; they must be finite, 0 or above, and rise")
        named = self.rule[:, :2] if self.experts is None else self.experts
        if (named > terms.ground).any():
            raise ValueError(f"{told} expert {named.max()} does not exist; there are {terms.num_experts}")


def _price_type(kind: Kind, terms: Terms) -> np.dtype[np.floating]:
    """Single precision is enough to ask, as all clients read the same number; the last prices may be a proof."""
    return np.dtype("<f8" if kind is Kind.SETTLE and terms.tells == "core" else "<f4")
