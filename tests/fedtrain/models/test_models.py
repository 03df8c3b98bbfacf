"""The model and a client's part of it: the experts held, the routing, and the tensors sent."""

import numpy as np
import pytest
import torch

from fedtrain.config import TrainingConfig
from fedtrain.local.client import LocalData, auxiliary_loss, train
from fedtrain.models import (
    MLPSpec,
    expert_of,
    initial_tensors,
    num_bytes,
    part_to_download,
    part_to_upload,
    skeleton,
)

SPEC = MLPSpec(num_inputs=6, num_classes=3, num_features=10, num_hidden=7, num_experts=5, top_k=2)


@pytest.fixture
def tensors():
    return initial_tensors(SPEC, torch.Generator().manual_seed(3))


@pytest.fixture
def data():
    rng = np.random.default_rng(5)
    inputs = torch.from_numpy(rng.standard_normal((30, 6)).astype(np.float32))
    return LocalData(inputs, torch.from_numpy(rng.integers(3, size=30)))


def by_hand(tensors, inputs, held):
    """Compute the definition, example by example: softmax over the best two held experts, added to the features."""
    logits = []
    for x in inputs.double():
        get = {name: value.double() for name, value in tensors.items()}
        h = torch.relu(get["extractor.0.weight"] @ x + get["extractor.0.bias"])
        router = {j: float(get[f"router.{j}"] @ h) for j in held}
        chosen = sorted(held, key=lambda j: -router[j])[: SPEC.top_k]
        total = sum(np.exp(router[j]) for j in chosen)
        mixed = h.clone()
        for j in chosen:
            inner = torch.relu(get[f"experts.{j}.0.weight"] @ h + get[f"experts.{j}.0.bias"])
            says = get[f"experts.{j}.2.weight"] @ inner + get[f"experts.{j}.2.bias"]
            mixed += np.exp(router[j]) / total * says
        logits.append(get["classifier.weight"] @ mixed + get["classifier.bias"])
    return torch.stack(logits)


@pytest.mark.parametrize("held", [(0, 1, 2, 3, 4), (1, 4), (0, 2, 3), (2,)])
def test_a_part_says_what_the_whole_model_says_if_its_router_is_masked_to_the_held_experts(tensors, data, held):
    part = SPEC.build(held).load(part_to_download(tensors, held))
    torch.testing.assert_close(part(data.inputs).logits, by_hand(tensors, data.inputs, held).float())


def test_a_part_has_no_other_experts(tensors):
    part = SPEC.build((1, 4)).load(part_to_download(tensors, (1, 4)))
    assert set(part.experts) == {"1", "4"}
    assert {expert_of(name) for name in part.tensors() if name.startswith("experts.")} == {1, 4}
    with pytest.raises(RuntimeError, match=r"Unexpected key.*experts\.2"):
        SPEC.build((1, 4)).load(part_to_download(tensors, (1, 2, 4)))


def test_gates_are_shares_of_the_best_two_and_router_probabilities_cover_all_experts(tensors, data):
    routed = SPEC.build((0, 2, 3)).load(part_to_download(tensors, (0, 2, 3)))(data.inputs)
    assert routed.gates.shape == (30, 3)
    torch.testing.assert_close(routed.gates.sum(dim=1), torch.ones(30))
    assert ((routed.gates > 0).sum(dim=1) == 2).all()
    assert routed.router_probabilities.shape == (30, 5)
    torch.testing.assert_close(routed.router_probabilities.sum(dim=1), torch.ones(30))


def test_a_model_without_experts_is_refused():
    with pytest.raises(ValueError, match="at least one expert"):
        SPEC.build(())


def test_bytes_are_those_of_the_tensors_that_travel(tensors):
    """Counted by hand: float32, an extractor, a classifier, router rows, experts of two layers."""
    shared = 4 * (6 * 10 + 10 + 10 * 3 + 3)
    row, expert = 4 * 10, 4 * (10 * 7 + 7 + 7 * 10 + 10)
    down, up = part_to_download(tensors, (1, 4)), part_to_upload(tensors, (1, 4))
    assert num_bytes(down) == shared + 5 * row + 2 * expert
    assert num_bytes(up) == shared + 2 * row + 2 * expert
    assert num_bytes(tensors) == num_bytes(skeleton(SPEC)) == shared + 5 * row + 5 * expert
    assert num_bytes(up) == sum(len(value.numpy().tobytes()) for value in up.values())


def test_a_download_is_a_copy(tensors):
    before = {name: value.clone() for name, value in tensors.items()}
    for value in part_to_download(tensors, (0,)).values():
        value.zero_()
    assert all(torch.equal(tensors[name], before[name]) for name in tensors)


def test_training_changes_the_held_part_lowers_the_loss_and_returns_nothing_else(tensors, data):
    held = (1, 4)
    training = TrainingConfig(epochs=30, learning_rate=0.1, auxiliary_loss=0.0)
    update = train(7, SPEC, part_to_download(tensors, held), held, data, training, np.random.default_rng(0))
    assert update.tensors.keys() == part_to_upload(tensors, held).keys()
    assert (update.client, update.experts, update.num_examples) == (7, held, 30)
    assert all(not torch.equal(value, tensors[name]) for name, value in update.tensors.items())
    after = SPEC.build(held).load(part_to_download({**tensors, **update.tensors}, held))
    before = SPEC.build(held).load(part_to_download(tensors, held))
    loss = torch.nn.functional.cross_entropy
    assert loss(after(data.inputs).logits, data.labels) < 0.5 * loss(before(data.inputs).logits, data.labels)


def test_measures_are_means_over_the_examples_that_went_through_an_expert(tensors, data):
    """With a negligible learning rate the measures are those of the downloaded model."""
    held = (0, 2, 3)
    training = TrainingConfig(epochs=2, learning_rate=1e-30, auxiliary_loss=0.3)
    measured = train(0, SPEC, part_to_download(tensors, held), held, data, training, np.random.default_rng(0)).measured
    with torch.no_grad():
        routed = SPEC.build(held).load(part_to_download(tensors, held))(data.inputs)
        losses = torch.nn.functional.cross_entropy(routed.logits, data.labels, reduction="none")
        right = (routed.logits.argmax(dim=1) == data.labels).float()
    gates = routed.gates.numpy()
    np.testing.assert_allclose(measured.usage, gates.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(measured.loss, losses.numpy() @ gates / gates.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(measured.accuracy, right.numpy() @ gates / gates.sum(axis=0), rtol=1e-5)
    np.testing.assert_allclose(measured.router_mass, routed.router_probabilities.numpy().mean(axis=0), rtol=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_only_the_auxiliary_loss_teaches_the_router_of_a_client_with_one_expert(tensors, data, weight):
    training = TrainingConfig(epochs=3, auxiliary_loss=weight)
    update = train(0, SPEC, part_to_download(tensors, (2,)), (2,), data, training, np.random.default_rng(0))
    assert torch.equal(update.tensors["router.2"], tensors["router.2"]) == (weight == 0.0)
    if weight:
        before = SPEC.build((2,)).load(part_to_download(tensors, (2,)))(data.inputs)
        after = SPEC.build((2,)).load(part_to_download({**tensors, **update.tensors}, (2,)))(data.inputs)
        group = SPEC.expert_group
        assert auxiliary_loss(after, (2,), group) < auxiliary_loss(before, (2,), group)


def test_the_initial_model_is_fixed_by_its_generator_and_leaves_the_global_one_alone():
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first, again = (initial_tensors(SPEC, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)
