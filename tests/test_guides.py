"""The guides: the python blocks of each marked page of docs/ are run, in order, in one namespace.

A page is marked by a comment that names this file, and may say which packages it needs. A block that begins with the
name of a file, as a comment, is also written to that file, beside what else the page writes.
"""

import re
from importlib.util import find_spec
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
MARK = re.compile(r"<!--[^>]*run in order by tests/test_guides\.py\.(?: Needs: (?P<packages>[\w, ]+)\.)? -->")
FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"\A# (\w+\.py)\n")
GUIDES = {path.stem: path for path in sorted(DOCS.rglob("*.md")) if MARK.search(path.read_text(encoding="utf-8"))}


def code_of(page: str) -> str:
    """Return the page's blocks, each at its line of the page, so that a traceback names the right line."""
    lines = [""] * len(page.splitlines())
    for block in FENCE.finditer(page):
        first = page.count("\n", 0, block.start(1))
        body = block[1].splitlines()
        lines[first : first + len(body)] = body
    return "\n".join(lines)


@pytest.mark.parametrize("name", GUIDES)
def test_every_block_of_a_guide_runs(name, tmp_path, monkeypatch):
    page = GUIDES[name].read_text(encoding="utf-8")
    needs = MARK.search(page)["packages"]
    missing = [package for package in (needs or "").split(", ") if package and find_spec(package) is None]
    if missing:
        pytest.skip(f"{name}.md needs {', '.join(missing)}")
    monkeypatch.chdir(tmp_path)
    for block in FENCE.finditer(page):
        if file := FILE.match(block[1]):
            Path(file[1]).write_text(block[1], encoding="utf-8")
    exec(compile(code_of(page), str(GUIDES[name]), "exec"), {"__name__": "__main__"})


def test_blocks_keep_their_lines():
    page = "# Title\n\n```python\na = 1\n```\ntext\n```toml\nb = 2\n```\n```python\nc = a\nd = c\n```\n"
    lines = code_of(page).splitlines()
    assert [(number, line) for number, line in enumerate(lines, 1) if line] == [
        (4, "a = 1"),
        (11, "c = a"),
        (12, "d = c"),
    ]


def test_guides_are_found():
    assert {"own-loop", "huggingface"} <= GUIDES.keys()
