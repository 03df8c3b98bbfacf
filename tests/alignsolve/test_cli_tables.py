"""The command line with tables: from a list of pairs to a named answer, and what is told when that fails."""

import csv
import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from typer.testing import CliRunner

from alignsolve import SOLVERS, AlignmentProblem, problem_from_tables, solve
from alignsolve.cli import app
from alignsolve.commands.turns import LeftRaceError, take_turns
from alignsolve.io import load_problem, load_solution, save_problem
from alignsolve.io.to_tables import beside, save_tables, tables_of
from alignsolve.problem import FIELDS
from problems import orlib
from tests.strategies import problems

PAIRS = "client,expert,fitness\nAnn,x,3\nAnn,y,1\nBob,x,2\n"
EXPERTS = "expert,capacity\nx,1\ny,1\n"
ASN = "p asn 4 4\nn 1\nn 2\na 1 3 5\na 1 4 2\na 2 3 1\na 2 4 4\n"


def run(*arguments, stdin=None, **settings):
    result = CliRunner(env=settings).invoke(app, [str(argument) for argument in arguments], input=stdin)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pairs.csv").write_text(PAIRS)
    (tmp_path / "experts.csv").write_text(EXPERTS)
    return tmp_path


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_two_commands_lead_to_a_named_answer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, stdout, _ = run("example")
    (tmp_path / "pairs.csv").write_text(stdout)
    assert code == 0
    assert run("solve", "pairs.csv", "-o", "alignment.csv")[0] == 0
    assert rows(tmp_path / "alignment.csv")[:2] == [["client", "expert", "fitness"], ["phone-01", "travel", "0.45"]]
    code, _, stderr = run("example", "--folder", ".", "--overwrite")
    command = stderr.removeprefix("now: alignsolve ").split()
    code, stdout, _ = run(*command, "--overwrite")
    assert code == 0
    assert "phone-01" in stdout
    assert "travel" in stdout
    assert run("example", "--part", "experts")[1] == (tmp_path / "experts.csv").read_text()
    assert run("example", "--folder", ".")[0] == 2


def test_a_table_from_standard_input_solves_like_one_from_a_file(files):
    known = run("solve", "pairs.csv", "--experts", "experts.csv", "--json")[1]
    facts = json.loads(run("solve", "-", "--experts", "experts.csv", "--json", stdin=PAIRS)[1])
    assert (facts["client_names"], facts["expert_names"]) == (["Ann", "Bob"], ["x", "y"])
    assert facts["objective"] == json.loads(known)["objective"] == 3
    for name in ("p.json", "p.npz"):
        save_problem(AlignmentProblem([[2.0]]), name)
        assert json.loads(run("solve", "-", "--json", stdin=(files / name).read_bytes())[1])["objective"] == 2


def test_dimacs_and_or_library_are_known_by_their_content(files):
    (files / "a.txt").write_text(ASN)
    assert json.loads(run("solve", "a.txt", "--json")[1])["objective"] == -3
    assert json.loads(run("solve", "-", "--json", stdin=ASN)[1])["objective"] == -3
    orlib.write(AlignmentProblem([[-1, -2], [-3, -1]], client_demand=1, expert_capacity=2.0), "b.txt")
    assert json.loads(run("solve", "b.txt", "--json")[1])["objective"] == -2
    code, _, stderr = run("solve", "a.txt", "--experts", "experts.csv")
    assert (code, "is a file of kind dimacs; tables of clients and experts go with" in stderr) == (2, True)


def test_names_go_from_a_table_through_every_file(files):
    assert run("convert", "pairs.csv", "p.json", "--experts", "experts.csv")[0] == 0
    assert load_problem("p.json").client_names == ("Ann", "Bob")
    assert run("solve", "p.json", "-o", "s.npz")[0] == 0
    assert load_solution("s.npz").expert_names == ("x", "y")
    assert run("verify", "pairs.csv", "s.npz", "--experts", "experts.csv")[0] == 0
    code, _, stderr = run("convert", "p.json", "again.csv")
    assert (code, "again.clients.csv" in stderr) == (0, True)
    assert rows(files / "again.csv")[1:] == [["Ann", "x", "3"], ["Ann", "y", "1"], ["Bob", "x", "2"]]
    stdout = run("diagnose", "again.csv", "--clients", "again.clients.csv", "--experts", "again.experts.csv")[1]
    assert "experts at capacity: expert" in stdout
    assert "client Ann" in stdout


