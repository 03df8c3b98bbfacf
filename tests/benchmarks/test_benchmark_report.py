"""The HTML pages of kept rows: one command makes them again, and they need no other file."""

from pathlib import Path

from benchmarks import report
from benchmarks.case import Case
from benchmarks.machine import this_machine
from benchmarks.rows import Table, make_row
from benchmarks.trial import Trial


def test_pages_are_made_from_the_rows_that_have_tables(tmp_path: Path) -> None:
    table = Table(tmp_path / "small.csv")
    times = {"build_seconds": 0.1, "solve_seconds": 0.9}
    trial = Trial("answered", status="OPTIMAL", feasible=True, objective=1.0, bound=1.0, **times)
    table.append(make_row("small", Case("uniform", 30, 3), "flow", 0, trial, this_machine()))
    (tmp_path / "attacks.csv").write_text("seed,rounds\n")  # rows of another kind, without tables
    report.write(table.rows, tmp_path / "small", question=report.question_of("small"))
    tables, page = (tmp_path / "small.md").read_text(), (tmp_path / "small.html").read_text()
    (tmp_path / "small.html").unlink()
    assert report.write_pages(tmp_path) == [tmp_path / "small.html"]
    assert (tmp_path / "small.html").read_text() == page
    assert (tmp_path / "small.md").read_text() == tables
    assert report.question_of("small-quick") in page
    assert "src=" not in page
