"""The code that a time limit needs is there before the clock starts: nothing is compiled or loaded later.

Tested in a new process. What the cache on disk has is loaded, not compiled, and must be loaded before the clock starts.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SCRIPT = """
import sys
import time

import numpy as np
from numba.core.dispatcher import Dispatcher

from alignsolve import front, solve
from problems import FAMILIES

solver, family, clients, experts = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
problem = FAMILIES[family](np.random.default_rng(0), num_clients=clients, num_experts=experts)
prepared = {}
add_overload = Dispatcher.add_overload


def watched(dispatcher, compiled):
    prepared[str(dispatcher)] = time.monotonic()
    add_overload(dispatcher, compiled)


Dispatcher.add_overload = watched
prepare, ready = front._prepare, []


def timed(*given):
    prepare(*given)
    ready.append(time.monotonic())


front._prepare = timed
solve(problem, solver, time_limit=60.0, throw=False)
assert prepared
late = [name for name, when in prepared.items() if when > ready[0]]
assert not late, late
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("solver", "family", "clients", "experts"),
    [
        ("price", "popular", 10_000, 32),
        ("lagrangian", "budgets", 10_000, 16),
        ("lagrangian", "gap-c", 100, 10),
        ("greedy", "weighted", 40_000, 32),
    ],
)
def test_nothing_is_compiled_or_loaded_while_the_clock_runs(tmp_path, solver, family, clients, experts):
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", SCRIPT, solver, family, str(clients), str(experts)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
