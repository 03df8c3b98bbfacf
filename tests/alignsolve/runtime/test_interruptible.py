"""Ctrl-C while a solver computes: the prompt comes back at once, and the process ends as it should."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from alignsolve import SOLVERS
from alignsolve.runtime import child_process
from alignsolve.runtime.interruptible import interruptible, late, stopped_by
from alignsolve.runtime.threads import map_in_order

ASKED = """
import signal, sys, numpy as np
from alignsolve import AlignmentProblem, solve
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
rng = np.random.default_rng(0)
solver, kind = sys.argv[1:]
match kind:
    case "general":
        problem = AlignmentProblem(
            rng.integers(10, 100, (100, 20)), client_capacity=3, client_load=rng.integers(5, 26, (100, 20)),
            expert_capacity=80, client_budget=[9] * 100, expert_cost=rng.integers(2, 7, 20),
        )
    case "budgets":
        problem = AlignmentProblem(
            rng.random((300, 3000)), client_capacity=30, expert_capacity=3,
            client_budget=5 + 20 * rng.random(300), expert_cost=0.5 + rng.random(3000),
        )
    case "square":
        product = rng.random((2000, 1)) * rng.random((1, 2000)) + 1e-3 * rng.random((2000, 2000))
        problem = AlignmentProblem(product, expert_capacity=1)
    case "wide":
        product = rng.random((2000, 1)) * rng.random((1, 1500)) + 1e-3 * rng.random((2000, 1500))
        problem = AlignmentProblem(product, client_capacity=3, expert_capacity=3)
    case "whole":
        problem = AlignmentProblem(rng.integers(0, 1000, (600, 100)), expert_capacity=7)
    case "many":
        problem = AlignmentProblem(rng.random((500_000, 64)), expert_capacity=8_000)
    case "clients only":
        problem = AlignmentProblem(rng.random((500_000, 64)), client_capacity=8)
print("go", flush=True)
try:
    solve(problem, solver, throw=False)
    print("done", flush=True)
except KeyboardInterrupt:
    print("prompt", flush=True)
    sys.exit(7)
"""
KINDS = {
    "augment": "square", "auto": "general", "branch": "general", "budgets": "budgets", "cpsat": "general",
    "expert-choice": "many", "flow": "wide", "greedy": "many", "ilp": "general", "ilp-cbc": "general",
    "lagrangian": "budgets", "networkx": "whole", "price": "wide", "random": "clients only", "regret": "many",
    "rolling": "clients only", "sift": "wide", "topk": "clients only",
}  # fmt: skip
"""A problem that takes each solver long, as far as one does."""
LONG = {"augment", "auto", "branch", "cpsat", "flow", "ilp", "ilp-cbc", "networkx", "price"}
"""Solvers that take far longer than the test waits."""


def test_what_the_work_returns_and_raises_passes():
    assert interruptible(lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0)


def test_the_work_runs_in_a_thread_and_work_within_it_in_the_same():
    inner = interruptible(lambda: (threading.current_thread(), interruptible(threading.current_thread)))
    assert inner[0] is inner[1] is not threading.main_thread()


def interrupt_soon() -> None:
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()


needs_kill = pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself a Ctrl-C there")


@needs_kill
def test_an_interrupt_asks_foreign_code_to_stop_and_is_raised():
    ended, told = threading.Event(), []

    def work() -> None:
        try:
            with stopped_by(ended.set):
                ended.wait(60.0)
        except KeyboardInterrupt as error:
            told.append(error)

    interrupt_soon()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interruptible(work)
    assert ended.is_set()
    assert told
    assert time.monotonic() - started < 10.0


@needs_kill
@pytest.mark.parametrize("threads", [1, 2])
def test_an_interrupt_ends_the_time_of_work_that_looks_at_the_clock(threads: int):
    ended = threading.Event()

    def work() -> None:
        list(map_in_order(wait, range(threads), threads))

    def wait(_: int) -> None:
        while not late(float("inf")):
            time.sleep(0.01)
        ended.set()

    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        interruptible(work)
    assert ended.wait(10.0)


@needs_kill
def test_work_that_does_not_listen_is_left_behind():
    enough = threading.Event()
    interrupt_soon()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interruptible(lambda: enough.wait(60.0))
    assert time.monotonic() - started < 30.0
    enough.set()


@needs_kill
def test_work_in_a_thread_of_its_own_is_left_behind_at_its_next_message():
    """Where a system has no fork, nothing else stops it before its limit."""
    ended = threading.Event()

    def work() -> Iterator[int]:
        try:
            while True:
                time.sleep(0.05)
                yield 1
        finally:
            ended.set()

    interrupt_soon()
    with pytest.raises(KeyboardInterrupt):
        interruptible(lambda: list(child_process._in_a_thread(work, lambda: 60.0)))
    assert ended.wait(10.0)


def test_outside_of_work_nothing_is_stopped():
    with stopped_by(pytest.fail):
        assert late(0.0)
        assert not late(float("inf"))


def test_every_solver_is_interrupted():
    assert set(KINDS) == set(SOLVERS)


@pytest.mark.engine
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent a Ctrl-C there")
@pytest.mark.parametrize("solver", KINDS)
def test_the_prompt_comes_back(solver: str):
    command = [sys.executable, "-c", ASKED, solver, KINDS[solver]]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        # Whoever does not listen is ended, so that the test fails and does not wait for ever.
        end = threading.Timer(120.0, process.kill)
        end.start()
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(3.0 if solver in LONG else 0.5)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        told = process.stdout.readline()
        assert time.monotonic() - started < 5.0  # about 1; other tests run at the same time
        assert told == "prompt\n" or (told == "done\n" and solver not in LONG)
        assert process.wait(60.0) in ([7] if told == "prompt\n" else [0, -signal.SIGINT])
        end.cancel()
