"""The documentation: its code runs, its links work, the reference is complete, and it builds."""

import ast
import re
import shlex
import subprocess
import sys
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from statistics import median

import pytest
import typer

import alignsolve
from alignsolve import estimate, io
from benchmarks import solvers as race
from benchmarks.rows import latest, read
from problems import FAMILIES
from tests.test_guides import FENCE, MARK

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
READ = [*PAGES, *sorted(ROOT.glob("*.md"))]
NAMES = [str(path.relative_to(ROOT)) for path in READ]
LINK = re.compile(r"!?\[[^\]]*\]\((?!https?:|mailto:)([^)\s]+)\)")
LARGEST_PICTURE = 200_000
"""Bytes."""
FITS = 88
"""Characters of code that the built pages show without scrolling, 1280 pixels wide."""


def text_of(path):
    return path.read_text(encoding="utf-8")


def prose(page):
    """Return a page without its code blocks and comments."""
    return re.sub(r"^```.*?^```$|<!--.*?-->|`[^`\n]*`", "", page, flags=re.MULTILINE | re.DOTALL)


def anchors(page):
    """Yield the anchors of a page: its headings, as code hosting sites and MyST write them."""
    for heading in re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```$", "", page, flags=re.M | re.S), flags=re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def run_by(name):
    """Return the tests that run a page's code themselves."""
    return [path.name for path in (ROOT / "tests").rglob("test_*.py") if f'"docs" / "{name}"' in text_of(path)]


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(DOCS)) for path in PAGES])
def test_what_a_page_shows_in_python_is_run(path):
    page = text_of(path)
    assert MARK.search(page) or run_by(path.name) or not FENCE.search(page)


@pytest.mark.parametrize("path", READ, ids=NAMES)
def test_links_lead_somewhere(path):
    for link in LINK.findall(prose(text_of(path))):
        target, _, anchor = link.partition("#")
        place = (path.parent / target).resolve() if target else path
        assert place.exists(), link
        assert place.is_relative_to(ROOT), link
        assert not anchor or anchor in anchors(text_of(place)), link


def test_links_are_found():
    page = "see [a](b.md#c), ![d](e.svg) and [f](https://g.h)\n```\n[i](j)\n```\n`[k](l)` <!-- [m](n) -->"
    assert LINK.findall(prose(page)) == ["b.md#c", "e.svg"]
    assert list(anchors("# What is `solve()`, then?\n```\n# no\n```\n## a-b")) == ["what-is-solve-then", "a-b"]


def referenced():
    """Yield the full names in the reference."""
    for page in sorted((DOCS / "reference").glob("*.rst")):
        module = ""
        for line in text_of(page).splitlines():
            if found := re.match(r"\.\. currentmodule:: (\S+)", line):
                module = found[1]
            elif found := re.match(r"\.\. auto(?:class|function|data):: (\S+)", line):
                yield found[1] if "." in found[1] else f"{module}.{found[1]}"


def promised(house):
    """Yield the public names of a house's packages, read from the source, so that extras need not be installed."""
    for path in sorted((ROOT / house).rglob("__init__.py")):
        for node in ast.parse(text_of(path)).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                dotted = ".".join(path.parent.relative_to(ROOT).parts)
                yield from (f"{dotted}.{name}" for name in ast.literal_eval(node.value))


def test_every_public_name_of_alignsolve_is_in_the_reference():
    known = set(referenced())
    missing = {name for name in alignsolve.__all__ if f"alignsolve.{name}" not in known}
    missing |= {name for name in io.__all__ if f"alignsolve.io.{name}" not in known}
    further = set(estimate.__all__) - set(alignsolve.__all__)
    missing |= {name for name in further if f"alignsolve.estimate.{name}" not in known}
    assert not missing


def test_every_public_name_of_fedtrain_and_problems_is_in_the_reference():
    names = [*promised("fedtrain"), *promised("problems")]
    assert {"fedtrain.partial.merge", "fedtrain.config.RunConfig", "problems.FAMILIES"} <= set(names)
    assert not set(names) - set(referenced())


def test_every_family_of_instances_is_in_the_reference():
    assert {f"problems.{family.make.__name__}" for family in FAMILIES.values()} <= set(referenced())


def test_nothing_is_in_the_reference_twice():
    names = list(referenced())
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", READ, ids=NAMES)
def test_races_that_are_shown_can_be_typed(path):
    """Every command ``python -m benchmarks.solvers`` on a page has valid options."""
    app = typer.Typer(add_completion=False)
    app.command()(race.main)
    command = typer.main.get_command(app)
    for shown in re.findall(r"python -m benchmarks\.solvers ((?:[^`\n]|\\\n)*)", text_of(path).replace("\\\n", " ")):
        given = shlex.split(shown.split("  #")[0].replace("…", ""))
        if "--help" not in given:
            command.make_context("race", given)


