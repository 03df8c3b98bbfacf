"""Second opinions: a claim of one back end alone is held back, and one that others contradict is not told."""

import math

import numpy as np
import pytest

from alignsolve import AlignmentProblem, solve
from alignsolve.data.alignment import as_alignment
from alignsolve.numerics import BoolArray
from alignsolve.solution import Proof, SolveError, Status
from alignsolve.solver import Answer
from alignsolve.solvers.common.second_opinion import Opinion, with_second_opinion
from alignsolve.solvers.opinions import is_wild

PROBLEM = AlignmentProblem([[5.0, 4.0], [4.0, 1.0]], client_load=[3.0, 2.0], expert_capacity=3.0)
BEST = [[True, False], [False, True]], [[False, True], [True, False]]
OPTIMUM, WORSE = 8.0, 6.0


def found(x: list[list[bool]] | BoolArray | None = None, **claim: object) -> Answer:
    alignment = None if x is None else as_alignment(np.array(x), *PROBLEM.shape)
    return Answer(alignment, **claim)  # type: ignore[arg-type]


def asked(
    first: Answer, *others: Answer | SolveError, own: tuple[Answer, ...] = (), distrusted: tuple[str, ...] = ()
) -> Answer:
    """Return the last answer after these opinions; the ones before it claim nothing."""

    def opinion(name: str, answer: Answer | SolveError) -> Opinion:
        def ask(known: Answer, deadline: float) -> Answer:
            if isinstance(answer, SolveError):
                raise answer
            return answer

        return Opinion(name, ask)

    named = [opinion(f"other {k}", answer) for k, answer in enumerate(others)]
    *before, last = with_second_opinion(
        PROBLEM,
        iter([first]),
        "first",
        lambda: named,
        lambda claim: iter(own),
        lambda name: name not in distrusted,
        math.inf,
    )
    assert all(isinstance(each, Answer) and not each.infeasible for each in before)
    assert isinstance(last, Answer)
    return last


def test_two_that_agree_are_named():
    claim = found(BEST[1], bound=OPTIMUM)
    answer = asked(claim, claim)
    assert (answer.bound, answer.stats["confirmed_by"]) == (OPTIMUM, ["first", "other 0"])


def test_a_wrong_optimum_is_not_told_and_the_better_alignment_is_kept():
    answer = asked(found(BEST[0], bound=WORSE), found(BEST[1], bound=OPTIMUM), found(BEST[1], bound=OPTIMUM))
    assert PROBLEM.objective(answer.x) == OPTIMUM
    assert answer.stats["confirmed_by"] == ["other 0", "other 1"]
    doubted = asked(found(BEST[0], bound=WORSE), found(BEST[1], bound=OPTIMUM))
    assert (doubted.bound, "confirmed_by" in doubted.stats) == (math.inf, False)
    assert "only other 0" in doubted.stats["doubted"]


def test_a_bound_counts_if_two_claim_it():
    answer = asked(found(BEST[1], bound=OPTIMUM), found(BEST[1], bound=8.5), found(BEST[1], bound=8.25))
    assert answer.bound == 8.25
    assert "confirmed_by" not in answer.stats


def test_infeasibility_needs_two_words_and_no_alignment():
    word = found(infeasible=True)
    assert asked(word, word).infeasible
    assert not asked(word).infeasible
    assert not asked(word, SolveError("gave up")).infeasible
    refuted = asked(word, word, own=(found([[False, False], [False, False]]),))
    assert not refuted.infeasible
    assert refuted.x is not None


def test_what_our_own_methods_know_refutes_an_optimum_on_which_two_agree():
    wrong = found(BEST[0], bound=WORSE)
    answer = asked(wrong, wrong, own=(found(BEST[1]),))
    assert PROBLEM.objective(answer.x) == OPTIMUM
    assert "confirmed_by" not in answer.stats


