"""The price solver against an independent oracle (HiGHS through scipy), on every feature and corner case."""

import itertools
import math
import time
from typing import Any

import numpy as np
import pytest
from scipy import optimize, sparse

from alignsolve import AlignmentProblem, Proof, RowBlocks, Status, WarmStart, solve
from alignsolve.solvers.common.sample import Sample
from alignsolve.solvers.price.engine_numba import NumbaEngine
from alignsolve.solvers.price.engine_numpy import NumpyEngine
from alignsolve.solvers.price.pricing import Pass
from alignsolve.solvers.price.solver import Price


def oracle(problem: AlignmentProblem) -> float | None:
    """Return the optimum of the problem as a MILP, by HiGHS; None if it is infeasible."""
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
    cost = np.concatenate(
        [np.where(allowed, -values, 0).ravel(), *(np.where(np.isfinite(p), p, 0) for p in (over, short))]
    )
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
    """Return a fitness of one of many kinds."""
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
    """Return a problem of the cardinality class with random features; it is often feasible."""
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
    """Compare with the oracle, and return the outcome."""
    return compare(problem, oracle(problem), solver, **options)


def compare(problem: AlignmentProblem, wanted: float | None, solver: Price, **options: Any) -> str:
    """Compare with what the oracle found, and return the outcome."""
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


SMALL = Price(direct_clients=0, clients_per_expert=2, growth=2, core_per_unit=1.0)
"""So small a first sample and core that even tiny problems go through every step."""


@pytest.mark.parametrize("solver", [Price(), SMALL], ids=["default", "small"])
def test_equals_the_oracle_on_random_problems(solver: Price) -> None:
    rng = np.random.default_rng(7)
    outcomes = [check(random_problem(rng, 60, 8), solver) for _ in range(60)]
    assert outcomes.count("optimal") > 20
    assert outcomes.count("infeasible") > 3


@pytest.mark.kernels
@pytest.mark.parametrize("solver", [Price(), SMALL], ids=["default", "small"])
def test_small_problems_take_every_step_right(solver: Price) -> None:
    rng = np.random.default_rng(3)
    outcomes = [check(random_problem(rng, 16, 6), solver) for _ in range(40)]
    assert outcomes.count("optimal") > 10


@pytest.mark.slow
def test_equals_the_oracle_on_hundreds_of_random_problems() -> None:
    """Both solvers are compared with one answer of the oracle, which takes longest."""
    rng, outcomes = np.random.default_rng(11), []
    for _ in range(300):
        problem = random_problem(rng, 200, 12)
        wanted = oracle(problem)
        outcomes += [compare(problem, wanted, solver) for solver in (Price(), SMALL)]
    assert outcomes.count("optimal") > 240
    assert outcomes.count("infeasible") > 20


def test_a_window_below_a_quantum_is_widened() -> None:
    """Doubling a window of 0 never ended."""
    rng = np.random.default_rng(11)
    for _ in range(550):
        problem = random_problem(rng, 200, 12)
    assert check(problem, SMALL) == "optimal"


def test_a_window_may_be_wider_than_64_bits() -> None:
    """Where nobody has room, windows grow without end; random problems ended in an OverflowError."""
    rng = np.random.default_rng(11)
    fitness = rng.integers(-(2**53), 2**53, (2, 6))
    fitness[0, 4], fitness[1, 0] = -8968996448768193, 8953331776140941
    demand = [0, 1]
    problem = AlignmentProblem(fitness, expert_capacity=0, client_capacity=demand, client_demand=demand)
    assert check(problem, Price()) == check(problem, SMALL) == "infeasible"


def bounded(fitness: Any, **options: Any) -> AlignmentProblem:
    """Return a problem with client capacities 1..3 and experts' bounds 15 % around the mean load."""
    n, e = fitness.shape
    capacity = np.random.default_rng(5).integers(1, 4, n)
    share = capacity.sum() / e
    bounds = {"expert_capacity": math.ceil(1.15 * share), "expert_demand": math.floor(0.85 * share)}
    return AlignmentProblem(fitness, client_capacity=capacity, **(bounds | options))


