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
