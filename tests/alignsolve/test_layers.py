"""Several layers in one problem: the optimum of brute force over all layers, split by layer."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alignsolve import Alignment, AlignmentProblem, Status, join_layers, solve
from problems import FAMILIES
from tests import oracle, strategies


@st.composite
def layer_problems(draw, num_clients):
    """Return layers with every field that a layer may have."""
    e = draw(st.integers(1, 2))
    fields = draw(strategies.fitness_fields(num_clients, e))
    fields |= draw(strategies.client_fields(num_clients, e))
    if draw(st.booleans()):
        fields["client_load"] = draw(strategies.arrays([1.0, 2.0, 0.5], (num_clients, e)))
    fields |= draw(strategies.expert_fields(num_clients, e, 1.0))
    if draw(st.booleans()):
        fields |= draw(strategies.switching_fields(num_clients, e))
    return AlignmentProblem(**fields)


def best_of_layers(layers, budget, costs):
    """Return the best objective over all combinations of the clients' choices in each layer, within their budgets."""
    options = []
    for i in range(layers[0].num_clients):
        rows = product(*(oracle.row_choices(layer, i) for layer in layers))
        options.append([row for row in rows if spent(costs, row, i) <= budget[i]])
    best = None
    for pick in product(*options):
        parts = [tuple(row[k] for row in pick) for k in range(len(layers))]
        if all(oracle.feasible(layer, part) for layer, part in zip(layers, parts, strict=True)):
            value = sum(oracle.objective(layer, part) for layer, part in zip(layers, parts, strict=True))
            best = value if best is None else max(best, value)
    return best


def spent(costs, row, i):
    return sum(cost[i, j] for cost, choice in zip(costs, row, strict=True) for j in choice)


@settings(max_examples=60)
@given(st.data())
def test_the_joint_optimum_is_that_of_all_combinations(data):
    layers = [data.draw(layer_problems(2)) for _ in range(data.draw(st.integers(1, 3)))]
    costs = [data.draw(strategies.arrays([0.0, 1.0, 2.0, 3.0], layer.shape)) for layer in layers]
    budget = data.draw(strategies.arrays([6.0, 4.0, 2.0, math.inf], (2,)))
    best = best_of_layers(layers, budget, costs)
    model = join_layers(layers, client_budget=budget, expert_costs=costs)
    solution = solve(model.problem, throw=False)
    assert (solution.status is Status.INFEASIBLE) == (best is None)
    parts = model.read(solution)
    if best is None:
        assert all(part.assigned is None and part.objective is None and part.x is None for part in parts)
        return
    assert float(solution.objective) == pytest.approx(float(best), abs=1e-6)
    assert float(sum(part.objective for part in parts)) == pytest.approx(float(solution.objective), abs=1e-9)
    for part, layer in zip(parts, layers, strict=True):
        assert not layer.violations(part.assigned)
        assert np.allclose(part.loads, layer.loads(part.x))
    together = model.join([part.assigned for part in parts])
    assert all(np.array_equal(a, b) for a, b in zip(together, solution.assigned, strict=True))


@settings(max_examples=15)
@given(st.data())
def test_without_a_shared_budget_the_layers_are_solved_as_if_alone(data):
    layers = [data.draw(layer_problems(3)) for _ in range(2)]
    alone = [solve(layer, throw=False) for layer in layers]
    model = join_layers(layers)
    joint = solve(model.problem, throw=False)
    assert (joint.objective is None) == any(one.objective is None for one in alone)
    assume(joint.objective is not None)
    for part, one in zip(model.read(joint), alone, strict=True):
        assert float(part.objective) == pytest.approx(float(one.objective), abs=1e-6)


def two_layers(**budget):
    rng = np.random.default_rng(0)
    upper = AlignmentProblem(rng.integers(0, 9, (4, 2)), client_demand=1, client_capacity=2, expert_capacity=3)
    lower = AlignmentProblem(rng.integers(0, 9, (4, 3)), client_demand=1, client_capacity=2, expert_capacity=3)
    return join_layers([upper, lower], **budget)


