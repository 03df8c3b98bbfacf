"""An adapter without its extra names the extra to install."""

import subprocess
import sys
from pathlib import Path

import pytest

from fedtrain.config.extras import MissingExtraError, require

ROOT = Path(__file__).parents[3]


def test_what_is_there_is_not_asked_for():
    require("hf", "json", "numpy")


def test_what_is_missing_is_named_with_the_extra_that_brings_it():
    with pytest.raises(MissingExtraError) as caught:
        require("hf", "json", "no_such_package", "nor_this")
    assert str(caught.value) == (
        "this adapter needs no_such_package, nor_this, which the extra [hf] brings: pip install 'alignsolve[hf]'"
    )


@pytest.mark.parametrize(
    ("adapter", "package", "extra"), [("huggingface", "peft", "hf"), ("nvflare", "nvflare", "nvflare")]
)
def test_an_adapter_without_its_extra_says_so_when_it_is_imported(adapter, package, extra):
    code = f"import sys; sys.modules[{package!r}] = None; import fedtrain.adapters.{adapter}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("fedtrain.config.extras.MissingExtraError: this adapter needs ")
    assert package in last
    assert last.endswith(f"pip install 'alignsolve[{extra}]'")
