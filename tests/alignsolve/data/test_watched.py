"""Fitness read in blocks: slow sources keep the limit, and changed values are noticed."""

import time
from typing import Any

import numpy as np
import pytest

from alignsolve import AlignmentProblem, RowBlocks, solve
from alignsolve.certificate.judge import judge
from alignsolve.data.blocks import block_rows
from alignsolve.data.watched import LateError, Watch
from alignsolve.solution import SolveError, Status
from alignsolve.solver import Answer

FITNESS = np.random.default_rng(0).random((4 * block_rows(8), 8))


class Source:
    """Reads the fitness, and behaves worse from the read ``since`` on."""

    def __init__(self, change: Any, since: int) -> None:
        self.change, self.since, self.reads = change, since, 0

    def read(self, start: int, stop: int) -> np.ndarray:
        """Return rows as they are, or changed."""
        self.reads += 1
        rows = FITNESS[start:stop]
        return rows if self.reads <= self.since else self.change(rows)

    def problem(self, **fields: Any) -> AlignmentProblem:
        """Return a problem with this fitness."""
        return AlignmentProblem(RowBlocks(FITNESS.shape, FITNESS.dtype, self.read), client_capacity=2, **fields)


def fail(rows: np.ndarray) -> np.ndarray:
    raise ConnectionResetError("the store has gone")


@pytest.mark.parametrize("change", [lambda rows: rows + 0.25, lambda rows: np.full_like(rows, np.nan), np.negative])
@pytest.mark.parametrize("since", [1, 3, 6, 9, 12, 15])
def test_values_that_change_between_reads_prove_nothing(change: Any, since: int):
    source = Source(change, since)
    try:
        solution = solve(source.problem(), "topk", throw=False)
    except (ValueError, SolveError):
        assert source.reads > since
        return
    if source.reads > since and solution.status is Status.OPTIMAL:
        seen = change(FITNESS)
        assert solution.objective == pytest.approx(solution.problem.with_fitness(seen).objective(solution.assigned))


def test_the_check_names_the_clients_whose_fitness_changed():
    source = Source(lambda rows: rows + 1.0, 1 + 5)
    problem = source.problem()
    x = np.zeros(FITNESS.shape, dtype=bool)
    x[:, 0] = True
    with pytest.raises(ValueError, match=rf"clients {block_rows(8)} \.\. {2 * block_rows(8) - 1} changed between two"):
        judge(problem, Answer(x, np.zeros(8)), threads=1)


def test_a_slow_source_keeps_the_limit():
    def slow(rows: np.ndarray) -> np.ndarray:
        time.sleep(0.3)
        return rows

    problem = Source(slow, 1).problem(expert_capacity=90_000)
    solve(AlignmentProblem(FITNESS[:3000], client_capacity=2, expert_capacity=2000), "price", time_limit=60)
    started = time.monotonic()
    solution = solve(problem, "price", time_limit=0.5, throw=False)
    assert time.monotonic() - started < 5.0
    assert solution.status in {Status.UNKNOWN, Status.FEASIBLE}
    assert "time limit" in solution.stats["stopped"] or "time limit" in solution.stats["rejected"]


@pytest.mark.parametrize("solver", ["price", "greedy", "auto"])
def test_every_read_is_on_the_clock(solver: str):
    def slow(rows: np.ndarray) -> np.ndarray:
        time.sleep(0.1)
        return rows

    source = Source(slow, 1)
    problem = source.problem(expert_capacity=90_000)
    solution = solve(problem, solver, time_limit=1.0, throw=False)
    assert source.reads > 2
    assert solution.runtime >= 0.1 * (source.reads - 1)


def test_a_read_that_would_end_late_does_not_begin():
    def slow(start: int, stop: int) -> np.ndarray:
        time.sleep(0.2)
        return FITNESS[start:stop]

    watch = Watch(RowBlocks(FITNESS.shape, FITNESS.dtype, slow), until=time.monotonic() + 0.39)
    watch.watched()[0:5]
    with pytest.raises(LateError):
        watch.watched()[5:10]
    assert watch.reads == 1


@pytest.mark.parametrize("solver", ["topk", "price", "greedy", "flow"])
@pytest.mark.parametrize("limit", [None, 30.0])
def test_an_error_of_the_source_stays_what_it_is(solver: str, limit: float | None):
    with pytest.raises(ConnectionResetError, match="the store has gone"):
        solve(Source(fail, 2).problem(), solver, time_limit=limit, throw=False)


def test_only_the_first_block_is_read_to_make_a_problem_and_each_other_is_checked_when_it_is_read():
    source = Source(lambda rows: np.full_like(rows, np.nan), 1)
    problem = source.problem()
    assert source.reads == 1
    with pytest.raises(ValueError, match=f"fitness of client {block_rows(8)}, expert 0 is nan"):
        problem.block(block_rows(8), block_rows(8) + 5)
