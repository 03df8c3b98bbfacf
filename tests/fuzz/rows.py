"""Rows: one client with budgets, its relaxation and its knapsack asked directly, against all sets of its experts.

The relaxation (:mod:`alignsolve.subproblem.relaxed_rows`) is meant for hundreds of experts, and takes any number. Up to
twelve experts, all sets are listed. Beyond, whole numbers of one budget are a table of sums.
"""

from typing import Any

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.subproblem.knapsack import best_rows_within_budgets
from alignsolve.subproblem.relaxed_rows import budget_rows, relax_rows
from tests.fuzz.fields import Drawn, written
from tests.fuzz.pick import pick
from tests.fuzz.shrink import same_kind, shrunk
from tests.fuzz.tally import Fault, Tally
from tests.fuzz.truth import Truth, UnclearError
from tests.fuzz.watch import EVERY_ERROR, HangError, in_time

MOST = 10
"""Experts up to which all sets are listed."""
ROUNDED = 1e-12
"""Share of the sizes that sums may lose."""


def example(rng: np.random.Generator, tally: Tally) -> Fault | None:
    """Ask about the rows of one drawn problem; return the first fault."""
    if rng.random() < 0.2:
        return _long_row(rng, tally)
    drawn = draw(rng)
    told = _told(drawn)
    tally.counts["rows asked"] += drawn.shape[0]
    if told is None:
        return None
    small = shrunk(drawn, lambda other: same_kind(told, _told(other)))
    return _fault(small, str(_told(small)))


def draw(rng: np.random.Generator) -> Drawn:
    """Draw two clients with budgets: demands that bind, groups, few sizes, ties, extreme numbers."""
    n, e, r = 2, int(rng.integers(1, MOST + 1)), int(rng.integers(1, 4))
    hostile = rng.random() < 0.2
    worth = pick(rng, np.arange(-8, 9), (n, e)) if rng.random() < 0.5 else rng.normal(size=(n, e))
    cost_axes = ("jr", "ijr")[int(rng.integers(2))]
    shape = tuple({"i": n, "j": e, "r": r}[axis] for axis in cost_axes)
    cost = pick(rng, np.arange(6), shape) * pick(rng, [1.0, 1.0, 1e6, 0.01])
    if rng.random() < 0.3:
        cost = rng.random(shape)
    of = rng.integers(min(3, e), size=e)
    few = rng.random() < 0.4
    if few:  # experts of few sizes
        axis = cost_axes.index("j")
        cost = np.take(cost, of, axis=axis) if rng.random() < 0.7 else np.take(cost, np.zeros(e, np.int64), axis=axis)
    if hostile:
        worth = worth * pick(rng, [1e-300, 1e100, 1e9, 1e-9])
        cost = cost * pick(rng, [1e-300, 1e100, 1e9, 1.0, 1e-9])
    total = cost.sum(axis=0) if cost_axes == "jr" else cost.sum(axis=1)
    budget = total * pick(rng, [0.0, 0.1, 0.3, 0.5, 0.9, 1.0], (n, r)) if total.any() else np.ones((n, r))
    budget = np.where(rng.random((n, r)) < 0.1, np.inf, budget)
    if rng.random() < 0.5:
        budget = np.floor(budget)
    fields: dict[str, tuple[Any, str]] = {
        "fitness": (worth.astype(np.float64), "ij"), "client_budget": (budget, "ir"), "expert_cost": (cost, cost_axes),
        "client_capacity": (int(rng.integers(1, e + 1)), ""),
    }  # fmt: skip
    if rng.random() < 0.4:
        fields["client_demand"] = (int(rng.integers(0, 3)), "")
    if rng.random() < 0.5:
        fields["expert_group"] = (of if few else rng.integers(min(3, e), size=e), "j")
        fields["group_demand"] = (int(rng.integers(0, 2)), "")
        fields["group_capacity"] = (int(rng.integers(1, 4)), "")
    if rng.random() < 0.5:
        fields["eligible"] = (rng.random((n, e)) < 0.8, "ij")
    if rng.random() < 0.2:
        allowed = fields["eligible"][0] if "eligible" in fields else np.ones((n, e), dtype=bool)
        fields["required"] = (allowed & (rng.random((n, e)) < 0.1), "ij")
    return Drawn(fields, hostile=hostile)


