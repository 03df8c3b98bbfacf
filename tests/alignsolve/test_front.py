"""solve(): every solver's answer is checked; only claims that can be checked are accepted."""

import math
import re

import numpy as np
import pytest

from alignsolve import (
    AlignmentProblem,
    Answer,
    InfeasibleError,
    Proof,
    SolveError,
    Status,
    UnsupportedError,
    Witness,
    solve,
)
from alignsolve.certificate.judge import judge
from alignsolve.numerics import is_proven, relative_gap
from tests.claims import BEST, FLOW, PACK, PROOF, STUCK, STUCK_PACK, claim


def test_a_proven_answer_is_optimal():
    solution = claim(FLOW, x=BEST, prices=PROOF)
    assert (solution.status, solution.proof, solution.objective) == ("OPTIMAL", "PRICES", 4.5)
    assert solution.gap <= 1e-9
    assert solution.x.tolist() == BEST
    assert solution.loads.tolist() == [1.0, 1.0]
    assert solution.prices.tolist() == [1.0, 0.5]
    assert solution.bound >= 4.5
    assert "optimal: objective 4.5" in repr(solution)


def test_without_prices_nothing_is_proven():
    solution = claim(FLOW, x=BEST)
    assert (solution.status, solution.proof) == (Status.FEASIBLE, Proof.NONE)
    assert solution.bound == pytest.approx(5.0)
    assert solution.gap == pytest.approx(0.1)


def test_an_inferior_answer_is_not_optimal_whatever_it_claims():
    solution = claim(FLOW, x=[[False, True], [True, False]], prices=PROOF, bound=3.0)
    assert (solution.status, solution.proof, solution.objective) == (Status.FEASIBLE, Proof.NONE, 3.0)
    assert solution.bound == pytest.approx(4.5)


@pytest.mark.parametrize(
    ("x", "told"),
    [
        ([[True, False], [True, False]], "breaks constraints: expert 0 carries a load of 2, its capacity is 1"),
        ([[True, True], [False, False]], "breaks constraints: client 0 has 2 experts, its capacity is 1"),
        (np.zeros((3, 2), bool), "x has shape (3, 2), expected (2, 2)"),
        ((np.array([0, 2, 2]), np.array([0, 0])), "a client is assigned the same expert twice"),
        ((np.array([0, 1, 2]), np.array([0, 7])), "experts must lie in 0..1"),
        ((np.array([0, 1]), np.array([0])), "indptr has shape (2,), expected (3,)"),
        (np.full((2, 2), np.nan), "x has entries other than 0 and 1"),
        ("nonsense", "x has shape ()"),
    ],
)
def test_what_breaks_a_constraint_is_rejected_and_told(x, told):
    solution = claim(FLOW, x=x, prices=PROOF)
    assert (solution.status, solution.proof, solution.gap) == (Status.UNKNOWN, Proof.NONE, math.inf)
    assert (solution.x, solution.objective, solution.loads, solution.assigned) == (None, None, None, None)
    assert told in solution.stats["rejected"]
    assert solution.bound == pytest.approx(4.5)
    with pytest.raises(SolveError, match=re.escape(told)):
        solve(FLOW, lambda problem, **_: Answer(x, PROOF))


@pytest.mark.parametrize(
    "prices", [[np.nan, 0.0], [np.inf, 0.0], [0.0, -np.inf], [1.0], np.ones((2, 2)), "x", [1e200, 0]]
)
def test_prices_that_are_none_prove_nothing_and_break_nothing(prices):
    for problem in (FLOW, PACK):
        solution = claim(problem, x=BEST, prices=prices)
        assert (solution.status, solution.proof, solution.prices) == (Status.FEASIBLE, Proof.NONE, None)
        assert solution.bound == pytest.approx(5.0)
        assert "prices" in solution.stats["rejected"]


def test_wrong_prices_give_an_honest_bound():
    for prices in ([0.0, 0.0], [100.0, -5.0], [-1.0, 3.0]):
        solution = claim(FLOW, x=BEST, prices=prices)
        assert solution.status is Status.FEASIBLE
        assert solution.bound >= 5.0 - 1e-9


def test_a_bound_counts_in_the_general_class_only():
    assert claim(FLOW, x=BEST, bound=4.5).status is Status.FEASIBLE
    solution = claim(PACK, x=BEST, bound=4.5)
    assert (solution.status, solution.proof, solution.bound) == (Status.OPTIMAL, Proof.SOLVER, 4.5)


@pytest.mark.parametrize("bound", [3.0, -math.inf, math.nan])
def test_a_bound_below_what_was_reached_is_refuted(bound):
    solution = claim(PACK, x=BEST, bound=bound)
    assert (solution.status, solution.proof) == (Status.FEASIBLE, Proof.NONE)
    assert solution.bound == pytest.approx(5.0)


def test_a_bound_may_lack_its_own_rounding():
    solution = claim(PACK, x=BEST, bound=4.5 - 1e-12)
    assert (solution.status, solution.proof, solution.bound) == (Status.OPTIMAL, Proof.SOLVER, 4.5)


