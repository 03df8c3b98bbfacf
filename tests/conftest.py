"""Settings of all tests: random examples are the same in every run and on every machine."""

import pytest
from hypothesis import HealthCheck, settings

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
