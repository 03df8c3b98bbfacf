"""The slow reference solver: exact on integers, equal to the oracle and to the integer program, stopped on request."""

import time

import numpy as np
import pytest
from hypothesis import assume, given, settings

from alignsolve import AlignmentProblem, solve
from alignsolve.problem import Feature
from alignsolve.solution import Proof, Status, UnsupportedError
from alignsolve.solvers.network_simplex import NetworkX
from tests import oracle, strategies


def assert_best(problem: AlignmentProblem) -> Status:
    """Check the status and the exact objective against the oracle, and add up the witness."""
    solution, best = solve(problem, solver="networkx", throw=False), oracle.best(problem)
    assert solution.proof is Proof.PRICES
    if best is None:
        assert solution.status is Status.INFEASIBLE
        assert solution.witness is not None
        assert oracle.confirms(problem, solution.witness)
    else:
        assert solution.status is Status.OPTIMAL
        assert oracle.feasible(problem, oracle.chosen(solution.x))
        assert oracle.objective(problem, oracle.chosen(solution.x)) == best.objective == solution.objective
    return solution.status


@settings(max_examples=75)
@given(strategies.cardinality_problems(max_clients=4, max_experts=4))
def test_it_agrees_with_the_oracle(problem: AlignmentProblem):
    assume(Feature.FRACTIONAL_VALUES not in problem.features)
    assert_best(problem)


def random_problem(rng: np.random.Generator) -> AlignmentProblem:
    """Return a problem with integers in every field of the cardinality class."""
    n, e = rng.integers(2, 6), rng.integers(2, 5)
    eligible = rng.random((n, e)) < 0.8
    return AlignmentProblem(
        rng.integers(-9, 10, size=(n, e)),
        client_capacity=rng.integers(1, 4, size=n),
        client_demand=rng.integers(0, 2, size=n),
        expert_capacity=rng.integers(1, 5, size=e),
        expert_demand=rng.integers(0, 3, size=e),
        eligible=eligible,
        required=eligible & (rng.random((n, e)) < 0.1),
        expert_group=rng.integers(0, 2, size=e),
        group_capacity=2,
        overload_penalty=np.where(rng.random(e) < 0.5, rng.integers(0, 5, size=e), np.inf),
        shortfall_penalty=np.where(rng.random(e) < 0.5, rng.integers(0, 5, size=e), np.inf),
        previous=rng.random((n, e)) < 0.3,
        switching_cost=rng.integers(0, 4, size=(n, e)),
    )


def test_all_fields_together_agree_with_the_oracle():
    rng = np.random.default_rng(0)
    statuses = [assert_best(random_problem(rng)) for _ in range(80)]
    assert {Status.OPTIMAL, Status.INFEASIBLE} == set(statuses)


def test_it_agrees_with_the_integer_program_beyond_enumeration():
    rng = np.random.default_rng(1)
    for _ in range(3):
        problem = AlignmentProblem(
            rng.integers(-1000, 1000, size=(60, 7)),
            client_capacity=rng.integers(1, 4, size=60),
            expert_capacity=rng.integers(5, 20, size=7),
            expert_demand=rng.integers(0, 6, size=7),
        )
        assert solve(problem, solver="networkx").objective == solve(problem, solver="ilp").objective


def test_integers_beyond_floats_stay_exact():
    fitness = np.array([[2**52 + 1, 2**52], [2**52, 2**52 - 2]])
    solution = solve(AlignmentProblem(fitness, expert_capacity=1), solver="networkx")
    assert solution.objective == 2**53
    assert solution.status is Status.OPTIMAL


@pytest.mark.parametrize("shape", [(0, 0), (0, 2), (2, 0), (1, 1), (1, 4), (4, 1)])
def test_the_smallest_shapes(shape: tuple[int, int]):
    problem = AlignmentProblem(np.ones(shape, dtype=int), expert_capacity=1)
    solution = solve(problem, solver="networkx")
    assert (solution.status, solution.objective) == (Status.OPTIMAL, min(shape))


def test_a_zero_objective_is_optimal():
    problem = AlignmentProblem(np.zeros((5, 3), dtype=int), client_demand=1, expert_capacity=2, expert_demand=1)
    solution = solve(problem, solver="networkx")
    assert (solution.status, solution.objective, solution.gap) == (Status.OPTIMAL, 0, 0.0)


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"fitness": [[0.5, 1.0]]}, "fractional values"),
        ({"fitness": [[1, 2]], "client_load": [2.0]}, "weighted loads"),
        ({"fitness": [[1, 2]], "client_budget": 1.0, "expert_cost": [1.0, 1.0]}, "budgets"),
    ],
)
def test_it_refuses_what_it_cannot_take_and_names_who_can(fields: dict[str, object], feature: str):
    with pytest.raises(UnsupportedError, match=feature) as caught:
        solve(AlignmentProblem(**fields), solver="networkx")
    assert "ilp" in str(caught.value)


def test_a_limit_holds():
    rng = np.random.default_rng(2)
    problem = AlignmentProblem(rng.integers(0, 10**6, size=(4000, 32)), client_capacity=2, expert_capacity=250)
    started = time.monotonic()
    solution = solve(problem, solver=NetworkX(), time_limit=0.5, throw=False)
    assert time.monotonic() - started < 2.0
    assert solution.stats["stopped"] == "time limit"
    assert solution.bound >= 0
    if solution.assigned is not None:  # a slow machine may not even get that far
        assert (solution.status, solution.stats["standing"]) == (Status.FEASIBLE, "greedy")
