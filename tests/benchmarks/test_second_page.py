"""The page of the second protocol, on made rows with known truth: small plans whose curves rise within known rounds."""

import math
import re
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from benchmarks.evidence.second.claims import claims_of
from benchmarks.evidence.second.judge import AGREE, Judged, own_loss_at, sent_by
from benchmarks.evidence.second.page import part, write_part
from benchmarks.evidence.second.pictures import draw_accuracy
from benchmarks.evidence.second.pieces import left_by_task, next_entries
from benchmarks.evidence.second.plan import Study, read_protocol
from benchmarks.evidence.second.progress import finished, progress
from benchmarks.evidence.second.row import CURVES
from benchmarks.evidence.second.tuning import Tuning
from tests.benchmarks.test_second_protocol import made_row
from tests.test_prose import LONGEST_SENTENCE, num_words, sentences

VISIBLE, HIDDEN, SKEWED = "digits-visible", "digits-hidden", "digits-skewed"
HEADLINE = ("none", "random", "fedamole", "clustered", "ifca", "oracle", "ours", "ours-personal")
SLOPES = dict(zip(HEADLINE, (20.0, 30.0, 22.0, 24.0, 26.0, 14.0, 15.0, 15.0), strict=True))


def small_protocol():
    """Return a plan with one study of every kind, few seeds, and one setting for each task."""
    whole = read_protocol()
    tasks = {name: replace(one, rates=one.rates[:1]) for name, one in whole.tasks.items()}
    constants = {"threshold": replace(whole.constants["threshold"], values=(0.15,))}
    studies = {
        "headline": Study((VISIBLE, HIDDEN, SKEWED), HEADLINE, seeds=3),
        "further": Study(("drift",), ("none", "random", "ours"), seeds=2),
        "ablation": Study(("deadline",), ("none", "ours", "random-balanced"), seeds=2),
        "verdicts": Study(("verdict-adam", "verdict-glyphs"), ("ours",), seeds=4, tuned=False),
    }
    alignments = {name: one for name, one in whole.alignments.items() if not name.startswith("threshold-")}
    return replace(
        *(whole,),
        **{"tasks": tasks, "auxiliary": (0.0,), "alignments": alignments, "constants": constants, "studies": studies},
        **{"tuning_seeds": (111,), "variant_seeds": 2},
    )


PLAN = small_protocol()
ENTRY = cache(PLAN.entry)


def tuning_of(rows):
    """Return the tuning that knows rows; entries and their digests are made once for all tests."""
    tuning = Tuning(PLAN, rows)
    tuning.entry = ENTRY
    return tuning


def made_rows(*, good, until=None, diverged=()):
    """Return the tuning with all rows in a world where ours is good or bad; with ``until``, some of the runs only."""
    protocol, rows = PLAN, {}
    tuning = tuning_of(rows)
    while entries := list(next_entries(tuning)):
        for entry in entries:
            judged = entry.seed >= protocol.first_seed
            if until is not None and judged and sum(row.seed >= 301 for row in rows.values()) >= until:
                return tuning
            ended = (entry.task.name, entry.alignment, entry.seed) in diverged
            rows[entry.key] = made_run(entry, good=good, ended=ended)
    return tuning


def made_run(entry, *, good, ended):
    """Return the row of a run."""
    ours, task = entry.alignment.startswith("ours"), entry.task.name
    noise = np.random.default_rng([entry.seed, len(entry.alignment)]).uniform(0.98, 1.02)
    slope = SLOPES.get(entry.alignment, 25.0)
    if ours and not good:
        slope = 60.0 if task == VISIBLE else 38.0
    elif ours and task == SKEWED:
        slope = SLOPES["random"] + 0.5
    own = (0.8 if good else 0.3) if ours else 0.4
    said = "domains are visible" if entry.task.conflict or not good else AGREE
    row = made_row(entry, slope * noise, "diverged" if ended else "finished")
    row = row._replace(personal=(*row.personal[:-1], own * noise), verdict_5=said)
    return row._replace(**{name: getattr(row, name)[:7] for name in CURVES}) if ended else row


@cache
def world(good):
    return made_rows(good=good)


@cache
def told(good):
    return part(world(good))


def claim_lines(text):
    return [line for line in text.splitlines() if re.match(r"\| \d \|", line)]


def test_claims_are_told_as_the_figures_are():
    good, bad = claim_lines(told(True).text), claim_lines(told(False).text)
    assert {line[2] for line in good} == set("123457")
    assert all(line.endswith("| reached |") for line in good if line[2] in "1237" and "oracle" not in line)
    (fast,) = (line for line in good if "digits-visible: rounds to 97 %, to random's" in line)
    assert re.search(r"at most 0\.65 \| 0\.5\d\d \| 0\.\d+ to 0\.\d+ \|", fast)
    (slow,) = (line for line in bad if "digits-visible: rounds to 97 %, to random's" in line)
    assert re.search(r"at most 0\.65 \| 1\.\d\d\d \| .* \| \*\*fails\*\* \|", slow)
    judged = claims_of(finished(Judged.by(world(True))))
    known = [one.p for one in judged if not math.isnan(one.p)]
    assert f"for all {len(known)} of these p values" in told(True).text
    assert all(f"| {one.p:.2g} |" in "\n".join(good) for one in judged if not math.isnan(one.p))


