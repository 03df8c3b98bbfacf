"""Quotas from a small program: loads near to those at hand with which all sets hold, and the room around them.

Trimming and raising sets one after the other fails where sets cross: what one set gains, another one may lose. The
program sees the bounds of all sets at once, but nothing of the clients.
"""

import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.presolve.idle_bounds import largest_loads
from alignsolve.problem import AlignmentProblem

ROOM = 0.01
"""What a unit of room is worth, in units of load that must move."""
SECONDS = 10.0
"""Time after which the program is given up; it has four columns for each expert."""
WITHIN = 1e-6
"""Share by which bounds are tightened where loads are no counts: HiGHS keeps them up to 1e-7."""


def quotas_near(problem: AlignmentProblem, loads: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """Find bounds of experts with which all hard bounds of sets hold; None where there are none.

    Parameters
    ----------
    problem
        With sets of experts.
    loads
        (num_experts,) loads that should change as little as possible.

    Returns
    -------
    most, least
        (num_experts,) in units of load.
    """
    from highspy import HighsModelStatus  # noqa: PLC0415
    from scipy.sparse import bmat, csr_array, eye_array  # noqa: PLC0415

    from alignsolve.solvers.common.highs import MatrixProgram, options, run  # noqa: PLC0415  (loads highspy)

    assert problem.sets is not None
    own, of_sets, e = problem.experts, problem.sets.bounds, problem.num_experts
    counts, supply = problem.client_load is None, largest_loads(problem)
    unit = 1.0 if counts else max(float(supply.max(initial=0.0)) / max(problem.num_clients, 1), np.finfo(float).tiny)
    most, least = np.minimum(own.most, supply) / unit, own.least / unit
    if (least > most).any():
        return None
    # Columns: least and most quota, what is more than the load at hand, and what is less.
    one, members = eye_array(e), csr_array(problem.sets.members.astype(np.float64))
    rows = bmat(
        [[one, None, -one, one], [None, one, -one, one], [None, members, None, None], [members, None, None, None]],
        format="csr",
    )
    tight, free, number = 0.0 if counts else WITHIN, np.full(2 * e, np.inf), len(problem.sets)
    none = np.full(number, np.inf)
    program = MatrixProgram(
        cost=np.concatenate([np.full(e, ROOM), np.full(e, -ROOM), np.ones(2 * e)]),
        lower=np.concatenate([least, least, np.zeros(2 * e)]),
        upper=np.concatenate([most, most, free]),
        whole=np.ones(4 * e, dtype=np.bool_) if counts else None,
        row_lower=np.concatenate([-free[:e], loads / unit, -none, of_sets.least / unit * (1.0 + tight)]),
        row_upper=np.concatenate([loads / unit, free[:e], of_sets.most / unit * (1.0 - tight), none]),
        by_rows=True,
        start=rows.indptr.astype(np.int64),
        index=rows.indices.astype(np.int64),
        value=rows.data,
    )
    reply = run(program, options(seed=0, seconds=SECONDS, relative_gap=0.0, absolute_gap=0.0, show=False))
    if reply.values is None or reply.status != HighsModelStatus.kOptimal:
        return None
    low, high = reply.values[:e] * unit, reply.values[e : 2 * e] * unit
    return (np.rint(high), np.rint(low)) if counts else (high, low)
