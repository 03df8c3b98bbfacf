"""Reads some rows of a problem into a block: slices of full matrices, or the slots of stored pairs."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import ClientBlock, RowBlocks
from alignsolve.data.names import naming
from alignsolve.data.stored import Slots, StoredPairs
from alignsolve.data.validation import check_block, unspread
from alignsolve.numerics import BoolArray, FloatArray, IntArray, RealArray


def client_block(problem: Any, rows: slice | IntArray, start: int, stop: int) -> ClientBlock:
    """Read rows of an :class:`~alignsolve.AlignmentProblem`, numbered start..stop-1; views where possible."""
    slots = None if problem.stored is None else problem.stored.slots(rows)
    fitness = _read(problem.fitness, rows, slots)
    if isinstance(problem.fitness, RowBlocks):
        with naming(problem.client_names, problem.expert_names):
            check_block(fitness, _read(problem.eligible, rows, None), rows)
    return ClientBlock(
        start=start,
        stop=stop,
        fitness=fitness,
        value=_values(problem, fitness, rows, slots),
        allowed=_read(problem.eligible, rows, None) if slots is None else slots.filled,
        required=_read(problem.required, rows, slots),
        load=_read(problem.client_load, rows, None),
        capacity=problem.client_capacity[rows],
        demand=problem.client_demand[rows],
        group=problem.expert_group,
        group_capacity=_read(problem.group_capacity, rows, None),
        group_demand=_read(problem.group_demand, rows, None),
        budget=_read(problem.client_budget, rows, None),
        cost=_read(problem.expert_cost, rows, None),
        experts=None if slots is None else slots.experts,
    )


def _read(values: Any, rows: slice | IntArray, slots: Slots | None) -> Any:
    """Rows of a field, or None where the problem has it not; those of a sparse problem by their slots."""
    if values is None:
        return None
    if slots is not None:
        return slots.read(values)
    picked = isinstance(values, RowBlocks) and not isinstance(rows, slice)
    return values.pick(rows) if picked else values[rows]


def _values(problem: Any, fitness: RealArray, rows: slice | IntArray, slots: Slots | None) -> RealArray:
    """Fitness minus switching costs; the fitness itself, uncopied, where nothing is switched."""
    if not problem.has_switching_costs:
        return fitness
    switching: FloatArray = _read(problem.switching_cost, rows, slots)
    if problem.previous is not None:
        switching = np.where(_read(problem.previous, rows, slots), 0.0, switching)
    if fitness.dtype.kind in "iu" and whole_or_infinite(problem.switching_cost):
        whole: IntArray = fitness.astype(np.int64) - switching.astype(np.int64)
        return whole
    return np.subtract(fitness, switching, dtype=np.float64)


def distinct(values: Any) -> npt.NDArray[Any]:
    """The distinct part of a field: the values of its stored pairs, or what was spread over a matrix."""
    return values.values if isinstance(values, StoredPairs) else unspread(values)


def whole_or_infinite(values: Any) -> bool:
    """Whether all numbers of a field are whole and exact, or infinite."""
    parts = distinct(values)
    finite: BoolArray = np.isfinite(parts)
    return bool((~finite | (parts == np.floor(parts)) & (np.abs(parts) <= 2.0**53)).all())
