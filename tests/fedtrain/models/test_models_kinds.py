"""Properties of all kinds of models, and the convolutional models and the transformer by their definitions."""

import numpy as np
import pytest
import torch
from torch.nn.functional import conv2d, cross_entropy, max_pool2d, relu, softmax

from fedtrain.config import ConfigError, ModelConfig, TrainingConfig
from fedtrain.config.file import read_config
from fedtrain.config.model import MODEL_KINDS
from fedtrain.data import Examples
from fedtrain.layouts import detect
from fedtrain.local.client import LocalData, auxiliary_loss, train
from fedtrain.models import (
    MODELS,
    expert_of,
    initial_tensors,
    num_bytes,
    part_to_download,
    part_to_upload,
    skeleton,
)
from fedtrain.partial import find_fault
from fedtrain.simulation.devices import footprint

IMAGES = Examples(np.random.default_rng(0).standard_normal((12, 2, 9, 8)).astype(np.float32), np.arange(12) % 5, 5)
TEXT = Examples(*np.random.default_rng(1).integers(6, size=(2, 7, 5)), 6)
SIZES = {"num_features": 8, "num_hidden": 5, "num_experts": 4, "num_channels": 3, "num_heads": 2}
CASES = {
    "mlp": (ModelConfig("mlp", **SIZES), IMAGES),
    "conv with mlp experts": (ModelConfig("conv", **SIZES), IMAGES),
    "conv with conv experts": (ModelConfig("conv", **SIZES, experts="conv"), IMAGES),
    "transformer": (ModelConfig("transformer", **SIZES, num_layers=3), TEXT),
}
HELD = {1: (1, 3), 3: (0, 2, 3, 5, 8, 9, 10, 11)}


class Case:
    """A kind of model with random tensors, larger than initial ones, so that experts and routers matter."""

    def __init__(self, name):
        config, self.examples = CASES[name]
        self.spec = MODELS[config.kind](config, self.examples)
        self.tensors = {
            key: value + 0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(number))
            for number, (key, value) in enumerate(initial_tensors(self.spec, torch.Generator().manual_seed(1)).items())
        }
        self.layers = self.spec.expert_group[-1] + 1
        self.held = HELD[self.layers]
        self.data = LocalData(torch.from_numpy(self.examples.inputs), torch.from_numpy(self.examples.labels))

    def part(self, held=None):
        """Return the model of a client that holds these experts."""
        held = self.held if held is None else held
        return self.spec.build(held).load(part_to_download(self.tensors, held))

    def columns(self, layer, experts):
        """Return the positions of a layer's experts among these."""
        return [k for k, j in enumerate(experts) if self.spec.expert_group[j] == layer]


@pytest.fixture(params=CASES)
def case(request):
    return Case(request.param)


def test_the_configuration_knows_the_kinds():
    assert tuple(MODELS) == MODEL_KINDS


def test_gates_and_probabilities_are_shares_within_each_layer(case):
    routed = case.part()(case.data.inputs)
    predictions = case.data.labels.numel()
    assert routed.logits.shape == (predictions, case.spec.num_classes)
    assert routed.gates.shape == (predictions, len(case.held))
    assert routed.router_probabilities.shape == (predictions, case.spec.num_experts)
    for layer in range(case.layers):
        gates = routed.gates[:, case.columns(layer, case.held)]
        torch.testing.assert_close(gates.sum(dim=1), torch.ones(predictions))
        assert ((gates > 0).sum(dim=1) == min(2, gates.shape[1])).all()
        probabilities = routed.router_probabilities[:, case.columns(layer, range(case.spec.num_experts))]
        torch.testing.assert_close(probabilities.sum(dim=1), torch.ones(predictions))


def test_experts_are_numbered_through_and_only_held_ones_exist(case):
    assert case.spec.num_experts == case.layers * 4
    assert case.spec.expert_group == tuple(np.repeat(range(case.layers), 4))
    whole = skeleton(case.spec)
    assert {expert_of(name) for name in whole} == {None, *range(case.spec.num_experts)}
    own = {expert_of(name) for name in case.part().tensors() if name.startswith("experts.")}
    assert own == set(case.held)
    sizes = {
        num_bytes({name: value for name, value in whole.items() if expert_of(name) == j})
        for j in range(case.spec.num_experts)
    }
    assert len(sizes) == 1
    up = part_to_upload(case.tensors, case.held)
    assert num_bytes(whole) - num_bytes(up) == (case.spec.num_experts - len(case.held)) * sizes.pop()


