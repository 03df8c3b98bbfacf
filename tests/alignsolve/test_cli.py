"""The command line: exit codes, tables, JSON, bad input, and verification that trusts nothing in a file."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

from alignsolve import SOLVERS, Alignment, AlignmentProblem, Answer, Capabilities, Feature
from alignsolve.cli import app
from alignsolve.io import load_problem, load_solution, save_problem
from alignsolve.solver import EVERYTHING
from problems import FAMILIES

SMALL = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1)


class Mute:
    """A solver that finds nothing and proves nothing."""

    capabilities = Capabilities()

    def __call__(self, problem, **_) -> Answer:  # noqa: D102
        return Answer()


class Timid:
    """A solver that assigns nothing: feasible without demands, and far from the optimum."""

    capabilities = Capabilities(takes=EVERYTHING - {Feature.GROUPS})

    def __call__(self, problem, **_) -> Answer:  # noqa: D102
        return Answer(
            x=Alignment.from_pairs([], [], problem.num_clients),
            stats={"tries": np.int64(1), "best": -np.inf, "moved": {2}, "by": Timid},
        )


class Eager:
    """A solver that assigns every expert to every client."""

    capabilities = Capabilities()

    def __call__(self, problem, **_) -> Answer:  # noqa: D102
        return Answer(x=np.ones(problem.shape))


class Oracle:
    """A solver that claims more than prices can prove, as an exhaustive back end may."""

    capabilities = Capabilities(exact=True)

    def __call__(self, problem, **_) -> Answer:  # noqa: D102
        if problem.expert_demand.any():
            return Answer(infeasible=True)
        return Answer(x=np.array([[True], [False]]), bound=3.0)


@pytest.fixture(autouse=True)
def more_solvers(monkeypatch):
    for solver in (Mute, Timid, Eager, Oracle):
        monkeypatch.setitem(SOLVERS, solver.__name__.lower(), f"{__name__}:{solver.__name__}")


def run(*arguments) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def strict(text):
    return json.loads(text, parse_constant=pytest.fail)


@pytest.fixture
def small(tmp_path):
    save_problem(SMALL, tmp_path / "small.json")
    return tmp_path / "small.json"


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_an_optimal_answer_is_shown_written_and_verified(small, tmp_path, suffix):
    out = tmp_path / f"answer{suffix}"
    code, stdout, stderr = run("solve", small, "-o", out)
    assert (code, stderr) == (0, "")
    assert "OPTIMAL" in stdout
    assert "4.5" in stdout
    assert "experts" in stdout
    claim = load_solution(out)
    assert claim.assigned.to_dense(2).tolist() == [[True, False], [False, True]]
    code, stdout, stderr = run("verify", small, out)
    assert (code, stderr) == (0, "")
    assert "everything holds" in stdout


def test_json_of_an_optimal_answer(small):
    code, stdout, stderr = run("solve", small, "--json", "--seed", 3, "--threads", 1, "--time-limit", 60)
    facts = strict(stdout)
    assert (code, stderr) == (0, "")
    assert (facts["status"], facts["proof"], facts["objective"]) == ("OPTIMAL", "PRICES", 4.5)
    assert 0.0 <= facts["gap"] <= 1e-9
    assert facts["alignment"] == [[0], [1]]
    assert facts["loads"] == [1.0, 1.0]
    assert SMALL.bound(facts["prices"]) == facts["bound"]


def provable_by_prices(name: str) -> bool:
    """Return whether the family is infeasible by a row, or in the cardinality class, so that "auto" has a proof."""
    problem = FAMILIES[name](np.random.default_rng(1), num_clients=8, num_experts=4)
    return FAMILIES[name].infeasible.side == "row" or problem.class_ == "cardinality"


INFEASIBLE = [name for name, family in FAMILIES.items() if not family.feasible and provable_by_prices(name)]


@pytest.mark.parametrize("name", INFEASIBLE)
def test_infeasible_answers_exit_with_20_and_hold(name, tmp_path):
    family = FAMILIES[name]
    save_problem(family(np.random.default_rng(1), num_clients=8, num_experts=4), tmp_path / "p.npz")
    code, stdout, stderr = run("solve", tmp_path / "p.npz", "--json", "-o", tmp_path / "s.json")
    facts = strict(stdout)
    assert (code, stderr) == (20, "")
    assert (facts["bound"], facts["gap"], facts["objective"]) == ("-inf", "inf", None)
    assert facts["witness"]["side"] == family.infeasible.side
    code, stdout, _ = run("verify", tmp_path / "p.npz", tmp_path / "s.json")
    assert code == 20
    assert "everything holds" in stdout
    assert "infeasible: " in stdout


def test_an_own_proof_is_a_tree_that_verify_checks(tmp_path):
    problem = FAMILIES["mixed"](np.random.default_rng(3), num_clients=20, num_experts=5)
    save_problem(problem, tmp_path / "p.npz")
    code, stdout, _ = run("solve", tmp_path / "p.npz", "--proof", "own", "-o", tmp_path / "s.json", "--json")
    assert (code, strict(stdout)["proof"]) == (0, "TREE")
    code, stdout, _ = run("verify", tmp_path / "p.npz", tmp_path / "s.json")
    assert code == 0
    assert "everything holds" in stdout


def test_feasible_and_unknown_answers_have_their_own_codes(small, tmp_path):
    code, stdout, _ = run("solve", small, "--solver", "timid", "-o", tmp_path / "s.npz", "--json")
    assert code == 10
    assert strict(stdout)["stats"] == {"solver": "timid", "tries": 1, "best": "-inf", "moved": [2], "by": str(Timid)}
    assert run("verify", small, tmp_path / "s.npz")[0] == 10
    code, stdout, _ = run("solve", small, "--solver", "mute", "-o", tmp_path / "m.npz")
    assert code == 30
    assert "no alignment found by mute" in stdout
    assert run("verify", small, tmp_path / "m.npz")[0] == 30


def test_many_experts_are_cut_in_the_table_and_whole_in_json(tmp_path):
    save_problem(AlignmentProblem(np.ones((3, 100))), tmp_path / "p.npz")
    assert "and 60 more experts" in run("solve", tmp_path / "p.npz")[1]
    assert len(strict(run("solve", tmp_path / "p.npz", "--json")[1])["loads"]) == 100


def test_loads_at_their_bounds_are_marked(tmp_path):
    problem = AlignmentProblem(
        np.array([[9.0, 5.0, -1.0, -9.0], [9.0, 5.0, -1.0, -9.0]]),
        client_capacity=4,
        expert_capacity=[1, 2, 2, 2],
        expert_demand=[0, 1, 1, 1],
        overload_penalty=[2.0, np.inf, np.inf, np.inf],
        shortfall_penalty=[np.inf, np.inf, np.inf, 2.0],
    )
    save_problem(problem, tmp_path / "p.npz")
    stdout = run("solve", tmp_path / "p.npz")[1]
    marks = [line.split("│")[-2].strip() for line in stdout.splitlines() if line.count("│") == 7]
    assert marks == ["overloaded", "full", "at demand", "short"]


def test_a_load_that_fits_but_for_its_last_digit_is_full(tmp_path):
    problem = AlignmentProblem(np.ones((3, 1)), client_load=[0.1, 0.1, 0.1], expert_capacity=0.3, client_demand=1)
    save_problem(problem, tmp_path / "p.npz")
    stdout = run("solve", tmp_path / "p.npz", "--solver", "eager")[1]
    assert "full" in stdout
    assert "overloaded" not in stdout


def refused(message, *arguments):
    code, stdout, stderr = run(*arguments)
    assert (code, stdout) == (2, "")
    assert message in stderr
    assert "Traceback" not in stderr


def test_bad_input_is_told_on_stderr_with_exit_code_2(small, tmp_path):
    refused("absent.npz: cannot be read: No such file", "solve", tmp_path / "absent.npz")
    refused("absent.csv: cannot be read: No such file", "solve", tmp_path / "absent.csv")
    (tmp_path / "cut.json").write_text(small.read_text()[:-20])
    refused("cut.json: is not valid JSON, or truncated", "solve", tmp_path / "cut.json", "--json")
    refused("unknown solver 'magic'; there are: augment", "solve", small, "--solver", "magic")
    refused("gap is inf", "solve", small, "--gap", "inf")
    refused("gap", "solve", small, "--gap", "nan")
    refused("--time-limit", "solve", small, "--time-limit", "nan")
    refused("--time-limit", "solve", small, "--time-limit", "-1")
    refused("--threads", "solve", small, "--threads", "0")
    refused("No such option", "solve", small, "--sover", "flow")
    refused("Missing argument", "solve")
    refused("small.json: is an alignsolve problem, not an alignsolve solution", "verify", small, small)
    refused("cannot be read", "verify", small, tmp_path / "absent.npz")


def test_a_solver_that_cannot_take_the_problem_is_refused_by_name(tmp_path):
    save_problem(FAMILIES["layers"](np.random.default_rng(0), num_clients=4, num_experts=4), tmp_path / "p.npz")
    refused("solver 'timid' cannot take groups; solvers that can:", "solve", tmp_path / "p.npz", "--solver", "timid")


def test_outputs_are_checked_before_the_work(small, tmp_path):
    (tmp_path / "old.npz").write_text("precious")
    refused("exists already", "solve", small, "-o", tmp_path / "old.npz")
    assert (tmp_path / "old.npz").read_text() == "precious"
    refused("there is no folder", "solve", small, "-o", tmp_path / "absent" / "s.npz")
    refused("it must be .npz, .json or .csv", "solve", small, "-o", tmp_path / "s.txt")
    assert run("solve", small, "-o", tmp_path / "old.npz", "--overwrite")[0] == 0
    assert load_solution(tmp_path / "old.npz").status == "OPTIMAL"


def test_an_output_that_fails_late_still_shows_the_answer(small, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full_disk)
    code, stdout, stderr = run("solve", small, "--json", "-o", tmp_path / "s.json")
    assert code == 2
    assert strict(stdout)["objective"] == 4.5
    assert "s.json: cannot be written: No space left" in stderr


@pytest.fixture
def answered(tmp_path):
    """Return a problem file, and a function that writes its solution file with changes."""
    problem = FAMILIES["popular"](np.random.default_rng(0), num_clients=12, num_experts=4)
    save_problem(problem, tmp_path / "p.npz")
    assert run("solve", tmp_path / "p.npz", "-o", tmp_path / "s.json")[0] == 0
    original = json.loads((tmp_path / "s.json").read_text())

    def tampered(**changes):
        (tmp_path / "s.json").write_text(json.dumps({**original, **changes}))
        return tmp_path / "p.npz", tmp_path / "s.json"

    return original, tampered


def differences(problem, solution) -> list[str]:
    """Return the differences that ``verify`` finds, in JSON and in words."""
    code, stdout, _ = run("verify", problem, solution, "--json")
    facts = strict(stdout)
    shown_code, shown, _ = run("verify", problem, solution)
    assert code == shown_code == (3 if facts["differences"] else 0)
    assert all(text in shown for text in facts["differences"])
    assert facts["holds"] == (not facts["differences"])
    return facts["differences"]


def test_an_untouched_solution_holds(answered):
    assert differences(*answered[1]()) == []


def test_a_changed_assignment_is_found(answered):
    original, tampered = answered
    crowded = [0 if place in original["indptr"] else j for place, j in enumerate(original["experts"])]
    found = differences(*tampered(experts=crowded))
    assert any("breaks constraints" in text for text in found)
    assert any(
        text.startswith("status: claimed is OPTIMAL (proof PRICES), the re-check shows UNKNOWN") for text in found
    )
    assert any(text.startswith("objective: claimed is") and text.endswith("the re-check gives none") for text in found)


def test_two_swapped_experts_are_found(answered):
    original, tampered = answered
    dense = Alignment(np.array(original["indptr"]), np.array(original["experts"])).to_dense(4)
    i, k = next(
        (i, k) for i in range(12) for k in range(12) if (dense[i] > dense[k]).any() and (dense[k] > dense[i]).any()
    )
    j, m = np.argmax(dense[i] > dense[k]), np.argmax(dense[k] > dense[i])
    dense[i, [j, m]], dense[k, [j, m]] = [False, True], [True, False]
    swapped = Alignment.from_dense(dense)
    found = differences(*tampered(indptr=swapped.indptr.tolist(), experts=swapped.experts.tolist()))
    assert [text.split(":")[0] for text in found] == ["status", "objective"]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"experts": [9] * 3, "indptr": [0] * 12 + [3]}, ["alignment", "status", "objective"]),
        ({"experts": [], "indptr": [0]}, ["alignment", "status", "objective"]),
        ({"status": "FEASIBLE", "proof": "NONE"}, ["status"]),
        ({"status": "INFEASIBLE", "witness_side": "demand", "witness_experts": [0, 1]}, ["status"]),
        ({"proof": "SOLVER"}, ["status"]),
        ({"objective": 1.0}, ["objective"]),
        ({"objective": None}, ["objective"]),
        ({"bound": 1e6}, ["bound"]),
        ({"bound": "-inf"}, ["bound"]),
        ({"prices": [5.0, 5.0, 5.0, 5.0]}, ["status", "bound"]),
        ({"prices": None}, ["status", "bound"]),
        ({"prices": ["nan", 0, 0, 0]}, ["prices", "status", "bound"]),
        ({"prices": [1e300, 0, 0, 0]}, ["prices", "status", "bound"]),
        ({"indptr": None, "experts": None}, ["status", "objective"]),
    ],
)
def test_every_tampered_claim_is_found(answered, change, names):
    assert [text.split(":")[0] for text in differences(*answered[1](**change))] == names


def test_an_objective_off_by_one_unit_is_found_in_exact_integers(tmp_path):
    save_problem(AlignmentProblem([[2**52, 1], [1, 2**52]], expert_capacity=1), tmp_path / "p.json")
    assert run("solve", tmp_path / "p.json", "-o", tmp_path / "s.json")[0] == 0
    claim = json.loads((tmp_path / "s.json").read_text())
    assert claim["objective"] == 2**53
    (tmp_path / "s.json").write_text(json.dumps({**claim, "objective": 2**53 - 1}))
    assert [text.split(":")[0] for text in differences(tmp_path / "p.json", tmp_path / "s.json")] == ["objective"]


def test_a_false_witness_is_not_confirmed(tmp_path, small):
    claim = {
        "format": "alignsolve solution", "version": 1, "shape": [2, 2], "status": "INFEASIBLE", "proof": "PRICES",
        "bound": "-inf", "witness_side": "capacity", "witness_experts": [0, 1],
    }  # fmt: skip
    (tmp_path / "s.json").write_text(json.dumps(claim))
    found = differences(small, tmp_path / "s.json")
    assert "its witness on the capacity side is not confirmed" in found[0]


def test_a_solution_of_another_problem_is_refused(answered, small):
    _, solution = answered[1]()
    refused(
        "the claim is about 12 clients x 4 experts, the problem has 2 clients x 2 experts", "verify", small, solution
    )


def test_a_back_ends_word_is_neither_confirmed_nor_refuted(tmp_path):
    problem = AlignmentProblem([[3.0], [3.0]], client_load=[2.0, 2.0], expert_capacity=3.0)
    save_problem(problem, tmp_path / "p.npz")
    assert run("solve", tmp_path / "p.npz", "--solver", "oracle", "-o", tmp_path / "s.npz")[0] == 0
    code, stdout, _ = run("verify", tmp_path / "p.npz", tmp_path / "s.npz", "--json")
    facts = strict(stdout)
    assert code == 10
    assert [text.split(":")[0] for text in facts["unconfirmed"]] == ["status", "bound"]
    assert facts["claimed"]["status"] == "OPTIMAL"
    assert facts["rechecked"]["status"] == "FEASIBLE"
    assert "nothing in the file is refuted" in run("verify", tmp_path / "p.npz", tmp_path / "s.npz")[1]


def test_an_exhausted_search_is_neither_confirmed_nor_refuted(tmp_path):
    problem = AlignmentProblem([[3.0], [3.0]], client_load=[2.0, 2.0], expert_capacity=3.0, expert_demand=3.0)
    save_problem(problem, tmp_path / "p.npz")
    assert run("solve", tmp_path / "p.npz", "--solver", "oracle", "-o", tmp_path / "s.npz")[0] == 20
    code, stdout, _ = run("verify", tmp_path / "p.npz", tmp_path / "s.npz", "--json")
    assert code == 30
    assert strict(stdout)["holds"]


def test_solvers_are_listed_with_what_they_do_not_take():
    code, stdout, _ = run("solvers")
    assert code == 0
    assert "timid" in stdout
    assert "(takes everything)" in stdout
    facts = strict(run("solvers", "--json")[1])
    assert set(facts) == set(SOLVERS)
    assert facts["oracle"]["exact"]
    assert "groups" not in facts["timid"]["takes"]


def test_file_names_with_brackets_are_shown_as_they_are(tmp_path):
    refused("[bold]x[/bold].npz: cannot be read", "solve", tmp_path / "[bold]x[/bold].npz")


def test_the_command_runs_as_a_process_and_its_json_is_all_of_stdout(small, tmp_path):
    command = [sys.executable, "-m", "alignsolve.cli", "solve", small, "--json", "-o", tmp_path / "s.npz"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert strict(done.stdout)["objective"] == 4.5
    assert load_problem(small).objective(load_solution(tmp_path / "s.npz").assigned) == 4.5
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "exists already" in done.stderr


def test_a_terminal_without_unicode_is_no_reason_to_fail(tmp_path):
    save_problem(AlignmentProblem(np.ones((2, 50)), expert_demand=1), tmp_path / "p.npz")
    command = [sys.executable, "-m", "alignsolve.cli", "solve", tmp_path / "p.npz"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (20, "")
    assert "INFEASIBLE" in done.stdout


def test_the_help_tells_the_exit_codes():
    for command in ("solve", "verify"):
        stdout = run(command, "--help")[1]
        assert "20 infeasible" in " ".join(stdout.split())
