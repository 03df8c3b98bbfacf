"""The ``alignment`` section of a configuration: the policy, the solver, and the estimators."""

import math
from dataclasses import dataclass

from alignsolve import POLICIES, SOLVERS
from fedtrain.config.checks import check, check_fields, checked, one_of, one_of_or_function, share

FITNESS_NAMES = (
    *("loss", "router", "needed-router", "gated-router", "router-and-loss", "needed-router-and-loss"),
    *("clusters", "low-rank", "embedding", "ucb", "thompson", "oort"),
    *("updates", "revealed", "conflict-router", "importance"),
)
"""Values of ``alignment.fitness``; :data:`fedtrain.server.alignment.FITNESS` makes the estimators."""
CAPACITY_NAMES = ("declared", "learned", "uniform")
"""Values of ``alignment.capacity``."""
GOAL_NAMES = ("none", "global", "personal")
"""Values of ``alignment.goal``."""
SEEN_NAMES = ("updates", "sums")
"""Values of ``alignment.sees``."""
LOAD_NAMES = ("assignments", "usage", "examples", "coverage")
"""Values of ``alignment.load``."""


@dataclass(frozen=True)
class AlignmentConfig:
    """Settings of the alignment; see :class:`alignsolve.Aligner` and its estimators.

    Attributes
    ----------
    policy
        A name in ``alignsolve.POLICIES``: ``ours``, or a rival. In ``none``, the reference, every client trains every
        expert, whatever its device can hold. Or a function of your own, ``file.py:function``: of
        :class:`alignsolve.Parts`, which returns an :class:`alignsolve.Aligner`.
    solver
        A name in ``alignsolve.SOLVERS``.
    fitness
        A name in :data:`fedtrain.server.alignment.FITNESS`. Two examples are ``loss``, a client's loss with an expert,
        and ``router``, its router's probabilities of all experts.
    newest_weight
        Weight of the newest round in the fitness, above 0 and at most 1.
    goal
        Purpose of the policy ``ours``: one model that is good for all (``global``), or experts that are good for each
        client (``personal``). The fitness is then chosen from the reports. ``none``: it is ``alignment.fitness``.
    sees
        With a goal: whether the server sees single ``updates``, or only their ``sums``, as under secure aggregation.
    fresh_masses
        With a goal: whether clients send router masses before each round is aligned, one more exchange.
    load
        The quantity that is balanced between experts over the rounds: completed ``assignments``, ``usage`` by the
        clients' routers, or routed ``examples``. ``coverage`` balances assignments, and also assigns every expert to
        enough clients that at least one of them is expected to return it.
    tolerance
        Largest difference between an expert's load and its share; inf: no bounds.
    catch_up
        Part of its deficit that an expert catches up in one round.
    capacity
        Number of experts per client: ``declared``, as many as its declared memory allows; ``learned``, the same but
        corrected after failures; ``uniform``, the mean of all clients for each of them, so that no device is profiled.
    switching_cost
        Fitness that is subtracted if a client is assigned an expert that it does not already hold.
    time_budget
        Whether ``clients.deadline`` limits the work of a client. Its declared speed is used first, then its measured
        speed.
    epsilon
        Privacy budget of one report (differential privacy), which sets the noise in it; inf: no noise.
    """

    policy: str = one_of_or_function("ours", POLICIES)
    solver: str = one_of("auto", SOLVERS)
    fitness: str = one_of("loss", FITNESS_NAMES)
    newest_weight: float = checked(0.3, lambda weight: 0.0 < weight <= 1.0, "above 0 and at most 1", unit="weight")
    goal: str = one_of("none", GOAL_NAMES)
    sees: str = one_of("updates", SEEN_NAMES)
    fresh_masses: bool = False
    load: str = one_of("assignments", LOAD_NAMES)
    tolerance: float = checked(0.1, lambda tolerance: tolerance >= 0.0, "0 or more", unit="share of the load")
    catch_up: float = share(1.0, unit="share")
    capacity: str = one_of("declared", CAPACITY_NAMES)
    switching_cost: float = checked(0.0, lambda cost: 0.0 <= cost < math.inf, "0 or more, and finite", unit="fitness")
    time_budget: bool = False
    epsilon: float = checked(math.inf, lambda epsilon: epsilon > 0.0, "above 0 (inf: no noise)", unit="privacy budget")

    def __post_init__(self) -> None:
        check_fields(self, "alignment.")
        forgets_all = self.fitness in ("ucb", "thompson") and self.newest_weight == 1.0
        check("alignment.goal", self.goal, self.goal == "none" or self.policy == "ours", "none unless policy is ours")
        check("alignment.fresh_masses", self.fresh_masses, not self.fresh_masses or self.goal != "none",
              "false without a goal")  # fmt: skip
        rule = f"below 1 where the fitness is {self.fitness}"
        check("alignment.newest_weight", self.newest_weight, not forgets_all, rule)
