"""Sets of experts: bounds that can never bind are dropped, and a set of one expert is that expert's bound.

A set's capacity never binds where its experts, or all eligible clients, cannot put more there: all experts together may
take less, or there are too few pairs. A set without a capacity and a demand is left out. Then sets that crossed may be
nested, and a problem of the general class may be one of the cardinality class.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve.certificate.witness import Witness
from alignsolve.data.expert_sets import SET_BOUNDS, ExpertSets, split_prices
from alignsolve.data.names import picked
from alignsolve.numerics import EPSILON, BoolArray, FloatArray, IntArray, slack
from alignsolve.presolve.idle_bounds import largest_loads
from alignsolve.presolve.reduction import Reduction, changed
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solver import Answer, WarmStart


@dataclass(frozen=True, eq=False)
class FewerSets:
    """The reduction to fewer sets.

    Attributes
    ----------
    problem, told, proves_more, only_by_rounding
        As in :class:`~alignsolve.presolve.reduction.Reduction`.
    before
        The sets before.
    kept
        (num_sets before,) bools: the sets that are left.
    above, below
        (num_experts,) the set whose capacity, and whose demand, is now that of the expert; −1: the expert's own is.
    """

    problem: AlignmentProblem
    before: ExpertSets
    kept: BoolArray
    above: IntArray
    below: IntArray
    told: str
    proves_more: bool = False
    only_by_rounding: bool = False

    def lift_answer(self, answer: Answer) -> Answer:
        """Return prices and witness in the sets before: an expert's own price may be that of its set of one.

        Trees are checked for problems without sets only: what they prove is passed on as a claim.
        """
        prices, witness = answer.prices, answer.witness
        number = self.problem.num_experts
        if prices is not None and np.shape(prices) in {(number,), (number + self.problem.num_sets,)}:
            prices = self._lift_prices(np.asarray(prices, dtype=np.float64))
        if witness is not None and np.shape(witness.experts) == (number,) and witness.side != "row":
            witness = self._lift_witness(witness)
        return replace(answer, prices=prices, witness=witness, tree=None)

    def _lift_prices(self, prices: FloatArray) -> FloatArray:
        """Return what clients pay, which is the same, and the prices of the sets before."""
        paid, of_sets = split_prices(self.problem, prices)
        own = paid if self.problem.sets is None else paid - self.problem.sets.around(of_sets)
        found = np.zeros(len(self.before))
        found[self.kept] = of_sets
        for j in np.flatnonzero((self.above >= 0) | (self.below >= 0)):
            owner = int(self.above[j] if own[j] > 0 else self.below[j])
            if owner >= 0:
                found[owner] += own[j]
        return np.append(paid, found)

    def _lift_witness(self, witness: Witness) -> Witness:
        """Return the witness with the sets before."""
        counts = np.zeros(len(self.before), dtype=np.int64)
        own = witness.experts.astype(np.int64)
        if witness.sets is not None and self.problem.sets is not None:
            counts[self.kept] = witness.sets
            own = own - witness.sets @ self.problem.sets.members.astype(np.int64)
        for j in np.flatnonzero(own):
            lower = (witness.side == "demand") == (own[j] > 0)
            owner = int(self.below[j] if lower else self.above[j])
            if owner >= 0:
                counts[owner] += int(np.sign(own[j]))
        return replace(witness, sets=counts if counts.any() else None)

    def lower_warm_start(self, warm: WarmStart) -> WarmStart:
        """Return what clients pay, and the prices of the sets that are left."""
        if warm.prices is None:
            return warm
        paid, of_sets = warm.prices[: self.problem.num_experts], warm.prices[self.problem.num_experts :]
        return warm._replace(prices=np.append(paid, of_sets[self.kept]) if len(of_sets) else paid)


def drop_sets(problem: AlignmentProblem) -> Reduction | None:
    """Drop bounds of sets that never bind, and sets of one; None if there are none."""
    if problem.sets is None:
        return None
    sets, bounds = problem.sets, problem.sets.bounds
    load = np.minimum(largest_loads(problem), problem.experts.most)
    inside: FloatArray = sets.members.astype(np.float64) @ load
    most = inside * (1.0 + 2.0 * problem.num_experts * EPSILON)
    if problem.client_load is None:
        most = np.minimum(most, _most_by_clients(problem, sets))
    hard = bounds.hard_capacity & ~(most - bounds.most > slack(bounds.most, most))
    soft = np.isfinite(bounds.overload) & (most <= bounds.capacity)
    free = np.isinf(bounds.capacity) | hard | soft | (bounds.overload == 0)
    loose = (bounds.demand == 0) | (bounds.shortfall == 0)
    idle = free & loose
    single = ~idle & (sets.members.sum(axis=1) == 1) & np.isinf(bounds.overload) & np.isinf(bounds.shortfall)
    expert = sets.members.argmax(axis=1)
    own = problem.experts
    single &= (np.isinf(own.overload) | np.isinf(own.capacity))[expert]
    single &= (np.isinf(own.shortfall) | (own.demand == 0))[expert]
    if not (idle | single).any():
        return None
    fields, above, below = _merged(problem, sets, np.flatnonzero(single))
    kept = ~(idle | single)
    fields |= dict.fromkeys(("expert_sets", "set_names", *SET_BOUNDS))
    if kept.any():
        fields |= {name: getattr(problem, name)[kept] for name in ("expert_sets", *SET_BOUNDS)}
        fields["set_names"] = picked(problem.set_names, np.flatnonzero(kept))
    told = f"{int((~kept).sum())} of {len(kept)} sets of experts never bind or have one expert"
    general = problem.class_ is ProblemClass.GENERAL
    return FewerSets(changed(problem, **fields), sets, kept, above, below, told, proves_more=general)


def _most_by_clients(problem: AlignmentProblem, sets: ExpertSets) -> FloatArray:
    """Pairs of each set that the clients' capacities allow at most, (num_sets,)."""
    size = sets.members.sum(axis=1)
    return np.array([float(np.minimum(problem.client_capacity, most).sum()) for most in size])


def _merged(problem: AlignmentProblem, sets: ExpertSets, single: IntArray) -> tuple[dict[str, Any], IntArray, IntArray]:
    """Return the experts' bounds with those of sets of one, and whose bounds they are."""
    capacity, demand = problem.expert_capacity.copy(), problem.expert_demand.copy()
    overload, shortfall = problem.overload_penalty.copy(), problem.shortfall_penalty.copy()
    above, below = (np.full(problem.num_experts, -1, dtype=np.int64) for _ in range(2))
    for s in single.tolist():
        j = int(sets.members[s].argmax())
        if sets.bounds.capacity[s] < capacity[j]:
            capacity[j], overload[j], above[j] = sets.bounds.capacity[s], np.inf, s
        if sets.bounds.demand[s] > demand[j]:
            demand[j], shortfall[j], below[j] = sets.bounds.demand[s], np.inf, s
    fields: dict[str, Any] = {
        "expert_capacity": capacity,
        "expert_demand": demand,
        "overload_penalty": overload,
        "shortfall_penalty": shortfall,
    }
    return fields, above, below
