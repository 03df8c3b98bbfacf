"""Witnesses of infeasibility: a set of experts whose bounds contradict what the clients can do, easy to check.

Where experts share bounds in sets, a witness may add bounds of sets, and take bounds away again. The load of a set that
must have 10 is at most what its expert 5 can take, and what clients can give the others.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from alignsolve.certificate.row_witness import contradictory_clients, row_reason
from alignsolve.certificate.supply import most_for
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.expert_sets import ExpertSets, split_prices
from alignsolve.data.names import named
from alignsolve.data.problem_view import ProblemView
from alignsolve.numerics import FEASIBILITY, BoolArray, FloatArray, IntArray

Side = Literal["demand", "capacity", "row"]


@dataclass(frozen=True, eq=False)
class Witness:
    """Why no alignment exists.

    Attributes
    ----------
    side
        "demand": the hard demands of ``experts`` together exceed what clients (each within its own bounds) and the
        experts' own capacities can give them. "capacity": what the clients must put into ``experts`` exceeds their
        hard capacities together. "row": single clients contradict themselves.
    experts
        (num_experts,) bool, the experts whose load is meant; empty for "row".
    clients
        (num_clients,) bool: those who could serve the experts, those who must load them, or those who contradict
        themselves.
    missing
        By how much, in units of load; for "row" the number of such clients.
    sets
        (num_sets,) whole numbers: 1 for a set of experts whose bound on this side counts in place of its experts' own,
        −1 where its bound on the other side is taken away, 0 elsewhere. None: no set counts.
    """

    side: Side
    experts: BoolArray
    clients: BoolArray
    missing: float
    sets: IntArray | None = None

    def explain(self, problem: ProblemView) -> str:
        """Tell the witness in words: which experts need how much, who could serve them, how much is missing."""
        clients = named(self.clients, "client", problem.client_names)
        if self.side == "row":
            others = "" if self.clients.sum() == 1 else f"; in all {clients} contradict themselves"
            return row_reason(problem, int(np.argmax(self.clients))) + others
        return _Bounded.of(problem, self.experts, self.sets).explained(problem, self.side, clients, self.missing)


@dataclass(frozen=True, eq=False)
class _Bounded:
    """The load of some experts as a sum of loads with bounds: those of sets, and of single experts.

    Attributes
    ----------
    experts
        (num_experts,) bools, the experts whose load is meant.
    own
        (num_experts,) how often each expert's own load counts: −1 where a set counts it that should not.
    sets
        (num_sets,) how often the load of each set counts.
    bounds, of_sets
        The bounds of experts, and of sets.
    """

    experts: BoolArray
    own: IntArray
    sets: IntArray
    bounds: ExpertBounds
    of_sets: ExpertSets | None

    @classmethod
    def of(cls, problem: ProblemView, experts: BoolArray, sets: IntArray | None) -> "_Bounded":
        own, known = experts.astype(np.int64), problem.sets
        if known is None:
            return cls(experts, own, np.zeros(0, dtype=np.int64), problem.experts, None)
        sets = np.zeros(len(known), dtype=np.int64) if sets is None else sets
        return cls(experts, own - sets @ known.members.astype(np.int64), sets, problem.experts, known)

    def without(self, bounded: BoolArray) -> "_Bounded":
        """Return the same without the experts whose own bounds count though they have none on that side."""
        dropped = self.experts & (self.own > 0) & ~bounded
        own = np.where(dropped, self.own - 1, self.own)
        return _Bounded(self.experts & ~dropped, own, self.sets, self.bounds, self.of_sets)

    @property
    def several(self) -> bool:
        """Whether more than one load counts."""
        return bool((self.own != 0).sum() + (self.sets != 0).sum() > 1)

    def explained(self, problem: ProblemView, side: Side, clients: str, missing: float) -> str:
        """Tell in words what contradicts what."""
        added, taken = self.sums(side)
        experts, others = self.named(problem, counted=True), self.named(problem, counted=False)
        together = " together" if self.several else ""
        if not self.experts.any():  # bounds of sets and experts contradict each other, whatever the clients do
            most, least = (others, experts) if side == "demand" else (experts, others)
            room, wanted = (taken, added) if side == "demand" else (added, taken)
            return f"{least} must have a load of at least {wanted:.12g}, {most} can take at most {room:.12g}"
        if taken > 0:
            experts += f", without {others}, which {'take at most' if side == 'demand' else 'need'} {taken:.12g},"
        limit = added - taken
        if side == "capacity":
            return (
                f"{experts} can take a load of at most {limit:.12g}{together}; {clients} must put at least "
                f"{limit + missing:.12g} there: {missing:.12g} too much"
            )
        if limit > self.room:
            return f"{experts} must have a load of at least {limit:.12g}{together} and at most {self.room:.12g}"
        return (
            f"{experts} must have a load of at least {limit:.12g}{together}; {clients} could serve, and give at most "
            f"{limit - missing:.12g}{together}: {missing:.12g} missing"
        )

    def _sums(self, plus: str, minus: str) -> tuple[float, float]:
        """Sum one bound of all that counts, and the other bound of all that is taken away."""
        parts = [(self.own, self.bounds)] + ([] if self.of_sets is None else [(self.sets, self.of_sets.bounds)])
        added = taken = 0.0
        for count, bounds in parts:
            more, less = count > 0, count < 0
            added += float((count[more] * getattr(bounds, plus)[more]).sum())
            taken += float((-count[less] * getattr(bounds, minus)[less]).sum())
        return added, taken

    def sums(self, side: Side) -> tuple[float, float]:
        """The bounds on this side of all that counts, and the bounds on the other side of all that is taken away."""
        return self._sums("least", "most") if side == "demand" else self._sums("most", "least")

    @property
    def room(self) -> float:
        """A load that the experts cannot exceed, by their own capacities and those of sets."""
        room = float(self.bounds.most[self.experts].sum())
        if self.of_sets is None:
            return room
        members, most = self.of_sets.members, self.of_sets.bounds.most
        around = members[:, self.experts].all(axis=1)
        counted = self.sets > 0
        outside = self.experts & ~members[counted].any(axis=0)
        in_sets = float(most[counted].sum() + self.bounds.most[outside].sum())
        return min(room, in_sets, float(most[around].min(initial=np.inf)))

    def named(self, problem: ProblemView, *, counted: bool) -> str:
        """Name what counts, or what is taken away: sets with their experts, and experts on their own."""
        sign = 1 if counted else -1
        own: BoolArray = np.sign(self.own) == sign
        sets: BoolArray = np.sign(self.sets) == sign
        parts = []
        if self.of_sets is not None and sets.any():
            members: BoolArray = np.isin(np.arange(problem.num_experts), np.nonzero(self.of_sets.members[sets])[1])
            parts.append(f"{named(sets, 'set', problem.set_names)} ({named(members, 'expert', problem.expert_names)})")
        if own.any() or not parts:
            parts.append(named(own, "expert", problem.expert_names))
        return " and ".join(parts)


def contradiction(problem: ProblemView) -> Witness | None:
    """Find a row that contradicts itself, a client's, an expert's or a set's, before any solver runs; or None."""
    bounds = problem.experts
    # Each such expert alone is a contradiction, so all together are one.
    crossed = bounds.least - bounds.most > FEASIBILITY * bounds.least
    given = _most_that_all_give(problem)
    starved = bounds.least > given * (1.0 + FEASIBILITY)
    for experts in (crossed, starved):
        found = confirm(problem, experts, "demand") if experts.any() else None
        if found is not None:
            return found
    found = None if problem.sets is None else _contradictory_set(problem, problem.sets, given)
    return row_witness(problem) if found is None else found


