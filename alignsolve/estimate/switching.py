"""What it costs to give a client an expert that it does not hold: the bytes that it has to fetch.

A client that fetched an expert keeps it in a cache. If the cache is full, the expert that it has held for longest
without training it goes first (least recently used). A copy that others have trained since grows stale: after
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
"""Outcomes after which the client surely holds what it was given."""


@dataclass(frozen=True, eq=False)
class Caches:
    """What clients hold.

    Attributes
    ----------
    last
        (num_clients, num_experts) int32: the round in which the client trained the expert, from 1; 0 where it does not
        hold it.
    round
        Rounds so far.
    """

    last: Any
    round: int

    def grow(self, num_clients: int) -> "Caches":
        """Return the same with empty caches for clients that joined."""
        new = np.zeros((num_clients - len(self.last), self.last.shape[1]), dtype=np.int32)
        return Caches(np.concatenate([self.last, new]), self.round)


@dataclass(frozen=True, eq=False)
class SwitchingCost:
    """Fitness lost by fetching experts.

    Parameters
    ----------
    expert_bytes
        Scalar or (num_experts,), not negative: bytes to fetch.
    price
        Fitness per byte, 0 or more. What a client's fitness for two experts differs by is at most 1 with most
        estimators, so that 0.1/expert_bytes lets a tenth of that keep it where it is.
    cache_size
        Experts that a client keeps, 1 or more; None: all that it ever fetched.
    fresh_rounds
        Rounds after which a copy is worth nothing, 1 or more; None: never.
    """

    expert_bytes: Any
    price: float
    cache_size: int | None = None
    fresh_rounds: int | None = None

    def __post_init__(self) -> None:
        """Read the bytes into an array."""
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
        """Empty caches.

        Raises
        ------
        ValueError
            If bytes are given for another number of experts.
        """
        if self.expert_bytes.ndim and len(self.expert_bytes) != num_experts:
            raise ValueError(f"expert_bytes has {len(self.expert_bytes)} entries, there are {num_experts} experts")
        return Caches(np.zeros((num_clients, num_experts), dtype=np.int32), 0)

    def update(self, state: Caches, reports: Sequence[Report]) -> Caches:
        """Put what was fetched into the caches."""
        last, number = state.last.copy(), state.round + 1
        fetched = [report for report in reports if report.outcome in FETCHED]
        for report in fetched:
            last[report.client, report.experts] = number
        if self.cache_size is not None and fetched:
            clients = np.array([report.client for report in fetched])
            last[clients] = _most_recent(last[clients], self.cache_size)
        return Caches(last, number)

    def previous(self, state: Caches, cohort: IntArray) -> BoolArray:
        """Which experts the cohort's clients hold, (len(cohort), num_experts)."""
        oldest = 0 if self.fresh_rounds is None else max(0, state.round - self.fresh_rounds)
        held: BoolArray = state.last[cohort] > oldest
        return held

    def costs(self, num_experts: int) -> FloatArray:
        """Fitness lost by fetching each expert, (num_experts,)."""
        return np.broadcast_to(self.price * self.expert_bytes, (num_experts,))


def _most_recent(last: Any, size: int) -> Any:
    """Empty all but the ``size`` most recent places of each row; of equally recent ones the lower expert stays."""
    order = np.argsort(-last, axis=1, kind="stable")
    kept = last.copy()
    np.put_along_axis(kept, order[:, size:], 0, axis=1)
    return kept
