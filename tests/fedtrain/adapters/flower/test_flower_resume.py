"""A run's state: saved every round, resumed, and refused for another run."""

import json

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")

from fedtrain.adapters.flower import SavedStateError, client_app, load_weights
from fedtrain.adapters.flower.records import pack, unpack
from tests.adding import NUM_CLIENTS, add, weights
from tests.flower_grid import FakeGrid
from tests.flower_model import make_grid, make_strategy, nodes


@pytest.mark.parametrize("torch_weights", [False, True])
def test_a_run_goes_on_from_its_saved_state(tmp_path, torch_weights, monkeypatch):
    torch = pytest.importorskip("torch")
    initial = {k: torch.from_numpy(v) for k, v in weights().items()} if torch_weights else weights()
    whole = make_strategy(cohort_fraction=0.6).start(make_grid(), pack(initial), num_rounds=5)
    first = make_strategy(cohort_fraction=0.6, state_dir=tmp_path)
    first.start(make_grid(), pack(initial), num_rounds=2)
    (tmp_path / ".round-00003.part").mkdir()  # as a server leaves it that is killed while it saves
    (tmp_path / ".round-00003.part" / "model.safetensors").write_bytes(b"half")

    numbers, grid = [], FakeGrid(client_app(add), nodes(seed=5), seed=5)
    second = make_strategy(cohort_fraction=0.6, state_dir=tmp_path)
    result = second.start(grid, pack(initial), num_rounds=5, evaluate_fn=lambda number, _: numbers.append(number))
    assert numbers == [2, 3, 4, 5]
    assert {message.metadata.group_id for message in grid.trained()} == {"3", "4", "5"}
    assert [figures["round"] for figures in second.history] == [1, 2, 3, 4, 5]
    for name, value in unpack(whole.arrays).items():
        assert np.array_equal(value, unpack(result.arrays)[name])
        assert np.array_equal(value, load_weights(tmp_path)[name])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["round-00004", "round-00005"]

    told = []
    monkeypatch.setattr("fedtrain.adapters.flower.strategy.LOG.warning", lambda text, *given: told.append(text % given))
    third = make_strategy(cohort_fraction=0.6, state_dir=tmp_path).start(make_grid(), pack(initial), num_rounds=5)
    assert f"nothing is trained: {tmp_path} holds the state after round 5, and num_rounds is 5" in told[0]
    assert np.array_equal(unpack(third.arrays)["head"], unpack(whole.arrays)["head"])  # and trains nothing


@pytest.mark.parametrize(
    ("options", "initial", "words"),
    [
        ({"seed": 1}, {}, "seed = 0, this one has 1"),
        ({"num_clients": 4}, {}, "num_clients = 5, this one has 4"),
        ({}, {"head": np.ones(4)}, "tensor head differs"),
    ],
)
def test_another_runs_state_is_not_gone_on_from(tmp_path, options, initial, words):
    make_strategy(state_dir=tmp_path).start(make_grid(), pack(weights()), num_rounds=1)
    with pytest.raises(SavedStateError, match=words):
        make_strategy(state_dir=tmp_path, **options).start(make_grid(), pack(weights() | initial), num_rounds=2)


@pytest.mark.parametrize("name", ["model.safetensors", "aligner.npz", "state.json"])
def test_a_damaged_state_is_an_error_that_names_the_folder(tmp_path, name):
    make_strategy(state_dir=tmp_path).start(make_grid(), pack(weights()), num_rounds=1)
    (tmp_path / "round-00001" / name).write_bytes(b"{}")
    with pytest.raises(SavedStateError, match="round-00001"):
        make_strategy(state_dir=tmp_path).start(make_grid(), pack(weights()), num_rounds=2)


def test_the_state_says_what_it_is_of(tmp_path):
    make_strategy(state_dir=tmp_path).start(make_grid(), pack(weights()), num_rounds=1)
    about = json.loads((tmp_path / "round-00001" / "state.json").read_text())
    assert (about["round"], about["num_clients"], about["seed"], about["layout"]) == (1, NUM_CLIENTS, 0, "modules")
    assert about["history"][0]["merged"] == NUM_CLIENTS
