"""The price solver against an independent oracle (HiGHS through scipy), on every feature, corner and promise."""

import math
import time
from typing import Any

import numpy as np
import pytest
from scipy import optimize, sparse

from alignsolve import AlignmentProblem, Proof, RowBlocks, Status, WarmStart, solve
from alignsolve.solvers.price.engine_numba import NumbaEngine
from alignsolve.solvers.price.engine_numpy import NumpyEngine
from alignsolve.solvers.price.pricing import Pass
from alignsolve.solvers.price.sample import Sample
from alignsolve.solvers.price.solver import Price


def oracle(problem: AlignmentProblem) -> float | None:
    """Optimum by HiGHS on the problem written down as a MILP; None if it is infeasible."""
    n, e = problem.shape
    values = problem.values().astype(np.float64)
    allowed = np.ones((n, e), dtype=bool) if problem.eligible is None else problem.eligible
    required = np.zeros((n, e), dtype=bool) if problem.required is None else problem.required
    lower, upper = np.zeros(n * e + 2 * e), np.full(n * e + 2 * e, np.inf)
    lower[: n * e], upper[: n * e] = required.ravel(), allowed.ravel()
    if (lower > upper).any():
        return None
    over, short = problem.overload_penalty, problem.shortfall_penalty
    upper[n * e : n * e + e] = np.where(np.isfinite(over), np.inf, 0)
    upper[n * e + e :] = np.where(np.isfinite(short), np.inf, 0)
    cost = np.concatenate([np.where(allowed, -values, 0).ravel(), *(np.where(np.isfinite(p), p, 0) for p in (over, short))])
    eye, one = sparse.eye_array, np.ones((1, e))
    none = sparse.csr_array((n, 2 * e))
    rows = [(sparse.hstack([sparse.kron(eye(n), one), none]), problem.client_demand, problem.client_capacity)]
    for g in range(problem.num_groups):
        member = (problem.expert_group == g)[None, :].astype(float)
        rows.append(
            (
                sparse.hstack([sparse.kron(eye(n), member), none]),
                problem.group_demand[:, g],
                problem.group_capacity[:, g],
            )
        )
    load = sparse.kron(np.ones((1, n)), eye(e))
    free = np.full(e, np.inf)
    rows.append((sparse.hstack([load, -eye(e), 0 * eye(e)]), -free, problem.expert_capacity))
    rows.append((sparse.hstack([load, 0 * eye(e), eye(e)]), problem.expert_demand, free))
    constraints = [optimize.LinearConstraint(sparse.csc_array(a), low, high) for a, low, high in rows]
    integrality = np.concatenate([np.ones(n * e), np.zeros(2 * e)])
    options = {"mip_rel_gap": 0.0}
    bounds = optimize.Bounds(lower, upper)
    found = optimize.milp(cost, constraints=constraints, bounds=bounds, integrality=integrality, options=options)
    assert found.status in (0, 2), found.message
    return None if found.status == 2 else -found.fun