def common_kinds() -> dict[str, Any]:
    """Return fitness matrices, 3000 x 16, of kinds that are hard for solvers."""
    rng, n, e = np.random.default_rng(2), 3000, 16
    outlier = rng.random((n, e))
    outlier[7, 3] = 1e9
    return {
        "uniform": rng.random((n, e)),
        "single": rng.random((n, e)).astype(np.float32),
        "half": rng.random((n, e)).astype(np.float16),
        "popular": rng.random((n, e)) + rng.random(e),
        "additive": rng.random((n, 1)) + rng.random((1, e)),
        "whole additive": rng.integers(0, 99, (n, 1)) + rng.integers(0, 99, (1, e)),
        "rank1": rng.random((n, 1)) * rng.random((1, e)),
        "ties": rng.integers(0, 3, (n, e)),
        "constant": np.ones((n, e)),
        "zero": np.zeros((n, e)),
        "duplicated": rng.random((10, e))[rng.integers(0, 10, n)],
        "outlier": outlier,
        "negative": -rng.random((n, e)),
        "wide": rng.integers(-(2**53), 2**53, (n, e)),
        "bytes": rng.integers(0, 255, (n, e)).astype(np.uint8),
        "tiny": 1e-300 * rng.random((n, e)),
        "huge": 1e130 * rng.random((n, e)),
    }


@pytest.mark.parametrize("kind", common_kinds())
def test_proves_its_optimum_on_every_kind_of_fitness(kind: str) -> None:
    problem = bounded(common_kinds()[kind], client_demand=1)
    solution = solve(problem, solver="price")
    assert solution.status is Status.OPTIMAL
    assert solution.proof is Proof.PRICES
    assert solution.gap <= 1e-11
    if problem.integral and kind != "wide":
        assert solution.bound == solution.objective


@pytest.mark.parametrize("kind", ["popular", "ties", "additive"])
def test_threads_change_nothing(kind: str) -> None:
    problem = bounded(np.repeat(common_kinds()[kind], 40, axis=0))
    first, *others = [solve(problem, solver="price", threads=threads) for threads in (1, 2, 4)]
    for other in others:
        np.testing.assert_array_equal(other.assigned.experts, first.assigned.experts)
        np.testing.assert_array_equal(other.prices, first.prices)


@pytest.mark.parametrize("kind", ["popular", "ties", "whole additive", "outlier"])
def test_a_warm_start_changes_only_the_time(kind: str) -> None:
    fitness = common_kinds()[kind]
    before = solve(bounded(fitness), solver="price")
    changed = fitness.copy()
    changed[::100] = fitness[1::100]
    cold = solve(bounded(changed), solver="price")
    warm = solve(bounded(changed), solver="price", warm_start=before)
    assert warm.status is Status.OPTIMAL
    assert warm.objective == pytest.approx(cold.objective, rel=1e-12)
    wild = WarmStart(prices=np.linspace(-1e6, 1e6, fitness.shape[1]))
    assert solve(bounded(changed), solver="price", warm_start=wild).objective == pytest.approx(
        cold.objective, rel=1e-12
    )


def test_fitness_in_blocks_gives_the_same_answer_as_in_memory() -> None:
    fitness = np.repeat(common_kinds()["popular"], 30, axis=0)
    blocks = RowBlocks(fitness.shape, fitness.dtype, lambda start, stop: fitness[start:stop])
    whole, blocked = (solve(bounded(given), solver="price") for given in (fitness, blocks))
    assert blocked.objective == whole.objective
    np.testing.assert_array_equal(blocked.assigned.experts, whole.assigned.experts)


def test_fitness_that_may_not_be_written_is_read_all_the_same() -> None:
    fitness = common_kinds()["popular"]
    fitness.flags.writeable = False
    assert solve(bounded(fitness), solver="price").status is Status.OPTIMAL
    turned = np.asfortranarray(fitness)
    assert solve(bounded(turned), solver="price").status is Status.OPTIMAL