def test_a_layer_without_an_expert_is_refused(case):
    lacking = [j for j in case.held if case.spec.expert_group[j] != case.layers - 1]
    where = f" in layer {case.layers - 1}" if case.layers > 1 else ""
    with pytest.raises(ValueError, match=f"at least one expert to route to{where}"):
        case.spec.build(lacking)


def test_training_lowers_the_loss_and_its_update_may_be_merged(case):
    training = TrainingConfig(epochs=40, learning_rate=0.03, batch_size=4)
    before = case.part()(case.data.inputs)
    download = part_to_download(case.tensors, case.held)
    update = train(3, case.spec, download, case.held, case.data, training, np.random.default_rng(0))
    number = len(case.data)
    assert find_fault(update, case.tensors, detect(case.tensors), assigned=case.held, cap=number) is None
    assert all(not torch.equal(value, case.tensors[name]) for name, value in update.tensors.items())
    case.tensors |= update.tensors
    after, labels = case.part()(case.data.inputs), case.data.labels.flatten()
    assert cross_entropy(after.logits, labels) < 0.6 * cross_entropy(before.logits, labels)
    for layer in range(case.layers):
        assert update.measured.usage[case.columns(layer, case.held)].sum() == pytest.approx(1.0)
        in_layer = update.measured.router_mass[case.columns(layer, range(case.spec.num_experts))]
        assert in_layer.sum() == pytest.approx(1.0)


def test_the_auxiliary_loss_is_the_mean_of_the_layers(case):
    with torch.no_grad():
        routed = case.part()(case.data.inputs)
    found = auxiliary_loss(routed, case.held, case.spec.expert_group)
    expected = 0.0
    for layer in range(case.layers):
        own = [j for j in case.held if case.spec.expert_group[j] == layer]
        expected += float(-routed.router_probabilities[:, own].sum(dim=1).log().mean()) / case.layers
    assert float(found) == pytest.approx(expected, rel=1e-5)


