"""The wireless channel: what arrives, how its variance shrinks with holders, and the demand derived from it."""

import math

import numpy as np
import pytest

from alignsolve import DerivedDemand, HolderVariance
from fedtrain.config import AggregationConfig, ChannelConfig, ConfigError
from fedtrain.layouts import detect
from fedtrain.partial import PartialUpdate, merge, slice_weights
from fedtrain.simulation.channel import draw_noise, transmit

SIZE = 4_000
EQUAL = AggregationConfig(weights="equal")


def model():
    return {f"experts.{j}.weight": np.zeros(SIZE) for j in range(2)} | {"count": np.zeros(1, dtype=np.int64)}


def received(holders, channel, seed=0, step=1.0):
    """Return the merged expert of clients that all sent the same step over the channel."""
    weights = model()
    layout, updates = detect(weights), []
    for client in range(holders):
        sent = slice_weights(weights, layout, [0])
        part = sent | {"experts.0.weight": np.full(SIZE, step)}
        rng = np.random.default_rng((seed, client))
        updates.append(transmit(PartialUpdate(client, (0,), part, 1), sent, channel, rng))
    assigned = dict.fromkeys(range(holders), (0,))
    merged = merge(weights, updates, layout, assigned=assigned, cap=1, aggregation=EQUAL)
    assert not merged.faults
    return merged.weights["experts.0.weight"]


def test_the_variance_of_an_expert_follows_one_over_its_holders_and_the_derived_demand_keeps_it_below_the_wish():
    channel = ChannelConfig(noise=0.6, power=4.0)
    one = HolderVariance(noise=channel.noise, power=channel.power)
    for holders in (1, 2, 4, 16):
        measured = received(holders, channel)
        assert measured.var() == pytest.approx(one.total / holders, rel=0.1)
        assert measured.mean() == pytest.approx(1.0, abs=0.02)
    for wished in (0.05, 0.01):
        assert received(DerivedDemand(one, wished).needed, channel, seed=1).var() < 1.1 * wished


def test_fading_has_the_mean_1_and_its_variance_shrinks_too():
    channel = ChannelConfig(fading="rayleigh")
    for holders in (1, 4):
        gains = np.array([received(holders, channel, seed=seed)[0] for seed in range(300)])
        assert gains.mean() == pytest.approx(1.0, abs=0.1)
        assert gains.var() == pytest.approx(HolderVariance(fading=4 / math.pi - 1, size=1.0).total / holders, rel=0.35)


def test_stable_noise_is_normal_at_2_and_has_heavy_tails_below():
    rng = np.random.default_rng(0)
    near = draw_noise(SIZE, ChannelConfig(noise=1.0, alpha=1.999), rng)
    normal = draw_noise(SIZE, ChannelConfig(noise=1.0), rng)
    quartiles = np.percentile(near, [25, 75]) - np.percentile(normal, [25, 75])
    assert np.abs(quartiles).max() < 0.1
    assert np.abs(draw_noise(SIZE, ChannelConfig(noise=1.0, alpha=1.2), rng)).max() > 10 * np.abs(normal).max()
    assert not draw_noise(3, ChannelConfig(), rng).any()


def test_a_channel_that_is_no_number_is_refused_and_counters_pass():
    for wrong in ({"noise": math.nan}, {"noise": -1.0}, {"power": math.nan}, {"alpha": 0.0}, {"fading": "rain"}):
        with pytest.raises(ConfigError, match="channel"):
            ChannelConfig(**wrong)
    update = PartialUpdate(0, (0,), {"experts.0.weight": np.ones(SIZE), "count": np.ones(1, dtype=np.int64)}, 1)
    arrived = transmit(update, model(), ChannelConfig(noise=1.0), np.random.default_rng(0))
    assert arrived.weights["count"] is update.weights["count"]
