"""Policies: alignment methods to compare, by name. All get the same clients, capacities and reports.

A policy is a function of :class:`Parts`, which a comparison holds equal, and of its own parameters; it returns an
:class:`~alignsolve.Aligner`. It uses only the parts that its source describes: a method without load bounds gets no
bounds, a method that looks at the loss gets no router masses. Budgets and layers belong to the clients, not to the
method, so they bind all policies but :data:`REFERENCES`. "Reconstructed" in a docstring means that the source has no
public code or another setting; the docstring then states our choices.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from alignsolve.aligner import Aligner
from alignsolve.estimate.affinity import AffinityFitness
from alignsolve.estimate.capacity import CapacityProfiler
from alignsolve.estimate.demand import WithDemand
from alignsolve.estimate.estimator import (
    BudgetEstimator,
    CapacityEstimator,
    FitnessEstimator,
    LoadEstimator,
    SwitchingEstimator,
)
from alignsolve.estimate.fitness import LossFitness
from alignsolve.estimate.load import LoadMonitor
from alignsolve.estimate.need_switch import NeededFitness
from alignsolve.estimate.oort import OortFitness
from alignsolve.estimate.privacy import Privacy
from alignsolve.estimate.random import RandomFitness
from alignsolve.solver import Solver

UNBOUNDED = LoadMonitor(tolerance=np.inf)
"""Counts loads and sets no bounds."""
WITHOUT_LIMIT = 2**31
"""A capacity that is larger than any number of experts."""


@dataclass(frozen=True)
class Parts:
    """The parts of an aligner that a comparison holds equal, and the parts of our own policy.

    Parameters
    ----------
    capacity
        The clients' capacities, for all policies but ``none``.
    budget, layers, privacy
        As in :class:`~alignsolve.Aligner`, for all policies; ``none`` ignores budgets.
    fitness
        The fitness of ``ours``; by default router mass once clients need it. ``topk`` and ``expert-choice`` use it,
        too, so that they differ from ``ours`` only in the balance of loads.
    load
        The load bounds of ``ours``, ``random-balanced`` and ``expert-choice``. ``flex-moe`` and ``fedamole`` have
        their own.
    switching
        The switching costs of ``ours``.
    solver, time_limit
        As in :class:`~alignsolve.Aligner`, for all policies that solve a problem.
    """

    capacity: CapacityEstimator[Any] = field(default_factory=lambda: CapacityProfiler(client_capacity=1))
    fitness: FitnessEstimator[Any] = field(default_factory=NeededFitness)
    load: LoadEstimator[Any] = field(default_factory=LoadMonitor)
    budget: BudgetEstimator[Any] | None = None
    switching: SwitchingEstimator[Any] | None = None
    layers: tuple[int, ...] | None = None
    privacy: Privacy | None = None
    solver: str | Solver = "auto"
    time_limit: float | None = None

    def aligner(self, fitness: FitnessEstimator[Any], load: LoadEstimator[Any], **others: Any) -> Aligner:
        """Return an aligner with the shared parts and these two; ``others`` replace or add parts."""
        shared = {name: getattr(self, name) for name in SHARED}
        return Aligner(fitness=fitness, load=load, **(shared | others))


SHARED = ("capacity", "budget", "layers", "privacy", "solver", "time_limit")


def none(parts: Parts) -> Aligner:
    """Every client trains every expert: the reference without alignment, exempt from capacities and budgets."""
    everything = CapacityProfiler(client_capacity=WITHOUT_LIMIT, client_demand=WITHOUT_LIMIT)
    return parts.aligner(RandomFitness(), UNBOUNDED, capacity=everything, budget=None)


def random(parts: Parts) -> Aligner:
    """Every client fills its capacity with experts drawn at random."""
    return parts.aligner(RandomFitness(), UNBOUNDED, solver="random", tie_break=0.0)


def random_balanced(parts: Parts) -> Aligner:
    """A random alignment within our load bounds: it shows the value of balance alone, without a fitness."""
    return parts.aligner(RandomFitness(), parts.load, tie_break=0.0)


def rolling(parts: Parts) -> Aligner:
    """FedRolex's window (arXiv 2212.01548): the r-th client of a round starts at expert (round + r) mod num_experts."""
    return parts.aligner(RandomFitness(), UNBOUNDED, solver="rolling", tie_break=0.0)


