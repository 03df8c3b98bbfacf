"""HTML that several pages share: the files in ``page/``, templates with their parts put in, and tables."""

import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files


def resource(name: str) -> str:
    """Read one of the files in ``page/``."""
    return (files("fedtrain.report") / "page" / name).read_text(encoding="utf-8")


def fill(template: str, **parts: str) -> str:
    """Put parts, which are HTML already, into a template."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], resource(template))


def table(label: str, head: Iterable[str], rows: Iterable[str]) -> str:
    """Write a table that scrolls: its headings, which are text, and its rows, which are HTML."""
    headings = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    return (
        f'<div class="scroll table" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{headings}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
