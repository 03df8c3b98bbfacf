"""The report in a real browser: no errors, no requests, and it shows the written figures."""

import csv

import numpy as np
import pytest

from fedtrain.report import write_report
from tests.browser import open_browser
from tests.run_folder import write_run

pytestmark = pytest.mark.engine
ARROW_LEFT, ARROW_RIGHT, HOME = 37, 39, 36


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def run(tmp_path):
    write_run(tmp_path, rounds=12, num_clients=40, num_experts=8)
    return tmp_path


def open_report(page, run, *, place="", **view):
    page.problems.clear()
    page.requests.clear()
    page.open("about:blank")
    address = write_report(run).as_uri() + place
    page.open(address, **view)
    return address


def shown_pairs(page):
    found = page.evaluate(
        "[...document.querySelectorAll('#matrix .pair')].map(p => [Number(p.dataset.client), Number(p.dataset.expert)])"
    )
    return sorted(map(tuple, found))


def written_pairs(run, round_number):
    with np.load(run / "alignment.npz") as stored:
        k = stored["rounds"].tolist().index(round_number)
        pairs = slice(*stored["pair_ptr"][k : k + 2])
        return sorted(zip(stored["pair_client"][pairs].tolist(), stored["pair_expert"][pairs].tolist(), strict=True))


@pytest.mark.parametrize("view", [{}, {"width": 390, "height": 844}, {"dark": True}])
@pytest.mark.parametrize("rounds", [12, 1, 0])
def test_nothing_goes_wrong_and_nothing_is_asked_for(page, tmp_path, rounds, view):
    write_run(tmp_path, rounds=rounds, planned=12)
    address = open_report(page, tmp_path, **view)
    assert page.problems == []
    assert {request for request in page.requests if not request.startswith(("data:", "about:"))} == {address}
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_watch_sees_errors_and_requests(page, tmp_path):
    """The test above can fail: errors and requests are noticed."""
    broken = tmp_path / "broken.html"
    broken.write_text("<script>nowhere()</script><img src='http://127.0.0.1:9/picture.png'>", encoding="utf-8")
    page.problems.clear()
    page.open(broken.as_uri())
    assert any("nowhere is not defined" in problem for problem in page.problems)
    assert "http://127.0.0.1:9/picture.png" in page.requests


def test_the_matrix_shows_the_chosen_rounds_alignment(page, run):
    open_report(page, run)
    assert shown_pairs(page) == written_pairs(run, 11)
    open_report(page, run, place="#round=5")
    assert shown_pairs(page) == written_pairs(run, 5)
    page.evaluate("document.getElementById('round').focus()")
    page.press("ArrowLeft", ARROW_LEFT)
    assert shown_pairs(page) == written_pairs(run, 4)
    page.press("Home", HOME)
    assert shown_pairs(page) == written_pairs(run, 0)


def test_the_readouts_follow_the_chosen_round(page, run):
    open_report(page, run, place="#round=3")
    with (run / "rounds.csv").open(encoding="utf-8", newline="") as file:
        row = list(csv.DictReader(file))[3]
    with np.load(run / "alignment.npz") as stored:
        loads = stored["loads"][3]
    assert page.evaluate("document.querySelector('[data-key=accuracy]').textContent") == (
        f"{100 * float(row['accuracy']):.1f} %"
    )
    shown = page.evaluate("[...document.querySelectorAll('output[data-load]')].map(o => Number(o.textContent))")
    assert shown == loads.tolist()
    assert page.evaluate("document.querySelector('tr.chosen td').dataset.value") == "3.0"


def test_a_client_is_chosen_by_key_and_told(page, run):
    open_report(page, run)
    page.evaluate("document.querySelector('.scroll').focus()")
    page.press("ArrowRight", ARROW_RIGHT)
    told = page.evaluate("document.getElementById('matrix-client').textContent")
    with np.load(run / "alignment.npz") as stored:
        first = int(np.argsort(stored["tier"], kind="stable")[0])
    assert told.startswith(f"Client {first} (phone): ")
    held = [j for i, j in written_pairs(run, 11) if i == first]
    assert (f"experts {', '.join(map(str, held))};" if held else "not in this round’s cohort") in told


def test_it_plays(page, run):
    open_report(page, run)
    page.evaluate("document.getElementById('play').click()")
    assert page.evaluate("document.getElementById('round-number').textContent") == "0"
    assert page.evaluate("document.getElementById('play').getAttribute('aria-pressed')") == "true"
    page.evaluate("document.getElementById('play').click()")
    assert page.evaluate("document.getElementById('play').textContent") == "Play"
    assert page.problems == []


def test_a_hostile_name_runs_nothing(page, tmp_path):
    hostile = "</script><script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
    write_run(tmp_path, name=hostile.replace("'", '"'), tier_names=[hostile, "b", "c"], status=hostile)
    address = open_report(page, tmp_path)
    assert "taken" not in page.evaluate("document.title").replace(hostile.replace("'", '"'), "")
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.problems == []
    assert {request for request in page.requests if not request.startswith(("data:", "about:"))} == {address}
