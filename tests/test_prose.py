"""Texts for readers: the README is one page, sentences are short, files and names that are mentioned exist."""

import importlib
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.test_architecture import ROOMS

ROOT = Path(__file__).parents[1]
TEXTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")]
NAMES = [str(path.relative_to(ROOT)) for path in TEXTS]
README_LINES = 120
LONGEST_SENTENCE = 32
"""Words."""
HOUSES = ("alignsolve", "fedtrain", "problems", "benchmarks")
PLACES = (*HOUSES, "docs", "tests", "examples", r"\.github", r"\.ci")
EXTRAS = {
    "fedtrain.adapters.flower": "flwr",
    "fedtrain.adapters.huggingface": "peft",
    "fedtrain.adapters.nvflare": "nvflare",
}


def text_of(path):
    return path.read_text(encoding="utf-8")


def without_code(page):
    return re.sub(r"^ *```.*?^ *```$|<!--.*?-->", "", page, flags=re.MULTILINE | re.DOTALL)


def sentences(page):
    """Each sentence of the running text, with a word in place of each piece of code: no tables, formulas, headings."""
    page = "\n".join(line for line in without_code(page).splitlines() if not re.match(r"\s*\||    \S|#", line))
    page = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", re.sub(r"`[^`\n]*`", "code", page))
    page = re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "\n\n", page, flags=re.MULTILINE)
    for paragraph in re.split(r"\n\s*\n", page):
        yield from re.split(r"(?<=[.!?:;])[\"*)]*\s+(?=\S)", " ".join(paragraph.split()))


def num_words(sentence):
    return sum(bool(re.search(r"\w", word)) for word in sentence.split())


def mentioned(page):
    """Paths of files and folders of this repository that a page names in code."""
    for code in re.findall(r"`([^`\n]+)`", page):
        if re.fullmatch(rf"(?:{'|'.join(PLACES)})/[\w./-]*", code):
            yield code


def modules(page):
    """Dotted names of ours that a page names in code, without what is called."""
    for code in re.findall(r"`([^`\n]+)`", page):
        if found := re.fullmatch(rf"((?:{'|'.join(HOUSES)})(?:\.\w+)+)(?:\(.*\))?", code):
            yield found[1]


def test_the_readme_is_one_page():
    assert len(text_of(ROOT / "README.md").splitlines()) <= README_LINES


@pytest.mark.parametrize("path", TEXTS, ids=NAMES)
def test_sentences_are_short(path):
    long = [sentence for sentence in sentences(text_of(path)) if num_words(sentence) > LONGEST_SENTENCE]
    assert not long


def test_sentences_are_found():
    page = "# Title of it\n\nOne `a b c`. Two\nthree: four\n\n| a | b |\n\n- five\n- [six seven](x.md)\n\n    x = y\n"
    assert [s for s in sentences(page) if s] == ["One code.", "Two three:", "four", "five", "six seven"]
    assert num_words("One – two, three = 4") == 4


@pytest.mark.parametrize("path", TEXTS, ids=NAMES)
def test_files_that_are_named_exist(path):
    missing = [name for name in mentioned(text_of(path)) if not (ROOT / name).exists()]
    assert not missing


def test_mentioned_files_are_found():
    page = "see `alignsolve/solver.py`, `runs/digits/`, `docs/` and `alignsolve.solve` or `alignsolve/x y`"
    assert list(mentioned(page)) == ["alignsolve/solver.py", "docs/"]


@pytest.mark.parametrize("path", TEXTS, ids=NAMES)
def test_names_that_are_mentioned_exist(path):
    for name in modules(text_of(path)):
        needed = [package for adapter, package in EXTRAS.items() if name.startswith(adapter)]
        if all(find_spec(package) for package in needed):
            assert resolved(name), name


def resolved(name):
    """Whether a dotted name is a module, or something in one."""
    module, _, rest = name.partition(".")
    thing = importlib.import_module(module)
    for part in rest.split("."):
        module = f"{module}.{part}"
        if not hasattr(thing, part) and find_spec(module) is None:
            return False
        thing = getattr(thing, part) if hasattr(thing, part) else importlib.import_module(module)
    return True


@pytest.mark.parametrize("own", ROOMS)
def test_the_map_has_every_room_from_the_ground_up(own):
    heights = {place: height for height, place in enumerate(ROOMS[own])}
    tables = [line.split("|")[1] for line in text_of(ROOT / "ARCHITECTURE.md").splitlines() if line.startswith("|")]
    named = [name for cell in tables for name in re.findall(rf"`{own}/([\w/]+)(?:\.py)?`", cell)]
    drawn = [name.rstrip("/") for name in named]
    assert {path.parent.name for path in (ROOT / own).glob("*/__init__.py")} <= set(drawn)
    assert [heights[name] for name in drawn] == sorted(heights[name] for name in drawn)


def references(path):
    """Full names that the docstrings of a module refer to; a leading dot means: beside this module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    package = ".".join(parts[:-1])
    for dot, name in re.findall(r":(?:mod|class|func|data|meth):`~?(\.?)([\w.]+)`", text_of(path)):
        full = f"{package}.{name}" if dot else name
        if full.partition(".")[0] in HOUSES:
            yield full


@pytest.mark.parametrize("house", HOUSES)
def test_references_in_docstrings_lead_somewhere(house):
    for path in sorted((ROOT / house).rglob("*.py")):
        for name in references(path):
            needed = [package for adapter, package in EXTRAS.items() if name.startswith(adapter)]
            if all(find_spec(package) for package in needed):
                assert resolved(name), f"{path.relative_to(ROOT)}: {name}"


def test_names_are_resolved():
    assert resolved("alignsolve.solvers.price")
    assert resolved("alignsolve.io.save_problem")
    assert not resolved("alignsolve.io.save_nothing")