def test_a_bound_is_no_more_precise_than_the_objectives_terms():
    """A penalty of 5e90 hides the fitness of 1e-290 from a back end's floats, and so from its bound."""
    problem = AlignmentProblem(
        np.array([[1e-290]]), expert_demand=1e-9, shortfall_penalty=5e99, client_budget=[1.0], expert_cost=[1.0]
    )
    solution = claim(problem, x=[[False]], bound=0.0)
    assert (solution.status, solution.objective) == (Status.FEASIBLE, -5e90)
    assert solution.bound >= 1e-290


def test_a_bound_without_an_alignment_stays_honest():
    assert claim(PACK, bound=4.75).bound == 4.75
    assert claim(FLOW, bound=0.0).bound == pytest.approx(5.0)
    unknown = claim(PACK, bound=-math.inf)
    assert (unknown.status, unknown.gap) == (Status.UNKNOWN, math.inf)
    assert unknown.bound == pytest.approx(5.0)


def test_infeasible_by_word_counts_in_the_general_class_only():
    solution = claim(STUCK, infeasible=True)
    assert (solution.status, solution.proof) == (Status.UNKNOWN, Proof.NONE)
    solution = claim(STUCK_PACK, infeasible=True)
    assert (solution.status, solution.proof, solution.bound) == (Status.INFEASIBLE, Proof.SOLVER, -math.inf)
    assert "searched all alignments" in solution.explain()


def test_a_word_of_infeasibility_beside_an_alignment_is_refuted():
    for problem in (FLOW, PACK):
        solution = claim(problem, x=BEST, prices=PROOF, infeasible=True)
        assert solution.status in {Status.OPTIMAL, Status.FEASIBLE}
        assert solution.bound < 10


ALL, NOBODY = np.ones(2, dtype=bool), np.zeros(2, dtype=bool)


@pytest.mark.parametrize(
    "witness",
    [
        Witness("demand", ALL, np.ones(2, dtype=bool), 1.0),
        Witness("capacity", ALL, np.ones(2, dtype=bool), 1.0),
        Witness("row", NOBODY, np.ones(2, dtype=bool), 1.0),
        Witness("capacity", np.ones(3, dtype=bool), np.ones(2, dtype=bool), 1.0),
        Witness("demand", np.ones((2, 2), dtype=bool), np.ones(2, dtype=bool), 1.0),
        Witness("sideways", ALL, np.ones(2, dtype=bool), 1.0),
    ],
)
def test_a_false_witness_is_not_believed(witness):
    for problem in (FLOW, PACK):
        solution = claim(problem, witness=witness)
        assert (solution.status, solution.proof, solution.witness) == (Status.UNKNOWN, Proof.NONE, None)
        assert claim(problem, x=BEST, prices=PROOF, witness=witness).objective == 4.5


@pytest.mark.parametrize("problem", [STUCK, STUCK_PACK])
def test_a_true_witness_is_recomputed_and_told(problem):
    liar = Witness("capacity", ALL, np.zeros(3, dtype=bool), 99.0)
    solution = claim(problem, witness=liar)
    assert (solution.status, solution.proof, solution.bound) == (Status.INFEASIBLE, Proof.PRICES, -math.inf)
    assert solution.witness.clients.tolist() == [True, True, True]
    assert solution.witness.missing == pytest.approx(1.0)
    with pytest.raises(InfeasibleError, match=r"too much|short|missing") as caught:
        solve(problem, lambda problem, **_: Answer(witness=liar))
    assert caught.value.witness.side == "capacity"
    assert caught.value.solution.status is Status.INFEASIBLE


def test_an_empty_answer_is_unknown():
    solution = claim(FLOW)
    assert (solution.status, solution.proof, solution.gap) == (Status.UNKNOWN, Proof.NONE, math.inf)
    with pytest.raises(SolveError, match="no alignment found by"):
        solve(FLOW, lambda problem, **_: Answer())
    with pytest.raises(SolveError, match="stopped at the deadline"):
        solve(FLOW, lambda problem, **_: Answer(stats={"stopped": "stopped at the deadline"}))


def test_what_is_no_answer_is_an_error_of_the_solver():
    with pytest.raises(TypeError, match="must return an Answer, not NoneType"):
        solve(FLOW, lambda problem, **_: None)


class Never:
    """A solver that must not be called."""

    def __call__(self, problem, **_):
        """Fail the test."""
        raise AssertionError("the solver was called")


def test_rows_that_contradict_themselves_never_reach_a_solver():
    never = Never()
    crossed = AlignmentProblem(np.ones((2, 2)), client_capacity=1, client_demand=[1, 2])
    with pytest.raises(InfeasibleError, match=r"client 1 .*demands 2 experts, its capacity is 1"):
        solve(crossed, never)
    solution = solve(AlignmentProblem(np.ones((2, 2)), expert_capacity=1, expert_demand=2), never, throw=False)
    assert (solution.status, solution.witness.experts.tolist()) == (Status.INFEASIBLE, [True, True])


