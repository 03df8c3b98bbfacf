"""The import rules and the style rules, checked in the source itself."""

import ast
import json
import statistics
import subprocess
import sys
from functools import cache

import networkx
import pytest

from tests import sources
from tests.sources import FILES, HOUSES, ROOT, files_of, house, imports, module_name, offenders, parsed

FOLDERS = sorted({path.parent for path in FILES if path.relative_to(ROOT).parts[0] != "tests"})
MAY_IMPORT = {
    "alignsolve": {"alignsolve"},
    "problems": {"problems", "alignsolve"},
    "fedtrain": {"fedtrain", "alignsolve"},
    "benchmarks": {"benchmarks", "alignsolve", "fedtrain", "problems"},
    "tests": {"tests", "benchmarks", "alignsolve", "fedtrain", "problems"},
}
ROOMS = {
    "alignsolve": [
        "numerics",
        "runtime",
        "data",
        "subproblem",
        "certificate",
        "show",
        "problem",
        "solver",
        "solution",
        "certificate.judge",
        "certificate.verify",
        "solvers.common",
        "presolve",
        "solvers",
        "client_types",
        "front",
        "io",
        "layers",
        "diagnose",
        "estimate",
        "admission",
        "aligner",
        "aligner_file",
        "policies",
        "placement",
        "federated",
        "commands",
        "cli",
        "__main__",
    ],
    "fedtrain": [
        "randomness",
        "config",
        "config_file",
        "data",
        "layouts",
        "models",
        "aggregate",
        "partial",
        "simulation",
        "local",
        "client",
        "results",
        "server",
        "report",
        "display",
        "run",
        "compare",
        "adapters",
        "cli",
    ],
}
"""Rooms of a house from the ground up: each imports only rooms before it. A file's room is its longest prefix."""
ROOT_MODULES = {"alignsolve": 12, "fedtrain": 6}
LONGEST = 400
LONGEST_FUNCTION = 80
MEDIAN = 160
HEAVY = ("torch", "ortools", "numba", "pulp", "highspy", "networkx", "scipy", "sklearn", "matplotlib")


MODULES = {module_name(path): path for path in FILES}


def file_of(imported):
    """The module of ours that an imported name is, or lies in; None for what is not ours."""
    if imported in MODULES:
        return imported
    parent = imported.rpartition(".")[0]
    return parent if parent in MODULES else None


@cache
def graph():
    """Which file imports which, wherever in it: in functions and under TYPE_CHECKING too."""
    edges = {name: {file_of(imported) for imported in imports(path)} - {None, name} for name, path in MODULES.items()}
    return {name: sorted(found) for name, found in edges.items()}


def circles(edges):
    """Groups of files that import each other in a loop (networkx: strongly connected components)."""
    drawn = networkx.DiGraph([(name, other) for name, others in edges.items() for other in others])
    return sorted(sorted(group) for group in networkx.strongly_connected_components(drawn) if len(group) > 1)


def room(name):
    """A module's room and its place above the ground; the house's own ``__init__`` is the roof."""
    own, _, inside = name.partition(".")
    rooms = [place for place in ROOMS[own] if inside == place or inside.startswith(f"{place}.")]
    inmost = max(rooms, key=len, default="roof")
    return inmost, ROOMS[own].index(inmost) if rooms else len(ROOMS[own])


def test_houses_import_only_what_they_may():
    def foreign(path):
        own = path.relative_to(ROOT).parts[0]
        return {name for name in imports(path) if house(name) in HOUSES and house(name) not in MAY_IMPORT[own]}

    assert offenders(foreign) == {}


def test_no_file_imports_itself_by_way_of_others():
    assert circles(graph()) == []


