"""The problem: accepted arguments, how they are read, and the errors for wrong ones."""

import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Feature, ProblemClass, RowBlocks
from alignsolve.problem import FIELDS

BASE = {"fitness": np.ones((2, 3))}


def make(**fields):
    return AlignmentProblem(**(BASE | fields))


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"fitness": [[1, 2, 3], [4, np.nan, 6]]}, "fitness of client 1, expert 1 is nan"),
        ({"fitness": [[1, 2, np.inf], [4, 5, 6]]}, "fitness of client 0, expert 2 is inf"),
        ({"fitness": [[1, 2, 3], [-np.inf, 5, 6]]}, "fitness of client 1, expert 0 is -inf"),
        ({"fitness": [[1, 2, 3], [1e200, 5, 6]]}, "fitness of client 1, expert 0 is 1e+200"),
        ({"fitness": [[1, 2, 3], [2**53 + 1, 5, 6]]}, "fitness of client 1, expert 0 is 9007199254740993"),
        ({"fitness": [1.0, 2.0, 3.0]}, "fitness must have shape (num_clients, num_experts), not (3,)"),
        ({"fitness": [["a", "b", "c"]]}, "fitness must be float16"),
        ({"fitness": [[1j, 2, 3], [4, 5, 6]]}, "fitness must be float16"),
        ({"fitness": [[1, 2, 3], [4, 5]]}, "fitness must be an array of numbers in even rows"),
        ({"eligible": [[True], [True, False]]}, "eligible must be an array of numbers in even rows"),
        ({"client_demand": [[1], [1, 2]]}, "client_demand must be an array of numbers in even rows"),
        ({"client_capacity": 1.5}, "client_capacity is 1.5; it must be a whole number, 0 or more"),
        ({"client_capacity": [1, 2.5]}, "client_capacity of client 1 is 2.5"),
        ({"client_capacity": [1, -1]}, "client_capacity of client 1 is -1"),
        ({"client_capacity": [1, np.nan]}, "client_capacity of client 1 is nan"),
        ({"client_capacity": np.inf}, "client_capacity is inf"),
        ({"client_capacity": np.full(2, np.inf, dtype=np.float16)}, "client_capacity of client 0 is inf"),
        ({"client_capacity": None}, "client_capacity must be whole numbers"),
        ({"client_capacity": "two"}, "client_capacity must be whole numbers"),
        ({"client_demand": [0.5, 1]}, "client_demand of client 0 is 0.5"),
        ({"client_capacity": [1, 2, 3]}, "client_capacity has shape (3,), which does not fit (num_clients) = (2,)"),
        ({"client_demand": [[1], [2]]}, "client_demand has shape (2, 1), which does not fit (num_clients) = (2,)"),
        ({"expert_capacity": [1, 2]}, "expert_capacity has shape (2,), which does not fit (num_experts) = (3,)"),
        ({"expert_capacity": [1, np.nan, 2]}, "expert_capacity of expert 1 is nan"),
        ({"expert_capacity": -1}, "expert_capacity is -1.0; it must be a number, 0 or more"),
        ({"expert_capacity": "lots"}, "expert_capacity must be an array of numbers"),
        ({"expert_demand": [0, 0, np.inf]}, "expert_demand of expert 2 is inf; it must be a finite number, 0 or more"),
        ({"expert_demand": -0.5}, "expert_demand is -0.5"),
        ({"expert_demand": 1e200}, "expert_demand is 1e+200"),
        ({"overload_penalty": [1, -1, 1]}, "overload_penalty of expert 1 is -1.0; it must be a number, 0 or more"),
        ({"shortfall_penalty": -2}, "shortfall_penalty is -2.0"),
        ({"shortfall_penalty": np.nan}, "shortfall_penalty is nan"),
        ({"eligible": np.ones((3, 2), bool)}, "eligible has shape (3, 2), fitness has (2, 3)"),
        ({"eligible": np.ones(3, bool)}, "eligible has shape (3,), fitness has (2, 3)"),
        ({"eligible": np.full((2, 3), 0.5)}, "eligible must be bools (or 0 and 1)"),
        ({"required": np.full((2, 3), 2)}, "required must be bools (or 0 and 1)"),
        ({"previous": np.ones((2, 2), bool)}, "previous has shape (2, 2), fitness has (2, 3)"),
        ({"group_capacity": 1}, "group_capacity is given without expert_group"),
        ({"group_demand": 1}, "group_demand is given without expert_group"),
        ({"expert_group": [0, 1]}, "expert_group has shape (2,), which does not fit (num_experts) = (3,)"),
        ({"expert_group": [0, 1, -1]}, "expert_group of expert 2 is -1"),
        ({"expert_group": [0, 1, 0.5]}, "expert_group of expert 2 is 0.5"),
        (
            {"expert_group": [0, 1, 1], "group_capacity": [1, 1, 1]},
            "group_capacity has shape (3,), which does not fit (num_clients, num_groups) = (2, 2)",
        ),
        ({"expert_group": [0, 1, 1], "group_demand": [[0, 0], [0, 0.5]]}, "group_demand of client 1, group 1 is 0.5"),
        ({"client_load": [1, -1]}, "client_load of client 1, expert 0 is -1.0; it must be a finite number, 0 or more"),
        ({"client_load": [[1, 1, 1], [1, np.nan, 1]]}, "client_load of client 1, expert 1 is nan"),
        ({"client_load": [1, 2, 3]}, "client_load has shape (3,), which does not fit (num_clients) = (2,)"),
        ({"client_load": np.ones((3, 2))}, "client_load has shape (3, 2), which does not fit"),
        ({"client_budget": 1}, "client_budget is given without expert_cost: budgets need both"),
        ({"expert_cost": [1, 2, 3]}, "expert_cost is given without client_budget: budgets need both"),
        ({"client_budget": [1, -1], "expert_cost": [1, 2, 3]}, "client_budget of client 1"),
        ({"client_budget": 1, "expert_cost": [1, 2]}, "expert_cost has shape (2, 1), which does not fit"),
        ({"client_budget": [1, 2, 3], "expert_cost": [1, 2, 3]}, "client_budget has shape (3, 1), which does not fit"),
        ({"client_budget": 1, "expert_cost": [1, -2, 3]}, "expert 1"),
        ({"client_budget": 1, "expert_cost": [1, np.inf, 3]}, "expert_cost of"),
        ({"client_budget": np.ones((2, 2)), "expert_cost": np.ones((3, 3))}, "expert_cost has shape (3, 3)"),
        ({"client_budget": np.ones((2, 2)), "expert_cost": [1, 2, 3]}, "expert_cost has shape (3,)"),
        ({"switching_cost": np.nan}, "switching_cost is nan; it must be a finite number"),
        ({"switching_cost": [1, 2]}, "switching_cost has shape (2,), which does not fit"),
        ({"switching_cost": [[0, 0, 0], [0, np.inf, 0]]}, "switching_cost of client 1, expert 1 is inf"),
    ],
)
def test_what_cannot_be_a_problem_is_told_by_field_and_place(fields, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        make(**fields)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_infinite_fitness_of_every_precision_is_refused(dtype):
    with pytest.raises(ValueError, match="fitness of client 0, expert 1 is inf"):
        make(fitness=np.array([[1, np.inf, 1]], dtype=dtype))


def test_nonsense_at_ineligible_pairs_is_never_read():
    eligible = np.array([[True, False, True], [True, True, False]])
    problem = make(
        fitness=np.where(eligible, 1.0, np.inf),
        eligible=eligible,
        client_load=np.where(eligible, 2.0, -np.inf),
        client_budget=3.0,
        expert_cost=np.where(eligible, 1.0, np.nan),
        client_capacity=3,
        expert_capacity=4,
    )
    assert problem.objective(eligible) == 4.0
    assert problem.violations(eligible) == []
    assert problem.bound([0.5, -0.5, 0.5]) == pytest.approx(6.0)


def test_scalars_and_vectors_spread_over_the_matrix():
    problem = make(
        client_capacity=2,
        expert_capacity=None,
        expert_demand=[0, 1, 0],
        expert_group=[0, 1, 1],
        group_capacity=[1, 2],
        group_demand=0,
        client_load=[1, 2],
        client_budget=[5, 6],
        expert_cost=[1, 2, 3],
        overload_penalty=None,
        shortfall_penalty=[1, 2, np.inf],
        switching_cost=[0, 1, 2],
    )
    assert problem.client_capacity.tolist() == [2, 2]
    assert problem.expert_capacity.tolist() == [np.inf] * 3
    assert problem.group_capacity.tolist() == [[1, 2]] * 2
    assert problem.client_load.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert problem.client_budget.tolist() == [[5], [6]]
    assert problem.expert_cost.tolist() == [[[1], [2], [3]]] * 2
    assert problem.switching_cost.tolist() == [[0, 1, 2]] * 2
    assert problem.num_groups == 2


def test_several_resources_have_a_trailing_axis():
    shared = make(client_budget=[[1, 2], [3, 4]], expert_cost=[[1, 0], [0, 1], [1, 1]])
    own = make(client_budget=[[1, 2], [3, 4]], expert_cost=np.ones((2, 3, 2)))
    assert shared.expert_cost.shape == own.expert_cost.shape == (2, 3, 2)
    assert shared.expert_cost[1, 2].tolist() == [1, 1]


@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.int8, np.uint8, np.int32, np.uint64, np.bool_]
)
def test_fitness_of_every_dtype_is_taken_as_it_is(dtype):
    given = np.array([[1, 0, 1], [0, 1, 1]], dtype=dtype)
    problem = make(fitness=given, client_capacity=3, expert_capacity=1)
    assert np.shares_memory(problem.fitness, given)
    assert problem.integral == (np.dtype(dtype).kind != "f")
    assert problem.objective(np.ones((2, 3))) == 4
    assert problem.bound([1.0, 1.0, -2.0]) == pytest.approx(8)


