"""``pip install alignsolve``, without extras, brings all that the solvers need."""

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from tests.test_architecture import house, imports

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE = {each.name: each.specifier for each in map(Requirement, PROJECT["dependencies"])}
BROUGHT_BY_NUMBA = {"llvmlite"}
"""In the one version that suits it."""


def test_every_package_that_the_solvers_import_is_a_base_dependency():
    wanted = {house(name) for path in (ROOT / "alignsolve").rglob("*.py") for name in imports(path)}
    assert wanted - set(sys.stdlib_module_names) - {"alignsolve"} - BROUGHT_BY_NUMBA <= set(BASE)


def test_scipy_is_there_for_the_linear_algebra_of_compiled_code():
    assert "scipy" in BASE


def test_pulp_stays_below_the_version_that_is_not_supported():
    assert "3.3" in BASE["pulp"]
    assert "4.0" not in BASE["pulp"]
