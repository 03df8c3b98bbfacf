"""The second protocol: its plan, its tuning by halving, its rows and figures, on made rows with known truth."""

import math
from dataclasses import replace
from itertools import islice
from operator import attrgetter
from pathlib import Path

import numpy as np
import pytest

from alignsolve import POLICIES, Parts
from benchmarks.evidence.second.devices import CLASSES, LINKS, Pool, read_pool, statistics_of
from benchmarks.evidence.second.federations import varied
from benchmarks.evidence.second.figures import amount_to, area, at_risk, final, rounds_to, smoothed
from benchmarks.evidence.second.pieces import Left, left, next_entries
from benchmarks.evidence.second.plan import Study, read_protocol
from benchmarks.evidence.second.row import Row, read_rows, write_rows
from benchmarks.evidence.second.tuning import Tuning
from fedtrain.config import ConfigError

PROTOCOL, ROOT = read_protocol(), Path(__file__).parents[2]


def made_row(entry, slope=20.0, outcome="finished"):
    """Return the row of a run whose accuracy rises evenly to 0.9 within so many rounds."""
    rounds = np.arange(1.0, entry.config.rounds + 1)
    accuracy = tuple((0.9 * np.minimum(1.0, rounds / slope)).tolist())
    unknown = tuple([math.nan] * (len(rounds) - 1) + [accuracy[-1]])
    names = (entry.key, entry.task.name, entry.alignment, entry.setting, entry.seed)
    figures = {"verdict_5": "", "verdict": "", "assigned_cv": 0.05, "completed_cv": 0.001, "probe_bytes": 0}
    curves = {"accuracy": accuracy, "loss": accuracy, "personal": unknown, "worst": unknown}
    amounts = {"seconds": tuple((10.0 * rounds).tolist()), "bytes": tuple((1e6 * rounds).tolist())}
    return Row(*names, data="", outcome=outcome, wall=2.0, cpu=1.0, **figures, **curves, **amounts)


def test_every_run_of_the_plan_has_a_configuration_and_a_key_of_its_own():
    keys = set()
    for study in PROTOCOL.studies.values():
        for task in study.tasks:
            for alignment in study.alignments:
                entry = PROTOCOL.entry(task, alignment, next(iter(PROTOCOL.settings(task))), PROTOCOL.first_seed)
                keys.add(entry.key)
                assert entry.config.rounds == PROTOCOL.tasks[task].rounds
    pairs = {
        pair for study in PROTOCOL.studies.values() for pair in ((t, a) for t in study.tasks for a in study.alignments)
    }
    assert len(keys) == len(pairs)
    assert (PROTOCOL.first_seed, PROTOCOL.seeds(PROTOCOL.studies["headline"])[-1]) == (301, 330)
    assert len(PROTOCOL.settings("digits-visible")) == 8
    entry = PROTOCOL.entry("drift", "ours", next(iter(PROTOCOL.settings("drift"))), 301)
    assert entry.key != replace(entry, task=replace(entry.task, drift_at=10)).key
    assert entry.key != replace(entry, vary={"fitness.gate.threshold": 0.15}).key
    with pytest.raises(ConfigError, match=r"tuning_seeds and the seeds for judging share \[301\]"):
        replace(PROTOCOL, tuning_seeds=(301, 5))


def test_the_frozen_constants_are_those_of_the_code_and_of_the_page():
    page = (ROOT / "docs" / "protocol-2.md").read_text(encoding="utf-8")
    for name, constant in PROTOCOL.constants.items():
        goal = PROTOCOL.alignments[constant.alignment].config["alignment"]["goal"]
        known = POLICIES["ours"](Parts(), goal=goal)
        assert attrgetter(constant.path)(known) == constant.value, name
        for value in constant.values:
            assert attrgetter(constant.path)(varied(known, constant.path, value)) == value
        assert f"`{constant.path}`" in page
    for name, task in PROTOCOL.tasks.items():
        assert f"`{name}`" in page, name
        assert f"| {task.rounds} |" in page
    runs = sum(study.seeds * len(study.tasks) * len(study.alignments) for study in PROTOCOL.studies.values())
    assert f"{runs:,} runs for judging" in page


