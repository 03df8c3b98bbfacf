"""All pages in a real browser, wide and narrow, light and dark: nothing leaves its card, all is legible and named.

The pages of kept rows are measured too, so that a family with a long name or a contender with many is among them.
"""

import numpy as np
import pytest

from benchmarks import report as races
from benchmarks import rows
from fedtrain.compare.cell import Line
from fedtrain.compare.judge import choose_settings, compare, figures
from fedtrain.compare.page import page as comparison_page
from fedtrain.compare.plan import read_plan
from fedtrain.report import write_report
from tests.browser import open_browser
from tests.page_checks import found_faults
from tests.run_folder import write_run

pytestmark = pytest.mark.engine
VIEWS = [{"width": width, "height": 900, "dark": dark} for width in (1280, 390) for dark in (False, True)]
KEPT = ("limits", "shapes", "small")
PLAN = """
name = "drawn"
seeds = [1, 2, 3]
[tasks.digits]
[alignments.none]
alignment.policy = "none"
[alignments.random]
alignment.policy = "random"
[alignments.a-name-that-is-rather-long-for-a-legend]
alignment.policy = "topk"
[alignments.ours]
"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


def measured(page, path):
    """Return what is wrong with a page in each view where something is."""
    found = {}
    for view in VIEWS:
        page.open("about:blank")
        page.open(path.as_uri(), **view)
        if faults := found_faults(page):
            found[view["width"], view["dark"]] = faults[:5]
    return found


RUNS = {
    "a usual run": {},
    "many experts, tiers with long names": {"num_experts": 24, "tier_names": ["telephone", "a rather long name", "b"]},
    "a run that is not proven, and whose numbers are large": {
        **{"status": "FEASIBLE", "proof": "NONE", "gap": 0.25, "objective": 123456789.0, "loss": 98765.4321},
        **{"solve_seconds": 700.0, "bytes_down": 3.2e12, "late": 2, "simulated_seconds": 90000.0},
    },
    "a run of one round": {"rounds": 1},
    "many rounds and clients": {"rounds": 300, "num_clients": 90},
}


@pytest.mark.parametrize("changes", RUNS.values(), ids=RUNS)
def test_a_runs_page_is_legible(page, tmp_path, changes):
    write_run(tmp_path, **{"num_clients": 40, "num_experts": 8} | changes)
    assert measured(page, write_report(tmp_path)) == {}


def curves(rng, seed):
    """Curves of a run whose bands are wide, so that they would leave what can be."""
    rounds = np.arange(1.0, 21.0)
    columns = {name: np.zeros(20) for name in Line._fields}
    return columns | {
        "round": rounds,
        "accuracy": np.clip(1.0 - 0.8 * np.exp(-rounds * seed / 4) + rng.normal(size=20) * 0.02, 0.01, 1.0),
        "seconds": rounds * 0.01 * 10.0**seed,
        "bytes": rounds * 10.0 ** (2 * seed),
        "completed_cv_total": rng.random(20) * seed,
        "regret": rng.normal(size=20),
    }


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("comparison"), np.random.default_rng(0)
    (folder / "plan.toml").write_text(PLAN, encoding="utf-8")
    plan = read_plan(folder / "plan.toml")
    kept = {(name, seed): curves(rng, seed) for name in plan.alignments for seed in plan.seeds}
    settings = choose_settings(plan, read=lambda cell: kept[cell.alignment, cell.seed])
    found = figures(plan, settings, lambda cell: kept[cell.alignment, cell.seed])
    runs = {(one.task, one.alignment): one.curves for one in found}
    (folder / "report.html").write_text(
        comparison_page(plan, PLAN, runs, found, compare(plan, found)), encoding="utf-8"
    )
    return folder / "report.html"


def test_a_comparisons_page_is_legible(page, comparison):
    assert measured(page, comparison) == {}


def test_a_comparisons_axes_end_where_values_end(page, comparison):
    page.open(comparison.as_uri())
    read = "[...document.querySelectorAll('figure.chart')].map(f => [f.querySelector('h3').textContent, ...TICKS])"
    ticks = "[...f.querySelectorAll('text[text-anchor=end]')].map(t => t.textContent)"
    axes = {title: written for title, *written in page.evaluate(read.replace("TICKS", ticks))}
    assert (axes["Accuracy"][0], axes["Accuracy"][-1]) == ("0 %", "100 %")
    for title in ("Traffic so far", "Simulated time so far", "Load variation between experts, since the beginning"):
        assert axes[title][0].startswith("0"), title
        assert not any(tick.startswith("-") for tick in axes[title]), title


@pytest.mark.parametrize("name", KEPT)
def test_the_pages_of_kept_rows_are_legible(page, tmp_path, name):
    kept = races._report(rows.read(races.RESULTS / f"{name}.csv"), name, races.question_of(name))
    (tmp_path / "race.html").write_text(kept.page(), encoding="utf-8")
    assert measured(page, tmp_path / "race.html") == {}


def test_no_line_of_growth_joins_sizes_with_other_experts(page, tmp_path):
    kept = races._report(rows.read(races.RESULTS / "shapes.csv"), "shapes", "")
    kinds = {(one.family, one.num_experts, one.num_clients) for one in kept.found if one.outcome == "answered"}
    several = [kind for kind in {kind[:2] for kind in kinds} if sum(one[:2] == kind for one in kinds) > 1]
    (tmp_path / "race.html").write_text(kept.page(), encoding="utf-8")
    page.open((tmp_path / "race.html").as_uri())
    titles = page.evaluate("[...document.querySelectorAll('figure.chart h3')].map(h => h.textContent)")
    assert sorted(titles) == sorted([f"{family}, {experts} experts" for family, experts in several] + ["All instances"])


CHART = "<figure class='chart'><figcaption>A</figcaption><svg viewBox='0 0 99 99'>{}</svg></figure>"
NAMES = "<text data-axis='x' y='20'>x</text><text data-axis='y' y='40'>y</text>"
TICKS = "<text text-anchor='end' x='90' y='60'>500 ms</text><text text-anchor='end' x='90' y='80'>1 s</text>"
FAULTY = {
    "leaves its card": "<div class='chart' style='width:90px;white-space:nowrap'>a text that is too long for it</div>",
    "a card leaves the page": "<pre style='width:3000px'>x</pre>",
    "the page scrolls sideways": "<p style='width:3000px'>x</p>",
    "too small": "<p style='font-size:4px'>x</p>",
    "grey: 2.85": "<p style='color:#999;background:#fff'>grey</p>",
    "faint: 2.": "<p style='opacity:.3'>faint</p>",
    "a line: 2.": CHART.format(NAMES + "<path class='line' style='fill:none;stroke:#999' d='M0,0L9,9'/>"),
    "the x axis has no name": CHART.format("<text data-axis='y' y='20'>y</text>"),
    "1 ticks read like others": CHART.format(NAMES + TICKS.replace("1 s", "500 ms")),
    "1 s lies on 500 ms": CHART.format(NAMES + TICKS.replace("y='80'", "y='62'")),
    "ms and s on one axis": CHART.format(NAMES + TICKS),
}


@pytest.mark.parametrize(("fault", "body"), FAULTY.items(), ids=FAULTY)
def test_the_measures_find_faults(page, tmp_path, fault, body):
    (tmp_path / "faulty.html").write_text(f"<meta charset=utf-8>{body}", encoding="utf-8")
    page.open((tmp_path / "faulty.html").as_uri())
    assert any(fault in found for found in found_faults(page))
