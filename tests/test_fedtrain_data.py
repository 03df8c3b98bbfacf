"""Splits, partitions and devices: everything is shared out exactly once, by the seed."""

import numpy as np
import pytest

from fedtrain import data, devices
from fedtrain.config import ClientsConfig, TrainingConfig
from fedtrain.moe import ModelSpec, num_bytes, skeleton

LABELS = np.random.default_rng(1).integers(10, size=700)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_digits_are_the_bundled_ones():
    digits = data.load_digits()
    assert digits.inputs.shape == (1797, 64)
    assert digits.inputs.dtype == np.float32
    assert abs(digits.inputs.mean()) < 0.1
    assert 0.9 < digits.inputs.std() < 1.1
    assert np.bincount(digits.labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_the_split_keeps_the_classes_shares_and_loses_nothing():
    inputs = np.arange(700, dtype=np.float32)[:, None]
    train, test = data.split(rng(), data.Examples(inputs, LABELS, 10), 0.25)
    assert sorted([*train.inputs[:, 0], *test.inputs[:, 0]]) == list(range(700))
    per_class = np.bincount(LABELS)
    np.testing.assert_allclose(np.bincount(test.labels), 0.25 * per_class, atol=0.5)


@pytest.mark.parametrize("name", data.PARTITIONS)
@pytest.mark.parametrize("alpha", [0.01, 0.3, 100.0])
@pytest.mark.parametrize("num_clients", [1, 40, 175])
def test_a_partition_covers_every_example_once_and_gives_everyone_the_minimum(name, alpha, num_clients):
    parts = data.PARTITIONS[name](rng(), LABELS, num_clients, alpha=alpha, min_examples=4)
    assert len(parts) == num_clients
    assert sorted(np.concatenate(parts).tolist()) == list(range(700))
    assert min(map(len, parts)) >= 4
    counts = data.label_counts(LABELS, parts, 10)
    assert (counts.sum(axis=1) == [len(part) for part in parts]).all()
    assert (counts.sum(axis=0) == np.bincount(LABELS)).all()


@pytest.mark.parametrize("name", data.PARTITIONS)
def test_a_partition_is_a_function_of_its_generator(name):
    first, again, other = (data.PARTITIONS[name](rng(seed), LABELS, 9, alpha=0.5, min_examples=2) for seed in (3, 3, 4))
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not all(np.array_equal(one, two) for one, two in zip(first, other, strict=True))


def test_alpha_means_label_skew_for_dirichlet_and_size_for_quantity():
    def skews(name, alpha):
        counts = data.label_counts(LABELS, data.PARTITIONS[name](rng(), LABELS, 10, alpha=alpha, min_examples=1), 10)
        sizes = counts.sum(axis=1)
        largest_class = (counts.max(axis=1) / sizes)[sizes >= 20]
        return largest_class.mean(), sizes.std() / sizes.mean()

    assert skews("dirichlet", 0.05)[0] > 0.5
    assert skews("dirichlet", 1000.0)[0] < 0.25
    assert skews("quantity", 0.3)[0] < 0.3
    assert skews("quantity", 0.3)[1] > 0.6
    assert skews("quantity", 1000.0)[1] < 0.1


@pytest.mark.parametrize("name", data.PARTITIONS)
def test_too_many_clients_are_refused(name):
    with pytest.raises(ValueError, match="176 clients with at least 4 examples each need 704, and there are 700"):
        data.PARTITIONS[name](rng(), LABELS, 176, alpha=1.0, min_examples=4)


def test_tiers_are_shared_out_by_their_shares():
    tiers = ClientsConfig().tiers
    tier = devices.assign_tiers(rng(), 40, tiers)
    assert np.bincount(tier).tolist() == [16, 16, 8]
    assert not np.array_equal(tier, devices.assign_tiers(rng(1), 40, tiers))
    assert np.bincount(devices.assign_tiers(rng(), 7, tiers), minlength=3).sum() == 7


SPEC = ModelSpec(num_inputs=4, num_classes=3, num_features=5, num_hidden=4, num_experts=4)


@pytest.mark.parametrize(
    ("training", "copies"),
    [
        (TrainingConfig(momentum=0.0), 2),
        (TrainingConfig(momentum=0.9), 3),
        (TrainingConfig(optimizer="adam"), 4),
    ],
)
def test_the_footprint_counts_gradients_and_the_optimisers_memory(training, copies):
    shared, expert = devices.footprint(skeleton(SPEC), training)
    assert expert == copies * 4 * (5 * 4 + 4 + 4 * 5 + 5)
    assert shared + 4 * expert == copies * num_bytes(skeleton(SPEC))
