"""Witnesses of infeasibility: found wherever they must exist, added up by hand, and explained in words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, Witness, solve
from alignsolve.certificate.witness import confirm, contradiction, from_direction, row_witness
from tests import oracle, strategies


@settings(max_examples=100)
@given(st.data())
def test_confirm_agrees_with_adding_up_by_hand(data):
    problem = data.draw(strategies.problems(max_clients=3, max_experts=3))
    experts = data.draw(strategies.arrays([True, False], (problem.num_experts,), np.bool_))
    side = data.draw(st.sampled_from(["demand", "capacity", "row"]))
    found = confirm(problem, experts, side)
    if found is not None:
        assert oracle.confirms(problem, found)
        assert oracle.best(problem) is None
        assert found.explain(problem)
    elif side == "row":
        assert all(oracle.row_choices(problem, i) for i in range(problem.num_clients))
    else:
        everybody = np.ones(problem.num_clients, dtype=np.bool_)
        assert not oracle.confirms(problem, Witness(side, experts, everybody, 0.0))


@settings(max_examples=150)
@given(strategies.cardinality_problems(max_clients=4, max_experts=4))
def test_every_infeasible_flow_has_a_witness_among_the_sets(problem):
    sets = [
        np.array(list(np.binary_repr(k, problem.num_experts)), dtype=int) > 0 for k in range(2**problem.num_experts)
    ]
    found = [confirm(problem, experts, side) for side in ("demand", "capacity", "row") for experts in sets]
    assert any(found) == (oracle.best(problem) is None)
    alone = contradiction(problem)
    assert alone is None or oracle.confirms(problem, alone)


DEMAND = AlignmentProblem(
    np.ones((3, 3)),
    expert_demand=[2, 2, 0],
    eligible=[[True, True, False], [True, True, False], [False, False, True]],
)
CAPACITY = AlignmentProblem(np.ones((3, 3)), client_demand=[1, 1, 2], expert_capacity=[1, 1, 1], client_capacity=2)


def test_the_demand_side_names_who_could_serve():
    witness = confirm(DEMAND, np.array([True, True, True]), "demand")
    assert (witness.experts.tolist(), witness.clients.tolist()) == ([True, True, False], [True, True, False])
    assert witness.missing == 2.0
    told = witness.explain(DEMAND)
    assert "experts 0, 1" in told
    assert "clients 0, 1" in told
    assert "4" in told


def test_the_capacity_side_names_who_must_load():
    witness = confirm(CAPACITY, np.ones(3, dtype=bool), "capacity")
    assert (witness.clients.all(), witness.missing) == (True, 1.0)
    assert "experts 0, 1, 2" in witness.explain(CAPACITY)


def test_a_direction_is_searched_by_its_levels():
    assert from_direction(DEMAND, np.array([-2.0, -2.0, -1.0])).side == "demand"
    assert from_direction(CAPACITY, np.array([1.0, 1.0, 1.0])).side == "capacity"
    assert from_direction(DEMAND, np.zeros(3)) is None
    assert from_direction(DEMAND, np.array([1.0, 1.0, -1.0])) is None


def test_soft_bounds_prove_nothing():
    assert confirm(DEMAND.soften(shortfall=5.0), np.ones(3, dtype=bool), "demand") is None
    assert confirm(CAPACITY.soften(overload=5.0), np.ones(3, dtype=bool), "capacity") is None


def test_crossed_expert_bounds_are_a_witness_of_one():
    witness = contradiction(AlignmentProblem(np.ones((3, 2)), expert_demand=[0, 2], expert_capacity=[5, 1]))
    assert (witness.side, witness.experts.tolist(), witness.missing) == ("demand", [False, True], 1.0)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"client_demand": 2}, "client 0 demands 2 experts, its capacity is 1"),
        ({"required": [[True, False, False]], "eligible": [[False, True, True]]}, "client 0 requires expert 0"),
        ({"required": [[True, True, False]]}, "client 0 requires 2 experts, its capacity is 1"),
        (
            {"client_demand": 2, "client_capacity": 3, "eligible": [[True, False, False]]},
            "client 0 demands 2 experts, it is eligible for 1",
        ),
        (
            {"expert_group": [0, 0, 1], "group_demand": [0, 2], "client_capacity": 3},
            "client 0 needs 2 experts of group 1, it can take 1",
        ),
        (
            {"expert_group": [0, 0, 1], "group_demand": [1, 1]},
            "client 0 needs 2 experts over its groups, its capacity is 1",
        ),
        (
            {"expert_group": [0, 0, 1], "group_capacity": [1, 0], "client_demand": 2, "client_capacity": 3},
            "client 0 demands 2 experts, its groups admit 1",
        ),
        (
            {"client_demand": 1, "client_budget": 1.0, "expert_cost": [2.0, 3.0, 4.0]},
            "client 0 demands 1 experts, which cost at least 2 of resource 0, its budget is 1",
        ),
    ],
)
def test_a_row_tells_what_contradicts_itself(fields, told):
    problem = AlignmentProblem(np.ones((1, 3)), **fields)
    witness = row_witness(problem)
    assert told in witness.explain(problem)
    assert oracle.confirms(problem, witness)
    assert solve(problem, throw=False).witness.side == "row"


def test_only_the_clients_to_blame_are_named():
    problem = AlignmentProblem(np.ones((20, 2)), client_demand=np.where(np.arange(20) % 2, 2, 0))
    witness = row_witness(problem)
    assert np.flatnonzero(witness.clients).tolist() == list(range(1, 20, 2))
    assert witness.missing == 10
    assert "(10 in all)" in witness.explain(problem)


def test_loads_that_fit_but_for_rounding_are_no_witness():
    decimals = AlignmentProblem(
        np.ones((3, 1)), client_load=[0.1, 0.1, 0.1], expert_demand=0.3, expert_capacity=0.3, client_demand=1
    )
    cents = AlignmentProblem(
        np.ones((2, 1)), client_load=[0.1, 0.2], expert_demand=0.1 + 0.2, expert_capacity=0.3, client_demand=1
    )
    sizes = np.array([1_073_741_824.0, 1_610_612_736.0, 3_221_225_473.0])
    exactly = AlignmentProblem(
        np.ones((3, 1)), client_load=sizes, expert_demand=sizes.sum(), expert_capacity=sizes.sum(), client_demand=1
    )
    for problem in (decimals, cents, exactly):
        for side in ("demand", "capacity", "row"):
            assert confirm(problem, np.array([True]), side) is None
        assert contradiction(problem) is None


def test_weighted_loads_have_weighted_witnesses():
    problem = AlignmentProblem(
        np.ones((2, 2)), client_load=[[3.0, 1.0], [2.0, 5.0]], client_demand=1, expert_capacity=[1.5, 0.5]
    )
    witness = confirm(problem, np.ones(2, dtype=bool), "capacity")
    assert (witness.missing, witness.clients.tolist()) == (1.0, [True, True])
    assert oracle.confirms(problem, witness)


def test_crossed_bounds_are_found_beside_huge_ones_that_cross_by_rounding():
    problem = AlignmentProblem(
        np.ones((2, 2)), client_load=[2.0, 3.0], expert_demand=[2.0, 1e12], expert_capacity=[1.0, 1e12 * (1 - 1e-12)]
    )
    witness = contradiction(problem)
    assert witness.experts.tolist() == [True, False]
    assert witness.missing == 1.0


def test_byte_sized_loads_are_told_to_the_byte():
    problem = AlignmentProblem(np.ones((2, 1)), client_load=[1e9 + 100, 1e9], client_demand=1, expert_capacity=2e9)
    assert solve(problem, throw=False).explain() == (
        "infeasible: expert 0 can take a load of at most 2000000000; clients 0, 1 must put at least 2000000100 there: "
        "100 too much"
    )


def test_a_budget_near_the_smallest_float_overflows_nothing():
    fields = {"expert_group": [0, 0], "group_demand": 1, "client_capacity": 1, "expert_cost": [0.0, 1.0]}
    problem = AlignmentProblem([[1.0, 2.0], [2.0, 1.0]], client_budget=[2.2e-309, 0.0], **fields)
    assert contradiction(problem) is None
    assert solve(problem).x.tolist() == [[True, False], [True, False]]