def _contradictory_set(problem: ProblemView, sets: ExpertSets, given: FloatArray | float) -> Witness | None:
    """Find a set that demands more than capacities or all clients allow, or allows less than its experts demand."""
    each = np.broadcast_to(given, (problem.num_experts,))
    for s in np.flatnonzero(sets.bounds.hard_demand):
        alone = np.zeros(len(sets), dtype=np.int64)
        alone[s] = 1
        bounded = _Bounded.of(problem, sets.members[s], alone)
        demand = float(sets.bounds.least[s])
        if demand - min(bounded.room, float(each[sets.members[s]].sum())) > FEASIBILITY * demand:
            return confirm(problem, sets.members[s], "demand", alone)
    if problem.experts.hard_demand.any():
        for s in np.flatnonzero(sets.bounds.hard_capacity):
            demanding = sets.members[s] & problem.experts.hard_demand
            demand, most = float(problem.experts.least[demanding].sum()), float(sets.bounds.most[s])
            if demand - most > FEASIBILITY * demand:
                return confirm(problem, demanding, "demand")
    return None


def _most_that_all_give(problem: ProblemView) -> FloatArray | float:
    """A load that no expert exceeds if all clients take it, (num_experts,) or one for all; inf where nobody asks."""
    if problem.client_load is None:
        return float(problem.num_clients)
    if not problem.experts.hard_demand.any() and (problem.sets is None or not problem.sets.bounds.hard_demand.any()):
        return np.inf
    load = problem.client_load
    most: FloatArray = (load if problem.eligible is None else np.where(problem.eligible, load, 0.0)).sum(axis=0)
    return most


def row_witness(problem: ProblemView) -> Witness | None:
    """Find the clients that contradict themselves; None if there are none."""
    clients = contradictory_clients(problem)
    if clients is None:
        return None
    nobody = np.zeros(problem.num_experts, dtype=np.bool_)
    return Witness("row", nobody, clients, float(clients.sum()))


