"""The code that a time limit needs is compiled before the clock starts; tested in a new process with an empty cache."""

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
from numba.core import event

from alignsolve import solve
from problems import FAMILIES

solver, family, clients, experts = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
problem = FAMILIES[family](np.random.default_rng(0), num_clients=clients, num_experts=experts)
compiled = {}


class Listener(event.Listener):
    def on_start(self, event):
        compiled[str(event.data["dispatcher"])] = time.monotonic()

    def on_end(self, event):
        pass


event.register("numba:compile", Listener())
solution = solve(problem, solver, time_limit=60.0, throw=False)
started = time.monotonic() - solution.runtime
assert compiled
late = [name for name, when in compiled.items() if when > started]
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
def test_nothing_is_compiled_while_the_clock_runs(tmp_path, solver, family, clients, experts):
    env = os.environ | {"PYTHONPATH": str(ROOT), "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT, solver, family, str(clients), str(experts)]
    done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
