"""A user's own data, model and policy: the guide's file under ``run`` and ``compare``, and what is said of errors."""

import csv
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fedtrain.cli import app
from fedtrain.compare.plan import read_plan
from fedtrain.config import ConfigError
from fedtrain.config.file import read_config
from fedtrain.server import initial_state, prepare
from fedtrain.server.federation import fingerprint
from fedtrain.server.rounds import run_rounds

GUIDE = (Path(__file__).parents[2] / "docs" / "own-data.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(?:python|toml)\n# (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def fedtrain(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The guide's files, in the current folder."""
    for name, text in BLOCK.findall(GUIDE):
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"mine.py", "run.toml", "plan.toml"}
    monkeypatch.chdir(tmp_path)
    return tmp_path


def change(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def rows(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_the_guides_file_is_run(folder):
    result = fedtrain("run", "run.toml")
    assert result.exit_code == 0, result.output
    written = rows(folder / "runs" / "mine" / "rounds.csv")
    assert [row["status"] for row in written] == ["OPTIMAL"] * 3
    assert sum(int(row["clients"]) for row in written) > 0


@pytest.mark.slow
def test_the_guides_file_is_compared(folder):
    result = fedtrain("compare", "plan.toml")
    assert result.exit_code == 0, result.output
    compared = rows(folder / "comparisons" / "mine" / "comparisons.csv")
    assert {row["rival"] for row in compared} == {"random", "accurate"}
    accuracy = {row["alignment"]: row for row in rows(folder / "comparisons" / "mine" / "figures.csv")}
    assert set(accuracy) == {"everything", "random", "accurate", "ours"}
    assert "mine.py" in (folder / "comparisons" / "mine" / "report.html").read_text(encoding="utf-8")


def test_a_module_is_found_like_a_file(folder):
    (folder / "mine_as_module.py").write_text((folder / "mine.py").read_text(encoding="utf-8"), encoding="utf-8")
    named = [f"{key}=mine_as_module:{name}" for key, name in (("data.name", "sensors"), ("model.kind", "deep"))]
    one, other = (prepare(read_config(folder / "run.toml", overrides)) for overrides in ([], named))
    assert one.label_counts.tolist() == other.label_counts.tolist()


MINE = {
    "data.name=mine.py:sensor": "data.name is 'mine.py:sensor', and mine.py has no function sensor; "
    "did you mean 'sensors'?",
    "data.name=other.py:sensors": "data.name is 'other.py:sensors', which failed: FileNotFoundError: there is no file",
    "data.name=no_module_of_mine:sensors": "'no_module_of_mine:sensors', which failed: ModuleNotFoundError",
    "data.name=mine.py:np": "data.name is 'mine.py:np', and np is a module, not a function",
    "data.name=mine.py:accurate": "data.name is 'mine.py:accurate', which failed: TypeError: accurate() takes",
    "model.kind=mine.py:accurate": "model.kind is 'mine.py:accurate', which failed: TypeError",
    "alignment.policy=os.path:exists": "alignment.policy is 'os.path:exists', which failed: TypeError",
    "alignment.policy=builtins:bool": "returned a bool; it must return a alignsolve.aligner.Aligner",
    "alignment.policy=rando": "alignment.policy is 'rando'; it must be 'none' or",
    "data.name=digit": "did you mean 'digits'?",
}


@pytest.mark.parametrize(("override", "message"), MINE.items())
def test_a_function_that_cannot_be_used_is_refused_with_its_key(folder, override, message):
    result = fedtrain("run", "run.toml", "--set", override)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert not (folder / "runs").exists()


def test_an_error_in_a_function_is_told_with_its_line(folder):
    change(folder / "mine.py", "rng = np", "rng = {}['label']  # np")
    result = fedtrain("run", "run.toml")
    assert result.exit_code == 2
    first, second = result.stderr.rstrip().splitlines()
    assert first == "error: data.name is 'mine.py:sensors', which failed: KeyError: 'label'"
    assert re.match(r"  mine\.py, line \d+, in sensors: rng = \{\}\['label'\]", second)


def test_an_error_while_a_file_is_read_is_told_with_its_line(folder):
    (folder / "mine.py").write_text("import numpy\n\nnumpy.nothing\n", encoding="utf-8")
    result = fedtrain("run", "run.toml")
    assert "data.name is 'mine.py:sensors', which failed: AttributeError" in result.stderr
    assert "  mine.py, line 3, in <module>: numpy.nothing" in result.stderr
    (folder / "mine.py").write_text("def sensors(:\n", encoding="utf-8")
    assert "which failed: SyntaxError: " in fedtrain("run", "run.toml").stderr


def test_an_error_of_a_model_in_a_round_is_told_with_its_line(folder):
    forward = "\n\nclass Failing(OneLayer):\n    def forward(self, inputs):\n        raise ValueError('too wide')\n"
    with (folder / "mine.py").open("a", encoding="utf-8") as file:
        file.write(forward)
    change(folder / "mine.py", "return OneLayer(", "return Failing(")
    result = fedtrain("run", "run.toml")
    assert result.exit_code == 2
    named = "model.kind is 'mine.py:deep'"
    assert named in result.stderr
    assert "which failed: ValueError: too wide" in result.stderr
    assert "in forward: raise ValueError('too wide')" in result.stderr


@pytest.mark.slow
def test_an_error_of_a_function_in_a_comparison_is_told(folder):
    change(folder / "mine.py", "return parts.aligner(", "return parts.no_aligner(")
    result = fedtrain("compare", "plan.toml")
    assert result.exit_code == 2
    assert "alignment.policy is 'mine.py:accurate', which failed: AttributeError" in result.stderr
    assert "in accurate: return parts.no_aligner(" in result.stderr


def test_a_plan_with_a_policy_that_is_not_there_names_the_nearest(folder):
    change(folder / "plan.toml", 'policy = "random"', 'policy = "randm"')
    with pytest.raises(ConfigError, match=r"alignment random, .*did you mean 'random'\?"):
        read_plan(folder / "plan.toml")
    change(folder / "plan.toml", 'policy = "randm"', 'policy = "mine.py:acurate"')
    with pytest.raises(ConfigError, match=r"has no function acurate; did you mean 'accurate'\?"):
        read_plan(folder / "plan.toml")


def test_clients_that_are_too_few_are_counted(folder):
    change(folder / "mine.py", "kept[i]]) for i in range(num_clients)]", "kept[i]]) for i in range(8)]")
    with pytest.raises(ConfigError, match=r"returned 8 clients; there must be 9"):
        prepare(read_config(folder / "run.toml", ["clients.num_clients=9"]))


def test_data_and_models_that_do_not_fit_are_refused_before_training(folder):
    with (folder / "mine.py").open("a", encoding="utf-8") as file:
        file.write(
            "\n\nfrom fedtrain.data import Examples, Federated\n\n\ndef wide(config, num_clients, seed):\n"
            "    part = Examples(np.zeros((4, 12)), np.arange(4), 4)\n"
            "    return Federated((part,) * num_clients, part, np.zeros(4, dtype=int), np.ones((num_clients, 1)))\n"
            "\n\ndef few(config, examples):\n    return Deep(12, 3, config.num_experts)\n"
        )
    for override, words in {
        "data.name=mine.py:wide": "inputs and labels are float64 and int64; fedtrain.data.from_arrays converts",
        "model.kind=mine.py:few": "model.kind is 'mine.py:few': 3 classes, the data have 4",
    }.items():
        with pytest.raises(ConfigError, match=words):
            prepare(read_config(folder / "run.toml", [override]))


def test_a_changed_file_is_another_cell_and_cannot_resume_a_run(folder):
    cell, config = read_plan(folder / "plan.toml").cell("sensors", "random", "plain", 1), read_config(Path("run.toml"))
    key, given = cell.key, fingerprint(prepare(config))
    with (folder / "mine.py").open("a", encoding="utf-8") as file:
        file.write("# another line\n")
    assert cell.key != key
    assert fingerprint(prepare(config)) != given


def test_a_policy_of_ones_own_decides(folder):
    """The policy ``random`` as a function of one's own gives the same rounds."""
    with (folder / "mine.py").open("a", encoding="utf-8") as file:
        file.write("\n\nfrom alignsolve.policies import random as lottery\n")
    own, built_in = (
        list(run_rounds(federation, initial_state(federation)))
        for name in ("mine.py:lottery", "random")
        for federation in [prepare(read_config(folder / "run.toml", [f"alignment.policy={name}"]))]
    )
    assert [done.row.accuracy for done, _ in own] == [done.row.accuracy for done, _ in built_in]
