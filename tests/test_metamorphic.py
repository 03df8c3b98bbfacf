"""Metamorphic laws: a change of a problem has a known effect on its optimum."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alignsolve import ProblemClass, Status, solve
from alignsolve.problem import FIELDS
from tests import strategies
from tests.set_strategies import set_problems

SOLVERS = ("flow", "price", "ilp")
BY_CLIENT = {"fitness", "client_capacity", "client_demand", "eligible", "required", "group_capacity", "group_demand",
             "client_load", "client_budget", "expert_cost", "previous", "switching_cost"}  # fmt: skip
BY_EXPERT = {"expert_capacity", "expert_demand", "expert_group", "overload_penalty", "shortfall_penalty",
             "optional_demand"}  # fmt: skip
SET_PENALTIES = {"set_overload_penalty", "set_shortfall_penalty"}
BY_SET = {"expert_sets", "set_capacity", "set_demand", *SET_PENALTIES}
BY_COLUMN = {
    "fitness",
    "eligible",
    "required",
    "client_load",
    "expert_cost",
    "previous",
    "switching_cost",
    "expert_sets",
}


def any_problem():
    sizes = {"max_clients": 6, "max_experts": 5}
    return st.one_of(strategies.problems(**sizes), strategies.optional_problems(**sizes), set_problems(**sizes))


def flows():
    return strategies.cardinality_problems(max_clients=6, max_experts=5)


def optimum(problem, **options):
    """Return the proven optimum by one of the exact solvers; None if there is none."""
    solver = "ilp"
    if problem.class_ is ProblemClass.CARDINALITY:
        solver = SOLVERS[(problem.num_clients + problem.num_experts) % len(SOLVERS)]
    solution = solve(problem, solver, throw=False, **options)
    if solution.status is Status.INFEASIBLE:
        return None
    assert solution.status is Status.OPTIMAL, solution
    return float(solution.objective)


def same(one, other, scale):
    assert (one is None) == (other is None)
    if one is not None:
        assert one == pytest.approx(other, rel=1e-9, abs=1e-9 * scale)


def size(problem):
    """Return the largest number in the objective."""
    fitness = np.asarray(problem.fitness, dtype=float)
    return float(np.abs(fitness[np.isfinite(fitness)]).max(initial=1.0))


def indexed(problem, names, pick):
    """Return the problem with the entries of some fields indexed anew."""
    given = {name: getattr(problem, name) for name in names}
    return replace(problem, **{name: pick(values) for name, values in given.items() if values is not None})


def test_every_field_is_known_to_the_laws():
    assert set(FIELDS) == BY_CLIENT | BY_EXPERT | BY_SET


@settings(max_examples=60)
@given(any_problem(), st.randoms(use_true_random=False))
def test_the_order_of_clients_does_not_matter(problem, random):
    order = random.sample(range(problem.num_clients), problem.num_clients)
    same(optimum(indexed(problem, BY_CLIENT, lambda values: values[order])), optimum(problem), size(problem))


@settings(max_examples=60)
@given(any_problem(), st.randoms(use_true_random=False))
def test_the_order_of_experts_does_not_matter(problem, random):
    order = random.sample(range(problem.num_experts), problem.num_experts)
    permuted = indexed(problem, BY_EXPERT, lambda values: values[order])
    groups = {} if problem.expert_group is None else {
        "group_capacity": problem.group_capacity, "group_demand": problem.group_demand
    }  # fmt: skip
    permuted = replace(permuted, **{
        name: getattr(problem, name)[:, order] for name in BY_COLUMN if getattr(problem, name) is not None
    }, **groups)  # fmt: skip
    same(optimum(permuted), optimum(problem), size(problem))


@settings(max_examples=40)
@given(any_problem(), st.sampled_from([-3.0, 0.5, 8.0]))
def test_a_client_that_takes_a_fixed_number_moves_the_optimum_by_its_shift(problem, shift):
    count = np.minimum(problem.client_capacity, 2)
    fixed = replace(
        problem, client_capacity=count, client_demand=count, fitness=np.asarray(problem.fitness, dtype=float)
    )
    moved = fixed.fitness.copy()
    moved[0] += shift
    before, after = optimum(fixed), optimum(replace(fixed, fitness=moved))
    same(None if before is None else before + shift * count[0], after, size(problem))


@settings(max_examples=40)
@given(any_problem(), st.sampled_from([-40, -3, 1, 30]))
def test_a_power_of_two_scales_everything(problem, power):
    factor = 2.0**power
    scaled = replace(
        problem,
        fitness=np.asarray(problem.fitness, dtype=float) * factor,
        switching_cost=problem.switching_cost * factor,
        overload_penalty=problem.overload_penalty * factor,
        shortfall_penalty=problem.shortfall_penalty * factor,
        **{name: getattr(problem, name) * factor for name in SET_PENALTIES if getattr(problem, name) is not None},
    )
    before = optimum(problem)
    same(None if before is None else before * factor, optimum(scaled), size(problem) * factor)


@settings(max_examples=40)
@given(flows())
def test_twice_the_clients_and_twice_the_room_are_twice_as_good(problem):
    finite = problem.expert_capacity[np.isfinite(problem.expert_capacity)]
    assume((finite % 1 == 0).all() and (problem.expert_demand % 1 == 0).all())
    twice = [*range(problem.num_clients)] * 2
    double = {name: getattr(problem, name)[twice] for name in BY_CLIENT if getattr(problem, name) is not None}
    double |= {"expert_capacity": 2 * problem.expert_capacity, "expert_demand": 2 * problem.expert_demand}
    before = optimum(problem)
    same(None if before is None else 2 * before, optimum(replace(problem, **double)), size(problem))


TIGHTER = {
    "client_capacity": lambda values: np.maximum(values - 1, 0),
    "client_demand": lambda values: values + 1,
    "expert_capacity": lambda values: np.where(np.isfinite(values), values / 2, 3.0),
    "expert_demand": lambda values: values + 1,
    "eligible": lambda values: values & (np.arange(values.size).reshape(values.shape) % 3 > 0),
    "required": lambda values: values | (np.arange(values.size).reshape(values.shape) % 5 == 0),
    "overload_penalty": lambda values: values * 2,
    "shortfall_penalty": lambda values: values + 1,
    "switching_cost": lambda values: values + 0.5,
    "client_load": lambda values: values * 1.5,
    "client_budget": lambda values: values / 2,
    "set_capacity": lambda values: np.where(np.isfinite(values), values / 2, 3.0),
    "set_demand": lambda values: values + 1,
}


@settings(max_examples=120)
@given(any_problem(), st.sampled_from(sorted(TIGHTER)))
def test_a_tighter_bound_never_raises_the_objective(problem, field):
    problem = replace(
        problem,
        expert_demand=0 if field == "client_load" else problem.expert_demand,
        eligible=np.ones(problem.shape, dtype=bool) if problem.eligible is None else problem.eligible,
        required=np.zeros(problem.shape, dtype=bool) if problem.required is None else problem.required,
    )
    assume(getattr(problem, field) is not None)
    before = optimum(problem)
    after = optimum(replace(problem, **{field: TIGHTER[field](getattr(problem, field))}))
    if after is not None:
        assert before is not None
        assert after <= before + 1e-9 * max(size(problem), abs(before))


@settings(max_examples=60)
@given(any_problem(), st.data())
def test_a_warm_start_is_as_good_as_a_cold_one(problem, data):
    cold = optimum(problem)
    prices = data.draw(strategies.prices(problem.num_experts))
    nonsense = data.draw(strategies.arrays([False, True], problem.shape, np.bool_))
    for start in (prices, nonsense, solve(problem.soften(overload=1.0, shortfall=1.0), throw=False)):
        same(optimum(problem, warm_start=start), cold, size(problem))


@settings(max_examples=30)
@given(any_problem(), st.integers(0, 5))
def test_the_seed_and_the_threads_do_not_change_the_optimum(problem, seed):
    same(optimum(problem, seed=seed, threads=2), optimum(problem, seed=seed + 1, threads=1), size(problem))