def random_values(rng: np.random.Generator, n: int, e: int) -> Any:
    """Fitness of one of many kinds."""
    kinds = [
        lambda: rng.random((n, e)),
        lambda: rng.normal(size=(n, e)),
        lambda: rng.integers(-3, 4, (n, e)),
        lambda: rng.integers(-1000, 1000, (n, e)).astype(np.int32),
        lambda: np.zeros((n, e)),
        lambda: np.full((n, e), 7),
        lambda: rng.random((n, 1)) + rng.random((1, e)),
        lambda: rng.integers(0, 5, (n, 1)) + rng.integers(0, 5, (1, e)),
        lambda: np.repeat(rng.random((-(-n // 4), e)), 4, axis=0)[:n],
        lambda: rng.random((n, e)).astype(np.float32),
        lambda: rng.random((n, 1)) * rng.random((1, e)),
        lambda: np.where(rng.random((n, e)) < 1.5 / (n * e), 1e9, rng.random((n, e))),
        lambda: rng.integers(0, 2, (n, e)).astype(bool),
        lambda: rng.integers(-(2**53), 2**53, (n, e), endpoint=True),
    ]
    return kinds[rng.integers(len(kinds))]()


def random_problem(rng: np.random.Generator, most_clients: int, most_experts: int) -> AlignmentProblem:
    """A problem of the cardinality class with any of its features; often feasible, not always."""
    n, e = int(rng.integers(1, most_clients + 1)), int(rng.integers(1, most_experts + 1))
    given: dict[str, Any] = {"fitness": random_values(rng, n, e)}
    capacity = rng.integers(0, min(e, 4) + 1, n)
    given["client_capacity"] = capacity
    if rng.random() < 0.5:
        given["client_demand"] = np.minimum(capacity, rng.integers(0, 3, n))
    share = capacity.sum() / e
    if rng.random() < 0.7:
        given["expert_capacity"] = np.maximum(0, np.rint(share * rng.uniform(0.4, 2.0, e)))
    if rng.random() < 0.6:
        given["expert_demand"] = np.rint(share * rng.uniform(0.0, 0.9, e))
        if rng.random() < 0.7 and "expert_capacity" in given:
            given["expert_demand"] = np.minimum(given["expert_demand"], given["expert_capacity"])
    if rng.random() < 0.3:
        given["eligible"] = rng.random((n, e)) < 0.8
    if rng.random() < 0.2:
        given["required"] = rng.random((n, e)) < 0.04
    whole = np.asarray(given["fitness"]).dtype.kind != "f"
    for field in ("overload_penalty", "shortfall_penalty"):
        if rng.random() < 0.3:
            penalty = rng.integers(0, 3, e) if whole else rng.random(e)
            given[field] = np.where(rng.random(e) < 0.7, penalty, np.inf)
    if "overload_penalty" in given and "expert_capacity" in given and rng.random() < 0.3:
        given["expert_capacity"] = given["expert_capacity"] + rng.choice([0.0, 0.25, 0.5], e)
    if rng.random() < 0.2:
        given["switching_cost"] = int(rng.integers(0, 3)) if whole else rng.random()
        given["previous"] = rng.random((n, e)) < 0.3
    if rng.random() < 0.35 and e > 1:
        g = int(rng.integers(1, 4))
        group = np.sort(rng.integers(0, g, e))
        given["expert_group"] = np.unique(group, return_inverse=True)[1]
        g = int(given["expert_group"].max()) + 1
        given["group_capacity"] = rng.integers(0, 4, (n, g)) if rng.random() < 0.5 else 3
        given["group_demand"] = rng.integers(0, 2, g) * (rng.random() < 0.5)
        given["client_capacity"] = np.maximum(capacity, np.broadcast_to(given["group_demand"], (n, g)).sum(axis=1))
    return AlignmentProblem(**given)


def check(problem: AlignmentProblem, solver: Price, **options: Any) -> str:
    """Compare with the oracle; returns what the outcome was."""
    wanted = oracle(problem)
    solution = solve(problem, solver=solver, throw=False, **options)
    if wanted is None:
        assert solution.status is Status.INFEASIBLE, solution
        assert solution.witness is not None
        return "infeasible"
    assert solution.status is Status.OPTIMAL, solution
    assert solution.proof is Proof.PRICES
    assert solution.objective is not None
    scale = max(1.0, float(np.abs(np.where(np.isfinite(problem.values()), problem.values(), 0)).max(initial=0)))
    assert solution.objective == pytest.approx(wanted, rel=1e-9, abs=1e-7 * scale)
    if problem.integral and scale < 2**40:
        assert solution.objective == solution.bound == round(wanted)
    return "optimal"


SMALL = Price(clients_per_expert=2, growth=2, core_per_unit=1.0)
"""So small a first sample and core that even tiny problems go through every step."""


@pytest.mark.parametrize("solver", [Price(), SMALL], ids=["default", "small"])
def test_equals_the_oracle_on_random_problems(solver: Price) -> None:
    rng = np.random.default_rng(7)
    outcomes = [check(random_problem(rng, 60, 8), solver) for _ in range(60)]
    assert outcomes.count("optimal") > 20
    assert outcomes.count("infeasible") > 3