def test_loads_of_one_are_no_weights():
    assert make(client_load=[1.0, 1.0]).class_ is ProblemClass.CARDINALITY
    assert make(client_load=[1.0, 2.0]).class_ is ProblemClass.GENERAL
    eligible = np.array([[True, True, True], [True, True, False]])
    assert make(client_load=np.where(eligible, 1.0, np.nan), eligible=eligible).class_ is ProblemClass.CARDINALITY
    assert make(client_budget=1, expert_cost=[1, 1, 1]).class_ is ProblemClass.GENERAL


def test_features_are_what_is_asked_for():
    assert make(fitness=np.ones((2, 3), int)).features == frozenset()
    assert make(overload_penalty=1.0).features == {Feature.FRACTIONAL_VALUES}
    asked = make(expert_capacity=1, expert_demand=[0, 1, 0], overload_penalty=1.0, switching_cost=1, client_demand=1)
    assert asked.features == {
        Feature.FRACTIONAL_VALUES,
        Feature.HARD_EXPERT_DEMANDS,
        Feature.SOFT_BOUNDS,
        Feature.SWITCHING_COSTS,
        Feature.CLIENT_DEMANDS,
    }
    assert "2 clients x 3 experts, cardinality" in repr(asked)


def test_crossed_bounds_construct():
    crossed = make(client_capacity=1, client_demand=2, expert_capacity=1, expert_demand=2)
    assert crossed.violations(np.zeros((2, 3)))


