"""Greedy and regret where experts are in sets: answers that hold, a bound with prices of sets, and small gaps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, Proof, Status, solve
from alignsolve.solvers.common.level_method import prices_by_level_method
from alignsolve.solvers.greedy.near_loads import quotas_near
from problems import FAMILIES
from tests import oracle, set_strategies

SOLVERS = ("greedy", "regret")
NESTED = set_strategies.set_problems(max_clients=4, max_experts=4)
ANY = set_strategies.set_problems(general=True, max_clients=3, max_experts=3)


@pytest.mark.parametrize("name", SOLVERS)
@settings(max_examples=15)
@given(problem=st.one_of(NESTED, ANY))
def test_answers_hold_and_bounds_are_bounds(name, problem):
    best, solution = oracle.best(problem), solve(problem, name, throw=False)
    if best is None:
        assert solution.x is None
        return
    assert solution.status is not Status.INFEASIBLE
    rounding = 1e-9 * max(1.0, abs(float(best.objective)))
    assert solution.bound >= float(best.objective) - rounding
    if solution.x is not None:
        picked = oracle.chosen(solution.x)
        assert oracle.feasible(problem, picked)
        worth, size = float(oracle.objective(problem, picked)), oracle.magnitude(problem, picked)
        assert solution.objective == pytest.approx(worth, abs=1e-9 * max(1.0, size))


def planted(number, *, crossing):
    """Return a problem with one alignment that is known, and sets whose bounds are next to its loads."""
    rng = np.random.default_rng(number)
    eligible = rng.random((14, 6)) < (0.9 if crossing else 0.5)
    held = rng.integers(0, 6, 14)
    eligible[np.arange(14), held] = True
    load, half = np.bincount(held, minlength=6), rng.permutation(6) < 3
    members = np.array([half, ~half, rng.permutation(6) < 3] if crossing else [half, ~half, np.ones(6, dtype=bool)])
    bounds = {} if crossing else {"expert_capacity": load + 1, "expert_demand": np.maximum(load - 1, 0)}
    return AlignmentProblem(
        rng.random((14, 6)), client_demand=1, eligible=eligible, expert_sets=members, set_capacity=members @ load,
        set_demand=np.maximum(members @ load - 1, 0), **bounds,
    )  # fmt: skip


@pytest.mark.parametrize("name", SOLVERS)
def test_tight_sets_get_an_answer(name):
    for crossing in (False, True):
        solutions = [solve(planted(number, crossing=crossing), name, throw=False) for number in range(20)]
        assert sum(solution.x is not None for solution in solutions) >= 19, crossing


@pytest.mark.parametrize("name", SOLVERS)
def test_gaps_on_families_with_sets_are_small_and_known(name):
    for family, share in (("sets", 0.96), ("projects", 0.94), ("nested", 0.97), ("crossing", 0.94)):
        problem = FAMILIES[family](np.random.default_rng(7), num_clients=200, num_experts=16)
        optimum, solution = solve(problem).objective, solve(problem, name)
        assert share * optimum <= solution.objective <= optimum * (1 + 1e-9), family
        assert optimum * (1 - 1e-9) <= solution.bound <= 1.02 * optimum, family
        if family != "crossing":
            assert solution.proof in {Proof.PRICES, Proof.NONE}


def test_prices_of_sets_lower_the_bound():
    problem = FAMILIES["sets"](np.random.default_rng(3), num_clients=300, num_experts=12)
    *_, last = prices_by_level_method(problem, passes=60)
    assert last.prices.shape == (12 + problem.num_sets,)
    assert problem.bound(last.prices) < problem.bound(last.prices[:12])
    assert problem.bound(last.prices) <= 1.01 * solve(problem, "flow").objective


def test_optional_demands_and_sets_hold_together():
    fields = {"expert_sets": [[True, True, False], [False, True, True]], "set_capacity": [4, 5], "client_demand": 1}
    problem = AlignmentProblem(np.arange(24.0).reshape(8, 3) % 7, optional_demand=3, **fields)
    best = solve(problem, "ilp").objective
    for name in SOLVERS:
        solution = solve(problem, name)
        assert problem.violations(solution.assigned) == []
        assert solution.objective <= best


def test_quotas_near_loads_keep_the_bounds_of_all_sets():
    members = [[True, True, False], [False, True, True]]
    problem = AlignmentProblem(np.ones((9, 3)), expert_sets=members, set_capacity=[4, 4], set_demand=[3, 2])
    most, least = quotas_near(problem, np.array([0.0, 9.0, 0.0]))
    assert (np.array(members) @ most <= [4, 4]).all()
    assert (np.array(members) @ least >= [3, 2]).all()
    assert (least <= most).all()
    assert most[1] == 4
    empty = AlignmentProblem(np.ones((2, 3)), expert_sets=members, set_demand=[3, 5], expert_capacity=1)
    assert quotas_near(empty, np.zeros(3)) is None
