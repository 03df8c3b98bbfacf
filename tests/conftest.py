"""Settings of all tests: random examples are the same in every run and on every machine."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from numba.core.dispatcher import Dispatcher
from xdist.scheduler import LoadScopeScheduling

from alignsolve import SOLVERS, ProblemClass
from alignsolve.presolve import components, pipeline
from alignsolve.solvers.ilp.solver import Ilp

os.environ.setdefault("OMP_NUM_THREADS", "1")
"""For torch, here and in all processes that tests start: tiny tensors are slower on two threads."""

settings.register_profile(
    "alignsolve",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.load_profile("alignsolve")


COVERED = [Path(__file__).parents[1] / "alignsolve", Path(__file__).parent / "alignsolve"]
"""Where tests are about the lines of `alignsolve`; the contract is, too."""


ASKED_BY_AUTO = {"auto", "price", "greedy", "regret", "lagrangian"}
"""Solvers that compile the same code."""
COMPILED_FIRST = {
    "tests/alignsolve/solvers/price/": "price",
    "tests/alignsolve/solvers/lagrangian/": "general",
    "tests/alignsolve/solvers/generalised_assignment/": "general",
    "tests/alignsolve/subproblem/": "general",
    "tests/alignsolve/solvers/sift/": "flows",
    "tests/alignsolve/solvers/shortest_paths/": "flows",
    "tests/alignsolve/placement/": "placement",
}
"""Folders whose tests come first, and the group of each: the first two groups run at the same time, and compile
different code. All others find most of it in the cache."""
BY_SOLVER = ("tests/test_contract.py", "tests/test_hypothesis.py")
"""Files in which all solvers are asked the same. They take long, so they do not come last."""
SERVERS = (
    "tests/fedtrain/adapters/flower/test_flower_engine.py",
    "tests/fedtrain/adapters/flower/test_flower_private.py::test_flowers_engine_runs_it",
    "tests/fedtrain/adapters/nvflare/test_nvflare_engine.py",
)
"""Tests of servers, which wait for each other's ports. They take longest of the slow ones, so they begin."""
INSTALLED = "tests/test_installed.py"
"""Tests that install the wheel on every Python. They take minutes, so they begin beside the servers."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let one worker run all tests of a group; xdist's own marker for groups has no effect with pytest 9.2."""

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return worker_group(nodeid)

    return ByGroup(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage where it is cheap, and put those tests first that compile most."""
    for item in items:
        if not is_covered(item):
            item.add_marker(pytest.mark.no_cover)
    first = list(dict.fromkeys(COMPILED_FIRST.values()))

    def rank(item: pytest.Item) -> int:
        if item.nodeid.startswith((*SERVERS, INSTALLED)):
            return -1
        group = compiled_first(item.nodeid)
        return first.index(group) if group else len(first) + (not item.nodeid.startswith(BY_SOLVER))

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Take what is imported by now, millions of objects, out of garbage collection; ``gc.collect()`` took seconds."""
    gc.collect()
    gc.freeze()


def is_covered(item: pytest.Item) -> bool:
    """Whether coverage is measured: Python that is traced takes half as long again, and oracles are Python.

    Tests of other packages, and tests with random examples, need reach no line that the others do not reach. Those of
    compiled code are the exception.
    """
    ours = item.path.name == "test_contract.py" or any(item.path.is_relative_to(folder) for folder in COVERED)
    random = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return ours and (not random or item.get_closest_marker("kernels") is not None)


def compiled_first(nodeid: str) -> str:
    """Name the group of a test that comes first; empty for all others."""
    return next((group for folder, group in COMPILED_FIRST.items() if nodeid.startswith(folder)), "")


def worker_group(nodeid: str) -> str:
    """Name the tests that one worker runs: those of a file, or those of a solver where all are asked the same."""
    if nodeid.startswith(SERVERS):
        return "servers"
    file, _, parameters = nodeid.partition("[")
    if nodeid.startswith(BY_SOLVER) and parameters:
        solver = max((name for name in SOLVERS if parameters.startswith(name)), key=len, default="none")
        return "auto" if solver in ASKED_BY_AUTO else solver
    return compiled_first(nodeid) or file.split("::")[0]


@pytest.fixture(scope="session", autouse=True)
def compiler_is_not_traced():
    """Trace no line of numba for the coverage of ours: numba is Python, and would take half as long again."""
    compile_ = Dispatcher.compile

    def untraced(dispatcher, signature):
        tracer = sys.gettrace()
        sys.settrace(None)
        try:
            return compile_(dispatcher, signature)
        finally:
            sys.settrace(tracer)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Dispatcher, "compile", untraced)
        yield


@pytest.fixture(params=["highs", "cbc"])
def ilp(request: pytest.FixtureRequest) -> Ilp:
    """The integer programs, with each back end."""
    return Ilp(backend=request.param)


@pytest.fixture(scope="module")
def small_problems_are_presolved():
    """Presolve problems of every size, and solve parts of every size apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "PRESOLVE_PAIRS", 1)
        patch.setattr(components, "PART_PAIRS", dict.fromkeys(ProblemClass, 1))
        yield
