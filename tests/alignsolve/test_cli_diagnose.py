"""``alignsolve diagnose``: exit codes, text, JSON, and the repaired problem in a file."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from alignsolve import AlignmentProblem, Status, solve
from alignsolve.cli import app
from alignsolve.io import load_problem, save_problem


def run(*arguments):
    result = CliRunner().invoke(app, ["diagnose", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def short(tmp_path):
    save_problem(AlignmentProblem(np.ones((2, 2)), expert_demand=[2, 1]), tmp_path / "short.npz")
    return tmp_path / "short.npz"


def test_the_command_tells_repairs_and_writes(short, tmp_path):
    code, stdout, _ = run(short, "--weight", "expert_capacity=2", "-o", tmp_path / "out.npz", "--time-limit", 20)
    assert code == 20
    assert "infeasible: experts 0, 1 must have a load of at least 3" in stdout
    assert "cheapest repair, a total of 1" in stdout
    assert solve(load_problem(tmp_path / "out.npz")).status is Status.OPTIMAL
    code, stdout, stderr = run(tmp_path / "out.npz", "-o", tmp_path / "again.npz", "--exact")
    assert (code, "optimal: " in stdout, "not written" in stderr) == (0, True, True)
    assert not (tmp_path / "again.npz").exists()


def test_json_holds_the_same(short):
    code, stdout, _ = run(short, "--json")
    facts = json.loads(stdout, parse_constant=pytest.fail)
    assert (code, facts["status"], facts["repair"]["total"], facts["worth"]) == (20, "INFEASIBLE", 1.0, None)
    assert facts["repair"]["changes"][0]["kind"] == "expert_demand"
    assert facts["solution"]["witness"]["experts"] == [0, 1]


def test_bad_options_are_refused(short):
    for option, words in [("expert_demand=x", "kind and a number"), ("experts=1", "no kind 'experts'")]:
        code, _, stderr = run(short, "--weight", option)
        assert code == 2
        assert words in stderr
