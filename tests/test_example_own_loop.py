"""The example of a user's own loop runs, learns, and uses only the framework-free core of fedtrain."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.test_architecture import imports

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "own_loop.py"


@pytest.mark.slow
def test_it_learns():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, check=True, env=environment)
    found = re.fullmatch(
        r"accuracy (\d\.\d+), updates refused 0,\nclient 0 was sent (\d+) bytes for experts \((.*)\)\n", done.stdout
    )
    assert found, done.stdout
    assert float(found[1]) > 0.85
    held = len(found[3].rstrip(",").split(","))
    assert int(found[2]) == held * (3 * 5 + 5) * 4  # of each expert its matrix and its row of the router


def test_it_imports_no_trainer():
    used = {name.rpartition(".")[0] for name in imports(EXAMPLE) if name.startswith("fedtrain")}
    assert used == {"fedtrain.layouts", "fedtrain.partial"}
