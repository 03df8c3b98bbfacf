"""The cheapest repair, by the elastic problem: every bound that may give way is priced, and nothing else counts.

Its optimum is minus the least total, and its alignment tells which bounds give way.

- No client contradicts itself: only experts' bounds give way, as soft bounds of an ordinary problem, which the chosen
  solver solves. In the cardinality class the total is then proven by prices; elsewhere the bound is the solver's.
- Some clients do: they are mended first, by a small integer program of theirs alone (:mod:`.elastic_rows`), and then
  the experts. If the experts need nothing more, that is the least. Otherwise another way to mend the clients might
  have spared the experts, so that all bounds give way in one integer program. Where that would have more than
  ``JOINT_PAIRS`` pairs the first repair stays; its total may be more than the least, and its bound says so.
"""

import math
import time
from dataclasses import dataclass, replace

import numpy as np

from alignsolve.certificate.violations import violations
from alignsolve.certificate.witness import Witness, row_witness
from alignsolve.data.alignment import Alignment
from alignsolve.diagnose.change import Change, Repair, changed, changes_for, total_cost
from alignsolve.diagnose.weights import Kind
from alignsolve.front import solve
from alignsolve.numerics import OPTIMALITY, BoolArray, FloatArray, IntArray, Number, RealArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import Proof, SolveError, Status
from alignsolve.solver import Solver

JOINT_PAIRS = 1 << 18
"""Pairs (clients × experts) up to which one integer program holds all clients."""
BY_CLIENT = ("fitness", "client_capacity", "client_demand", "eligible", "required", "group_capacity", "group_demand",
             "client_load", "client_budget", "expert_cost", "switching_cost")  # fmt: skip
"""Fields whose first axis is the clients', as far as the elastic problem has them."""
Priced = dict[Kind, FloatArray]


@dataclass(frozen=True)
class Attempt:
    """What came of looking for a repair.

    Attributes
    ----------
    repair
        None if none was found.
    bound
        No repair costs less; inf if the weights allow none.
    prices
        (num_experts,) prices behind the bound, a direction along which the problem's own bound falls without end.
    why
        Why there is none.
    """

    repair: Repair | None
    bound: float = 0.0
    prices: FloatArray | None = None
    why: str = ""


@dataclass(frozen=True)
class Means:
    """How to solve, and until when (on the clock of :func:`time.monotonic`)."""

    solver: str | Solver = "auto"
    deadline: float = math.inf
    seed: int = 0
    threads: int | None = None

    @property
    def seconds(self) -> float | None:
        """Time left; None without a limit."""
        return None if math.isinf(self.deadline) else max(self.deadline - time.monotonic(), 0.0)


def cheapest_repair(problem: AlignmentProblem, rows: BoolArray, weights: Priced, means: Means) -> Attempt:
    """Find the cheapest repair.

    Parameters
    ----------
    problem
        To be repaired.
    rows
        (num_clients,) bools: the clients that contradict themselves; their bounds may give way.
    weights
        As :meth:`Weights.spread` gives them.
    means
        The solver, where only experts' bounds give way, and the time.
    """
    elastic = _elastic(problem, weights)
    if not rows.any():
        return _repair_experts(problem, elastic, weights, means)
    stubborn = row_witness(_freed(elastic, rows, weights))
    if stubborn is not None:
        i = int(np.argmax(stubborn.clients))
        return Attempt(None, math.inf, why=f"the weights leave client {i} in contradiction with itself")
    first = _repair_clients_first(problem, elastic, rows, weights, means)
    proven = first.repair is not None and first.repair.proof is not Proof.NONE
    if proven or problem.num_clients * problem.num_experts > JOINT_PAIRS:
        return first
    second = _repair_jointly(problem, elastic, rows, weights, means)
    if second.repair is None and second.bound < math.inf:
        return first
    if first.repair is None or second.repair is None or second.repair.total <= first.repair.total:
        return second
    return replace(first, repair=_judged(replace(first.repair, bound=second.repair.bound)), bound=second.repair.bound)


def bounded_by(problem: AlignmentProblem, repair: Repair, witness: Witness, weights: Priced) -> Repair:
    """Lift the bound of a repair of experts' bounds by a witness: what is missing has to be paid, unit by unit."""
    if witness.side == "row":
        return repair
    unit = min(float(weights[kind][witness.experts].min()) for kind in ("expert_demand", "expert_capacity"))
    paid = unit * (witness.missing - _rounded_away(problem, witness.experts))
    if not math.isfinite(unit) or paid <= repair.bound:
        return repair
    return _judged(replace(repair, bound=min(paid, repair.total), proof=Proof.PRICES))


def _rounded_away(problem: AlignmentProblem, experts: BoolArray) -> float:
    """What a bound that is not whole misses less than its whole stand-in does, at most; 0 where bounds are whole."""
    if not problem.experts.unit_loads:
        return 0.0
    bounds = np.concatenate([problem.expert_demand[experts], problem.expert_capacity[experts]])
    return float((np.isfinite(bounds) & (bounds != np.floor(bounds))).sum())


