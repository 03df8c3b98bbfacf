"""The races: peers agree with our solvers, bad contenders become rows, races resume, reports are made from rows."""

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from alignsolve import Alignment, AlignmentProblem, Answer, solve
from alignsolve.io import save_problem
from benchmarks import instances, memory, report, solvers
from benchmarks.case import Case
from benchmarks.contender import Claim
from benchmarks.entrants import find, in_order
from benchmarks.instances import files
from benchmarks.machine import this_machine
from benchmarks.measure import race
from benchmarks.peers import PEERS
from benchmarks.real import is_real
from benchmarks.rows import Row, Table, best_bounds, gap, make_row, read
from benchmarks.set_shapes import SET_SHAPES
from benchmarks.shapes import SHAPES
from benchmarks.solvers import run
from benchmarks.suites import Suite, suites
from benchmarks.summary import profile, slopes, standings
from benchmarks.trial import Trial, judgement
from problems import FAMILIES

pytestmark = pytest.mark.filterwarnings("ignore:.*PuLP 4.0:DeprecationWarning")

PACKAGES = {"lapx": "lap", "pot-emd": "ot"}
"""Peers that need a package beyond those that the tests install."""
MACHINE = this_machine()


@pytest.fixture(autouse=True)
def light_pot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep POT from importing every array library there is."""
    for backend in ("PYTORCH", "JAX", "CUPY", "TENSORFLOW"):
        monkeypatch.setenv(f"POT_BACKEND_DISABLE_{backend}", "1")


def installed(peer: str) -> bool:
    package = PACKAGES.get(peer)
    return package is None or find_spec(package) is not None


def make(family: str, num_clients: int = 40, num_experts: int = 5, *, one_each: bool = False) -> AlignmentProblem:
    return instances.make(Case(family, num_clients, num_experts, one_each=one_each))


# Solvers of the reader's own, good and bad; workers import them from here by name.


def honest(problem: AlignmentProblem, **_: object) -> Answer:
    solution = solve(problem, "flow")
    return Answer(solution.assigned, solution.prices)


def crashing(problem: AlignmentProblem, **_: object) -> Answer:
    raise ZeroDivisionError(f"no way through {problem.num_clients} clients")


def hanging(problem: AlignmentProblem, **_: object) -> Answer:
    time.sleep(3600)
    return Answer()


def breaking(problem: AlignmentProblem, **_: object) -> Answer:
    return Answer(np.ones(problem.shape, dtype=np.bool_))


# Peers


@pytest.mark.parametrize("one_each", [False, True])
@pytest.mark.parametrize("family", ["uniform", "integers", "tight", "sparse", "layers", "required", "soft"])
@pytest.mark.parametrize("peer", [name for name in PEERS if not name.startswith("highs")])
def test_a_peer_reaches_our_optimum_or_refuses(peer: str, family: str, one_each: bool) -> None:
    if not installed(peer):
        pytest.skip(f"{peer} is not installed")
    problem, contender = make(family, one_each=one_each), find(peer)
    if contender.refusal(problem) is not None:
        return
    found = judgement(problem, contender.solve(contender.build(problem)))
    assert found.feasible, found.reason
    assert found.objective == pytest.approx(solve(problem, "flow").objective, rel=1e-5)


@pytest.mark.slow
def test_highs_reaches_our_optimum_and_its_prices_prove_it(tmp_path: Path) -> None:
    # In processes of their own: the HiGHS of highspy and the one inside OR-Tools cannot live in the same.
    names = [name for name in PEERS if name.startswith("highs")]
    for case in (Case("layers", 40, 8), Case("required", 40, 5)):
        ours = solve(instances.make(case), "flow")
        for name, _, trial in race(case, names, {name: [0] for name in names}, timeout=60):
            assert trial.feasible, trial.reason
            assert trial.objective == pytest.approx(ours.objective, rel=1e-9)
            if name != "highs-mip":
                assert trial.proof == "PRICES"
                assert trial.bound == pytest.approx(ours.objective, rel=1e-9)


def test_every_peer_takes_something_that_we_take() -> None:
    plain, square = make("uniform", one_each=True), make("rectangular", 5, 5)
    assert [name for name in PEERS if find(name).refusal(plain) and find(name).refusal(square)] == []


@pytest.mark.parametrize(
    ("peer", "family", "word"),
    [
        ("ortools", "weighted", "weighted loads"),
        ("highs-simplex", "soft", "soft bounds"),
        ("pot-emd", "uniform", "c = 1"),
        ("flow", "budgets", "budgets"),
    ],
)
def test_a_refusal_names_what_is_beyond_it(peer: str, family: str, word: str) -> None:
    reason = find(peer).refusal(make(family))
    assert reason is not None
    assert word in reason


def test_replication_that_would_not_fit_in_memory_is_refused_with_its_size() -> None:
    fitness = np.broadcast_to(np.zeros(1), (100_000, 4))
    reason = find("scipy-lsa").refusal(AlignmentProblem(fitness, client_demand=1, expert_capacity=30_000))
    assert reason is not None
    assert "96 GB" in reason


def test_an_unknown_contender_is_an_error_that_lists_the_known() -> None:
    with pytest.raises(ValueError, match=r"unknown contender 'hungarian'.*flow.*ortools"):
        find("hungarian")


# Judgement


def test_a_claim_is_judged_by_the_problem_alone() -> None:
    problem = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1)
    right = judgement(problem, Claim("optimal", [[1, 0], [0, 1]], np.array([1.0, 0.5])))
    assert (right.feasible, right.objective, right.proof) == (True, 4.5, "PRICES")
    assert right.bound == pytest.approx(4.5)
    wrong = judgement(problem, Claim("optimal", [[1, 0], [1, 0]]))
    assert (wrong.feasible, wrong.objective) == (False, None)
    assert "expert 0 carries a load of 2" in wrong.reason
    assert judgement(problem, Claim("gave up")).outcome == "nothing"


# Measurement


def race_of(*solvers: Callable[..., Answer], timeout: float = 30.0, repeats: int = 2) -> list[tuple[str, int, Trial]]:
    names = [f"{__name__}:{solver.__name__}" for solver in solvers]
    return list(race(Case("uniform", 30, 4), names, {name: list(range(repeats)) for name in names}, timeout=timeout))


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let workers import this file by its name here."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


@pytest.mark.usefixtures("importable")
def test_one_s_own_solver_is_measured_and_judged() -> None:
    trials = race_of(honest)
    assert [(repeat, trial.outcome, trial.feasible) for _, repeat, trial in trials] == [
        (0, "answered", True),
        (1, "answered", True),
    ]
    assert all(trial.build_seconds > 0 and trial.solve_seconds > 0 and trial.peak_mb >= 0 for *_, trial in trials)


@pytest.mark.slow
@pytest.mark.usefixtures("importable")
def test_who_crashes_hangs_or_cheats_stays_in_the_table_as_that() -> None:
    found = {name.partition(":")[2]: trial for name, _, trial in race_of(crashing, breaking, repeats=1)}
    assert found["crashing"].outcome == "crashed"
    assert "ZeroDivisionError: no way through 30 clients" in found["crashing"].reason
    assert found["breaking"].outcome == "nothing"
    assert "breaks constraints" in found["breaking"].reason
    ((_, _, hung),) = race_of(hanging, timeout=0.5)
    assert (hung.outcome, hung.reason) == ("timeout", "killed after 0.5 s (warm_up)")


def test_a_contender_without_its_package_is_a_row_that_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PEERS, "absent", "no_such_package.module:SOLVER")
    with pytest.raises(ImportError):
        find("absent")
    ((_, _, trial),) = race(Case("uniform", 30, 4), ["no_such_package:x"], {"no_such_package:x": [0]}, timeout=30)
    assert trial.outcome == "missing"
    assert "no_such_package" in trial.reason


@pytest.mark.slow
def test_repeats_alternate_in_order() -> None:
    names = ["flow", "ortools"]
    order = [name for name, _, _ in race(Case("uniform", 30, 4), names, {n: [0, 1] for n in names}, timeout=60)]
    assert order == ["flow", "ortools", "ortools", "flow"]


def test_peak_memory_is_what_was_held_at_once() -> None:
    watch = memory.Watch()
    for _ in range(2):
        held = np.ones(4_000_000)
        del held
    if not np.isnan(watch.peak_mb()):
        assert 25 < watch.peak_mb() < 60
        assert memory.Watch().peak_mb() < 20


def test_memory_of_child_processes_counts() -> None:
    """In a process of its own: only the largest child so far is known, and other tests have had larger ones."""
    code = (
        "import subprocess, sys; from benchmarks import memory; watch = memory.Watch(); "
        "subprocess.run([sys.executable, '-c', 'held = bytearray(150_000_000)'], check=True); print(watch.peak_mb())"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    peak_mb = float(done.stdout)
    assert np.isnan(peak_mb) or peak_mb > 150


# Rows


SMALL = Suite("Does it resume?", (Case("uniform", 30, 4), Case("ties", 30, 4)), ("flow", "ortools"), repeats=2)


def test_a_run_resumes_where_it_stopped(tmp_path: Path) -> None:
    table = Table(tmp_path / "rows.csv")
    run("test", SMALL, table, only=["uniform*"], in_process=True)
    first = table.path.read_text().splitlines()
    assert len(first) == 1 + 4
    table.path.write_text("\n".join(first[:-1]) + "\n")
    again = Table(table.path)
    run("test", SMALL, again, in_process=True)
    lines = again.path.read_text().splitlines()
    assert lines[:4] == first[:4]
    assert len(lines) == 1 + 8
    assert len({found.key for found in read(again.path)}) == 8
    run("test", SMALL, Table(table.path), in_process=True)
    assert table.path.read_text().splitlines() == lines


def timed(contender: str, num_clients: int, seconds: float, **changes: object) -> Row:
    trial = Trial("answered", "", "OPTIMAL", 0.0, seconds, np.nan, 1.0, True, 10.0, 10.0, "PRICES", 0.001)
    row = make_row("test", Case("uniform", num_clients, 4), contender, 0, trial, MACHINE)
    return replace(row, **changes)  # type: ignore[arg-type]


def test_who_timed_out_is_not_asked_again_at_a_larger_size(tmp_path: Path) -> None:
    table = Table(tmp_path / "rows.csv")
    table.append(timed("flow", 20, np.nan, outcome="timeout", reason="killed", feasible=False, objective=None))
    run("test", replace(SMALL, repeats=1), table, in_process=True)
    found = {(row.family, row.contender): (row.outcome, row.reason) for row in table.rows if row.num_clients == 30}
    assert found["uniform", "flow"] == ("skipped", "timed out at 20 clients")
    assert found["uniform", "ortools"][0] == found["ties", "flow"][0] == "answered"


def test_who_was_missing_is_asked_again_once_it_is_installed(tmp_path: Path) -> None:
    table = Table(tmp_path / "rows.csv")
    table.append(timed("flow", 30, np.nan, outcome="missing", reason="not installed", feasible=False, objective=None))
    run("test", replace(SMALL, repeats=1), table, only=["uniform*/flow"], in_process=True)
    (found,) = standings(table.rows)
    assert found.solved


def test_rows_survive_the_file_exactly(tmp_path: Path) -> None:
    table = Table(tmp_path / "rows.csv")
    whole = timed(
        "flow", 10, 1 / 3, backend_seconds=0.25, objective=2**60 + 1, bound=2**60 + 1, reason='a "reason", with commas'
    )
    nothing = timed("auto", 10, np.nan, outcome="nothing", objective=None, bound=np.inf)
    table.append(whole)
    table.append(nothing)
    back = read(table.path)
    assert back[0] == whole
    assert (back[1].objective, back[1].bound) == (None, np.inf)
    assert np.isnan(back[1].solve_seconds)


def test_other_files_are_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"rows\.csv is not a file of benchmark rows"):
        Table(path)


def test_gaps_are_to_the_best_bound_of_the_instance() -> None:
    loose, tight = timed("greedy", 10, 1.0, objective=9.0, bound=11.0), timed("flow", 10, 1.0)
    bounds = best_bounds([loose, tight])
    assert gap(loose, bounds[loose.instance]) == pytest.approx(0.1)
    assert gap(tight, bounds[tight.instance]) == 0.0


# Summaries and reports


def test_growth_and_profile_are_those_of_the_definition() -> None:
    found = standings(
        [
            *(timed("flow", 10, 1.0), timed("flow", 1000, 100.0)),
            *(timed("ortools", 10, 3.0), timed("ortools", 1000, 50.0)),
            timed("greedy", 10, 0.1, objective=9.0),
        ]
    )
    assert slopes(found)["uniform", 4, "flow"] == pytest.approx(1.0)
    assert profile(found) == {"flow": [1.0, 2.0], "ortools": [1.0, 3.0], "greedy": []}


def test_the_report_tells_the_rows_in_both_forms(tmp_path: Path) -> None:
    rows = [timed("flow", n, n / 100) for n in (10, 100, 1000)] + [timed("ortools", n, n / 50) for n in (10, 100)]
    rows.append(timed("ortools", 1000, np.nan, outcome="timeout", reason="killed after <5> s", objective=None))
    markdown, page = report.write(rows, tmp_path / "test", question="Who is fast?")
    text, html = markdown.read_text(), page.read_text()
    assert "| uniform-1000x4 | 10 | timeout |" in text
    assert "| uniform-100x4 | 2 |" in text
    assert "| uniform x 4 | flow | 1.00 |" in text
    assert "| ortools | timeout | killed after <5> s | uniform-1000x4 |" in text
    assert MACHINE.versions in text
    assert html.count("<svg") == 2
    assert "killed after &lt;5&gt; s" in html
    assert "http://" not in html.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_contenders_stand_in_the_same_order_everywhere() -> None:
    assert in_order(["mine.module:solver", "ortools", "flow", "ortools"]) == ["flow", "ortools", "mine.module:solver"]


# Suites and problems of one's own


def test_every_suite_names_families_and_contenders_that_exist() -> None:
    for suite in suites().values():
        named = {case.family for case in suite.cases if not is_real(case.family)}
        assert named <= FAMILIES.keys() | SHAPES.keys() | SET_SHAPES.keys()
        for name in suite.contenders:
            assert find(name) is not None
        sizes = [case.num_clients for case in suite.cases]
        assert sizes == sorted(sizes)


def test_problems_of_one_s_own_are_cases_with_their_sizes(tmp_path: Path) -> None:
    save_problem(make("layers", 12, 4), tmp_path / "mine.json")
    (tmp_path / "theirs.asn").write_text("p asn 4 2\nn 1\nn 2\na 1 3 5\na 2 4 7\n")
    (tmp_path / "notes.txt").write_text("not a problem")
    cases = files(tmp_path)
    assert [(case.name, case.num_clients, case.num_experts) for case in cases] == [
        ("mine.json", 12, 4),
        ("theirs.asn", 2, 2),
    ]
    trials = list(race(cases[1], ["flow"], {"flow": [0]}, timeout=60))
    assert [trial.objective for _, _, trial in trials] == [-12]


@pytest.mark.usefixtures("importable")
def test_the_command_line_races_one_s_own_solver_on_one_s_own_problems(tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    save_problem(make("layers", 12, 4), mine / "layers.npz")
    own = f"{__name__}:honest"
    solvers.main(problems=mine, solver=[own], only=["*/flow", "*honest"], repeats=1, out=tmp_path)
    found = {row.contender: (row.instance, row.outcome, row.objective) for row in read(tmp_path / "mine.csv")}
    assert found.keys() == {"flow", own}
    assert found["flow"] == found[own]
    assert "| layers.npz |" in (tmp_path / "mine.md").read_text()
    assert "layers.npz" in (tmp_path / "mine.html").read_text()


def test_an_empty_folder_has_no_problems(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no problem in .*\.npz"):
        files(tmp_path)


def test_the_command_line_refuses_an_unknown_suite() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.solvers", "--suite", "tiny"], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "there is no suite 'tiny'" in " ".join(done.stderr.replace("│", " ").split())


def test_alignments_of_peers_keep_clients_without_pairs() -> None:
    problem = AlignmentProblem(np.ones((3, 2)), eligible=np.array([[1, 1], [1, 0], [0, 0]], dtype=bool))
    contender = find("ortools")
    claim = contender.solve(contender.build(problem))
    assert isinstance(claim.x, Alignment)
    assert np.diff(claim.x.indptr).tolist() == [1, 1, 0]
