"""The suite ``real``: names that say what was used, files that are read back bit by bit, references, programs."""

import csv
import math
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typer

from alignsolve import AlignmentProblem, ProblemClass, solve
from alignsolve.io import load_problem
from benchmarks import curves, reference_table, solvers, write
from benchmarks.case import Case
from benchmarks.entrants import find
from benchmarks.instances import make
from benchmarks.real import Parts, is_real, num_layers, parts_of, real_cases
from benchmarks.references import fingerprint, improved, read_references, write_references
from benchmarks.suites import Suite
from benchmarks.trial import judgement

SMALL = Case("drawn-mixtral-3-single-seconds", 10, 24, same_shape=True)
SHARED = Path(__file__).parents[3] / "shared" / "data"

PROGRAM = f"""#!{sys.executable}
import json, sys
problem_path, answer_path, seconds = sys.argv[1:]
problem = json.load(open(problem_path))
assert float(seconds) > 0
clients, experts = problem["shape"]
print("bound 1e6")
print("objective 1", flush=True)
if "client_budget" in problem:
    print("budgets are not for me")
    sys.exit()
chosen = [[j for j in range(experts) if j % 8 == i % 8] for i in range(clients)]
indptr = [0]
for row in chosen:
    indptr.append(indptr[-1] + len(row))
answer = dict(format="alignsolve solution", version=1, shape=[clients, experts], status="FEASIBLE", proof="NONE",
              bound="inf", indptr=indptr, experts=sum(chosen, []))
json.dump(answer, open(answer_path, "w"))
"""


def test_the_suite_has_models_cohorts_and_devices_of_both_classes() -> None:
    cases = real_cases()
    assert len({case.name for case in cases}) == len(cases) >= 30
    parts = [parts_of(case.family) for case in cases]
    assert {part.source for part in parts} == {"drawn"}
    assert len({(part.model, part.layers) for part in parts}) >= 5
    assert len({part.cohort for part in parts}) == 3
    assert len({part.devices for part in parts}) == 6
    assert all(is_real(case.name) for case in cases)
    assert not is_real("uniform")
    assert {num_layers(case) for case in cases} >= {3, 16, 48}
    assert {case.inputs for case in real_cases("somewhere")} == {"somewhere"}
    assert all(case.name.startswith("real-") for case in real_cases("somewhere"))


def test_names_of_families_are_read() -> None:
    assert parts_of("real-olmoe-all-alike-work") == Parts("real", "olmoe", "all", "alike", "work")
    for name in ("real-olmoe-all-alike", "real-gpt-all-alike-work", "real-olmoe-3-single-work-more"):
        with pytest.raises(ValueError, match="is no family of the suite real"):
            parts_of(name)
    with pytest.raises(ValueError, match="needs real inputs, but the drawn ones were given"):
        make(Case("real-olmoe-3-single-work", 4, 12))