def _elastic(problem: AlignmentProblem, weights: Priced) -> AlignmentProblem:
    """Build the problem in which only what the experts' hard bounds are missed by counts."""
    bounds = problem.experts
    return replace(
        problem,
        fitness=np.broadcast_to(np.zeros(1, dtype=np.int8), problem.shape),
        switching_cost=0.0,
        previous=None,
        expert_capacity=np.where(bounds.hard_capacity, bounds.capacity, np.inf),
        expert_demand=np.where(bounds.hard_demand, bounds.demand, 0.0),
        overload_penalty=weights["expert_capacity"],
        shortfall_penalty=weights["expert_demand"],
    )


def _repair_experts(problem: AlignmentProblem, elastic: AlignmentProblem, weights: Priced, means: Means) -> Attempt:
    """Only experts' bounds give way."""
    solution = solve(elastic, means.solver, time_limit=means.seconds, seed=means.seed, threads=means.threads,
                     throw=False)  # fmt: skip
    if solution.status is Status.INFEASIBLE:
        return Attempt(None, math.inf, why=f"the weights leave it infeasible: {solution.explain()}")
    bound = max(0.0, -float(solution.bound))
    if solution.assigned is None:
        return Attempt(None, bound, solution.prices, why=f"no repair found: {solution.explain()}")
    nobody = np.zeros(problem.num_clients, dtype=np.bool_)
    repair = _repair(problem, solution.assigned, nobody, weights, bound, solution.proof)
    return Attempt(repair, repair.bound, solution.prices)


def _repair(
    problem: AlignmentProblem, alignment: Alignment, rows: BoolArray, weights: Priced, bound: Number, proof: Proof
) -> Repair:
    """Read the repair off the alignment, and check that it is one."""
    changes = changes_for(problem, alignment, rows, weights)
    repaired, total = changed(problem, changes), total_cost(changes)
    broken = violations(repaired, alignment)
    if broken:
        raise SolveError(f"the repair does not hold: {'; '.join(broken)}")
    return _judged(Repair(repaired, changes, total, float(bound), proof, alignment))


def _judged(repair: Repair) -> Repair:
    """Total and bound brought together where they agree; the proof is nobody's where they do not."""
    if repair.total - repair.bound <= OPTIMALITY * repair.total:
        proof = repair.proof if repair.proof is not Proof.NONE else Proof.SOLVER
        return replace(repair, bound=repair.total, proof=proof if repair.total else Proof.PRICES)
    return replace(repair, proof=Proof.NONE)


def _repair_jointly(
    problem: AlignmentProblem, elastic: AlignmentProblem, rows: BoolArray, weights: Priced, means: Means
) -> Attempt:
    """Bounds of clients and experts give way in one integer program."""
    from alignsolve.diagnose.elastic_rows import solve_elastic_rows  # noqa: PLC0415  (loads its back end)

    relaxed = _freed(elastic, rows, weights)
    answer = solve_elastic_rows(elastic, relaxed, rows, weights, deadline=means.deadline, seed=means.seed)
    if answer is not None and answer.infeasible:
        return Attempt(None, math.inf, why="the weights leave no repair, says the back end")
    if answer is None or answer.x is None:
        return Attempt(None, why="no repair found: the time limit came first")
    repair = _repair(problem, answer.x, rows, weights, max(0.0, -float(answer.bound)), Proof.SOLVER)
    return Attempt(repair, repair.bound)


def _freed(elastic: AlignmentProblem, rows: BoolArray, weights: Priced) -> AlignmentProblem:
    from alignsolve.diagnose.elastic_rows import freed  # noqa: PLC0415  (loads its back end)

    return freed(elastic, rows, weights)


def _repair_clients_first(
    problem: AlignmentProblem, elastic: AlignmentProblem, rows: BoolArray, weights: Priced, means: Means
) -> Attempt:
    """Mend the clients that contradict themselves, some at a time, as if there were no experts' bounds; then those."""
    alone = replace(elastic, expert_capacity=np.inf, expert_demand=0.0)
    changes: list[Change] = []
    least = 0.0
    members = np.flatnonzero(rows)
    step = max(1, JOINT_PAIRS // max(1, problem.num_experts))
    for start in range(0, len(members), step):
        part = members[start : start + step]
        own = {kind: weights[kind] if kind.startswith("expert") else weights[kind][part] for kind in weights}
        few = replace(alone, **{field: _rows_of(alone, field, part) for field in BY_CLIENT})
        attempt = _repair_jointly(few, few, np.ones(len(part), dtype=np.bool_), own, means)
        if attempt.repair is None:
            return replace(attempt, bound=max(least, attempt.bound))
        changes += [replace(c, place=(int(part[c.place[0]]), *c.place[1:])) for c in attempt.repair.changes]
        least += attempt.bound
    mended = changed(problem, tuple(changes))
    attempt = _repair_experts(mended, _elastic(mended, weights), weights, means)
    if attempt.repair is None:
        return Attempt(None, least, why=attempt.why)
    repair = attempt.repair
    total = total_cost((*changes, *repair.changes))
    whole = Repair(repair.problem, (*changes, *repair.changes), total, least, Proof.SOLVER, repair.alignment)
    return Attempt(_judged(whole), least)


def _rows_of(problem: AlignmentProblem, field: str, rows: IntArray) -> RealArray | None:
    array: RealArray | None = getattr(problem, field)
    return None if array is None else array[rows]
