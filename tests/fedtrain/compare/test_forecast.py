"""What a comparison says before it starts, while it runs, and where there is nothing to compare."""

import re

import pytest
from typer.testing import CliRunner

from fedtrain.cli import app
from fedtrain.compare.forecast import Forecast
from tests.fedtrain.compare.test_compare import PLAN

SHORT = PLAN.replace("seeds = [1, 2]", "seeds = [1]").replace("rounds = 3", "rounds = 1")
WITHOUT_RIVAL = SHORT.replace('[alignments.random]\nalignment.policy = "random"\n', "")


def compared(folder, text):
    (folder / "plan.toml").write_text(text, encoding="utf-8")
    result = CliRunner().invoke(app, ["compare", str(folder / "plan.toml"), "--out", str(folder / "out")])
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.slow
def test_a_comparison_says_what_it_takes_and_why_its_table_is_empty(tmp_path):
    told = compared(tmp_path, WITHOUT_RIVAL)
    assert re.search(r"tiny: 2 runs; 2 rounds to do, about \S+ m?s one after the other", told)
    assert re.search(r"judging 1 of 2: digits, none, plain, seed 1; about \S+ m?s left", told)
    why = "Nothing is compared: the alignments are ours (ours) and the reference (none), and there is no other."
    assert why in told.replace("\n", " ")
    page = (tmp_path / "out" / "tiny" / "report.html").read_text(encoding="utf-8")
    assert why in page
    assert page.count("<tbody>") == 1  # the figures
    assert why in (tmp_path / "out" / "tiny" / "comparison.md").read_text(encoding="utf-8")
    # With a rival, the runs that were made are kept; one seed gives no interval.
    told = compared(tmp_path, SHORT)
    assert "tiny: 3 runs, 2 kept from before; 1 rounds to do" in told
    page = (tmp_path / "out" / "tiny" / "report.html").read_text(encoding="utf-8")
    assert "There is one seed, so no interval and no p is known" in page
    assert "nan" not in page
    assert "all of them kept from before" in compared(tmp_path, SHORT)


@pytest.mark.parametrize(
    ("forecast", "told"),
    [
        (Forecast(8, 0, 80, 7200.0, 2), "8 runs; 80 rounds to do, about 2 h with 2 at the same time"),
        (Forecast(8, 3, 50, 90.0, 1), "8 runs, 3 kept from before; 50 rounds to do, about 90 s one after the other"),
        (Forecast(8, 8, 0, 0.0, 1), "8 runs, all of them kept from before"),
    ],
)
def test_a_forecast_is_one_line(forecast, told):
    assert str(forecast) == told
