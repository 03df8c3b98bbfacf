"""A run that is stopped anywhere and resumed gives bit-identical results, apart from wall-clock times."""

import csv
import multiprocessing
import os
import random
import signal
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedtrain import run as run_module
from fedtrain.cli import app
from fedtrain.results.run_folder import RunFolderError
from fedtrain.run import Ending
from tests.kill_child import PRELOAD, child, go

CLOCKS = {"solve_seconds", "round_seconds", "align_seconds"}
KILLS = 50
EXACT = ("alignment.npz", "model.safetensors", "quarantine.csv", "config.toml")


def left(out):
    """Return all results that must be identical."""
    folder = Path(out) / "run"
    with (folder / "rounds.csv").open(newline="") as file:
        rows = [{key: value for key, value in row.items() if key not in CLOCKS} for row in csv.DictReader(file)]
    return rows, {name: (folder / name).read_bytes() for name in EXACT}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    assert go(out, resume=False) is Ending.FINISHED
    rows, files = left(out)
    assert len(rows) == 5
    for column in ("dropped", "late", "quarantined"):  # the run has something of everything
        assert sum(int(row[column]) for row in rows) > 0, column
    assert rows[0]["clients"] == "5"
    assert rows[-1]["clients"] == "8"
    return rows, files


class CrashError(BaseException):
    """Simulates a power cut: the code under test must not handle it."""


@pytest.mark.parametrize("seed", range(4))
def test_a_crash_between_any_two_steps_on_disk_is_resumed_exactly(tmp_path, monkeypatch, undisturbed, seed):
    rng = random.Random(seed)
    crashes = 0
    while True:
        fuse = [rng.randrange(1, 60)]
        with monkeypatch.context() as patch:
            for name in ("fsync", "replace", "rename", "open"):
                patch.setattr(os, name, _burning(fuse, getattr(os, name)))
            try:
                assert go(tmp_path) is Ending.FINISHED
                break
            except CrashError:
                crashes += 1
    assert crashes > 0
    assert left(tmp_path) == undisturbed
    assert not (tmp_path / "run" / "checkpoint").exists()


def _burning(fuse, call):
    def crashing(*arguments, **keywords):
        fuse[0] -= 1
        if fuse[0] == 0:
            raise CrashError
        return call(*arguments, **keywords)

    return crashing


def test_ctrl_c_can_be_resumed(tmp_path, monkeypatch, undisturbed):
    entry_of, calls = run_module.entry_of, []

    def interrupted(done):
        calls.append(done)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return entry_of(done)

    monkeypatch.setattr(run_module, "entry_of", interrupted)
    assert go(tmp_path) is Ending.INTERRUPTED
    assert len(left(tmp_path)[0]) == 2
    assert go(tmp_path) is Ending.FINISHED
    assert len(calls) == 3 + 3
    assert left(tmp_path) == undisturbed


def test_what_is_finished_is_left_alone(tmp_path, undisturbed):
    go(tmp_path, resume=False)
    before = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()}
    assert go(tmp_path) is Ending.FINISHED
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run").iterdir()} == before


def test_another_configuration_is_refused_by_its_key(tmp_path, undisturbed):
    go(tmp_path, resume=False)
    for override, told in (
        ("training.epochs=2", "training.epochs was 1 in .* and is 2 now"),
        ("rounds=9", "rounds was 5"),
        ("seed=4", "seed was 0"),
        ("clients.deadline=inf", "clients.deadline was 3.0"),
    ):
        with pytest.raises(RunFolderError, match=told):
            go(tmp_path, override)
    assert left(tmp_path) == undisturbed


def test_a_damaged_checkpoint_is_told_by_its_file(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "entry_of", lambda done, real=run_module.entry_of: _third_is_last(done, real))
    assert go(tmp_path) is Ending.INTERRUPTED
    monkeypatch.undo()
    for name in ("round-00002/model.safetensors", "round-00002/aligner.npz", "round-00002/state.json",
                 "rounds/000001.npz"):  # fmt: skip
        path = tmp_path / "run" / "checkpoint" / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(RunFolderError, match=r"cannot read .*; pass --overwrite"):
            go(tmp_path)
        path.write_bytes(whole)
    assert go(tmp_path) is Ending.FINISHED


def test_devices_that_changed_since_are_refused(tmp_path, monkeypatch):
    trace = tmp_path / "trace.csv"
    lines = [f"c{i},1.0,900,10,10" for i in range(8)]

    def write(*more):
        trace.write_text("\n".join(["client,ms_per_example,memory_kib,down_mbps,up_mbps", *lines[1:], *more]))

    write(lines[0])
    monkeypatch.setattr(run_module, "entry_of", lambda done, real=run_module.entry_of: _third_is_last(done, real))
    traced = f"clients.trace={trace}"
    assert go(tmp_path, traced) is Ending.INTERRUPTED
    monkeypatch.undo()
    write("c0,2.0,900,10,10")
    with pytest.raises(RunFolderError, match="the state of a run with data and devices = "):
        go(tmp_path, traced)
    write(lines[0])
    assert go(tmp_path, traced) is Ending.FINISHED


def _third_is_last(done, real):
    if done.row.round == 3:
        raise KeyboardInterrupt
    return real(done)


def test_overwriting_starts_again(tmp_path, monkeypatch, undisturbed):
    monkeypatch.setattr(run_module, "entry_of", lambda done, real=run_module.entry_of: _third_is_last(done, real))
    assert go(tmp_path, "seed=5") is Ending.INTERRUPTED
    monkeypatch.undo()
    assert go(tmp_path, resume=False, overwrite=True) is Ending.FINISHED
    assert left(tmp_path) == undisturbed


def test_one_cannot_start_again_and_go_on():
    result = CliRunner().invoke(app, ["run", "--overwrite", "--resume"])
    assert result.exit_code == 2
    assert "pass one of them" in result.stderr


@pytest.mark.slow
def test_fifty_kills(tmp_path, undisturbed):
    """Real SIGKILLs, half at random moments, half at random steps on disk; every killed run gives equal results."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOAD))

    def start(out, fuse=None):
        process = context.Process(target=child, args=(str(out), fuse))
        process.start()
        return process

    start(tmp_path / "first").join()  # waits for the preloading
    started = time.monotonic()
    start(tmp_path / "timed").join()
    whole = time.monotonic() - started
    assert left(tmp_path / "timed") == undisturbed
    rng, kills, runs = random.Random(0), 0, 0
    while kills < KILLS:
        runs += 1
        out = tmp_path / str(runs)
        exit_code = None
        for attempt in range(9):
            by_step = attempt % 2 == 0
            process = start(out, rng.randrange(1, 90) if by_step else None)
            if not by_step:
                process.join(rng.uniform(0.0, whole))
                process.kill()
            process.join()
            exit_code = process.exitcode
            assert exit_code in (0, -signal.SIGKILL)
            kills += exit_code != 0
            if exit_code == 0:
                break
        if exit_code != 0:
            start(out).join()
        assert left(out) == undisturbed
        assert not (out / "run" / "checkpoint").exists()
