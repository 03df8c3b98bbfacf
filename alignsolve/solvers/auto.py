"""``auto``: picks solvers by class and size.

- Cardinality class: ``flow`` below ``PRICE_PAIRS`` pairs: tiny problems take nobody long, and ``flow`` has nothing to
  compile on its first use. Above, ``augment`` for one-to-one problems and nearly so, without groups and soft bounds:
  a client's capacity times an expert's is at most ``ONE_TO_ONE``. If the fitness is nearly a sum or a product, they go
  to ``sift`` as well.
- ``sift`` where experts are many: more than ``FEW_EXPERTS``, and fewer than ``CLIENTS_PER_EXPERT`` clients for each, of
  those that the experts have places for. All others go to ``price``. All four are exact. In CPU time, with as many
  experts as clients or more ``sift`` takes 0.02 to 0.7 of the time of ``price`` (docs/solvers.md); with four times as
  many clients both take about the same; with more, ``price`` is up to five times as fast. Where each client takes
  ``SEVERAL`` experts or more, as phones do of all layers of a model, ``price`` moves so many units that ``sift`` is the
  faster one up to a number of clients for each expert that grows with the experts. Where another one leaves a
  gap in a problem of up to ``SECOND_LOOK_PAIRS`` pairs, as its precision does not suffice, ``price`` closes it.
- Nested sets of experts: ``price`` as well, from that size on. Crossing sets, or sets in the general class: ``greedy``,
  and then ``ilp``.
- Optional demands: ``greedy``, and then ``ilp`` up to ``ILP_PAIRS``.
- Sparse problems, whatever their size: ``sift``, which alone reads stored pairs.
- General class with many experts, in that sense, and unweighted loads: ``budgets``, and then ``ilp`` as below.
- General class otherwise, until the gap is closed: ``greedy`` up to ``GREEDY_PAIRS`` pairs, with more ``lagrangian``
  (before it ``regret`` up to ``REGRET_PAIRS``, where experts are many);
  then ``branch`` for ``BRANCH_NODES`` nodes, as it proves most problems of few experts at once; then ``ilp`` up to
  ``ILP_PAIRS``. The classical generalised assignment problem goes to ``lagrangian``, which has a search of its own for
  it, and then to ``branch`` for a tree that proves the answer. Without a time limit each takes the time that it needs.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.certificate.bound import bound as price_bound
from alignsolve.certificate.judge import judge
from alignsolve.certificate.precision import is_precise
from alignsolve.certificate.tree import tree_bound
from alignsolve.certificate.worth import is_optimum, worth
from alignsolve.data.blocks import RowBlocks
from alignsolve.numerics import FloatArray, relative_gap
from alignsolve.problem import AlignmentProblem, Feature, ProblemClass
from alignsolve.runtime.interruptible import late
from alignsolve.solution import Proof
from alignsolve.solver import EVERYTHING, OPTIONAL, SETS, Answer, Capabilities, ProgressHook, Solver, Wanted, WarmStart
from alignsolve.solvers.common.pattern import has_simple_pattern

PRICE_PAIRS = 1 << 10
"""Pairs (clients × experts) from which our own solver is worth its compilation."""
FEW_EXPERTS = 16
"""Experts up to which prices settle at once, however few clients there are."""
CLIENTS_PER_EXPERT, WITH_GROUPS = 4, 2
"""Clients for each expert up to which experts are many, and the same where experts have groups."""
SEVERAL, FOR_SEVERAL = 8.0, 0.25
"""Mean experts of a client from which on it takes several, and then the number of clients for each expert up to which
experts are many, as a share of the number of experts."""
ONE_TO_ONE = 4
"""Largest product of a client's and an expert's capacity at which shortest augmenting paths were the fastest."""
SECOND_LOOK_PAIRS, SECOND_LOOK_SECONDS = 1 << 16, 2.0
"""Pairs up to which an answer is checked, so that ``price`` can go on, and the seconds that must be left for it."""
GREEDY_PAIRS = 1 << 12
"""Pairs (clients × experts) up to which an integer program needs no better start than greed."""
REGRET_PAIRS = 1 << 15
"""Pairs up to which regret is quick where experts are many; there chains of moves hardly improve what greed finds."""
BRANCH_NODES, BRANCH_SHARE = 1 << 14, 0.5
"""Nodes, and the share of the time that is left, after which ``branch`` leaves the problem to an integer program."""
ASSIGNMENT_NODES = 1 << 14
"""Nodes after which ``branch`` leaves a generalised assignment problem with the proof that it has."""
ILP_PAIRS = 1 << 18
"""Pairs (clients × experts) up to which an integer program is worth building."""


@dataclass(frozen=True)
class Auto:
    """The default: picks solvers by the problem's class and size.

    Parameters
    ----------
    gap
        Relative gap at which the general class is good enough.
    proof
        "own": the word of back ends does not count.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> solve(AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])).objective
    4.5
    """

    gap: float = 0.0
    proof: Wanted = "any"

    capabilities: ClassVar[Capabilities] = Capabilities(
        takes=EVERYTHING | SETS | OPTIONAL | {Feature.SPARSE}, exact=True, presolve=True
    )

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Pass the problem to the chosen solvers in turn; each one starts from the answer of the one before."""

        def ask(solver: Solver, known: WarmStart) -> Answer:
            return solver(problem, deadline=deadline, warm_start=known, seed=seed, threads=threads, progress=progress)

        first, *others = self.chosen(problem)
        answer, name = ask(first, warm_start), type(first).__name__
        if problem.class_ is ProblemClass.CARDINALITY:
            others = _price_after(first, problem, answer, deadline)
        for solver in others:
            if late(deadline) or self._is_good_enough(problem, answer):
                break
            # Prices of the flow may be so large that they blur all else; price finds its own.
            prices = None if problem.class_ is ProblemClass.CARDINALITY else answer.prices
            known = WarmStart(warm_start.alignment if answer.x is None else answer.x, prices)
            answer, name = _with_what_was_known(problem, ask(solver, known), answer, deadline), type(solver).__name__
        return replace(answer, stats={"chosen": name, **answer.stats})

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the code that the chosen solvers need."""
        for solver in self.chosen(problem):
            prepare = getattr(solver, "prepare", None)
            if prepare is not None:
                prepare(problem)

    def chosen(self, problem: AlignmentProblem) -> list[Solver]:
        """The solvers to ask, in this order, until the gap is closed."""
        if problem.class_ is ProblemClass.CARDINALITY:
            return [flow_solver(problem)]
        return general_solvers(problem, self.gap, self.proof)

    def _is_good_enough(self, problem: AlignmentProblem, answer: Answer) -> bool:
        """Whether nothing is left to look for: there is a witness, or the gap is closed."""
        if answer.witness is not None or (answer.x is None and answer.tree is not None):
            return True
        if answer.x is None or (answer.prices is None and answer.tree is None):
            return False
        bound = math.inf if answer.prices is None else problem.bound(answer.prices)
        if answer.tree is not None:
            bound = min(bound, tree_bound(problem, answer.tree).value)
        reached = worth(problem, answer.x)
        return relative_gap(bound, reached.objective) <= self.gap or is_optimum(problem, bound, reached)


def flow_solver(problem: AlignmentProblem) -> Solver:
    """Choose for the cardinality class, by size; imported here, so that only what is chosen loads its back end."""
    if problem.stored is not None:
        from alignsolve.solvers.sift import Sift  # noqa: PLC0415

        return Sift()
    if problem.num_clients * problem.num_experts < PRICE_PAIRS:
        from alignsolve.solvers.flow import Flow  # noqa: PLC0415

        return Flow()
    if problem.sets is not None:
        from alignsolve.solvers.price import Price  # noqa: PLC0415

        return Price()
    one_to_one = is_nearly_one_to_one(problem)
    if one_to_one and not has_simple_pattern(problem):
        from alignsolve.solvers.shortest_paths import Augment  # noqa: PLC0415

        return Augment()
    if one_to_one or has_many_experts(problem, several=True):
        from alignsolve.solvers.sift import Sift  # noqa: PLC0415

        return Sift()
    from alignsolve.solvers.price import Price  # noqa: PLC0415

    return Price()


def _price_after(first: Solver, problem: AlignmentProblem, answer: Answer, deadline: float) -> list[Solver]:
    """``price``, for what another solver of the cardinality class leaves open: it alone refines its own precision.

    It is not compiled before a time limit's clock starts, as few problems need it. So some time must be left.
    """
    from alignsolve.solvers.price import Price  # noqa: PLC0415

    small = problem.num_clients * problem.num_experts <= SECOND_LOOK_PAIRS
    if problem.stored is not None or isinstance(first, Price) or not small:
        return []
    if deadline - time.monotonic() < SECOND_LOOK_SECONDS or is_precise(problem, answer.x, answer.prices):
        return []
    return [Price()] if judge(problem, answer).proof is Proof.NONE else []


def is_nearly_one_to_one(problem: AlignmentProblem) -> bool:
    """Whether no client and no expert takes more than a few, without groups and soft bounds; fitness is in memory."""
    unfit = problem.features & {Feature.GROUPS, Feature.SOFT_BOUNDS}
    if unfit or isinstance(problem.fitness, RowBlocks):
        return False
    client = min(int(problem.client_capacity.max()), problem.num_experts)
    return bool(client * problem.experts.most.max() <= ONE_TO_ONE)


def has_many_experts(problem: AlignmentProblem, *, several: bool = False) -> bool:
    """Whether experts are many for the clients that they have places for; never where fitness is not in memory.

    With ``several``, there may be more clients if each takes several experts.
    """
    n, e = problem.shape
    if e <= FEW_EXPERTS or isinstance(problem.fitness, RowBlocks):
        return False
    served = min(n, float(np.minimum(problem.experts.most, n).sum()))
    most: float = CLIENTS_PER_EXPERT if problem.expert_group is None else WITH_GROUPS
    if several and experts_of_a_client(problem) >= SEVERAL:
        most = max(most, FOR_SEVERAL * e)
    return served < e * most


def experts_of_a_client(problem: AlignmentProblem) -> float:
    """How many experts clients may take on average, by their own bounds and the room that experts have."""
    n, e = problem.shape
    taken = np.minimum(problem.client_capacity, e)
    if problem.expert_group is not None:
        size = np.bincount(problem.expert_group, minlength=problem.group_capacity.shape[1])
        taken = np.minimum(taken, np.minimum(problem.group_capacity, size).sum(axis=1))
    return min(float(taken.mean()), float(np.minimum(problem.experts.most, n).sum()) / max(n, 1))


def general_solvers(problem: AlignmentProblem, gap: float, proof: Wanted = "any") -> list[Solver]:
    """Choose for the general class: first a solver that finds an alignment, then those that close the gap."""
    from alignsolve.solvers.branch import Branch  # noqa: PLC0415
    from alignsolve.solvers.budgets import Budgets  # noqa: PLC0415
    from alignsolve.solvers.generalised_assignment.instance import assignment_like  # noqa: PLC0415
    from alignsolve.solvers.greedy import Greedy, Regret  # noqa: PLC0415
    from alignsolve.solvers.ilp.solver import Ilp  # noqa: PLC0415
    from alignsolve.solvers.lagrangian import Lagrangian  # noqa: PLC0415

    pairs = problem.num_clients * problem.num_experts
    if problem.sets is not None:
        return [Greedy(), Ilp(gap=gap, proof=proof)]  # whose model may be too large for the time limit
    if Feature.OPTIONAL_DEMANDS in problem.features:
        return [Greedy(), *([Ilp(gap=gap, proof=proof)] if pairs <= ILP_PAIRS else [])]
    if pairs > GREEDY_PAIRS and problem.client_load is None and has_many_experts(problem):
        return [Budgets(gap=gap), *([Ilp(gap=gap, proof=proof)] if pairs <= ILP_PAIRS else [])]
    if assignment_like(problem):
        return [Lagrangian(gap=gap), Branch(gap=gap, nodes=ASSIGNMENT_NODES if proof == "any" else math.inf)]
    if pairs > ILP_PAIRS:
        return [Lagrangian(gap=gap)]
    first: list[Solver] = [Greedy()] if pairs <= GREEDY_PAIRS else [Lagrangian(gap=gap)]
    if GREEDY_PAIRS < pairs <= REGRET_PAIRS and has_many_experts(problem):
        first.insert(0, Regret())
    return [*first, Branch(gap=gap, nodes=BRANCH_NODES, share=BRANCH_SHARE), Ilp(gap=gap, proof=proof)]


def _with_what_was_known(problem: AlignmentProblem, answer: Answer, known: Answer, deadline: float) -> Answer:
    """Fill in, from the answer before, what a solver has not found: for lack of time, or as it seeks another proof."""
    if answer.witness is not None or answer.infeasible or (answer.x is None and answer.tree is not None):
        return answer
    if answer.x is None and known.infeasible:
        return known
    claims = known.bound < answer.bound
    return replace(
        answer,
        x=known.x if answer.x is None else answer.x,
        prices=_better_prices(problem, answer.prices, known.prices, deadline),
        bound=known.bound if claims else answer.bound,
        stats={**known.stats, **answer.stats} if claims else answer.stats,
    )


def _better_prices(
    problem: AlignmentProblem, new: FloatArray | None, known: FloatArray | None, deadline: float
) -> FloatArray | None:
    """The prices with the lower bound: those of an integer program's first relaxation may be worse than greed's."""
    if new is None or known is None or problem.class_ is ProblemClass.CARDINALITY:
        return known if new is None else new
    ours, theirs = (price_bound(problem, prices, deadline=deadline).value for prices in (known, new))
    return known if ours < theirs else new
