"""The course of a run that all adapters share."""

import numpy as np
import pytest

from alignsolve import Aligner, CapacityProfiler
from fedtrain.adapters.course import Course

CAPACITY = CapacityProfiler(client_capacity=2)


def two_layers():
    return {
        f"model.layers.{layer}.mlp.experts.{j}.weight": np.ones((2, 2), dtype=np.float32)
        for layer in range(2)
        for j in range(3)
    }


def test_an_aligner_that_knows_of_one_layer_is_refused_for_a_model_of_two():
    course = Course(Aligner(capacity=CAPACITY), num_clients=4)
    with pytest.raises(ValueError, match=r"layers of \(3, 3\) experts, and the aligner's layers are None"):
        course.start(two_layers())


def test_with_its_layers_told_every_client_gets_an_expert_of_each():
    course = Course(Aligner(capacity=CAPACITY, layers=(3, 3)), num_clients=4)
    weights = course.start(two_layers())
    pending = course.begin(weights, range(4), patience=0.0)
    assert all(len({expert // 3 for expert in held}) == 2 for held in pending.assigned.values())
