"""Objects are documented by their public names. A reference by the defining module finds them, too.

A reference to an object of ours that is not public becomes its name without a link. A reference to a missing object
stays unresolved, and Sphinx warns of it.
"""

import ast
import importlib
import pkgutil
from functools import cache
from pathlib import Path
from typing import Any

import numpy.typing as npt
from docutils.nodes import Element
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.typing import stringify_annotation

PACKAGES = (
    "alignsolve",
    "alignsolve.estimate",
    "alignsolve.io",
    "problems",
    "fedtrain.aggregate",
    "fedtrain.config",
    "fedtrain.data",
    "fedtrain.layouts",
    "fedtrain.models",
    "fedtrain.partial",
    "fedtrain.report",
    "fedtrain.server",
    "fedtrain.adapters.flower",
    "fedtrain.adapters.huggingface",
    "fedtrain.adapters.nvflare",
)
HOUSES = ("alignsolve", "fedtrain", "problems", "benchmarks")
ARRAY_LIKE = stringify_annotation(npt.ArrayLike, "smart")
ALIASES = {
    ARRAY_LIKE: "ArrayLike",
    "~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.float64]]": "FloatArray",
    "~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.int64]]": "IntArray",
    "~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~numpy.bool]]": "BoolArray",
    "~numpy.ndarray[tuple[~typing.Any, ...], ~numpy.dtype[~typing.Any]]": "NDArray",
    "<factory>": "...",
}
"""Evaluated forms of aliases and of default factories, and the names to show for them."""


@cache
def public_names() -> dict[str, str]:
    """Map the defining name of each public object to its documented name."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            module = importlib.import_module(package)
        except ImportError:
            continue
        for name in module.__all__:
            value = getattr(module, name)
            home = getattr(value, "__module__", None)
            if isinstance(home, str) and hasattr(value, "__qualname__"):
                found.setdefault(f"{home}.{value.__qualname__}", f"{package}.{name}")
    return found


def resolve(app: Sphinx, env: BuildEnvironment, node: pending_xref, content: Element) -> Element | None:
    """Resolve a reference to the defining name of an object, or of a method's class."""
    if node.get("refdomain") != "py":
        return None
    target, member = node["reftarget"], ""
    for _ in range(2):
        public = public_names().get(target)
        if public is not None:
            domain = env.domains["py"]
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", public + member, node, content)
        target, _, last = target.rpartition(".")
        member = f".{last}{member}"
    return content if is_ours(node["reftarget"]) else None


def is_ours(name: str) -> bool:
    """Whether a name is an alias, or that of an object in our packages."""
    if name in ALIASES.values():
        return True
    if name.partition(".")[0] not in HOUSES:
        return False
    try:
        pkgutil.resolve_name(name)
    except (ImportError, AttributeError):
        return False
    return True


def shorten(_app: Sphinx, _kind: str, _name: str, _object: Any, _options: Any, signature: Any, returned: Any) -> Any:
    """Write signatures as their source has them."""
    for long, short in ALIASES.items():
        signature = signature and signature.replace(long, short)
        returned = returned and returned.replace(long, short)
    return signature, returned


def find_docstring(_app: Sphinx, kind: str, name: str, _object: Any, _options: Any, lines: list[str]) -> None:
    """Give data that a package imports from a module the docstring beside its definition."""
    package, _, attribute = name.rpartition(".")
    if kind != "data" or ("", attribute) in ModuleAnalyzer.for_module(package).find_attr_docs():
        return
    for node in ast.walk(ast.parse(Path(str(importlib.import_module(package).__file__)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and attribute in [alias.name for alias in node.names]:
            lines[:] = ModuleAnalyzer.for_module(str(node.module)).find_attr_docs().get(("", attribute), [])


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect the steps. Docstrings are found before they are converted."""
    app.connect("autodoc-process-docstring", find_docstring, priority=400)
    app.connect("missing-reference", resolve)
    app.connect("autodoc-process-signature", shorten)
    return {"parallel_read_safe": True}