def test_every_picture_is_small_and_shown():
    shown = "".join(map(text_of, READ))
    pictures = [path for path in DOCS.rglob("*") if path.suffix in {".svg", ".png"}]
    assert pictures
    for path in pictures:
        assert path.stat().st_size <= LARGEST_PICTURE
        assert f"{path.name})" in shown, path.name


def test_the_first_page_has_a_picture_and_code_that_fits():
    page = text_of(DOCS / "index.md")
    assert re.search(r"!\[.+\]\(.+\)", page)
    assert max(len(line) for block in FENCE.findall(page) for line in block.splitlines()) <= FITS


def short(ratio):
    """Return a ratio with two significant digits, as on the page."""
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:#.2g}".rstrip(".")


def test_the_comparison_with_or_tools_is_what_the_stored_rows_say():
    seconds = defaultdict(list)
    for row in latest(read(ROOT / "benchmarks" / "results" / "hard.csv")):
        if row.outcome == "answered":
            seconds[row.num_clients, row.family, row.contender].append(row.total_seconds)
    told = {"times faster than OR-Tools, median": "", "least (family)": "", "most (family)": ""}
    for size in sorted({size for size, *_ in seconds}):
        ratios = {
            family: median(seconds[size, family, "ortools"]) / median(times)
            for (clients, family, name), times in list(seconds.items())
            if clients == size and name == "price" and (size, family, "ortools") in seconds
        }
        least, most = (pick(ratios, key=ratios.get) for pick in (min, max))
        told["times faster than OR-Tools, median"] += f" {short(median(ratios.values()))} |"
        told["least (family)"] += f" {short(ratios[least])} ({least}) |"
        told["most (family)"] += f" {short(ratios[most])} ({most}) |"
    page = text_of(DOCS / "compared.md").splitlines()
    assert not [line for line in (f"| {name} |{cells}" for name, cells in told.items()) if line not in page]


class Requests(HTMLParser):
    """The addresses that a page makes a browser fetch."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        """Collect addresses; links that only readers follow do not count."""
        asked = {name: value or "" for name, value in attrs}
        self.found += [asked[name] for name in ("src", "srcset", "poster", "data") if name in asked]
        self.found += [asked["href"]] if tag in {"link", "image", "use"} and "href" in asked else []


def test_requests_are_seen():
    requests = Requests()
    requests.feed('<a href="https://x"><link href="a.css"><script src="//b/c.js"></script><img src="d.png"></a>')
    assert requests.found == ["a.css", "//b/c.js", "d.png"]


@pytest.mark.slow
def test_the_documentation_builds_without_warnings_and_asks_nothing_of_the_outside(tmp_path):
    pytest.importorskip("sphinx", reason="the documentation needs the extra: pip install 'alignsolve[docs]'")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-d", str(tmp_path / "doctrees")]
    command += ["docs", str(tmp_path / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    for page in PAGES:
        assert (tmp_path / "html" / page.relative_to(DOCS)).with_suffix(".html").exists()
    outside = text_of(tmp_path / "html" / "flower.html")  # its links out of docs/ are no dead ends
    assert re.search(r'class="[^"]*download[^"]*"[^>]*href="_downloads/\w+/records\.py"', outside)
    assert 'href="../' not in outside
    asked = []
    for page in (tmp_path / "html").rglob("*.html"):
        requests = Requests()
        requests.feed(text_of(page))
        asked += requests.found
    for sheet in (tmp_path / "html").rglob("*.css"):
        asked += re.findall(r"""(?:url\(|@import )["']?([^"')]+)""", text_of(sheet))
    assert asked
    assert not [address for address in asked if re.match(r"(?:\w+:)?//", address)]


@pytest.mark.slow
def test_the_pictures_are_drawn_by_one_command(tmp_path):
    """By the command with fewer problems, because hundreds of solves are most of its two minutes."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("scipy")
    fewer = "gap.NUMBERS, gap.SEEDS, rounds.NUMBERS = (16, 256), range(1), (1_000, 10_000)"
    drawn = "import runpy; runpy.run_module('docs.pictures.draw', run_name='__main__')"
    command = [sys.executable, "-c", f"from docs.pictures import gap, rounds; {fewer}; {drawn}"]
    subprocess.run([*command, "--out", str(tmp_path)], check=True, cwd=ROOT)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (DOCS / "pictures").glob("*.svg")}
