"""Masks that cancel in the sum: the server reads the sum of all answers, and nothing of a single one.

Two clients that share a secret draw the same numbers from it for an exchange, and others for every other one. One adds
them to its answer, the other one subtracts them, all modulo a power of two. So each answer alone is uniform noise, and
the sum over all clients is the sum of what they meant.

Where a client does not answer, its masks do not cancel. Then the exchange is repeated without it, under a new number.
An answer that comes after that must not be kept: it would complete the older sum, and the difference of both sums is
that client's vote. The full protocol closes this with a second mask and shared secrets; frameworks offer it.

How two clients agree on a secret is theirs to decide: the server must not learn it.

Source: K. Bonawitz et al., Practical secure aggregation for privacy-preserving machine learning, CCS 2017; with few
neighbours for each client: J. Bell et al., Secure single-server aggregation with (poly)logarithmic overhead, CCS 2020.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from alignsolve.federated.answers import Answers
from alignsolve.numerics import IntArray

FEWEST_BYTES = 16
"""Bytes of a shared secret, at least."""


@dataclass(frozen=True, eq=False)
class PairMasks:
    """The secrets that one client shares with its neighbours.

    Parameters
    ----------
    client
        Its number.
    secrets
        Each neighbour's number with the bytes that the two share and nobody else knows. Both must list each other.

    Raises
    ------
    ValueError
        If a secret is shorter than 16 bytes, or the client is its own neighbour.
    """

    client: int
    secrets: Mapping[int, bytes]
    _used: set[tuple[int, int]] = field(default_factory=set, init=False, repr=False)

    def __post_init__(self) -> None:
        """Check the secrets."""
        if self.client in self.secrets:
            raise ValueError(f"client {self.client} shares a secret with itself")
        for neighbour, secret in self.secrets.items():
            if len(secret) < FEWEST_BYTES:
                told = f"clients {self.client} and {neighbour} share a secret of {len(secret)} bytes"
                raise ValueError(f"{told}; it must have {FEWEST_BYTES} or more")

    def masked(self, answer: Answers, absent: Collection[int], auction: int) -> Answers:
        """Add the masks to an answer of this client; neighbours that are absent have none.

        Raises
        ------
        ValueError
            If no neighbour is left: the answer would be sent in clear. If the masks of this auction and exchange were
            used before: the difference of the two answers would be in clear.
        """
        if (auction, answer.exchange) in self._used:
            told = f"client {self.client}: the masks of auction {auction}, exchange {answer.exchange} were used before"
            raise ValueError(f"{told}; give each auction a number of its own, Terms(auction=…)")
        self._used.add((auction, answer.exchange))
        present = sorted(set(self.secrets) - set(absent))
        if not present:
            raise ValueError(f"client {self.client} has no neighbour left to mask its answer with")
        counts, sums = answer.counts.copy(), answer.sums.copy()
        for neighbour in present:
            place = auction.to_bytes(8, "little") + answer.exchange.to_bytes(4, "little")
            drawn = hashlib.shake_256(self.secrets[neighbour] + place)
            stream = drawn.digest(counts.nbytes + sums.nbytes)
            of_counts = np.frombuffer(stream, dtype=counts.dtype, count=len(counts))
            of_sums = np.frombuffer(stream, dtype=np.dtype("<u8"), offset=counts.nbytes)
            if self.client < neighbour:
                counts, sums = counts + of_counts, sums + of_sums
            else:
                counts, sums = counts - of_counts, sums - of_sums
        return replace(answer, counts=counts, sums=sums)


def ring(clients: Sequence[int] | IntArray, degree: int, *, rng: np.random.Generator) -> dict[int, tuple[int, ...]]:
    """Choose each client's neighbours: all clients in a circle in random order, the nearest on both sides.

    Parameters
    ----------
    clients
        Their numbers.
    degree
        Neighbours of each client, an even number, 2 or more; with fewer other clients, all of these. A vote stays
        hidden unless all neighbours of its client tell the server their secrets.
    rng
        Source of the order.

    Returns
    -------
    dict
        Each client's neighbours; two neighbours list each other.

    Examples
    --------
    >>> ring([3, 5, 8, 9], 2, rng=np.random.default_rng(0))
    {8: (9, 3), 3: (8, 5), 5: (3, 9), 9: (5, 8)}
    """
    if degree < 2 or degree % 2:
        raise ValueError(f"degree is {degree}; it must be even, 2 or more")
    order = [int(client) for client in rng.permutation(np.asarray(clients))]
    found = {}
    for at, client in enumerate(order):
        steps = [step for k in range(1, degree // 2 + 1) for step in (-k, k)]
        near = dict.fromkeys(order[(at + step) % len(order)] for step in steps)
        found[client] = tuple(each for each in near if each != client)
    return found
