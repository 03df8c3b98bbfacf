"""DIMACS files read as problems, and problems written as MPS and LP."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from alignsolve import AlignmentProblem, solve
from benchmarks.case import Case
from benchmarks.instances import make
from problems import dimacs, export
from problems.linear import linear_program

ASSIGNMENT = """c two workers, two jobs
p asn 4 3
n 1
n 2
a 1 3 5
a 1 4 1
a 2 3 2
"""

FLOW = """c two clients (supplies 2 and 1), experts 3 and 4, sink 5
p min 5 8
n 1 2
n 2 1
n 4 -1
n 5 -2
a 1 3 0 1 -7
a 1 4 0 1 -3
a 2 3 1 1 -1
a 2 4 0 1 -9
a 3 5 0 1 0
a 4 5 0 1 0
a 1 5 0 2 0
a 2 5 0 1 0
"""


def read(text: str, folder: Path, suffix: str = ".min") -> AlignmentProblem:
    path = folder / f"file{suffix}"
    path.write_text(text)
    return dimacs.read(path)


def test_an_assignment_file_is_a_perfect_matching(tmp_path: Path) -> None:
    problem = read(ASSIGNMENT, tmp_path, ".asn")
    solution = solve(problem, "flow")
    assert solution.x is not None
    assert solution.x.tolist() == [[False, True], [True, False]]
    assert solution.objective == -3


def test_a_flow_file_is_an_alignment_with_bounds(tmp_path: Path) -> None:
    problem = read(FLOW, tmp_path)
    assert problem.fitness.tolist() == [[7, 3], [1, 9]]
    assert problem.client_capacity.tolist() == [2, 1]
    assert problem.client_demand.tolist() == [0, 0]
    assert problem.expert_capacity.tolist() == [1, 2]
    assert problem.expert_demand.tolist() == [0, 1]
    assert problem.required.tolist() == [[False, False], [True, False]]
    solution = solve(problem, "flow")
    assert solution.objective == 4  # client 2 must take the first expert, which is then full


def test_a_transport_without_a_sink_fixes_every_load(tmp_path: Path) -> None:
    problem = read(
        "p min 4 4\nn 1 1\nn 2 1\nn 3 -1\nn 4 -1\na 1 3 0 1 4\na 1 4 0 1 1\na 2 3 0 1 1\na 2 4 0 1 9\n", tmp_path
    )
    assert problem.expert_demand.tolist() == problem.expert_capacity.tolist() == [1, 1]
    assert solve(problem, "flow").objective == -2


def test_an_arc_of_capacity_0_is_no_pair(tmp_path: Path) -> None:
    problem = read("p min 3 2\nn 1 1\nn 3 -1\na 1 2 0 0 4\na 1 3 0 1 1\n", tmp_path)
    assert problem.eligible.tolist() == [[False, True]]


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (1, "p asn 4", "2 numbers are expected here, there are 1"),
        (1, "p sp 4 4", "problems of kind 'sp' are not read"),
        (1, "a 1 2 3", "the 'p' line must come first"),
        (2, "p asn 4 1\na 1 3 x", "whole numbers are expected here, not '1 3 x'"),
        (2, "p asn 4 1\nn 9", "node 9 is not in 1..4"),
        (2, "p asn 4 1\nx 9", "a line starts with c, p, n or a, not 'x'"),
        (3, "p asn 4 1\nn 1\nn 1", "node 1 was described in line 2 already"),
        (3, "p asn 4 1\nn 1\na 3 1 2", "arc 3 → 1 does not lead from an 'n' node to another node"),
        (3, "p asn 4 2\nn 1\na 1 3 2", "the file ends after 1 of 2 arcs; is it truncated?"),
        (4, "p asn 4 2\nn 1\na 1 3 2\na 1 3 4", "a second arc 1 → 3"),
        (1, "c nothing here", "the file ends without a 'p' line"),
        (1, "p asn 2 0", "there are no clients"),
        (2, "p min 2 1\nn 1 3\na 1 2 0 1 5", "supplies and demands do not balance: their sum is 3"),
        (4, "p min 2 1\nn 1 2\nn 2 -2\na 1 2 0 2 5", "arc 1 → 2 carries 0..2 units; a pair carries 0 or 1"),
        (5, "p min 3 2\nn 1 1\nn 3 -1\na 1 2 0 1 5\na 2 3 0 1 4", "arc 2 → 3 to the sink costs 4"),
        (6, "p min 4 3\nn 1 1\nn 4 -1\na 1 2 0 1 5\na 2 3 0 1 0\na 3 4 0 1 0", "more than one sink"),
        (5, "p min 3 2\nn 1 1\nn 3 -1\na 1 2 0 1 5\na 2 3 2 1 0", "carries 2..1, which is no range"),
    ],
)
def test_a_bad_file_is_refused_with_its_line(tmp_path: Path, line: int, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"file\.min, line") as caught:
        read(text, tmp_path)
    assert f"line {line}: " in str(caught.value)
    assert message in str(caught.value)


HIGHS = """
import json, sys, highspy
for path in sys.argv[1:]:
    highs = highspy.Highs()
    highs.silent()
    assert highs.readModel(path) == highspy.HighsStatus.kOk
    highs.setOptionValue("mip_rel_gap", 0.0)
    highs.run()
    names = highs.getLp().col_names_
    chosen = [name for name, value in zip(names, highs.getSolution().col_value) if value > 0.5 and name[0] == "x"]
    print(json.dumps([highs.getInfo().objective_function_value, chosen]))
