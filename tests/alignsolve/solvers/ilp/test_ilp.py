"""The integer programs: the oracle's optimum with both back ends, no errors by tolerances, valid answers at limits."""

import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import pulp
import pytest
from hypothesis import given, settings

from alignsolve import AlignmentProblem, solve
from alignsolve.solution import Proof, SolveError, Status
from alignsolve.solver import WarmStart
from alignsolve.solvers.ilp import backends
from alignsolve.solvers.ilp.solver import Ilp
from tests import oracle, strategies
from tests.integer_programs import assert_best

GAP = next((gap for parent in Path(__file__).parents if (gap := parent / "shared/data/gap").is_dir()), Path("gap"))


def gap_instance(name: str) -> AlignmentProblem:
    """Return a generalised assignment instance with negated costs."""
    path = GAP / f"{name}.txt"
    if not path.exists():
        pytest.skip(f"{name} is not here: the instances in shared/data/gap are not part of the repository")
    numbers = np.array(path.read_text().split(), dtype=np.int64)
    m, n = numbers[:2]
    cost, load = numbers[2 : 2 + m * n].reshape(m, n), numbers[2 + m * n : 2 + 2 * m * n].reshape(m, n)
    return AlignmentProblem(-cost.T, client_demand=1, client_load=load.T, expert_capacity=numbers[2 + 2 * m * n :])


# Equal to the oracle -------------------------------------------------------------------------------------------------


@settings(max_examples=120)
@given(strategies.problems(max_clients=4, max_experts=4))
def test_highs_agrees_with_the_oracle(problem: AlignmentProblem):
    assert_best(problem, solve(problem, solver="ilp", throw=False))


@pytest.mark.slow
@settings(max_examples=60)
@given(strategies.problems(max_clients=4, max_experts=4))
def test_cbc_agrees_with_the_oracle(problem: AlignmentProblem):
    assert_best(problem, solve(problem, solver="ilp-cbc", throw=False))


@settings(max_examples=20)
@given(strategies.general_problems(max_clients=7, max_experts=5))
def test_larger_general_problems_agree_with_the_oracle(problem: AlignmentProblem):
    assert_best(problem, solve(problem, solver="ilp", throw=False))


def random_fields(rng: np.random.Generator) -> dict[str, dict[str, object]]:
    """Return problems for every field, such that the field decides the optimum."""
    n, e = 6, 4
    load = rng.integers(1, 5, size=(n, e)).astype(float)
    return {
        "client capacity and demand": {"client_capacity": rng.integers(1, 4, size=n), "client_demand": 1},
        "groups": {
            "client_capacity": 3,
            "expert_group": [0, 0, 1, 1],
            "group_capacity": rng.integers(1, 3, size=(n, 2)),
            "group_demand": 1,
        },
        "eligible and required": {
            "eligible": (eligible := rng.random((n, e)) < 0.7),
            "required": eligible & (rng.random((n, e)) < 0.15),
            "client_capacity": 4,
        },
        "hard expert bounds": {"expert_capacity": 2, "expert_demand": 1},
        "soft expert bounds": {
            "expert_capacity": rng.integers(0, 4, size=e),
            "expert_demand": rng.integers(0, 3, size=e),
            "overload_penalty": rng.random(e) * 2,
            "shortfall_penalty": rng.random(e) * 2,
        },
        "soft bounds between whole loads": {
            "expert_capacity": 1.5,
            "overload_penalty": 0.7,
            "expert_demand": 0.5,
            "shortfall_penalty": 0.9,
        },
        "weighted loads": {"client_load": load, "expert_capacity": 6.0, "expert_demand": 2.0, "client_capacity": 2},
        "weighted and soft": {
            "client_load": load,
            "expert_capacity": 3.5,
            "overload_penalty": 0.21,
            "expert_demand": 2.5,
            "shortfall_penalty": 0.4,
        },
        "one budget": {"client_capacity": 4, "client_budget": 5.0, "expert_cost": rng.random(e) * 4},
        "two budgets": {
            "client_capacity": 4,
            "client_demand": 1,
            "client_budget": rng.uniform(4, 9, size=(n, 2)),
            "expert_cost": rng.random((n, e, 2)) * 4,
            "expert_capacity": 4,
        },
        "switching": {"previous": rng.random((n, e)) < 0.3, "switching_cost": 0.4, "expert_capacity": 3},
    }


@pytest.mark.parametrize("name", list(random_fields(np.random.default_rng(0))))
def test_every_field_counts(ilp: Ilp, name: str):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        problem = AlignmentProblem(rng.normal(size=(6, 4)), **random_fields(rng)[name])
        assert_best(problem, solve(problem, solver=ilp, throw=False))


def test_no_clients_and_no_experts(ilp: Ilp):
    for shape in ((0, 0), (0, 3), (3, 0)):
        solution = solve(AlignmentProblem(np.zeros(shape)), solver=ilp)
        assert (solution.status, solution.objective) == (Status.OPTIMAL, 0.0)
    solution = solve(AlignmentProblem(np.zeros((0, 3)), expert_demand=1), solver=ilp, throw=False)
    assert solution.status is Status.INFEASIBLE
    assert solution.witness is not None