def test_the_finder_of_circles_finds_them():
    assert circles({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": []}) == [["a", "b", "c"]]


@pytest.mark.parametrize("own", ROOMS)
def test_rooms_import_only_rooms_below(own):
    upwards = []
    for name, others in graph().items():
        here, height = room(name) if house(name) == own else (None, 0)
        for other in others if here else ():
            there, below = room(other) if house(other) == own else (here, 0)
            if there != here and below >= height:
                upwards.append(f"{name} -> {other}")
    assert upwards == []


@pytest.mark.parametrize("own", ROOMS)
def test_every_file_has_a_room(own):
    names = {name for name in MODULES if house(name) == own} - {own}
    assert sorted(name for name in names if room(name)[0] == "roof") == []


@pytest.mark.parametrize("own", ROOT_MODULES)
def test_few_files_lie_outside_the_rooms(own):
    assert len(list((ROOT / own).glob("*.py"))) - 1 <= ROOT_MODULES[own]


def test_every_folder_says_what_lives_there_and_what_it_may_import():
    def silent(folder):
        told = ast.get_docstring(parsed(folder / "__init__.py")) or ""
        return len(told.splitlines()) < 3 or "import" not in told

    assert offenders(silent, FOLDERS) == {}


def test_every_test_file_has_a_name_of_its_own():
    """Pytest imports test files by their bare names."""
    names = [path.name for path in FILES if path.name.startswith("test_")]
    assert sorted(names) == sorted(set(names))


def test_one_function_inspects_updates_and_one_file_writes_checkpoints():
    trees = {name: parsed(path) for name, path in MODULES.items()}
    nodes = [(name, node) for name, tree in trees.items() if house(name) == "fedtrain" for node in ast.walk(tree)]
    called = {name for name, node in nodes if isinstance(node, ast.Call) and "save_state" in ast.unparse(node.func)}
    assert [name for name, node in nodes if isinstance(node, ast.FunctionDef) and node.name == "find_fault"] == [
        "fedtrain.partial.update"
    ]
    assert called == {"fedtrain.server.checkpoint"}


def test_what_runs_without_the_compiler_lies_where_make_looks_for_it():
    marked = [path for path in FILES if "pytest.mark." + "kernels" in path.read_text(encoding="utf-8")]
    assert marked
    assert [str(path) for path in marked if not path.is_relative_to(ROOT / "tests" / "alignsolve")] == []


def test_tests_mirror_the_rooms():
    folders = [path for path in (ROOT / "tests").rglob("*") if path.is_dir() and list(path.glob("test_*.py"))]
    strange = [path for path in folders if not (ROOT / path.relative_to(ROOT / "tests")).is_dir()]
    assert [str(path) for path in strange] == []


def test_adapters_are_imported_by_nobody_else():
    others = [path for path in FILES if path.relative_to(ROOT).parts[:2] != ("fedtrain", "adapters")]
    others = [path for path in others if path.relative_to(ROOT).parts[0] != "tests"]
    others.remove(ROOT / "benchmarks" / "evidence" / "second" / "olmoe.py")  # a user of the adapter, as people are
    assert (
        offenders(lambda path: [name for name in imports(path) if name.startswith("fedtrain.adapters")], others) == {}
    )


def test_alignsolve_never_imports_torch_but_for_the_price_solvers_engine():
    def torch_in(path):
        engine = "price" in path.parts and "torch" in path.stem
        return [name for name in imports(path, lazy=not engine) if house(name) == "torch"]

    assert offenders(torch_in, files_of("alignsolve")) == {}


def test_files_are_one_idea_long():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert offenders(lambda path: lengths[path] * (lengths[path] > LONGEST)) == {}


def test_functions_are_one_thought_long():
    def long(path):
        nodes = ast.walk(parsed(path))
        functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
        lines = {each.name: each.end_lineno - each.lineno + 1 for each in functions}
        return {name: count for name, count in lines.items() if count > LONGEST_FUNCTION}

    assert offenders(long) == {}


def test_a_file_in_the_middle_is_short():
    lengths = [
        len(path.read_text(encoding="utf-8").splitlines())
        for path in FILES
        if path.relative_to(ROOT).parts[0] != "tests"
    ]
    assert statistics.median(lengths) <= MEDIAN


def test_modules_say_why_they_exist():
    assert offenders(lambda path: bool(parsed(path).body and not ast.get_docstring(parsed(path)))) == {}


def test_modules_catch_nothing_unnamed():
    def unnamed(path):
        handlers = [node for node in ast.walk(parsed(path)) if isinstance(node, ast.ExceptHandler)]
        return [node.lineno for node in handlers if node.type is None or ast.unparse(node.type) == "Exception"]

    assert offenders(unnamed) == {}


@pytest.mark.parametrize("module", ["alignsolve", "alignsolve.cli"])
def test_importing_alignsolve_loads_no_back_end(module):
    code = f"import json, sys, {module}; print(json.dumps(sorted({{name.split('.')[0] for name in sys.modules}})))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not set(json.loads(printed.stdout)) & set(HEAVY)


def test_the_reader_of_imports_sees_every_kind(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "ROOT", tmp_path)
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
        for function in decorated(parsed(path), NO_DOOR):
            yield f"{module_name(path)}.{function.name}"


def test_python_calls_nothing_that_has_no_door():
    closed = set(without_door())

    def called(path):
        tree = parsed(path)
        reachable = {name.split(".")[-1]: name for name in imports(path)}
        reachable |= {each.name: f"{module_name(path)}.{each.name}" for each in decorated(tree, NO_DOOR)}
        written = [called.split(".") for called in called_from_python(tree)]
        meant = {".".join([reachable.get(first, first), *rest]) for first, *rest in written}
        return sorted(meant & closed)

    assert offenders(called, [path for path in FILES if module_name(path) not in COMPILED_BY_OVERLOAD]) == {}


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


def test_prices_are_subtracted_in_one_room_and_in_the_pricing_pass():
    others = [path for path in files_of("alignsolve") if module_name(path) not in SUBTRACTS_PRICES]
    assert offenders(lambda path: list(subtracted_prices(parsed(path))), others) == {}


def test_the_lister_of_offenders_names_them():
    first, second = FILES[:2]
    assert offenders(lambda path: path == second, [first, second]) == {str(second.relative_to(ROOT)): True}


def test_the_reader_of_subtractions_sees_every_form():
    source = (
        "value[i, j] - prices[j] * load\nblock.value.astype(int) - price\nvalue -= prices\n"
        "np.subtract(self.fitness, prices, dtype=float)\nprices - value\nvalue - cost\n"
    )
    assert sorted(subtracted_prices(ast.parse(source))) == [1, 2, 3, 4]
