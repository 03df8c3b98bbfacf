"""``sift`` under a deadline: an answer is made when most of the time is over, and the search goes on after it."""

import math
import time

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Status, solve
from alignsolve.data.alignment import Alignment
from alignsolve.solver import Answer, WarmStart
from alignsolve.solvers.greedy.finish import finish
from alignsolve.solvers.sift import Sift
from alignsolve.solvers.sift import solver as sift_solver
from alignsolve.solvers.sift.estimate import by_turns
from alignsolve.solvers.sift.flow_search import TimeUpError
from alignsolve.solvers.sift.network import Terms
from alignsolve.solvers.sift.search import Search

PHASE, REPAIR = Search._phase, Search._repair


def patiently(search: Search, net, entry, limit: float) -> bool:
    """Repair only where cost scaling has come to its end."""
    return limit == math.inf and REPAIR(search, net, entry, limit)


def layered(seed: int = 0) -> AlignmentProblem:
    """Return a feasible problem of 6 layers of 8 experts, in which all kinds of bounds bind."""
    rng = np.random.default_rng(seed)
    return AlignmentProblem(
        rng.normal(size=(30, 48)),
        client_capacity=rng.integers(10, 16, 30),
        client_demand=6,
        expert_capacity=10,
        expert_demand=2,
        eligible=rng.random((30, 48)) < 0.95,
        expert_group=np.arange(48) // 8,
        group_capacity=3,
        group_demand=1,
    )


def ask(problem: AlignmentProblem, warm: Alignment | None = None) -> Answer:
    """Ask ``sift`` with a deadline that is far away."""
    return Sift()(
        problem,
        deadline=time.monotonic() + 1000.0,
        warm_start=WarmStart(warm),
        seed=0,
        threads=1,
        progress=None,
    )


@pytest.fixture
def stops(monkeypatch) -> list[int]:
    """Number the phases of cost scaling, and stop the search after each one that is listed."""
    after, done = [], []

    def phase(self, *given):
        PHASE(self, *given)
        done.append(len(done))
        if done[-1] in after:
            raise TimeUpError

    monkeypatch.setattr(Search, "_phase", phase)
    monkeypatch.setattr(Search, "_repair", patiently)
    return after


@pytest.mark.parametrize("seed", range(4))
def test_a_search_that_was_stopped_once_goes_on_to_the_optimum(stops, seed):
    problem = layered(seed)
    best = solve(problem, "flow").objective
    stops += [0]
    answer = ask(problem)
    assert "stopped" not in answer.stats
    assert problem.objective(answer.x) == pytest.approx(best, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
def test_what_a_stopped_search_leaves_is_made_feasible(stops, seed):
    problem = layered(seed)
    stops += [0, 1]
    answer = ask(problem)
    assert answer.stats["stopped"] == "time limit"
    assert not problem.violations(answer.x)
    greedy = solve(problem, "greedy").objective
    assert problem.objective(answer.x) > greedy


def test_a_better_warm_start_is_kept(stops):
    problem = layered()
    best = solve(problem, "flow")
    stops += [0, 1]
    assert problem.objective(ask(problem, best.assigned).x) == best.objective


def test_greed_steps_in_where_the_search_cannot_begin(monkeypatch):
    problem = layered()

    def late(*given):
        raise TimeUpError

    monkeypatch.setattr(sift_solver, "_search", late)
    answer = ask(problem)
    assert answer.stats["stopped"] == "time limit"
    assert not problem.violations(answer.x)


def test_a_witness_of_greed_is_the_answer(monkeypatch):
    problem = AlignmentProblem(np.ones((4, 3)), client_demand=1, expert_capacity=1)

    def late(*given):
        raise TimeUpError

    monkeypatch.setattr(sift_solver, "_search", late)
    solution = solve(problem, Sift(), time_limit=100.0, throw=False)
    assert solution.status is Status.INFEASIBLE


def test_turns_that_will_not_end_in_time_are_not_begun():
    terms = Terms(layered())
    with pytest.raises(TimeUpError):
        by_turns(terms, np.zeros(48), 5, 1.0, deadline=time.monotonic())
    with pytest.raises(TimeUpError):
        by_turns(terms, np.zeros(48), 10**9, 1.0, deadline=time.monotonic() + 1.0)


@pytest.mark.parametrize("seed", range(6))
def test_any_alignment_is_finished(seed):
    problem, rng = layered(seed), np.random.default_rng(seed)
    start = rng.random(problem.shape) < rng.choice([0.0, 0.1, 0.3])
    start &= problem.eligible
    start &= start.cumsum(axis=1) <= problem.client_capacity[:, None]
    finished = finish(problem, Alignment.from_dense(start), math.inf)
    assert not problem.violations(finished)
    assert finish(problem, Alignment.from_dense(start & False), time.monotonic() - 1.0) is None


def test_no_alignment_is_finished_where_there_is_none():
    problem = AlignmentProblem(np.ones((4, 3)), client_demand=1, expert_capacity=1)
    assert finish(problem, Alignment.from_pairs([], [], 4), math.inf) is None
