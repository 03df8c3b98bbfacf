"""Bounds of experts and of sets that lie far beyond any load: they are moved near, as back ends count with them.

A soft demand of 10⁹ that two clients cannot meet is missed at every load. Its penalty is a straight line there, and so
it is with a demand just above the largest load. So prices prove the same of both problems. A capacity above the largest
load never binds. The objective differs by a constant, which the judge computes from the problem as given.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.numerics import EPSILON, BoolArray, FloatArray
from alignsolve.presolve.idle_bounds import largest_loads
from alignsolve.presolve.reduction import Reduction, Rewritten, changed
from alignsolve.problem import AlignmentProblem

FAR = 4.0
"""Bounds above this many times the largest possible load are moved to twice that load."""


def move_far_bounds(problem: AlignmentProblem) -> Reduction | None:
    """Move bounds that no load comes near; None if there are none."""
    sets = problem.sets
    # A look without the loads: bounds that are far for any number of clients.
    clients = float(problem.num_clients)
    several = 0.0 if sets is None else clients * float(sets.members.sum(axis=1).max(initial=0))
    if not _may_be_far(problem.experts, clients) and (sets is None or not _may_be_far(sets.bounds, several)):
        return None
    load = largest_loads(problem)
    own = _Moved.of(problem, problem.experts, load)
    if sets is None:
        return None if own is None else own.reduction(problem, None)
    inside: FloatArray = (sets.members @ load) * (1.0 + 2.0 * problem.num_experts * EPSILON)
    shared = _Moved.of(problem, sets.bounds, inside)
    return (own or _Moved.nothing(problem.experts)).reduction(problem, shared) if own or shared else None


def _may_be_far(bounds: ExpertBounds, largest: float) -> bool:
    """Whether bounds that may be moved are far for unit loads; whether there are any, for weighted ones."""
    soft_demand = np.isfinite(bounds.shortfall) & (bounds.demand > 0)
    finite = np.isfinite(bounds.capacity)
    if not bounds.unit_loads:
        return bool((soft_demand | finite).any())
    amounts = [bounds.demand[soft_demand].max(initial=0.0), bounds.capacity[finite].max(initial=0.0)]
    return bool(max(amounts) > FAR * largest)


@dataclass(frozen=True, eq=False)
class _Moved:
    """Bounds of experts, or of sets, once those that were far are near.

    Attributes
    ----------
    capacity, demand
        The bounds, an unbounded capacity is inf.
    known
        Prices before that are known: NaN where they are not.
    number
        How many were moved.
    """

    capacity: FloatArray
    demand: FloatArray
    known: FloatArray
    number: int

    @classmethod
    def of(cls, problem: AlignmentProblem, bounds: ExpertBounds, load: FloatArray) -> "_Moved | None":
        """Move what lies far beyond these largest loads; None if nothing does."""
        near = 2.0 * load if problem.client_load is not None and not problem.integral else np.ceil(2.0 * load)
        near = np.where(load > 0, near, 1.0)
        soft = np.isfinite(bounds.shortfall)
        far_demand: BoolArray = soft & (bounds.demand > FAR * near)
        far_capacity: BoolArray = np.isfinite(bounds.capacity) & (bounds.capacity > FAR * near)
        if not (far_demand | far_capacity).any():
            return None
        return cls(
            np.where(far_capacity, np.inf, bounds.capacity),
            np.where(far_demand, near, bounds.demand),
            # Every unit of load saves the penalty; the last digit of such a price, times 10⁹ units, may decide a proof.
            np.where(far_demand, -bounds.shortfall, np.nan),
            int((far_demand | far_capacity).sum()),
        )

    @classmethod
    def nothing(cls, bounds: ExpertBounds) -> "_Moved":
        """Leave all bounds as they are."""
        return cls(bounds.capacity, bounds.demand, np.full(len(bounds.demand), np.nan), 0)

    def reduction(self, problem: AlignmentProblem, shared: "_Moved | None") -> Reduction:
        """The problem with these bounds of experts, and with those of sets."""
        fields = {"expert_demand": self.demand, "expert_capacity": self.capacity}
        told = [f"{self.number} bounds of experts"] if self.number else []
        if shared is not None:
            fields |= {"set_demand": shared.demand, "set_capacity": shared.capacity}
            told.append(f"{shared.number} bounds of sets")
        return Rewritten(
            changed(problem, **fields),
            f"{' and '.join(told)} lie beyond any load",
            known=self.known,
            known_sets=None if shared is None else shared.known,
        )
