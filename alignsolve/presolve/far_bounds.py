"""Bounds of experts that lie far beyond any load: they are moved near, as back ends count with them.

A soft demand of 10⁹ that two clients cannot meet is missed at every load. Its penalty is a straight line there, and so
it is with a demand just above the largest load. So prices prove the same of both problems. A capacity above the largest
load never binds. The objective differs by a constant, which the judge computes from the problem as given.
"""

import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.presolve.idle_bounds import largest_loads
from alignsolve.presolve.reduction import Reduction, Rewritten, changed
from alignsolve.problem import AlignmentProblem

FAR = 4.0
"""Bounds above this many times the largest possible load are moved to twice that load."""


def move_far_bounds(problem: AlignmentProblem) -> Reduction | None:
    """Move bounds that no load comes near; None if there are none."""
    bounds = problem.experts
    soft_demand = np.isfinite(bounds.shortfall) & (bounds.demand > 0)
    finite = np.isfinite(bounds.capacity)
    if not (soft_demand | finite).any():
        return None
    # A look without the loads: bounds that are far for any number of clients.
    if problem.client_load is None and not _are_far(bounds.demand, bounds.capacity, float(problem.num_clients)):
        return None
    load = largest_loads(problem)
    near = 2.0 * load if problem.client_load is not None and not problem.integral else np.ceil(2.0 * load)
    near = np.where(load > 0, near, 1.0)
    far_demand = soft_demand & (bounds.demand > FAR * near)
    far_capacity = finite & (bounds.capacity > FAR * near)
    if not (far_demand | far_capacity).any():
        return None
    demand = np.where(far_demand, near, bounds.demand)
    capacity = np.where(far_capacity, np.inf, bounds.capacity)
    return Rewritten(
        changed(problem, expert_demand=demand, expert_capacity=capacity),
        f"{int((far_demand | far_capacity).sum())} bounds of experts lie beyond any load",
        # Every unit of load saves the penalty; the last digit of such a price, times 10⁹ units, may decide a proof.
        known=np.where(far_demand, -bounds.shortfall, np.nan),
    )


def _are_far(demand: FloatArray, capacity: FloatArray, largest: float) -> bool:
    finite = capacity[np.isfinite(capacity)]
    return bool(max(demand.max(initial=0.0), finite.max(initial=0.0)) > FAR * largest)
