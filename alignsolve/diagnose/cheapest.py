"""The cheapest repair, found by the elastic problem: bounds may be broken at a price, and only these prices count.

The optimum of the elastic problem is minus the least cost of a repair. Its alignment shows which bounds must change.

- If no client contradicts itself, only experts' bounds may change. They become soft bounds of an ordinary problem,
  which the chosen solver solves. In the cardinality class prices prove the cost; in the general class the bound is the
  solver's.
- If some clients contradict themselves, these clients are repaired first, by a small integer program over them alone
  (:mod:`.elastic_rows`), and then the experts. If the experts need no change, this is the cheapest repair. Otherwise
  another repair of the clients might have left the experts unchanged, so one integer program over all bounds follows.
  It is skipped above ``JOINT_PAIRS`` pairs: then the first repair stays, and its bound may be below its total.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alignsolve.certificate.violations import violations
from alignsolve.certificate.witness import Witness, row_witness
from alignsolve.data.alignment import Alignment
from alignsolve.data.expert_sets import SET_BOUNDS
from alignsolve.data.names import called, picked
from alignsolve.diagnose.change import OF_EXPERT, Change, Repair, changed, changes_for, total_cost
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
"""Fields of the elastic problem whose first axis is clients."""
Priced = dict[Kind, FloatArray]


@dataclass(frozen=True)
class Attempt:
    """The result of a search for a repair.

    Attributes
    ----------
    repair
        The repair; None if none was found.
    bound
        Lower bound on the cost of every repair; inf if the weights allow no repair.
    prices
        (num_experts,) prices that prove the bound. If it is positive, the bound of the problem itself decreases without
        limit along them.
    why
        Why no repair was found; empty if one was found.
    """

    repair: Repair | None
    bound: float = 0.0
    prices: FloatArray | None = None
    why: str = ""


@dataclass(frozen=True)
class Means:
    """How to solve, and the deadline on the clock of :func:`time.monotonic`."""

    solver: str | Solver = "auto"
    deadline: float = math.inf
    seed: int = 0
    threads: int | None = None

    @property
    def seconds(self) -> float | None:
        """Seconds left until the deadline; None without a deadline."""
        return None if math.isinf(self.deadline) else max(self.deadline - time.monotonic(), 0.0)


def cheapest_repair(problem: AlignmentProblem, rows: BoolArray, weights: Priced, means: Means) -> Attempt:
    """Find the cheapest repair.

    Parameters
    ----------
    problem
        The problem to repair.
    rows
        (num_clients,) bools: the clients that contradict themselves; their bounds may change.
    weights
        Weights as returned by :meth:`Weights.spread`.
    means
        The solver, used where only experts' bounds may change, and the deadline.
    """
    elastic = _elastic(problem, weights)
    if not rows.any():
        return _repair_experts(problem, elastic, weights, means)
    stubborn = row_witness(_freed(elastic, rows, weights))
    if stubborn is not None:
        client = called(problem.client_names, "client", int(np.argmax(stubborn.clients)))
        return Attempt(None, math.inf, why=f"the weights leave {client} in contradiction with itself")
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
    """Raise the lower bound of a repair by a witness: each missing unit costs at least the cheapest weight."""
    if witness.side == "row":
        return repair
    unit = _cheapest_unit(problem, witness, weights)
    paid = unit * (witness.missing - _rounded_away(problem, witness))
    if not math.isfinite(unit) or paid <= repair.bound:
        return repair
    return _judged(replace(repair, bound=min(paid, repair.total), proof=Proof.PRICES))


def _cheapest_unit(problem: AlignmentProblem, witness: Witness, weights: Priced) -> float:
    """Return the least cost of a unit less missing: of the bounds of experts and sets that the witness adds up."""
    experts, sets = witness.experts, witness.sets
    if sets is None or problem.expert_sets is None:
        return min(float(weights[kind][experts].min()) for kind in ("expert_demand", "expert_capacity"))
    own = np.abs(experts.astype(np.int64) - sets @ problem.expert_sets.astype(np.int64))
    every = np.concatenate([experts | (own > 0), problem.expert_sets.any(axis=1)])
    often = np.maximum(np.concatenate([own, np.abs(sets)]), 1)
    paid = [
        np.concatenate([weights["expert_demand"], weights["set_demand"]]),
        np.concatenate([weights["expert_capacity"], weights["set_capacity"]]),
    ]
    return min(float((part / often)[every].min()) for part in paid)


def _rounded_away(problem: AlignmentProblem, witness: Witness) -> float:
    """Return how much of a witness's missing load may come from rounding fractional bounds to whole ones."""
    if not problem.experts.unit_loads:
        return 0.0
    experts = witness.experts
    bounds = np.concatenate([problem.expert_demand[experts], problem.expert_capacity[experts]])
    if problem.sets is not None:
        bounds = np.concatenate(
            [problem.expert_demand, problem.expert_capacity, problem.set_demand, problem.set_capacity]
        )
    return float((np.isfinite(bounds) & (bounds != np.floor(bounds))).sum())


