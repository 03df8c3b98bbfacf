"""Run folders of version 0.1: they are read and reported, and a stopped run is resumed."""

import csv
import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from safetensors.torch import load_file

from fedtrain.config.file import read_config
from fedtrain.report import write_report
from fedtrain.results.record import read_record
from fedtrain.run import Ending, execute

KEPT = Path(__file__).parent / "kept_run"
CLOCKS = {"solve_seconds", "round_seconds", "align_seconds"}


@pytest.fixture
def runs(tmp_path):
    """A copy of the kept folders: ``finished``, and ``stopped``, the same run stopped after two of its three rounds."""
    shutil.copytree(KEPT, tmp_path / "runs")
    return tmp_path / "runs"


def rows(folder):
    with (folder / "rounds.csv").open(newline="") as file:
        return [{key: value for key, value in row.items() if key not in CLOCKS} for row in csv.DictReader(file)]


def test_a_finished_run_is_read_and_reported(runs):
    record = read_record(runs / "finished")
    assert (record.name, record.planned, len(record.rounds), record.rounds.proven.all()) == ("finished", 3, 3, True)
    assert [len(cohort) for cohort in record.alignments.cohort] == [6, 6, 6]
    assert {(line.client, line.reason) for line in record.put_aside} == {
        (client, "tensor classifier.bias is not finite") for client in (0, 3)
    }
    page = write_report(runs / "finished").read_text(encoding="utf-8")
    assert "3 of 3" in page
    assert page.count('class="quarantined"') == 6
    assert 'id="alignment"' in page


def test_a_stopped_run_is_resumed_from_its_checkpoint_and_ends_as_the_finished_one(runs):
    console = Console(file=io.StringIO())
    config = read_config(runs / "stopped" / "config.toml")
    assert execute(config, runs, overwrite=False, console=console, resume=True) is Ending.FINISHED
    assert "resumed after round 2 of 3" in console.file.getvalue()
    assert not (runs / "stopped" / "checkpoint").exists()
    for now, before in zip(rows(runs / "stopped"), rows(runs / "finished"), strict=True):
        for column, value in before.items():
            if column in ("status", "proof"):
                assert now[column] == value
            else:
                assert float(now[column]) == pytest.approx(float(value), rel=1e-4, abs=1e-9), column
    left, expected = (load_file(runs / name / "model.safetensors") for name in ("stopped", "finished"))
    for name, value in expected.items():
        np.testing.assert_allclose(left[name], value, rtol=0, atol=1e-5)
