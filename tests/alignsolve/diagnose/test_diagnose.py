"""Diagnosis: the cheapest repair, compared with an independent elastic program; its text; and the worth of bounds."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alignsolve import (
    AlignmentProblem,
    Answer,
    InfeasibleError,
    ProblemClass,
    Proof,
    Status,
    Weights,
    diagnose,
    solve,
)
from alignsolve.diagnose import cheapest
from alignsolve.solvers.flow import Flow
from alignsolve.solvers.ilp.solver import Ilp
from problems import FAMILIES
from tests import oracle, strategies
from tests.elastic_lp import elastic_optimum

INFEASIBLE = [name for name, family in FAMILIES.items() if not family.feasible]
WHOLE = [0.5, 1.0, 1.0, 2.0, 7.0]


def weighted(data):
    """Draw weights of every kind; budgets mostly keep inf."""
    kinds = ["expert_demand", "expert_capacity", "client_demand", "client_capacity", "group_demand", "group_capacity",
             "required"]  # fmt: skip
    weights = {kind: data.draw(st.sampled_from(WHOLE)) for kind in kinds}
    if data.draw(st.integers(0, 3)) == 0:
        weights["client_budget"] = data.draw(st.sampled_from([0.01, 1.0, math.inf]))
    return weights


def whole(bounds):
    finite = bounds[np.isfinite(bounds)]
    return np.array_equal(finite, np.floor(finite))


def feasible(problem, alignment):
    choices = oracle.chosen(alignment.to_dense(problem.num_experts))
    return oracle.feasible(problem, choices)


def check_repair(problem, diagnosis, least):
    """Check that the repair matches its changes, costs the least, and gives a solvable problem."""
    repair = diagnosis.repair
    assert repair.total == pytest.approx(least, rel=1e-7, abs=1e-9)
    assert repair.total == pytest.approx(sum(change.cost for change in repair.changes))
    assert repair.bound <= repair.total
    assert all(change.amount > 0 and str(change) in "\n".join(map(str, repair.changes)) for change in repair.changes)
    assert feasible(diagnosis.repaired, repair.alignment)
    changed = {change.kind for change in repair.changes}
    for field in ("fitness", "client_load", "expert_cost", "eligible", "expert_group", *Weights().__dataclass_fields__):
        if field not in changed:
            before, after = getattr(problem, field), getattr(repair.problem, field)
            assert (before is None and after is None) or np.array_equal(before, after, equal_nan=True)


@settings(max_examples=30)
@given(st.data())
def test_the_cheapest_repair_of_a_flow_costs_the_elastic_optimum(data):
    problem = data.draw(strategies.cardinality_problems(max_clients=4, max_experts=4))
    assume(oracle.best(problem) is None)
    weights = weighted(data)
    diagnosis = diagnose(problem, weights=weights)
    assert diagnosis.status is Status.INFEASIBLE
    least = elastic_optimum(problem, weights, integer=True)
    check_repair(problem, diagnosis, least)
    assert diagnosis.repair.proof is not Proof.NONE
    assert solve(diagnosis.repaired).status is Status.OPTIMAL
    if whole(problem.expert_capacity) and whole(problem.expert_demand):
        assert elastic_optimum(problem, weights, integer=False) == pytest.approx(least, abs=1e-7)


@settings(max_examples=20)
@given(st.data())
def test_the_repair_of_weighted_loads_and_budgets_is_no_dearer_than_it_says(data):
    problem = data.draw(strategies.general_problems(max_clients=3, max_experts=3))
    assume(oracle.best(problem) is None)
    weights = weighted(data)
    diagnosis = diagnose(problem, weights=weights)
    least = elastic_optimum(problem, weights, integer=True)
    check_repair(problem, diagnosis, least)
    assert diagnosis.repair.bound <= least * (1 + 1e-7) + 1e-9
    assert solve(diagnosis.repaired).assigned is not None


@settings(max_examples=50)
@given(strategies.problems(max_clients=3, max_experts=3))
def test_no_unit_gains_more_than_it_is_said_to(problem):
    best = oracle.best(problem)
    assume(best is not None)
    diagnosis = diagnose(problem, exact=True)
    assert diagnosis.repair is None
    assert diagnosis.repaired is problem
    worth = diagnosis.worth
    for kind, place, most in moves(worth):
        moved = oracle.best(loosened(problem, kind, place))
        gain = float(moved.objective - best.objective)
        assert gain <= most + 1e-9 * (1 + abs(float(moved.objective)))
        if kind.startswith("expert"):
            told = getattr(worth, f"exact_{kind}")[place]
            assert told == pytest.approx(gain, abs=1e-9 * (1 + abs(float(moved.objective))))


def moves(worth):
    """Yield every bound that binds, with the gain that is claimed for one unit of it."""
    fields = ("expert_capacity", "expert_demand", "client_capacity", "client_demand", "group_capacity", "group_demand",
              "client_budget")  # fmt: skip
    for kind in fields:
        most = getattr(worth, kind)
        yield from ((kind, tuple(place), most[tuple(place)]) for place in np.argwhere(~np.isnan(most)).tolist())


def loosened(problem, kind, place):
    bound = getattr(problem, kind).copy()
    step = {"demand": -1, "capacity": 1, "budget": math.inf}[kind.partition("_")[2]]
    bound[place] = max(bound[place] + step, 0)
    return replace(problem, **{kind: bound})


@pytest.mark.parametrize("name", INFEASIBLE)
def test_every_family_is_repaired_at_the_elastic_optimum(name):
    problem = FAMILIES[name](np.random.default_rng(3), num_clients=6, num_experts=3)
    diagnosis = diagnose(problem)
    assert diagnosis.status is Status.INFEASIBLE
    check_repair(problem, diagnosis, elastic_optimum(problem, {}, integer=problem.class_ is ProblemClass.GENERAL))
    assert solve(diagnosis.repaired, "greedy" if problem.sets is None else "ilp").assigned is not None
    assert str(diagnosis).startswith("infeasible: ")


ROW = {"fitness": np.ones((3, 4)), "client_capacity": 2}
ROWS = {
    "crossed bounds": (
        {"client_demand": [1, 3, 1]},
        ["client 1 demands 3 experts, its capacity is 2", "client 1"],
        {"client_demand", "client_capacity"},
    ),
    "too few eligible": (
        {"client_demand": 2, "eligible": np.array([[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 1, 0]])},
        ["client 2 demands 2 experts, it is eligible for 1", "lower the demand of client 2 from 2 to 1"],
        {"client_demand"},
    ),
    "groups above the total": (
        {"expert_group": [0, 0, 1, 2], "group_demand": [[0, 0, 0], [1, 1, 1], [0, 0, 0]]},
        ["client 1 needs 3 experts over its groups, its capacity is 2", "client 1"],
        {"client_capacity", "group_demand"},
    ),
    "groups below the total": (
        {"expert_group": [0, 0, 0, 0], "group_capacity": [[2], [2], [1]], "client_demand": 2},
        ["client 2 demands 2 experts, its groups admit 1", "client 2"],
        {"client_demand", "group_capacity"},
    ),
    "a group that is too small": (
        {"expert_group": [0, 0, 0, 1], "group_demand": [[0, 0], [0, 2], [0, 0]]},
        ["client 1 needs 2 experts of group 1", "lower the demand of client 1 in group 1 from 2 to 1"],
        {"group_demand"},
    ),
    "required beyond capacity": (
        {"required": np.array([[0, 0, 0, 0], [1, 1, 1, 0], [0, 0, 0, 0]])},
        ["client 1 requires 3 experts, its capacity is 2", "client 1"],
        {"required", "client_capacity"},
    ),
    "required but not eligible": (
        {"required": np.arange(12).reshape(3, 4) == 6, "eligible": np.arange(12).reshape(3, 4) != 6},
        ["client 1 requires expert 2, for which it is not eligible", "let client 1 go without expert 2"],
        {"required"},
    ),
    "required beyond the budget": (
        {"required": np.arange(12).reshape(3, 4) == 5, "client_budget": 2.0, "expert_cost": [1.0, 3.0, 1.0, 1.0]},
        ["client 1 requires experts that cost 3 of resource 0, its budget is 2", "let client 1 go without expert 1"],
        {"required"},
    ),
    "demanded beyond the budget": (
        {"client_demand": 2, "client_budget": [4.0, 1.0, 4.0], "expert_cost": [1.0, 1.0, 1.0, 1.0]},
        ["client 1 demands 2 experts, which cost at least 2 of resource 0, its budget is 1", "from 2 to 1"],
        {"client_demand"},
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_that_contradicts_itself_is_told_before_any_solver_runs(name):
    def mended_only(given, **context):
        assert not any(oracle.row_choices(given, i) == [] for i in range(given.num_clients))
        return Ilp()(given, **context)

    fields, words, kinds = ROWS[name]
    problem = AlignmentProblem(**{**ROW, **fields})
    diagnosis = diagnose(problem, solver=mended_only)
    told = str(diagnosis)
    assert all(word in told for word in words)
    assert diagnosis.repair.total == pytest.approx(elastic_optimum(problem, {}, integer=True)) == 1.0
    assert {change.kind for change in diagnosis.repair.changes} <= kinds
    assert solve(diagnosis.repaired).status is Status.OPTIMAL
    for kind in kinds:
        others = dict.fromkeys(kinds - {kind}, 10.0)
        assert [change.kind for change in diagnose(problem, mended_only, weights=others).repair.changes] == [kind]


def test_a_budget_is_raised_where_it_has_a_weight():
    problem = AlignmentProblem(np.ones((2, 2)), client_demand=1, client_budget=[1e9, 2e9], expert_cost=[1.5e9, 3e9])
    diagnosis = diagnose(problem, weights={"client_budget": 1e-9})
    assert "raise the budget of resource 0 of client 0 from 1000000000 to 1500000000" in str(diagnosis)
    assert diagnosis.repair.total == pytest.approx(0.5)
    assert diagnose(problem).repair.changes[0].kind == "client_demand"


def test_rows_and_experts_are_repaired_together():
    """Client 0 requires two experts and has room for one; only one of its repairs spares the full expert."""
    problem = AlignmentProblem(
        np.ones((2, 2)), required=[[True, True], [True, False]], expert_capacity=[1, 1], expert_demand=[0, 1]
    )
    diagnosis = diagnose(problem)
    assert [str(change) for change in diagnosis.repair.changes] == [
        "let client 0 go without expert 0, which it requires"
    ]


def test_many_clients_are_mended_one_by_one_and_the_bound_stays_honest(monkeypatch):
    monkeypatch.setattr(cheapest, "JOINT_PAIRS", 8)
    required = np.zeros((6, 3), dtype=bool)
    required[[0, 0, 1, 1, 2, 2], [0, 1, 0, 2, 1, 2]] = True
    problem = AlignmentProblem(np.ones((6, 3)), required=required, expert_capacity=[1, 1, 1], client_demand=1)
    diagnosis = diagnose(problem)
    least = elastic_optimum(problem, {}, integer=False)
    assert diagnosis.repair.bound <= least + 1e-6
    assert least - 1e-6 <= diagnosis.repair.total <= 2 * least
    assert diagnosis.repair.gap == 0.0 or diagnosis.repair.proof is Proof.NONE
    assert {change.place[0] for change in diagnosis.repair.changes if change.kind == "required"} <= {0, 1, 2}
    assert feasible(diagnosis.repaired, diagnosis.repair.alignment)
    assert solve(diagnosis.repaired).status is Status.OPTIMAL


class Counting:
    """The solver ``flow`` with a count of its calls."""

    def __init__(self):
        self.calls = 0

    def __call__(self, problem, **context):  # noqa: D102
        self.calls += 1
        return Flow()(problem, **context)


def test_nothing_is_solved_more_often_than_needed():
    feasible_one = AlignmentProblem(np.arange(6.0).reshape(3, 2), expert_capacity=1)
    short = AlignmentProblem(np.ones((3, 2)), expert_demand=2)
    for problem, calls in ((feasible_one, 1), (short, 2)):
        solver = Counting()
        diagnose(problem, solver)
        assert solver.calls == calls
        known, solver = solve(problem, "flow", throw=False), Counting()
        diagnose(problem, solver, solution=known)
        assert solver.calls == calls - 1
    contradictory, solver = AlignmentProblem(np.ones((3, 2)), client_demand=2), Counting()
    assert diagnose(contradictory, solver).repair.proof is Proof.SOLVER
    assert solver.calls == 1  # the repair of the experts alone
    with pytest.raises(InfeasibleError) as caught:
        solve(short)
    assert diagnose(short, solution=caught.value.solution).repair.total == 1.0
    with pytest.raises(ValueError, match="another problem"):
        diagnose(feasible_one, solution=caught.value.solution)


def only_elastic(problem, **context):
    """A solver that finds an answer only if bounds are soft."""
    return Ilp()(problem, **context) if np.isfinite(problem.overload_penalty).any() else Answer()


def test_the_repair_settles_what_the_solver_left_open():
    weighted_ = {"client_load": [1.0, 2.0, 3.0], "client_demand": 1}
    open_ = AlignmentProblem(np.ones((3, 2)), expert_capacity=3.0, **weighted_)
    found = diagnose(open_, only_elastic)
    assert found.solution.assigned is not None
    assert found.worth is not None
    assert diagnose(AlignmentProblem(np.ones((3, 2)), expert_capacity=2.5, **weighted_), only_elastic).status == (
        Status.INFEASIBLE
    )
    gap = AlignmentProblem(np.ones((3, 2)), expert_capacity=3.5, client_load=[2.0, 2.0, 2.0], client_demand=1)
    settled = diagnose(gap, only_elastic)  # the relaxation is feasible, so that no witness exists
    assert settled.status is Status.INFEASIBLE
    assert settled.solution.proof is Proof.SOLVER
    assert settled.repair.total == pytest.approx(0.5)
    assert diagnose(open_, lambda problem, **_: Answer()).status is Status.UNKNOWN


def test_a_witness_bounds_the_repair_of_a_solver_that_proves_nothing():
    """Each missing unit costs its weight; half a unit of a fractional bound may cost as much as a whole unit."""

    def first_fit(problem, **context):
        return replace(Ilp()(problem, **context), bound=math.inf, prices=None, infeasible=False)

    heavy = AlignmentProblem(np.ones((4, 2)), client_load=[3.0, 3.0, 3.0, 4.0], client_demand=1, expert_capacity=6.0)
    repair = diagnose(heavy, first_fit, weights={"expert_capacity": 2.0}).repair
    assert (repair.total, repair.bound, repair.proof) == (2.0, 1.0, Proof.NONE)
    repair = diagnose(heavy, first_fit, weights={"expert_capacity": 1.0}).repair
    assert (repair.total, repair.bound, repair.proof) == (1.0, 1.0, Proof.PRICES)
    fractional = AlignmentProblem(np.ones((2, 1)), expert_demand=2.5)
    assert diagnose(fractional).repair.total == 0.5


def test_experts_that_can_go_nowhere_are_said():
    problem = AlignmentProblem(
        np.ones((3, 4)),
        client_budget=[2.0, 3.0, 0.0],
        expert_cost=[1.0, 9.0, 2.0, 2.0],
        client_load=[[1.0, 1.0, 1.0, 5.0]] * 3,
        expert_capacity=4.0,
        expert_demand=[0, 1, 0, 0],
    )
    told = str(diagnose(problem))
    assert "expert 1 cannot be assigned: the cost exceeds every eligible client's budget" in told
    assert "expert 3 cannot be assigned: the load of every remaining client exceeds the capacity" in told
    assert "client 2 can take no expert: every eligible expert costs more than the budget" in told
    assert "lower the demand of expert 1 from 1 to 0" in told
    barred = AlignmentProblem(np.ones((2, 2)), eligible=[[True, False], [True, False]])
    assert "note: expert 1 cannot be assigned: no client is eligible" in str(diagnose(barred))
    assert "note" not in str(diagnose(AlignmentProblem(np.ones((2, 2)), client_budget=0.0, expert_cost=[0.0, 0.0])))


def test_what_binds_is_named_with_its_prices():
    problem = AlignmentProblem(
        [[9, 1, 0], [8, 5, 0], [7, 3, 0]], expert_capacity=[1, 2, 3], expert_demand=[0, 0, 1], client_demand=1
    )
    diagnosis = diagnose(problem, exact=True)
    told = str(diagnosis)
    assert "experts at capacity: expert 0" in told
    assert "experts at demand: expert 2" in told
    gain = float(oracle.best(loosened(problem, "expert_capacity", (0,))).objective - oracle.best(problem).objective)
    assert f"one more of the capacity of expert 0 gains {gain:g}" in told
    assert diagnosis.worth.gap == 0.0
    assert np.isnan(diagnosis.worth.expert_capacity).tolist() == [False, True, True]
    loose = diagnose(AlignmentProblem(np.ones((2, 2)), client_capacity=2))
    assert "nothing binds" in str(loose)


def test_clients_are_judged_until_the_time_limit():
    problem = AlignmentProblem(np.ones((3, 2)))
    solution = solve(problem)
    hasty, patient = diagnose(problem, solution=solution, time_limit=0.0), diagnose(problem, solution=solution)
    assert (hasty.worth.clients_judged, patient.worth.clients_judged) == (0, 3)
    assert "0 of 3 clients were judged" in str(hasty)
    assert "judged" not in str(patient)


def test_weights_decide_and_are_checked():
    problem = AlignmentProblem(np.ones((2, 2)), expert_demand=[2, 1])
    one = diagnose(problem, weights=Weights(expert_demand=[1, 3]))
    other = diagnose(problem, weights={"expert_demand": [3, math.inf]})
    assert one.repaired.expert_demand.tolist() == other.repaired.expert_demand.tolist() == [1, 1]
    assert (one.repair.total, other.repair.total) == (1.0, 3.0)
    stuck = diagnose(problem, weights={"expert_demand": math.inf})
    assert (stuck.repair, stuck.repaired, stuck.status) == (None, None, Status.INFEASIBLE)
    assert "the weights leave it infeasible" in str(stuck)
    row = AlignmentProblem(np.ones((2, 2)), client_demand=[2, 1])
    stuck = diagnose(row, weights={"client_demand": math.inf, "client_capacity": math.inf})
    assert "the weights leave client 0 in contradiction with itself" in str(stuck)
    for weights, words in [
        ({"expert": 1}, "no kind 'expert'"),
        ({"required": -1}, "weights.required is -1.0"),
        ({"client_demand": [1, 0]}, "weights.client_demand has an entry of 0"),
        ({"expert_demand": [1, 2, 3]}, "weights.expert_demand has shape"),
    ]:
        with pytest.raises(ValueError, match=words):
            diagnose(problem, weights=weights)
    with pytest.raises(ValueError, match="time_limit"):
        diagnose(problem, time_limit=-1.0)


@pytest.mark.parametrize("shape", [(0, 2), (2, 0), (0, 0)])
def test_problems_without_clients_or_experts(shape):
    assert diagnose(AlignmentProblem(np.ones(shape))).status is Status.OPTIMAL
    starved = diagnose(AlignmentProblem(np.ones(shape), expert_demand=1, client_demand=1))
    assert starved.status is (Status.INFEASIBLE if max(shape) else Status.OPTIMAL)
    if max(shape):
        assert starved.repair.total == 2.0
        assert solve(starved.repaired).status is Status.OPTIMAL