def test_ties_and_zeros_and_single_rows(ilp: Ilp):
    rng = np.random.default_rng(1)
    tied = rng.integers(0, 2, size=(7, 3))
    for problem in (
        AlignmentProblem(np.zeros((5, 3)), client_demand=1, expert_capacity=2),
        AlignmentProblem(np.zeros((5, 3)), client_load=rng.random(5), expert_capacity=1.0),
        AlignmentProblem(tied, client_demand=1, expert_capacity=3, expert_demand=2),
        AlignmentProblem(tied, client_load=rng.integers(1, 3, size=7), expert_capacity=4.0),
        AlignmentProblem(rng.normal(size=(1, 5)), client_capacity=3),
        AlignmentProblem(rng.normal(size=(1, 5)), client_capacity=3, client_budget=1.0, expert_cost=rng.random(5)),
        AlignmentProblem(rng.normal(size=(6, 1)), expert_capacity=2, expert_demand=1),
        AlignmentProblem(rng.normal(size=(6, 1)), client_load=rng.random(6), expert_capacity=1.0),
    ):
        assert_best(problem, solve(problem, solver=ilp, throw=False))


@pytest.mark.parametrize("size", [1e-12, 1e-3, 1e12])
def test_fitness_of_any_size(ilp: Ilp, size: float):
    rng = np.random.default_rng(2)
    fitness = rng.normal(size=(6, 4))
    bounds = {"client_load": rng.integers(2, 6, size=6).astype(float), "expert_capacity": 5.0}
    scaled = solve(AlignmentProblem(fitness * size, **bounds), solver=ilp)
    plain = solve(AlignmentProblem(fitness, **bounds), solver=ilp)
    assert scaled.status is Status.OPTIMAL
    assert scaled.objective == pytest.approx(plain.objective * size, rel=1e-9)


def test_one_huge_fitness_does_not_blunt_the_others(ilp: Ilp):
    rng = np.random.default_rng(3)
    fitness = rng.normal(size=(6, 3))
    fitness[2, 1] = 1e9
    problem = AlignmentProblem(fitness, client_load=rng.integers(2, 6, size=6).astype(float), expert_capacity=7.0)
    assert_best(problem, solve(problem, solver=ilp))


def test_prices_prove_what_the_relaxation_settles(ilp: Ilp):
    fitness = np.array([[5.0, 1.0], [4.0, 3.0], [3.0, 2.5]])
    problem = AlignmentProblem(fitness, client_load=np.full(3, 2.0), expert_capacity=[2.0, 4.0], client_demand=1)
    solution = solve(problem, solver=ilp)
    assert (solution.status, solution.proof, solution.objective) == (Status.OPTIMAL, Proof.PRICES, 10.5)
    assert solution.prices is not None
    assert solution.prices[0] > 0


def test_prices_have_the_sign_of_the_bound_that_binds(ilp: Ilp):
    scarce = AlignmentProblem(np.array([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]]) + 0.5, expert_capacity=[1, 3])
    unloved = AlignmentProblem(np.array([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]]), expert_demand=[0, 2])
    high, low = solve(scarce, solver=ilp).prices, solve(unloved, solver=ilp).prices
    assert high is not None
    assert low is not None
    assert high[0] - high[1] == pytest.approx(2.0, abs=1.0)
    assert low[1] < 0


# Infeasible ----------------------------------------------------------------------------------------------------------


def test_a_general_problem_without_a_fractional_solution_has_a_witness(ilp: Ilp):
    problem = AlignmentProblem(np.ones((3, 2)), client_load=[4.0, 4.0, 3.0], expert_capacity=5.0, client_demand=1)
    solution = solve(problem, solver=ilp, throw=False)
    assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.PRICES)
    assert solution.witness is not None
    assert oracle.confirms(problem, solution.witness)


def test_what_only_whole_numbers_make_infeasible_has_a_tree(ilp: Ilp):
    problem = AlignmentProblem(np.ones((3, 2)), client_load=np.full(3, 2.0), expert_capacity=3.0, client_demand=1)
    solution = solve(problem, solver=ilp, throw=False)
    assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.TREE)
    assert oracle.best(problem) is None


def test_flows_always_have_a_witness(ilp: Ilp):
    rng = np.random.default_rng(5)
    seen = 0
    for _ in range(30):
        eligible = rng.random((6, 4)) < 0.35
        problem = AlignmentProblem(
            rng.random((6, 4)), eligible=eligible, expert_demand=rng.integers(0, 4, size=4), expert_capacity=3
        )
        solution = solve(problem, solver=ilp, throw=False)
        assert_best(problem, solution)
        seen += solution.status is Status.INFEASIBLE
    assert 5 < seen < 30


# Limits, statuses, parameters ----------------------------------------------------------------------------------------


