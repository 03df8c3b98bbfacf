"""Presolve tests use small problems, so they lower the sizes from which a presolve is used."""

import pytest

from alignsolve import ProblemClass
from alignsolve.presolve import components, pipeline


@pytest.fixture(autouse=True, scope="module")
def _presolve_small_problems():
    """Presolve problems of every size, and solve parts of every size apart."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "PRESOLVE_PAIRS", 1)
        patch.setattr(components, "PART_PAIRS", dict.fromkeys(ProblemClass, 1))
        yield
