"""The rules of FedFA, FedAA and FedMoE-DA against cases worked by hand, and what they refuse."""

import math

import numpy as np
import pytest
import torch

from alignsolve import Aligner, CapacityProfiler
from fedtrain.aggregate import aggregate, norm_matched
from fedtrain.aggregate.distance_filtered import nearest_half
from fedtrain.aggregate.domain_aware import mixtures
from fedtrain.config import AggregationConfig
from fedtrain.layouts import LayoutError, detect
from fedtrain.partial import PartialUpdate, merge, slice_weights
from fedtrain.server.session import Session
from tests.updates import draw, make_update, same

DOMAIN = AggregationConfig(rule="domain-aware", weights="equal", neighbours=1, temperature=0.5)
LEARNED = AggregationConfig(rule="learned", weights="equal")


def model(value=0.0):
    """Two experts of one number each, with a router of two inputs, and a shared number."""
    weights = {f"experts.{j}.weight": np.full((1, 1), value) for j in range(2)}
    return weights | {"router.weight": np.zeros((2, 2)), "body": np.full(1, value)}


def update(client, expert, value, row=(1.0, 0.0), base=None):
    part = slice_weights(base or model(), detect(model()), [expert])
    part |= {f"experts.{expert}.weight": np.full((1, 1), value), "router.weight": np.array([row])}
    return PartialUpdate(client, (expert,), part, 1)


def merged(updates, config, expert=0, weights=None, **more):
    tensors = aggregate(weights or model(), updates, config, layout=detect(model()), **more)
    return float(tensors[f"experts.{expert}.weight"][0, 0])


def test_norms_are_matched_as_by_hand():
    """The largest of 21 entries is beyond the 95th percentile: the norms are 1·√20 and 3·√20, their mean 2·√20."""
    small, large = np.append(np.ones(20), 7.0), np.append(np.full(20, 3.0), 3.5)
    expected = (1 * 2.0 * small + 3 * (2.0 / 3.0) * large) / 4
    np.testing.assert_allclose(norm_matched(np.stack([small, large]), np.array([1.0, 3.0])), expected, rtol=1e-12)
    # A holder of zeros is not scaled, and does not count in the mean norm; only zeros give zeros.
    zeros = np.zeros((1, 2))
    np.testing.assert_allclose(norm_matched(np.vstack([zeros, [[2.0, 2.0]]]), np.ones(2)), [1.0, 1.0])
    assert not norm_matched(np.vstack([zeros, zeros]), np.ones(2)).any()
    # It is applied tensor by tensor: a large tensor does not scale a small one.
    weights = {f"experts.{j}.{part}": np.zeros(2) for j in range(2) for part in ("up", "down")}
    sent = [{"experts.0.up": np.full(2, up), "experts.0.down": np.ones(2)} for up in (10.0, 30.0)]
    updates = [PartialUpdate(client, (0,), part, 1) for client, part in enumerate(sent)]
    out = aggregate(weights, updates, AggregationConfig("norm-matched"), layout=detect(weights))
    assert out["experts.0.up"].tolist() == [20.0, 20.0]
    assert out["experts.0.down"].tolist() == [1.0, 1.0]


def test_the_distance_filter_keeps_the_half_that_the_sums_of_distances_say():
    """Distances of 0, 1, 3, 7: 11, 9, 9, 17. The half is 1 and 3; of five, half is three."""
    assert nearest_half(np.array([[0.0], [1.0], [3.0], [7.0]])).tolist() == [False, True, True, False]
    assert nearest_half(np.array([[0.0], [1.0], [2.0], [3.0], [90.0]])).tolist() == [False, True, True, True, False]
    assert nearest_half(np.array([[1.0], [3.0]])).all()  # a tie: both are kept
    assert nearest_half(np.full((3, 2), 4.0)).all()
    # Vectors: it is Euclidean, not a sum by coordinate.
    values = np.array([[0.0, 0.0], [3.0, 4.0], [3.1, 4.1], [3.0, 4.2], [9.0, 0.0]])
    assert nearest_half(values).tolist() == [False, True, True, True, False]


def test_the_shared_part_says_whose_experts_are_merged():
    """Client 3 is far in the shared part. Of the others, expert 0 leaves out a holder that is far in the expert."""

    def sent(client, body, value):
        one = update(client, 0, value)
        return PartialUpdate(client, (0,), one.weights | {"body": np.full(1, body)}, 1)

    config = AggregationConfig("distance-filtered", weights="equal")
    crowd = [sent(0, 1.0, 5.0), sent(1, 1.0, 6.0), sent(2, 1.0, 7.0), sent(3, 9.0, 6.0), sent(4, -8.0, 6.0)]
    assert merged(crowd, config) == 6.0
    lone = [*crowd[3:], *(PartialUpdate(c, (1,), update(c, 1, 2.0).weights, 1) for c in range(3))]
    assert merged(lone, config) == 0.0  # nobody who is trusted holds expert 0
    assert merged(lone, config, expert=1) == 2.0
    liar = [sent(0, 1.0, 5.0), sent(1, 1.0, 5.5), sent(2, 1.0, 6.0), sent(5, 1.0, 5.5), sent(6, 1.0, 900.0)]
    assert merged(liar, config) == 5.5


