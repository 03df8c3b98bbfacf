"""The policy with a goal in Hugging Face rounds: updates of the trained head tell whether clients agree."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

pytest.importorskip("transformers", reason="the extra [hf] is not installed: transformers")
pytest.importorskip("peft", reason="the extra [hf] is not installed: peft")

from alignsolve import POLICIES, CapacityProfiler, Parts
from fedtrain.adapters.huggingface import FineTuning, Lora, Training, load_model, run_rounds, windows
from fedtrain.adapters.huggingface.routers import router_mass, router_rows
from fedtrain.layouts import LayoutError
from fedtrain.server.step import Server
from tests.tiny_models import CONFIGS, NUM_EXPERTS, NUM_LAYERS

LAYERS = (NUM_EXPERTS,) * NUM_LAYERS
PARTS = Parts(CapacityProfiler(client_capacity=NUM_LAYERS), layers=LAYERS)


def finished(tuning, aligner, monkeypatch, rounds=2):
    """Return the aligner's states after each round."""
    states, finish = [], Server.finish

    def watched(self, *arguments):
        done = finish(self, *arguments)
        states.append(done.state.aligner)
        return done

    monkeypatch.setattr(Server, "finish", watched)
    clients = [windows([np.arange(200) * step % 7], 16) for step in (1, 2, 3)]
    assert all(not done.faults for done in run_rounds(tuning, clients, aligner, rounds=rounds, training=Training()))
    return states


def test_ours_compares_clients_by_the_head_that_the_layout_names(monkeypatch):
    tuning = FineTuning.of(load_model(CONFIGS["mixtral"]()))
    assert tuning.trained_layout.head == "lm_head.weight"
    aligner = POLICIES["ours"](PARTS, goal="global")
    *_, last = finished(tuning, aligner, monkeypatch)
    for layer in last.fitness.parts:
        assert layer.evidence.rounds == 2
        assert layer.evidence.repeats > 0
        assert layer.inner.clusters.count.tolist() == [2, 2, 2]
    assert aligner.advice(last).verdict == "looking whether clients agree"


def test_what_these_rounds_cannot_give_is_refused_by_name(monkeypatch):
    lora = FineTuning.of(load_model(CONFIGS["mixtral"]()), Lora(rank=2))
    assert lora.trained_layout.head is None
    with pytest.raises(ValueError, match=r"geometry\.head is empty.*name the head in the layout"):
        finished(lora, POLICIES["ours"](PARTS, goal="global"), monkeypatch)
    whole = FineTuning.of(load_model(CONFIGS["mixtral"]()))
    fresh = replace(POLICIES["fedamole-fresh"](PARTS), capacity=PARTS.capacity)
    with pytest.raises(ValueError, match="fresh_masses is True, and these rounds do not ask clients"):
        finished(whole, fresh, monkeypatch)


def test_the_personal_goal_learns_from_router_masses_and_adapters_do_with_sums(monkeypatch):
    whole = FineTuning.of(load_model(CONFIGS["olmoe"]()))
    *_, last = finished(whole, POLICIES["ours"](PARTS, goal="personal"), monkeypatch)
    for layer in last.fitness.parts:
        np.testing.assert_allclose(layer.inner.router.value.sum(axis=1), 1.0)
        assert layer.inner.clusters.count.tolist() == [2, 2, 2]
    lora = FineTuning.of(load_model(CONFIGS["olmoe"]()), Lora(rank=2))
    *_, last = finished(lora, POLICIES["ours"](PARTS, goal="personal", sees="sums"), monkeypatch)
    assert all(layer.count.tolist() == [2, 2, 2] for layer in last.fitness.parts)


@pytest.mark.parametrize("kind", ["olmoe", "gpt_oss", "deepseek_v3"])
def test_router_masses_are_those_of_the_whole_routers(kind):
    tuning = FineTuning.of(load_model(CONFIGS[kind]()))
    tokens = windows([np.arange(100) % 7], 10)
    rows = router_rows(tuning.initial, tuning.layout)
    mass = router_mass(tuning.whole(tuning.initial), rows, tokens)
    # The first layer's router sees what the whole model gives it, whatever experts there are.
    seen, model = [], tuning.whole(tuning.initial).eval()
    name, *_ = rows
    model.get_submodule(name.rpartition(".")[0]).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        model(input_ids=tokens)
    bias = rows.get(name.replace("weight", "bias"))
    expected = functional.softmax(functional.linear(seen[0].flatten(0, -2), rows[name], bias), dim=1).mean(dim=0)
    np.testing.assert_allclose(mass[:NUM_EXPERTS], expected, rtol=1e-5)
    np.testing.assert_allclose(mass[NUM_EXPERTS:].sum(), 1.0)
    # A client with other experts has the same masses in the first layer: they are measured by all rows.
    held = [0, 2, NUM_EXPERTS, NUM_EXPERTS + 3]
    download = tuning.send(tuning.initial, held, measuring=True)
    update, _ = tuning.train(0, download, tokens, Training(), np.random.default_rng(0))
    np.testing.assert_allclose(update.router_mass[:NUM_EXPERTS], expected, rtol=1e-5)
    assert tuning.send(tuning.initial, held).routers == {}
    plain, measuring = tuning.traffic(held), tuning.traffic(held, measuring=True)
    assert measuring[1] == plain[1]
    assert measuring[0].router * len(held) == plain[0].router * 2 * NUM_EXPERTS
    assert measuring[0].router > plain[0].router


def test_a_router_without_a_single_matrix_is_refused_by_name():
    tuning = FineTuning.of(load_model(CONFIGS["olmoe"]()))
    name, *_ = router_rows(tuning.initial, tuning.layout)
    odd = {**tuning.initial, name: tuning.initial[name].flatten()}
    with pytest.raises(LayoutError, match=r"layer model\.layers\.0\.mlp: router masses need one matrix.*\(96,\)"):
        router_rows(odd, tuning.layout)
