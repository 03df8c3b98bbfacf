"""Nearly right prices before any flow is known: clients and experts answer each other by turns.

Given the experts' prices, a client's own problem says what one more expert must bring it: its threshold. Given the
clients' thresholds, an expert's price is where its best clients end. Each turn is one pass over all pairs.

By turns alone this is slow: all prices could rise and all thresholds fall by the same amount, and hardly anyone would
notice. So in each turn that common amount is settled at once: those who together can take less, clients or experts,
take all that they can.

The same passes tell, for each client and each expert, between which values a pair is uncertain: a few places above and
below the threshold. All other pairs are as good as decided.
"""

import math
import time
from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.runtime.threads import available_threads, map_in_order
from alignsolve.solvers.sift.ask_clients import ask_clients
from alignsolve.solvers.sift.ask_experts import ask_experts, prices_after
from alignsolve.solvers.sift.flow_search import TimeUpError
from alignsolve.solvers.sift.network import Terms
from alignsolve.solvers.sift.places import Band, Near, common_amount

SHARED = 2**17
"""Pairs from which on threads share a pass."""

OVERSHOOT = 0.2
"""Prices go on in the direction of the last turn by this share of their change: the turns approach from one side."""


class Estimate(NamedTuple):
    """The bands of both sides: thresholds of clients by group, and prices of experts.

    Attributes
    ----------
    clients, experts
        Those of clients say where value − ``asked`` changes, those of experts where value − threshold does.
    total
        (num_clients,) what one more expert in all must bring: the threshold in groups whose own bounds do not bind.
    asked
        (num_experts,) the prices that clients answered last.
    """

    clients: Band
    experts: Band
    total: FloatArray
    asked: FloatArray


def by_turns(
    terms: Terms,
    prices: FloatArray,
    turns: int,
    reward: float,
    threads: int | None = None,
    deadline: float = math.inf,
) -> Estimate:
    """Estimate thresholds and prices.

    Parameters
    ----------
    terms
        The problem's.
    prices
        (num_experts,) to begin from.
    turns
        How often both sides answer.
    reward
        For a unit of a hard demand of an expert.
    threads
        How many share a pass; the estimate does not depend on it.
    deadline
        On the clock of :func:`time.monotonic`.

    Raises
    ------
    TimeUpError
        As soon as it is clear that the turns will not end before the deadline.
    """
    last = 0.0
    table = Turns(terms, prices, reward, threads if terms.value.size >= SHARED else 1)
    for turn in range(turns):
        began = time.monotonic()
        if began + (turns - turn) * last > deadline:
            raise TimeUpError
        table.ask_clients(final=turn == turns - 1)
        table.ask_experts(final=turn == turns - 1)
        last = time.monotonic() - began
    return Estimate(table.clients, table.experts, table.near_clients.middle, table.asked)


class Turns:
    """Both sides' answers from turn to turn.

    Attributes
    ----------
    clients, near_clients, experts, near_experts
        The last answers, and which values the next pass keeps.
    asked
        (num_experts,) the prices that clients answered last.
    """

    def __init__(self, terms: Terms, prices: FloatArray, reward: float, threads: int | None) -> None:
        self.terms, self.threads = terms, available_threads(threads)
        n, e = terms.value.shape
        num_groups = terms.group_demand.shape[1]
        self.allowed = terms.possible
        self.order = np.argsort(terms.group, kind="stable")
        self.first = np.concatenate([[0], np.cumsum(np.bincount(terms.group, minlength=num_groups))])
        self.least = np.maximum(terms.group_demand - terms.fixed_inside, 0)
        self.most = np.maximum(terms.group_capacity - terms.fixed_inside, 0)
        self.room = np.maximum(terms.client_capacity - terms.fixed_inside.sum(axis=1), 0)
        pieces = terms.expert_pieces(reward)
        self.cost, self.ends = pieces.cost, np.clip(np.cumsum(pieces.width, axis=0) - terms.fixed_loads, 0, n)
        self.wanted, self.places = int(np.minimum(self.room, e).sum()), int(self.ends[-1].sum())
        self.clients, self.experts = Band(*np.zeros((3, n, num_groups))), Band(*np.zeros((3, e)))
        self.near_clients, self.near_experts = Near.unknown(n), Near.unknown(e)
        self.edges = np.empty((2, *self.ends.shape))
        self.experts.middle[:] = self.asked = prices

    def ask_clients(self, *, final: bool) -> None:
        """Let clients answer the prices; raise these by a common amount where all clients could take more."""
        answered = self.experts.middle
        self.asked = answered + OVERSHOOT * np.where(answered != 0.0, answered - self.asked, 0.0)
        band, near, balanced = self.clients, self.near_clients, self.wanted > self.places
        given = (self.terms.value, self.allowed, self.order, self.first, self.least, self.most, self.room, self.asked)
        pool, beyond = self._share(ask_clients, (*given, band, near, balanced, final), len(self.room))
        shift = common_amount(pool, self.places - beyond, near.margin)
        self.asked += shift
        near.rise(-shift)
        near.middle[:] = np.maximum(near.middle, 0.0)
        band.middle[:] = np.maximum(band.middle - shift, np.minimum(band.middle, 0.0))
        band.low[:] -= shift
        band.high[:] -= shift

    def ask_experts(self, *, final: bool) -> None:
        """Let experts answer the thresholds; raise these by a common amount where all experts could take more."""
        band, near, balanced = self.experts, self.near_experts, self.places > self.wanted
        given = (self.terms.value, self.allowed, self.terms.group, self.clients.middle, self.ends, self.cost)
        pool, beyond = self._share(ask_experts, (*given, self.edges, band, near, balanced, final), len(band.middle))
        shift = common_amount(pool, self.wanted - beyond, near.margin)
        prices_after(self.edges, self.ends, self.cost, shift, band.middle)
        near.rise(-shift)
        near.middle[:] = band.middle
        band.low[:] -= shift
        band.high[:] -= shift
        self.clients.middle[:] += shift
        self.near_clients.rise(shift)

    def _share(self, ask: Any, given: tuple[Any, ...], size: int) -> tuple[FloatArray, int]:
        """Let each thread ask some; return the pool of all, and how many are beyond it."""
        if self.threads == 1:
            answer: tuple[FloatArray, int] = ask(*given, 0, size)
            return answer
        bounds = np.linspace(0, size, self.threads + 1).astype(np.int64)
        answers = map_in_order(lambda k: ask(*given, bounds[k], bounds[k + 1]), range(self.threads), self.threads)
        pools, beyond = zip(*answers, strict=True)
        return np.concatenate(pools), sum(beyond)
