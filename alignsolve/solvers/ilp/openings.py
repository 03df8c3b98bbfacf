"""The rows of optional demands: an expert is closed, or it is open and has at least so much load.

Each such expert has one more column, which is 1 where it is open. Its rows say that its load is at least the optional
demand times this column, and at most the capacity times this column. Every pair has a row too: where it is taken, its
expert is open. Fewer rows would do, but the linear relaxation would be much weaker.
"""

import numpy as np

from alignsolve.numerics import FEASIBILITY, FloatArray, IntArray
from alignsolve.solvers.common.integer_program import RowKind
from alignsolve.solvers.common.sparse_rows import Sense, SparseRows


def opening_rows(expert: RowKind, units: FloatArray, opening: FloatArray, room: float) -> list[SparseRows]:
    """Return the rows of all optional demands; the columns of openings follow those of the pairs.

    Parameters
    ----------
    expert
        The loads of experts.
    units
        (num_experts,) what the rows of experts are divided by.
    opening
        (num_experts,) the least load of an open expert; 0 where it has no optional demand.
    room
        Room of a capacity, relative to it.
    """
    experts = np.flatnonzero(opening > 0)
    if not len(experts):
        return []
    own = np.full(len(opening), -1, dtype=np.int64)
    own[experts] = len(expert.row) + np.arange(len(experts))
    pairs = np.flatnonzero((own[expert.row] >= 0) & (expert.coefficient > 0))
    full = experts[np.isfinite(expert.most[experts])]
    return [
        _loads(expert, units, -opening * (1.0 - FEASIBILITY), experts, own, Sense.AT_LEAST),
        _loads(expert, units, -expert.most * (1.0 + room), full, own, Sense.AT_MOST),
        _links(pairs, own[expert.row[pairs]]),
    ]


def _loads(
    expert: RowKind, units: FloatArray, bound: FloatArray, experts: IntArray, own: IntArray, sense: Sense
) -> SparseRows:
    """Load + bound · open, at least or at most 0: one row for each of some experts."""
    pairs = np.flatnonzero(np.isin(expert.row, experts) & (expert.coefficient > 0))
    row = np.concatenate([expert.row[pairs], experts])
    value = np.concatenate([expert.coefficient[pairs], bound[experts]]) / units[row]
    column = np.concatenate([pairs, own[experts]])
    order = np.argsort(row, kind="stable")
    return SparseRows(
        start=np.append(np.searchsorted(row[order], experts), len(row)),
        columns=column[order],
        coefficients=value[order],
        senses=np.full(len(experts), int(sense)),
        bounds=np.zeros(len(experts)),
    )


def _links(pairs: IntArray, own: IntArray) -> SparseRows:
    """Pair − open ≤ 0, one row for each pair."""
    return SparseRows(
        start=2 * np.arange(len(pairs) + 1),
        columns=np.stack([pairs, own], axis=1).ravel(),
        coefficients=np.tile([1.0, -1.0], len(pairs)),
        senses=np.full(len(pairs), int(Sense.AT_MOST)),
        bounds=np.zeros(len(pairs)),
    )
