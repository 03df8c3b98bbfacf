"""The command of the races: what is not there is told before anything runs."""

from pathlib import Path

import pytest
import typer

from benchmarks import solvers

NOWHERE = ["nowhere:Mine", "nowhere.at.all:Mine", "nowhere", "nowhere:", "benchmarks.case:nowhere"]


@pytest.mark.parametrize("own", NOWHERE)
def test_a_solver_that_is_not_there_is_told_before_the_race(own: str, tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="nowhere"):
        solvers.main(solver=[own], out=tmp_path)
    assert not any(tmp_path.iterdir())


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="nowhere"):
        solvers.main(problems=tmp_path / "nowhere", out=tmp_path)
