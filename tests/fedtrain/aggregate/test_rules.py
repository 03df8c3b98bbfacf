"""Laws of the aggregation rules: the order of clients does not matter; a rule tolerates its share of bad clients."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fedtrain.aggregate import RULES, WEIGHINGS, aggregate
from fedtrain.config import AggregationConfig
from fedtrain.config.server import RULES as NAMES
from fedtrain.models import expert_of
from tests.updates import draw, make_update, same

ROBUST = ("median", "trimmed-mean", "multi-krum")
BY_COORDINATE = ("median", "trimmed-mean")
BETWEEN = tuple(rule for rule in RULES if rule != "norm-matched")
"""Rules whose result lies between the values, and moves along with them: scaling to a norm depends on where 0 is."""


@st.composite
def stacks(draw_, min_holders=1, max_holders=12):
    """Return values (holders, parameters) and weights drawn by a seed: distinct, and of very different sizes."""
    holders = draw_(st.integers(min_holders, max_holders))
    rng = np.random.default_rng(draw_(st.integers(0, 2**32 - 1)))
    values = rng.normal(size=(holders, draw_(st.integers(1, 6)))) * 10.0 ** rng.integers(-3, 4)
    weights = rng.integers(1, 50, size=holders).astype(np.float64) if draw_(st.booleans()) else np.ones(holders)
    return values, weights


def nearness(tensors):
    """A score: minus the distance from a model that nobody has."""
    return -sum(float((value - 0.3).square().sum()) for value in tensors.values())


def test_a_configuration_can_name_every_rule():
    assert (*RULES, *WEIGHINGS) == NAMES


@pytest.mark.parametrize("rule", RULES)
@given(stacks(), st.floats(0.0, 0.49), st.integers(0, 2**16))
def test_the_order_of_holders_does_not_matter(rule, stack, bad_share, seed):
    values, weights = stack
    order = np.random.default_rng(seed).permutation(len(values))
    scale = np.abs(values).max()
    left = RULES[rule](values, weights, bad_share=bad_share)
    right = RULES[rule](values[order], weights[order], bad_share=bad_share)
    np.testing.assert_allclose(left, right, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("rule", BETWEEN)
@given(stacks(), st.floats(0.0, 0.49))
def test_the_result_lies_between_the_values(rule, stack, bad_share):
    values, weights = stack
    merged = RULES[rule](values, weights, bad_share=bad_share)
    slack = 1e-12 * np.abs(values).max()
    assert merged.shape == values.shape[1:]
    assert (merged >= values.min(axis=0) - slack).all()
    assert (merged <= values.max(axis=0) + slack).all()


@pytest.mark.parametrize("rule", BETWEEN)
@given(stacks(), st.floats(-3.0, 3.0), st.floats(0.0, 0.49))
def test_moving_and_scaling_all_moves_and_scales_the_result(rule, stack, shift, bad_share):
    values, weights = stack
    merged = RULES[rule](values, weights, bad_share=bad_share)
    moved = RULES[rule](2.0 * values + shift, weights, bad_share=bad_share)
    np.testing.assert_allclose(moved, 2.0 * merged + shift, rtol=1e-6, atol=1e-6 * np.abs(values).max() + 1e-9)


@pytest.mark.parametrize("rule", RULES)
@given(stacks(max_holders=1), st.floats(0.0, 0.49))
def test_a_single_holder_is_taken_as_it_is(rule, stack, bad_share):
    values, weights = stack
    np.testing.assert_allclose(RULES[rule](values, weights, bad_share=bad_share), values[0], rtol=1e-15)


@pytest.mark.parametrize("rule", BY_COORDINATE)
@given(stacks(min_holders=3), st.floats(1.0, 1e12), st.booleans(), st.data())
def test_bad_holders_cannot_move_a_coordinate_out_of_the_good_ones_range(rule, stack, size, up, data):
    """With equal weights and fewer than half of the holders bad; the rule knows their share."""
    values, _ = stack
    count = len(values)
    bad = data.draw(st.integers(0, (count - 1) // 2))
    spoiled = values.copy()
    spoiled[:bad] = size if up else -size
    spoiled[: bad // 2] *= -1
    merged = RULES[rule](spoiled, np.ones(count), bad_share=min(bad / count, 0.4999))
    good = values[bad:]
    slack = 1e-12 * np.abs(good).max()
    assert (merged >= good.min(axis=0) - slack).all()
    assert (merged <= good.max(axis=0) + slack).all()


@given(stacks(min_holders=5), st.floats(1e6, 1e12), st.data())
def test_krum_leaves_out_whoever_is_far_away(stack, far, data):
    values, weights = stack
    count = len(values)
    bad = data.draw(st.integers(0, (count - 3) // 2))
    spoiled = values.copy()
    directions = np.random.default_rng(bad).normal(size=(bad, values.shape[1]))
    spoiled[:bad] = far * np.abs(values).max() * (1.0 + np.arange(bad)[:, None]) * np.sign(directions)
    merged = RULES["multi-krum"](spoiled, weights, bad_share=bad / count)
    good = values[bad:]
    assert (merged >= good.min(axis=0) - 1e-9).all()
    assert (merged <= good.max(axis=0) + 1e-9).all()


def test_the_mean_bears_nothing():
    """The laws above can fail: the mean violates them."""
    values = np.array([[0.0], [0.1], [0.2], [0.3], [1e9]])
    assert RULES["mean"](values, np.ones(5))[0] > 1e8
    for rule in ROBUST:
        assert RULES[rule](values, np.ones(5), bad_share=0.2)[0] <= 0.3


@given(stacks())
def test_the_weighted_median_is_the_median_of_repeated_values(stack):
    values, weights = stack
    repeated = np.repeat(values, weights.astype(int), axis=0)
    merged = RULES["median"](values, weights)
    np.testing.assert_allclose(merged, np.median(repeated, axis=0), rtol=1e-12, atol=1e-12)


@given(stacks(min_holders=2), st.floats(0.0, 0.49))
def test_the_trimmed_mean_is_that_of_the_book(stack, bad_share):
    values, _ = stack
    count = len(values)
    cut = min(math.ceil(bad_share * count - 1e-9), (count - 1) // 2)
    expected = [sorted(column)[cut : count - cut] for column in values.T.tolist()]
    merged = RULES["trimmed-mean"](values, np.ones(count), bad_share=bad_share)
    np.testing.assert_allclose(merged, [math.fsum(kept) / len(kept) for kept in expected], rtol=1e-9, atol=1e-9)


@given(stacks(min_holders=5, max_holders=8))
def test_multi_krum_is_that_of_the_paper(stack):
    """Compared with plain loops after the paper's description."""
    values, weights = stack
    n, f = len(values), (len(values) - 3) // 2
    scores = []
    for i in range(n):
        distances = sorted(float(((values[i] - values[j]) ** 2).sum()) for j in range(n) if j != i)
        scores.append(sum(distances[: n - f - 2]))
    chosen = sorted(range(n), key=scores.__getitem__)[: n - f]
    expected = sum(weights[i] * values[i] for i in chosen) / sum(weights[i] for i in chosen)
    merged = RULES["multi-krum"](values, weights, bad_share=f / n)
    np.testing.assert_allclose(merged, expected, rtol=1e-9, atol=1e-9 * np.abs(values).max())