def test_a_problem_is_frozen_and_leaves_its_arguments_alone():
    given = {
        "fitness": np.array([[1.0, np.nan, 3.0], [4.0, 5.0, 6.0]]),
        "eligible": np.array([[True, False, True], [True, True, True]]),
        "client_load": np.array([[1.0, np.nan, 2.0], [2.0, 2.0, 2.0]]),
        "expert_capacity": np.array([1.0, 2.0, 3.0]),
    }
    kept = {field: array.copy() for field, array in given.items()}
    problem = AlignmentProblem(**given)
    problem.bound([1.0, 2.0, 3.0])
    problem.objective([[True, False, False], [False, True, True]])
    for field, array in given.items():
        np.testing.assert_array_equal(array, kept[field])
    with pytest.raises(FrozenInstanceError):
        problem.fitness = 1


def test_soften_keeps_every_other_field():
    full = make(
        client_capacity=[1, 2],
        client_demand=1,
        expert_capacity=3,
        expert_demand=1,
        eligible=np.ones((2, 3), bool),
        required=np.zeros((2, 3), bool),
        expert_group=[0, 0, 1],
        group_capacity=2,
        client_load=[2, 3],
        client_budget=[[1, 2], [3, 4]],
        expert_cost=np.ones((3, 2)),
        previous=np.eye(2, 3, dtype=bool),
        switching_cost=0.5,
    )
    soft = full.soften(overload=[1, 2, 3])
    for field in set(FIELDS) - {"overload_penalty"}:
        np.testing.assert_array_equal(getattr(soft, field), getattr(full, field))
    assert soft.overload_penalty.tolist() == [1, 2, 3]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0)])
