"""Damaged files: one line that says what is wrong, before any memory is taken for what a file only declares."""

import contextlib
import io
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from alignsolve import Aligner, load_state, save_state
from alignsolve.cli import app
from alignsolve.io import load_problem
from alignsolve.io.record_file import FileError

PROBLEM = {"format": "alignsolve problem", "version": 1}


def npy(array: np.ndarray, *changes: tuple[bytes, bytes]) -> bytes:
    data = io.BytesIO()
    np.save(data, array)
    raw = data.getvalue()
    for old, new in changes:
        assert old in raw
        raw = raw.replace(old, new)
    return raw


def archive(path: Path, fitness: bytes, compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("header.npy", npy(np.array(json.dumps({**PROBLEM, "members": ["fitness"]}))))
        file.writestr("fitness.npy", fitness)
    return path


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"shape": [2**31 - 1, 4], "fitness": [[1]]}, "declares 2147483647 x 4 pairs, fitness holds 1 numbers"),
        ({"fitness": [[1.0, 2.0]], "expert_group": [0, 2_000_000_000]}, "expert_group of expert 1 is 2000000000"),
        ({"fitness": {"shape": [0, 2**31 - 1]}}, "too large"),
        ({"fitness": {"shape": [2**31 - 1, 0]}}, "too large"),
        ({"fitness": [[10**400]]}, "fitness"),
        ({"fitness": [[1.0]], "expert_capacity": 10**400}, "expert_capacity"),
        ({"fitness": [[1.0]], "x" * 100_000: 1}, "unknown field"),
    ],
)
def test_what_is_only_declared_is_refused(tmp_path: Path, fields: dict[str, Any], why: str):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({**PROBLEM, **fields}))
    with pytest.raises(FileError, match=why) as error:
        load_problem(path)
    assert len(str(error.value)) < 600
    assert CliRunner().invoke(app, ["solve", str(path)]).exit_code == 2


@pytest.mark.parametrize("number", ["1e999", "-1e400"])
def test_too_large_a_number_is_not_infinity(tmp_path: Path, number: str):
    path = tmp_path / "p.json"
    path.write_text(json.dumps({**PROBLEM, "fitness": [[1.0]]})[:-1] + f', "expert_capacity": {number}}}')
    with pytest.raises(FileError, match='too large for a float; write "inf"'):
        load_problem(path)


def test_nested_lists_are_no_array(tmp_path: Path):
    path = tmp_path / "p.json"
    for depth in (9, 900, 90_000):
        path.write_text(json.dumps(PROBLEM)[:-1] + ', "fitness": ' + "[" * depth + "1" + "]" * depth + "}")
        with pytest.raises(FileError, match="nested too deeply"):
            load_problem(path)


@pytest.mark.parametrize(
    "change",
    [
        (b"(2, 2)", b"(True,)"),
        (b"(2, 2)", b"(-2,2)"),
        (b"(2, 2)", b"(9, 9)"),
        (b"(2, 2)", b"(2, 2"),
        (b"'<f8'", b"'<f9'"),
        (b"'<f8'", b"(((((("),
        (b"fortran_order", b"fortran_older"),
    ],
)
def test_a_damaged_header_of_an_array_is_told(tmp_path: Path, change: tuple[bytes, bytes]):
    path = archive(tmp_path / "p.npz", npy(np.ones((2, 2)), change))
    with pytest.raises(FileError, match="damaged"):
        load_problem(path)
    assert CliRunner().invoke(app, ["solve", str(path)]).exit_code == 2


def test_an_archive_that_holds_far_more_than_its_size_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("alignsolve.io.record_file.UNPACKED", 1000)
    path = archive(tmp_path / "p.npz", npy(np.zeros((1000, 1000))), zipfile.ZIP_DEFLATED)
    with pytest.raises(FileError, match="cannot hold arrays"):
        load_problem(path)


def test_every_byte_may_be_damaged(tmp_path: Path):
    """A file in which one byte was changed is read, or refused with a message; nothing else is raised."""
    whole = archive(tmp_path / "p.npz", npy(np.ones((2, 2)))).read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(300):
        raw = bytearray(whole)
        raw[rng.integers(len(raw))] = rng.integers(256)
        (tmp_path / "q.npz").write_bytes(bytes(raw))
        with contextlib.suppress(FileError):
            load_problem(tmp_path / "q.npz")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "p.json")
    with pytest.raises(FileError, match="is not a file"):
        load_problem(tmp_path / "p.json")


def test_a_bound_of_many_digits_is_refused(tmp_path: Path):
    problem, solution = tmp_path / "p.json", tmp_path / "s.json"
    problem.write_text(json.dumps({**PROBLEM, "fitness": [[3.0, 1.0]]}))
    assert CliRunner().invoke(app, ["solve", str(problem), "-o", str(solution)]).exit_code == 0
    claim = json.loads(solution.read_text())
    for field in ("bound", "objective"):
        solution.write_text(json.dumps({**claim, field: 10**400}))
        assert CliRunner().invoke(app, ["verify", str(problem), str(solution)]).exit_code == 2


def test_a_reason_is_short_whatever_it_quotes(tmp_path: Path):
    """The name of a damaged member may have thousands of bytes, and NumPy quotes it."""
    assert len(str(FileError("p.npz", "x" * 10_000))) < 600
    path = tmp_path / "p.json"
    path.write_text(json.dumps({**PROBLEM, "fitness": [[1.0]], "fitness_dtype": "x" * 10_000}))
    with pytest.raises(FileError, match="fitness_dtype") as error:
        load_problem(path)
    assert len(str(error.value)) < 600 + len(str(path))


@pytest.mark.parametrize("suffix", [".json", ".npz"])
@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("seed", np.array([1]), "expected a whole number"),
        ("seed", np.array(-1), "expected a whole number"),
        ("num_clients", np.array(np.inf), "expected a whole number"),
        ("num_experts", np.zeros((0, 3)), "expected a whole number"),
        ("num_experts", np.array(2**40), "one for each of 1099511627776 experts"),
        ("num_clients", np.array(2**53 + 1), "holds only"),
    ],
)
def test_a_state_whose_sizes_are_wrong_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, name: str, value: np.ndarray, why: str
):
    aligner, path = Aligner(), tmp_path / f"s{suffix}"
    state = aligner.init(3, 2)
    damaged = {**state.to_arrays(), name: value}
    monkeypatch.setattr("alignsolve.aligner_file.states.to_arrays", lambda _: damaged)
    save_state(path, state, aligner)
    monkeypatch.undo()
    with pytest.raises(FileError, match=why):
        load_state(path, aligner)
