"""A comparison: its plan, its cells in separate processes, and the figures of its curves."""

import numpy as np
import pytest

from fedtrain.compare.cell import Line, run_cell
from fedtrain.compare.judge import choose_settings, compare, figures, judged_cells
from fedtrain.compare.plan import read_plan
from fedtrain.compare.run import file_of, read_cell, run_cells
from fedtrain.config import ConfigError

PLAN = """
name = "tiny"
ours = "ours"
targets = [0.5, 0.9]
seeds = [1, 2]
[base]
rounds = 3
data.min_examples = 2
model = {num_features = 8, num_hidden = 4, num_experts = 4}
clients.num_clients = 8
clients.tiers = [{name = "small", share = 1.0, memory_kib = 10.0, ms_per_example = 1.0, down_mbps = 9.0, up_mbps = 9.0}]
training.epochs = 1
[tasks.digits]
[alignments.none]
alignment.policy = "none"
[alignments.random]
alignment.policy = "random"
[alignments.ours]
alignment.fitness = "router"
"""
TUNED = PLAN.replace("seeds = [1, 2]", "seeds = [1, 2]\ntuning_seeds = [3]") + (
    "[settings.slow]\ntraining.learning_rate = 0.01\n[settings.fast]\ntraining.learning_rate = 0.1\n"
)


def plan_of(tmp_path, text=PLAN):
    path = tmp_path / "plan.toml"
    path.write_text(text, encoding="utf-8")
    return read_plan(path)


def curve(*accuracy, seconds=10.0):
    """Return curves with this accuracy, and rounds of the given seconds and 100 bytes."""
    rounds = np.arange(1.0, len(accuracy) + 1)
    columns = {name: np.zeros(len(accuracy)) for name in Line._fields}
    known = {"round": rounds, "accuracy": np.array(accuracy), "seconds": seconds * rounds, "bytes": 100 * rounds}
    return columns | known


