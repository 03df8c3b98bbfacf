"""``alignsolve placement``: a CSV of loads becomes JSON whose arrays rebuild the placement; bad files are named."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from alignsolve.cli import app
from alignsolve.placement import copies_of, place
from alignsolve.placement.files import read_copies, read_loads_csv, save_placement

LOADS = np.random.default_rng(8).lognormal(0, 1, (2, 12)).round(3)


def run(*arguments):
    result = CliRunner().invoke(app, ["placement", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def table(tmp_path):
    """A table of two layers, its rows in no order."""
    rows = [f"{layer},{expert},{LOADS[layer, expert]}" for layer, expert in np.ndindex(LOADS.shape)]
    path = tmp_path / "loads.csv"
    path.write_text("\n".join(["layer,expert,load", *reversed(rows)]) + "\n", encoding="utf-8")
    return path


def test_indices_in_the_file_rebuild_the_placement(table, tmp_path):
    out = tmp_path / "placement.json"
    code, printed = run(table, "--gpus", 3, "--slots", "5,5,4", "-o", out)
    record = json.loads(out.read_text(encoding="utf-8"))
    placed = place(LOADS, 3, [5, 5, 4])
    assert code in {0, 10}
    assert (code == 0) == (placed.gap.max() <= 1e-4)
    assert "largest over mean" in printed
    copies = copies_of(record["physical_to_logical"], 12, record["slots"])
    assert (copies == placed.copies).all()
    assert record["counts"] == copies.sum(axis=1).tolist()
    assert record["largest"] == placed.largest.tolist()
    logical = np.array(record["logical_to_physical"])
    owner = np.repeat(np.arange(3), record["slots"])
    for layer, expert in np.ndindex(LOADS.shape):
        gpus = owner[logical[layer, expert][logical[layer, expert] >= 0]]
        assert (copies[layer, gpus, expert]).all()
        assert len(gpus) == record["counts"][layer][expert]
    assert (read_copies(out, 12, np.array([5, 5, 4])) == placed.copies).all()

    code, printed = run(table, "--gpus", 3, "--slots", "5,5,4", "--current", out, "--json")
    assert json.loads(printed)["moved"] == 0
    assert "exists already" in run(table, "--gpus", 3, "--slots", 5, "-o", out)[1]


def test_a_file_of_another_system_gives_the_current_placement(table, tmp_path):
    path = tmp_path / "theirs.json"
    path.write_text(json.dumps({"physical_to_logical": [[*range(12), 0, 1]] * 2}), encoding="utf-8")
    code, printed = run(table, "--gpus", 2, "--slots", 7, "--current", path, "--moved-cost", 1e9, "--json")
    assert code in {0, 10}
    assert json.loads(printed)["moved"] == 0


def test_one_layer_needs_no_column_for_it(tmp_path):
    path = tmp_path / "one.csv"
    path.write_text("expert,load\n1,3\n0,4.5\n", encoding="utf-8")
    assert read_loads_csv(path).tolist() == [4.5, 3.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("expert,tokens\n0,1\n", "a table of loads has expert, load and perhaps layer"),
        ("expert,load\n", "no rows"),
        ("expert,load\n0,1\n2,1\n", "expert 1 has no row"),
        ("layer,expert,load\n0,0,1\n0,0,2\n", "layer 0 expert 0 has more than one row"),
        ("expert,load\n0.5,1\n", "line 2, column expert: 0.5 is no number of one"),
        ("expert,load\n0,-1\n", "loads of expert 0 is -1.0"),
        ("expert,load\n0,\n", "loads of expert 0 is nan"),
        ("expert,load\n0,1\n1,1\n2,1\n", "fewer than the 3 experts"),
    ],
)
def test_bad_tables_are_named(tmp_path, text, message):
    path = tmp_path / "loads.csv"
    path.write_text(text, encoding="utf-8")
    code, printed = run(path, "--gpus", 2, "--slots", 1)
    assert code == 2
    assert message in " ".join(printed.split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "holds a list"),
        ("{", "is not valid JSON"),
        ("{}", "has no physical_to_logical"),
        ('{"physical_to_logical": [0, 1]}', "has 2 slots; the GPUs have 14"),
        ('{"physical_to_logical": [0, 12], "slots": [1, 1]}', "names expert 12"),
        ('{"physical_to_logical": [0, 1.5], "slots": [1, 1]}', "must be whole numbers"),
        ('{"physical_to_logical": [0, 1], "slots": [1, 1]}', "current has shape"),
    ],
)
def test_bad_current_placements_are_named(table, tmp_path, text, message):
    path = tmp_path / "current.json"
    path.write_text(text, encoding="utf-8")
    code, printed = run(table, "--gpus", 2, "--slots", 7, "--current", path)
    assert code == 2
    assert message in " ".join(printed.split())


def test_other_bad_options_are_named(table, tmp_path):
    for options, message in (
        (("--slots", "7,7,7"), "--slots has 3 numbers; it must have 1 or 2"),
        (("--slots", "x"), "--slots x: it must be one number"),
        (("--slots", 7, "--current", tmp_path), "it is not a file"),
        (("--slots", 7, "--current", tmp_path / "none.json"), "cannot be read"),
        (("--slots", 7, "-o", tmp_path / "a.csv"), "it must be"),
    ):
        code, printed = run(table, "--gpus", 2, *options)
        assert code == 2
        assert message in " ".join(printed.split())
    with pytest.raises(ValueError, match=r"must be \.json"):
        save_placement(place([1.0], 1, 1), tmp_path / "a.npz")
