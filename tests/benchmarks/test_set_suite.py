"""The suite ``sets``: its problems, and the network with nodes for sets that an outside system gets."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, solve
from benchmarks.peers.network import draw
from benchmarks.peers.ortools_flow import MIN_COST_FLOW
from benchmarks.set_shapes import SET_SHAPES, set_cases
from benchmarks.suites import suites
from problems import FAMILIES


@pytest.mark.parametrize("kind", ["servers-none", "servers-loose", "servers-tight", "nested"])
def test_a_flow_with_nodes_for_sets_is_as_good_as_price(kind):
    family = SET_SHAPES.get(kind) or FAMILIES[kind]
    problem = family(np.random.default_rng(3), num_clients=60, num_experts=16)
    if kind == "nested":
        with pytest.raises(ValueError, match="no place for soft bounds"):
            draw(AlignmentProblem(np.ones((2, 2)), expert_sets=[0, 0], set_capacity=1, set_overload_penalty=1.0))
        fields = {"shortfall_penalty": None, "set_overload_penalty": None, "set_shortfall_penalty": None}
        problem = AlignmentProblem(
            np.rint(problem.fitness * 100),
            client_capacity=problem.client_capacity,
            expert_capacity=problem.expert_capacity,
            expert_sets=problem.expert_sets,
            set_capacity=problem.set_capacity,
            set_demand=problem.set_demand,
            **fields,
        )
    claim = MIN_COST_FLOW.solve(MIN_COST_FLOW.build(problem))
    assert MIN_COST_FLOW.refusal(problem) is None
    assert problem.violations(claim.x) == []
    assert problem.objective(claim.x) == pytest.approx(solve(problem, "price").objective, rel=1e-6)


def test_all_cases_have_a_family_and_the_layers_are_feasible():
    suite = suites()["sets"]
    assert suite.cases == set_cases()
    assert suite.contenders == ("price", "ortools")
    layers = SET_SHAPES["qwen3-30b-a3b-servers"](np.random.default_rng(1), num_clients=4, num_experts=48 * 128)
    assert layers.num_sets == layers.num_groups == 48
    assert (layers.set_capacity >= layers.group_demand.sum(axis=0)).all()
