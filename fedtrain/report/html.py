"""HTML helpers that several pages share: they read the files in ``page/``, fill templates, and write tables."""

import base64
import hashlib
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


def whole_page(template: str, *, title: str, kind: str, script: str = "", **parts: str) -> str:
    """Fill a template that is the body of a page, and put the head with the style sheet before it.

    Parameters
    ----------
    template
        Name of the file with the body.
    title, kind
        The page's title and what it shows, as HTML.
    script
        The only script that the page may run; it stands at its end.
    parts
        The other parts of the body, as HTML.
    """
    body, scripts = fill(template, title=title, **parts).rstrip(), ""
    if script:
        allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        body, scripts = f"{body}\n<script>{script}</script>", f"; script-src 'sha256-{allowed}'"
    style = resource("report.css")
    return fill("page.html", title=title, kind=kind, scripts=scripts, style=style, body=body)


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