def test_empty_problems_construct(shape):
    problem = AlignmentProblem(np.zeros(shape), expert_capacity=1)
    assert problem.objective(np.zeros(shape, bool)) == 0
    assert problem.bound(np.zeros(shape[1])) == pytest.approx(0)
    assert problem.violations(np.zeros(shape, bool)) == []


@pytest.mark.parametrize(
    ("x", "complaint"),
    [
        (np.zeros((3, 2)), "x has shape (3, 2), expected (2, 3)"),
        (np.full((2, 3), 0.5), "x has entries other than 0 and 1"),
        (np.full((2, 3), np.nan), "x has entries other than 0 and 1"),
        ((np.array([0, 1]), np.array([0])), "indptr has shape (2,), expected (3,)"),
        ((np.array([0, 2, 1]), np.array([0])), "indptr must rise from 0 to the number of pairs, 1"),
        ((np.array([1, 1, 1]), np.array([0])), "indptr must rise from 0"),
        ((np.array([0, 1, 2]), np.array([0, 3])), "experts must lie in 0..2; found 0..3"),
        ((np.array([0, 1, 2]), np.array([-1, 0])), "experts must lie in 0..2; found -1..0"),
        ((np.array([0, 2, 2]), np.array([1, 1])), "a client is assigned the same expert twice"),
        ((np.array([0, 3, 3]), np.array([1, 2, 1])), "a client is assigned the same expert twice"),
        ((np.array([0.0, 1, 2]), np.array([0, 1])), "indptr and experts must be integers"),
        ((np.array([0, 1, 2]), np.array([0.0, 1.0])), "indptr and experts must be integers"),
    ],
)
def test_what_is_no_alignment_is_refused(x, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        make().objective(x)


def test_unsorted_rows_are_sorted():
    problem = make(fitness=np.arange(6.0).reshape(2, 3), client_capacity=2)
    assert problem.objective((np.array([0, 2, 4]), np.array([2, 0, 1, 0]))) == 2 + 0 + 4 + 3
    assert problem.objective((np.array([0, 0, 0]), np.array([]))) == 0


def test_row_blocks_are_read_and_checked():
    matrix = np.arange(12.0).reshape(4, 3)
    problem = AlignmentProblem(RowBlocks((4, 3), np.float64, lambda start, stop: matrix[start:stop]), expert_capacity=1)
    dense = AlignmentProblem(matrix, expert_capacity=1)
    assert problem.bound([1.0, 2.0, 3.0]) == dense.bound([1.0, 2.0, 3.0])
    assert problem.objective(np.eye(4, 3)) == dense.objective(np.eye(4, 3))
    with pytest.raises(ValueError, match=r"returned shape \(1, 3\), expected \(4, 3\)"):
        AlignmentProblem(RowBlocks((4, 3), np.float64, lambda start, stop: matrix[:1]))
    with pytest.raises(ValueError, match="returned float64, declared float32"):
        AlignmentProblem(RowBlocks((4, 3), np.float32, lambda start, stop: matrix[start:stop]))
    with pytest.raises(ValueError, match="fitness of client 2, expert 1 is nan"):
        AlignmentProblem(
            RowBlocks((4, 3), np.float64, lambda start, stop: np.where(matrix[start:stop] == 7, np.nan, 1))
        )


@pytest.mark.parametrize(
    ("budget", "cost", "words"),
    [
        (1.0, [1.0, -1.0], r"expert_cost of expert 1, resource 0 is -1.0"),
        (1.0, 1.0, r"expert_cost has shape \(\); with one budget for each client"),
        (np.ones(3), np.ones((3, 2, 2)), r"\(num_experts,\) or \(num_clients, num_experts\)"),
        (np.ones((3, 2)), np.ones((3, 2)), r"expert_cost has shape \(3, 2"),
        (np.ones((3, 2)), np.ones((2, 3)), r"\(2, 3\), which does not fit the 2 resources of client_budget"),
        (np.ones((3, 2)), np.ones(2), r"it must be \(num_experts, 2\) or \(num_clients, num_experts, 2\)"),
        (np.ones((3, 2, 2)), np.ones((2, 2)), r"client_budget has shape \(3, 2, 2\)"),
    ],
)
def test_costs_that_do_not_fit_their_budgets_are_named(budget, cost, words):
    with pytest.raises(ValueError, match=words):
        AlignmentProblem(np.ones((3, 2)), client_budget=budget, expert_cost=cost)
