"""The check counts towards the time limit: time is reserved for it, and a late answer gets a cheaper bound."""

import math
import time

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Answer, RowBlocks, solve
from alignsolve.certificate.bound import bound
from alignsolve.certificate.time_reserve import LARGEST_SHARE, checking_seconds
from alignsolve.certificate.witness import contradiction
from alignsolve.subproblem import dispatch
from problems import FAMILIES
from problems.layered import layered


def paid(num_clients: int) -> AlignmentProblem:
    return FAMILIES["budgets"](np.random.default_rng(0), num_clients=num_clients, num_experts=16)


@pytest.fixture
def too_late(monkeypatch):
    """No time for relaxing clients either."""
    monkeypatch.setattr("alignsolve.certificate.bound.LATE", -math.inf)


def test_a_late_bound_leaves_budgets_out_and_is_still_one(too_late):
    problem, prices = paid(200), np.full(16, 0.3)
    exact, late = problem.bound(prices), bound(problem, prices, deadline=-math.inf).value
    assert late > exact
    free = AlignmentProblem(
        problem.fitness,
        client_capacity=problem.client_capacity,
        client_demand=problem.client_demand,
        expert_capacity=problem.expert_capacity,
        expert_demand=problem.expert_demand,
    )
    assert late == pytest.approx(free.bound(prices), rel=1e-12)


def test_clients_who_are_a_little_late_are_relaxed(monkeypatch):
    """No search, so that thousands are bounded in time; and budgets count, so that the bound is near."""
    problem, prices = paid(200), np.full(16, 0.3)
    monkeypatch.setattr("alignsolve.certificate.bound.LATE", math.inf)
    exact, late = problem.bound(prices), bound(problem, prices, deadline=-math.inf).value
    monkeypatch.setattr("alignsolve.certificate.bound.LATE", -math.inf)
    without = bound(problem, prices, deadline=-math.inf).value
    assert exact <= late <= exact + 0.05 * (without - exact)


def test_late_clients_of_a_large_layered_problem_are_solved_by_compiled_code(monkeypatch, too_late):
    problem = layered(np.random.default_rng(0), num_clients=20, num_experts=1024, model="olmoe-1b-7b", totals="bytes",
                      mixed=True)  # fmt: skip
    prices, looked = np.linspace(0.0, 0.5, 1024), []
    late = bound(problem, prices, deadline=-math.inf).value
    monkeypatch.setattr(dispatch, "has_large_groups", lambda block: looked.append(block) and False)
    assert late == pytest.approx(bound(problem, prices, deadline=-math.inf).value, rel=1e-12)
    assert looked
    assert late > bound(problem, prices).value


@pytest.mark.parametrize("family", ["popular", "weighted", "budgets"])
def test_what_is_kept_back_grows_with_the_problem_and_leaves_most_of_the_limit(family: str):
    rng = np.random.default_rng(0)
    small = FAMILIES[family](rng, num_clients=50, num_experts=8)
    large = FAMILIES[family](rng, num_clients=40_000, num_experts=64)
    assert checking_seconds(small, 1.0, None) == 0.0
    assert checking_seconds(large, 1e9, None) > 0.0
    assert checking_seconds(large, 1e-9, None) <= LARGEST_SHARE * 1e-9


def test_time_to_read_the_fitness_twice_is_kept_back_whatever_its_share():
    fitness = np.random.default_rng(0).random((500, 8))

    def read(start: int, stop: int) -> np.ndarray:
        time.sleep(0.05)
        return fitness[start:stop]

    problem = AlignmentProblem(RowBlocks(fitness.shape, fitness.dtype, read), client_capacity=2)
    assert 0.1 <= checking_seconds(problem, 0.01, None) < 5.0
    assert checking_seconds(AlignmentProblem(fitness, client_capacity=2), 0.01, None) == 0.0


def test_knapsacks_of_fitness_in_blocks_are_bounded_by_one_reading():
    fitness, reads = np.random.default_rng(0).random((2000, 4)), []

    def read(start: int, stop: int) -> np.ndarray:
        reads.append((start, stop))
        return fitness[start:stop]

    paid = {"client_capacity": 2, "client_budget": np.full(2000, 1.5), "expert_cost": [0.5, 0.75, 1.0, 1.5]}
    problem = AlignmentProblem(RowBlocks(fitness.shape, fitness.dtype, read), **paid)
    reads.clear()
    assert problem.bound(np.full(4, 0.1)) == AlignmentProblem(fitness, **paid).bound(np.full(4, 0.1))
    assert reads == [(0, 2000)]


def test_the_solver_is_told_a_deadline_before_the_limit_where_checking_takes_long():
    seen: dict[str, float] = {}

    def curious(problem: AlignmentProblem, *, deadline: float, **_: object) -> Answer:
        seen["left"] = deadline - time.monotonic()
        return Answer()

    solve(paid(20_000), curious, time_limit=4.0, throw=False)
    assert 0.0 < seen["left"] < 4.0
    solve(paid(20_000), curious, throw=False)
    assert seen["left"] == math.inf


def test_rows_that_can_pay_for_their_layers_are_seen_at_once_and_others_by_their_knapsacks():
    rng = np.random.default_rng(0)
    cost = rng.uniform(1.0, 2.0, (5, 12))
    cheapest = cost.reshape(5, 4, 3).min(axis=2).sum(axis=1)
    layers = {"client_capacity": 12, "expert_group": np.arange(12) // 3, "group_demand": 1, "expert_cost": cost}
    fits = AlignmentProblem(rng.random((5, 12)), client_budget=cheapest * 1.01, **layers)
    assert contradiction(fits) is None
    budget = cheapest * np.array([1.01, 1.01, 0.99, 1.01, 1.01])
    found = contradiction(AlignmentProblem(rng.random((5, 12)), client_budget=budget, **layers))
    assert found is not None
    assert found.clients.tolist() == [False, False, True, False, False]
