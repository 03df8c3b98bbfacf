"""The judgement of the second protocol, on made rows with known truth."""

import math
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evidence.second.claims import claims_of
from benchmarks.evidence.second.judge import Judged, Seen, claim, corrected, own_loss_at, said_rightly
from benchmarks.evidence.second.pieces import next_entries
from benchmarks.evidence.second.plan import Study, read_protocol
from benchmarks.evidence.second.row import CURVES
from benchmarks.evidence.second.tuning import Tuning
from tests.benchmarks.test_second_protocol import made_row

NAMES = ("none", "random", "fedamole", "oracle", "ours")


def judged_with(slopes, task="digits-visible", outcome="finished"):
    """Return the judged rows of a small plan in which each alignment's accuracy rises within so many rounds."""
    whole = read_protocol()
    study = Study((task,), tuple(slopes), seeds=3)
    tasks = {name: replace(one, rates=(0.1,), tuned_as="") for name, one in whole.tasks.items()}
    studies = {"headline": study, "verdicts": replace(study, tasks=(), tuned=False)}
    protocol = replace(whole, tasks=tasks, auxiliary=(0.0,), constants={}, studies=studies)
    rows = {}
    tuning = Tuning(protocol, rows)
    while entries := list(next_entries(tuning)):
        for entry in entries:
            noise = np.random.default_rng([entry.seed, len(entry.alignment)]).uniform(0.97, 1.03)
            ended = outcome if entry.alignment == "ours" and entry.seed >= protocol.first_seed else "finished"
            row = made_row(entry, slopes[entry.alignment] * noise, ended)
            if ended == "diverged":  # such a run is stopped
                row = row._replace(**{name: getattr(row, name)[:7] for name in CURVES})
            rows[entry.key] = row
    return Judged.of(protocol, rows)


def test_claims_hold_where_ours_is_fast_and_fail_where_it_is_not():
    judged = judged_with(dict(zip(NAMES, (20.0, 40.0, 26.0, 14.0, 14.0), strict=True)))
    found = {one.about: one for one in claims_of(judged)}
    assert {one.number for one in found.values()} == {1, 7}
    to_random = found["digits-visible: rounds to 97 %, to random's"]
    assert to_random.seen.value == pytest.approx(0.40, abs=0.03)
    assert to_random.holds
    assert to_random.p < 0.05
    assert found["digits-visible: rounds to 97 %, to the oracle's"].holds
    assert found["digits-visible: bytes to 97 %, to random's"].holds
    slow = claims_of(judged_with(dict(zip(NAMES, (20.0, 20.0, 20.0, 14.0, 40.0), strict=True))))
    assert not any(one.holds for one in slow if one.number == 1)
    assert all(one.p > 0.9 or math.isnan(one.p) for one in slow if one.number == 1)


def test_a_run_that_diverged_never_reached_its_target():
    judged = judged_with({"none": 20.0, "ours": 10.0}, outcome="diverged")
    (times,) = judged.times("digits-visible", ("ours",), 0.9, "rounds", "accuracy")
    assert times.restricted.tolist() == [50.0] * 3
    assert times.reached == 0.0
    (sent,) = judged.times("digits-visible", ("ours",), 0.9, "bytes", "accuracy")
    np.testing.assert_allclose(sent.restricted, 50e6)
    assert judged.difference("digits-visible", "ours", "none", "personal").value == pytest.approx(-0.9)


def test_drift_is_judged_from_the_change_on():
    judged = judged_with({"none": 20.0, "ours": 10.0}, task="drift")
    (times,) = judged.times("drift", ("ours",), 0.9, "rounds", "accuracy")
    assert times.restricted.tolist() == [1.0] * 3  # made rows know no drift: the target is met at once
    (seconds,) = judged.times("drift", ("ours",), 0.9, "seconds", "accuracy")
    assert seconds.restricted.tolist() == [10.0] * 3


def test_limits_verdicts_and_losses_are_read_as_the_page_says():
    below = claim(1, "a", Seen(0.5, 0.4, 0.6, 10), 0.65, below=True, ratio=True)
    assert below.holds
    assert not claim(1, "a", Seen(0.5, 0.3, 0.7, 10), 0.65, below=True, ratio=True).holds
    assert claim(1, "a", Seen(0.5, 0.3, 0.7, 10), 0.65, below=True, point=True).holds
    assert not claim(2, "b", Seen(0.2, 0.1, 0.3, 10), 0.15, below=False).holds
    exactly = claim(2, "b", Seen(0.15, 0.1, 0.2, 10), 0.15, below=False)
    assert exactly.p == pytest.approx(0.5)
    assert corrected([below, exactly])[0].p == pytest.approx(2 * below.p)
    assert said_rightly("domains are hidden", conflict=True)
    assert not said_rightly("looking whether clients agree", conflict=True)
    assert said_rightly("clients agree", conflict=False)
    nan = math.nan
    protocol = read_protocol()
    row = made_row(protocol.entry("olmoe", "ours-personal", next(iter(protocol.settings("olmoe"))), 121))
    row = row._replace(bytes=(1.0, 2.0, 3.0, 4.0), personal=(nan, 5.0, nan, 4.0))
    assert [own_loss_at(row, amount) for amount in (0.5, 2.0, 3.9, 4.0)] == [5.0, 5.0, 5.0, 4.0]