def test_resources_costs_and_totals_in_every_shape():
    def optimum(**budget):
        return solve(two_layers(**budget).problem).objective

    pairs = [np.full((4, 2), 2.0), np.ones((4, 3))]
    shapes = [[2.0, 1.0], [[2.0, 2.0], [1.0, 1.0, 1.0]], pairs, [[2.0, 2.0], pairs[1]]]
    values = {optimum(client_budget=4.0, expert_costs=costs) for costs in shapes}
    several = [np.stack([cost, 0.0 * cost], axis=2) for cost in pairs]
    values.add(optimum(client_budget=np.tile([4.0, 0.0], (4, 1)), expert_costs=several))
    assert len(values) == 1
    assert values.pop() < optimum()
    assert optimum(client_capacity=2) == optimum(client_capacity=[2, 2, 2, 2], client_demand=2) < optimum()


def test_prices_and_arrays_are_cut_into_layers():
    model = two_layers()
    solution = solve(model.problem)
    assert model.starts.tolist() == [0, 2, 5]
    assert model.problem.expert_group.tolist() == [0, 0, 1, 1, 1]
    upper, lower = model.read(solution)
    assert np.array_equal(np.concatenate([upper.prices, lower.prices]), solution.prices)
    assert [part.shape for part in model.split(np.zeros((4, 5)))] == [(4, 2), (4, 3)]
    bounds = [float(part.problem.bound(part.prices)) for part in (upper, lower)]
    assert sum(bounds) == pytest.approx(float(solution.objective))  # the layers' own certificates
    with pytest.raises(ValueError, match="5 experts"):
        model.split(np.zeros(4))
    with pytest.raises(ValueError, match="shape"):
        model.read(solve(AlignmentProblem(np.ones((4, 3)))))
    with pytest.raises(ValueError, match="2 layers, not 1"):
        model.join([np.zeros((4, 2))])
    assert isinstance(model.join([np.zeros((4, 2)), np.zeros((4, 3))]), Alignment)


def test_what_does_not_fit_is_named():
    one, two = AlignmentProblem(np.ones((3, 2))), AlignmentProblem(np.ones((3, 1)))
    grouped = AlignmentProblem(np.ones((3, 2)), expert_group=[0, 1])
    paid = AlignmentProblem(np.ones((3, 2)), client_budget=1.0, expert_cost=[1.0, 1.0])
    for layers, more, words in [
        ([], {}, "layers is empty"),
        ([one, AlignmentProblem(np.ones((4, 2)))], {}, "layer 1 has 4 clients, layer 0 has 3"),
        ([one, AlignmentProblem(np.ones((3, 0)))], {}, "layer 1 has no experts"),
        ([one, grouped], {}, "layer 1 has an expert_group"),
        ([paid, one], {}, "layer 0 has a client_budget"),
        ([one, two], {"client_budget": 1.0}, "client_budget is given without expert_cost"),
        ([one, two], {"expert_costs": [1, 1]}, "expert_cost is given without client_budget"),
        ([one, two], {"client_budget": 1.0, "expert_costs": [1]}, "1 entries; it must have one for each of the 2"),
        ([one, two], {"client_budget": 1.0, "expert_costs": [1, [1, 2]]}, "layer 1: expert_costs has shape"),
        ([one, two], {"client_budget": 1.0, "expert_costs": [[1, -2], 1]}, "layer 0: expert_costs of expert 1 is -2"),
        ([one, two], {"client_budget": np.ones((3, 2)), "expert_costs": [[1, 2], 1]}, "trailing axis of 2 resources"),
    ]:
        with pytest.raises(ValueError, match=words):
            join_layers(layers, **more)
    with pytest.raises(TypeError, match="layer 0 must be an AlignmentProblem"):
        join_layers([np.ones((3, 2))])


def test_the_family_ties_its_layers_by_one_memory():
    problem = FAMILIES["layers-budget"](np.random.default_rng(0), num_clients=30, num_experts=8)
    assert problem.num_groups == 4
    solution = solve(problem, time_limit=5)
    assert solution.gap < 0.05
    groups = [problem.expert_group[row] for row in np.split(solution.assigned.experts, solution.assigned.indptr[1:-1])]
    assert all(set(row) == {0, 1, 2, 3} for row in groups)
