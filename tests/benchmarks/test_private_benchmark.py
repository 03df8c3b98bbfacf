"""Private rounds: the kept rows hold what is claimed, the page shows them, and a row is made again as it was kept."""

from pathlib import Path

import pytest

from benchmarks import private
from benchmarks.kept_rows import kept
from benchmarks.private import LIMITS, LookRow, Row

PAGE = Path(__file__).parents[2] / "docs" / "private-rounds.md"
ROUNDING = 1e-12


def test_the_kept_rows_hold_what_is_claimed():
    rows, looks = kept("private.csv", Row), kept("private-looks.csv", LookRow)
    assert len(rows) == 2 * 2 * 3 * (3 * 5 + 4)
    for row in rows:
        if row.way in LIMITS:
            cold, warm, num_bytes = LIMITS[row.way]
            assert row.exchanges <= (warm if row.round else cold), row
            assert row.bytes_per_client <= num_bytes, row
            assert row.gap <= (1e-9 if row.way == "core" else 1e-3), row
            assert row.overload <= (0 if row.way == "core" else 1e-3), row
        else:
            assert row.gap > 1e-3, row
    cold = {(row.family, row.clients, row.seed, row.way): row.exchanges for row in rows if row.round == 0}
    assert all(look.exchange <= cold[look.family, look.clients, look.seed, look.way] for look in looks)


def test_the_page_shows_the_kept_rows():
    assert private.table(kept("private.csv", Row)) in PAGE.read_text(encoding="utf-8")


def test_a_row_is_made_again_as_it_was_kept():
    before = {(row.round, row.way): row for row in kept("private.csv", Row) if row.key == ("clustered", 1000, 1)}
    rows, looks = private.measured("clustered", 1000, 1, warm=0)
    assert {row.way for row in rows} == {"loads", "choices", "core", *(f"noised {e:g}" for e in private.EPSILONS)}
    assert looks
    for row in rows:
        again = before[row.round, row.way]
        assert (row.exchanges, row.overload) == (again.exchanges, again.overload)
        assert row.gap == pytest.approx(again.gap, rel=1e-6, abs=ROUNDING)
