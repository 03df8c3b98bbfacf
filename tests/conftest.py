"""Settings of all tests: random examples are the same in every run and on every machine."""

import pytest
from hypothesis import HealthCheck, settings

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
