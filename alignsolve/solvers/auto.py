"""``auto``: picks solvers by class and size.

- Cardinality class: ``flow`` below ``PRICE_PAIRS`` pairs. Above, ``augment`` for one-to-one problems and nearly so: no
  groups, no soft bounds, and the largest capacity of a client times that of an expert is at most ``ONE_TO_ONE``. CPU
  time there is 0.02 to 0.6 of that of ``price`` (300 × 300 to 3,000 × 1,000, capacities 1 and 1 to 4 and 1; families of
  uniform, integer, popular, clustered and rank-one fitness). With 16 clients for an expert, ``price`` is up to 17 times
  faster. On rank one ``flow`` takes 2.5 times as long as ``augment`` at 2,000 × 500 one-to-one, and half as long at
  300 × 300 with capacities 2 and 2.
- Other problems of the class: ``price``, and ``flow`` in two cases of many experts (more
  than ``FEW_EXPERTS``, and fewer than ``CLIENTS_PER_EXPERT`` clients for each): where experts have groups, and where
  the fitness is nearly of rank one, which costs ``price`` long chains of moves. Both are exact. Tiny problems take
  neither long, and ``flow`` has nothing to compile on its first use.
- General class, until the gap is closed: ``greedy`` and then ``ilp`` up to ``GREEDY_PAIRS`` pairs; with more pairs
  ``lagrangian``, and then ``ilp`` up to ``ILP_PAIRS``. The classical generalised assignment problem goes to
  ``lagrangian`` alone, which has a search of its own for it. Without a time limit each takes the time that it needs.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.numerics import OPTIMALITY, relative_gap
from alignsolve.problem import AlignmentProblem, Feature, ProblemClass
from alignsolve.solver import Answer, Capabilities, ProgressHook, Solver, WarmStart

PRICE_PAIRS = 1 << 10
"""Pairs (clients × experts) from which our own solver is worth its compilation."""
CLIENTS_PER_EXPERT, FEW_EXPERTS = 8, 16
"""How many times more clients than experts, or how few experts, make it the faster one on all families together."""
ONE_TO_ONE = 4
"""Largest product of a client's and an expert's capacity at which shortest augmenting paths were faster than
``price`` throughout."""
SAMPLE = 32
"""Clients and experts whose fitness tells how near it is to rank one."""
NEARLY_RANK_ONE = 0.7
"""Share of the strongest pattern from which on long chains of moves are to be expected."""
PASSES = 4
"""Times that the means are taken out by turns; with every pair eligible the first takes out all."""
NOISE = 1e-18
"""Share of the sum of squares up to which what is left without the means is rounding."""
GREEDY_PAIRS = 1 << 12
"""Pairs (clients × experts) up to which an integer program needs no better start than greed."""
ILP_PAIRS = 1 << 18
"""Pairs (clients × experts) up to which an integer program is worth building."""


@dataclass(frozen=True)
class Auto:
    """The default: picks solvers by the problem's class and size.

    Parameters
    ----------
    gap
        Relative gap at which the general class is good enough.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> solve(AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])).objective
    4.5
    """

    gap: float = 0.0

    capabilities: ClassVar[Capabilities] = Capabilities(exact=True)

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
        for solver in others:
            if self._is_good_enough(problem, answer):
                break
            known = WarmStart(warm_start.alignment if answer.x is None else answer.x, answer.prices)
            answer, name = _with_what_was_known(ask(solver, known), answer), type(solver).__name__
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
        return general_solvers(problem, self.gap)

    def _is_good_enough(self, problem: AlignmentProblem, answer: Answer) -> bool:
        """Whether nothing is left to look for: there is a witness, or the gap is closed."""
        if answer.witness is not None:
            return True
        if answer.x is None or answer.prices is None:
            return False
        gap = relative_gap(problem.bound(answer.prices), problem.objective(answer.x))
        return gap <= max(self.gap, OPTIMALITY)


def flow_solver(problem: AlignmentProblem) -> Solver:
    """Choose for the cardinality class, by size; imported here, so that only what is chosen loads its back end."""
    n, e = problem.shape
    if n * e >= PRICE_PAIRS and is_nearly_one_to_one(problem):
        from alignsolve.solvers.shortest_paths import Augment  # noqa: PLC0415

        return Augment()
    many_experts = e > FEW_EXPERTS and n < CLIENTS_PER_EXPERT * e
    if n * e >= PRICE_PAIRS and not (many_experts and _needs_long_chains(problem)):
        from alignsolve.solvers.price import Price  # noqa: PLC0415

        return Price()
    from alignsolve.solvers.flow import Flow  # noqa: PLC0415

    return Flow()


def is_nearly_one_to_one(problem: AlignmentProblem) -> bool:
    """Whether the capacities of clients and experts are so small that ``augment`` is the fastest; it must take them."""
    if problem.features & {Feature.GROUPS, Feature.SOFT_BOUNDS}:
        return False
    client = min(int(problem.client_capacity.max()), problem.num_experts)
    return bool(client * problem.experts.most.max() <= ONE_TO_ONE)


def _needs_long_chains(problem: AlignmentProblem) -> bool:
    """Whether groups or fitness of nearly rank one make ``price`` slow where experts are many."""
    return problem.expert_group is not None or _strongest_pattern(problem) >= NEARLY_RANK_ONE


def _strongest_pattern(problem: AlignmentProblem) -> float:
    """How near the fitness is to rank one: the share of the largest singular value, squared, in a sample.

    The means of clients and experts are taken out first: a client's constant changes no choice, and an expert's is
    paid by its price. 0 where nothing is left.
    """
    clients, experts = (np.unique(np.linspace(0, size - 1, SAMPLE).astype(np.int64)) for size in problem.shape)
    block = problem.pick(clients)
    value = block.value[:, experts].astype(np.float64)
    allowed = np.ones(value.shape, dtype=np.bool_) if block.allowed is None else block.allowed[:, experts]
    value[~allowed] = 0.0
    rest = value
    for axis in (0, 1) * PASSES:
        mean = rest.sum(axis=axis, keepdims=True) / np.maximum(allowed.sum(axis=axis, keepdims=True), 1)
        rest = np.where(allowed, rest - mean, 0.0)
    squares = np.linalg.svd(rest, compute_uv=False) ** 2
    total = float(squares.sum())
    return float(squares[0]) / total if total > NOISE * float((value**2).sum()) else 0.0


def general_solvers(problem: AlignmentProblem, gap: float) -> list[Solver]:
    """Choose for the general class: first a solver that finds an alignment, then one that closes the gap."""
    from alignsolve.solvers.generalised_assignment.instance import assignment_like  # noqa: PLC0415
    from alignsolve.solvers.greedy import Greedy  # noqa: PLC0415
    from alignsolve.solvers.ilp.solver import Ilp  # noqa: PLC0415
    from alignsolve.solvers.lagrangian import Lagrangian  # noqa: PLC0415

    pairs = problem.num_clients * problem.num_experts
    if assignment_like(problem) or pairs > ILP_PAIRS:
        return [Lagrangian(gap=gap)]
    return [Greedy() if pairs <= GREEDY_PAIRS else Lagrangian(gap=gap), Ilp(gap=gap)]


def _with_what_was_known(answer: Answer, known: Answer) -> Answer:
    """Fill in, from the answer before, the parts that the time limit kept a solver from finding."""
    if answer.witness is not None or answer.infeasible:
        return answer
    return replace(
        answer,
        x=known.x if answer.x is None else answer.x,
        prices=known.prices if answer.prices is None else answer.prices,
    )
