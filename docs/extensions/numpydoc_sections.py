"""Reads numpydoc docstrings by Napoleon, with two differences for our docstrings.

Several attributes can share a line and a description. The docstring of an attribute is a sentence. It can contain a
colon, and never means "type: description".
"""

from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon.docstring import NumpyDocstring


class Docstring(NumpyDocstring):
    """A docstring, converted to reStructuredText at construction."""

    def _parse_attribute_docstring(self) -> list[str]:
        """Return the sentences without changes."""
        return self._consume_to_end()

    def _parse_attributes_section(self, section: str) -> list[str]:
        """Return a definition list."""
        lines = [f".. rubric:: {section}", ""]
        for names, _, described in self._consume_fields():
            lines.append(", ".join(f"``{name}``" for name in names.replace("\\", "").split(", ")))
            lines += [*self._indent(described, 4), ""]
        return lines


def read(app: Sphinx, kind: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    """Convert a docstring to reStructuredText, in place."""
    lines[:] = Docstring(lines, app.config, app, kind, name, documented, options).lines()


def setup(app: Sphinx) -> dict[str, Any]:
    """Replace Napoleon's own conversion, which conf.py switches off."""
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("autodoc-process-docstring", read)
    return {"parallel_read_safe": True}