def confirm(problem: ProblemView, experts: BoolArray, side: Side, sets: Any = None) -> Witness | None:
    """Check from the problem's own data that a witness proves infeasibility; None if it does not.

    Parameters
    ----------
    problem
        What is infeasible.
    experts, side, sets
        As in :class:`Witness`.
    """
    if side == "row":
        return row_witness(problem)
    experts = np.asarray(experts)
    if experts.shape != (problem.num_experts,) or experts.dtype != np.bool_ or side not in {"demand", "capacity"}:
        return None
    counted = None
    if sets is not None and problem.sets is not None:
        counted = np.asarray(sets)
        if counted.shape != (len(problem.sets),) or counted.dtype.kind not in "iu" or (np.abs(counted) > 1).any():
            return None
        counted = counted.astype(np.int64) if counted.any() else None
    bounded = _Bounded.of(problem, experts, counted)
    return _confirm_demand(problem, bounded) if side == "demand" else _confirm_capacity(problem, bounded)


def _confirm_demand(problem: ProblemView, bounded: _Bounded) -> Witness | None:
    bounded = bounded.without(problem.experts.hard_demand)
    experts, (added, taken) = bounded.experts, bounded.sums("demand")
    supply, feasible = most_for(problem, experts.astype(np.float64))
    if not feasible.all():
        return None
    given = min(float(supply.sum()), bounded.room)
    missing = added - taken - given
    if not missing > FEASIBILITY * max(added + taken, given):
        return None
    return Witness("demand", experts, supply > 0, missing, _told(bounded))


def _confirm_capacity(problem: ProblemView, bounded: _Bounded) -> Witness | None:
    bounded = bounded.without(problem.experts.hard_capacity)
    experts, (added, taken) = bounded.experts, bounded.sums("capacity")
    least, feasible = most_for(problem, -experts.astype(np.float64))
    if not feasible.all():
        return None
    forced = -float(least.sum())
    missing = forced - (added - taken)
    if not missing > FEASIBILITY * max(added + taken, forced):
        return None
    return Witness("capacity", experts, least < 0, missing, _told(bounded))


def _told(bounded: _Bounded) -> IntArray | None:
    return bounded.sets if bounded.of_sets is not None and bounded.sets.any() else None


def from_direction(problem: ProblemView, direction: FloatArray) -> Witness | None:
    """Look for a witness among the level sets of a price direction along which the bound falls without end.

    The direction is that of what clients pay, (num_experts,); that of the sets' prices may follow. In the cardinality
    class every client's possible loads form a generalised polymatroid, whose support function is a sum over level sets;
    so one of them is a witness whenever the direction proves infeasibility.
    """
    levels = _Levels.of(problem, direction)
    side: Side
    for sign, side in ((1.0, "demand"), (-1.0, "capacity")):
        steps = np.unique(sign * np.concatenate([levels.experts, levels.sets]))
        for level in steps[steps < 0]:
            experts = sign * levels.experts <= level
            found = confirm(problem, experts, side, levels.counted(sign * levels.sets <= level))
            if found is not None:
                return found
    return None


@dataclass(frozen=True, eq=False)
class _Levels:
    """A direction as potentials: what a unit of load on an expert, or within a set, costs up to the ground.

    Attributes
    ----------
    experts, sets
        (num_experts,) and (num_sets,) potentials.
    of_sets
        The sets; None where their prices do not move.
    """

    experts: FloatArray
    sets: FloatArray
    of_sets: ExpertSets | None

    @classmethod
    def of(cls, problem: ProblemView, direction: FloatArray) -> "_Levels":
        sets, (paid, of_sets) = problem.sets, split_prices(problem, direction)
        if sets is None:
            return cls(paid, of_sets, None)
        around = of_sets.copy()
        if sets.crossing is None:
            up = sets.parent[problem.num_experts :] - problem.num_experts
            for s in np.argsort(-_depth_order(up), kind="stable"):
                if up[s] < len(sets):
                    around[s] += around[up[s]]
        return cls(paid, around, sets)

    def counted(self, inside: BoolArray) -> IntArray | None:
        """Which sets' bounds a level set counts: of the sets inside, those that no other one inside is around."""
        if self.of_sets is None:
            return None
        count = inside.astype(np.int64)
        if self.of_sets.crossing is None:
            num_experts = self.of_sets.members.shape[1]
            up = np.append(inside, False)[self.of_sets.parent[num_experts:] - num_experts]
            count -= up
        return count


def _depth_order(up: IntArray) -> IntArray:
    """Height of each set above the deepest one, so that a set around others has the larger number: (num_sets,)."""
    depth = np.zeros(len(up), dtype=np.int64)
    for s in range(len(up)):
        at = s
        while up[at] < len(up):
            depth[s] += 1
            at = int(up[at])
    return -depth


__all__ = ["Side", "Witness", "confirm", "contradiction", "from_direction", "row_reason", "row_witness"]