@pytest.mark.parametrize("rule", NAMES)
def test_what_too_few_hold_stays_bit_for_bit(rule):
    current = draw(0)
    updates = [make_update(0, (0, 1)), make_update(1, (1,)), make_update(2, (1, 2))]  # nobody holds expert 3
    merged = aggregate(current, updates, AggregationConfig(rule=rule, min_holders=2), score=nearness)
    for name, value in current.items():
        if expert_of(name) not in (None, 1):
            assert torch.equal(merged[name], value)
        elif name.endswith("weight"):  # biases start at zero in every model drawn
            assert not torch.equal(merged[name], value)


@pytest.mark.parametrize("rule", NAMES)
@pytest.mark.parametrize("weights", ["examples", "equal"])
def test_arrival_does_not_change_a_bit(rule, weights):
    current = draw(0)
    updates = [make_update(i, (0, 1 + i % 3), num_examples=3 + i) for i in range(7)]
    config, rng = AggregationConfig(rule=rule, weights=weights, evaluations=2), np.random.default_rng(0)
    memory = {}
    expected = aggregate(current, updates, config, score=nearness, memory=memory)
    for _ in range(4):
        other, order = {}, rng.permutation(7)
        assert same(aggregate(current, [updates[i] for i in order], config, score=nearness, memory=other), expected)
        assert memory.keys() == other.keys()
        assert all(np.array_equal(memory[key], other[key]) for key in memory)


def test_equal_weights_ignore_what_clients_claim():
    current = draw(0)
    updates = [make_update(i, (0,), num_examples=1) for i in range(3)]
    loud = [*updates[:2], make_update(2, (0,), num_examples=10_000)]
    config = AggregationConfig(rule="mean", weights="equal")
    assert same(aggregate(current, updates, config), aggregate(current, loud, config))
    assert not same(aggregate(current, updates), aggregate(current, loud))