def _elastic(problem: AlignmentProblem, weights: Priced) -> AlignmentProblem:
    """Return the problem with fitness 0, and the hard bounds of experts and sets as soft bounds at their weights."""
    bounds = problem.experts
    of_sets: dict[str, Any] = {}
    if problem.sets is not None:
        own = problem.sets.bounds
        of_sets = {
            "set_capacity": np.where(own.hard_capacity, own.capacity, np.inf),
            "set_demand": np.where(own.hard_demand, own.demand, 0.0),
            "set_overload_penalty": weights["set_capacity"],
            "set_shortfall_penalty": weights["set_demand"],
        }
    return replace(
        problem,
        fitness=np.broadcast_to(np.zeros(1, dtype=np.int8), problem.shape),
        switching_cost=0.0,
        previous=None,
        expert_capacity=np.where(bounds.hard_capacity, bounds.capacity, np.inf),
        expert_demand=np.where(bounds.hard_demand, bounds.demand, 0.0),
        overload_penalty=weights["expert_capacity"],
        shortfall_penalty=weights["expert_demand"],
        **of_sets,
    )


def _repair_experts(problem: AlignmentProblem, elastic: AlignmentProblem, weights: Priced, means: Means) -> Attempt:
    """Repair experts' bounds only.

    An optional demand cannot be soft. So there are two attempts: one lowers those that the cheapest way to keep all
    other bounds misses, the other keeps them. The cheaper repair counts. The first attempt's bound holds for both.
    """
    optional = problem.experts.opening > 0
    if not optional.any() or np.isinf(weights["optional_demand"][optional]).all():
        return _repair_bounds(problem, elastic, weights, means)
    lowered = _repair_bounds(problem, replace(elastic, optional_demand=None), weights, means)
    if lowered.repair is None or lowered.repair.proof is not Proof.NONE:
        return lowered
    kept = _repair_bounds(problem, elastic, weights, means)
    if kept.repair is None or kept.repair.total >= lowered.repair.total:
        return lowered
    repair = _judged(replace(kept.repair, bound=lowered.bound))
    return Attempt(repair, repair.bound, lowered.prices)


def _repair_bounds(problem: AlignmentProblem, elastic: AlignmentProblem, weights: Priced, means: Means) -> Attempt:
    """Repair experts' bounds by an optimum of the elastic problem."""
    solution = solve(elastic, means.solver, time_limit=means.seconds, seed=means.seed, threads=means.threads,
                     throw=False)  # fmt: skip
    if solution.status is Status.INFEASIBLE:
        return Attempt(None, math.inf, why=f"the weights leave it infeasible: {solution.explain()}")
    bound = max(0.0, -float(solution.bound))
    if solution.assigned is None:
        return Attempt(None, bound, solution.joint_prices, why=f"no repair found: {solution.explain()}")
    no_rows = np.zeros(problem.num_clients, dtype=np.bool_)
    repair = _repair(problem, solution.assigned, no_rows, weights, bound, solution.proof)
    return Attempt(repair, repair.bound, solution.joint_prices)


def _repair(
    problem: AlignmentProblem, alignment: Alignment, rows: BoolArray, weights: Priced, bound: Number, proof: Proof
) -> Repair:
    """Compute the repair from an alignment, and check that the alignment is feasible for it."""
    changes = changes_for(problem, alignment, rows, weights)
    repaired, total = changed(problem, changes), total_cost(changes)
    broken = violations(repaired, alignment)
    if broken:
        raise SolveError(f"the repair does not hold: {'; '.join(broken)}")
    return _judged(Repair(repaired, changes, total, float(bound), proof, alignment))


def _judged(repair: Repair) -> Repair:
    """Set the bound to the total if they agree within the tolerance; otherwise set the proof to NONE."""
    if repair.total - repair.bound <= OPTIMALITY * repair.total:
        proof = repair.proof if repair.proof is not Proof.NONE else Proof.SOLVER
        return replace(repair, bound=repair.total, proof=proof if repair.total else Proof.PRICES)
    return replace(repair, proof=Proof.NONE)


def _repair_jointly(
    problem: AlignmentProblem, elastic: AlignmentProblem, rows: BoolArray, weights: Priced, means: Means
) -> Attempt:
    """Repair bounds of clients and experts in one integer program."""
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
    """Repair the contradictory clients in batches, ignoring experts' bounds; then repair the experts' bounds."""
    without = dict.fromkeys(("expert_sets", "set_names", "optional_demand", *SET_BOUNDS))
    alone = replace(elastic, expert_capacity=np.inf, expert_demand=0.0, **without)
    changes: list[Change] = []
    least = 0.0
    members = np.flatnonzero(rows)
    step = max(1, JOINT_PAIRS // max(1, problem.num_experts))
    for start in range(0, len(members), step):
        part = members[start : start + step]
        own = {kind: weights[kind] if kind.startswith((*OF_EXPERT, "set")) else weights[kind][part] for kind in weights}
        few = replace(
            alone,
            client_names=picked(alone.client_names, part),
            **{field: _rows_of(alone, field, part) for field in BY_CLIENT},
        )
        attempt = _repair_jointly(few, few, np.ones(len(part), dtype=np.bool_), own, means)
        if attempt.repair is None:
            return replace(attempt, bound=max(least, attempt.bound))
        changes += [c.of(problem, (int(part[c.place[0]]), *c.place[1:])) for c in attempt.repair.changes]
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
