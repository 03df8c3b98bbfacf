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
from typing import Any, Literal

import numpy as np

from alignsolve.aligner import Aligner
from alignsolve.estimate import checks
from alignsolve.estimate.affinity import AffinityFitness
from alignsolve.estimate.bipartition import BipartitionFitness
from alignsolve.estimate.capacity import CapacityProfiler
from alignsolve.estimate.conflict import ConflictFitness
from alignsolve.estimate.demand import WithDemand
from alignsolve.estimate.difference import GatedFitness
from alignsolve.estimate.estimator import (
    BudgetEstimator,
    CapacityEstimator,
    FitnessEstimator,
    LoadEstimator,
    SwitchingEstimator,
)
from alignsolve.estimate.fitness import LossFitness, RouterFitness
from alignsolve.estimate.importance import ImportanceFitness
from alignsolve.estimate.lift import RevealedFitness
from alignsolve.estimate.load import LoadMonitor
from alignsolve.estimate.need_switch import NeededFitness
from alignsolve.estimate.oort import OortFitness
from alignsolve.estimate.oracle import OracleFitness
from alignsolve.estimate.owners import OwnerFitness
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
    domains
        (num_clients, num_domains) the true shares of each client's examples, for ``oracle`` alone; None: not known.
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
    domains: Any = None
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


def fedamole(
    parts: Parts, *, temperature: float = 1.0, fewest: int = 2, fresh: bool = False, gated: bool = False
) -> Aligner:
    """FedAMoLE (arXiv 2411.19128): an integer program in which experts choose clients by their affinity.

    Reconstructed. In the original code exactly ``expert_choices`` (2) clients hold every expert, and every client holds
    2 to ``max_experts`` (8) experts. Here a client holds at most its capacity, as in all policies, and at least
    ``fewest`` (2) experts as far as its capacity allows. The number of holders per expert is the one that fills the
    clients' capacities; it is equal for all experts up to rounding. The integer program's relaxation is integral. The
    first round is random, because affinities are unknown.

    Two parts of ours can be added, which the paper does not have: ``fresh`` router masses in every round, and
    (``gated``) a lottery while clients agree.
    """
    capacity = WithDemand(parts.capacity, fewest)
    even = LoadMonitor(tolerance=0.0, catch_up=0.0)
    affinity = AffinityFitness(temperature)
    fitness = ConflictFitness(affinity) if gated else affinity
    return parts.aligner(fitness, even, capacity=capacity, fresh_masses=fresh)


def fedamole_fresh(parts: Parts, **parameters: Any) -> Aligner:
    """FedAMoLE with router masses of the current model, which clients send before they are aligned."""
    return fedamole(parts, fresh=True, **parameters)


def fedamole_gated(parts: Parts, **parameters: Any) -> Aligner:
    """FedAMoLE where clients contradict each other, and a lottery with its loads while they agree."""
    return fedamole(parts, gated=True, **parameters)


def hfedmoe(parts: Parts, **parameters: Any) -> Aligner:
    """HFedMoE (arXiv 2601.00583): every client takes its most important experts within its capacity.

    Reconstructed: importance is computed from router masses (:class:`~alignsolve.ImportanceFitness`, which has the
    parameters). The paper's aggregation by sparsity is a rule of merging, and not part of the policy.
    """
    return parts.aligner(ImportanceFitness(**parameters), UNBOUNDED, solver="topk")


def spes(parts: Parts) -> Aligner:
    """SPES (arXiv 2602.11543): every client owns the same experts for ever.

    Reconstructed for more clients than experts (:class:`~alignsolve.OwnerFitness`).
    """
    return parts.aligner(OwnerFitness(), UNBOUNDED, solver="topk", tie_break=0.0)


def clustered(parts: Parts, **parameters: Any) -> Aligner:
    """Clustered federated learning (arXiv 1910.01991): clients are split by their updates, each cluster has experts.

    Reconstructed: clusters train experts beside a shared part (:class:`~alignsolve.BipartitionFitness`, which has the
    parameters). It needs the geometry of updates, as ours does.
    """
    return parts.aligner(BipartitionFitness(**parameters), UNBOUNDED, solver="topk")


def oracle(parts: Parts) -> Aligner:
    """The true domains as fitness, within our load bounds: what there is to gain by knowing them.

    Raises
    ------
    ValueError
        If the parts have no ``domains``.
    """
    if parts.domains is None:
        raise ValueError("oracle needs the clients' true domains: give Parts(domains=...)")
    return parts.aligner(OracleFitness(parts.domains), parts.load)


def ours(
    parts: Parts,
    *,
    goal: Literal["global", "personal"] | None = None,
    sees: Literal["updates", "sums"] = "updates",
    fresh: bool = False,
) -> Aligner:
    """Our policy, with all parts: load, capacity, budgets, switching costs, and a fitness.

    Parameters
    ----------
    parts
        The shared parts. Their fitness is used only without a goal.
    goal
        The purpose of the training: one model that is good for all ("global"), or experts that are good for each client
        ("personal"). Then the fitness is chosen from the reports, and revised. None: the fitness of the parts. In the
        first rounds, before there is a verdict, clients are aligned by their updates.

        - Clients contradict each other, and routers tell their domains apart: clients and experts are aligned, by the
          geometry of updates first and by router affinity later.
        - They do, and no router can tell: "personal" gives each client the experts of its own domain alone; "global"
          draws experts at random.
        - Clients agree: from this verdict on "global" draws experts at random within the load bounds, as
          ``random-balanced`` does; "personal" uses router masses if clients differ, and the lottery if they do not.
    sees
        "updates": the server sees single clients' updates. "sums": it does not, as under secure aggregation. Then no
        geometry is known, and whether clients contradict each other cannot be found out. Both goals use router masses
        if clients differ.
    fresh
        Whether clients send router masses before each round (:meth:`~alignsolve.Aligner.probe`).
    """
    if goal is None:
        return parts.aligner(parts.fitness, parts.load, switching=parts.switching, fresh_masses=fresh)
    return parts.aligner(_automatic(goal, sees), parts.load, switching=parts.switching, fresh_masses=fresh)


def _automatic(goal: str, sees: str) -> FitnessEstimator[Any]:
    """Return the fitness of a goal."""
    checks.choice("goal", goal, ("global", "personal"))
    checks.choice("sees", sees, ("updates", "sums"))
    differing = GatedFitness(RouterFitness())
    if sees == "sums":
        return differing
    personal = goal == "personal"
    otherwise = differing if personal else RandomFitness()
    return ConflictFitness(RevealedFitness(serve_hidden=personal), otherwise=otherwise, presumed=True)


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
        "fedamole-fresh": fedamole_fresh,
        "fedamole-gated": fedamole_gated,
        "hfedmoe": hfedmoe,
        "spes": spes,
        "clustered": clustered,
        "oracle": oracle,
        "ours": ours,
    }
)
"""Every policy by name: ``POLICIES[name](Parts(...), **parameters)`` is an aligner."""
REFERENCES = frozenset({"none"})
"""Policies that may exceed the clients' devices; a simulation of devices must not limit them."""