def _told(drawn: Drawn) -> str | None:
    """Return what is wrong about any row; None too where the truth is unclear."""
    truth = Truth(drawn)
    if "client_budget" not in drawn.fields:
        return None
    try:
        best = [_best(truth, i) for i in range(drawn.shape[0])]
        problem = drawn.problem()
    except (UnclearError, ValueError):
        return None
    try:
        return in_time(lambda: _of_relaxation(truth, problem, best) or _of_search(truth, problem, best))
    except HangError:
        return "no answer within the time"
    except EVERY_ERROR as error:
        return f"{type(error).__name__}: {error}"


def _best(truth: Truth, i: int) -> float | None:
    """The exact optimum of a row, rounded once; None where it has no choice."""
    value = truth.rows[i].value
    return int(max(value)) / truth.unit if len(value) else None


def _read(problem: AlignmentProblem) -> tuple[Any, Any, Any]:
    block = problem.block(0, problem.num_clients)
    worth = block.value.astype(np.float64)
    worth = np.where(block.allowed, worth, 0.0) if block.allowed is not None else worth
    budget = block.budget + 1e-9 * np.where(np.isfinite(block.budget), block.budget, 0.0)
    return block, worth, budget


def _of_relaxation(truth: Truth, problem: AlignmentProblem, best: list[float | None]) -> str | None:
    block, worth, budget = _read(problem)
    rows = budget_rows(block, budget)
    for choose in (True, False):
        for rate in (np.zeros(budget.shape), np.ones(budget.shape)):
            answer = relax_rows(rows, worth, rate, choose=choose)
            for i, optimum in enumerate(best):
                told = _of_row(truth, i, worth[i], optimum, answer.bound[i], answer.chosen[i], answer.worth[i])
                if told is not None:
                    return f"relax_rows, client {i}, choose={choose}: {told}"
    return None


def _of_row(
    truth: Truth, i: int, worth: Any, optimum: float | None, bound: float, chosen: Any, reached: float
) -> str | None:  # fmt: skip
    """A bound is not below the optimum, a choice is possible and worth what it says."""
    size = float(np.abs(worth).sum())
    if optimum is None:
        return None if reached == -np.inf else "there is no choice, and one was found"
    if not bound >= optimum - ROUNDED * size:
        return f"the bound {bound!r} is below the optimum {optimum!r}"
    if reached == -np.inf:
        return None
    if not (truth.rows[i].choices == chosen.astype(np.int64)).all(axis=1).any():
        return f"the choice {np.flatnonzero(chosen).tolist()} is not possible"
    if abs(float(worth[chosen].sum()) - reached) > ROUNDED * size:
        return f"the choice is worth {float(worth[chosen].sum())!r}, not {reached!r}"
    return None


def _of_search(truth: Truth, problem: AlignmentProblem, best: list[float | None]) -> str | None:
    block, worth, _ = _read(problem)
    value, feasible, chosen = best_rows_within_budgets(block, worth)
    for i, optimum in enumerate(best):
        if bool(feasible[i]) != (optimum is not None):
            return f"best_rows_within_budgets, client {i}: feasible is {bool(feasible[i])}, the optimum is {optimum!r}"
        if optimum is None:
            continue
        told = _of_row(truth, i, worth[i], optimum, value[i], chosen[i], value[i])
        told = told or ("it is not exact" if value[i] > optimum + ROUNDED * float(np.abs(worth[i]).sum()) else None)
        if told is not None:
            return f"best_rows_within_budgets, client {i}: {told}"
    return None


