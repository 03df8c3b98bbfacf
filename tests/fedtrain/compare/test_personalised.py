"""Personalised accuracy: each client's part of the model, measured on test examples like the client's own."""

import numpy as np
import pytest
import torch

from fedtrain.compare.cell import personalised_accuracy
from fedtrain.models import part_to_download
from fedtrain.server import evaluate, initial_state, prepare
from tests.small_runs import configured


@pytest.mark.parametrize("name", ["digits", "concepts", "glyphs"])
def test_it_is_the_weighted_share_of_right_answers(name):
    federation = prepare(configured(f"data.name={name}", "data.glyphs.size=8", "model.num_features=5"))
    tensors = initial_state(federation).tensors
    held = {3: (0, 2), 11: (1,), 0: (0, 1, 2, 3)}
    found = personalised_accuracy(federation, tensors, held)
    for value, (client, experts) in zip(found, held.items(), strict=True):
        model = federation.spec.build(experts).load(part_to_download(tensors, experts))
        with torch.no_grad():
            right = (model(federation.test.inputs).logits.argmax(dim=1) == federation.test.labels).numpy()
        shares = federation.data.mixture[client]
        groups = [right[federation.data.test_group == g].mean() for g in np.flatnonzero(shares)]
        assert value == pytest.approx(shares[shares > 0] @ groups)


def test_clients_that_meet_the_same_are_served_as_the_test_set_is():
    """If every client has all domains equally, personalised accuracy equals the accuracy of the full model."""
    federation = prepare(configured("data.name=concepts", "data.concepts.alpha=1e6", "data.concepts.copies=400"))
    tensors = initial_state(federation).tensors
    found = personalised_accuracy(federation, tensors, dict.fromkeys(range(12), range(4)))
    np.testing.assert_allclose(found, evaluate(federation, tensors)[0], atol=0.02)
