"""The terms of an auction: what its server and all its clients agree on before the first prices are sent."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import FloatArray, IntArray

Tells = Literal["loads", "choices", "core"]
"""What clients tell: sums of votes only; their choices; sums of votes and, at last, reduced losses within a window."""

SUM_BITS = 62
"""Binary digits of a sum over all clients; two digits of an int64 are left for signs."""
MOST_EXPERTS, MOST_CLIENTS, MOST_AUCTIONS = 2**15, 2**31, 2**63


@dataclass(frozen=True)
class Terms:
    """What the server and all clients of an auction agree on.

    Parameters
    ----------
    num_clients
        An upper limit of the number of clients; it decides how wide the words of a sum are.
    num_experts
        Number of experts.
    tells
        What a client tells. ``"loads"``: votes that the server needs only the sum of. ``"choices"``: which experts it
        chooses at each price. ``"core"``: votes as sums and, in the last step, its reduced losses within a window.
    largest
        No fitness and no price is larger in size; some times the largest fitness leaves room for prices. Sums are whole
        multiples of a power of two that follows from it.
    noise
        Size of the noise that breaks ties, in units of fitness: each pair's fitness counts more by a public number
        between 0 and this one. 0: none. The bound rises by the noise of the pairs, so the gap does too. A core needs
        no noise, as it settles ties exactly.
    seed
        Of that noise.
    auction
        The number of the auction. Masks are drawn for it: clients that keep their secrets need another one each time.

    Raises
    ------
    ValueError
        If a number is outside its range; it is named.
    """

    num_clients: int
    num_experts: int
    tells: Tells = "loads"
    largest: float = 1024.0
    noise: float = 0.0
    seed: int = 0
    auction: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        for field, most in (("num_clients", MOST_CLIENTS), ("num_experts", MOST_EXPERTS)):
            number = getattr(self, field)
            if not 1 <= number <= most:
                raise ValueError(f"{field} is {number}; it must lie in 1..{most}")
        if not 0 <= self.auction < MOST_AUCTIONS:
            raise ValueError(f"auction is {self.auction}; it must lie in 0..{MOST_AUCTIONS - 1}")
        if self.tells not in get_args(Tells):
            raise ValueError(f"tells is {self.tells!r}; it must be one of {', '.join(get_args(Tells))}")
        if not (self.largest > 0 and math.isfinite(self.largest)):
            raise ValueError(f"largest is {self.largest}; it must be above 0 and finite")
        if not (self.noise >= 0 and math.isfinite(self.noise)):
            raise ValueError(f"noise is {self.noise}; it must be 0 or above, and finite")
        if self.noise and self.tells == "core":
            raise ValueError(f'noise is {self.noise}; with the terms "core" ties are settled exactly, without noise')

    @property
    def ground(self) -> int:
        """The number of the ground: an expert is dropped for it, or added from it."""
        return self.num_experts

    @property
    def exponent(self) -> int:
        """Sums of fitness count in quanta of 2**-exponent."""
        most = 2.0 * self.largest * self.num_experts * self.num_clients
        return SUM_BITS - math.ceil(math.log2(most))

    @property
    def word(self) -> np.dtype[np.unsignedinteger]:
        """The type in which clients are counted: 2 bytes where all clients fit, else 4."""
        return np.dtype("<u2" if self.num_clients < 2**16 else "<u4")

    @property
    def digits(self) -> int:
        """Binary digits of a count as it is sent: a sum over all clients fits."""
        return self.num_clients.bit_length()

    @property
    def label(self) -> np.dtype[np.unsignedinteger]:
        """The type of an expert's number, the ground included."""
        return np.dtype("<u1" if self.num_experts < 2**8 else "<u2")

    @cached_property
    def cell(self) -> IntArray:
        """(num_experts + 1, num_experts + 1) the number of each unordered pair of experts, the ground included."""
        size = self.num_experts + 1
        found = np.full((size, size), -1, dtype=np.int64)
        first, second = np.triu_indices(size, 1)
        found[first, second] = found[second, first] = np.arange(len(first))
        return found

    def num_counts(self, num_edges: int) -> int:
        """Return how many numbers of clients an answer has: loads and, by edges, clients near another choice.

        With one edge a pair of experts counts whichever way a client would move. With more, each way counts apart.
        """
        size = self.num_experts + 1
        pairs = size * self.num_experts // 2 * num_edges
        return self.num_experts + (pairs if num_edges == 1 else 2 * pairs)

    def noise_of(self, clients: IntArray) -> FloatArray | None:
        """(len(clients), num_experts) the public noise of these clients; None where there is none."""
        if self.noise == 0.0:
            return None
        return self.noise * _hashed(self.seed, clients[:, None], np.arange(self.num_experts)[None, :])


def _hashed(seed: int, clients: IntArray, experts: IntArray) -> FloatArray:
    """Draw uniform numbers in [0, 1) from seed, client and expert by SplitMix64 (G. Steele et al., OOPSLA 2014)."""
    state: npt.NDArray[np.uint64] = np.uint64(seed % 2**64) + np.zeros_like(clients, dtype=np.uint64)
    for part in (clients, experts):
        state = _mixed(state + part.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(state: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    state = state + np.uint64(0x9E3779B97F4A7C15)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))
