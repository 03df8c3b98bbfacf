"""Switching costs: the price of the bytes that a client fetches for an expert that it does not hold.

A client keeps the experts that it fetched in a cache. If the cache is full, it drops the expert that it has not trained
for the longest time (least recently used). A cached copy becomes outdated when other clients train the expert: after
``fresh_rounds`` rounds it counts as not cached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.data import validation
from alignsolve.estimate import checks
from alignsolve.estimate.report import Outcome, Report
from alignsolve.numerics import BoolArray, FloatArray, IntArray

FETCHED = frozenset({Outcome.COMPLETED, Outcome.LATE, Outcome.REJECTED})
"""Outcomes after which the client certainly holds its assigned experts."""


@dataclass(frozen=True, eq=False)
class Caches:
    """The experts that clients hold.

    Attributes
    ----------
    last
        (num_clients, num_experts) int32: the last round in which the client trained the expert, from 1; 0 if it does
        not hold the expert.
    round
        Number of rounds so far.
    """

    last: Any
    round: int

    def grow(self, num_clients: int) -> "Caches":
        """Return a copy with empty caches for the clients that joined."""
        new = np.zeros((num_clients - len(self.last), self.last.shape[1]), dtype=np.int32)
        return Caches(np.concatenate([self.last, new]), self.round)


@dataclass(frozen=True, eq=False)
class SwitchingCost:
    """The cost of fetching experts, in units of fitness.

    Parameters
    ----------
    expert_bytes
        Scalar or (num_experts,): bytes to fetch, not negative.
    price
        Fitness per byte, 0 or more. With most estimators the fitness of two experts differs by at most 1. With a price
        of 0.1/expert_bytes a client then changes its expert only for a gain of more than a tenth of that range.
    cache_size
        Most experts that a client keeps, 1 or more; None: no limit.
    fresh_rounds
        Rounds after which a copy is outdated, 1 or more; None: never.
    """

    expert_bytes: Any
    price: float
    cache_size: int | None = None
    fresh_rounds: int | None = None

    def __post_init__(self) -> None:
        """Check the parameters and read the bytes into an array."""
        sizes = validation.numbers("expert_bytes", self.expert_bytes)
        if sizes.ndim > 1:
            raise ValueError(f"expert_bytes has shape {sizes.shape}; it must be a scalar or (num_experts,)")
        validation.amounts("expert_bytes", sizes, sizes.shape, ("num_experts",)[: sizes.ndim], infinite=False)
        object.__setattr__(self, "expert_bytes", sizes)
        checks.amount("price", self.price)
        for field in ("cache_size", "fresh_rounds"):
            if getattr(self, field) is not None:
                checks.whole(field, getattr(self, field), 1)

    def init(self, num_clients: int, num_experts: int) -> Caches:
        """Return the state with empty caches.

        Raises
        ------
        ValueError
            If ``expert_bytes`` is for another number of experts.
        """
        if self.expert_bytes.ndim and len(self.expert_bytes) != num_experts:
            raise ValueError(f"expert_bytes has {len(self.expert_bytes)} entries, there are {num_experts} experts")
        return Caches(np.zeros((num_clients, num_experts), dtype=np.int32), 0)

    def update(self, state: Caches, reports: Sequence[Report]) -> Caches:
        """Put the fetched experts into the caches, and drop the least recently used."""
        last, number = state.last.copy(), state.round + 1
        fetched = [report for report in reports if report.outcome in FETCHED]
        for report in fetched:
            last[report.client, report.experts] = number
        if self.cache_size is not None and fetched:
            clients = np.array([report.client for report in fetched])
            last[clients] = _most_recent(last[clients], self.cache_size)
        return Caches(last, number)

    def previous(self, state: Caches, cohort: IntArray) -> BoolArray:
        """Return which experts the cohort's clients hold, bools of shape (len(cohort), num_experts)."""
        oldest = 0 if self.fresh_rounds is None else max(0, state.round - self.fresh_rounds)
        held: BoolArray = state.last[cohort] > oldest
        return held

    def costs(self, num_experts: int) -> FloatArray:
        """Return the cost of fetching each expert, in fitness, (num_experts,)."""
        return np.broadcast_to(self.price * self.expert_bytes, (num_experts,))


def _most_recent(last: Any, size: int) -> Any:
    """Keep only the ``size`` most recent experts of each row; ties keep the lower expert."""
    order = np.argsort(-last, axis=1, kind="stable")
    kept = last.copy()
    np.put_along_axis(kept, order[:, size:], 0, axis=1)
    return kept
