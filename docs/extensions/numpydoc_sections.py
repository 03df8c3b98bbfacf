"""Napoleon's reading of numpydoc docstrings, but for two things in which ours differ from what it expects.

Several attributes may share a line and a description; and the docstring of an attribute is a sentence, which may have a
colon in it, and never "type: description".
"""

from typing import Any

from sphinx.application import Sphinx
from sphinx.ext.napoleon.docstring import NumpyDocstring


class Docstring(NumpyDocstring):
    """A docstring that is turned into reStructuredText when it is made."""

    def _parse_attribute_docstring(self) -> list[str]:
        """The sentences as they are."""
        return self._consume_to_end()

    def _parse_attributes_section(self, section: str) -> list[str]:
        """A definition list."""
        lines = [f".. rubric:: {section}", ""]
        for names, _, described in self._consume_fields():
            lines.append(", ".join(f"``{name}``" for name in names.replace("\\", "").split(", ")))
            lines += [*self._indent(described, 4), ""]
        return lines


def read(app: Sphinx, kind: str, name: str, documented: Any, options: Any, lines: list[str]) -> None:
    """Turn a docstring into reStructuredText, in place."""
    lines[:] = Docstring(lines, app.config, app, kind, name, documented, options).lines()


def setup(app: Sphinx) -> dict[str, Any]:
    """Take napoleon's place; conf.py turns its own reading off."""
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("autodoc-process-docstring", read)
    return {"parallel_read_safe": True}
