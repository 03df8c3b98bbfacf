"""Settings of all tests: random examples are the same in every run and on every machine."""

import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from numba.core.dispatcher import Dispatcher

from alignsolve import ProblemClass
from alignsolve.presolve import components, pipeline
from alignsolve.solvers.ilp.solver import Ilp

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
    "solvers/price": "price",
    "solvers/lagrangian": "general",
    "solvers/generalised_assignment": "general",
    "subproblem": "general",
    "solvers/sift": "flows",
    "solvers/shortest_paths": "flows",
}
"""Folders of tests/alignsolve whose tests come first, and the group of each: the first two groups run at the same time,
and compile different code. All others find most of it in the cache."""
BY_SOLVER = ("test_contract.py", "test_hypothesis.py")
"""Files in which all solvers are asked the same. They take long, so they do not come last."""


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage where it is cheap, and keep tests together that compile the same code."""
    for item in items:
        if not is_covered(item):
            item.add_marker(pytest.mark.no_cover)
        alone = item.get_closest_marker("slow") or item.get_closest_marker("engine")
        if not alone and not item.get_closest_marker("xdist_group"):
            item.add_marker(pytest.mark.xdist_group(worker_group(item)))
    first = list(dict.fromkeys(COMPILED_FIRST.values()))

    def rank(item: pytest.Item) -> int:
        group = compiled_first(item)
        return first.index(group) if group else len(first) + (item.path.name not in BY_SOLVER)

    items.sort(key=rank)


def is_covered(item: pytest.Item) -> bool:
    """Whether coverage is measured: Python that is traced takes half as long again, and oracles are Python.

    Tests of other packages, and tests with random examples, need reach no line that the others do not reach. Those of
    compiled code are the exception.
    """
    ours = item.path.name == "test_contract.py" or any(item.path.is_relative_to(folder) for folder in COVERED)
    random = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return ours and (not random or item.get_closest_marker("kernels") is not None)


def compiled_first(item: pytest.Item) -> str:
    """Name the group of a test that comes first; empty for all others."""
    folder = item.path.parent.as_posix()
    return next((group for end, group in COMPILED_FIRST.items() if folder.endswith(f"tests/alignsolve/{end}")), "")


def worker_group(item: pytest.Item) -> str:
    """Name the tests that one worker runs: those of a file, or those of a solver where all are asked the same."""
    first = compiled_first(item)
    if first:
        return first
    solver = getattr(getattr(item, "callspec", None), "params", {}).get("solver")
    if item.path.name not in BY_SOLVER or not isinstance(solver, str):
        return str(item.path)
    return "auto" if solver in ASKED_BY_AUTO else solver


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
