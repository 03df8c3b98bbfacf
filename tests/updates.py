"""Updates of a small model, made without training; shared by the tests of merging and of reception."""

import numpy as np
import torch

from alignsolve import Outcome, Report
from fedtrain.config import ValidationConfig
from fedtrain.layouts import detect
from fedtrain.models import MLPSpec, initial_tensors, part_to_upload
from fedtrain.partial import PartialUpdate
from fedtrain.server.inspection import Inspector
from fedtrain.server.simulated_clients import open_replies

SPEC = MLPSpec(num_inputs=4, num_classes=3, num_features=5, num_hidden=4, num_experts=4)


def draw(seed):
    return initial_tensors(SPEC, torch.Generator().manual_seed(seed))


def make_update(client, experts, *, usage=None, num_examples=10):
    size = len(experts)
    usage = np.full(size, 1.0 / size) if usage is None else np.array(usage)
    measured = (usage, np.ones(size), np.full(size, 0.5), np.full(4, 0.25))
    return PartialUpdate(client, experts, part_to_upload(draw(100 + client), experts), num_examples, *measured)


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def inspect(replies, asked, validation=ValidationConfig(), number=0, cap=10):  # noqa: B008  (frozen)
    """Pass replies through the server's door; ``asked`` are the experts of each client that was asked."""
    current = draw(0)
    silent = {client: Report(client, held, outcome=Outcome.DROPPED) for client, held in asked.items()}
    inspector = Inspector(current, detect(current), "held", dict.fromkeys(asked, cap), validation)
    return inspector.inspect(open_replies(replies, number, {}), silent)
