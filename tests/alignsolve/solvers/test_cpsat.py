"""CP-SAT: the oracle's answer on every field, integers without silent rounding, limits, hints, repeatability."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings

from alignsolve import AlignmentProblem, Progress, Proof, SolveError, Status, WarmStart, solve
from alignsolve.solvers.common import model_size
from alignsolve.solvers.cpsat import CpSat
from alignsolve.solvers.cpsat.whole import in_whole_numbers
from alignsolve.solvers.ilp.model import build
from problems import FAMILIES
from tests import oracle, strategies
from tests.integer_programs import assert_best


def hard(num_clients: int = 100, num_experts: int = 20) -> AlignmentProblem:
    """Return a generalised assignment instance of type D (costs fall with loads), too hard for a few seconds."""
    rng = np.random.default_rng(1)
    load = rng.integers(1, 101, size=(num_clients, num_experts))
    cost = 111 - load + rng.integers(-10, 11, size=load.shape)
    room = math.floor(0.8 * load.sum() / num_experts**2)
    return AlignmentProblem(-cost, client_demand=1, client_load=load, expert_capacity=room)


@settings(max_examples=60)
@given(strategies.problems(max_clients=4, max_experts=4))
def test_it_agrees_with_the_oracle(problem: AlignmentProblem):
    assert_best(problem, solve(problem, "cpsat", throw=False))


@settings(max_examples=20)
@given(strategies.general_problems(max_clients=7, max_experts=5))
def test_larger_general_problems_agree_with_the_oracle(problem: AlignmentProblem):
    assert_best(problem, solve(problem, "cpsat", throw=False))


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9 + 1.0, 2.0**60])
def test_loads_of_any_unit_fill_a_capacity_to_the_brim(unit: float):
    problem = AlignmentProblem(
        np.array([[3.0, 1.0], [2.0, 1.5], [1.0, 0.9]]),
        client_demand=1,
        client_load=np.array([1.0, 1.0, 2.0]) * unit,
        expert_capacity=2.0 * unit,
    )
    assert_best(problem, solve(problem, "cpsat"))


def test_loads_of_mixed_size_are_not_rounded_away():
    # The small loads decide: one of 1e-9 more than fits must not be let in beside one of 1e9.
    problem = AlignmentProblem(
        np.array([[5.0, 0.0], [4.0, 0.0]]), client_load=[1e9, 1e-9], expert_capacity=[1e9 * (1 - 1e-8), 1.0]
    )
    assert_best(problem, solve(problem, "cpsat"))
    tiny = AlignmentProblem(np.ones((3, 1)), client_load=[1e-9, 1e-9, 1e9], expert_capacity=1.5e-9)
    assert solve(tiny, "cpsat").objective == 1.0


def test_what_rounding_lets_through_is_cut_off():
    # Its loads exceed the new capacity by 2e-9 of it: more than the tolerance, less than most rounding.
    rng = np.random.default_rng(4)
    load = rng.random((8, 3))
    best = solve(AlignmentProblem(load, client_load=load, expert_capacity=1.3), "cpsat")
    tight = AlignmentProblem(load, client_load=load, expert_capacity=best.loads * (1.0 - 2e-9))
    solution = solve(tight, "cpsat")
    assert_best(tight, solution)
    assert solution.objective < best.objective


@pytest.mark.parametrize("capacity", [2.0, 2.5, 2.3])
@pytest.mark.parametrize("load", [[1.0, 2.0, 1.0, 3.0], [0.5, 0.75, 2.0, 1.25]])
def test_soft_bounds_between_whole_loads_cost_exactly(capacity: float, load: list[float]):
    rng = np.random.default_rng(2)
    problem = AlignmentProblem(
        rng.random((4, 2)),
        client_load=load,
        client_demand=1,
        expert_capacity=capacity,
        overload_penalty=0.37,
        expert_demand=capacity - 0.6,
        shortfall_penalty=0.21,
    )
    assert_best(problem, solve(problem, "cpsat"))


def test_whole_programs_are_relaxations():
    """Every feasible alignment is feasible in the integer program, too, and does not cost more there."""
    rng = np.random.default_rng(3)
    problem = AlignmentProblem(
        rng.normal(size=(5, 3)), client_load=rng.random((5, 3)) / 3.0, expert_capacity=0.4, expert_demand=0.1
    )
    model = build(problem)
    program = in_whole_numbers(model)
    choices = np.array([oracle_row for oracle_row in np.ndindex(*(2,) * 15) if sum(oracle_row) <= 5], dtype=bool)
    seen = 0
    for chosen in choices[rng.permutation(len(choices))[:3000]]:
        x = np.zeros(problem.shape, dtype=bool)
        x[model.clients, model.experts] = chosen[: model.num_pairs]
        if problem.violations(x):
            continue
        seen += 1
        taken = x[model.clients, model.experts]
        for row in program.rows:
            total = sum(c for k, c in zip(row.columns, row.coefficients, strict=True) if taken[k])
            assert row.least is None or total >= row.least
            assert row.most is None or total <= row.most
        cost = sum(c for c, is_taken in zip(program.cost, taken, strict=True) if is_taken)
        assert -cost * math.ldexp(model.cost_unit, -program.cost_bits) >= problem.objective(x)
    assert seen > 10


def test_what_whole_numbers_make_infeasible_has_a_tree():
    problem = AlignmentProblem(np.ones((3, 2)), client_load=np.full(3, 2.0), expert_capacity=3.0, client_demand=1)
    solution = solve(problem, "cpsat", throw=False)
    assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.TREE)
    assert oracle.best(problem) is None


def test_a_limit_keeps_the_incumbent_and_an_honest_gap():
    problem = hard()
    started = time.monotonic()
    solution = solve(problem, "cpsat", time_limit=2.0)
    assert time.monotonic() - started < 4.0
    assert (solution.status, solution.proof) == (Status.FEASIBLE, Proof.NONE)
    assert solution.stats["stopped"] == "time limit"
    assert 0.0 < solution.gap < 0.2
    assert solution.objective <= solution.bound


def test_what_is_too_large_to_write_down_gets_the_greedy_answer(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(model_size, "MOST_PAIRS", 100)
    problem = FAMILIES["weighted"](np.random.default_rng(0), num_clients=60, num_experts=4)
    solution = solve(problem, "cpsat", time_limit=20.0)
    assert (solution.status, solution.stats["standing"]) == (Status.FEASIBLE, "greedy")
    assert "too many pairs" in solution.stats["stopped"]
    with pytest.raises(SolveError, match="240 pairs are more than its back end can hold, 100"):
        solve(problem, "cpsat")


def test_no_time_at_all_finds_nothing_and_says_so():
    solution = solve(hard(), "cpsat", time_limit=0.0, throw=False)
    assert solution.status is Status.UNKNOWN
    assert solution.stats["stopped"]


def test_a_warm_start_is_never_lost():
    problem = hard()
    best = solve(problem, "cpsat", time_limit=2.0)
    again = solve(problem, "cpsat", time_limit=0.5, warm_start=WarmStart(alignment=best.assigned))
    assert again.objective >= best.objective


def test_a_gap_stops_early():
    problem = hard()
    solution = solve(problem, "cpsat", gap=0.2, time_limit=30.0)
    assert solution.runtime < 20.0
    assert solution.gap <= 0.21


@pytest.mark.parametrize("limit", [None, 30.0])
def test_progress_is_told_with_or_without_a_limit(limit: float | None):
    told: list[Progress] = []
    problem = FAMILIES["weighted"](np.random.default_rng(0), num_clients=20, num_experts=4)
    solution = solve(problem, "cpsat", time_limit=limit, progress=told.append)
    objectives = [one.objective for one in told if one.phase == "found"]
    assert objectives == sorted(objectives)
    assert told[-1].objective == solution.objective
    assert limit is not None or objectives


def test_the_same_seed_gives_the_same_answer_on_any_number_of_threads():
    rng = np.random.default_rng(7)
    problem = AlignmentProblem(
        rng.integers(0, 5, size=(12, 4)), client_load=rng.integers(1, 9, size=12), expert_capacity=11.0
    )
    answers = [solve(problem, "cpsat", seed=3, threads=threads).x for threads in (1, 1, 2, None)]
    for other in answers[1:]:
        np.testing.assert_array_equal(answers[0], other)


def test_several_workers_reach_the_same_optimum():
    problem = FAMILIES["budgets"](np.random.default_rng(0), num_clients=12, num_experts=4)
    assert solve(problem, CpSat(workers=3)).objective == pytest.approx(solve(problem, "cpsat").objective, rel=1e-9)
    with pytest.raises(ValueError, match="workers is 0"):
        CpSat(workers=0)
