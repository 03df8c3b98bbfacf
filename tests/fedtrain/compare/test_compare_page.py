"""A comparison's page in a real browser: no errors, no requests, and it shows the figures."""

import csv

import pytest
from rich.console import Console

from fedtrain.compare.comparison import execute
from tests.browser import open_browser

pytestmark = pytest.mark.engine

PLAN = """
name = "pages"
seeds = [1, 2]
[base]
rounds = 2
data.min_examples = 2
model = {num_features = 8, num_hidden = 4, num_experts = 4}
clients.num_clients = 8
training.epochs = 1
[tasks.digits]
[tasks.more]
data.alpha = 1.0
[alignments.none]
alignment.policy = "none"
[alignments.random]
alignment.policy = "random"
[alignments.ours]
alignment.fitness = "router"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("comparison")
    plan = place / "plan.toml"
    plan.write_text(PLAN, encoding="utf-8")
    return execute(plan, place / "out", workers=2, console=Console(quiet=True)).folder


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.mark.parametrize("view", [{}, {"width": 390, "height": 844}, {"dark": True}])
def test_nothing_goes_wrong_and_nothing_is_asked_for(page, folder, view):
    page.problems.clear()
    page.requests.clear()
    address = (folder / "report.html").as_uri()
    page.open(address, **view)
    assert page.problems == []
    assert {request for request in page.requests if not request.startswith(("data:", "about:"))} == {address}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_comparisons_on_the_page_are_those_of_the_file(page, folder):
    page.open((folder / "report.html").as_uri())
    read = "[...document.querySelectorAll('#more .table')].at(-1).querySelectorAll('tbody tr')"
    shown = page.evaluate(f"[...{read}].map(row => [...row.cells].slice(0, 3).map(cell => cell.textContent))")
    with (folder / "comparisons.csv").open(encoding="utf-8", newline="") as file:
        kept = [row for row in csv.DictReader(file) if row["task"] == "more"]
    assert shown == [[row["rival"], row["figure"], f"{float(row['value']):.3f}"] for row in kept]
    assert len(shown) == 9


def test_every_alignment_has_a_line_and_a_band(page, folder):
    page.open((folder / "report.html").as_uri())
    assert page.evaluate("document.querySelectorAll('#digits figure:first-child .line').length") == 3
    assert page.evaluate("document.querySelectorAll('#digits figure:first-child .spread').length") == 3
