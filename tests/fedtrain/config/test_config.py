"""Configurations: reading gives back what was written, and errors name the wrong key."""

import pytest

from fedtrain.config import FITNESS_NAMES, ConfigError, RunConfig
from fedtrain.config.file import read_config, to_toml
from fedtrain.server import initial_state, prepare
from fedtrain.server.alignment import FITNESS


def test_the_defaults_survive_a_round_trip(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(to_toml(RunConfig()))
    assert read_config(path) == read_config() == RunConfig()


def test_a_file_changes_defaults_and_overrides_change_the_file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("rounds = 7\n[training]\nepochs = 2\nlearning_rate = 1\n[clients]\nnum_clients = 9\n")
    config = read_config(path, ["training.epochs=3", "name=short run", 'data.partition="quantity"', "data.alpha=1e2"])
    assert (config.rounds, config.clients.num_clients, config.training.epochs) == (7, 9, 3)
    assert (config.name, config.data.partition, config.data.alpha) == ("short run", "quantity", 100.0)
    assert isinstance(config.training.learning_rate, float)
    path.write_text(to_toml(config))
    assert read_config(path) == config


def test_tiers_are_a_list_of_tables(tmp_path):
    path = tmp_path / "config.toml"
    tier = "share = 1\nmemory_kib = 300\nms_per_example = 1\ndown_mbps = 10\nup_mbps = 5\n"
    path.write_text(f'[[clients.tiers]]\nname = "a"\n{tier}[[clients.tiers]]\nname = "b"\n{tier}')
    assert [tier.name for tier in read_config(path).clients.tiers] == ["a", "b"]


WRONG = {
    "training.epoch=2": "unknown key 'training.epoch'; did you mean 'training.epochs'?",
    "epochs=2": "unknown key 'epochs'; did you mean 'training.epochs'?",
    "trainin.epochs=2": "unknown key 'trainin'; did you mean 'training'?",
    "clients.tiers=[{nam='a'}]": "unknown key 'clients.tiers.nam'; did you mean 'clients.tiers.name'?",
    "clients.tiers=[{name='a'}]": "clients.tiers.share is missing",
    "clients.tiers=[]": "clients.tiers is []; it must be at least one tier",
    "clients.tiers=3": "clients.tiers is 3; it must be a list of tables, [[clients.tiers]] in a file",
    "clients.tiers.0.share=1": "clients.tiers is {'0': {'share': 1}}; it must be a list of tables, [[clients.tiers]]",
    "training.epochs=1.5": "training.epochs is 1.5; it must be a whole number",
    "training.epochs=true": "training.epochs is True; it must be a whole number",
    "training.epochs=two": "training.epochs is 'two'; it must be a whole number",
    "training.learning_rate=fast": "training.learning_rate is 'fast'; it must be a number",
    "training.learning_rate=nan": "training.learning_rate is nan; it must be above 0, and finite",
    "training.momentum=1": "training.momentum is 1.0; it must be at least 0 and below 1",
    "training.optimizer=sgdd": "training.optimizer is 'sgdd'; it must be 'sgd' or 'adam'",
    "training=3": "training is 3; it must be a table of keys",
    "name=7": "name is 7; it must be a string",
    "name=../elsewhere": "it must be the name of a folder, without separators",
    "name.first=x": "name is {'first': 'x'}; it must be a string",
    "seed=-1": "seed is -1; it must be 0 or more",
    "model.top_k=9": "model.top_k is 9; it must be at most the 8 experts",
    "clients.dropout=1": "clients.dropout is 1.0; it must be at least 0 and below 1",
    "alignment.solver=magic": "alignment.solver is 'magic'; it must be",
    "alignment.capacity=guessed": "alignment.capacity is 'guessed'; it must be 'declared' or 'learned' or 'uniform'",
    "alignment.load=evenly": "alignment.load is 'evenly'; it must be",
    "alignment.switching_cost=-1": "alignment.switching_cost is -1.0; it must be 0 or more, and finite",
    "alignment.epsilon=0": "alignment.epsilon is 0.0; it must be above 0",
    "alignment.time_budget=true": "alignment.time_budget is True; it must be false where clients.deadline is inf",
    "rounds": "--set 'rounds': expected key=value",
    "=3": "expected key=value",
}


@pytest.mark.parametrize("override", WRONG)
def test_what_is_wrong_is_named(override):
    with pytest.raises(ConfigError) as error:
        read_config(overrides=[override])
    assert WRONG[override] in str(error.value)


def test_an_override_may_not_turn_a_value_into_a_table():
    with pytest.raises(ConfigError, match="training is a value, not a table"):
        read_config(overrides=["training=3", "training.epochs=2"])


def test_a_plan_is_told_to_be_no_run_s_configuration(tmp_path):
    (tmp_path / "plan.toml").write_text("[tasks.a]\n[alignments.b]\n")
    with pytest.raises(ConfigError, match=r"is a plan, .*; run it with: fedtrain compare .*plan\.toml"):
        read_config(tmp_path / "plan.toml")


def test_files_that_are_not_configurations(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the configuration .*missing.toml: No such file"):
        read_config(tmp_path / "missing.toml")
    (tmp_path / "broken.toml").write_text("rounds = = 3")
    with pytest.raises(ConfigError, match=r"broken.toml is not TOML: .*line 1"):
        read_config(tmp_path / "broken.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary.toml is not TOML"):
        read_config(tmp_path / "binary.toml")


def test_every_fitness_that_a_configuration_may_name_is_made():
    assert tuple(FITNESS) == FITNESS_NAMES


@pytest.mark.parametrize("name", FITNESS_NAMES)
def test_a_run_can_start_with_every_fitness(name):
    small = ("clients.num_clients=4", f"alignment.fitness={name}")
    federation = prepare(read_config(overrides=small))
    assert initial_state(federation).aligner.num_clients == 4


def test_a_fitness_that_does_not_fit_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"newest_weight is 1\.0; it must be below 1 where the fitness is ucb"):
        read_config(overrides=["alignment.fitness=ucb", "alignment.newest_weight=1.0"])
    few = ["alignment.fitness=low-rank", "model.num_experts=2", "clients.num_clients=4"]
    with pytest.raises(ConfigError, match="alignment: rank is 3; there are only 2 experts"):
        prepare(read_config(overrides=few))
