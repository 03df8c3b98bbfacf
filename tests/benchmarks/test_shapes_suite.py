"""The suites of shapes: their instances, peers that match one to one, and the table of the best peer."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from alignsolve import AlignmentProblem, solve
from benchmarks import instances, report
from benchmarks.case import Case
from benchmarks.entrants import find
from benchmarks.machine import this_machine
from benchmarks.peers.one_each import full_places
from benchmarks.rows import Table, make_row
from benchmarks.shapes import SHAPES, byte_cases, shape_cases
from benchmarks.solvers import run
from benchmarks.suites import Suite, suites
from benchmarks.trial import Trial, attempt, judgement
from problems import FAMILIES

MACHINE = this_machine()
ASSIGNMENT_PEERS = ("scipy-lsa", "ortools-lsa", "lapx")


def make(name: str, num_clients: int, num_experts: int) -> AlignmentProblem:
    return SHAPES[name](np.random.default_rng(3), num_clients=num_clients, num_experts=num_experts)


def best_of(peer: str, problem: AlignmentProblem) -> Trial:
    if peer == "lapx" and find_spec("lap") is None:
        pytest.skip("lapx is not installed")
    contender = find(peer)
    assert contender.refusal(problem) is None
    return judgement(problem, contender.solve(contender.build(problem)))


@pytest.mark.parametrize("peer", ASSIGNMENT_PEERS)
@pytest.mark.parametrize("kind", ["uniform", "integers", "rank1", "span"])
def test_assignment_peers_reach_our_optimum_of_square_problems(peer: str, kind: str) -> None:
    problem = make(f"square-{kind}", 30, 30)
    found = best_of(peer, problem)
    assert found.objective == pytest.approx(solve(problem, "flow").objective, rel=1e-6)
    rounded = peer == "ortools-lsa" and kind != "integers"
    assert found.status.endswith("for rounded costs") == rounded


@pytest.mark.parametrize("peer", ["scipy-lsa", "lapx"])
@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("rectangular-uniform", (8, 40)),
        ("rectangular-uniform", (40, 8)),
        ("wide-c1e2", (30, 10)),
        ("wide-c1e3", (50, 6)),
    ],
)
def test_assignment_peers_reach_our_optimum_of_problems_that_are_not_square(
    peer: str, name: str, size: tuple[int, int]
) -> None:
    problem = make(name, *size)
    assert best_of(peer, problem).objective == pytest.approx(solve(problem, "flow").objective, rel=1e-9)


@pytest.mark.parametrize("name", ["wide-c4e2", "olmoe-1b-7b", "olmoe-1b-7b-demands", "olmoe-1b-7b-span"])
def test_the_flow_peer_takes_capacities_groups_and_demands(name: str) -> None:
    problem = make(name, 12, 40)
    found = best_of("ortools", problem)
    assert found.objective == pytest.approx(solve(problem, "flow").objective, rel=1e-5)
    assert found.status == "OPTIMAL for rounded costs"


def places_of(fitness: object, *bounds: object, **more: object) -> list[int] | None:
    places = full_places(AlignmentProblem(fitness, *bounds, **more))
    return None if places is None else places.tolist()


def test_problems_that_the_largest_matching_solves_are_told_from_others() -> None:
    fitness, negative = np.ones((2, 3)), np.full((2, 3), -1.0)
    assert places_of(negative, client_demand=1, expert_capacity=1) == [1, 1, 1]
    assert places_of(negative.T, expert_demand=1, expert_capacity=1) == [1, 1]
    assert places_of(-np.ones((2, 2)), expert_demand=1, expert_capacity=1) == [1, 1]
    assert places_of(fitness, expert_capacity=1) == [1, 1, 1]
    assert places_of(negative, expert_capacity=1) is None
    assert places_of(fitness, client_demand=1, expert_capacity=2) == [2, 2, 2]
    assert places_of(fitness.T, client_demand=[1, 0, 0], expert_capacity=1) is None
    assert places_of(fitness, client_demand=1, expert_capacity=1, expert_demand=[1, 0, 0]) is None
    assert places_of(fitness, 2, client_demand=1, expert_capacity=1) is None
    assert places_of(fitness.T, expert_capacity=1, expert_demand=2) is None
    assert places_of(fitness, client_demand=1, expert_capacity=1, eligible=np.eye(2, 3, dtype=bool)) is None


def test_negative_fitness_leaves_places_empty() -> None:
    problem = AlignmentProblem([[-1.0, 2.0], [-3.0, -1.0], [-1.0, 1.0]], expert_capacity=1)
    assert best_of("scipy-lsa", problem).objective == 2.0


def test_what_is_no_perfect_matching_is_refused_by_the_peer_for_these() -> None:
    for name, size in (("rectangular-uniform", (4, 6)), ("wide-c4e1", (4, 4)), ("wide-c1e2", (6, 4))):
        assert find("ortools-lsa").refusal(make(name, *size)) is not None
    problem = make("square-uniform", 9, 4)
    assert best_of("ortools-lsa", problem).objective == pytest.approx(solve(problem, "flow").objective, rel=1e-6)


def test_every_shape_can_be_made_small_and_the_warm_up_keeps_the_shape() -> None:
    assert not SHAPES.keys() & FAMILIES.keys()
    for name in SHAPES:
        assert make(name, 6, 12).shape == (6, 12)
    for case in (*shape_cases(), *byte_cases()):
        small = case.warm_up()
        assert small.num_clients == case.num_clients // 4
        assert (small.num_clients == small.num_experts) == (case.num_clients == case.num_experts)
    assert instances.make(Case("square-rank1", 4, 4)).shape == (4, 4)


def test_the_suite_has_the_sizes_of_real_models() -> None:
    names = {case.name for case in suites()["shapes"].cases}
    assert {"square-rank1-2000x2000", "rectangular-uniform-200x5000", "qwen3-30b-a3b-1000x6144"} <= names
    assert {"deepseek-v3-demands-100x14848", "kimi-k2-100x23040", "olmoe-1b-7b-20x1024", "wide-c1e3-10000x256"} <= names
    limits = {case.name: case.time_limit for case in suites()["bytes"].cases if case.time_limit}
    assert limits["qwen3-30b-a3b-mixed-1000x6144@60s"] == 60.0


def test_a_slow_peer_is_asked_for_small_instances_only(tmp_path: Path) -> None:
    small, large = Case("wide-c4e1", 6, 8, same_shape=True), Case("wide-c4e1", 8, 16, same_shape=True)
    suite = Suite("Is it asked?", (small, large), ("flow", "ortools"), repeats=1, most_pairs={"ortools": 50})
    table = Table(tmp_path / "rows.csv")
    run("test", suite, table, in_process=True)
    found = {(row.instance, row.contender): (row.outcome, row.reason) for row in table.rows}
    assert found["wide-c4e1-6x8", "ortools"][0] == "answered"
    assert found["wide-c4e1-8x16", "ortools"] == ("skipped", "asked for at most 50 pairs in this suite")
    assert found["wide-c4e1-8x16", "flow"][0] == "answered"


def test_a_hopeless_entrant_is_left_out_with_its_reason(tmp_path: Path) -> None:
    case = Case("wide-c4e1", 6, 8, same_shape=True)
    suite = Suite("Is it asked?", (case,), ("flow", "ortools"), repeats=1, left_out={"wide-*/ortools": "it never ends"})
    table = Table(tmp_path / "rows.csv")
    run("test", suite, table, in_process=True)
    found = {row.contender: (row.outcome, row.reason) for row in table.rows}
    assert found["ortools"] == ("skipped", "left out: it never ends")
    assert found["flow"][0] == "answered"


def test_one_slow_attempt_is_enough(tmp_path: Path) -> None:
    case = Case("square-uniform", 20, 20, same_shape=True)
    suite = Suite("How often is it asked?", (case,), ("flow",), repeats=3, once_from=0.0)
    table = Table(tmp_path / "rows.csv")
    for _ in range(2):
        run("test", suite, table)
        assert [row.repeat for row in table.rows] == [0]


def test_a_sparse_case_is_raced_on_the_same_arcs() -> None:
    case = Case("courses", 60, 30, same_shape=True)
    problem = instances.make(case)
    ours, theirs = (attempt(find(name), problem) for name in ("auto", "ortools"))
    assert ours.objective == pytest.approx(theirs.objective, rel=1e-5)
    assert ours.fitness_mb == theirs.fitness_mb < 60 * 30 * 8 / 1e6
    assert "stored pairs" in (find("highs-simplex").refusal(problem) or "")
    assert any(found.family == "courses" for found in shape_cases())


def test_the_report_names_the_best_peer_and_what_is_slower(tmp_path: Path) -> None:
    case, trial = Case("square-uniform", 30, 30), Trial("answered", objective=9.0, bound=9.0, feasible=True)
    seconds = {"auto": 0.5, "scipy-lsa": 0.25, "ortools": 1.0}
    rows = [
        make_row("shapes", case, name, 0, replace(trial, build_seconds=0.0, solve_seconds=took), MACHINE)
        for name, took in seconds.items()
    ]
    wrong = replace(trial, objective=8.0, build_seconds=0.0, solve_seconds=0.01)
    rows.append(make_row("shapes", case, "ortools-lsa", 0, wrong, MACHINE))
    told, _ = report.write(rows, tmp_path / "shapes", question=report.question_of("shapes"))
    assert "| square-uniform-30x30 | scipy-lsa | 250 | 500 / 0.5 ! |" in told.read_text()