def topk(parts: Parts) -> Aligner:
    """Every client takes its experts of highest fitness, independently of other clients."""
    return parts.aligner(parts.fitness, UNBOUNDED, solver="topk")


def expert_choice(parts: Parts) -> Aligner:
    """Every expert takes its clients of highest fitness up to its capacity (arXiv 2202.09368).

    Some clients may get no expert. Reconstructed: clients take the place of tokens, and an expert's capacity is our
    upper load bound. Layers are not supported, because their demands could not be met.
    """
    return parts.aligner(parts.fitness, parts.load, solver="expert-choice", capacity=WithDemand(parts.capacity, 0))


def oort(parts: Parts, **parameters: Any) -> Aligner:
    """Every client takes its experts of highest Oort utility (arXiv 2010.06081), with ε-greedy exploration.

    Reconstructed: Oort chooses clients for one model; here pairs have a utility, and each client chooses experts. The
    parameters are those of :class:`~alignsolve.OortFitness`.
    """
    return parts.aligner(OortFitness(**parameters), UNBOUNDED, solver="topk")


def flex_moe(parts: Parts, *, tolerance: float = 0.1, **parameters: Any) -> Aligner:
    """FLEX-MoE (arXiv 2512.23070): a linear program over the moving average Q, its bounds shifted by past deficits.

    Reconstructed, as no code is public. Q of an untried pair is 0.5 unless ``prior`` is given (the paper names no value
    and has no exploration). Bounds are ±10 % of the balanced share, clipped to the cohort's supply as ours are. The
    linear program is integral, so our exact solver finds its optimum. The other parameters are those of
    :class:`~alignsolve.LossFitness`.
    """
    fitness = LossFitness(**({"prior": 0.5} | parameters))
    return parts.aligner(fitness, LoadMonitor(tolerance=tolerance))


def fedamole(parts: Parts, *, temperature: float = 1.0, fewest: int = 2) -> Aligner:
    """FedAMoLE (arXiv 2411.19128): an integer program in which experts choose clients by their affinity.

    Reconstructed. In the original code exactly ``expert_choices`` (2) clients hold every expert, and every client holds
    2 to ``max_experts`` (8) experts. Here a client holds at most its capacity, as in all policies, and at least
    ``fewest`` (2) experts as far as its capacity allows. The number of holders per expert is the one that fills the
    clients' capacities; it is equal for all experts up to rounding. The integer program's relaxation is integral. The
    first round is random, because affinities are unknown.
    """
    capacity = WithDemand(parts.capacity, fewest)
    even = LoadMonitor(tolerance=0.0, catch_up=0.0)
    return parts.aligner(AffinityFitness(temperature), even, capacity=capacity)


def ours(parts: Parts) -> Aligner:
    """Our policy, with all parts: fitness, load, capacity, budgets and switching costs."""
    return parts.aligner(parts.fitness, parts.load, switching=parts.switching)


POLICIES: Mapping[str, Callable[..., Aligner]] = MappingProxyType(
    {
        "none": none,
        "random": random,
        "random-balanced": random_balanced,
        "rolling": rolling,
        "topk": topk,
        "expert-choice": expert_choice,
        "oort": oort,
        "flex-moe": flex_moe,
        "fedamole": fedamole,
        "ours": ours,
    }
)
"""Every policy by name: ``POLICIES[name](Parts(...), **parameters)`` is an aligner."""
REFERENCES = frozenset({"none"})
"""Policies that may exceed the clients' devices; a simulation of devices must not limit them."""
