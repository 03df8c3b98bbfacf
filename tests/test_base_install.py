"""``pip install alignsolve``, without extras, brings all that the solvers need; each extra brings what needs it."""

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from fedtrain.config.extras import TRAIN
from tests.sources import files_of, house, imports, module_name
from tests.test_guides import GUIDES, MARK

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
BASE = {each.name: each.specifier for each in map(Requirement, PROJECT["dependencies"])}
BROUGHT_BY_NUMBA = {"llvmlite"}
"""In the one version that suits it."""


def imported(lazy):
    """Return the packages that alignsolve imports, without Python's own."""
    named = {house(name) for path in (ROOT / "alignsolve").rglob("*.py") for name in imports(path, lazy=lazy)}
    return named - set(sys.stdlib_module_names) - {"alignsolve"} - BROUGHT_BY_NUMBA


def test_every_package_that_the_solvers_import_is_a_base_dependency():
    assert imported(lazy=False) <= set(BASE)
    tables_and_pictures = {*brought_by("tables"), *brought_by("plot"), "pandas"}
    assert imported(lazy=True) - set(BASE) <= tables_and_pictures


def test_scipy_is_there_for_the_linear_algebra_of_compiled_code():
    assert "scipy" in BASE


def test_pulp_stays_below_the_version_that_is_not_supported():
    assert "3.3" in BASE["pulp"]
    assert not BASE["pulp"].contains("4.0.0a12", prereleases=True)


IMPORTED_AS = {"scikit-learn": "sklearn", "pillow": "PIL", "tomli-w": "tomli_w"}
"""Packages whose name in Python differs from that in the registry."""
EXTRAS = PROJECT["optional-dependencies"]


def brought_by(extra):
    """Return what an extra installs, without what it depends on, by the names that Python imports."""
    for each in map(Requirement, EXTRAS[extra]):
        if each.name == "alignsolve":
            yield from (name for other in sorted(each.extras) for name in brought_by(other))
        else:
            yield IMPORTED_AS.get(each.name, each.name)


def loaded_with(module):
    """Return the modules that are loaded when a module is imported, by reading what each file imports at its top."""
    files = {module_name(path): path for own in ("alignsolve", "fedtrain") for path in files_of(own)}
    seen, todo = set(), [module]
    while todo:
        name = todo.pop()
        name = name if name in files else name.rpartition(".")[0]
        parents = [".".join(name.split(".")[:k]) for k in range(1, name.count(".") + 1)]
        if name in files and name not in seen:
            seen.add(name)
            todo += [*parents, *imports(files[name], lazy=False)]
    return {house(found) for name in seen for found in imports(files[name], lazy=False)}


def test_what_fedtrain_asks_for_is_what_its_extra_brings():
    assert set(TRAIN) == set(brought_by("train"))


@pytest.mark.parametrize(
    ("module", "extra"),
    [
        ("fedtrain.cli", None),
        ("fedtrain.partial", None),
        ("fedtrain.layouts", None),
        ("fedtrain.report", None),
        ("fedtrain.results.run_folder", None),
        ("fedtrain.run", "train"),
        ("fedtrain.compare.comparison", "train"),
        ("fedtrain.adapters.huggingface", "hf"),
        ("fedtrain.adapters.flower", "flower"),
        ("fedtrain.adapters.nvflare", "nvflare"),
    ],
)
def test_each_extra_alone_brings_what_its_module_imports(module, extra):
    there = set(BASE) | (set(brought_by(extra)) if extra else set())
    wanted = loaded_with(module) - set(sys.stdlib_module_names) - {"alignsolve", "fedtrain"} - BROUGHT_BY_NUMBA
    assert wanted <= there
    assert "numpy" in wanted


def test_the_page_on_installing_tells_which_pages_need_an_extra():
    page = (ROOT / "docs" / "installing.md").read_text(encoding="utf-8")
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    told = {name: cells for cells in rows for name in re.findall(r"`(\w+)`", cells[1])}
    assert set(told) == set(EXTRAS)
    for name in brought_by("train"):
        shown = {value: key for key, value in IMPORTED_AS.items()}.get(name, name)
        assert shown in told["train"][2]
    needing = {name for name, path in GUIDES.items() if MARK.search(path.read_text(encoding="utf-8"))["packages"]}
    shown = {link for cells in rows for link in re.findall(r"\(([\w-]+)\.md\)", cells[3])}
    assert needing <= shown
    assert not shown & (set(GUIDES) - needing)