def test_without_clients_or_experts_no_solver_is_asked():
    never = Never()
    lonely = AlignmentProblem(np.zeros((0, 2)), expert_demand=[0, 1], expert_capacity=[1, np.inf])
    assert solve(lonely, never, throw=False).witness.experts.tolist() == [False, True]
    soft = solve(lonely.soften(shortfall=3.0), never)
    assert (soft.status, soft.proof, soft.objective) == (Status.OPTIMAL, Proof.PRICES, -3.0)
    idle = solve(AlignmentProblem(np.zeros((2, 0)), client_load=[2.0, 3.0]), never)
    assert (idle.status, idle.x.shape) == (Status.OPTIMAL, (2, 0))
    assert solve(AlignmentProblem(np.zeros((2, 0)), client_demand=1), never, throw=False).witness.side == "row"


def test_objective_zero_is_optimal():
    for problem in (
        AlignmentProblem(np.zeros((3, 2)), expert_capacity=1),
        AlignmentProblem(np.zeros((3, 2), dtype=int), client_demand=1),
        AlignmentProblem(-np.ones((3, 2))),
        AlignmentProblem(np.zeros((0, 2))),
        AlignmentProblem(np.zeros((2, 0))),
    ):
        solution = solve(problem)
        assert (solution.status, solution.proof, solution.objective, solution.gap) == ("OPTIMAL", "PRICES", 0, 0.0)


def test_a_sum_that_cancels_is_optimal():
    problem = AlignmentProblem(
        [[0.1, 0.2], [-0.3, -0.4]], client_demand=1, client_capacity=2, expert_demand=1, expert_capacity=2
    )
    cancelled = AlignmentProblem([[1e6 + 0.1], [-1e6 - 0.1]], client_demand=1)
    for hard in (problem, cancelled):
        solution = solve(hard)
        assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.PRICES)
    assert is_proven(1e-7, 0.0, 1e6)
    assert not is_proven(1e-5, 0.0, 1e6)


def test_infeasible_values_say_so():
    solution = solve(STUCK, throw=False)
    assert (solution.x, solution.objective, solution.loads, solution.prices) == (None, None, None, None)
    assert (solution.bound, solution.gap) == (-math.inf, math.inf)


def test_relative_gap_by_cases():
    assert relative_gap(-5.0, -10.0) == 0.5
    assert relative_gap(-math.inf, math.inf) == 0.0
    assert relative_gap(2**60 + 1, 2**60) > 0
    assert relative_gap(1.0, 0.0) == 1.0


def test_judge_checks_without_solving():
    solution = judge(FLOW, Answer(BEST, PROOF))
    assert (solution.status, solution.stats["solver"]) == (Status.OPTIMAL, "given")


def test_stats_are_passed_on():
    assert claim(FLOW, x=BEST, stats={"iterations": 7}).stats["iterations"] == 7


def test_near_2_to_the_53_every_unit_counts():
    top = 2**53
    problem = AlignmentProblem(np.array([[top, top - 1], [top, top - 3]]), expert_capacity=1, client_demand=1)
    best = claim(problem, x=[[False, True], [True, False]], prices=[1.0, 0.0])
    assert (best.status, best.objective, best.bound) == (Status.OPTIMAL, 2 * top - 1, 2 * top - 1)
    assert isinstance(best.objective, int)


def test_a_solver_that_gives_up_is_unknown_where_nothing_is_thrown():
    def gives_up(problem, **_):
        raise SolveError("it ran out of arcs")

    with pytest.raises(SolveError, match="it ran out of arcs"):
        solve(FLOW, gives_up)
    solution = solve(FLOW, gives_up, throw=False)
    assert (solution.status, solution.x, solution.objective, solution.gap) == (Status.UNKNOWN, None, None, math.inf)
    assert solution.bound >= 4.5
    assert "it ran out of arcs" in solution.explain()


def test_a_solver_that_cannot_take_the_problem_says_so_whatever_throw_is():
    def refuses(problem, **_):
        raise UnsupportedError("only on Sundays")

    with pytest.raises(UnsupportedError, match="only on Sundays"):
        solve(FLOW, refuses, throw=False)


def test_what_is_no_problem_is_told():
    with pytest.raises(TypeError, match="must be an AlignmentProblem, not list"):
        solve([[1.0, 2.0]])


def test_without_a_choice_the_row_is_told_even_if_no_solver_was_asked():
    problem = AlignmentProblem(np.ones((3, 2)), client_capacity=[1, 1, 0], client_demand=1)
    solution = judge(problem, Answer())
    assert (solution.status, solution.proof, solution.bound) == (Status.INFEASIBLE, Proof.PRICES, -math.inf)
    assert solution.explain() == "infeasible: client 2 demands 1 experts, its capacity is 0"


def test_where_prices_of_zero_prove_it_they_are_the_certificate():
    problem = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]])
    solution = claim(problem, x=[[True, False], [True, False]])
    assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.PRICES)
    assert solution.prices.tolist() == [0.0, 0.0]
    assert problem.bound(solution.prices) == solution.bound
    assert claim(FLOW, x=BEST).prices is None
