"""HTML helpers that several pages share: they read the files in ``page/``, fill templates, and write tables."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape
from importlib.resources import files


def resource(name: str) -> str:
    """Read one of the files in ``page/``."""
    return (files("fedtrain.report") / "page" / name).read_text(encoding="utf-8")


def fill(template: str, **parts: str) -> str:
    """Fill a template with parts, which must already be HTML."""
    return re.sub(r"\{\{(\w+)\}\}", lambda match: parts[match[1]], resource(template))


def table(label: str, head: Iterable[str], rows: Iterable[str], *, words: Collection[int] = ()) -> str:
    """Write a table that scrolls; the headings are plain text, the rows are HTML. Columns of ``words`` begin left."""
    names = enumerate(map(escape, head))
    headings = "".join(f'<th scope="col"{" class=word" * (k in words)}>{name}</th>' for k, name in names)
    return (
        f'<div class="scroll table" tabindex="0" role="region" aria-label="{escape(label)}">'
        f"<table><thead><tr>{headings}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def text_rows(rows: Iterable[Sequence[str]], words: Collection[int]) -> Iterator[str]:
    """Yield rows of plain text as HTML; columns of ``words`` begin left."""
    for row in rows:
        cells = (f"<td{' class=word' * (k in words)}>{escape(cell)}</td>" for k, cell in enumerate(row))
        yield f"<tr>{''.join(cells)}</tr>"
