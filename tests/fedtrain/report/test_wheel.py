"""The wheel holds all that a report needs: built, unpacked and used as an installed package would be."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "tests" / "fedtrain" / "results" / "kept_run" / "finished"
REPORT = """
import sys
from pathlib import Path

import fedtrain
from fedtrain.report import write_report

print(fedtrain.__file__)
write_report(Path(sys.argv[1]))
"""


@pytest.mark.engine
def test_an_installed_package_writes_the_report_of_a_run(tmp_path):
    """Building needs setuptools, which pip fetches: therefore among the engine tests."""
    source = tmp_path / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(".*", "runs", "build", "__pycache__", "*.egg-info"))
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(source)]
    subprocess.run(build, check=True)
    (wheel,) = tmp_path.glob("alignsolve-*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(tmp_path / "installed")
    run = shutil.copytree(KEPT, tmp_path / "run")
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "installed")}
    command = [sys.executable, "-c", REPORT, str(run)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(tmp_path / "installed"))
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<style>" in page
    assert "<script" in page