def test_five_sentences_follow_the_figures():
    good, bad = told(True).opening, told(False).opening
    for opening in (good, bad):
        assert len(re.findall(r"\.(?:\s|$)", opening)) == 5
        assert all(num_words(one) <= LONGEST_SENTENCE for one in sentences(opening))
    starts = re.split(r"(?<=\.) ", good)
    assert starts[0].startswith('Use `goal="global"`')
    assert starts[1].startswith('Use `goal="personal"`')
    assert "its 2 targets are reached" in starts[0]
    assert starts[3].startswith("It saves bytes")
    assert starts[4].startswith('Do not bother with `goal="global"` where clients agree')
    assert '`goal="personal"` raises the personalised accuracy' in starts[4]
    others = re.split(r"(?<=\.) ", bad)
    assert others[0].startswith('Do not count on `goal="global"`')
    assert "2 of its 2 targets fail" in others[0]
    assert others[1].startswith('Do not use `goal="personal"`')
    assert "fail, in claims 1, 2, 3, 4, 5 and 7" in others[2]
    assert others[3].startswith("It costs bytes")
    assert others[4].startswith('Do not use `goal="global"` where clients agree')
    assert '`goal="personal"` lowers the personalised accuracy' in others[4]


def test_tables_have_every_alignment_constant_and_verdict():
    text = told(True).text
    for heading in (
        f"## {VISIBLE}, second",
        "### drift, further",
        "## What each part is worth: deadline",
        "## Verdicts",
    ):
        assert heading in text
    for name in (*HEADLINE, "random-balanced", "`fitness.gate.threshold` | 0.3 | 0.15"):
        assert f"| {name} |" in text
    assert "right in 8 of 8 runs" in text
    assert "right in 4 of 8 runs" in told(False).text
    assert "| verdict-glyphs | no | 0 of 4 | domains are visible (4) |" in told(False).text
    assert "## What is missing" not in text
    assert "Runs that have not reached 97 % before each tenth round:" in told(False).text
    assert all(num_words(one) <= LONGEST_SENTENCE for one in sentences(text))


def test_an_unfinished_study_is_named_and_not_judged():
    tuning = made_rows(good=True, until=75)
    done = {one.study: one for one in progress(Judged.by(tuning))}
    assert done["headline"].finished
    assert (done["further"].done, done["further"].planned) == (3, 6)
    found = part(tuning)
    assert found.judged
    assert "**The second protocol is unfinished: 75 of 94 runs for judging are there.**" in found.text
    assert "| further | 3 | 6 |" in found.text
    assert "| 5 | study further | – | – | – | – | not judged: 3 of 6 runs |" in found.text
    assert {line[2] for line in claim_lines(found.text) if "not judged" not in line} == {"1", "2", "3", "7"}
    assert "drift, further" not in found.text
    early = part(made_rows(good=True, until=20))
    assert not early.judged
    assert early.opening.count("is not known yet") == 5
    assert all("not judged" in line for line in claim_lines(early.text))


def test_a_run_that_diverged_is_a_failure():
    failed = {(VISIBLE, "ours", seed) for seed in (301, 302)}
    text = part(made_rows(good=True, diverged=failed)).text
    line = next(one for one in text.split(f"## {VISIBLE}, second")[1].splitlines() if one.startswith("| ours | "))
    assert line.endswith("| 2 of 3 |")
    assert "(33 %)" in line
    assert "| ours | 3 | 2 | 2 | 2 | 2 | 2 of 3 |" in text
    (fast,) = (one for one in claim_lines(text) if "rounds to 97 %, to random's" in one and VISIBLE in one)
    assert fast.endswith("| **fails** |")
    protocol = read_protocol()
    row = made_row(protocol.entry("olmoe", "ours", next(iter(protocol.settings("olmoe"))), 121), outcome="diverged")
    row = row._replace(loss=(3.0, 9.0, math.nan), bytes=(1.0, 2.0, 3.0), personal=(math.nan,) * 3)
    assert own_loss_at(row, 2.0) == 9.0
    assert sent_by(row, 20) == pytest.approx(20.0)


def test_the_order_of_the_rows_does_not_matter():
    backwards = dict(reversed(world(True).rows.items()))
    assert part(tuning_of(backwards)) == told(True)


def test_there_is_no_part_until_a_study_is_finished(tmp_path):
    tuned = {key: row for key, row in world(True).rows.items() if row.seed in PLAN.tuning_seeds}
    assert tuned
    assert write_part(PLAN, tuned, tmp_path) is None
    assert write_part(PLAN, {}, tmp_path) is None
    assert not list(tmp_path.iterdir())


def test_what_is_left_is_told_with_measured_hours_only():
    assert left_by_task(world(True)) == []
    rows = {key: row for key, row in world(True).rows.items() if (row.task, row.seed) != (VISIBLE, 303)}
    rows = {key: row for key, row in rows.items() if row.task != "deadline"}
    visible, deadline = left_by_task(tuning_of(rows))
    assert visible == (VISIBLE, 0, 8, 1.0)
    assert visible.hours == pytest.approx(8 / 3600)
    assert deadline[:3] == ("deadline", 0, 6)
    assert math.isnan(deadline.hours)
    tuned = [key for key, row in rows.items() if (row.task, row.alignment, row.seed) == (SKEWED, "ifca", 111)]
    (skewed,) = (
        one for one in left_by_task(tuning_of({key: rows[key] for key in rows if key not in tuned})) if one.tuning
    )
    assert skewed[:3] == (SKEWED, 1, 3)


def test_curves_are_drawn_to_the_end_of_the_run(tmp_path):
    failed = made_rows(good=True, diverged={(VISIBLE, "ours", 302)})
    draw_accuracy(finished(Judged.by(failed)), VISIBLE, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert {name for name in HEADLINE if f">{name}<" in text} == set(HEADLINE) - {"ifca"}
    assert ">the others<" in text
    assert ">50<" in text
