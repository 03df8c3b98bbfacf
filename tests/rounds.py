"""Rounds of a simulated federated run, and an independent solver for them; for the tests of the aligner."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.optimize import linprog

from alignsolve import Aligner, AlignerState, Answer, Geometry, Outcome, Report, Solution


def linprog_solver(problem: Any, **_: Any) -> Answer:
    """Solve cardinality problems without groups, soft bounds included, by SciPy's linear programming."""
    n, e = problem.shape
    hard = [np.isinf(penalty) for penalty in (problem.overload_penalty, problem.shortfall_penalty)]
    excess = np.where(hard[0], 0.0, problem.overload_penalty)
    lack = np.where(hard[1], 0.0, problem.shortfall_penalty)
    cost = np.concatenate([-problem.values().ravel(), excess, lack])
    per_client = np.hstack([np.kron(np.eye(n), np.ones(e)), np.zeros((n, 2 * e))])
    per_expert = np.kron(np.ones(n), np.eye(e))
    over = np.hstack([per_expert, -np.eye(e), np.zeros((e, e))])
    short = np.hstack([-per_expert, np.zeros((e, e)), -np.eye(e)])
    bounded = np.isfinite(problem.expert_capacity)
    limits = [problem.client_capacity, -problem.client_demand, problem.expert_capacity[bounded], -problem.expert_demand]
    slack = [(0, 0 if is_hard else None) for is_hard in np.concatenate(hard)]
    found = linprog(
        cost,
        A_ub=np.vstack([per_client, -per_client, over[bounded], short]),
        b_ub=np.concatenate(limits),
        bounds=[(0, 1)] * (n * e) + slack,
        method="highs-ds",
        options={"dual_feasibility_tolerance": 1e-10, "primal_feasibility_tolerance": 1e-10},
    )
    if found.x is None:
        return Answer()
    dual = -found.ineqlin.marginals[2 * n :]
    prices = -dual[bounded.sum() :]
    prices[bounded] += dual[: bounded.sum()]
    return Answer(x=found.x[: n * e].reshape(n, e) > 0.5, prices=prices)


def reports_of(
    solution: Solution, cohort: Sequence[int], num_experts: int, rng: np.random.Generator, *, dropouts: float = 0.0
) -> list[Report]:
    """Return reports with random measures; some clients drop out."""
    x = solution.x
    assert x is not None
    reports = []
    for row, client in zip(x, cohort, strict=True):
        experts = np.flatnonzero(row)
        gone = rng.random() < dropouts
        measures: dict[str, Any] = {"outcome": Outcome.DROPPED}
        if not gone:
            size = len(experts)
            measures = {"usage": rng.random(size), "loss": rng.exponential(size=size), "accuracy": rng.random(size)}
            measures["router_mass"] = rng.dirichlet(np.ones(num_experts))
            measures["geometry"] = _geometry(int(client), float(measures["router_mass"][0]))
        reports.append(Report(int(client), experts, num_examples=10, seconds=1.0, **measures))
    return reports


def _geometry(client: int, noise: float) -> Geometry:
    """Return a geometry of one of three domains; it has random numbers of its own, and changes no others."""
    domain, own = np.random.default_rng(client % 3), np.random.default_rng(int(noise * 2**40))
    head, body = (domain.normal(size=size) + 0.5 * own.normal(size=size) for size in ((4, 3), 6))
    return Geometry(head, own.random(4) < 0.7, body)


def completed_loads(reports: Sequence[Report], num_experts: int) -> np.ndarray:
    """Return the completed assignments of each expert."""
    loads = np.zeros(num_experts)
    for report in reports:
        if report.outcome is Outcome.COMPLETED:
            loads[report.experts] += 1
    return loads


def play(
    aligner: Aligner,
    state: AlignerState,
    *,
    rounds: int,
    cohort_size: int,
    rng: np.random.Generator,
    dropouts: float = 0.0,
) -> tuple[list[Solution], np.ndarray, AlignerState]:
    """Run rounds with random cohorts; return the solutions, the completed loads by round, and the last state."""
    solutions, loads = [], []
    for _ in range(rounds):
        cohort = np.sort(rng.choice(state.num_clients, size=cohort_size, replace=False))
        solution, state = aligner.align(state, cohort)
        reports = reports_of(solution, cohort, state.num_experts, rng, dropouts=dropouts)
        state = aligner.observe(state, reports)
        solutions.append(solution)
        loads.append(completed_loads(reports, state.num_experts))
    return solutions, np.array(loads), state


def variation(loads: np.ndarray) -> float:
    """Return the coefficient of variation."""
    return float(loads.std() / loads.mean())