def _fault(drawn: Drawn, told: str) -> Fault:
    truth = Truth(drawn)
    lines = ["def test_found_by_fuzzing():", *written(drawn)]
    lines += ["    block = problem.block(0, problem.num_clients)",
              "    worth = block.value if block.allowed is None else np.where(block.allowed, block.value, 0.0)",
              "    rows = budget_rows(block, block.budget * (1 + 1e-9))",
              "    bound = relax_rows(rows, worth, np.zeros(block.budget.shape)).bound",
              "    value, feasible, chosen = best_rows_within_budgets(block, worth)",
              f"    # {told}; the optima are:",
              f"    optima = {[_best(truth, i) for i in range(drawn.shape[0])]}"]  # fmt: skip
    return Fault("", told, "\n".join(lines))


def _long_row(rng: np.random.Generator, tally: Tally) -> Fault | None:
    """A row of dozens to hundreds of experts with one budget of whole numbers: its optimum is a table of sums."""
    e, n = int(pick(rng, [41, 60, 120, 257, 300, 400])), 3
    cost, worth = rng.integers(1, 12, e), rng.integers(-20, 60, (n, e))
    budget = rng.integers(0, 4 * e, n)
    group = np.sort(rng.integers(0, int(rng.integers(1, 6)), e)) if rng.random() < 0.5 else np.zeros(e, dtype=int)
    forced = int(rng.integers(0, 2))
    num_groups = int(group.max()) + 1
    if rng.random() < 0.5:  # experts of few sizes
        cost = rng.integers(1, 12, num_groups)[group] if num_groups > 1 else rng.integers(1, 12, 3)[cost % 3]
    problem = AlignmentProblem(
        worth.astype(np.float64), client_capacity=e, expert_group=group, group_demand=forced,
        client_budget=budget.astype(np.float64)[:, None], expert_cost=cost.astype(np.float64)[:, None],
    )  # fmt: skip
    tally.counts["long rows asked"] += n
    block = problem.block(0, n)
    value, feasible, chosen = in_time(lambda: best_rows_within_budgets(block, block.value))
    bound = in_time(lambda: relax_rows(budget_rows(block, block.budget), block.value, np.zeros((n, 1)))).bound
    for i in range(n):
        optimum = table_of_sums(worth[i], cost, int(budget[i]), group, num_groups, forced)
        told = None
        if optimum is None:
            told = "feasible" if feasible[i] or bound[i] > -np.inf else None
        elif not feasible[i] or min(value[i], bound[i]) < optimum - 1e-9:
            told = f"value {value[i]!r}, relaxed {bound[i]!r}, feasible {bool(feasible[i])}"
        elif cost[chosen[i]].sum() > budget[i] or worth[i][chosen[i]].sum() > optimum:
            told = "the choice is not possible"
        if told is not None:
            code = (f"worth, cost, group = {worth[i].tolist()}, {cost.tolist()}, {group.tolist()}\n"
                    f"budget, demand, optimum = {budget[i]}, {forced}, {optimum}")  # fmt: skip
            return Fault("", f"a row of {e} experts, optimum {optimum}: {told}", code)
    return None


def table_of_sums(
    worth: Any, cost: Any, budget: int, group: Any, num_groups: int, forced: int
) -> int | None:  # fmt: skip
    """The most worth within a budget, at least ``forced`` experts of each group."""
    none = -(10**9)
    best = np.full(budget + 1, none)
    best[0] = 0
    for g in range(num_groups):
        own = np.flatnonzero(group == g)
        # One table for each number of experts up to what is demanded.
        table = np.full((forced + 1, budget + 1), none)
        table[0] = best
        for j in own:
            for k in range(forced, -1, -1):
                moved = np.full(budget + 1, none)
                if cost[j] <= budget:
                    moved[cost[j] :] = table[k][: budget + 1 - cost[j]] + worth[j]
                table[min(k + 1, forced)] = np.maximum(table[min(k + 1, forced)], moved)
        best = table[min(forced, forced)] if len(own) or forced == 0 else np.full(budget + 1, none)
    most = int(best.max())
    return None if most < none // 2 else most
