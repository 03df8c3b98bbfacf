"""Training a cohort in one batch equals training clients one by one, up to rounding."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fedtrain.config import ConfigError, TrainingConfig
from fedtrain.local.batched import AT_ONCE, Job, train_together
from fedtrain.local.client import LocalData, train
from fedtrain.models import MLPSpec, initial_tensors, part_to_download
from fedtrain.server import initial_state, prepare
from fedtrain.server.rounds import run_rounds
from tests.small_runs import configured

SPEC = MLPSpec(num_inputs=6, num_classes=3, num_features=10, num_hidden=7, num_experts=5, top_k=2)


def examples(number, seed, dtype):
    rng = np.random.default_rng(seed)
    inputs = torch.from_numpy(rng.standard_normal((number, 2, 3))).to(dtype)
    return LocalData(inputs, torch.from_numpy(rng.integers(3, size=number)))


def both_ways(held, sizes, training, spec=SPEC, seed=0, dtype=torch.float64):
    """Return the updates of the same clients, trained one by one and in one batch."""
    tensors = initial_tensors(spec, torch.Generator().manual_seed(seed))
    tensors = {
        name: (value + 0.2 * torch.sin(torch.arange(value.numel())).view_as(value)).to(dtype)
        for name, value in tensors.items()
    }
    before = {name: value.clone() for name, value in tensors.items()}
    clients = [
        (10 + k, experts, examples(size, seed + k, dtype))
        for k, (experts, size) in enumerate(zip(held, sizes, strict=True))
    ]
    alone = [
        train(i, spec, part_to_download(tensors, own), own, data, training, np.random.default_rng(i))
        for i, own, data in clients
    ]
    jobs = [Job(i, own, data, np.random.default_rng(i)) for i, own, data in clients]
    together = train_together(spec, tensors, jobs, training)
    assert all(torch.equal(tensors[name], before[name]) for name in tensors)
    return alone, together


def check_same(alone, together, tolerance=1e-10):
    assert len(alone) == len(together)
    for one, other in zip(alone, together, strict=True):
        assert (one.client, one.experts, one.num_examples) == (other.client, other.experts, other.num_examples)
        assert one.tensors.keys() == other.tensors.keys()
        for name, value in one.tensors.items():
            assert other.tensors[name].is_contiguous()
            torch.testing.assert_close(other.tensors[name], value, rtol=0.0, atol=tolerance)
        for field, values in one.measured._asdict().items():
            np.testing.assert_allclose(getattr(other.measured, field), values, rtol=0.0, atol=tolerance)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("auxiliary", [0.0, 0.3])
def test_together_is_one_by_one(optimizer, auxiliary):
    training = TrainingConfig(optimizer=optimizer, learning_rate=0.02, epochs=2, batch_size=4, auxiliary_loss=auxiliary)
    held = [(0, 1, 2, 3, 4), (2,), (1, 4), (0, 3), (4,), (0, 1), (1, 2, 3)]
    check_same(*both_ways(held, [5, 9, 1, 16, 4, 3, 11], training))


def test_in_single_precision_they_differ_by_rounding():
    """Adam is left out: it divides by the size of gradients, so the rounding of a gradient near 0 would decide."""
    training = TrainingConfig(learning_rate=0.02, epochs=3, batch_size=4)
    held = [(0, 1, 2, 3, 4), (2,), (1, 4), (0, 3), (1, 2, 3)]
    check_same(*both_ways(held, [5, 9, 1, 16, 4], training, dtype=torch.float32), tolerance=1e-5)


@settings(max_examples=25)
@given(
    held=st.lists(st.sets(st.integers(0, 4), min_size=1), min_size=1, max_size=6),
    sizes=st.lists(st.integers(1, 13), min_size=6, max_size=6),
    optimizer=st.sampled_from(["sgd", "adam"]),
    momentum=st.sampled_from([0.0, 0.9]),
    batch_size=st.integers(1, 6),
    top_k=st.integers(1, 3),
    seed=st.integers(0, 99),
)
def test_together_is_one_by_one_whatever_the_clients(held, sizes, optimizer, momentum, batch_size, top_k, seed):
    spec = MLPSpec(num_inputs=6, num_classes=3, num_features=5, num_hidden=3, num_experts=5, top_k=top_k)
    training = TrainingConfig(optimizer, learning_rate=0.01, momentum=momentum, epochs=1, batch_size=batch_size)
    experts = [tuple(sorted(own)) for own in held]
    check_same(*both_ways(experts, sizes[: len(held)], training, spec, seed))


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_an_expert_that_a_batch_does_not_reach_keeps_its_momentum_to_itself(optimizer):
    """With one example per batch and one expert per example, every step reaches only one expert."""
    spec = MLPSpec(num_inputs=6, num_classes=3, num_features=10, num_hidden=7, num_experts=5, top_k=1)
    training = TrainingConfig(optimizer, learning_rate=0.01, epochs=2, batch_size=1, auxiliary_loss=0.0)
    alone, together = both_ways([(0, 1, 2, 3, 4)] * 3, [12, 7, 9], training, spec)
    assert all((update.measured.usage > 0).sum() > 1 for update in alone)
    check_same(alone, together)


def test_more_clients_than_are_trained_at_once():
    number = AT_ONCE + 3
    training = TrainingConfig(epochs=1, batch_size=4, learning_rate=0.01)
    check_same(*both_ways([(k % 5,) for k in range(number)], [1 + k % 5 for k in range(number)], training))


def test_a_run_is_the_same_but_for_rounding():
    runs = []
    for together in ("false", "true"):
        federation = prepare(configured(f"training.together={together}", "clients.dropout=0.2"))
        rounds, states = zip(*run_rounds(federation, initial_state(federation)), strict=True)
        runs.append((rounds, states[-1].tensors))
    (alone, left), (together, right) = runs
    for one, other in zip(alone, together, strict=True):
        assert (one.row.dropped, one.row.bytes_down, one.row.bytes_up) == (
            other.row.dropped,
            other.row.bytes_down,
            other.row.bytes_up,
        )
        assert one.row.loss == pytest.approx(other.row.loss, abs=1e-5)
    for name, value in left.items():
        torch.testing.assert_close(right[name], value, rtol=0.0, atol=1e-5)


def test_only_plain_models_are_trained_together():
    with pytest.raises(ConfigError, match=r"training.together is True; it must be false where model.kind is 'conv'"):
        configured("training.together=true", "model.kind=conv")