def test_instances_are_written_and_read_back_bit_by_bit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write.main(tmp_path, only="drawn-mixtral-3-single-*-100x24", form=["json", "npz", "mps"])
    told = capsys.readouterr().out
    assert "the drawn stand-in" in told
    with (tmp_path / "instances.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 6
    for line in lines:
        name = line["instance"]
        case = next(case for case in real_cases() if case.name == name)
        for form in ("json", "npz"):
            assert fingerprint(load_problem(tmp_path / f"{name}.{form}")) == line["fingerprint"]
        assert fingerprint(make(case)) == line["fingerprint"]
        assert (tmp_path / f"{name}.mps").stat().st_size > 0
        assert (line["clients"], line["layers"], line["experts"]) == ("100", "3", "24")
    with pytest.raises(typer.BadParameter, match="exists already"):
        write.main(tmp_path, only="drawn-mixtral-3-single-count-*")


def test_a_fingerprint_sees_every_bit() -> None:
    given = {"fitness": [[1.0, 2.0], [3.0, 4.0]], "expert_capacity": 1}
    one = fingerprint(AlignmentProblem(**given))
    assert one == fingerprint(AlignmentProblem(**given))
    others = [{"fitness": [[1.0, 2.0], [3.0, 4.000000000000001]]}, {"expert_capacity": 2}, {"client_demand": 1}]
    assert len({one, *(fingerprint(AlignmentProblem(**given | other)) for other in others)}) == 4


@pytest.mark.parametrize("command", [write.main, solvers.main])
def test_a_folder_without_the_inputs_is_told(command: object, tmp_path: Path) -> None:
    where = {"folder": tmp_path / "out"} if command is write.main else {"suite": "real", "out": tmp_path / "out"}
    with pytest.raises(typer.BadParameter, match=r"expert_counts\.csv: cannot be read: .*the folder must hold"):
        command(data=tmp_path, **where)  # type: ignore[operator]
    assert not (tmp_path / "out").exists()


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(typer.BadParameter, match="--form is 'xls'; it must be one of json, npz, mps, lp"):
        write.main(tmp_path, form=["xls"])
    with pytest.raises(typer.BadParameter, match="there is no suite 'surreal'"):
        write.main(tmp_path, suite="surreal")


def test_references_get_better_and_start_anew_with_another_instance(tmp_path: Path) -> None:
    case = replace(SMALL, family="drawn-mixtral-3-single-count")
    problem = make(case)
    nothing = improved(None, case, problem, ["random"], 1.0)  # it refuses hard bounds
    assert (nothing.objective, nothing.bound, nothing.gap) == (-math.inf, math.inf, math.inf)
    better = improved(nothing, case, problem, ["random", "flow"], 20.0, "abc")
    assert better.objective == pytest.approx(solve(problem, "price").objective)
    assert (better.gap, better.proof, better.found_by, better.commit) == (0.0, "PRICES", "flow", "abc")
    assert improved(better, case, problem, ["price"], 20.0) == better
    assert improved(replace(better, fingerprint="other"), case, problem, ["random"], 1.0) == nothing
    path = tmp_path / "references.csv"
    assert read_references(path) == {}
    write_references([better], path)
    assert read_references(path) == {better.instance: better}
    path.write_text("instance,objective\n")
    with pytest.raises(ValueError, match="is no file of references: its columns must be instance, num_clients"):
        read_references(path)


FOUND = 30
"""Least number of instances with a reference, for each source of inputs."""


@pytest.mark.parametrize("source", ["drawn", "real"])
def test_the_kept_references_are_those_of_the_instances(source: str) -> None:
    if source == "real" and not SHARED.is_dir():
        pytest.skip("the folder shared/data of measured inputs is not beside this checkout")
    cases = real_cases(str(SHARED) if source == "real" else None)
    known = {name: one for name, one in read_references().items() if name.startswith(source)}
    assert known.keys() <= {case.name for case in cases}
    assert sum(math.isfinite(one.gap) for one in known.values()) >= FOUND
    for case in cases[:6]:
        one, problem = known[case.name], make(case)
        assert one.fingerprint == fingerprint(problem), case.name
        if problem.class_ is ProblemClass.CARDINALITY:
            assert one.gap == 0.0
            assert solve(problem, "flow").objective == pytest.approx(one.objective, rel=1e-9)


def test_no_reference_is_beyond_its_bound() -> None:
    broken = [one.instance for one in read_references().values() if one.objective > one.bound * (1.0 + 1e-9)]
    assert not broken


def test_the_page_has_the_table_of_the_kept_references() -> None:
    page = reference_table.PAGE.read_text(encoding="utf-8")
    assert reference_table.with_table(page, read_references().values()) == page
    with pytest.raises(ValueError, match="the page lacks the lines"):
        reference_table.with_table("# A page\n", [])


@pytest.fixture
def program(tmp_path: Path) -> Path:
    path = tmp_path / "mine"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return path


@pytest.mark.skipif(os.name == "nt", reason="Windows starts no scripts by their first line")
def test_a_program_takes_part_by_files(program: Path, tmp_path: Path) -> None:
    contender = find(f"program:{program}", 5.0)
    heard: list[tuple[float, float]] = []
    problem = AlignmentProblem(make(replace(SMALL, family="drawn-mixtral-3-single-count")).fitness, client_capacity=3)
    claim = contender.follow(contender.build(problem), lambda *point: heard.append(point))  # type: ignore[attr-defined]
    assert heard == [(float("-inf"), 1e6), (1.0, 1e6)]
    trial = judgement(problem, claim)
    assert trial.feasible
    assert trial.objective == pytest.approx(sum(problem.fitness[i, i % 8 :: 8].sum() for i in range(10)))
    assert (
        judgement(make(SMALL), contender.solve(contender.build(make(SMALL)))).reason
        == "no answer; budgets are not for me"
    )
    program.write_text("#!/bin/sh\necho out of order\nexit 3\n")
    with pytest.raises(RuntimeError, match="mine ended with 3; out of order"):
        contender.solve(contender.build(problem))
    program.write_text('#!/bin/sh\necho "{}" > "$2"\n')
    with pytest.raises(RuntimeError, match=r"its answer cannot be read: .*is not an alignsolve solution"):
        contender.solve(contender.build(problem))
    with pytest.raises(typer.BadParameter, match="is no program that can be executed"):
        solvers.main(program=[str(tmp_path / "nowhere")], out=tmp_path / "out")


@pytest.mark.slow
def test_a_contender_is_followed_and_its_points_are_kept(tmp_path: Path) -> None:
    """One process serves both instances; the last point is the checked answer."""
    cases = tuple(replace(SMALL, family=f"drawn-mixtral-3-single-{devices}") for devices in ("count", "seconds"))
    suite, path = Suite("?", cases, ("highs-mip",)), tmp_path / "points.csv"
    curves.follow(suite, ("highs-mip", "ortools"), path, seconds=20.0)
    points = curves.read_points(path)
    curves.follow(suite, ("highs-mip", "ortools"), path, seconds=20.0)
    assert curves.read_points(path) == points
    last = {(point.instance, point.contender): point for point in points}
    assert [point.outcome for point in last.values()] == ["answered", "answered", "answered", "refused"]
    assert {point.outcome for point in points} == {"running", "answered", "refused"}
    for case in cases:
        line = [point for point in points if (point.instance, point.contender) == (case.name, "highs-mip")]
        assert [point.seconds for point in line] == sorted(point.seconds for point in line)
        assert line[-1].objective == pytest.approx(line[-2].objective)
    path.write_text("instance,seconds\n")
    with pytest.raises(ValueError, match="is no file of points: its columns must be instance, contender"):
        curves.read_points(path)
