"""The command line: the files of a run, its errors, and the state after Ctrl-C."""

import csv
import io
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import safetensors.torch
import torch
from rich.console import Console
from typer.testing import CliRunner

from alignsolve import SolveError
from fedtrain.cli import app
from fedtrain.config.file import read_config
from fedtrain.display import showing
from fedtrain.models import MLPSpec, skeleton
from fedtrain.results.history import Row
from fedtrain.server import rounds as rounds_module
from tests.small_runs import SMALL

COLUMNS = (
    *("round", "accuracy", "loss", "status", "proof", "gap", "objective", "load_cv", "bytes_down", "bytes_up"),
    *("solve_seconds", "round_seconds", "clients", "dropped"),
)
FILES = ["alignment.npz", "config.toml", "model.safetensors", "quarantine.csv", "report.html", "rounds.csv"]
INTERRUPTED = ["alignment.npz", "checkpoint", *FILES[1:]]
CONFIGURED = [part for override in SMALL for part in ("--set", override)]


def fedtrain(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def rows(folder):
    with (folder / "rounds.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    result = fedtrain("run", *CONFIGURED, "--set", "name=small", "--set", "clients.dropout=0.1", "--out", out)
    assert result.exit_code == 0, result.output
    return result, out / "small"


def test_a_run_writes_its_folder_and_a_line_per_round(finished):
    result, folder = finished
    assert sorted(path.name for path in folder.iterdir()) == FILES
    assert tuple(rows(folder)[0])[:14] == COLUMNS
    assert [(row["round"], row["status"], row["proof"]) for row in rows(folder)] == [
        ("1", "OPTIMAL", "PRICES"),
        ("2", "OPTIMAL", "PRICES"),
    ]
    assert "round 1/2  accuracy" in result.output
    assert "2 rounds in" in result.output
    assert "2 proven optimal" in result.output


def test_the_configuration_that_is_written_is_the_one_that_ran(finished):
    _, folder = finished
    assert read_config(folder / "config.toml") == read_config(overrides=[*SMALL, "name=small", "clients.dropout=0.1"])


def test_the_model_that_is_written_is_whole(finished):
    _, folder = finished
    stored = safetensors.torch.load_file(folder / "model.safetensors")
    expected = skeleton(MLPSpec(64, 10, num_features=16, num_hidden=8, num_experts=4))
    assert {name: value.shape for name, value in stored.items()} == {
        name: value.shape for name, value in expected.items()
    }
    assert all(bool(torch.isfinite(value).all()) for value in stored.values())


def test_the_alignment_that_is_written_is_that_of_the_rows(finished):
    _, folder = finished
    stored = np.load(folder / "alignment.npz", allow_pickle=False)
    assert stored["rounds"].tolist() == [1, 2]
    assert (stored["num_clients"], stored["num_experts"]) == (12, 4)
    assert stored["tier_names"].tolist() == ["phone", "tablet", "workstation"]
    assert stored["tier"].shape == (12,)
    assert stored["label_counts"].shape == (12, 10)
    for k, row in enumerate(rows(folder)):
        pairs = slice(*stored["pair_ptr"][k : k + 2])
        cohort = stored["cohort"][slice(*stored["cohort_ptr"][k : k + 2])]
        assert len(cohort) == int(row["clients"])
        assert set(stored["pair_client"][pairs]) <= set(cohort)
        loads = np.bincount(stored["pair_expert"][pairs], minlength=4)
        assert loads.tolist() == stored["loads"][k].tolist()
        assert loads.std() / loads.mean() == pytest.approx(float(row["load_cv"]))
        assert (stored["demand"][k] <= loads).all()
        assert (loads <= stored["capacity"][k]).all()
        assert np.isfinite(stored["prices"][k]).all()


def test_the_report_can_be_written_again(finished):
    _, folder = finished
    before = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    result = fedtrain("report", folder)
    assert result.exit_code == 0, result.output
    assert (folder / "report.html").read_text() == before


def test_a_folder_that_exists_is_kept_unless_told(finished):
    _, folder = finished
    (folder / "notes.txt").write_text("mine")
    before = (folder / "rounds.csv").read_bytes()
    again = ("run", *CONFIGURED, "--set", "name=small", "--set", "rounds=1", "--out", folder.parent)
    result = fedtrain(*again)
    assert result.exit_code == 2
    assert "exists; choose another name" in result.stderr
    assert "--overwrite" in result.stderr
    assert (folder / "rounds.csv").read_bytes() == before
    assert fedtrain(*again, "--overwrite").exit_code == 0
    assert len(rows(folder)) == 1
    assert (folder / "notes.txt").read_text() == "mine"


def test_what_is_wrong_is_told_without_a_traceback_and_before_anything_is_written(tmp_path):
    (tmp_path / "file").write_text("")
    for arguments, message in (
        (["--set", "epochs=3"], "unknown key 'epochs'; did you mean 'training.epochs'?"),
        (["--set", "clients.num_clients=2000"], "2000 clients"),
        ([tmp_path / "none.toml"], "cannot read the configuration"),
        (["--set", "rounds=1", "--out", tmp_path / "file"], "cannot write"),
    ):
        result = fedtrain("run", "--out", tmp_path / "runs", *arguments)
        assert result.exit_code == 2, result.output
        assert message in result.stderr
        assert result.stderr.startswith("error: ")
    assert not (tmp_path / "runs").exists()


def test_a_report_of_what_is_no_run_is_refused(tmp_path):
    result = fedtrain("report", tmp_path)
    assert result.exit_code == 2
    assert "is not a run's folder" in result.stderr
    (tmp_path / "rounds.csv").write_text("round,accuracy\n1,high\n")
    result = fedtrain("report", tmp_path)
    assert result.exit_code == 2
    assert "not a number" in result.stderr


def test_a_terminal_shows_the_latest_rounds_as_a_table(finished):
    _, folder = finished
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    values = rows(folder)[0] | {"accuracy": 0.8125, "loss": 0.5, "load_cv": 0.05, "gap": 1e-12, "round_seconds": 2.0}
    first = Row(**{name: values[name] for name in Row._fields})._replace(
        clients=12, dropped=1, rejected=1, late=0, out_of_memory=0
    )
    with showing(console, "small", 20) as show:
        for number in range(1, 15):
            show(first._replace(round=number, accuracy=number / 100))
    screen = console.file.getvalue().rpartition("small")[2]
    for shown in ("14/20", "0.1400", "0.0300", "0.050", "OPTIMAL PRICES", "1.0e-12", "10/12", "2.00"):
        assert shown in screen
    assert "0.0200" not in screen


def test_an_interrupt_within_a_round_leaves_the_rounds_before_it(tmp_path, monkeypatch):
    train_cohort, calls = rounds_module.train_cohort, []

    def interrupted(*arguments):
        calls.append(None)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return train_cohort(*arguments)

    monkeypatch.setattr(rounds_module, "train_cohort", interrupted)
    result = fedtrain("run", *CONFIGURED, "--set", "rounds=9", "--out", tmp_path)
    assert result.exit_code == 130
    assert "interrupted after 2 of 9 rounds" in result.output
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == INTERRUPTED
    assert len(rows(tmp_path / "run")) == 2
    assert np.load(tmp_path / "run" / "alignment.npz")["rounds"].tolist() == [1, 2]


def test_an_interrupt_before_the_first_round_ends_leaves_a_readable_folder(tmp_path, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(rounds_module, "train_cohort", interrupted)
    result = fedtrain("run", *CONFIGURED, "--out", tmp_path)
    assert result.exit_code == 130
    assert rows(tmp_path / "run") == []
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == INTERRUPTED


def test_a_round_without_an_alignment_ends_the_run_and_leaves_the_rounds_before_it(tmp_path, monkeypatch):
    train_cohort, calls = rounds_module.train_cohort, []

    def failing(*arguments):
        calls.append(None)
        if len(calls) == 2:
            raise SolveError("no alignment found")
        return train_cohort(*arguments)

    monkeypatch.setattr(rounds_module, "train_cohort", failing)
    result = fedtrain("run", *CONFIGURED, "--out", tmp_path)
    assert result.exit_code == 1
    assert "round 2 has no alignment: no alignment found" in result.output
    assert len(rows(tmp_path / "run")) == 1


def test_a_disk_that_fails_is_told_with_the_file(tmp_path, monkeypatch):
    replace = os.replace

    def full(source, target):
        if target.name == "alignment.npz":
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr("fedtrain.results.atomic.os.replace", full)
    result = fedtrain("run", *CONFIGURED, "--set", "rounds=1", "--out", tmp_path)
    assert result.exit_code == 2
    assert f"cannot write {tmp_path}/run/alignment.npz: No space left on device" in result.stderr
    assert len(rows(tmp_path / "run")) == 1


# A shell that runs the tests in the background has its children ignore Ctrl-C; a user's shell does not.
IN_A_SHELL = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)
from fedtrain.cli import main
main()
"""


@pytest.mark.slow
def test_ctrl_c_ends_a_real_run_with_its_rows_on_disk(tmp_path):
    command = [sys.executable, "-c", IN_A_SHELL, "run", *CONFIGURED, "--set", "rounds=100000", "--out", tmp_path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        path, deadline = tmp_path / "run" / "rounds.csv", time.monotonic() + 240
        while not (path.exists() and path.read_text().count("\n") >= 3):
            assert time.monotonic() < deadline, "no rows within four minutes"
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert "Traceback" not in output
    done = rows(tmp_path / "run")
    assert len(done) >= 2
    assert [int(row["round"]) for row in done] == list(range(1, len(done) + 1))
    assert np.load(tmp_path / "run" / "alignment.npz")["rounds"].tolist() == list(range(1, len(done) + 1))