def test_the_initial_model_is_fixed_by_its_generator(case):
    first, again, other = (initial_tensors(case.spec, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first if not name.endswith("bias"))
    untrained = case.spec.build(range(case.spec.num_experts)).load(first)(case.data.inputs)
    assert untrained.logits.std() < 5.0
    mean = untrained.router_probabilities.mean(dim=0)
    assert ((mean > 0.1) & (mean < 0.5)).all()  # of four experts in each layer


def route_by_hand(get, seen, experts, held):
    """Return the shares of the best two held experts, computed from the router logits."""
    logits = {j: float(get[f"router.{j}"] @ seen) for j in held if j in experts}
    chosen = sorted(logits, key=lambda j: -logits[j])[:2]
    total = sum(np.exp(logits[j]) for j in chosen)
    return {j: float(np.exp(logits[j]) / total) for j in chosen}


def linear(get, name, x):
    return get[f"{name}.weight"] @ x + get[f"{name}.bias"]


@pytest.mark.parametrize("experts", ["mlp", "conv"])
def test_conv_by_its_definition(experts):
    case = Case(f"conv with {experts} experts")
    get = {name: value.double() for name, value in case.tensors.items()}
    expected = []
    for image in case.data.inputs.double():
        maps = image[None]
        for k in (0, 3):
            maps = relu(conv2d(maps, get[f"extractor.{k}.weight"], get[f"extractor.{k}.bias"], padding=1))
            maps = max_pool2d(maps, 2)
        if experts == "mlp":
            here = seen = relu(linear(get, "extractor.7", maps.flatten()))
        else:
            here, seen = maps, maps[0].mean(dim=(1, 2))
        out = here.clone()
        for j, share in route_by_hand(get, seen, range(4), case.held).items():
            if experts == "mlp":
                says = linear(get, f"experts.{j}.2", relu(linear(get, f"experts.{j}.0", here)))
            else:
                says = here
                for k, after in ((0, relu), (2, lambda x: x)):
                    name = f"experts.{j}.{k}"
                    says = after(conv2d(says, get[f"{name}.weight"], get[f"{name}.bias"], padding=1))
            out += share * says
        expected.append(linear(get, "classifier", out.flatten()))
    torch.testing.assert_close(
        case.part()(case.data.inputs).logits, torch.stack(expected).float(), rtol=1e-4, atol=1e-4
    )


def normed(x):
    return (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()


def attend_by_hand(get, layer, rows, num_heads):
    """Return what causal attention adds to each row."""
    width = len(rows[0]) // num_heads
    asked = [linear(get, f"attention.{layer}.asks", normed(row)) for row in rows]
    parts = [[three.view(3, num_heads, width)[k] for three in asked] for k in range(3)]
    given = []
    for t in range(len(rows)):
        heads = []
        for h in range(num_heads):
            weights = softmax(torch.stack([parts[0][t][h] @ parts[1][s][h] for s in range(t + 1)]) / width**0.5, 0)
            heads.append(sum(weights[s] * parts[2][s][h] for s in range(t + 1)))
        given.append(linear(get, f"attention.{layer}.gives", torch.cat(heads)))
    return given


def test_the_transformer_by_its_definition():
    case = Case("transformer")
    get = {name: value.double() for name, value in case.tensors.items()}
    expected = []
    for symbols in case.data.inputs:
        rows = [get["embedding.weight"][s] + get["positions.weight"][t] for t, s in enumerate(symbols)]
        for layer in range(3):
            added = attend_by_hand(get, layer, rows, 2)
            rows = [row + more for row, more in zip(rows, added, strict=True)]
            for t, row in enumerate(rows):
                seen = normed(row)
                for j, share in route_by_hand(get, seen, range(4 * layer, 4 * layer + 4), case.held).items():
                    inner = relu(linear(get, f"experts.{j}.0", seen))
                    rows[t] = rows[t] + share * linear(get, f"experts.{j}.2", inner)
        expected += [linear(get, "classifier", normed(row)) for row in rows]
    torch.testing.assert_close(
        case.part()(case.data.inputs).logits, torch.stack(expected).float(), rtol=1e-3, atol=1e-3
    )


def test_the_transformer_does_not_look_ahead():
    case = Case("transformer")
    changed = case.data.inputs.clone()
    changed[:, 3] = (changed[:, 3] + 1) % 6
    one, other = (case.part()(inputs).logits.view(7, 5, 6) for inputs in (case.data.inputs, changed))
    torch.testing.assert_close(one[:, :3], other[:, :3])
    assert not torch.isclose(one[:, 3:], other[:, 3:]).all(dim=2).any()
    short = case.part()(case.data.inputs[:, :2]).logits.view(7, 2, 6)
    torch.testing.assert_close(short, one[:, :2])


@pytest.mark.parametrize(
    ("kind", "examples", "words"),
    [
        ("mlp", TEXT, "model.kind is 'mlp', which reads numbers"),
        ("conv", TEXT, "model.kind is 'conv', which needs images of at least 4 × 4"),
        ("conv", Examples(np.zeros((2, 1, 3, 9), dtype=np.float32), np.zeros(2, dtype=np.int64), 2), "shape (1, 3, 9)"),
        ("transformer", IMAGES, "model.kind is 'transformer', which reads characters"),
    ],
)
def test_a_model_that_does_not_fit_the_data_is_refused(kind, examples, words):
    with pytest.raises(ConfigError) as error:
        MODELS[kind](ModelConfig(kind), examples)
    assert words in str(error.value)


WRONG = {
    "model.kind=lstm": "model.kind is 'lstm'; it must be 'mlp' or 'conv' or 'transformer'",
    "model.experts=deep": "model.experts is 'deep'; it must be 'mlp' or 'conv'",
    "model.num_layers=0": "model.num_layers is 0; it must be 1 or more",
    "model.num_channels=0": "model.num_channels is 0; it must be 1 or more",
}


@pytest.mark.parametrize("override", WRONG)
def test_a_wrong_value_is_named_by_its_key(override):
    with pytest.raises(ConfigError) as error:
        read_config(overrides=[override])
    assert WRONG[override] in str(error.value)


def test_heads_divide_the_width_of_a_transformer_only():
    assert ModelConfig("mlp", num_features=30).num_heads == 4
    with pytest.raises(ConfigError, match=r"model.num_heads is 4; it must be a divisor of model.num_features, 30"):
        ModelConfig("transformer", num_features=30)


@pytest.mark.parametrize(
    ("training", "copies"),
    [
        (TrainingConfig(momentum=0.0), 2),
        (TrainingConfig(momentum=0.9), 3),
        (TrainingConfig(optimizer="adam"), 4),
    ],
)
def test_the_footprint_counts_gradients_and_the_optimisers_memory(case, training, copies):
    whole = skeleton(case.spec)
    shared, expert = footprint(whole, training)
    one = {name: value for name, value in whole.items() if name.startswith("experts.1.")}
    assert expert == copies * num_bytes(one) > 0
    assert shared + case.spec.num_experts * expert == copies * num_bytes(whole)