def test_an_infeasible_table_is_told_by_name_and_leaves_no_file(files):
    (files / "clients.csv").write_text("client;demand\nAnn;1\nBob;2\n")
    code, stdout, stderr = run("solve", "pairs.csv", "--clients", "clients.csv", "-o", "out.csv")
    assert code == 20
    assert "client Bob demands 2 experts" in " ".join(stdout.split())
    assert "there is no alignment to write; out.csv is not written" in stderr
    assert not (files / "out.csv").exists()


WRONG = {
    "missing": ("client,expert\nAnn,x\n", "pairs.csv: the column 'fitness' is missing"),
    "near": ("client,expert,fitnes\nAnn,x,1\n", "the column 'fitnes' is not known; did you mean 'fitness'?"),
    "capital": ("Client,expert,fitness\nAnn,x,1\n", "the column 'Client' is not known; did you mean 'client'?"),
    "no header": ("Ann,x,1\nBob,x,2\n", "the first line must name the columns"),
    "twice": (PAIRS + "Ann,x,4\n", "pairs.csv, line 5: client Ann, expert x is in line 2 already"),
    "stranger": (PAIRS + "Ann,z,4\n", "pairs.csv, line 5, column expert: experts.csv has no expert 'z'"),
    "empty name": (PAIRS + ",x,4\n", "pairs.csv, line 5, column client: the name is empty"),
    "no number": (PAIRS.replace("2", "two"), "pairs.csv, line 4, column fitness: 'two' is no number"),
    "decimal commas": (PAIRS.replace("2", "2,5"), "pairs.csv, line 4: there are 4 cells, the header has 3; if numbers"),
    "infinite": (PAIRS.replace("2", "inf"), "fitness of client Bob, expert x is inf"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_bad_table_is_told_with_its_place_and_no_traceback(files, name):
    content, told = WRONG[name]
    (files / "pairs.csv").write_text(content)
    code, stdout, stderr = run("solve", "pairs.csv", "--experts", "experts.csv")
    assert (code, stdout) == (2, "")
    assert told in stderr
    assert "Traceback" not in stderr


def test_a_spreadsheet_is_told_to_be_saved_as_csv(files):
    (files / "pairs.xlsx").write_bytes(b"PK\x03\x04")
    code, _, stderr = run("solve", "pairs.xlsx")
    assert (code, "save the table as 'CSV UTF-8'" in " ".join(stderr.split())) == (2, True), stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["slove"], "Did you mean 'solve'"),
        (["solve", "pairs.csv", "--clinets", "x"], "Did you mean one of: '--clients'"),
        (["solve", "pairs.csv", "--solver", "prise"], "did you mean 'price'?"),
        (["solve", "pairs.csv", "-o", "a.txt"], "it must be .npz, .json or .csv"),
        (["convert", "pairs.csv", "a.xlsx"], "it must be .npz, .json or .csv"),
        (["convert", "pairs.csv", "pairs.csv"], "exists already: choose another name, or pass --overwrite"),
        (["bench", "pairs.csv", "--solver", "fast"], "unknown solver 'fast'"),
    ],
)
def test_wrong_usage_names_the_nearest_right_one(files, arguments, told):
    code, _, stderr = run(*arguments)
    assert (code, told in " ".join(stderr.replace("│", " ").split())) == (2, True), stderr


def test_every_argument_has_help_and_every_command_says_what_it_does():
    commands = run("--help")[1]
    for name in ("solve", "verify", "diagnose", "convert", "example", "bench", "solvers"):
        assert name in commands
    from typer.main import get_command  # noqa: PLC0415

    for name, command in get_command(app).commands.items():
        assert command.help, name
        for parameter in command.params:  # click 8.3 takes the help away from typer's arguments
            assert parameter.help or (parameter.metavar and f"{parameter.metavar} is " in command.help), parameter