def test_cells_of_a_seed_differ_by_their_alignment_alone(tmp_path):
    plan = plan_of(tmp_path)
    one, other = (plan.cell("digits", name, "plain", 1).config for name in ("random", "ours"))
    assert one.alignment != other.alignment
    assert (one.data, one.clients, one.training, one.seed) == (other.data, other.clients, other.training, other.seed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds = [1, 2]", "seeds = []"), "seeds is empty"),
        (("seeds = [1, 2]", "seeds = [1, 1]"), "names a number twice"),
        (("seeds = [1, 2]", "seeds = [1.5]"), "a whole number"),
        (('ours = "ours"', 'ours = "mine"'), "ours is 'mine'"),
        (("[0.5, 0.9]", "[1.5]"), "shares above 0"),
        (("[tasks.digits]", "[tasks.'a/b']"), "letters, digits"),
        (('name = "tiny"', ""), "name is missing"),
        (('name = "tiny"', 'name = "tiny"\nsize = 3'), "unknown key 'size'"),
        (('fitness = "router"', 'fitness = "luck"'), "alignment ours, setting plain: alignment.fitness"),
        (("rounds = 3", "round = 3"), "unknown key 'round'"),
    ],
)
def test_a_plan_that_cannot_be_run_is_refused_by_name(tmp_path, change, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(tmp_path, PLAN.replace(*change))


def test_a_run_s_configuration_is_told_to_be_no_plan(tmp_path):
    with pytest.raises(ConfigError, match=r"it is no plan; a run is started with: fedtrain run .*plan\.toml"):
        plan_of(tmp_path, 'name = "mine"\nrounds = 3\n')


def test_settings_need_seeds_of_their_own(tmp_path):
    with pytest.raises(ConfigError, match="no tuning_seeds"):
        plan_of(tmp_path, TUNED.replace("tuning_seeds = [3]", ""))
    with pytest.raises(ConfigError, match=r"share \[2\]"):
        plan_of(tmp_path, TUNED.replace("tuning_seeds = [3]", "tuning_seeds = [2, 3]"))


def test_a_cell_is_measured_round_by_round(tmp_path):
    lines = run_cell(plan_of(tmp_path).cell("digits", "ours", "plain", 1))
    assert [line.round for line in lines] == [1, 2, 3]
    assert 0.0 <= lines[-1].worst <= lines[-1].personalised <= 1.0
    assert all(np.isnan((line.worst, line.personalised)).all() for line in lines[:-1])  # they take long
    assert np.diff([line.bytes for line in lines]).min() > 0
    assert all(line.regret < 0.2 for line in lines)


def test_the_reference_is_exempt_from_capacities_and_lottery_regrets(tmp_path):
    plan = plan_of(tmp_path)
    none = run_cell(plan.cell("digits", "none", "plain", 1))
    assert none[-1].completed_cv_total == 0.0
    lottery, ours = (run_cell(plan.cell("digits", name, "plain", 2)) for name in ("random", "ours"))
    assert none[-1].bytes > ours[-1].bytes
    assert lottery[-1].regret > ours[-1].regret  # not in every round: no bounds hold the lottery back


@pytest.mark.slow
def test_cells_run_once_whatever_the_number_of_processes(tmp_path):
    plan = plan_of(tmp_path, PLAN.replace("rounds = 3", "rounds = 1"))
    cells = [plan.cell("digits", name, "plain", 1) for name in ("random", "ours")]
    assert {ran for _, ran in run_cells(cells[:1], tmp_path / "one", workers=1)} == {True}
    assert sorted(ran for _, ran in run_cells(cells, tmp_path / "one", workers=2)) == [False, True]
    alone = run_cell(cells[1])
    read = read_cell(cells[1], tmp_path / "one")
    assert read["accuracy"] == pytest.approx([line.accuracy for line in alone], rel=1e-8)


def test_a_changed_configuration_is_another_cell(tmp_path):
    before = plan_of(tmp_path).cell("digits", "ours", "plain", 1)
    after = plan_of(tmp_path, PLAN.replace("epochs = 1", "epochs = 2")).cell("digits", "ours", "plain", 1)
    assert before.key != after.key


@pytest.mark.parametrize("damage", ["", "round,accuracy\n1,0.5\n", "cut"])
def test_a_damaged_file_is_not_read(tmp_path, damage):
    cell = plan_of(tmp_path).cell("digits", "ours", "plain", 1)
    path = file_of(cell, tmp_path)
    header = ",".join(Line._fields)
    path.write_text(f"{header}\n1,2\n" if damage == "cut" else damage, encoding="utf-8")
    with pytest.raises(ValueError, match="remove it, and it is run anew"):
        read_cell(cell, tmp_path)


def test_settings_are_chosen_on_the_tuning_seeds_alone(tmp_path):
    plan = plan_of(tmp_path, TUNED)
    assert {cell.seed for cell in plan.tuning_cells()} == {3}
    assert len(list(plan.tuning_cells())) == 6

    def read(cell):
        assert cell.seed == 3
        soon = curve(0.9, 0.9, 0.9)
        late = curve(0.1, 0.1, 0.9)
        better = {"none": "slow", "random": "slow", "ours": "fast"}[cell.alignment]
        return soon if cell.setting == better else late

    chosen = choose_settings(plan, read)
    assert chosen == {("digits", "none"): "slow", ("digits", "random"): "slow", ("digits", "ours"): "fast"}
    assert {cell.seed for cell in judged_cells(plan, chosen)} == {1, 2}


def test_ours_is_compared_seed_by_seed_with_what_never_gets_there_at_the_horizon(tmp_path):
    plan = plan_of(tmp_path)
    curves = {
        ("none", 1): curve(0.4, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8),
        ("none", 2): curve(0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4),
        ("ours", 1): curve(0.4, 0.8, 0.8, 0.8, 0.8, 0.8, 0.8),
        ("ours", 2): curve(0.2, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4),
        ("random", 1): curve(0.2, 0.3, 0.5, 0.73, 0.7, 0.7, 0.7),
        ("random", 2): curve(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1),
    }
    settings = choose_settings(plan, read=None)
    found = figures(plan, settings, lambda cell: curves[cell.alignment, cell.seed])
    times = {one.alignment: one.times for one in found}
    assert times["ours"][0.9, "round"].restricted.tolist() == [2.0, 2.0]
    assert times["random"][0.9, "round"].restricted.tolist() == [4.0, 7.0]
    assert times["random"][0.9, "round"].reached == 0.5
    compared = {one.figure: one for one in compare(plan, found)}
    assert {one.rival for one in compared.values()} == {"random"}
    assert compared["round to 90 %"].result.value == pytest.approx(np.sqrt(2 / 4 * 2 / 7))
    assert compared["seconds to 90 %"].result.value == pytest.approx(np.sqrt(2 / 4 * 2 / 7))
    assert compared["accuracy"].result.value == pytest.approx((0.134 + 0.3) / 2)
    assert all(one.p >= one.result.p for one in compared.values())
