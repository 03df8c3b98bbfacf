"""Ctrl-C while a back end computes: the prompt comes back at once, and the process ends as it should."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from alignsolve.runtime.interruptible import interruptible

HARD = """
import signal, sys, numpy as np
from alignsolve import AlignmentProblem, solve
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
rng = np.random.default_rng(0)
problem = AlignmentProblem(
    rng.integers(10, 100, (100, 20)), client_capacity=3, client_load=rng.integers(5, 26, (100, 20)),
    expert_capacity=80, client_budget=[9] * 100, expert_cost=rng.integers(2, 7, 20),
)
# A first solution under a limit compiles what is needed; an interrupt within the compiler may be lost.
solve(problem, sys.argv[1], time_limit=0.5, throw=False)
print("go", flush=True)
try:
    solve(problem, sys.argv[1])
except KeyboardInterrupt:
    print("prompt", flush=True)
    sys.exit(7)
"""


def test_what_the_work_returns_and_raises_passes():
    assert interruptible(lambda: 3, stop=None) == 3
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 // 0, stop=None)


@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot send itself a Ctrl-C there")
def test_an_interrupt_asks_the_work_to_stop_and_is_raised():
    ended = threading.Event()
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interruptible(lambda: ended.wait(60.0), stop=ended.set)
    assert ended.is_set()
    assert time.monotonic() - started < 10.0


@pytest.mark.engine
@pytest.mark.skipif(sys.platform == "win32", reason="a process cannot be sent a Ctrl-C there")
@pytest.mark.parametrize("solver", ["ilp", "ilp-cbc", "cpsat", "auto"])
def test_every_back_end_without_a_limit_listens(solver: str):
    command = [sys.executable, "-c", HARD, solver]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        # Whoever does not listen is ended, so that the test fails and does not wait for ever.
        end = threading.Timer(120.0, process.kill)
        end.start()
        assert process.stdout is not None
        assert process.stdout.readline() == "go\n"
        time.sleep(5.0)
        started = time.monotonic()
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "prompt\n"
        assert time.monotonic() - started < 5.0
        assert process.wait(30.0) == 7
        end.cancel()
