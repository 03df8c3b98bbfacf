"""Why there is no alignment: what is found before any search."""

import math

import numpy as np
import pytest
from hypothesis import given, settings

from alignsolve import AlignmentProblem
from alignsolve.solvers.common.elastic import quick_witness
from problems import FAMILIES
from tests import oracle, strategies

LOADS = [[3.0, 1.0, 2.0], [2.0, 2.0, 1.0], [1.0, 3.0, 2.0], [2.0, 1.0, 1.0]]
IMPOSSIBLE = {
    "all experts are too small together": AlignmentProblem(
        np.zeros((4, 3)), client_demand=1, client_load=LOADS, expert_capacity=1.2
    ),
    "all experts demand too much together": AlignmentProblem(np.zeros((4, 3)), client_load=LOADS, expert_demand=4.0),
    "two of three experts demand too much": AlignmentProblem(
        np.zeros((4, 3)), client_load=LOADS, expert_demand=[6.0, 6.0, 0.0]
    ),
    "what is not eligible counts for nothing": AlignmentProblem(
        np.zeros((4, 3)),
        client_demand=1,
        eligible=[[False, True, True]] * 4,
        client_load=[[math.inf, 1.0, 2.0]] * 4,
        expert_capacity=1.5,
    ),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_experts_that_cannot_keep_their_bounds_are_found(name):
    witness = quick_witness(IMPOSSIBLE[name], math.inf)
    assert oracle.confirms(IMPOSSIBLE[name], witness)


def test_a_capacity_short_by_a_hundredth_needs_no_search():
    problem = FAMILIES["infeasible-bytes"](np.random.default_rng(7), num_clients=200, num_experts=12)
    witness = quick_witness(problem, math.inf)
    assert witness.side == "capacity"
    assert witness.experts.all()


@settings(max_examples=60)
@given(strategies.problems(max_clients=4, max_experts=4))
def test_what_is_found_is_true(problem):
    witness = quick_witness(problem, math.inf)
    assert witness is None or (oracle.best(problem) is None and oracle.confirms(problem, witness))
