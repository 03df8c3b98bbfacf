"""The ``alignment`` section of a configuration: the policy, the solver, and what fitness, load and capacity are."""

import math
from dataclasses import dataclass

from alignsolve import POLICIES, SOLVERS
from fedtrain.config.checks import check, one_of

FITNESS_NAMES = (
    *("loss", "router", "needed-router", "gated-router", "router-and-loss", "needed-router-and-loss"),
    *("clusters", "low-rank", "ucb", "thompson", "oort"),
)
"""What ``alignment.fitness`` may be; :data:`fedtrain.server.alignment.FITNESS` makes them."""
CAPACITY_NAMES = ("declared", "learned", "uniform")
"""What ``alignment.capacity`` may be."""
LOAD_NAMES = ("assignments", "usage", "examples", "coverage")
"""What ``alignment.load`` may be."""


@dataclass(frozen=True)
class AlignmentConfig:
    """How clients and experts are aligned; see :class:`alignsolve.Aligner` and its estimators.

    Attributes
    ----------
    policy
        A name in ``alignsolve.POLICIES``: ours, or a rival. ``none``, the reference in which every client trains every
        expert, is exempt from what devices can hold.
    solver
        A name in ``alignsolve.SOLVERS``.
    fitness
        A name in :data:`fedtrain.server.alignment.FITNESS`: ``loss``, how well a client did with an expert;
        ``router``, what its router thinks of all experts; and more.
    newest_weight
        Weight of the newest round in the fitness, above 0 and at most 1.
    load
        What is kept even over the rounds: ``assignments`` completed, the ``usage`` that clients make of an expert, or
        its ``examples``; ``coverage``: assignments, and every expert is given holders enough that one of them comes
        back.
    tolerance
        By how much an expert's load may differ from its share; inf: no bounds.
    catch_up
        Part of its deficit that an expert makes up for in one round.
    capacity
        How many experts a client is trusted with: what its memory ``declared`` allows; that, ``learned`` anew from
        failures; or, for all clients alike, the mean of it (``uniform``: nobody is profiled).
    switching_cost
        Fitness lost by giving a client an expert that it does not hold from an earlier round.
    time_budget
        Whether ``clients.deadline`` bounds what a client is given, by its declared speed and then its measured one.
    epsilon
        Privacy lost by a client's report of a round, which is noised accordingly; inf: reports are not noised.
    """

    policy: str = "ours"
    solver: str = "auto"
    fitness: str = "loss"
    newest_weight: float = 0.3
    load: str = "assignments"
    tolerance: float = 0.1
    catch_up: float = 1.0
    capacity: str = "declared"
    switching_cost: float = 0.0
    time_budget: bool = False
    epsilon: float = math.inf

    def __post_init__(self) -> None:
        one_of("alignment.solver", self.solver, tuple(SOLVERS))
        one_of("alignment.policy", self.policy, tuple(POLICIES))
        one_of("alignment.fitness", self.fitness, FITNESS_NAMES)
        one_of("alignment.load", self.load, LOAD_NAMES)
        one_of("alignment.capacity", self.capacity, CAPACITY_NAMES)
        weight = self.newest_weight
        check("alignment.newest_weight", weight, 0.0 < weight <= 1.0, "above 0 and at most 1")
        forgets_all = self.fitness in ("ucb", "thompson") and weight == 1.0
        check("alignment.newest_weight", weight, not forgets_all, f"below 1 where the fitness is {self.fitness}")
        check("alignment.tolerance", self.tolerance, self.tolerance >= 0.0, "0 or more")
        check("alignment.catch_up", self.catch_up, 0.0 <= self.catch_up <= 1.0, "between 0 and 1")
        cost = self.switching_cost
        check("alignment.switching_cost", cost, 0.0 <= cost < math.inf, "0 or more, and finite")
        check("alignment.epsilon", self.epsilon, self.epsilon > 0.0, "above 0 (inf: no noise)")
