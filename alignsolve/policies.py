"""The alignments to compare, by name: ours, and rivals that are given the same clients, capacities and reports.

A policy is a function of :class:`Parts`, the ingredients that a comparison holds equal, and of parameters of its own,
and returns an :class:`~alignsolve.Aligner`. Each takes from the parts what its source knows of: who has no load bounds
gets none, who looks at the loss gets no router masses. Budgets and layers bind all, because they are the clients', not
the method's; only :data:`REFERENCES` are exempt. Where a source published no code, or its setting is another, the
docstring says "reconstructed" and what was decided.
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
"""Counts loads and asks for nothing."""
WITHOUT_LIMIT = 2**31
"""More experts than any model has."""


@dataclass(frozen=True)
class Parts:
    """What a comparison holds equal, and what ours is made of.

    Parameters
    ----------
    capacity
        Of the clients; everybody's but ``none``'s.
    budget, layers, privacy
        As in :class:`~alignsolve.Aligner`; everybody's, budgets not ``none``'s.
    fitness
        Ours; by default the router's, where clients need it. ``topk`` and ``expert-choice`` take it too, so
        that they differ from ours by the balance alone.
    load
        Ours, and ``random-balanced``'s. ``flex-moe`` and ``fedamole`` have their own.
    switching
        Ours.
    solver, time_limit
        As in :class:`~alignsolve.Aligner`, for all that solve a problem.
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
        """Build an aligner of everybody's parts, these two, and others in their place."""
        shared = {name: getattr(self, name) for name in SHARED}
        return Aligner(fitness=fitness, load=load, **(shared | others))


SHARED = ("capacity", "budget", "layers", "privacy", "solver", "time_limit")


def none(parts: Parts) -> Aligner:
    """Every client trains every expert: the reference, exempt from capacities and budgets."""
    everything = CapacityProfiler(client_capacity=WITHOUT_LIMIT, client_demand=WITHOUT_LIMIT)
    return parts.aligner(RandomFitness(), UNBOUNDED, capacity=everything, budget=None)


def random(parts: Parts) -> Aligner:
    """Every client fills its capacity with experts drawn at random."""
    return parts.aligner(RandomFitness(), UNBOUNDED, solver="random", tie_break=0.0)


def random_balanced(parts: Parts) -> Aligner:
    """A lottery within our load bounds: what balance alone is worth, without any fitness."""
    return parts.aligner(RandomFitness(), parts.load, tie_break=0.0)


def rolling(parts: Parts) -> Aligner:
    """FedRolex's window (arXiv 2212.01548): the r-th client of a round starts at expert (round + r) mod num_experts."""
    return parts.aligner(RandomFitness(), UNBOUNDED, solver="rolling", tie_break=0.0)


def topk(parts: Parts) -> Aligner:
    """Every client takes its fittest experts, whatever the others do."""
    return parts.aligner(parts.fitness, UNBOUNDED, solver="topk")


def expert_choice(parts: Parts) -> Aligner:
    """Every expert takes its fittest clients up to its capacity (arXiv 2202.09368); some clients may get none.

    Reconstructed: clients in the place of tokens; an expert's capacity is our upper load bound. Takes no layers, whose
    demands it could not meet.
    """
    return parts.aligner(parts.fitness, parts.load, solver="expert-choice", capacity=WithDemand(parts.capacity, 0))


def oort(parts: Parts, **parameters: Any) -> Aligner:
    """Every client takes the pairs of highest utility in Oort's sense (arXiv 2010.06081), explored ε-greedily.

    Reconstructed: Oort chooses clients for a model; here its utility is a pair's, and a client chooses experts.
    Parameters are those of :class:`~alignsolve.OortFitness`.
    """
    return parts.aligner(OortFitness(**parameters), UNBOUNDED, solver="topk")


def flex_moe(parts: Parts, *, tolerance: float = 0.1, **parameters: Any) -> Aligner:
    """FLEX-MoE (arXiv 2512.23070): a linear program over the moving average Q, its bounds shifted by past deficits.

    Reconstructed, as no code is public: Q of an untried pair is 0.5 unless ``prior`` says otherwise (the paper names
    none, and has no exploration); bounds are ±10 % of the balanced share, clipped to what the cohort can supply as
    ours are. The program is integral, so that our exact solver's optimum is its optimum. Other parameters are those of
    :class:`~alignsolve.LossFitness`.
    """
    fitness = LossFitness(**({"prior": 0.5} | parameters))
    return parts.aligner(fitness, LoadMonitor(tolerance=tolerance))


def fedamole(parts: Parts, *, temperature: float = 1.0, fewest: int = 2) -> Aligner:
    """FedAMoLE (arXiv 2411.19128): an integer program in which experts choose clients by their affinity.

    Reconstructed. In its code every expert is held by exactly ``expert_choices`` (2) clients, and a client holds at
    least 2 and at most ``max_experts`` (8) experts, a number for all. Here a client's most is its capacity, as
    everybody's, and its fewest 2 or that; the number of holders is what then fills the clients, equal for all experts
    up to rounding. The program is integral. Its round 0 is random, affinities unknown.
    """
    capacity = WithDemand(parts.capacity, fewest)
    even = LoadMonitor(tolerance=0.0, catch_up=0.0)
    return parts.aligner(AffinityFitness(temperature), even, capacity=capacity)


def ours(parts: Parts) -> Aligner:
    """All parts together: fitness, load, capacity, budgets, switching costs."""
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
"""The policies that ask more of clients than their devices hold; who simulates devices lets them have it."""