def test_mixtures_are_those_of_the_formula():
    """Rows at 0°, 60° and 90°: cosines ½, 0 and √3/2. With one neighbour, 0° takes 60°, and the others each other."""
    rows = np.array([[2.0, 0.0], [0.5, math.sqrt(3) / 2], [0.0, 5.0]])
    near, far = math.exp((math.sqrt(3) / 2 - 1) / 0.5), math.exp(-0.5 / 0.5)
    expected = np.array([[1, far, 0], [0, 1, near], [0, near, 1]])
    expected /= expected.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(mixtures(rows, 1, 0.5), expected, rtol=1e-12)
    # The expert is the mean over its holders of their mixtures.
    updates = [update(client, 0, 10.0**client, row) for client, row in enumerate(rows)]
    assert merged(updates, DOMAIN) == pytest.approx(float(expected.mean(axis=0) @ [1.0, 10.0, 100.0]))
    # A client's examples weigh its mixture.
    heavy = PartialUpdate(0, (0,), updates[0].weights, 4)
    config = AggregationConfig("domain-aware", neighbours=1, temperature=0.5)
    by_hand = np.array([4, 1, 1]) @ expected / 6
    assert merged([heavy, *updates[1:]], config) == pytest.approx(float(by_hand @ [1.0, 10.0, 100.0]))


def test_equal_rows_rows_of_zeros_and_a_tiny_temperature_have_shares():
    alike = mixtures(np.ones((4, 2)), 1, 1.0)
    np.testing.assert_allclose(alike, 0.25)  # all tie with the nearest: all are neighbours
    assert np.array_equal(mixtures(np.zeros((3, 2)), 2, 1e-300), np.eye(3))
    assert mixtures(np.ones((1, 2)), 5, 1.0).tolist() == [[1.0]]
    opposite = mixtures(np.array([[1.0, 0.0], [-1.0, 0.0]]), 5, 1e12)
    np.testing.assert_allclose(opposite, 0.5, atol=1e-9)


def test_rows_are_compared_anew_after_the_configured_rounds():
    config = AggregationConfig("domain-aware", weights="equal", neighbours=1, temperature=1e-3, refresh=2)
    alike, apart = [(1.0, 0.0), (1.0, 0.0), (0.0, 1.0)], [(1.0, 0.0), (0.0, 1.0), (0.0, 1.0)]
    memory, seen = {}, []
    for rows in (alike, apart, apart):
        updates = [update(client, 0, 10.0**client, row) for client, row in enumerate(rows)]
        seen.append(merged(updates, config, memory=memory))
    first = (0.5 * 11 + 0.5 * 11 + 100) / 3
    assert seen[:2] == [pytest.approx(first)] * 2
    assert seen[2] == pytest.approx((1 + 2 * 0.5 * 110) / 3)
    # A holder that is new in between brings its own row.
    memory = {}
    merged([update(0, 0, 1.0, (1.0, 0.0))], config, memory=memory)
    pair = [update(0, 0, 1.0, (0.0, 1.0)), update(7, 0, 3.0, (0.0, 1.0))]
    assert merged(pair, config, memory=memory) == pytest.approx(2.0)  # different rows: each by itself
    assert memory["domain-aware.0.clients"].tolist() == [0, 7]


@pytest.mark.parametrize("router_rows", ["held", "all"])
def test_both_kinds_of_returned_routers_are_compared(router_rows):
    current = draw(0)
    layout = detect(current)
    seen = []
    for name in ("mean", "domain-aware"):
        parts = [slice_weights(draw(9 + c), layout, (1, 2), router_rows=router_rows) for c in range(4)]
        updates = [PartialUpdate(c, (1, 2), part, 1) for c, part in enumerate(parts)]
        config = AggregationConfig(name, neighbours=1, temperature=0.1)
        told = {"assigned": dict.fromkeys(range(4), (1, 2)), "cap": 1, "router_rows": router_rows}
        seen.append(merge(current, updates, layout, aggregation=config, **told))
        assert not seen[-1].faults
    assert not same(seen[0].weights, seen[1].weights)
    assert torch.equal(seen[0].weights["classifier.weight"], seen[1].weights["classifier.weight"])


def score(tensors):
    """Best with 1 in expert 0, and 2 in expert 1."""
    return -abs(float(tensors["experts.0.weight"][0, 0]) - 1.0) - abs(float(tensors["experts.1.weight"][0, 0]) - 2.0)


