"""Optional demands: an expert is closed, or it has at least so much load."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from alignsolve import (
    AlignmentProblem,
    Feature,
    ProblemClass,
    Proof,
    Status,
    diagnose,
    join_layers,
    problem_from_tables,
    solve,
)
from alignsolve.io import load_problem, save_problem
from alignsolve.io.to_tables import tables_of
from alignsolve.presolve import pipeline
from alignsolve.presolve.loads import count_loads
from alignsolve.solvers.ilp.covers import cuts
from alignsolve.solvers.ilp.model import build
from alignsolve.solvers.opinions import is_wild
from tests import oracle, strategies

WISHES = np.array([[3, 1], [2, 5], [4, 1]])


def courses(**fields):
    """Three students, two courses; each must get one."""
    given = {"client_demand": 1, "optional_demand": 2, "expert_names": ["chess", "go"]}
    return AlignmentProblem(WISHES, **given | fields)


def test_an_expert_has_nobody_or_enough():
    problem = courses()
    assert problem.class_ is ProblemClass.GENERAL
    assert Feature.OPTIONAL_DEMANDS in problem.features
    assert problem.violations([[1, 0], [0, 1], [1, 0]]) == [
        "expert go carries a load of 1, it must carry none or at least 2"
    ]
    assert problem.violations([[1, 0], [1, 0], [1, 0]]) == []
    solution = solve(problem)
    assert (solution.objective, solution.status) == (9, Status.OPTIMAL)
    assert "it is closed; an optional demand says that it needs a load of at least 2" in solution.explain(expert="go")
    assert "it is open, and may be closed" in solution.explain(expert="chess")


def test_what_asks_nothing_stays_in_the_cardinality_class():
    for optional in (None, 0, 1, [0.5, 0]):
        assert courses(optional_demand=optional).class_ is ProblemClass.CARDINALITY
    assert courses(optional_demand=0).optional_demand is None
    demanded = courses(expert_demand=[2, 0], optional_demand=[2, 0])
    assert demanded.class_ is ProblemClass.CARDINALITY
    fraction = courses(optional_demand=1.5)
    assert fraction.experts.opening.tolist() == [2.0, 2.0]


def test_it_holds_besides_a_demand_and_counts_load():
    both = courses(expert_demand=[0, 1], optional_demand=[0, 2])
    assert solve(both).loads.tolist() == [1.0, 2.0]
    weighted = AlignmentProblem(WISHES, client_demand=1, client_load=[1.0, 2.5, 1.0], optional_demand=[0, 2.5])
    solution = solve(weighted)
    assert solution.loads.tolist() == [2.0, 2.5]
    assert weighted.violations([[0, 1], [1, 0], [1, 0]])


@pytest.mark.parametrize(
    ("optional", "told"),
    [
        (-1, "optional_demand is -1.0; it must be a finite number, 0 or more"),
        ([0, np.inf], "optional_demand of expert go is inf"),
        ([np.nan, 0], "optional_demand of expert chess is nan"),
        ([1, 2, 3], "optional_demand has shape"),
    ],
)
def test_what_is_no_optional_demand_is_refused(optional, told):
    with pytest.raises(ValueError, match=told):
        courses(optional_demand=optional)


def test_other_solvers_and_sparse_problems_refuse_it():
    with pytest.raises(ValueError, match="cannot take optional demands; solvers that can: auto, cpsat, greedy, ilp"):
        solve(courses(), "price")
    with pytest.raises(ValueError, match="optional_demand is given with a sparse fitness"):
        AlignmentProblem(csr_array(WISHES), optional_demand=2)


def check(problem):
    """Compare ilp, cpsat and greed with the oracle; prices are a bound."""
    best = oracle.best(problem)
    for solver in ("ilp", "cpsat", "greedy", "regret"):
        solution = solve(problem, solver, throw=False)
        if best is None:
            assert solution.assigned is None
            unsure = is_wild(problem) or solver not in ("ilp", "cpsat")
            assert solution.status is Status.INFEASIBLE or unsure, solution
            assert solution.witness is None or oracle.confirms(problem, solution.witness)
            continue
        if solver in ("ilp", "cpsat"):
            assert solution.status is Status.OPTIMAL or is_wild(problem), solution
        if solution.assigned is None:
            continue
        choices = oracle.chosen(solution.x)
        assert oracle.feasible(problem, choices)
        scale = max(abs(float(best.objective)), oracle.magnitude(problem, choices))
        assert float(solution.objective - best.objective) <= 1e-9 * scale
        assert float(best.objective - solution.bound) <= 1e-9 * scale
        if solution.status is Status.OPTIMAL:
            assert abs(float(solution.objective - best.objective)) <= 1e-9 * scale
            assert solution.proof is not Proof.NONE
    return best


@settings(max_examples=12)
@given(strategies.optional_problems(max_clients=5, max_experts=3), st.data())
def test_solvers_agree_with_enumeration_and_prices_are_a_bound(problem, data):
    best = check(problem)
    bound = problem.bound(data.draw(strategies.prices(problem.num_experts)))
    if best is not None:
        assert float(best.objective) <= float(bound) + 1e-9 * max(1.0, abs(float(bound)))


@pytest.mark.slow
@settings(max_examples=120)
@given(strategies.optional_problems(max_clients=6, max_experts=4))
def test_solvers_agree_with_enumeration_on_many(problem):
    check(problem)


def test_equal_loads_become_counts_with_their_optional_demand(monkeypatch):
    problem = courses(client_load=[[0.5, 3.0]] * 3, expert_capacity=[1.5, 9.0], optional_demand=[0.75, 6.0])
    counted = count_loads(problem).problem
    assert counted.client_load is None
    assert counted.optional_demand.tolist() == [2.0, 2.0]
    monkeypatch.setattr(pipeline, "PRESOLVE_PAIRS", 1)
    assert solve(problem, "ilp").objective == solve(problem, "ilp", presolve=False).objective == 9


def test_a_choice_that_only_a_tolerance_allows_is_cut_off():
    problem = AlignmentProblem(
        np.ones((3, 1)), client_load=[1e9 + 100, 1e9, 50.0], optional_demand=[2e9 + 150], expert_capacity=[4e9]
    )
    model = build(problem)
    (cut,) = cuts(problem, model, np.array([True, True, False]))
    assert cut.columns.tolist() == [2, 0]
    assert cut.coefficients.tolist() == [1.0, -1.0]
    assert cuts(problem, model, np.array([True, True, True])) == []
    assert solve(problem, "ilp").loads.tolist() == solve(problem, "cpsat").loads.tolist() == [2e9 + 150]


def test_a_repair_lowers_an_optional_demand_or_keeps_it():
    problem = courses(optional_demand=[4, 2], expert_capacity=[9, 2])
    solution = solve(problem, "ilp", throw=False)
    assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.SOLVER)
    lowered = diagnose(problem, solution=solution)
    assert "lower the optional demand of expert chess from 4 to 3" in str(lowered)
    assert lowered.repaired.optional_demand.tolist() == [3.0, 2.0]
    for weight in (10, math.inf):
        kept = diagnose(problem, solution=solution, weights={"optional_demand": weight})
        assert "raise the capacity of expert go from 2 to 3" in str(kept)
        assert solve(kept.repaired).status is Status.OPTIMAL


def test_files_tables_and_layers_keep_it(tmp_path):
    problem = courses(optional_demand=[2, 0])
    for suffix in (".npz", ".json"):
        save_problem(problem, tmp_path / f"one{suffix}")
        assert load_problem(tmp_path / f"one{suffix}").optional_demand.tolist() == [2.0, 0.0]
    again = problem_from_tables(*tables_of(problem))
    assert again.optional_demand.tolist() == [2.0, 0.0]
    joined = join_layers([problem, replace(problem, optional_demand=None)]).problem
    assert joined.optional_demand.tolist() == [2.0, 0.0, 0.0, 0.0]
    emptied = problem_from_tables(
        {"client": ["a"], "expert": ["x"], "fitness": [1]}, None, {"expert": ["x", "y"], "optional_demand": [3, None]}
    )
    assert emptied.optional_demand.tolist() == [3.0, 0.0]


def test_greed_closes_and_opens():
    """Each expert alone lacks a client: greed closes the emptiest, or keeps both open where that is worth more."""
    fitness = np.array([[9, 8], [9, 1], [1, 9], [8, 9], [2, 7]])
    problem = AlignmentProblem(fitness, client_demand=1, client_capacity=2, optional_demand=[4, 4])
    for solver in ("greedy", "regret"):
        assert solve(problem, solver).loads.tolist() == [5.0, 5.0]
    closed = replace(problem, client_capacity=1)
    for solver in ("greedy", "regret", "ilp"):
        assert sorted(solve(closed, solver).loads.tolist()) == [0.0, 5.0]
        assert solve(closed, solver).objective == 34
