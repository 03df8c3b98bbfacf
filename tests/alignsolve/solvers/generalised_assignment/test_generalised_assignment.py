"""Generalised assignment with few experts: the optima of brute force and HiGHS, valid bounds, numbers of all sizes."""

import csv
import itertools
import math
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Proof, Status, solve
from alignsolve.solver import WarmStart
from alignsolve.solvers.generalised_assignment.instance import assignment_like, read
from alignsolve.solvers.generalised_assignment.knapsacks import Knapsacks, evaluate, forced, new_table
from alignsolve.solvers.generalised_assignment.moves import Terms, descend, empty_plan, settle, shift
from alignsolve.solvers.generalised_assignment.multipliers import Multipliers
from alignsolve.solvers.generalised_assignment.solver import solve_generalised_assignment
from problems import orlib
from tests import oracle
from tests.gap_instances import make, real

ROOT = Path(__file__).parents[4]
SHARED = next((d for d in (ROOT / "shared", ROOT.parent / "shared") if d.is_dir()), ROOT / "shared") / "data" / "gap"
GAP = ["gap-a", "gap-b", "gap-c", "gap-d", "gap-e"]


# Whether it is one ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GAP)
def test_the_classical_families_are_taken(name):
    assert assignment_like(make(name, 20, 4))


@pytest.mark.parametrize("name", ["uniform", "weighted", "budget", "budgets", "layers", "soft", "exact-bytes"])
def test_other_families_are_not(name):
    assert not assignment_like(make(name, 20, 4))


@pytest.mark.parametrize(
    ("changed", "taken"),
    [
        ({}, True),
        ({"client_demand": 0}, True),
        ({"expert_capacity": None}, True),
        ({"client_capacity": 2}, False),
        ({"expert_demand": 0.5}, False),
        ({"overload_penalty": 1.0}, False),
        ({"client_load": None}, False),
    ],
)
def test_what_is_taken(changed, taken):
    assert assignment_like(real(np.random.default_rng(0), **changed)) == taken


def test_too_large_is_not_taken():
    fitness = np.broadcast_to(np.zeros(1), (20_000, 4))
    problem = AlignmentProblem(fitness, client_load=np.full(20_000, 2.0), expert_capacity=1e6)
    assert not assignment_like(problem)


# Optima --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", GAP)
def test_small_instances_are_solved_to_the_oracles_optimum(name, seed):
    problem = make(name, 10, 3, seed)
    solution = solve(problem, solve_generalised_assignment)
    assert solution.status is Status.OPTIMAL
    assert solution.objective == oracle.best(problem).objective == solution.bound


@pytest.mark.parametrize("name", GAP)
def test_middling_instances_agree_with_ilp(name):
    problem = make(name, 20, 4)
    ours, theirs = solve(problem, solve_generalised_assignment), solve(problem, "ilp")
    assert (ours.objective, ours.status) == (theirs.objective, Status.OPTIMAL)


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
@pytest.mark.parametrize("demand", [0, 1])
def test_fractions_of_any_size(demand, scale):
    problem = real(np.random.default_rng(demand), client_demand=demand, scale=scale)
    solution = solve(problem, solve_generalised_assignment)
    assert solution.status is Status.OPTIMAL
    assert solution.objective == pytest.approx(float(oracle.best(problem).objective), rel=1e-9)


def test_who_may_go_without_does_where_it_costs():
    rng = np.random.default_rng(5)
    load = rng.integers(1, 9, (12, 3))
    problem = AlignmentProblem(
        rng.integers(-20, 21, (12, 3)), client_demand=rng.integers(0, 2, 12), expert_capacity=14, client_load=load
    )
    solution = solve(problem, solve_generalised_assignment)
    assert solution.status is Status.OPTIMAL
    assert solution.objective == oracle.best(problem).objective
    assert not solution.x.any(axis=1).all()


def test_eligible_required_and_switching_costs_count():
    rng = np.random.default_rng(2)
    eligible = rng.random((10, 4)) < 0.6
    eligible[:, 3] = True
    required = np.zeros((10, 4), dtype=bool)
    required[[2, 7], 3] = True
    fitness = np.where(eligible, rng.integers(0, 50, (10, 4)), -1)
    problem = AlignmentProblem(
        fitness, client_demand=1, eligible=eligible, required=required, expert_capacity=30,
        client_load=rng.integers(1, 12, (10, 4)), previous=rng.random((10, 4)) < 0.3, switching_cost=7,
    )  # fmt: skip
    solution = solve(problem, solve_generalised_assignment)
    assert (solution.objective, solution.status) == (oracle.best(problem).objective, Status.OPTIMAL)


def test_values_of_ineligible_pairs_are_not_read():
    rng = np.random.default_rng(4)
    eligible = np.ones((8, 3), dtype=bool)
    eligible[:4, 0] = False
    fitness = np.where(eligible, rng.normal(size=(8, 3)), np.nan)
    problem = AlignmentProblem(
        fitness, client_demand=1, eligible=eligible, expert_capacity=6.0, client_load=rng.uniform(1, 3, (8, 3))
    )
    solution = solve(problem, solve_generalised_assignment)
    assert solution.objective == pytest.approx(float(oracle.best(problem).objective), rel=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (6, 1), (2, 2)])
