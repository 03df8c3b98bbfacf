"""How the documentation is built: ``python -m sphinx -W --keep-going -n docs build/docs``; it needs no network."""

import importlib
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "extensions")]

import alignsolve  # noqa: E402

project = "alignsolve"
author = "the authors of alignsolve"
project_copyright = "the authors of alignsolve, Apache-2.0"
release = alignsolve.__version__
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "numpydoc_sections",
    "public_names",
    "command_line",
    "outside_files",
]
html_theme = "furo"
html_title = f"alignsolve {release}"
html_static_path = ["style"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sphinx = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3

nitpicky = True
nitpick_ignore_regex = [
    # No inventories of other projects are fetched, so that the build needs no network.
    ("py:.*", r"(numpy|np|npt|numpy\.typing|torch|typing|collections|pathlib|enum|os|time|math)\..*"),
    ("py:.*", r"(flwr|transformers|peft|nvflare)\..*"),
]

autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_class_signature = "mixed"
autodoc_default_options = {"members": True}
napoleon_google_docstring = napoleon_numpy_docstring = False  # numpydoc_sections.py reads them, by napoleon's means
napoleon_use_rtype = False
napoleon_attr_annotations = False
smartquotes_action = "D"

EXTRAS = {
    "reference/flower.rst": "fedtrain.adapters.flower",
    "reference/huggingface.rst": "fedtrain.adapters.huggingface",
    "reference/nvflare.rst": "fedtrain.adapters.nvflare",
    "reference/fedtrain.rst": "fedtrain.models",
}
"""Pages of the reference that need an extra, and the module that shows whether it is installed."""


def _is_missing(module: str) -> bool:
    try:
        importlib.import_module(module)
    except ImportError:
        return True
    return False


OTHER = ["pictures", "extensions", "style"]
exclude_patterns = [*OTHER, *(page for page, module in EXTRAS.items() if _is_missing(module))]
