"""Compiled code without a cache on disk: every process compiles anew, says so once, and nothing else changes."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import numba
import pytest

ROOT = Path(__file__).parents[3]
NOWHERE = os.devnull + "/nowhere"
"""Below a file: nobody can make a folder there, not even root."""
DOUBLE = """
from alignsolve.runtime.jit import inner, kernel

@inner
def twice(x):
    return 2 * x

@kernel
def quadruple(x):
    return twice(twice(x))
"""
EVERYTHING = """
import importlib, pkgutil
import alignsolve

for each in pkgutil.walk_packages(alignsolve.__path__, "alignsolve."):
    importlib.import_module(each.name)
print(alignsolve.__file__)
"""


def run(code: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process whose home and caches cannot be written, but for what ``env`` names."""
    unusable = {"HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE, "LOCALAPPDATA": NOWHERE, "NUMBA_CACHE_DIR": NOWHERE}
    env = os.environ | {"PYTHONPATH": f"{cwd}{os.pathsep}{ROOT}"} | unusable | env
    return subprocess.run([sys.executable, "-c", code], env=env, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture
def module(tmp_path: Path) -> Path:
    """A folder with a module to compile, beside which nothing can be kept."""
    (tmp_path / "double.py").write_text(DOUBLE)
    (tmp_path / "__pycache__").write_text("not a folder")
    return tmp_path


def kept(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*.nbi") if "double" in str(path)]


def told(errors: str) -> int:
    return errors.count("compiled code cannot be kept on disk")


def test_where_the_cache_can_be_written_it_is(module: Path):
    done = run("import double; print(double.quadruple(2))", module, NUMBA_CACHE_DIR=str(module / "cache"))
    assert (done.returncode, done.stdout, told(done.stderr)) == (0, "8\n", 0), done.stderr
    assert kept(module / "cache")


def test_without_a_place_for_a_cache_code_is_compiled_without_one(module: Path):
    done = run("import double; print(double.quadruple(2), double.quadruple(2.5))", module)
    assert (done.returncode, done.stdout, told(done.stderr)) == (0, "8 10.0\n", 1), done.stderr


@pytest.mark.slow
def test_a_cache_that_can_no_longer_be_written_is_given_up(module: Path):
    code = (
        "import double, pathlib, shutil; double.quadruple(2);"
        "shutil.rmtree('cache'); pathlib.Path('cache').write_text('in the way'); print(double.quadruple(2.5))"
    )
    done = run(code, module, NUMBA_CACHE_DIR=str(module / "cache"))
    assert (done.returncode, done.stdout, told(done.stderr)) == (0, "10.0\n", 1), done.stderr


@pytest.mark.slow
def test_a_cache_that_cannot_be_read_is_given_up(module: Path):
    env = {"NUMBA_CACHE_DIR": str(module / "cache")}
    assert run("import double; double.quadruple(2)", module, **env).returncode == 0
    for index in kept(module / "cache"):
        index.unlink()
        index.mkdir()
    done = run("import double; print(double.quadruple(2))", module, **env)
    assert (done.returncode, done.stdout, told(done.stderr)) == (0, "8\n", 1), done.stderr


@pytest.mark.slow
def test_every_module_can_be_imported_where_nothing_can_be_written(tmp_path: Path):
    package = tmp_path / "alignsolve"
    shutil.copytree(ROOT / "alignsolve", package, ignore=shutil.ignore_patterns("__pycache__"))
    for folder in [package, *[path for path in package.rglob("*") if path.is_dir()]]:
        (folder / "__pycache__").write_text("not a folder")
    done = run(EVERYTHING, tmp_path)
    assert (done.returncode, told(done.stderr)) == (0, 1), done.stderr
    assert done.stdout == f"{package / '__init__.py'}\n"


@pytest.mark.slow
def test_a_cache_of_an_earlier_version_is_replaced(module: Path):
    """A module that it names has moved since: what cannot be loaded counts as not there, and is written anew."""
    kept_in = {"NUMBA_CACHE_DIR": str(module / "cache")}
    code = "import double; print(double.quadruple(2)); print(sum(double.quadruple.stats.cache_hits.values()))"
    run(code, module, **kept_in)
    (index,) = (path for path in kept(module / "cache") if "quadruple" in path.name)
    index.write_bytes(pickle.dumps(numba.__version__) + b"cmodule_that_has_moved\nThing\n.")
    for hits in (0, 1):
        done = run(code, module, **kept_in)
        assert (done.returncode, done.stdout, told(done.stderr)) == (0, f"8\n{hits}\n", 0), done.stderr