def test_tiny_shapes(size):
    for name in GAP:
        problem = make(name, *size)
        solution = solve(problem, solve_generalised_assignment)
        assert (solution.objective, solution.status) == (oracle.best(problem).objective, Status.OPTIMAL)


def test_infeasible_is_said_with_a_witness_where_the_relaxation_is():
    problem = AlignmentProblem(np.ones((6, 2)), client_demand=1, expert_capacity=5, client_load=np.full(6, 2.0))
    solution = solve(problem, solve_generalised_assignment, throw=False)
    assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.PRICES)
    assert solution.witness.side == "capacity"


def test_infeasible_only_in_whole_numbers_has_a_tree():
    problem = AlignmentProblem(
        np.ones((5, 2), dtype=int), client_demand=1, expert_capacity=5, client_load=np.full(5, 2.0)
    )
    solution = solve(problem, solve_generalised_assignment, throw=False)
    assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.TREE)


# The contract --------------------------------------------------------------------------------------------------------


def test_threads_and_repetition_change_nothing():
    problem = make("gap-d", 16, 3)
    first, *others = [solve(problem, solve_generalised_assignment, seed=5, threads=threads) for threads in (1, 2, 2)]
    for other in others:
        assert np.array_equal(first.x, other.x)
        assert first.bound == other.bound


def test_a_time_limit_is_kept_in_what_is_returned():
    problem = make("gap-d", 100, 10)
    for threads in (1, 2):
        solution = solve(problem, solve_generalised_assignment, time_limit=1.5, threads=threads)
        assert solution.status in {Status.FEASIBLE, Status.OPTIMAL}
        assert solution.objective <= solution.bound
        assert solution.gap < 0.02
        assert problem.bound(solution.prices) >= solution.bound


def test_no_time_at_all_is_no_error_and_keeps_the_warm_start():
    problem = make("gap-c", 24, 4)
    known = solve(problem, solve_generalised_assignment)
    assert solve(problem, solve_generalised_assignment, time_limit=0, throw=False).status is not Status.INFEASIBLE
    kept = solve(problem, solve_generalised_assignment, time_limit=0, warm_start=known, throw=False)
    assert kept.objective == known.objective


def test_a_warm_start_is_improved_and_an_infeasible_one_ignored():
    problem = make("gap-d", 14, 3)
    best = solve(problem, solve_generalised_assignment)
    everyone_at_one = np.zeros(problem.shape, dtype=bool)
    everyone_at_one[:, 0] = True
    for start in (best, everyone_at_one):
        assert solve(problem, solve_generalised_assignment, warm_start=start).objective == best.objective


def test_progress_only_gets_better():
    told = []
    solve(make("gap-d", 60, 6), solve_generalised_assignment, time_limit=1.0, progress=told.append)
    objectives, bounds = [each.objective for each in told], [each.bound for each in told[:-1]]
    assert objectives == sorted(objectives)
    assert bounds == sorted(bounds, reverse=True)
    assert len(told) > 2


# The parts -----------------------------------------------------------------------------------------------------------


@pytest.mark.kernels
def test_knapsacks_and_what_forcing_costs_are_those_of_enumeration():
    rng = np.random.default_rng(1)
    cost, weight, size = rng.uniform(0, 5, (2, 6)), rng.integers(0, 6, (2, 6)), np.array([9, 4])
    cost[0, 2] = np.inf
    sacks, multipliers = Knapsacks(cost, weight, size), rng.uniform(0, 6, 6)
    best, taken = np.empty(2), np.empty(6, dtype=np.int64)
    evaluate(sacks, multipliers, new_table(sacks), best, taken)
    inside, outside = np.empty((6, 2)), np.empty((6, 2))
    forced(sacks, multipliers, new_table(sacks), new_table(sacks), inside, outside)
    for j in range(2):
        sets = [s for k in range(7) for s in itertools.combinations(range(6), k) if weight[j, list(s)].sum() <= size[j]]
        worth = {s: (multipliers[list(s)] - cost[j, list(s)]).sum() for s in sets}
        assert best[j] == pytest.approx(max(worth.values()))
        for i in range(6):
            within = max((value for s, value in worth.items() if i in s), default=-np.inf)
            assert inside[i, j] == pytest.approx(best[j] - within)
            assert outside[i, j] == pytest.approx(best[j] - max(v for s, v in worth.items() if i not in s))


