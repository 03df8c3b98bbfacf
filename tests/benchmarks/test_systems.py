"""The tables of the page of systems are those of the kept runs."""

import pytest

pytest.importorskip("torch", reason="the extra [train] is not installed: torch")

from benchmarks.systems import ATTACKED, JUDGED, KEPT, PAGE, PLAN, replaced, with_tables
from fedtrain.compare.plan import read_plan


def test_the_page_has_the_tables_of_the_kept_runs(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page, tmp_path) == page
    kept = {path.stem for path in tmp_path.glob("*.csv")}
    assert kept == {cell.key for cell in read_plan(PLAN).judging_cells()}
    assert KEPT.exists()
    assert all(f"\n{seed}," in ATTACKED.read_text(encoding="utf-8") for seed in JUDGED)


def test_a_page_without_the_place_of_a_table_is_refused():
    with pytest.raises(ValueError, match=r"the page lacks the lines '<!-- Written by benchmarks/systems.py: attacks"):
        replaced("# A page\n", "attacks", "table")
