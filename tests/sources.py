"""The source files of all houses, and what they import: read once for all rules that are checked in the source."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOUSES = ("alignsolve", "fedtrain", "problems", "benchmarks", "tests")
FILES = sorted(path for house in HOUSES for path in (ROOT / house).rglob("*.py"))


@cache
def parsed(path):
    """Return a file's syntax tree; it is read once."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def imports(path, *, lazy=True):
    """Absolute names of all modules that a file imports, wherever in it (or, not lazily, when it is imported)."""
    return tuple(read_imports(path, lazy))


def read_imports(path, lazy):
    tree = parsed(path)
    nodes = ast.walk(tree) if lazy else eager(tree)
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and imports_by_name(node.func):
            yield from (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant))


def imports_by_name(called):
    """Whether this is ``importlib.import_module`` or ``__import__``; few calls need to be written out to know."""
    name = getattr(called, "attr", getattr(called, "id", ""))
    return name in {"import_module", "__import__"} and ast.unparse(called) in {"importlib.import_module", "__import__"}


def eager(node):
    """All nodes that run when the module is imported: not inside functions, not under TYPE_CHECKING."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        yield child
        yield from eager(child)


def house(name):
    return name.split(".")[0]


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def offenders(fault, paths=FILES):
    """What is wrong in each file, for the files in which something is; one test for all files is cheaper than many."""
    found = {str(path.relative_to(ROOT)): fault(path) for path in paths}
    return {name: wrong for name, wrong in found.items() if wrong}


def files_of(own):
    return [path for path in FILES if path.relative_to(ROOT).parts[0] == own]
