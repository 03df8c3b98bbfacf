"""The arguments of solve(): solvers, features, limits, warm starts, and the errors for wrong ones."""

import math
import re

import numpy as np
import pytest

from alignsolve import (
    SOLVERS,
    Alignment,
    AlignmentProblem,
    Answer,
    Capabilities,
    Feature,
    UnsupportedError,
    WarmStart,
    solve,
)
from alignsolve.front import capabilities, describe_solvers
from alignsolve.solver import CLIENT_SIDE, EVERYTHING
from tests.claims import BEST, FLOW, PROOF, STUCK, claim


def test_an_unknown_solver_lists_all():
    with pytest.raises(ValueError, match=f"unknown solver 'magic'; there are: {', '.join(sorted(SOLVERS))}"):
        solve(FLOW, "magic")
    with pytest.raises(ValueError, match="a solver is a name or a callable, not int"):
        solve(FLOW, 7)
    with pytest.raises(ValueError, match=r"Capped is a class; make an instance: Capped\(\)"):
        solve(FLOW, Capped)


class Capped:
    """A solver that takes only client-side features."""

    capabilities = Capabilities(takes=CLIENT_SIDE)

    def __call__(self, problem, **_):
        """Assign nothing."""
        return Answer(np.zeros(problem.shape, dtype=bool))


def test_features_are_refused_by_name_with_those_who_can():
    able = sorted(name for name, declared in describe_solvers().items() if FLOW.features <= declared.takes)
    with pytest.raises(UnsupportedError, match=r"Capped.*cannot take hard expert capacities") as caught:
        solve(FLOW, Capped(), throw=False)
    assert f"solvers that can: {', '.join(able)}" in str(caught.value)
    assert "soften" in str(caught.value)
    assert solve(FLOW.soften(overload=1.0), Capped()).objective == 0.0
    assert capabilities(Capped()).takes == EVERYTHING - {Feature.HARD_EXPERT_CAPACITIES, Feature.HARD_EXPERT_DEMANDS}
    assert capabilities(lambda: None).takes == EVERYTHING


def test_where_no_solver_can_the_refusal_says_so(monkeypatch):
    monkeypatch.setattr("alignsolve.front.SOLVERS", {})
    with pytest.raises(UnsupportedError, match="no solver can"):
        solve(FLOW, Capped())


@pytest.mark.parametrize("time_limit", [-1.0, math.nan, -math.inf, "1", True, [1.0]])
def test_time_limits_are_checked(time_limit):
    with pytest.raises(ValueError, match=r"time_limit is .*; it must be a number of seconds, 0 or more, or None"):
        solve(FLOW, time_limit=time_limit)


@pytest.mark.parametrize("gap", [-1e-9, math.nan, math.inf, "0.1", None])
def test_gaps_are_checked(gap):
    with pytest.raises(ValueError, match=r"gap is .*; it must be 0 or more, and finite"):
        solve(FLOW, gap=gap)


def test_the_solver_gets_what_was_asked_for():
    seen = {}

    def curious(problem, **given):
        seen.update(given)
        return Answer(np.zeros(problem.shape, dtype=bool))

    solution = solve(FLOW, curious, time_limit=5, seed=3, threads=2, progress=print, warm_start=PROOF)
    assert solution.stats["solver"] == "curious"
    assert (seen["seed"], seen["threads"], seen["progress"]) == (3, 2, print)
    assert seen["warm_start"].prices.tolist() == [1.0, 0.5]
    assert math.isfinite(seen["deadline"])
    solve(FLOW, curious)
    assert seen["deadline"] == math.inf
    assert seen["warm_start"] == WarmStart()


def warm(problem, given):
    """Return the warm start that reaches a solver."""
    seen = []

    def curious(problem, *, warm_start, **_):
        seen.append(warm_start)
        return Answer(np.zeros(problem.shape, dtype=bool))

    solve(problem, curious, warm_start=given)
    return seen[0]


def test_warm_starts_of_every_kind_are_read():
    solution = claim(FLOW, x=BEST, prices=PROOF)
    for given in (solution, WarmStart(solution.assigned, PROOF), WarmStart(BEST, PROOF.tolist())):
        seen = warm(FLOW, given)
        assert seen.alignment.to_dense(2).tolist() == BEST
        assert seen.prices.tolist() == [1.0, 0.5]
    for given in (BEST, np.array(BEST), solution.assigned, tuple(solution.assigned)):
        assert warm(FLOW, given).alignment.to_dense(2).tolist() == BEST
    assert warm(FLOW, [1.0, 0.5]).prices.tolist() == [1.0, 0.5]
    assert warm(FLOW, solve(STUCK, throw=False)) == WarmStart()


def test_a_solution_of_other_clients_lends_its_prices():
    solution = claim(FLOW, x=BEST, prices=PROOF)
    seen = warm(AlignmentProblem(np.ones((3, 2))), solution)
    assert seen.alignment is None
    assert seen.prices.tolist() == [1.0, 0.5]


def test_a_solution_of_other_experts_lends_nothing():
    solution = claim(FLOW, x=BEST, prices=PROOF)
    for num_experts in (1, 3):
        assert warm(AlignmentProblem(np.ones((2, num_experts))), solution) == WarmStart()


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ([1.0, 2.0, 3.0], "warm_start prices must be 2 finite numbers"),
        ([1.0, np.nan], "warm_start prices must be 2 finite numbers"),
        (np.zeros((3, 2)), "x has shape (3, 2), expected (2, 2)"),
        (Alignment(np.array([0, 1, 2]), np.array([0, 5])), "experts must lie in 0..1"),
        (np.full((2, 2), 0.5), "x has entries other than 0 and 1"),
    ],
)
def test_warm_starts_that_do_not_fit_are_told(given, complaint):
    with pytest.raises(ValueError, match=re.escape(complaint)):
        solve(FLOW, warm_start=given)


@pytest.mark.parametrize("arguments", [{"seed": -1}, {"seed": 0.5}, {"seed": True}, {"threads": 0}, {"threads": 1.5}])
def test_seed_and_threads_are_checked(arguments):
    with pytest.raises(ValueError, match=f"{next(iter(arguments))} is .*; it must be a whole number"):
        solve(FLOW, **arguments)
