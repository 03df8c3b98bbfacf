"""Updates of a small model, made without training: what the tests of merging and of the server's door share."""

import numpy as np
import torch

from fedtrain.local.update import Measured, Update
from fedtrain.models import MLPSpec, initial_tensors, part_to_upload

SPEC = MLPSpec(num_inputs=4, num_classes=3, num_features=5, num_hidden=4, num_experts=4)


def draw(seed):
    return initial_tensors(SPEC, torch.Generator().manual_seed(seed))


def make_update(client, experts, *, usage=None, num_examples=10):
    size = len(experts)
    usage = np.full(size, 1.0 / size) if usage is None else np.array(usage)
    measured = Measured(usage, np.ones(size), np.full(size, 0.5), np.full(4, 0.25))
    return Update(client, experts, part_to_upload(draw(100 + client), experts), num_examples, measured)


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