"""


def solve_files(paths: list[Path]) -> list[tuple[float, list[str]]]:
    """Solve by HiGHS in its own process, because it cannot share one with OR-Tools."""
    command = [sys.executable, "-c", HIGHS, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_written_files_have_our_optimum(tmp_path: Path) -> None:
    families = ["uniform", "layers", "sparse", "required", "soft", "tight", "weighted", "budgets", "integers"]
    paths = [tmp_path / f"{name}{suffix}" for name in families for suffix in (".mps", ".lp")]
    problems = [make(Case(name, 14, 4)) for name in families for _ in (".mps", ".lp")]
    for problem, path in zip(problems, paths, strict=True):
        export.write(problem, path)
    for problem, path, (objective, chosen) in zip(problems, paths, solve_files(paths), strict=True):
        x = np.zeros(problem.shape, dtype=np.bool_)
        for name in chosen:
            x[tuple(map(int, name.split("_")[1:]))] = True
        assert problem.violations(x) == [], path.name
        assert problem.objective(x) == pytest.approx(objective, rel=1e-9), path.name
        if problem.class_ == "cardinality":
            assert objective == pytest.approx(solve(problem, "flow").objective, rel=1e-9), path.name


def test_both_formats_say_the_same(tmp_path: Path) -> None:
    problem = make(Case("weighted", 10, 3))
    paths = [tmp_path / "problem.mps", tmp_path / "problem.lp"]
    for path in paths:
        export.write(problem, path)
    first, second = solve_files(paths)
    assert first[0] == pytest.approx(second[0], rel=1e-9)


READ_BACK = """
import json, sys, highspy
for path in sys.argv[1:]:
    highs = highspy.Highs()
    highs.silent()
    assert highs.readModel(path) == highspy.HighsStatus.kOk
    lp = highs.getLp()
    columns = {name: [cost, low, high] for name, cost, low, high in zip(
        lp.col_names_, lp.col_cost_, lp.col_lower_, lp.col_upper_)}
    rows = {name: [low, high] for name, low, high in zip(lp.row_names_, lp.row_lower_, lp.row_upper_)}
    print(json.dumps([columns, rows, sorted(lp.a_matrix_.value_)]))
"""


def read_back(path: Path) -> tuple[dict[str, list[float]], dict[str, list[float]], list[float]]:
    """The columns, rows and coefficients of a file, as HiGHS reads them."""
    command = [sys.executable, "-c", READ_BACK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout))


@pytest.mark.parametrize("suffix", [".mps", ".lp"])
def test_floats_read_back_equal(tmp_path: Path, suffix: str) -> None:
    fitness = np.array([[0.1 + 0.2, 1 / 3], [-1e-300, 1e15 + 0.3], [5e-324, 2.0**53 - 1]])
    load = np.array([[0.1, 0.7], [1 / 3, 0.2], [0.30000000000000004, 123456789.12345679]])
    problem = AlignmentProblem(
        fitness, client_capacity=[1, 2, 1], client_load=load, expert_capacity=[0.7, 1e9 / 3], expert_demand=[0.1, 1 / 7]
    )
    path = tmp_path / f"problem{suffix}"
    export.write(problem, path)
    columns, rows, coefficients = read_back(path)
    for (i, j), value in np.ndenumerate(fitness):
        assert columns[f"x_{i}_{j}"] == [value, 0.0, 1.0]
    for j, (least, most) in enumerate(zip([0.1, 1 / 7], [0.7, 1e9 / 3], strict=True)):
        both = rows.get(f"expert_{j}") or [rows[f"expert_{j}_least"][0], rows[f"expert_{j}_most"][1]]
        assert both == [least, most]
    assert set(coefficients) == {1.0, *load.ravel().tolist()}


@pytest.mark.parametrize("suffix", [".mps", ".lp"])
def test_crossed_bounds_stay_crossed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"problem{suffix}"
    export.write(AlignmentProblem(np.ones((6, 1)), expert_capacity=2, expert_demand=3), path)
    rows = read_back(path)[1]
    assert (rows["expert_0_least"][0], rows["expert_0_most"][1]) == (3.0, 2.0)


def test_an_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"problem\.sol: the suffix must be \.mps or \.lp"):
        export.write(make(Case("uniform", 4, 2)), tmp_path / "problem.sol")
    assert not (tmp_path / "problem.sol").exists()


def test_rows_and_columns_weigh_every_alignment_as_the_problem_does() -> None:
    rng = np.random.default_rng(0)
    for family in ("soft", "layers", "budgets", "weighted", "required"):
        problem = make(Case(family, 6, 4))
        program = linear_program(problem)
        matrix = np.zeros((len(program.row_lower), len(program.cost)))
        columns = np.repeat(np.arange(len(program.cost)), np.diff(program.start))
        matrix[program.index, columns] = program.value
        hard = np.array([not name.startswith("soft") for name in program.row_names()])
        for _ in range(20):
            x = rng.random(problem.shape) < 0.4
            pairs = x[program.clients, program.experts].astype(np.float64)
            rows = matrix[:, : len(pairs)] @ pairs
            holds = (rows >= program.row_lower - 1e-9) & (rows <= program.row_upper + 1e-9)
            fixed = (pairs >= program.lower[: len(pairs)]).all() and x.sum() == pairs.sum()
            assert (holds[hard].all() and fixed) == (problem.violations(x) == [])