def test_a_deadline_returns_what_is_feasible() -> None:
    fitness = np.repeat(common_kinds()["popular"], 100, axis=0)
    soft = bounded(fitness, overload_penalty=0.5, shortfall_penalty=0.5)
    solve(soft, solver="price", time_limit=0.0)  # compiles, before the clock starts
    started = time.monotonic()
    solution = solve(soft, solver="price", time_limit=0.0)
    assert time.monotonic() - started < 5.0
    assert solution.status in (Status.FEASIBLE, Status.OPTIMAL)
    earlier = solve(bounded(fitness), solver="price")
    kept = solve(bounded(fitness), solver="price", warm_start=WarmStart(earlier.assigned), time_limit=0.0)
    assert kept.objective is not None


def test_progress_is_told() -> None:
    told: list[Any] = []
    solve(bounded(common_kinds()["popular"]), solver="price", progress=told.append)
    assert told
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(told))


@pytest.mark.parametrize(
    ("fields", "side"),
    [
        ({"expert_capacity": 10, "expert_demand": 0, "client_demand": 1}, "capacity"),
        ({"expert_capacity": None, "expert_demand": 500}, "demand"),
        ({"expert_capacity": 100, "expert_demand": 200}, "demand"),
    ],
)
def test_what_cannot_be_has_a_witness(fields: dict[str, Any], side: str) -> None:
    solution = solve(bounded(common_kinds()["popular"], **fields), solver="price", throw=False)
    assert solution.status is Status.INFEASIBLE
    assert solution.witness is not None
    assert solution.witness.side == side


def random_block(seed: int) -> tuple[AlignmentProblem, Any]:
    rng = np.random.default_rng(seed)
    problem = random_problem(rng, 40, 8)
    prices = rng.integers(-2, 3, problem.num_experts) if problem.integral else rng.normal(size=problem.num_experts)
    return problem, prices


@pytest.mark.kernels
@pytest.mark.parametrize("seed", range(40))
def test_engines_agree(seed: int) -> None:
    """The compiled pass and the plain one make the same choices, up to ties, and find the same margins."""
    problem, prices = random_block(seed)
    fast, plain = (Pass.run(Sample(problem, 1), engine, prices, 1) for engine in (NumbaEngine(), NumpyEngine()))
    if problem.client_demand.sum() > problem.client_capacity.sum():
        return
    fast_value, plain_value = (sum(chunk.dual for chunk in each.chunks) for each in (fast, plain))
    assert fast_value == pytest.approx(plain_value, rel=1e-12, abs=1e-12)
    if (plain.margins > 0).all() and (plain.ground_margins > 0).all():
        np.testing.assert_array_equal(fast.loads, plain.loads)
    np.testing.assert_allclose(fast.margins, plain.margins, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", ["popular", "ties", "whole additive"])
def test_the_plain_engine_solves_too(kind: str) -> None:
    problem = bounded(common_kinds()[kind])
    assert solve(problem, solver=Price(engine=NumpyEngine())).objective == pytest.approx(
        solve(problem, solver="price").objective, rel=1e-12
    )


@pytest.mark.parametrize("largest", [2**31, 2**50])
def test_large_integers_are_proven_to_the_last_unit(largest: int) -> None:
    fitness = np.random.default_rng(0).integers(-largest, largest, (300, 8), endpoint=True)
    solution = solve(bounded(fitness, expert_demand=30, expert_capacity=60), solver="price")
    assert isinstance(solution.bound, int)
    assert solution.bound == solution.objective


@pytest.mark.parametrize(
    ("fields", "best"),
    [
        ({"fitness": [[1e-300, 0.0, 1.0]], "expert_capacity": 0.0}, 0.0),
        ({"fitness": [[1e-300]], "expert_capacity": 0, "overload_penalty": 0.5}, 0.0),
        ({"fitness": [[1e-300, 1.0]], "expert_capacity": [1.0, 0.0]}, 1e-300),
    ],
)
def test_prices_far_above_the_core_s_fitness_are_beyond_all_quanta(fields: dict[str, Any], best: float):
    """The fuzzer found an OverflowError, and a RuntimeWarning."""
    solution = solve(AlignmentProblem(**fields), "price")
    assert (solution.status, solution.objective) == (Status.OPTIMAL, best)
