"""The second opinions on a claim of one back end, and what our own methods know of it.

HiGHS and CP-SAT confirm each other. HiGHS with and without its presolve are two opinions as well, and so are CP-SAT
with and without its own: their known faults lie in one of the two only. Where the numbers of a problem are of very
different sizes, HiGHS's tolerances hide the small ones. Then CP-SAT, which computes in whole numbers, is asked first.
"""

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.numerics import RealArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import Answer, Wanted, WarmStart
from alignsolve.solvers.common.second_opinion import Opinion
from alignsolve.solvers.greedy.incumbent import GREEDY

NODES = 1 << 15
"""Nodes of the search for a tree: some seconds."""
LOST = 2.0**500
"""Ratio beyond which no back end is believed: dividing by a unit would turn the small numbers into 0."""
WHOLE = "cpsat"
"""How the names of opinions begin that come from computing with whole numbers."""
TAME = 2.0**20
"""Largest ratio of two numbers of one kind in a problem that a back end's tolerances of 1e-6 to 1e-7 suit."""


def opinions(problem: AlignmentProblem, *, besides: str, seed: int) -> list[Opinion]:
    """List the opinions on a claim, the likeliest to be quick and right first.

    Parameters
    ----------
    problem
        What is solved.
    besides
        Who made the claim: "highs", "cbc" or "cpsat".
    seed
        For the back ends' random numbers.
    """
    return sorted(_all(problem, besides, seed), key=lambda opinion: _is_whole(opinion) != is_wild(problem))


def own_answers(problem: AlignmentProblem, claim: Answer, deadline: float, proof: Wanted) -> Iterator[Answer]:
    """Yield what our own methods know of a claim: alignments, a witness, a tree that proves it.

    Parameters
    ----------
    problem, claim
        What is solved, and what a back end says of it.
    deadline
        On the clock of :func:`time.monotonic`. The search for a tree has half of the time; all of it if back ends do
        not count.
    proof
        "any": back ends count where no tree is found. "own": they do not, so that the search goes on to its end.
    """
    yield Answer(Alignment.from_pairs([], [], problem.num_clients))
    if problem.features <= GREEDY.capabilities.takes:
        for answer in GREEDY.answers(problem, deadline, WarmStart()):
            if isinstance(answer, Answer):
                yield answer
    from alignsolve.solvers.branch import Branch  # noqa: PLC0415  (loads numba)

    if not problem.features <= Branch.capabilities.takes:
        return
    now, known = time.monotonic(), WarmStart(claim.x, claim.prices)
    branch, end = (Branch(nodes=NODES), now + 0.5 * (deadline - now)) if proof == "any" else (Branch(), deadline)
    yield branch(problem, deadline=end, warm_start=known, seed=0, threads=1, progress=None)


def trusted(problem: AlignmentProblem) -> Callable[[str], bool]:
    """Return a test whether the arithmetic of a back end suits a problem: CP-SAT's does, others' if it is tame."""
    spread = cache(lambda: _largest_spread(problem))
    return lambda name: spread() <= (LOST if name.startswith(WHOLE) else TAME)


def is_wild(problem: AlignmentProblem) -> bool:
    """Whether numbers of one kind differ so much in size that a back end's tolerances may hide some of them."""
    return _largest_spread(problem) > TAME


def _largest_spread(problem: AlignmentProblem) -> float:
    """The largest ratio of two numbers of one kind: of values and penalties, of loads, or of costs."""
    allowed = np.ones(problem.shape, dtype=np.bool_) if problem.eligible is None else problem.eligible
    sided = [problem.experts] if problem.sets is None else [problem.experts, problem.sets.bounds]
    penalties = np.concatenate([part for bounds in sided for part in (bounds.overload, bounds.shortfall)])
    kinds = [np.concatenate([problem.values()[allowed].astype(np.float64), penalties[np.isfinite(penalties)]])]
    if problem.client_load is not None:
        kinds.append(problem.client_load[allowed])
    if problem.expert_cost is not None:
        kinds += [problem.expert_cost[allowed][:, r] for r in range(problem.expert_cost.shape[2])]
    return max(map(_spread, kinds))


def _spread(values: RealArray) -> float:
    """The largest size of some numbers as a multiple of the smallest one that is not 0."""
    sizes = np.abs(values[values != 0])
    with np.errstate(over="ignore"):
        return float(sizes.max() / sizes.min()) if len(sizes) else 1.0


def _is_whole(opinion: Opinion) -> bool:
    return opinion.name.startswith(WHOLE)


def _all(problem: AlignmentProblem, besides: str, seed: int) -> list[Opinion]:
    from alignsolve.solvers.cpsat import search as cpsat  # noqa: PLC0415  (back ends are loaded when they are asked)
    from alignsolve.solvers.cpsat.settings import Settings as WholeSettings  # noqa: PLC0415
    from alignsolve.solvers.ilp import search as ilp  # noqa: PLC0415
    from alignsolve.solvers.ilp.backends import Settings  # noqa: PLC0415

    def highs(name: str, *, other: bool) -> Opinion:
        settings = Settings("highs", 0.0, seed, msg=False, folder=Path(), other=other)
        return Opinion(name, partial(ilp.Search.last, problem, settings))

    def whole(name: str, *, presolve: bool) -> Opinion:
        settings = WholeSettings(seed=seed, presolve=presolve)
        return Opinion(name, partial(cpsat.Search.last, problem, settings))

    mine = {
        "highs": [highs("highs, presolve turned", other=True), whole("cpsat", presolve=True)],
        "cbc": [highs("highs", other=False), whole("cpsat", presolve=True)],
        "cpsat": [highs("highs", other=False)],
    }[besides]
    return [*mine, whole("cpsat, no presolve", presolve=False)]
