"""Whole rounds with every data set without files, and with every kind of model."""

import dataclasses
import math

import numpy as np
import pytest

from fedtrain.compare.cell import personalised_accuracy
from fedtrain.config import ConfigError
from fedtrain.config.file import read_config
from fedtrain.server import initial_state, prepare
from fedtrain.server.rounds import run_rounds

SMALL = (
    *("rounds=2", "clients.num_clients=8", "clients.dropout=0", "training.epochs=1"),
    *("model.num_features=16", "model.num_hidden=8", "model.num_experts=4", "model.num_channels=4"),
    *("data.glyphs.size=8", "data.text.max_characters=1500", "training.learning_rate=0.1"),
)
MODELS_OF = {
    "digits": ("mlp", "conv"),
    "concepts": ("mlp", "conv"),
    "glyphs": ("mlp", "conv"),
    "text": ("transformer",),
    "text data.text.one_hot=true data.text.context=6": ("mlp",),
}
CASES = [(data, model) for data, models in MODELS_OF.items() for model in models]


def configured(memory_kib, *overrides):
    config = read_config(overrides=[*SMALL, *overrides])
    tiers = tuple(dataclasses.replace(tier, memory_kib=memory_kib) for tier in config.clients.tiers)
    return dataclasses.replace(config, clients=dataclasses.replace(config.clients, tiers=tiers))


@pytest.mark.parametrize(("data", "model"), CASES)
def test_a_round_is_certified_and_learns(data, model):
    federation = prepare(configured(300.0, *f"data.name={data}".split(), f"model.kind={model}"))
    first, second = (done for done, _ in run_rounds(federation, initial_state(federation)))
    for done in (first, second):
        assert (done.row.status, done.row.proof, done.row.rejected) == ("OPTIMAL", "PRICES", 0)
    assert second.row.loss < first.row.loss < 1.1 * math.log(federation.data.test.num_classes)


@pytest.mark.parametrize("fitness", ["loss", "router"])
def test_every_client_holds_an_expert_of_every_layer(fitness):
    """Devices have memory for three experts; there are two layers."""
    config = configured(82.0, "data.name=text", "model.kind=transformer", f"alignment.fitness={fitness}")
    federation = prepare(config)
    assert federation.footprint.holding(3) <= 82 * 1024 < federation.footprint.holding(4)
    for done, state in run_rounds(federation, initial_state(federation)):
        held = {client: np.flatnonzero(row) for client, row in zip(done.cohort.tolist(), done.solution.x, strict=True)}
        for experts in held.values():
            assert len(experts) == 3
            assert set(np.array(federation.spec.expert_group)[experts]) == {0, 1}
        assert done.solution.loads.min() >= 1
        served = personalised_accuracy(federation, state.tensors, held)
        assert ((served > 0.0) & (served < 1.0)).all()


def test_a_device_too_small_for_an_expert_of_every_layer_is_refused():
    footprint = prepare(configured(500.0, "data.name=text", "model.kind=transformer")).footprint
    too_small = (footprint.holding(1) + footprint.holding(2)) / 2 / 1024
    with pytest.raises(ConfigError, match="'phone' has memory_kib"):
        prepare(configured(too_small, "data.name=text", "model.kind=transformer"))


@pytest.mark.parametrize("override", ["model.kind=transformer", "data.name=text"])
def test_data_and_model_must_fit(override):
    with pytest.raises(ConfigError, match=r"model.kind is"):
        prepare(configured(200.0, override))
