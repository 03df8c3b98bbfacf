"""Without Flower: the adapter says which extra to install, and nothing else needs it."""

import subprocess
import sys

import pytest


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_the_adapter_names_its_extra():
    done = run("import sys; sys.modules['flwr'] = None; import fedtrain.adapters.flower")
    assert done.returncode == 1
    assert "pip install 'alignsolve[flower]'" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_fedtrain_loads_no_flower():
    done = run("import sys, fedtrain.cli, fedtrain.run, fedtrain.adapters; assert 'flwr' not in sys.modules")
    assert done.returncode == 0, done.stderr