def test_halving_gives_everybody_as_many_runs_and_finds_the_best_setting():
    study = Study(("digits-visible",), ("none", "random", "ours"), seeds=2)
    small = replace(PROTOCOL, constants={}, studies={"headline": study})
    rows, started = {}, []
    tuning = Tuning(small, rows)
    names = list(small.settings("digits-visible"))
    slopes = {name: 40.0 - 3 * k for k, name in enumerate(names)}
    while entries := list(islice(next_entries(tuning), 1)):
        entry = entries[0]
        started.append(entry)
        # The fastest of all settings diverges for ours on the second seed.
        bad = (entry.alignment, entry.setting, entry.seed) == ("ours", names[-1], small.tuning_seeds[1])
        rows[entry.key] = made_row(entry, slopes[entry.setting], "diverged" if bad else "finished")
        if not tuning.missing("digits-visible", "ours"):
            break
    assert all(entry.seed in small.tuning_seeds for entry in started)  # nothing was judged before
    counts = {name: sum(entry.alignment == name for entry in started) for name in study.alignments}
    assert counts == {"none": 16, "random": 16, "ours": 16}
    assert tuning.chosen("digits-visible", "random") == names[-1]
    assert tuning.chosen("digits-visible", "ours") == names[-2]
    assert left(tuning) == Left(0, 6, pytest.approx(48 / 3600))
    judged = list(next_entries(tuning))
    assert {entry.seed for entry in judged} == {301, 302}
    assert {(entry.alignment, entry.setting) for entry in judged} >= {("random", names[-1]), ("ours", names[-2])}


def test_a_target_counts_when_three_rounds_reach_it():
    noisy = [0.1, 0.2, 0.9, 0.3, 0.8, 0.9, 0.9]
    assert smoothed(noisy)[2] == pytest.approx(0.4)
    assert rounds_to(noisy, 0.85) == 7.0
    assert rounds_to(noisy, 0.95) == 7.0  # never: the length of the run
    assert rounds_to([0.9] * 5 + [0.1, 0.9, 0.9, 0.9], 0.9, after=5) == 4.0
    assert amount_to(noisy, [10.0 * k for k in range(1, 8)], 0.6) == 50.0
    assert amount_to(noisy, [10.0 * k for k in range(1, 8)], 0.6, after=3) == 30.0
    sparse = [math.nan, 0.2, math.nan, 0.4, math.nan]
    assert final(sparse) == pytest.approx(0.3)
    assert area(sparse) == pytest.approx(np.mean([0.2, 0.2, 0.3, 0.3]))
    assert at_risk([1.0, 3.0, 3.0], 3) == [3, 2, 2]


def test_rows_are_read_as_they_were_written(tmp_path):
    entry = PROTOCOL.entry("digits-visible", "ours", next(iter(PROTOCOL.settings("digits-visible"))), 111)
    row, path = made_row(entry), tmp_path / "rows.csv.gz"
    write_rows(path, [row])
    before = path.read_bytes()
    (again,) = read_rows(path).values()
    for known, read in zip(row, again, strict=True):
        np.testing.assert_equal(read, known) if isinstance(known, str) else np.testing.assert_allclose(
            read, known, rtol=1e-4
        )
    write_rows(path, [again])
    assert path.read_bytes() == before
    assert read_rows(tmp_path / "none") == {}


def test_the_parameters_of_devices_are_those_of_real_ones(tmp_path):
    rng = np.random.default_rng(0)
    kind = rng.choice(
        len(CLASSES), size=4000, p=np.array([one.share for one in CLASSES]) / sum(one.share for one in CLASSES)
    )
    scores = [CLASSES[k].score * math.exp(CLASSES[k].spread * rng.standard_normal()) for k in kind]
    phones = np.stack([[max(CLASSES[k].gigabytes, 1.0) for k in kind], scores], axis=1)
    pair = rng.multivariate_normal([0, 0], [[1, LINKS.correlation], [LINKS.correlation, 1]], size=4000)
    links = np.exp(pair * [LINKS.down_spread, LINKS.up_spread]) * [LINKS.down, LINKS.up]
    classes, found = statistics_of(Pool(phones, links))
    for one, known in zip(classes, CLASSES, strict=True):
        np.testing.assert_allclose(one, known, rtol=0.15, atol=0.02)
    np.testing.assert_allclose(found, LINKS, rtol=0.1)
    (tmp_path / "phones.csv").write_text("phone,ram_gb,cpu_float_score\n0,4,1300\n")
    (tmp_path / "links.csv").write_text("link,down_mean_kbytes_per_s,up_mean_kbytes_per_s\n0,1000,500\n")
    assert read_pool(tmp_path).links.tolist() == [[8.0, 4.0]]
    (tmp_path / "phones.csv").write_text("phone,ram_gb\n0,4\n")
    with pytest.raises(ValueError, match=r"phones\.csv has no column cpu_float_score"):
        read_pool(tmp_path)