def test_weights_are_learned_from_gains_as_by_hand():
    """Gains after a quarter of the way: ¼, ⅛ and −¼. The median gain is 3/16: rewards of 1, ⅔ and −1.

    A softmax of 5 times the rewards gives the weights.
    """
    updates = [update(0, 0, 1.0), update(1, 0, 0.5), update(2, 0, -1.0)]
    power = np.exp(5 * np.array([1.0, 2 / 3, -np.inf]))  # a value of −1 is not trusted
    expected = float(power @ [1.0, 0.5, -1.0] / power.sum())
    memory = {}
    assert merged(updates, LEARNED, score=score, memory=memory) == pytest.approx(expected)
    np.testing.assert_allclose(memory["learned.0.value"], [1.0, 2 / 3, -1.0])
    # The value is the mean of the first rewards, −1, 1, 1, 1; from the eleventh on the newest has the weight 0.1.
    for value in (0.0, 1 / 3, 1 / 2):
        merged([update(2, 0, 1.0)], LEARNED, score=score, memory=memory)
        np.testing.assert_allclose(memory["learned.0.value"], [1.0, 2 / 3, value], atol=1e-12)
    assert memory["learned.0.times"].tolist() == [1.0, 1.0, 4.0]
    # Where every holder makes it worse, the least bad one counts most: losses of ¼ and ½, twice their median is ¾.
    merged([update(0, 0, -1.0), update(1, 0, -2.0)], LEARNED, score=score, memory=(memory := {}))
    np.testing.assert_allclose(memory["learned.0.value"], [-1 / 3, -2 / 3])


def test_holders_may_change_from_round_to_round_and_few_may_be_tried():
    config = AggregationConfig("learned", weights="equal", evaluations=1)
    memory, calls = {}, []

    def counted(tensors):
        calls.append(float(tensors["experts.0.weight"][0, 0]))
        return score(tensors)

    good, bad = update(5, 0, 1.0), update(3, 0, -1.0)
    assert merged([good, bad], config, score=counted, memory=memory) == -1.0  # only the first was tried
    assert merged([good, bad], config, score=counted, memory=memory) == pytest.approx(1.0, abs=2e-3)
    assert (calls.count(-0.25), calls.count(0.25)) == (1, 1)
    merged([update(4, 0, 0.7), good], config, score=counted, memory=memory)
    assert memory["learned.0.clients"].tolist() == [3, 4, 5]
    assert memory["learned.0.times"].tolist() == [1.0, 1.0, 1.0]
    merged([update(0, 1, 2.0)], config, score=counted, memory=memory)  # each expert has arms of its own
    assert memory["learned.1.clients"].tolist() == [0]


def test_a_constant_score_leaves_the_weights_and_a_tiny_temperature_takes_the_best():
    updates = [update(0, 0, 1.0), update(1, 0, 3.0)]
    assert merged(updates, LEARNED, score=lambda _: 1.0) == 2.0
    cold = AggregationConfig("learned", weights="equal", temperature=1e-300)
    assert merged([update(0, 0, 1.0), update(1, 0, -3.0)], cold, score=score) == 1.0


def test_what_cannot_be_scored_is_refused_and_a_holder_without_a_score_left_out():
    updates = [update(0, 0, 1.0), update(1, 0, 3.0)]
    with pytest.raises(ValueError, match=r"there are none: give the loop a score, or set data\.held_back"):
        merged(updates, LEARNED)
    with pytest.raises(ValueError, match="score is nan before the round"):
        merged(updates, LEARNED, score=lambda _: math.nan)
    one_is_lost = merged(updates, LEARNED, score=lambda t: -math.inf if t["experts.0.weight"][0, 0] > 0.5 else score(t))
    assert one_is_lost == pytest.approx(1.0, abs=2e-4)
    session = {"num_clients": 2, "rule": LEARNED}
    with pytest.raises(ValueError, match="score is None; it must be a function"):
        Session(Aligner(capacity=CapacityProfiler(client_capacity=1)), **session)
    assert Session(Aligner(), **session, score=score).aggregation is LEARNED


def test_a_model_without_a_router_is_refused_by_the_rule_that_compares_them():
    weights = {f"experts.{j}.weight": np.zeros((1, 1)) for j in range(2)}
    sent = PartialUpdate(0, (1,), {"experts.1.weight": np.ones((1, 1))}, 1)
    with pytest.raises(LayoutError, match="the weights have none for expert 1: choose another rule"):
        aggregate(weights, [sent], DOMAIN, layout=detect(weights))


def test_an_expert_with_one_holder_is_taken_as_it_is_and_one_with_none_stays():
    current = draw(0)
    for rule in ("norm-matched", "distance-filtered", "domain-aware", "learned"):
        config = AggregationConfig(rule)
        out = aggregate(current, [make_update(0, (1,))], config, score=lambda _: 0.0)
        assert torch.equal(out["experts.1.0.weight"], make_update(0, (1,)).weights["experts.1.0.weight"])
        assert torch.equal(out["experts.3.0.weight"], current["experts.3.0.weight"])