def test_a_limit_keeps_the_incumbent_and_an_honest_gap(ilp: Ilp):
    problem = gap_instance("d20100")
    started = time.monotonic()
    solution = solve(problem, solver=ilp, time_limit=2.0)
    assert time.monotonic() - started < 4.0
    assert solution.status is Status.FEASIBLE
    assert solution.proof is Proof.NONE
    assert solution.stats["stopped"] == "time limit"
    assert -6190 <= solution.bound <= -6100  # the best known cost is 6190
    assert 0 < solution.gap < 0.1
    assert solution.objective == problem.fitness[solution.x].sum()


def test_a_gap_instance_is_solved(ilp: Ilp):
    solution = solve(gap_instance("c0515_1"), solver=ilp)
    assert (solution.status, -solution.objective) == (Status.OPTIMAL, 261)


def test_no_time_at_all_finds_nothing_and_says_so(ilp: Ilp):
    problem = AlignmentProblem(np.ones((3, 2)), client_load=[4.0, 4.0, 3.0], expert_capacity=5.0)
    solution = solve(problem, solver=ilp, time_limit=0.0, throw=False)
    assert solution.status is Status.UNKNOWN
    assert solution.stats["stopped"] == "time limit"
    assert solution.bound >= 2.0
    with pytest.raises(SolveError, match="time limit"):
        solve(problem, solver=ilp, time_limit=0.0)


def test_a_generous_limit_changes_nothing(ilp: Ilp):
    rng = np.random.default_rng(6)
    problem = AlignmentProblem(rng.normal(size=(8, 3)), client_load=rng.random(8), expert_capacity=0.8)
    limited, free = solve(problem, solver=ilp, time_limit=60.0), solve(problem, solver=ilp)
    assert (limited.status, limited.objective) == (free.status, free.objective)
    np.testing.assert_array_equal(limited.x, free.x)


def test_a_warm_start_is_never_lost(ilp: Ilp):
    problem = gap_instance("d20100")
    best = solve(problem, solver=Ilp(), time_limit=1.0)
    again = solve(problem, solver=ilp, time_limit=1.0, warm_start=WarmStart(alignment=best.assigned))
    assert again.objective >= best.objective


def test_a_gap_stops_early_and_is_told(ilp: Ilp):
    solution = solve(gap_instance("c05100"), solver=ilp, gap=0.02, time_limit=60.0)
    assert solution.status in (Status.FEASIBLE, Status.OPTIMAL)
    assert "stopped" not in solution.stats
    assert 1931 <= -solution.objective <= 1931 * 1.02
    assert solution.gap <= 0.021


def test_a_status_that_no_table_names_is_an_error(ilp: Ilp, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backends, "STATUS_MAP", {})
    with pytest.raises(SolveError, match="ended with status"):
        solve(AlignmentProblem(np.ones((2, 2))), solver=ilp)


def test_every_status_is_sorted_by_what_was_proven():
    told = backends.STATUS_MAP
    assert told[pulp.LpStatusOptimal, pulp.LpSolutionIntegerFeasible] is backends.Verdict.INCUMBENT
    assert told[pulp.LpStatusOptimal, pulp.LpSolutionOptimal] is backends.Verdict.OPTIMAL
    assert (pulp.LpStatusUnbounded, pulp.LpSolutionUnbounded) not in told


def test_an_unknown_back_end_is_refused():
    with pytest.raises(ValueError, match="must be 'highs' or 'cbc'"):
        Ilp(backend="glpk")  # type: ignore[arg-type]


def test_the_log_is_shown_when_asked(capfd: pytest.CaptureFixture[str]):
    problem = AlignmentProblem(np.ones((3, 2)), client_load=[4.0, 4.0, 3.0], expert_capacity=5.0)
    solve(problem, solver=Ilp(backend="cbc", msg=True))
    assert "CBC" in capfd.readouterr().out.upper()
    solve(problem, solver=Ilp(backend="cbc"))
    assert capfd.readouterr().out == ""


def test_the_same_seed_gives_the_same_answer_on_any_number_of_threads(ilp: Ilp):
    rng = np.random.default_rng(7)
    problem = AlignmentProblem(
        rng.integers(0, 5, size=(12, 4)), client_load=rng.integers(1, 9, size=12), expert_capacity=11.0
    )
    answers = [solve(problem, solver=ilp, seed=3, threads=threads).x for threads in (1, 1, 2, None)]
    for other in answers[1:]:
        np.testing.assert_array_equal(answers[0], other)


def test_no_file_stays_behind(ilp: Ilp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    rng = np.random.default_rng(8)
    problem = AlignmentProblem(
        rng.integers(0, 1000, size=(60, 12)), client_load=rng.integers(5, 60, size=(60, 12)), expert_capacity=70.0
    )
    solve(problem, solver=ilp, time_limit=0.5, throw=False)
    assert list(tmp_path.iterdir()) == []


def test_the_oracle_of_these_tests_counts_exactly():
    problem = AlignmentProblem([[0.1, 0.2]], client_capacity=2)
    assert oracle.best(problem) == oracle.Optimum(Fraction(0.1) + Fraction(0.2), ((0, 1),))
