"""The import rules of DESIGN.md and the manners of STYLE.md, read from the source itself."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HOUSES = ("alignsolve", "fedtrain", "problems", "benchmarks", "tests")
FILES = sorted(path for house in HOUSES for path in (ROOT / house).rglob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in FILES]
MAY_IMPORT = {
    "alignsolve": {"alignsolve"},
    "problems": {"problems", "alignsolve"},
    "fedtrain": {"fedtrain", "alignsolve"},
    "benchmarks": {"benchmarks", "alignsolve", "fedtrain", "problems"},
    "tests": {"tests", "benchmarks", "alignsolve", "fedtrain", "problems"},
}
LONGEST = 400
HEAVY = ("torch", "ortools", "numba", "pulp", "highspy", "networkx", "scipy", "sklearn", "matplotlib")


def imports(path, *, lazy=True):
    """Absolute names of all modules that a file imports, wherever in it (or, not lazily, when it is imported)."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = ast.walk(tree) if lazy else eager(tree)
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"importlib.import_module", "__import__"}:
            yield from (arg.value for arg in node.args[:1] if isinstance(arg, ast.Constant))


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


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_houses_import_only_what_they_may(path):
    own = path.relative_to(ROOT).parts[0]
    foreign = {name for name in imports(path) if house(name) in HOUSES and house(name) not in MAY_IMPORT[own]}
    assert not foreign


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_adapters_are_imported_by_nobody_else(path):
    parts = path.relative_to(ROOT).parts
    if parts[:2] != ("fedtrain", "adapters") and parts[0] != "tests":
        assert not [name for name in imports(path) if name.startswith("fedtrain.adapters")]


@pytest.mark.parametrize("path", [path for path in FILES if path.relative_to(ROOT).parts[0] == "alignsolve"])
def test_alignsolve_never_imports_torch_but_for_the_price_solvers_engine(path):
    engine = "price" in path.parts and "torch" in path.stem
    assert not [name for name in imports(path, lazy=not engine) if house(name) == "torch"]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_files_are_one_idea_long(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_modules_say_why_they_exist_and_catch_nothing_unnamed(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert ast.get_docstring(tree) or not tree.body
    handlers = [node for node in ast.walk(tree) if isinstance(node, ast.ExceptHandler)]
    assert not [node.lineno for node in handlers if node.type is None or ast.unparse(node.type) == "Exception"]


def test_importing_alignsolve_loads_no_back_end():
    code = "import json, sys, alignsolve; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(json.loads(printed.stdout)) & set(HEAVY)


def test_the_reader_of_imports_sees_every_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "house").mkdir()
    path = tmp_path / "house" / "module.py"
    path.write_text(
        "import a.b\nfrom c import d\nfrom . import e\nfrom .f import g\n"
        "def lazily():\n    import h\n    importlib.import_module('i.j')\n"
        "if TYPE_CHECKING:\n    import k\n"
    )
    assert set(imports(path)) == {"a.b", "c.d", "house.e", "house.f.g", "h", "i.j", "k"}
    assert set(imports(path, lazy=False)) == {"a.b", "c.d", "house.e", "house.f.g"}


@pytest.mark.parametrize("first", ["highspy", "ortools.graph.python.min_cost_flow"])
def test_back_ends_can_live_in_one_process(first):
    """The wheels of highspy from 1.15 on load a libhighs.so.1 that OR-Tools, with another of that name, cannot bear."""
    code = f"import {first}, highspy, pulp; from ortools.graph.python import min_cost_flow"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"install highspy<1.15: {done.stderr}"


COMPILED = {"kernel", "inner", "within", "part", "numba.njit"}
NO_DOOR = {"inner", "within", "part"}
"""Decorators of what only compiled code may call: a call from Python ends the process."""
COMPILED_BY_OVERLOAD = {"alignsolve.solvers.price.heaps", "alignsolve.solvers.price.table"}
"""Modules whose plain functions compiled code alone calls, see price/arcs.py."""


def module_name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def decorated(tree, decorators):
    """A module's functions with one of these decorators."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [each for each in functions if decorators & {ast.unparse(one) for one in each.decorator_list}]


def called_from_python(tree):
    """What is called outside of what is compiled, as it is written there: ``f`` or ``module.f``."""
    inside = {id(node) for function in decorated(tree, COMPILED) for node in ast.walk(function)}
    return {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call) and id(node) not in inside}


def without_door():
    """Full names of the functions that Python must not call."""
    for path in FILES:
        for function in decorated(ast.parse(path.read_text(encoding="utf-8")), NO_DOOR):
            yield f"{module_name(path)}.{function.name}"


CLOSED = set(without_door())


@pytest.mark.parametrize(
    "path", [path for path in FILES if module_name(path) not in COMPILED_BY_OVERLOAD], ids=module_name
)
def test_python_calls_nothing_that_has_no_door(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    reachable = {name.split(".")[-1]: name for name in imports(path)}
    reachable |= {each.name: f"{module_name(path)}.{each.name}" for each in decorated(tree, NO_DOOR)}
    written = [called.split(".") for called in called_from_python(tree)]
    meant = {".".join([reachable.get(first, first), *rest]) for first, *rest in written}
    assert sorted(meant & CLOSED) == []


def test_the_reader_of_calls_sees_both_ways_to_call():
    source = "@inner\ndef f(): g()\n\ndef h():\n    f()\n    module.k(1)\n"
    assert called_from_python(ast.parse(source)) == {"f", "module.k"}


def test_one_file_says_how_the_package_compiles():
    sources = {module_name(path): path.read_text(encoding="utf-8") for path in FILES}
    assert [name for name in sources if house(name) == "alignsolve" and "njit(" in sources[name]] == [
        "alignsolve.runtime.jit"
    ]


PRICED = {"value", "values", "fitness"}
PRICES = {"price", "prices"}
SUBTRACTS_PRICES = {
    "alignsolve.subproblem.reduced_compiled",
    "alignsolve.subproblem.reduced_fitness",
}
"""Where fitness − price may be written: once readable, once compiled. The pricing pass calls the compiled one."""


def words_of(node):
    """All names in an expression, those of attributes too: ``block.value[i, j]`` has block, value, i and j."""
    named = [each for each in ast.walk(node) if isinstance(each, ast.Name | ast.Attribute)]
    return {each.id if isinstance(each, ast.Name) else each.attr for each in named}


def subtracted_prices(tree):
    """Lines that subtract something named a price from something named a value or a fitness."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub):
            left, right = node.left, node.right
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Sub):
            left, right = node.target, node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in {"np.subtract", "operator.sub"}:
            left, right = node.args[:2]
        else:
            continue
        if words_of(left) & PRICED and words_of(right) & PRICES:
            yield node.lineno


@pytest.mark.parametrize(
    "path", [path for path in FILES if path.relative_to(ROOT).parts[0] == "alignsolve"], ids=module_name
)
def test_prices_are_subtracted_in_one_room_and_in_the_pricing_pass(path):
    found = list(subtracted_prices(ast.parse(path.read_text(encoding="utf-8"))))
    assert found == [] or module_name(path) in SUBTRACTS_PRICES


def test_the_reader_of_subtractions_sees_every_form():
    source = (
        "value[i, j] - prices[j] * load\nblock.value.astype(int) - price\nvalue -= prices\n"
        "np.subtract(self.fitness, prices, dtype=float)\nprices - value\nvalue - cost\n"
    )
    assert sorted(subtracted_prices(ast.parse(source))) == [1, 2, 3, 4]
