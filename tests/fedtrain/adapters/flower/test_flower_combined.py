"""AlignedStrategy with what else Flower has: what docs/flower.md says works, and what it says cannot."""

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")

from flwr.clientapp.mod import (
    LocalDpMod,
    adaptiveclipping_mod,
    arrays_size_mod,
    fixedclipping_mod,
    message_size_mod,
)
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAdam

from fedtrain.adapters.flower import AlignedStrategy, TooFewClientsError, client_app, pack, unpack
from fedtrain.layouts import Layout, Part
from tests.adding import NUM_CLIENTS, NUM_EXPERTS, add, make_aligner, weights
from tests.flower_grid import FakeGrid
from tests.flower_model import assigned_in, make_grid, make_strategy, nodes


class HalfSteps(AlignedStrategy):
    """Go half the way to the merged model, as a server's learning rate of 0.5 does."""

    def configure_train(self, server_round, arrays, config, grid):
        """Keep what the round starts from."""
        self.before = unpack(arrays)
        return super().configure_train(server_round, arrays, config, grid)

    def aggregate_train(self, server_round, replies):
        """Merge, and go half the way."""
        before = self.before
        merged, figures = super().aggregate_train(server_round, replies)
        after = {name: before[name] + 0.5 * (value - before[name]) for name, value in unpack(merged).items()}
        return pack(after), figures


def test_a_servers_learning_rate_is_a_subclass():
    options = {"num_clients": NUM_CLIENTS, "patience": 0.1, "router_down": "all", "cohort_fraction": 0.4}
    grid, strategy = make_grid(), HalfSteps(make_aligner(), **options)
    half = unpack(strategy.start(grid, pack(weights()), num_rounds=1).arrays)
    whole = unpack(AlignedStrategy(make_aligner(), **options).start(make_grid(), pack(weights()), num_rounds=1).arrays)
    held = {j for experts in assigned_in(grid).values() for j in experts}
    assert 0 < len(held) < NUM_EXPERTS
    for name, start in weights().items():
        np.testing.assert_allclose(half[name], (start + whole[name]) / 2, atol=1e-6)
    for j in set(range(NUM_EXPERTS)) - held:
        assert np.array_equal(half[f"experts.{j}.weight"], weights()[f"experts.{j}.weight"])


def test_the_next_round_starts_from_what_the_subclass_returned():
    options = {"num_clients": NUM_CLIENTS, "patience": 0.1, "router_down": "all"}
    grid = make_grid()
    twice = unpack(HalfSteps(make_aligner(), **options).start(grid, pack(weights()), num_rounds=2).arrays)
    once = unpack(HalfSteps(make_aligner(), **options).start(make_grid(), pack(weights()), num_rounds=1).arrays)
    sent = unpack(grid.trained()[-1].content.array_records["weights"])
    np.testing.assert_array_equal(sent["head"], once["head"])
    # Each round adds the same to what all clients train, so two halves are a whole.
    whole = unpack(AlignedStrategy(make_aligner(), **options).start(make_grid(), pack(weights()), num_rounds=1).arrays)
    np.testing.assert_allclose(twice["head"], whole["head"], atol=1e-6)


def test_flowers_own_strategies_cannot_send_parts():
    """They send the whole model without a task, which the client app refuses."""
    grid = FakeGrid(client_app(add), nodes())
    result = FedAdam(min_available_nodes=2).start(grid, pack(weights(), plain=False), num_rounds=1, timeout=1)
    assert not result.train_metrics_clientapp


def test_mods_that_only_look_work():
    plain = unpack(make_strategy().start(make_grid(), pack(weights()), num_rounds=2).arrays)
    grid = FakeGrid(client_app(add, mods=[message_size_mod, arrays_size_mod]), nodes())
    seen = unpack(make_strategy().start(grid, pack(weights()), num_rounds=2).arrays)
    assert all(np.array_equal(seen[name], value) for name, value in plain.items())


@pytest.mark.parametrize("mod", [LocalDpMod(1.0, 1.0, 1.0, 1e-5), fixedclipping_mod, adaptiveclipping_mod])
def test_mods_that_change_arrays_cannot_be_used(mod):
    """They want one record of arrays in every message, and the question which client a node is has none."""
    with pytest.raises(TooFewClientsError):
        make_strategy().start(FakeGrid(client_app(add, mods=[mod]), nodes()), pack(weights()), num_rounds=1)


def test_flowers_wrappers_for_privacy_cannot_wrap_it():
    wrapped = DifferentialPrivacyServerSideFixedClipping(make_strategy(), 1.0, 1.0, NUM_CLIENTS)
    with pytest.raises(RuntimeError, match="a round before resume"):
        wrapped.start(make_grid(), pack(weights()), num_rounds=1)


def test_noise_is_added_in_the_training_function():
    """A client can clip and blur its own update: every value stays finite and of its type, so it is merged."""

    def private(given, experts, task):
        trained, measures = add({name: value.copy() for name, value in given.items()}, experts, task)
        rng = np.random.default_rng(task.client)
        for name, value in trained.items():
            noise = rng.normal(scale=0.01, size=value.shape)
            trained[name] = (value + noise).astype(value.dtype)
        return trained, measures

    result = make_strategy().start(FakeGrid(client_app(private), nodes()), pack(weights()), num_rounds=1)
    assert result.train_metrics_clientapp[1]["merged"] == NUM_CLIENTS


def test_a_layout_by_hand_and_a_function_that_evaluates():
    mine = {"towers": np.zeros((8, 3)), "switch": np.zeros((3, NUM_EXPERTS)), "head": np.zeros(3)}
    parts = {"towers": Part(first=0, count=4, axis=0), "switch": Part(first=0, count=4, axis=1, router=True)}
    layout = Layout("mine", layers=("",), layer_sizes=(4,), parts=parts)
    shapes, evaluated = {}, []

    def train(given, experts, task):
        shapes[task.client] = (len(experts), given["towers"].shape, given["switch"].shape)
        _, measures = add({"router.weight": np.zeros((4, 3))}, experts, task)
        return {name: value + 1.0 for name, value in given.items()}, measures

    def evaluate(number, arrays):
        evaluated.append((number, float(unpack(arrays)["head"][0])))

    strategy = AlignedStrategy(make_aligner(), num_clients=NUM_CLIENTS, patience=0.1, layout=layout)
    strategy.start(FakeGrid(client_app(train), nodes()), pack(mine), num_rounds=2, evaluate_fn=evaluate)
    assert evaluated == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert all(towers == (2 * k, 3) and switch == (3, k) for k, towers, switch in shapes.values())
