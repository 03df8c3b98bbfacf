"""The example of private rounds runs and learns, and its server sees sums alone before an auction ends."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "private_rounds.py"


@pytest.mark.slow
def test_it_learns():
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, EXAMPLE], capture_output=True, text=True, check=True, env=environment)
    found = re.fullmatch(
        r"accuracy (\d\.\d+), loads \[5 5 5 5\],\nexchanges \d+ in the first round, [\d.]+ in the others\n", done.stdout
    )
    assert found, done.stdout
    assert float(found[1]) > 0.8


def test_it_sends_nothing_but_messages_and_masked_answers():
    """Between the making of an auction and its end, the loop touches the clients by ``answer`` alone."""
    source = EXAMPLE.read_text(encoding="utf-8")
    during = source[source.index("while not auction.finished:") : source.index("start, updates =")]
    assert re.findall(r"clients\[client\]\.(\w+)", during) == ["answer"]
    assert "masked=True" in source
