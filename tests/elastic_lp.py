"""The cheapest repair by an independent way: the elastic program, built for scipy from the problem's data alone."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from alignsolve import AlignmentProblem
from tests.oracle import row_choices

DEFAULTS = {
    "expert_demand": 1.0,
    "expert_capacity": 1.0,
    "set_demand": 1.0,
    "set_capacity": 1.0,
    "client_demand": 1.0,
    "client_capacity": 1.0,
    "group_demand": 1.0,
    "group_capacity": 1.0,
    "required": 1.0,
    "client_budget": math.inf,
}


class Elastic:
    """Rows and columns, added one by one: first the pairs, then the amount by which each bound is missed."""

    def __init__(self, problem: AlignmentProblem) -> None:
        allowed = np.ones(problem.shape, dtype=bool) if problem.eligible is None else problem.eligible
        self.pair = {(int(i), int(j)): k for k, (i, j) in enumerate(np.argwhere(allowed))}
        self.cost = [0.0] * len(self.pair)
        self.rows: list[tuple[dict[int, float], float, float]] = []

    def bound(self, terms: dict[int, float], least: float, most: float, lack: float, excess: float) -> None:
        """Add a row least ≤ Σ terms ≤ most; each side may be missed at its price per unit, inf: never."""
        unit = max(terms.values(), default=0.0) or 1.0
        for limit, sign, price in ((least, 1.0, lack), (most, -1.0, excess)):
            if math.isinf(limit):
                continue
            row = {k: value / unit for k, value in terms.items()}
            if math.isfinite(price):
                row[len(self.cost)] = sign
                self.cost.append(price * unit)
            room = 1e-10 * limit / unit
            self.rows.append(
                (row, limit / unit - room, math.inf) if sign > 0 else (row, -math.inf, limit / unit + room)
            )

    def optimum(self, *, integer: bool) -> float | None:
        """Return the least cost; None if the elastic program has no solution."""
        matrix = np.zeros((len(self.rows), len(self.cost)))
        for k, (row, _, _) in enumerate(self.rows):
            for column, value in row.items():
                matrix[k, column] = value
        least = np.array([low for _, low, _ in self.rows])
        most = np.array([high for _, _, high in self.rows])
        upper = np.where(np.arange(len(self.cost)) < len(self.pair), 1.0, np.inf)
        if not self.cost:
            return 0.0 if ((least <= 0) & (most >= 0)).all() else None
        scale = max(1e-300, *self.cost)
        result = milp(
            np.array(self.cost) / scale,
            integrality=(np.arange(len(self.cost)) < len(self.pair)) * int(integer),
            bounds=Bounds(0.0, upper),
            constraints=[LinearConstraint(matrix, least, most)] if self.rows else [],
            options={"mip_rel_gap": 0.0, "presolve": False},  # which errs on parallel rows
        )
        if result.status == 2:
            return None
        assert result.status == 0, result.message
        return float(result.fun) * scale


def elastic_optimum(problem: AlignmentProblem, weights: Mapping[str, Any], *, integer: bool) -> float | None:
    """Return the least Σ weight·amount over repairs of experts' hard bounds and of contradictory clients' bounds."""
    paid = {**DEFAULTS, **weights}
    program = Elastic(problem)
    for j in range(problem.num_experts):
        load = {k: 1.0 if problem.client_load is None else float(problem.client_load[i, j])
                for (i, own), k in program.pair.items() if own == j}  # fmt: skip
        least = problem.expert_demand[j] if math.isinf(problem.shortfall_penalty[j]) else 0.0
        most = problem.expert_capacity[j] if math.isinf(problem.overload_penalty[j]) else math.inf
        weight = [np.broadcast_to(paid[kind], problem.num_experts)[j] for kind in ("expert_demand", "expert_capacity")]
        program.bound(load, float(least), float(most), *map(float, weight))
    for s in range(problem.num_sets):
        load = {k: 1.0 if problem.client_load is None else float(problem.client_load[i, j])
                for (i, j), k in program.pair.items() if problem.expert_sets[s, j]}  # fmt: skip
        least = problem.set_demand[s] if math.isinf(problem.set_shortfall_penalty[s]) else 0.0
        most = problem.set_capacity[s] if math.isinf(problem.set_overload_penalty[s]) else math.inf
        weight = [np.broadcast_to(paid[kind], problem.num_sets)[s] for kind in ("set_demand", "set_capacity")]
        program.bound(load, float(least), float(most), *map(float, weight))
    for i in range(problem.num_clients):
        own = dict.fromkeys(DEFAULTS, math.inf) if row_choices(problem, i) else paid
        _add_client(program, problem, i, own)
    return program.optimum(integer=integer)


def _add_client(program: Elastic, problem: AlignmentProblem, i: int, paid: Mapping[str, float]) -> None:
    pairs = {j: program.pair[i, j] for j in range(problem.num_experts) if (i, j) in program.pair}
    program.bound(
        dict.fromkeys(pairs.values(), 1.0),
        float(problem.client_demand[i]),
        float(problem.client_capacity[i]),
        paid["client_demand"],
        paid["client_capacity"],
    )
    for g in range(problem.num_groups):
        members = {pairs[j]: 1.0 for j in pairs if problem.expert_group[j] == g}
        limits = float(problem.group_demand[i, g]), float(problem.group_capacity[i, g])
        program.bound(members, *limits, paid["group_demand"], paid["group_capacity"])
    for j in range(problem.num_experts):
        if problem.required is not None and problem.required[i, j]:
            program.bound({pairs[j]: 1.0} if j in pairs else {}, 1.0, math.inf, paid["required"], math.inf)
    for r in range(0 if problem.client_budget is None else problem.client_budget.shape[1]):
        cost = {k: float(problem.expert_cost[i, j, r]) for j, k in pairs.items()}
        program.bound(cost, -math.inf, float(problem.client_budget[i, r]), math.inf, paid["client_budget"])
