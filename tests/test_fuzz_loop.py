"""Half a minute of the fuzzer's claims, files, reports, replies and operations; and a look at what they do."""

import numpy as np
import pytest

from tests.fuzz import files
from tests.fuzz.run import EXAMPLES, one, run
from tests.fuzz.tally import KINDS, Tally

LOOP = ("claims", "files", "reports", "replies", "operations")


def test_every_kind_is_counted():
    assert set(EXAMPLES) == set(KINDS)
    with pytest.raises(ValueError, match="there is no kind 'nothing'"):
        one("nothing", 0, 0, Tally())


@pytest.mark.parametrize("kind", LOOP)
def test_some_examples_of_each_kind(kind):
    tally = Tally()
    assert [one(kind, 0, number, tally) for number in range(5)] == [None] * 5
    assert tally.counts.total() > 0


def test_damage_is_done():
    rng, raw = np.random.default_rng(0), b'{"format": "alignsolve problem", "fitness": [[1.0, 2.0]]}'
    assert sum(files.damaged(rng, raw, ".json") != raw for _ in range(50)) > 40


@pytest.mark.slow
def test_half_a_minute_of_the_loop(tmp_path):
    told = []
    tally, _ = run(seed=0, minutes=0.5, kinds=LOOP, note=tmp_path / "note", tell=told.append)
    assert not tally.faults, "\n".join(told)
    assert tally.counts["lies"] > 100
