"""``budgets``: counts by size against enumeration; alignments of layered models against bounds and other solvers."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, RowBlocks, Status, solve
from alignsolve.certificate.witness import from_direction
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import relative_gap
from alignsolve.solvers.budgets import Budgets, rated_flow
from alignsolve.solvers.budgets.solver import _Search
from alignsolve.solvers.sift.flow_search import TimeUpError
from problems.layered import layered


def mixed(seed, num_clients=20, **options):
    """A small model with layers of several sizes and a budget of bytes."""
    rng = np.random.default_rng(seed)
    return layered(
        rng, num_clients=num_clients, num_experts=256, model="olmoe-1b-7b", totals="bytes", mixed=True, **options
    )


@pytest.mark.parametrize("demands", [False, True])
def test_layers_of_several_sizes_within_a_budget_of_bytes(demands):
    problem = mixed(5, num_clients=60, expert_demands=demands)
    solution = solve(problem, "budgets")
    assert solution.gap <= 2e-3
    assert solution.stats["found_by"].startswith("sizes")


def test_a_second_budget_of_seconds():
    solution = solve(mixed(7, num_clients=60, seconds=True), "budgets")
    assert solution.gap <= 8e-3
    assert solution.stats["found_by"].startswith("settling")


@pytest.mark.parametrize("seconds", [False, True])
def test_no_worse_than_an_integer_program_by_more_than_its_gap(seconds):
    problem = mixed(11, num_clients=6, seconds=seconds)
    ours, other = solve(problem, "budgets"), solve(problem, "ilp", time_limit=2.0, throw=False)
    assert other.objective is None or other.objective <= ours.bound * (1 + 1e-9)
    assert ours.objective <= other.bound * (1 + 1e-9)


def test_the_answer_does_not_depend_on_threads_or_a_warm_start_for_its_truth():
    problem = mixed(13, num_clients=200)
    one, two = (solve(problem, "budgets", threads=threads) for threads in (1, 2))
    assert one.objective == two.objective
    assert one.bound == two.bound
    warm = solve(problem, "budgets", warm_start=one)
    assert warm.objective >= one.objective
    assert warm.stats["rounds"] <= one.stats["rounds"]


def test_experts_demands_that_nobody_can_meet_have_a_witness():
    problem = AlignmentProblem(
        np.ones((3, 40)), expert_demand=4, client_budget=np.full(3, 9.5), expert_cost=np.linspace(1, 2, 40)
    )
    solution = solve(problem, "budgets", throw=False)
    assert solution.status == "INFEASIBLE"
    assert solution.witness is not None


def test_a_witness_is_sought_without_budgets_as_their_rows_take_long(monkeypatch):
    asked = []

    def noted(problem, direction):
        asked.append(problem.client_budget is not None)
        return from_direction(problem, direction)

    monkeypatch.setattr(rated_flow, "from_direction", noted)
    clients = {"client_capacity": 3, "client_budget": np.full(4, 3.0), "expert_cost": np.ones(6)}
    problem = AlignmentProblem(np.random.default_rng(0).random((4, 6)), expert_demand=[0, 0, 4, 4, 4, 4], **clients)
    answer = solve(problem, Budgets(), throw=False, presolve=False)
    assert (answer.status, answer.witness.experts.tolist()) == (Status.INFEASIBLE, [False] * 2 + [True] * 4)
    assert asked == [False]


def test_without_budgets_it_is_a_flow():
    problem = AlignmentProblem(np.random.default_rng(0).random((8, 30)), client_capacity=2, expert_capacity=1)
    assert solve(problem, Budgets()).objective == solve(problem, "sift").objective


def test_a_limit_of_time_is_kept_and_progress_is_told():
    told = []
    solution = solve(mixed(1), "budgets", time_limit=30.0, progress=told.append)
    assert {"prices", "sizes"} <= {progress.phase for progress in told}
    assert relative_gap(told[-1].bound, solution.objective) <= 1e-2


def test_auto_chooses_it_for_many_experts_with_budgets():
    assert solve(mixed(2), gap=0.05).stats["chosen"] == "Budgets"


def test_costs_of_pairs_that_are_not_eligible_mean_nothing():
    rng = np.random.default_rng(4)
    eligible = rng.random((6, 40)) < 0.7
    cost = rng.integers(1, 5, (6, 40)).astype(float)
    fields = {"client_capacity": 40, "client_budget": np.full((6, 1), 12.0), "eligible": eligible}
    fitness = rng.random((6, 40))
    clean, odd = (
        solve(AlignmentProblem(fitness, expert_cost=np.where(eligible, cost, other)[:, :, None], **fields), "budgets")
        for other in (1.0, np.nan)
    )
    assert odd.objective == clean.objective
    assert odd.gap <= 0.05


def test_changes_in_pairs_and_clients_asked_stop_at_the_deadline():
    problem = mixed(0)
    search = _Search(Budgets(), problem, -np.inf, 1, None)
    with pytest.raises(TimeUpError):
        search._ask_clients(np.zeros(256))
    search.change_in_pairs(Alignment.from_pairs([], [], 20))
    assert search.stats["stopped"] == "the time limit came first"


def test_switching_costs_where_a_size_cannot_meet_a_demand():
    """The fuzzer found a ValueError: the part of one size had the switching costs of all experts."""
    problem = AlignmentProblem(
        [[0, 0]], expert_demand=[0.0, 1.0], expert_cost=[[0.0], [0.05]], client_budget=[[0.03]], switching_cost=1.0
    )
    assert solve(problem, "budgets", throw=False).assigned is None


def test_a_demand_between_two_whole_numbers_ends():
    """The fuzzer found a hang: an expert was given up and taken for its reward, again and again."""
    problem = AlignmentProblem(
        [[1.5, -0.5, 0.3], [1.4, 2.1, -0.25], [-1.3, 2.3, -0.8]],
        client_capacity=[2, 2, 3],
        expert_capacity=[2.5, 1.0, 3.0],
        expert_demand=[1.0, 0.0, 1.5],
        overload_penalty=[10.0, 1.0, 0.5],
        shortfall_penalty=[0.0, 0.5, 10.0],
        expert_cost=[[0.0, 2.0, 0.0], [6.0, 0.0, 3.0], [4.0, 5.0, 5.0]],
        client_budget=7.0,
    )
    best = solve(problem, "ilp")
    ours = solve(problem, "budgets")
    assert ours.objective <= best.objective + 1e-9
    assert ours.bound >= best.objective - 1e-9


def test_an_expert_that_costs_far_more_than_any_budget_is_left_out():
    """The fuzzer found a LinAlgError: a rate for a budget of 1e-300 charges 1e300 for a cost of 1."""
    problem = AlignmentProblem(
        [[999_999_999, 0, 999_999_998]],
        client_capacity=2,
        expert_cost=[[[1e-300], [1.0], [1e-300]]],
        client_budget=[[1e-300]],
    )
    solution = solve(problem, "budgets")
    assert solution.objective == 999_999_999
    assert solution.bound >= solution.objective


def test_greed_finds_what_settling_does_not(monkeypatch):
    """The fuzzer found no alignment where one is known: clients spend all that they have on what they must take."""
    rng = np.random.default_rng(3)
    known = rng.random((5, 60)) < 0.15
    cost = rng.integers(0, 9, (60, 2)).astype(float)
    problem = AlignmentProblem(
        rng.normal(size=(5, 60)) - 12.0,
        client_capacity=60,
        client_demand=np.maximum(known.sum(axis=1) - 2, 1),
        expert_capacity=known.sum(axis=0) + 1.0,
        client_budget=known @ cost,
        expert_cost=cost,
    )
    nothing = Alignment.from_pairs([], [], 5)
    monkeypatch.setattr("alignsolve.solvers.budgets.solver.settle", lambda *_: nothing)
    monkeypatch.setattr(_Search, "change_in_pairs", lambda *_: None)
    solution = solve(problem, "budgets")
    assert solution.stats["found_by"] == "greed"
    assert solution.gap <= 0.2


def test_fitness_in_blocks_with_experts_of_several_sizes_has_the_answer_of_the_matrix():
    """It ended in an AttributeError: columns of the fitness were asked for, and blocks have rows."""
    fitness = np.random.default_rng(0).random((400, 16))
    blocks = RowBlocks(fitness.shape, fitness.dtype, lambda start, stop: fitness[start:stop])
    paid = {"client_capacity": 2, "expert_capacity": 60, "expert_cost": np.repeat([0.5, 1.0], 8)}
    given = [AlignmentProblem(each, client_budget=[1.5] * 400, **paid) for each in (blocks, fitness)]
    found = [solve(problem, "budgets") for problem in given]
    assert found[0].objective == found[1].objective
    assert found[0].gap <= 1e-2
