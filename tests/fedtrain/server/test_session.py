"""The run of a server that all adapters share."""

import numpy as np
import pytest

from alignsolve import Aligner, CapacityProfiler
from fedtrain.server.session import Session

CAPACITY = CapacityProfiler(client_capacity=2)


def two_layers():
    return {
        f"model.layers.{layer}.mlp.experts.{j}.weight": np.ones((2, 2), dtype=np.float32)
        for layer in range(2)
        for j in range(3)
    }


def test_an_aligner_that_knows_of_one_layer_is_refused_for_a_model_of_two():
    session = Session(Aligner(capacity=CAPACITY), num_clients=4)
    with pytest.raises(ValueError, match=r"layers of \(3, 3\) experts, and the aligner's layers are None"):
        session.resume(two_layers())


def test_with_its_layers_told_every_client_gets_an_expert_of_each():
    session = Session(Aligner(capacity=CAPACITY, layers=(3, 3)), num_clients=4)
    weights = session.resume(two_layers())
    pending = session.begin(weights, range(4), patience=0.0)
    assert all(len({expert // 3 for expert in held}) == 2 for held in pending.assigned.values())


def test_one_budget_of_bytes_for_all_layers_is_kept_as_measured_on_what_is_sent():
    session = Session(Aligner(), num_clients=3, memory=[32 * 4, 5 * 16 * 4, 1000], copies=4)
    for _ in range(2):  # a run that is resumed declares its memory again
        weights = session.resume(two_layers())
    pending = session.begin(weights, range(3), patience=0.0)
    assert [len(held) for held in pending.assigned.values()] == [2, 5, 6]
    for client, most in enumerate([32 * 4, 5 * 16 * 4, 1000]):
        assert 4 * sum(value.nbytes for value in session.server.part(pending, client).values()) <= most
    assert pending.solution.problem.num_experts == 6


def test_a_client_without_memory_for_an_expert_of_every_layer_is_named():
    session = Session(Aligner(), num_clients=6, memory=[1000, 100, 90, 80, 70, 60])
    told = "takes 128 bytes: 0 for .*client 1 has 100: 28 are missing; .*client 3 .*; 2 more clients"
    with pytest.raises(ValueError, match=f"{told} .*client 1 from 100 to 128"):
        session.resume(two_layers())