@pytest.mark.kernels
def test_a_descent_ends_where_no_shift_and_no_swap_helps():
    rng = np.random.default_rng(3)
    n, e = 12, 3
    cost, load = rng.integers(1, 30, (n, e)).astype(float), rng.integers(1, 9, (n, e)).astype(float)
    near = [np.argsort(cost, axis=axis, kind="stable") for axis in (1, 0)]
    capacity = np.full(e, load.sum() / e / e)
    terms = Terms(cost, load, cost - cost.min(axis=1)[:, None], capacity, near[0], near[1].T.copy(), np.array([0.5]))
    plan, penalty = empty_plan(n, e), np.full(e, 100.0)
    settle(plan, load)
    plan.queue[:], plan.waiting[:], plan.line[1] = np.arange(n), 1, n

    def worth(expert):
        carried = np.bincount(expert, weights=load[np.arange(n), expert], minlength=e)
        return cost[np.arange(n), expert].sum() + (penalty * np.maximum(carried - capacity, 0)).sum()

    before = worth(plan.expert)
    descend(terms, plan, penalty)
    reached = worth(plan.expert)
    assert reached < before
    for i, k in itertools.product(range(n), range(n)):
        swapped = plan.expert.copy()
        swapped[[i, k]] = swapped[[k, i]]
        assert worth(swapped) >= reached
    for i, j in itertools.product(range(n), range(e)):
        shifted = plan.expert.copy()
        shifted[i] = j
        assert worth(shifted) >= reached
    shift(plan, load, 0, (plan.expert[0] + 1) % e)
    fresh = empty_plan(n, e)
    fresh.expert[:] = plan.expert
    settle(fresh, load)
    assert np.array_equal(fresh.carried, plan.carried)
    assert [set(fresh.members[j, : fresh.size[j]]) for j in range(e)] == [
        set(plan.members[j, : plan.size[j]]) for j in range(e)
    ]


@pytest.mark.parametrize("seed", range(4))
def test_multipliers_prove_no_more_than_the_optimum_and_close_no_pair_of_a_better_alignment(seed):
    for problem in (make("gap-d", 12, 3, seed), real(np.random.default_rng(seed))):
        optimum = oracle.best(problem)
        cost = -float(optimum.objective)
        multipliers = Multipliers(read(problem), np.zeros(problem.num_clients))
        multipliers.climb(cost + 1.0, math.inf, 300)
        assert multipliers.lower <= cost + 1e-9 * abs(cost)
        assert multipliers.lower >= -problem.bound(np.zeros(problem.num_experts)) - 1e-9
        opened = multipliers.open_pairs(cost + 1e-3)
        assert all(opened[i, j] for i, (j,) in enumerate(optimum.choices))


def test_multipliers_prove_more_than_prices():
    problem = make("gap-d", 60, 12)
    solution = solve(problem, solve_generalised_assignment, time_limit=2)
    assert solution.bound < problem.bound(solution.prices)


# The published instances ---------------------------------------------------------------------------------------------


def known():
    if not (SHARED / "bounds.csv").is_file():
        return {}
    with (SHARED / "bounds.csv").open(newline="") as file:
        return {(row["instance"], row["sense"]): float(row["best_known"]) for row in csv.DictReader(file)}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the published instances are not here")
@pytest.mark.parametrize("sense", ["min", "max"])
@pytest.mark.parametrize("name", ["a05100", "b05100", "c0515_1", "c0824_3", "c1030_2", "c1060_4"])
def test_easy_published_instances_are_solved(name, sense):
    solution = solve(orlib.read(SHARED / f"{name}.txt", sense=sense), solve_generalised_assignment, time_limit=60)
    assert solution.status is Status.OPTIMAL
    assert abs(solution.objective) == known()[name, sense]


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="the published instances are not here")
@pytest.mark.parametrize("name", ["d05100", "d10100", "d20100", "e05100", "e20100", "e10400"])
def test_hard_published_instances_come_close_and_no_bound_passes_the_best_known(name):
    solution = solve(orlib.read(SHARED / f"{name}.txt"), solve_generalised_assignment, time_limit=5)
    best = known()[name, "min"]
    assert -solution.objective <= 1.01 * best
    assert -solution.bound <= best or -solution.objective < best


def test_it_is_called_like_any_solver():
    problem = make("gap-c", 10, 3)
    call = partial(solve_generalised_assignment, problem, seed=0, threads=1, progress=None)
    answer = call(deadline=math.inf, warm_start=WarmStart())
    assert answer.bound == problem.objective(answer.x)
    late = call(deadline=time.monotonic() - 1.0, warm_start=WarmStart(answer.x))
    assert np.array_equal(late.x.experts, answer.x.experts)


def test_a_client_too_heavy_for_every_expert_is_told():
    problem = AlignmentProblem(np.ones((3, 2)), client_demand=1, client_load=[1.0, 1.0, 5.0], expert_capacity=4.0)
    solution = solve(problem, "lagrangian", throw=False)
    assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.TREE)


def test_whoever_may_go_without_does_not_confuse_the_integer_program_with_prices_of_nobody():
    fitness, required = np.zeros((6, 6), dtype=np.int64), np.zeros((6, 6), dtype=np.bool_)
    fitness[4, 1], fitness[5, 5], required[4, 1] = -5, 5, True
    problem = AlignmentProblem(fitness, required=required, client_load=[1, 1, 1, 1, 1, 2], shortfall_penalty=0.5)
    solution = solve(problem, "lagrangian")
    assert (solution.status, solution.objective) == (Status.OPTIMAL, 0)
