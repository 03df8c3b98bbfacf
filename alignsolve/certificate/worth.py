"""What an alignment is worth: its objective and its loads, from the problem's own data."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import ClientBlock
from alignsolve.data.names import called
from alignsolve.data.problem_view import ProblemView
from alignsolve.numerics import FloatArray, IntArray, Number, is_proven, total
from alignsolve.runtime.threads import map_in_order
from alignsolve.subproblem.dispatch import is_large


@dataclass(frozen=True)
class Worth:
    """The value of an alignment.

    Attributes
    ----------
    objective
        Exact for integral problems.
    magnitude
        Sum of |fitness| over the selected pairs: the scale against which "equal" is judged.
    loads
        (num_experts,) load per expert.
    set_loads
        (num_sets,) load per set of experts; None where there are no sets.
    """

    objective: Number
    magnitude: float
    loads: FloatArray
    set_loads: FloatArray | None = None


def worth(problem: ProblemView, alignment: Alignment, *, threads: int | None = None) -> Worth:
    """Objective and loads of an alignment whose pairs are all eligible."""
    load, sets = loads_of(problem, alignment), problem.sets
    set_load = None if sets is None else sets.loads(load)
    if problem.integral:
        values, sizes = _selected_totals(problem, alignment)
        penalty = problem.experts.whole_penalty(load)
        if sets is not None and set_load is not None:
            penalty += sets.bounds.whole_penalty(set_load)
        return Worth(sum(map(int, values)) - penalty, math.fsum(sizes), load, set_load)
    compiled = sums_are_compiled(problem)
    values, sizes = _compiled_totals(problem, alignment, threads) if compiled else _selected_totals(problem, alignment)
    lost = [-total(problem.experts.penalty(load))]
    if sets is not None and set_load is not None:
        lost.append(-total(sets.bounds.penalty(set_load)))
    return Worth(math.fsum([*values, *lost]), math.fsum(sizes), load, set_load)


def is_optimum(problem: ProblemView, bound: Number, reached: Worth) -> bool:
    """Whether an upper bound proves that nothing is worth more than what was reached; exactly, where that is whole."""
    return is_proven(bound, reached.objective, reached.magnitude, whole=problem.integral)


def sums_are_compiled(problem: ProblemView) -> bool:
    """Whether the selected values are summed by compiled code: many floats."""
    return is_large(problem) and not problem.integral and problem.stored is None


def _selected_totals(problem: ProblemView, alignment: Alignment) -> tuple[list[Number], list[float]]:
    """Per block: the sum of the selected values, and of the sizes of their fitness."""
    values, sizes = [], []
    for block, rows, experts in selected(problem, alignment):
        columns = block.columns(rows, experts)
        if columns.min(initial=0) < 0:
            unstored = int(columns.argmin())
            client = called(problem.client_names, "client", block.start + rows[unstored])
            expert = called(problem.expert_names, "expert", experts[unstored])
            raise ValueError(f"x assigns {client} {expert}, a pair that the problem does not store: it is not eligible")
        value = block.value[rows, columns]
        fitness = value if block.value is block.fitness else block.fitness[rows, columns]
        values.append(total(value))
        sizes.append(float(np.abs(fitness.astype(np.float64)).sum()))
    return values, sizes


def _compiled_totals(
    problem: ProblemView, alignment: Alignment, threads: int | None
) -> tuple[list[Number], list[float]]:
    """Sums of the selected values and of the sizes of their fitness, by compiled code on several threads."""
    from alignsolve.certificate.sums_compiled import selected_sums  # noqa: PLC0415  (loads numba)

    def sums(block: ClientBlock) -> tuple[float, float, float]:
        return selected_sums(block, alignment.indptr[block.start : block.stop + 1], alignment.experts)

    high, low, sizes = zip(*map_in_order(sums, problem.blocks(), threads), strict=True)
    return [*high, *low], list(sizes)


def loads_of(problem: ProblemView, alignment: Alignment) -> FloatArray:
    """Load per expert, (num_experts,): weighted loads are summed exactly and rounded once."""
    num_experts = problem.num_experts
    if problem.client_load is None:
        return np.bincount(alignment.experts, minlength=num_experts).astype(np.float64)
    weights = problem.client_load[alignment.clients(), alignment.experts]
    order = np.argsort(alignment.experts, kind="stable")
    ends = np.searchsorted(alignment.experts[order], np.arange(num_experts + 1))
    return np.array([total(weights[order[ends[j] : ends[j + 1]]]) for j in range(num_experts)], dtype=np.float64)


def selected(problem: ProblemView, alignment: Alignment) -> Iterator[tuple[ClientBlock, IntArray, IntArray]]:
    """Walk the selected pairs block by block: the block, the rows within it, the experts."""
    for block in problem.blocks():
        indptr = alignment.indptr[block.start : block.stop + 1]
        experts = alignment.experts[indptr[0] : indptr[-1]]
        rows = np.repeat(np.arange(block.num_clients), np.diff(indptr))
        yield block, rows, experts