@pytest.mark.parametrize("command", ["solve pairs.csv", "bench pairs.csv --solver price --repeats 1", "solve --help"])
def test_sixty_columns_without_colour_are_enough(files, command):
    code, stdout, _ = run(*command.split(), COLUMNS="60", NO_COLOR="1", TERMINAL_WIDTH="60")
    assert code == 0
    assert "\x1b" not in stdout
    tables = [line for line in stdout.splitlines() if set(line) & set("│┃╭┏└─")]
    assert tables
    assert max(map(len, tables)) <= 60


def test_the_version_and_the_module():
    assert run("--version")[1].startswith("alignsolve 0.")
    done = subprocess.run([sys.executable, "-m", "alignsolve", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == run("--version")[1]


def test_solvers_race_on_ones_own_problem(files):
    code, stdout, stderr = run("bench", "pairs.csv", "--solver", "price", "--solver", "topk", "--repeats", 2)
    assert (code, "OPTIMAL" in stdout, "price          #1" in stderr) == (0, True, True)
    runs = json.loads(run("bench", "pairs.csv", "--experts", "experts.csv", "--solver", "topk", "--solver", "flow",
                          "--repeats", 1, "--json")[1])["runs"]  # fmt: skip
    assert [(each["solver"], each["outcome"]) for each in runs] == [("topk", "refused"), ("flow", "OPTIMAL")]
    assert "hard expert capacities" in runs[0]["reason"]


class Racer:
    """A contender with a list of what its attempts are; None: it leaves the race."""

    def __init__(self, name, script, log):
        self.name, self.script, self.log = name, list(script), log

    def prepare(self):
        """Say that it is ready, or leave."""
        if not self.script:
            raise LeftRaceError(Result("absent"))

    def attempt(self):
        """Return the next attempt."""
        self.log.append(self.name)
        return self.script.pop(0)

    def close(self):
        """Say that it is closed."""
        self.log.append(f"{self.name} closed")


class Result:
    """A measurement."""

    def __init__(self, outcome, total_seconds=1.0):
        self.outcome, self.total_seconds = outcome, total_seconds


def test_contenders_take_turns_forwards_and_backwards():
    log = []
    scripts = {"a": [Result("ok")] * 2, "b": [Result("ok"), Result("gone")], "c": [], "d": [Result("ok", 9.0)]}
    missing = {name: [0, 1] for name in scripts} | {"e": []}
    turns = list(take_turns([*scripts, "e"], missing, lambda name: Racer(name, scripts[name], log), gone=("gone",),
                            once_from=5.0))  # fmt: skip
    assert [(name, repeat, each.outcome) for name, repeat, each in turns] == [
        ("c", 0, "absent"), ("a", 0, "ok"), ("b", 0, "ok"), ("d", 0, "ok"), ("b", 1, "gone"), ("a", 1, "ok"),
    ]  # fmt: skip
    assert log == ["c closed", "a", "b", "d", "d closed", "b", "b closed", "a", "a closed"]
    assert set(SOLVERS) >= {"price", "topk"}


@given(problem=problems())
def test_a_problem_survives_its_tables(problem):
    try:
        again = problem_from_tables(*tables_of(problem))
    except ValueError as error:
        assert "cannot say that" in str(error)  # noqa: PT017  (some problems have no tables)
        return
    seen = np.ones(problem.shape, dtype=bool) if problem.eligible is None else problem.eligible
    for field in FIELDS:
        expected, found = getattr(problem, field), getattr(again, field)
        if field in ("eligible", "expert_group") or expected is None:
            continue
        if field in ("fitness", "switching_cost", "client_load", "expert_cost", "previous"):
            expected, found = expected[seen], found[seen]
        if field.startswith("group"):
            present = list(dict.fromkeys(problem.expert_group.tolist()))
            expected = expected[:, present]
        np.testing.assert_array_equal(found, expected, err_msg=field)


def test_three_files_lie_side_by_side(tmp_path):
    problem = problem_from_tables({"client": ["a, b"], "expert": ["é"], "fitness": [0.1]})
    save_tables(problem, tmp_path / "t.csv")
    again = problem_from_tables(*beside(tmp_path / "t.csv"))
    assert (again.client_names, again.expert_names, solve(again).objective) == (("a, b",), ("é",), 0.1)
