"""The ``alignment`` section of a configuration: the policy, the solver, and what fitness, load and capacity are."""

import math
from dataclasses import dataclass

from alignsolve import POLICIES, SOLVERS
from fedtrain.config.checks import check, check_fields, checked, one_of, share

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

    policy: str = one_of("ours", POLICIES)
    solver: str = one_of("auto", SOLVERS)
    fitness: str = one_of("loss", FITNESS_NAMES)
    newest_weight: float = checked(0.3, lambda weight: 0.0 < weight <= 1.0, "above 0 and at most 1")
    load: str = one_of("assignments", LOAD_NAMES)
    tolerance: float = checked(0.1, lambda tolerance: tolerance >= 0.0, "0 or more")
    catch_up: float = share(1.0)
    capacity: str = one_of("declared", CAPACITY_NAMES)
    switching_cost: float = checked(0.0, lambda cost: 0.0 <= cost < math.inf, "0 or more, and finite")
    time_budget: bool = False
    epsilon: float = checked(math.inf, lambda epsilon: epsilon > 0.0, "above 0 (inf: no noise)")

    def __post_init__(self) -> None:
        check_fields(self, "alignment.")
        forgets_all = self.fitness in ("ucb", "thompson") and self.newest_weight == 1.0
        rule = f"below 1 where the fitness is {self.fitness}"
        check("alignment.newest_weight", self.newest_weight, not forgets_all, rule)
