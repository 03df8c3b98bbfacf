"""Sets of experts: greed within quotas, each expert's share of what the sets around it may have.

1. Greed builds an alignment as if there were no sets.
2. *Trim* sets above their capacity: the pairs go that lose least, by what the client could have outside of the set.
   What is left is the quota of each of their experts, and greed begins again.
3. *Raise* sets below their demand: the pairs that would gain most there count, and each expert's demand grows by its
   own.
   Where that fails, a small program finds quotas near the loads at hand (:mod:`.near_loads`).
4. *Trade* where the repair gets stuck: an expert that it reached gets a part of the quota of one that it did not, in
   the same full sets.
5. *Share* what is left of the sets' capacities, trim and raise for soft bounds, and keep what is worth more.

Steps 2 to 4 are repeated until all sets hold. That is resource-directive decomposition (A. M. Geoffrion, Primal
resource-directive approaches for optimizing nonlinear decomposable systems, Operations Research 18, 1970), by greed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from alignsolve.certificate.witness import Witness
from alignsolve.certificate.worth import loads_of, worth
from alignsolve.data.alignment import Alignment
from alignsolve.data.expert_sets import SET_BOUNDS, ExpertSets
from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray
from alignsolve.presolve.reduction import changed
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.solvers.greedy.near_loads import quotas_near

if TYPE_CHECKING:
    from alignsolve.solvers.greedy.state import State

ROUNDS, ROUNDS_EACH = 16, 2
"""Alignments that are built before sets are given up; so many more for each set."""
POLISH = 3
"""Alignments that are built to use what is left, and to pay less for soft bounds."""
Built = tuple[Alignment | None, Witness | None]


def without_sets(problem: AlignmentProblem) -> AlignmentProblem:
    """The problem without its sets."""
    return changed(problem, expert_sets=None, set_names=None, **dict.fromkeys(SET_BOUNDS))


@dataclass(frozen=True, eq=False)
class Stuck:
    """Where the repair found no path: the experts reached, which side of their bounds binds, and by how much."""

    reached: BoolArray
    above: bool
    amount: float


@dataclass(frozen=True, eq=False)
class Quotas:
    """Bounds of experts that stand for those of sets, (num_experts,) each; ``stuck`` collects where they clash."""

    most: FloatArray
    least: FloatArray
    stuck: list[Stuck] = field(default_factory=list)

    def blame(self, state: "State", reached: BoolArray, above: bool) -> None:
        """Note where the repair was stuck."""
        beyond = state.loads - state.most if above else state.least - state.loads
        self.stuck.append(Stuck(reached, above, float(beyond[reached].max(initial=0.0))))

    def impose(self, state: "State") -> None:
        """Tighten the hard bounds of a state."""
        from alignsolve.solvers.greedy.state import LEAST, MARGIN, MOST  # noqa: PLC0415  (loads numba)

        state.experts[:, MOST] = np.minimum(state.experts[:, MOST], self.most * (1.0 + MARGIN))
        state.experts[:, LEAST] = np.maximum(state.experts[:, LEAST], self.least * (1.0 - MARGIN))


def build_with_quotas(problem: AlignmentProblem, build: Callable[[Quotas], Built], deadline: float) -> Built:
    """Build an alignment in which bounds of sets hold; None where greed finds none.

    Parameters
    ----------
    problem
        With sets of experts, whose fitness is a full matrix.
    build
        Builds an alignment within quotas, sets or not.
    deadline
        On the clock of :func:`time.monotonic`; looked at before each alignment that is built.
    """
    assert problem.sets is not None
    search, e = _Search(problem, problem.sets, build), problem.num_experts
    quotas = Quotas(np.full(e, np.inf), np.zeros(e))
    first, witness = build(quotas)
    if first is None:  # not even without sets
        return None, witness
    found, quotas = search.settled(first, quotas, ROUNDS + ROUNDS_EACH * len(problem.sets), deadline)
    if found is None:
        return None, None
    for _ in range(POLISH):
        better = search.polished(found, quotas, deadline)
        if better is None:
            break
        found, quotas = better
    return found, None


@dataclass(frozen=True, eq=False)
class _Search:
    """The search for quotas."""

    problem: AlignmentProblem
    sets: ExpertSets
    build: Callable[[Quotas], Built]

    def settled(
        self, alignment: Alignment | None, quotas: Quotas, rounds: int, deadline: float
    ) -> tuple[Alignment | None, Quotas]:
        """Change quotas until all sets hold; None where that fails or the rounds are over."""
        last, near = alignment, False
        for turn in range(rounds):
            other = None
            if alignment is None:
                other = self._traded(quotas)
            else:
                last, carried = alignment, self.sets.loads(loads_of(self.problem, alignment))
                over = self.sets.bounds.overloads(carried) > 0
                under = self.sets.bounds.shortfalls(carried) > 0
                if not (over.any() or under.any()):
                    return alignment, quotas
                if near or 2 * turn < rounds:
                    other = self._changed(alignment, quotas, over, under)
            if other is None and not near and last is not None:
                other, near = self._near(last), True
            if other is None or late(deadline):
                return None, quotas
            quotas = other
            alignment, _ = self.build(quotas)
        return None, quotas

    def polished(self, found: Alignment, quotas: Quotas, deadline: float) -> tuple[Alignment, Quotas] | None:
        """Pay less for soft bounds, or use what sets have left; None where neither is worth more."""
        loads = loads_of(self.problem, found)
        for other in (self._softer(found, quotas, loads), self._shared(found, quotas, loads)):
            if other is None or late(deadline):
                continue
            better, reached = self.settled(self.build(other)[0], other, POLISH, deadline)
            if better is not None and worth(self.problem, better).objective > worth(self.problem, found).objective:
                return better, reached
        return None

    def _softer(self, alignment: Alignment, quotas: Quotas, loads: FloatArray) -> Quotas | None:
        """Trim, or raise, sets whose soft bounds cost more than their pairs are worth; None where none has any."""
        carried, bounds = self.sets.loads(loads), self.sets.bounds
        dear = (carried > bounds.capacity) & np.isfinite(bounds.overload)
        cheap = (carried < bounds.demand) & np.isfinite(bounds.shortfall)
        return self._changed(alignment, quotas, dear, cheap) if dear.any() or cheap.any() else None

    def _shared(self, alignment: Alignment, quotas: Quotas, loads: FloatArray) -> Quotas | None:
        """Share what trimmed sets have left, by the pairs that would gain; None where nothing was trimmed."""
        trimmed = np.isfinite(quotas.most)
        if not trimmed.any():
            return None
        bounds = self.sets.bounds
        left = np.maximum(np.minimum(bounds.capacity, bounds.most) - self.sets.loads(loads), 0.0)
        wished = 1.0 + (self._gains(alignment) > 0).sum(axis=0)
        part = np.full(len(loads), np.inf)
        for inside, room in zip(self.sets.members, left, strict=True):
            part[inside] = np.minimum(part[inside], self._whole(room * wished[inside] / wished[inside].sum()))
        return Quotas(np.where(trimmed, np.maximum(loads + part, quotas.least), np.inf), quotas.least)

    def _whole(self, amounts: FloatArray) -> FloatArray:
        """Round down where loads count clients."""
        return np.floor(amounts) if self.problem.client_load is None else amounts

    def _changed(self, alignment: Alignment, quotas: Quotas, over: BoolArray, under: BoolArray) -> Quotas | None:
        """Raise some sets, and trim others, those too that are then above their capacity; None if that fails."""
        carried, least = loads_of(self.problem, alignment), quotas.least.copy()
        gains = self._gains(alignment) if under.any() else np.zeros((0, 0))
        for s in self._smallest_first(under):
            raised = self._raised(gains, carried, s)
            if raised is None:
                return None
            inside, wanted = self.sets.members[s], self._wanted(s)
            share = 1.0  # a demand of counts is met exactly, one of loads may be exceeded
            if self.problem.client_load is not None and float(raised[inside].sum()) > wanted:
                share = wanted / float(raised[inside].sum())
            least[inside] = np.maximum(least, share * raised)[inside]
            carried = raised
        over = over | (self.sets.bounds.overloads(self.sets.loads(carried)) > 0)
        kept = self._trimmed(alignment, carried, np.maximum(self.problem.experts.least, least), over)
        if kept is None:
            return None
        most, touched = quotas.most.copy(), self.sets.members[over].any(axis=0)
        most[touched] = kept[touched]
        return Quotas(np.maximum(most, least), least)

    def _near(self, alignment: Alignment) -> Quotas | None:
        """Quotas near the loads at hand with which all sets hold; None where there are none."""
        found = quotas_near(self.problem, loads_of(self.problem, alignment))
        return None if found is None else Quotas(*found)

    def _smallest_first(self, marked: BoolArray) -> list[int]:
        """The marked sets, those of few experts first."""
        some = np.flatnonzero(marked)
        found: list[int] = some[np.argsort(self.sets.members[some].sum(axis=1), kind="stable")].tolist()
        return found

    def _wanted(self, s: int) -> float:
        """The load that set s demands, hard or soft."""
        return max(float(self.sets.bounds.least[s]), float(self.sets.bounds.demand[s]))

    def _values(self) -> FloatArray:
        """(num_clients, num_experts) fitness less switching costs, −inf where a pair may not be."""
        block = self.problem.block(0, self.problem.num_clients)
        value = block.value.astype(np.float64)
        return value if block.allowed is None else np.where(block.allowed, value, -np.inf)

    def _gains(self, alignment: Alignment) -> FloatArray:
        """What each pair that is not taken gains, less the client's worst expert where it has no place left."""
        value, taken = self._values(), alignment.to_dense(self.problem.num_experts)
        full = taken.sum(axis=1) >= self.problem.client_capacity
        worst = np.where(taken, value, np.inf).min(axis=1, initial=np.inf)
        spent = np.where(full, np.where(np.isfinite(worst), worst, np.inf), 0.0)
        return np.where(taken, -np.inf, value - spent[:, None])

    def _trimmed(
        self, alignment: Alignment, carried: FloatArray, least: FloatArray, over: BoolArray
    ) -> FloatArray | None:
        """The loads that are left once pairs of these sets went that lose least; None where too few may go."""
        problem, members, bounds = self.problem, self.sets.members, self.sets.bounds
        value, taken = self._values(), alignment.to_dense(problem.num_experts)
        load, carried = problem.client_load, carried.copy()
        droppable = taken if problem.required is None else taken & ~problem.required
        may_drop = taken.sum(axis=1) > problem.client_demand
        for s in self._smallest_first(over):
            limit = min(float(bounds.most[s]), float(bounds.capacity[s]))
            excess = float(carried[members[s]].sum()) - limit
            # A client that loses a pair takes its best expert outside of the set, or none.
            elsewhere = np.where(taken | members[s], -np.inf, value).max(axis=1, initial=-np.inf)
            other = np.where(may_drop, np.maximum(elsewhere, 0.0), elsewhere)
            clients, experts = np.nonzero(droppable & members[s])
            weight = np.ones(len(clients)) if load is None else load[clients, experts]
            lost = (value[clients, experts] - other[clients]) / np.where(weight > 0, weight, np.inf)
            for t in np.argsort(lost, kind="stable").tolist():
                i, j = clients[t], experts[t]
                if excess <= 0 or lost[t] >= bounds.overload[s]:
                    break
                if 0 < weight[t] <= carried[j] - least[j]:
                    droppable[i, j] = False
                    carried[j] -= weight[t]
                    excess -= weight[t]
            if excess > FEASIBILITY * limit and np.isinf(bounds.overload[s]):
                return None
        return carried

    def _raised(self, gains: FloatArray, carried: FloatArray, s: int) -> FloatArray | None:
        """The loads with which set s has its demand: the pairs that gain most count; None where there are too few."""
        inside, load = np.flatnonzero(self.sets.members[s]), self.problem.client_load
        wanted, shortfall = self._wanted(s), self.sets.bounds.shortfall[s]
        missing = wanted - float(carried[inside].sum())
        raised, room, offered = carried.copy(), self.problem.experts.most, gains[:, inside]
        for t in np.argsort(-offered, axis=None, kind="stable").tolist():
            i, at = divmod(t, len(inside))
            j = int(inside[at])
            weight = 1.0 if load is None else float(load[i, j])
            if missing <= 0 or offered[i, at] == -np.inf or offered[i, at] <= -shortfall * weight:
                break
            if weight > 0 and raised[j] + weight <= room[j] * (1.0 + FEASIBILITY):
                raised[j] += weight
                missing -= weight
        return None if missing > FEASIBILITY * wanted and np.isinf(shortfall) else raised

    def _traded(self, quotas: Quotas) -> Quotas | None:
        """Move quota to experts that the repair reached from those that it did not; None where none can be moved."""
        if not quotas.stuck:
            return None
        stuck, own = quotas.stuck[-1], self.problem.experts
        most, least = np.minimum(quotas.most, own.most), np.maximum(quotas.least, own.least)
        sign, mine = (1.0, quotas.most.copy()) if stuck.above else (-1.0, quotas.least.copy())
        tied, room, spare = np.isfinite(mine), np.zeros(len(mine)), np.zeros(len(mine))
        gets, gives = stuck.reached & tied, ~stuck.reached & tied
        room[gets] = own.most[gets] - most[gets] if stuck.above else least[gets] - own.least[gets]
        spare[gives] = most[gives] - least[gives]
        full = self.sets.members[self._full(mine, above=stuck.above)]
        left, before = max(1.0, float(np.ceil(stuck.amount))), mine.copy()
        for r in np.flatnonzero(room > 0).tolist():
            around = full[full[:, r]]
            givers = np.flatnonzero((spare > 0) & around.all(axis=0)).tolist() if len(around) else [r]
            for d in givers:
                amount = min(left, room[r], np.inf if d == r else spare[d])
                room[r] -= amount
                left -= amount
                mine[r] += sign * amount
                if d != r:
                    mine[d] -= sign * amount
                    spare[d] -= amount
        if (mine == before).all():
            return None
        return Quotas(mine, quotas.least) if stuck.above else Quotas(quotas.most, mine)

    def _full(self, mine: FloatArray, *, above: bool) -> BoolArray:
        """Sets whose bound the quotas of their experts use up, (num_sets,) bools."""
        together = np.array([float(mine[inside].sum()) for inside in self.sets.members])
        bounds = self.sets.bounds
        return together >= bounds.most if above else (together <= bounds.least) & (bounds.least > 0)
