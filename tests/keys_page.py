"""Makes docs/reference/keys.md, the reference of every key of a run and of a plan, from the dataclasses.

python -m tests.keys_page
"""

from pathlib import Path

from fedtrain.compare.plan import Plan
from fedtrain.config import RunConfig
from fedtrain.config.keys import as_markdown, tables

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "keys.md"
HEAD = """# Keys of a run and of a plan

`fedtrain run` and `fedtrain compare` read TOML files. This page has all their keys. `fedtrain config --help-keys` shows
the same in a terminal, and `fedtrain init` writes a file with all keys of a run and a comment on each.

`python -m tests.keys_page` writes this page, and a test compares it with the code. *required* means that there is no
default. `inf` is infinity.
"""


def page() -> str:
    """Return the text of the page."""
    lines = [HEAD, "## A run", "", *as_markdown(tables(RunConfig)), "## A plan", ""]
    lines += ["A plan also has the keys of a run, in `base` and in each task, alignment and setting.", ""]
    return "\n".join([*lines, *as_markdown(tables(Plan))]).rstrip() + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
