"""The policy with a goal in Hugging Face rounds: updates of the trained head tell whether clients agree."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("transformers", reason="the extra [hf] is not installed: transformers")
pytest.importorskip("peft", reason="the extra [hf] is not installed: peft")

from alignsolve import POLICIES, CapacityProfiler, Parts
from fedtrain.adapters.huggingface import FineTuning, Lora, Training, load_model, run_rounds, windows
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
    with pytest.raises(ValueError, match="report of client 0: RouterFitness needs router_mass"):
        finished(whole, POLICIES["ours"](PARTS, goal="personal"), monkeypatch)
    fresh = replace(POLICIES["fedamole-fresh"](PARTS), capacity=PARTS.capacity)
    with pytest.raises(ValueError, match="fresh_masses is True, and these rounds do not ask clients"):
        finished(whole, fresh, monkeypatch)