def test_one_of_those_who_agree_must_be_trusted():
    claim = found(BEST[1], bound=OPTIMUM)
    assert "confirmed_by" not in asked(claim, claim, distrusted=("first", "other 0")).stats
    assert asked(claim, claim, claim, distrusted=("first", "other 0")).stats["confirmed_by"][-1] == "other 1"


@pytest.mark.parametrize("solver", ["ilp", "ilp-cbc", "cpsat", "auto"])
def test_penalties_beyond_all_fitness_do_not_hide_the_empty_alignment(solver: str):
    """HiGHS with and without its presolve called an objective of -5.6e35 optimal; nothing taken costs nothing."""
    problem = AlignmentProblem(
        [[700.0, 2e-4, 700.0], [5e-5, -5.0, 5.0], [2e-5, 2e-3, 300.0]],
        client_capacity=[1, 0, 2],
        client_load=[3e91, 3e92, 5e91],
        expert_capacity=[3e-202, 2e-201, 5e-202],
        overload_penalty=[3e42, 1.5e45, 7e-57],
    )
    solution = solve(problem, solver)
    assert solution.bound >= 0.0
    assert solution.status is not Status.OPTIMAL or solution.objective == 0.0


def test_the_cardinality_class_needs_no_opinions():
    problem = AlignmentProblem([[1.0, 2.0]])
    word = Answer(infeasible=True)
    assert list(with_second_opinion(problem, iter([word]), "first", list, lambda claim: iter(()), bool, math.inf)) == [
        word
    ]


@pytest.mark.parametrize("name", ["ilp", "ilp-cbc", "cpsat", "auto"])
def test_the_solvers_name_those_who_agree(name: str):
    rng = np.random.default_rng(5)
    problem = AlignmentProblem(
        rng.random((6, 4)), client_capacity=2, client_load=rng.integers(2, 6, 6), expert_capacity=7,
        client_budget=3.0, expert_cost=[1.0, 2.0, 1.5, 2.5],
    )  # fmt: skip
    solution = solve(problem, name)
    assert solution.status is Status.OPTIMAL
    if solution.proof is Proof.SOLVER:
        assert len(solution.stats["confirmed_by"]) == 2


def test_a_strangers_word_is_confirmed_by_nobody():
    def stranger(problem, **_):
        return found(BEST[1], bound=OPTIMUM)

    solution = solve(PROBLEM, stranger)
    assert (solution.proof, solution.stats["confirmed_by"]) == (Proof.SOLVER, [])


def test_numbers_of_very_different_sizes_are_wild():
    assert not is_wild(PROBLEM)
    assert is_wild(AlignmentProblem([[1.0, 1e9]], client_load=[[1.0, 2.0]]))
    assert is_wild(AlignmentProblem([[1.0, 2.0]], client_load=[[1e-9, 2.0]]))


def test_a_large_penalty_hides_nothing():
    """HiGHS alone ends at 1.17, for a penalty of 1e14 hides all that is small."""
    problem = AlignmentProblem(
        [[0.97, 0.7, 0.5], [0.017, 0.4, 0.41], [0.37, 0.653, 0.984]],
        client_capacity=2,
        client_demand=1,
        client_budget=[1.5, 1.0, 2.5],
        expert_cost=[[0.5, 1.0, 0.1], [1.0, 0.5, 1.0], [1.0, 0.1, 2.0]],
        client_load=[[2.0, 0.2, 0.1], [0.5, 2.0, 1.0], [1.0, 0.5, 0.5]],
        expert_capacity=[0.6, 2.0, 2.0],
        overload_penalty=1e14,
    )
    solution = solve(problem, "ilp", throw=False)
    assert solution.status is not Status.OPTIMAL or solution.objective == pytest.approx(3.247, abs=1e-6)


def test_whole_numbers_are_compared_without_a_tolerance():
    large = 10**9
    problem = AlignmentProblem(
        [[large + 1, large + 5], [large, large + 3]],
        client_capacity=2,
        client_demand=1,
        expert_capacity=1,
        client_budget=[5, 3],
        expert_cost=[2, 3],
    )
    assert solve(problem).objective == 2 * large + 5
