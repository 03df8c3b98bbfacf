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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Measure coverage where it costs little: Python that is traced takes half as long again, and oracles are Python.

    Tests of other packages, and tests with random examples, need reach no line that the others do not reach. Those of
    compiled code are the exception.
    """
    for item in items:
        ours = item.path.name == "test_contract.py" or any(item.path.is_relative_to(folder) for folder in COVERED)
        random = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if not ours or (random and not item.get_closest_marker("kernels")):
            item.add_marker(pytest.mark.no_cover)


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
