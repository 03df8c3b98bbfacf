"""Aligners of many kinds and reports about their rounds, for the examples of reports and of operations."""

from collections.abc import Callable
from typing import Any

import numpy as np

from alignsolve import (
    AffinityFitness,
    Aligner,
    BipartitionFitness,
    CapacityProfiler,
    ConflictFitness,
    CoverageLoad,
    EmbeddingFitness,
    GatedFitness,
    ImportanceFitness,
    LabelAgreement,
    LoadMonitor,
    LossFitness,
    LowRankFitness,
    MemoryBudget,
    MemoryLearner,
    NeededFitness,
    OortFitness,
    OptimisticFitness,
    OwnerFitness,
    Privacy,
    RandomFitness,
    RevealedFitness,
    RouterFitness,
    Servers,
    SumFitness,
    SwitchingCost,
    TimeBudget,
    UpdateFitness,
)

MOST_CLIENTS = 12
"""Clients that a federation may grow to."""
FITNESS: list[Callable[[], Any]] = [
    AffinityFitness, lambda: EmbeddingFitness(steps=3), lambda: GatedFitness(strength=0.0, agreement=0.1), LossFitness,
    lambda: LossFitness(purpose="repair"), lambda: LowRankFitness(rank=1), lambda: NeededFitness(after=1),
    OortFitness, lambda: OortFitness(purpose="specialise", preferred_seconds=0.5), OptimisticFitness,
    lambda: OptimisticFitness(method="thompson"), RandomFitness, lambda: RouterFitness(scaling="none"), RouterFitness,
    lambda: SumFitness(((1.0, RouterFitness()), (0.5, LossFitness()))),
    lambda: BipartitionFitness(after=1, stalled=1.0), lambda: ConflictFitness(RouterFitness()),
    lambda: ConflictFitness(RevealedFitness(), gate=LabelAgreement(threshold=1.0, after=1, steady=0.0)),
    ImportanceFitness, OwnerFitness, lambda: RevealedFitness(alone=0), UpdateFitness,
    lambda: UpdateFitness(num_clusters=2, young=1),
]  # fmt: skip


def draw_aligner(rng: np.random.Generator, num_experts: int) -> Aligner:
    """Draw an aligner for at most :data:`MOST_CLIENTS` clients."""
    layers = None
    if num_experts > 2 and rng.random() < 0.4:
        first = int(rng.integers(1, num_experts))
        layers = (first, num_experts - first)
    capacity: Any = CapacityProfiler(client_capacity=rng.integers(1, num_experts + 1, MOST_CLIENTS))
    if rng.random() < 0.3:
        capacity = MemoryLearner(capacity)
    budget: Any = None
    if rng.random() < 0.25:
        budget = TimeBudget(deadline=10.0, expert_seconds=1.0)
    elif rng.random() < 0.25:
        sizes = rng.integers(5, 30, num_experts)
        budget = MemoryBudget(rng.integers(20, 200, MOST_CLIENTS), sizes, 8, layers or (num_experts,))
    return Aligner(
        FITNESS[int(rng.integers(len(FITNESS)))](),
        load=CoverageLoad() if rng.random() < 0.3 else LoadMonitor(),
        capacity=capacity,
        budget=budget,
        switching=SwitchingCost(expert_bytes=1e6, price=1e-7, cache_size=2) if rng.random() < 0.3 else None,
        layers=layers,
        privacy=Privacy(epsilon=8.0, release=("router_mass", "pairs")) if rng.random() < 0.15 else None,
        tie_break=float(rng.choice([0.0, 1e-6])),
        sets=_draw_servers(rng, num_experts) if rng.random() < 0.3 else None,
    )


def _draw_servers(rng: np.random.Generator, num_experts: int) -> Servers:
    """Draw one or two servers and their capacities."""
    hosts = rng.permutation(np.arange(num_experts) % int(rng.integers(1, min(2, num_experts) + 1)))
    return Servers(hosts, capacity=int(rng.integers(0, 2 * MOST_CLIENTS)))


def draw_cohort(rng: np.random.Generator, num_clients: int) -> Any:
    """Draw some clients, ascending."""
    return np.sort(rng.choice(num_clients, int(rng.integers(1, num_clients + 1)), replace=False))


def all_finite(state: Any) -> bool:
    """Whether no array of a state holds an infinite number, and none holds NaN that it did not begin with."""
    arrays = state.to_arrays().values()
    return not any(np.isinf(array).any() for array in arrays if array.dtype.kind == "f")
