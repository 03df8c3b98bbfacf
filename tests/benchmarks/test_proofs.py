"""The count of own proofs: rows are written, trees verified, and what is not proven is told."""

import csv

import pytest

from benchmarks import proofs


@pytest.mark.slow
def test_rows_are_written_and_trees_verified(tmp_path, capsys):
    proofs.measure(number=3, seconds=20.0, seed=1, data=None, output=tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["instance"] for row in rows] == ["1-0", "1-1", "1-2"]
    assert all(row["verified"] == "True" for row in rows if row["proof"] in {"PRICES", "TREE"})
    assert all((row["proof"] == "TREE") == (int(row["leaves"]) > 0) for row in rows)
    proven = sum(row["proof"] in {"PRICES", "TREE"} for row in rows)
    assert f"{proven} of 3 proven" in capsys.readouterr().out


def test_the_drawn_problems_have_the_promised_sizes():
    drawn = list(proofs._drawn(5, 3))
    assert [name for name, _ in drawn] == [f"3-{k}" for k in range(5)]
    for _, problem in drawn:
        assert 30 <= problem.num_clients <= 100
        assert 8 <= problem.num_experts <= 12
        assert str(problem.class_) == "general"


def test_the_classical_instances_are_read(tmp_path):
    (tmp_path / "tiny.txt").write_text("2 3\n1 2 3\n3 2 1\n2 2 2\n2 2 2\n4 4\n")
    ((name, problem),) = proofs._instances(tmp_path)
    assert (name, problem.shape) == ("tiny", (3, 2))
