"""The clients' answers: what they hold, how they add up, and their bytes."""

import struct
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.federated.messages import Ask, Kind
from alignsolve.federated.rows import Look, Moves, cheapest, moves_within
from alignsolve.federated.terms import Terms
from alignsolve.numerics import BoolArray, FloatArray, IntArray

HEAD = struct.Struct("<H")
"""The number of the exchange."""
CORE_HEAD = struct.Struct("<HB")
"""Candidates, and whether their worths are measured against the ground."""


class Core(NamedTuple):
    """Clients that waver within the window, with the experts between which they do.

    Attributes
    ----------
    client
        (m,) the clients' numbers.
    start
        (m + 1,) the candidates of the t-th client are start[t]..start[t + 1]−1.
    expert, held, worth
        (c,) each candidate, whether it is chosen, and its reduced fitness, less a number of its client's own unless
        the client also wavers between more and fewer experts.
    grounded
        (m,) whether it does so.
    room, spare
        (m,) how many more experts the client could take, and how many it could drop.
    """

    client: IntArray
    start: IntArray
    expert: IntArray
    held: BoolArray
    worth: FloatArray
    grounded: BoolArray
    room: IntArray
    spare: IntArray


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of some clients to one exchange, added up where they are sums.

    Attributes
    ----------
    exchange
        The number of the exchange.
    clients
        (m,) who answered, ascending.
    counts
        Numbers of clients: loads, and who is near another choice. Only the terms' digits of them count.
    sums
        (1 or 2,) uint64, in quanta modulo 2^64: Σ optimum at the prices, rounded up; and Σ fitness of the choices,
        rounded down, where it does not follow from the first.
    held, moves
        The choices of each client, (m, num_experts), and the moves near by, where the terms tell choices; else None.
        The loss of a move is the number of edges below it.
    core
        The clients that waver, where the exchange asks for them; else None.
    num_bytes
        Bytes of all answers together.
    """

    exchange: int
    clients: IntArray
    counts: npt.NDArray[np.unsignedinteger]
    sums: npt.NDArray[np.uint64]
    held: BoolArray | None = None
    moves: Moves | None = None
    core: Core | None = None
    num_bytes: int = 0

    @classmethod
    def of(cls, terms: Terms, ask: Ask, clients: IntArray, seen: Look, room: IntArray, spare: IntArray) -> "Answers":
        """Answer for some clients; ``room`` and ``spare``: how many experts each could take or drop."""
        edges = ask.edges if ask.kind is Kind.VOTE else np.zeros(0)
        moves = moves_within(seen, float(edges[-1])) if len(edges) else None
        public = terms.tells == "choices"
        loads = np.zeros(terms.num_experts, dtype=np.int64) if public else seen.held.sum(axis=0)
        near = np.zeros(0, dtype=np.int64) if public or moves is None else _near(terms, edges, moves)
        sums = [_quanta(terms, np.ceil, seen.best), _quanta(terms, np.floor, seen.value)]
        answers = cls(
            ask.exchange,
            clients,
            (near if public else np.concatenate([loads, near])).astype(terms.word),
            np.array(sums[: num_sums(terms, ask.kind)]).view(np.uint64),
        )
        if public and moves is not None:
            moves = moves._replace(loss=np.searchsorted(edges, moves.loss, side="left").astype(np.float64))
        answers = replace(
            answers,
            held=seen.held if public else None,
            moves=moves if public else None,
            core=_core(float(ask.edges[0]), clients, seen, room, spare) if ask.kind is Kind.CORE else None,
        )
        return replace(answers, num_bytes=answers._size(terms))

    @property
    def _alone(self) -> "Answers":
        if len(self.clients) != 1:
            raise ValueError(f"one client's answer is written at a time, not those of {len(self.clients)}")
        return self

    def _size(self, terms: Terms) -> int:
        """Bytes of all answers as :meth:`encode` writes them."""
        each = HEAD.size + -(-len(self.counts) * terms.digits // 8) + self.sums.nbytes
        more = 0
        if self.held is not None:
            each += -(-terms.num_experts // 8)
            more += 0 if self.moves is None else len(self.moves.row) * (2 * terms.label.itemsize + 1)
        if self.core is not None:
            each += CORE_HEAD.size
            more += len(self.core.client) * 2 * terms.label.itemsize + len(self.core.expert) * (
                terms.label.itemsize + 9
            )
        return len(self.clients) * each + more

    def encode(self, terms: Terms) -> bytes:
        """Write the answer of one client."""
        alone = self._alone
        parts = [HEAD.pack(alone.exchange), packed(alone.counts, terms.digits), alone.sums.tobytes()]
        if alone.held is not None:
            parts.append(np.packbits(alone.held[0]).tobytes())
            if alone.moves is not None:
                labels = [alone.moves.leaves.astype(terms.label), alone.moves.enters.astype(terms.label)]
                parts += [*(label.tobytes() for label in labels), alone.moves.loss.astype("<u1").tobytes()]
        if alone.core is not None:
            core = alone.core
            parts.append(CORE_HEAD.pack(len(core.expert), bool(core.grounded.any())))
            if len(core.client):
                labels = [np.concatenate([core.room, core.spare, core.expert]).astype(terms.label)]
                parts += [labels[0].tobytes(), core.held.tobytes(), core.worth.astype("<f8").tobytes()]
        return b"".join(parts)


def num_sums(terms: Terms, kind: Kind) -> int:
    """Return how many sums of fitness an answer has: choices that are optimal at the prices need no second one."""
    return 2 if kind is Kind.SETTLE or terms.noise else 1


def packed(counts: npt.NDArray[np.unsignedinteger], digits: int) -> bytes:
    """Write the lowest binary digits of each count, one count after the other."""
    return np.packbits((counts[:, None] >> np.arange(digits, dtype=counts.dtype)) & 1).tobytes()


def unpacked(written: bytes, count: int, terms: Terms) -> npt.NDArray[np.unsignedinteger]:
    """Read so many counts."""
    bits = np.unpackbits(np.frombuffer(written, dtype=np.uint8), count=count * terms.digits)
    places = np.arange(terms.digits, dtype=terms.word)
    read: npt.NDArray[np.unsignedinteger] = np.bitwise_or.reduce(
        bits.reshape(count, terms.digits).astype(terms.word) << places, axis=1
    )
    return read


def _quanta(terms: Terms, rounded: np.ufunc, values: FloatArray) -> np.int64:
    """Sum fitness in quanta; each client rounds on its own, so that the sum does not depend on who is added first."""
    return np.int64(rounded(np.ldexp(values, terms.exponent)).astype(np.int64).sum())


def _near(terms: Terms, edges: FloatArray, moves: Moves) -> IntArray:
    """Count the clients near another choice: by pair with one edge, by cheapest move and edge with more."""
    size = terms.num_experts + 1
    if len(edges) == 1:
        cells = terms.cell[moves.leaves, moves.enters]
        return np.bincount(cells, minlength=size * terms.num_experts // 2)
    first = cheapest(moves)
    enters = first.enters - (first.enters > first.leaves)  # nothing moves to where it is
    at = np.searchsorted(edges, first.loss, side="left")
    cells = (first.leaves * terms.num_experts + enters) * len(edges) + at
    return np.bincount(cells, minlength=size * terms.num_experts * len(edges))


def near_of(seen: Look, width: float) -> BoolArray:
    """(n, num_experts) the experts in a move that loses at most ``width``."""
    return (seen.leave_loss <= width) | (seen.enter_loss <= width)


def _core(width: float, clients: IntArray, seen: Look, room: IntArray, spare: IntArray) -> Core:
    """List the clients with a move that loses at most ``width``, and the experts in such moves."""
    near = near_of(seen, width)
    rows = np.flatnonzero(near.any(axis=1))
    near, held, reduced = near[rows], seen.held[rows], seen.reduced[rows]
    drops = held & (spare[rows] > 0)[:, None] & (reduced <= width)
    adds = ~held & (room[rows] > 0)[:, None] & (-reduced <= width)
    grounded: BoolArray = np.logical_or.reduce(drops | adds, axis=1)
    # Without the ground only differences count: they are told from the best expert that is left.
    reference = np.where(grounded, 0.0, np.where(near, reduced, -np.inf).max(axis=1, initial=-np.inf))
    row, expert = np.nonzero(near)
    start = np.concatenate([[0], np.cumsum(near.sum(axis=1))]).astype(np.int64)
    return Core(
        clients[rows],
        start,
        expert,
        held[row, expert],
        reduced[row, expert] - reference[row],
        grounded,
        room[rows],
        spare[rows],
    )
