"""Paired statistics: compared with scipy, by their laws, and in corner cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from fedtrain.compare.statistics import first_time, holm, paired_difference, paired_ratio, restrict

POSITIVE = st.floats(0.1, 1000.0)
PAIRS = st.lists(st.tuples(POSITIVE, POSITIVE), min_size=2, max_size=12).map(np.array)


@given(PAIRS)
def test_a_ratio_is_students_test_on_logarithms(pairs):
    ours, theirs = pairs[:, 0], pairs[:, 1]
    logs = np.log(ours / theirs)
    ratio = paired_ratio(ours, theirs)
    assert ratio.value == pytest.approx(math.exp(logs.mean()))
    if logs.std() > 1e-9:
        expected = stats.ttest_rel(np.log(ours), np.log(theirs))
        assert ratio.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
        interval = expected.confidence_interval(0.95)
        assert (math.log(ratio.low), math.log(ratio.high)) == pytest.approx(tuple(interval))


@given(PAIRS)
def test_the_other_way_round_a_ratio_is_its_inverse(pairs):
    one, other = paired_ratio(pairs[:, 0], pairs[:, 1]), paired_ratio(pairs[:, 1], pairs[:, 0])
    assert (one.value, one.low, one.high) == pytest.approx((1 / other.value, 1 / other.high, 1 / other.low))
    assert one.p == pytest.approx(other.p)


@given(PAIRS)
def test_a_difference_is_students_paired_test(pairs):
    difference = paired_difference(pairs[:, 0], pairs[:, 1])
    assert difference.value == pytest.approx((pairs[:, 0] - pairs[:, 1]).mean())
    assert difference.low <= difference.value <= difference.high


@given(st.lists(st.floats(0.0, 1.0), max_size=8))
def test_holm_never_lowers_a_p_and_keeps_their_order(p_values):
    corrected = holm(p_values)
    assert all(p <= c <= 1.0 for p, c in zip(p_values, corrected, strict=True))
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(corrected)[order]) >= 0).all()
    if p_values:
        assert min(corrected) == min(1.0, len(p_values) * min(p_values))


def test_what_has_no_p_does_not_count():
    assert holm([0.02, math.nan, 0.04])[0] == 0.04
    assert math.isnan(holm([math.nan])[0])


def test_equal_pairs_have_no_width():
    values = np.array([3.0, 5.0])
    assert paired_ratio(values, values) == (1.0, 1.0, 1.0, 1.0)
    assert paired_ratio(2 * values, values)[1:] == pytest.approx((2.0, 2.0, 0.0))


def test_one_pair_has_a_ratio_and_no_interval():
    ratio = paired_ratio(np.array([1.0]), np.array([2.0]))
    assert ratio.value == 0.5
    assert math.isnan(ratio.low)
    assert math.isnan(ratio.p)


@pytest.mark.parametrize("ours", [[], [0.0], [-1.0]])
def test_a_ratio_of_what_is_not_above_zero_is_refused(ours):
    with pytest.raises(ValueError, match="above 0"):
        paired_ratio(np.array(ours), np.ones(len(ours)))


def test_the_first_time_at_the_target_counts_and_what_never_gets_there_is_censored():
    curve, times = np.array([0.1, 0.5, 0.4, 0.6]), np.array([10.0, 20.0, 30.0, 40.0])
    assert first_time(curve, 0.5, times) == 20.0
    assert math.isnan(first_time(curve, 0.7, times))
    restricted = restrict(np.array([20.0, math.nan]), np.array([40.0, 40.0]))
    assert (restricted.restricted.tolist(), restricted.reached, restricted.mean) == ([20.0, 40.0], 0.5, 30.0)
