"""What an auction gives back: how it went, exchange by exchange, its result, and what the next one can start from."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Start:
    """What an auction can start from: the prices that the last one ended with, and how clients react to them.

    Attributes
    ----------
    prices
        (num_experts,).
    slopes
        (num_experts + 1, num_experts + 1): per client and unit of price, how many clients move between two experts,
        the ground being the last.
    """

    prices: FloatArray
    slopes: FloatArray


class Look(NamedTuple):
    """How things stood at one exchange.

    Attributes
    ----------
    kind
        ``"vote"``, ``"core"`` or ``"settle"``.
    bound, objective
        At the exchange's prices: no alignment is worth more, and what the clients' choices are worth, each unit
        beyond a hard bound charged.
    gap, overload
        Their relative distance; units beyond hard bounds over all units.
    num_bytes
        Sent by and to all clients together.
    """

    kind: str
    bound: float
    objective: float
    gap: float
    overload: float
    num_bytes: int


@dataclass(frozen=True, eq=False)
class Outcome:
    """The result of an auction.

    Attributes
    ----------
    prices
        (num_experts,) the last prices.
    loads
        (num_experts,) clients of each expert.
    bound, objective, gap, overload
        As in :class:`Look`, of the last exchange.
    reached
        Whether gap and overload are within what was asked for.
    looks
        One for each exchange.
    start
        For the next auction.
    assigned
        Where the terms tell choices: the alignment, its rows in the order of ``clients``; else None.
    clients
        (m,) who took part to the end, ascending.
    faults
        Clients that were left out, and why.
    revealed
        How many clients told reduced losses, and how many numbers they told, over all exchanges.
    """

    prices: FloatArray
    loads: IntArray
    bound: float
    objective: float
    gap: float
    overload: float
    reached: bool
    looks: tuple[Look, ...]
    start: Start
    assigned: Alignment | None
    clients: IntArray
    faults: dict[int, str]
    revealed: tuple[int, int] = (0, 0)

    @property
    def exchanges(self) -> int:
        """Number of exchanges."""
        return len(self.looks)

    @property
    def num_bytes(self) -> int:
        """Sent by and to all clients together."""
        return sum(look.num_bytes for look in self.looks)


def no_slopes(num_experts: int) -> FloatArray:
    """Return slopes of 0."""
    return np.zeros((num_experts + 1, num_experts + 1))
