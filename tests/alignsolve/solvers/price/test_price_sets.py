"""``price`` where experts are in nested sets: right on random problems, and as good as ``flow`` on larger ones."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings

from alignsolve import AlignmentProblem, Proof, Status, solve
from alignsolve.solvers.price import Price
from alignsolve.solvers.price.engine_numpy import NumpyEngine
from alignsolve.solvers.price.side import Side
from problems import FAMILIES
from tests import oracle, set_strategies

NESTED = set_strategies.set_problems(max_clients=5, max_experts=4)


def judged(problem, solver):
    solution, best = solve(problem, solver, throw=False), oracle.best(problem)
    if best is None:
        assert solution.status is Status.INFEASIBLE, solution
        assert solution.witness is not None
        assert oracle.confirms(problem, solution.witness)
        return
    choices = oracle.chosen(solution.x)
    assert oracle.feasible(problem, choices)
    scale = max(oracle.magnitude(problem, choices), abs(float(best.objective)))
    assert abs(oracle.objective(problem, choices) - best.objective) <= 1e-9 * scale
    if scale > 0.0:
        assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.PRICES)


@settings(max_examples=40)
@given(NESTED)
def test_price_is_right_with_nested_sets(problem):
    judged(problem, "price")


@settings(max_examples=15)
@given(NESTED)
def test_heaps_and_the_plain_engine_are_right_too(problem):
    judged(problem, Price(engine=NumpyEngine(), table_pairs=0))


@pytest.mark.slow
@settings(max_examples=300)
@given(NESTED)
def test_price_is_right_with_many_nested_sets(problem):
    judged(problem, "price")


@pytest.mark.parametrize("family", ["sets", "projects", "nested"])
def test_price_finds_what_flow_finds(family):
    problem = FAMILIES[family](np.random.default_rng(2), num_clients=1200, num_experts=24)
    fast, plain = solve(problem, "price"), solve(problem, "flow")
    assert (fast.status, fast.proof) == (Status.OPTIMAL, Proof.PRICES)
    assert fast.objective == pytest.approx(plain.objective, rel=1e-12)
    warm = solve(problem, "price", warm_start=fast)
    assert warm.status is Status.OPTIMAL
    assert warm.stats["searches"] <= fast.stats["searches"]


def test_sets_that_do_not_bind_change_nothing():
    rng = np.random.default_rng(0)
    plain = AlignmentProblem(rng.random((400, 8)), client_demand=1, expert_capacity=55)
    loose = AlignmentProblem(
        plain.fitness, client_demand=1, expert_capacity=55, expert_sets=np.arange(8) // 4, set_capacity=[399, 220]
    )
    one, other = solve(plain, "price"), solve(loose, "price")
    assert one.objective == pytest.approx(other.objective, rel=1e-12)
    assert other.set_prices.tolist() == [0.0, 0.0]


def test_a_soft_demand_beyond_all_clients_does_not_fill_a_set_without_a_capacity():
    fields = {"expert_demand": 2.0, "shortfall_penalty": 0.5, "expert_sets": [[True], [True]]}
    solution = solve(AlignmentProblem([[0]], **fields), "price")
    assert (solution.status, solution.objective) == (Status.OPTIMAL, -0.5)
    assert solution.bound == pytest.approx(-0.5, rel=1e-12)


def test_excess_and_content_loads_balance():
    problem = FAMILIES["nested"](np.random.default_rng(1), num_clients=40, num_experts=7)
    side, rng = Side.of(problem), np.random.default_rng(2)
    relative = rng.integers(-1, 2, side.slopes.end.shape)
    relative.sort(axis=1)
    loads = rng.integers(0, 12, 7)
    excess = side.excess(side.content(relative, loads), loads)
    assert excess.sum() == 0
    assert len(excess) == side.nodes == 7 + 1 + problem.num_sets


@pytest.mark.parametrize(
    ("fitness", "fields"),
    [
        ([[-0.1]], {"expert_capacity": 0.0, "overload_penalty": 1.0, "expert_sets": [[True]], "set_demand": 1.0}),
        (
            [[0.0, -0.3], [1e-06, 1e-06], [-0.3, 0.01]],
            {"expert_capacity": 0.0, "overload_penalty": [1e6, 2e6], "expert_sets": [[True, True]], "set_demand": 2.0}
            | {"set_shortfall_penalty": 3e6},
        ),
        (
            [[1e-05, -0.0003], [-0.0001, -0.0003]],
            {"client_capacity": 2, "expert_capacity": [0.0, 1.0], "overload_penalty": [1.0, 2.0], "set_demand": 2.0}
            | {"expert_sets": [[True, True], [True, False]], "set_capacity": 0.0, "set_overload_penalty": 1.0},
        ),
    ],
)
def test_penalties_far_larger_than_the_fitness_move_the_prices_of_sets(fitness, fields):
    """The fuzzer found the first one: the set's price stopped half way."""
    problem = AlignmentProblem(fitness, **fields)
    solution = solve(problem, "price", throw=False)
    assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.PRICES)
    best = oracle.best(problem).objective
    assert abs(Fraction(solution.objective) - best) <= Fraction(1, 10**9) * abs(best)


def test_prices_of_a_warm_start_far_above_those_of_a_set_come_down():
    """The fuzzer found it: the price stopped half way, as no client bids."""
    problem = AlignmentProblem(
        np.zeros((1, 1), dtype=np.uint8), 0, expert_capacity=1.0, expert_sets=[[True]], set_demand=1.0,
        set_shortfall_penalty=0.5,
    )  # fmt: skip
    solution = solve(problem, "price", warm_start=np.array([2.675]))
    assert (solution.status, solution.proof, solution.objective) == (Status.OPTIMAL, Proof.PRICES, -0.5)
