"""Devices: shared out by their shares, and what they make of memory and time."""

import numpy as np
import pytest

from fedtrain import devices
from fedtrain.config import ClientsConfig, ConfigError, TierConfig, TrainingConfig
from fedtrain.models import MLPSpec, num_bytes, skeleton


def rng(seed=0):
    return np.random.default_rng(seed)


def test_tiers_are_shared_out_by_their_shares():
    tiers = ClientsConfig().tiers
    tier = devices.assign_tiers(rng(), 40, tiers)
    assert np.bincount(tier).tolist() == [16, 16, 8]
    assert not np.array_equal(tier, devices.assign_tiers(rng(1), 40, tiers))
    assert np.bincount(devices.assign_tiers(rng(), 7, tiers), minlength=3).sum() == 7


SPEC = MLPSpec(num_inputs=4, num_classes=3, num_features=5, num_hidden=4, num_experts=4)


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


def test_a_tier_too_small_for_one_expert_is_refused_by_name():
    small = TierConfig("watch", share=1.0, memory_kib=2.0, ms_per_example=1.0, down_mbps=1.0, up_mbps=1.0)
    assert devices.memory_bytes([small], 1000, 1048).tolist() == [2048]
    with pytest.raises(ConfigError, match="'watch' has memory_kib = 2"):
        devices.memory_bytes([small], 1000, 1049)


def test_simulated_time_is_compute_plus_traffic():
    tier = TierConfig("phone", share=1.0, memory_kib=2.0, ms_per_example=2.0, down_mbps=8.0, up_mbps=4.0)
    work = {"num_examples": 100, "num_experts": 4, "top_k": 2, "bytes_down": 2_000_000, "bytes_up": 1_000_000}
    assert devices.simulated_seconds(tier, **work) == pytest.approx(3 * 100 * 2 * 0.002 + 2.0 + 2.0)
    assert devices.simulated_seconds(tier, **work | {"num_experts": 1}) == pytest.approx(0.6 + 4.0)
