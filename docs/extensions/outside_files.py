"""Links from a page to files outside docs/ work on the code host and in the built pages.

On the code host ``[the loop](../examples/own_loop.py)`` is a path. The built pages have no such file beside them. So a
link to a file becomes a download. A link to a folder becomes the folder's name in the repository. A link to a missing
file stays unresolved, and Sphinx warns of it.
"""

import os
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.addnodes import download_reference, pending_xref
from sphinx.application import Sphinx


def settle(app: Sphinx, doctree: nodes.document) -> None:
    """Replace the links of a page that lead out of docs/."""
    docs = Path(app.srcdir).resolve()
    page = Path(app.env.doc2path(app.env.docname)).resolve()
    for link in list(doctree.findall(pending_xref)):
        if link.get("reftype") != "myst":
            continue
        place = _place(link, docs, page)
        if place.is_relative_to(docs) or not place.exists():
            continue
        if place.is_dir():
            link.replace_self(_named(link, place.relative_to(docs.parent).as_posix()))
        else:
            path = os.path.relpath(place, page.parent)
            link.replace_self(download_reference("", "", *link.children, reftarget=path, refdoc=app.env.docname))


def _place(link: pending_xref, docs: Path, page: Path) -> Path:
    """Return the target of a link. MyST names pages by their path from docs/ without suffix, all else as written."""
    if link.get("refdomain") == "doc":
        return (docs / f"{link['reftarget']}.md").resolve()
    return (page.parent / link["reftarget"]).resolve()


def _named(link: pending_xref, path: str) -> nodes.inline:
    """Return the text of the link, with the folder's path unless the text contains it."""
    words = nodes.inline("", "", *link.children)
    if path not in link.astext():
        words += [nodes.Text(" ("), nodes.literal("", path), nodes.Text(")")]
    return words


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the step before downloads are collected."""
    app.connect("doctree-read", settle, priority=400)
    return {"parallel_read_safe": True}
