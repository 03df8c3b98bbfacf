"""Sums, tolerances, expert bounds and compressed rows: the small parts that all other code relies on."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import Alignment, AlignmentProblem
from alignsolve.data.alignment import as_alignment
from alignsolve.numerics import (
    rounding_of_difference,
    rounding_of_product,
    slack,
    total,
    whole_ceil,
    whole_floor,
)
from tests import oracle, strategies

FLOATS = st.floats(-1e12, 1e12, allow_subnormal=False)


@given(st.lists(FLOATS, max_size=20))
def test_sums_of_floats_are_correctly_rounded(values):
    assert total(np.array(values)) == float(sum(map(Fraction, values), Fraction(0)))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
def test_sums_of_integers_are_exact(values):
    assert total(np.array(values, dtype=np.int64)) == sum(values)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.bool_])
def test_narrow_integers_do_not_overflow(dtype):
    assert total(np.ones(1000, dtype=dtype)) == 1000


@given(FLOATS, FLOATS)
def test_the_rounding_of_a_difference_is_exact(one, other):
    a, b = np.array([one]), np.array([other])
    assert Fraction(one) - Fraction(other) == Fraction(one - other) + Fraction(rounding_of_difference(a, b, a - b)[0])


@given(FLOATS, FLOATS)
def test_the_rounding_of_a_product_is_exact_or_not_too_small(one, other):
    a, b = np.array([one]), np.array([other])
    lost = Fraction(rounding_of_product(a, b, a * b)[0])
    exactly = Fraction(one) * Fraction(other) - Fraction(one * other)
    assert lost == exactly or (abs(one * other) < 1e-280 and lost <= exactly)


def test_whole_bounds_forgive_the_last_digits():
    assert whole_floor(np.array([2.5, 3.0 - 1e-12, 3.0, np.inf, 0.0])).tolist() == [2, 3, 3, np.inf, 0]
    assert whole_ceil(np.array([2.5, 3.0 + 1e-12, 3.0, 0.0])).tolist() == [3, 3, 3, 0]


def test_slack_is_a_share_of_the_row_and_has_no_floor():
    assert slack(np.array([1e-9, np.inf, 0.0]), np.array([2e-9, 5.0, 0.0])).tolist() == [2e-18, 5e-9, 0.0]


@settings(max_examples=100)
@given(strategies.problems(max_clients=2, max_experts=3), st.data())
def test_penalties_and_hard_bounds_are_the_oracles(problem, data):
    unit = 1.0 if problem.client_load is None else max(1e-2, float(problem.client_load.max()) / 3)
    counts = data.draw(strategies.arrays(range(8), (problem.num_experts,)))
    loads = counts if problem.client_load is None else counts * unit
    costs = problem.experts.penalty(loads)
    for j, load in enumerate(map(Fraction, loads)):
        assert costs[j] == pytest.approx(float(oracle.penalty(problem, j, load)), rel=1e-12, abs=1e-12)
        broken = problem.experts.overloads(loads)[j] > 0 or problem.experts.shortfalls(loads)[j] > 0
        assert broken == (not oracle.expert_allows(problem, j, load))


@given(strategies.problems(max_clients=2, max_experts=3), st.data())
def test_projected_prices_are_in_their_box_and_projection_lowers_no_bound(problem, data):
    prices = data.draw(strategies.prices(problem.num_experts))
    projected = problem.experts.project(prices)
    assert (projected <= np.where(np.isinf(problem.expert_capacity), 0.0, problem.overload_penalty)).all()
    assert (projected >= -problem.shortfall_penalty).all()
    assert np.array_equal(problem.experts.project(projected), projected)
    assert problem.bound(prices) == problem.bound(projected)


@given(strategies.arrays([False, True], (4, 5), np.bool_))
def test_rows_are_compressed_and_spread_again(x):
    alignment = Alignment.from_dense(x)
    assert alignment.to_dense(5).tolist() == x.tolist()
    assert alignment.num_clients == 4
    assert [np.flatnonzero(row).tolist() for row in x] == [
        alignment.experts[start:stop].tolist()
        for start, stop in zip(alignment.indptr[:-1], alignment.indptr[1:], strict=True)
    ]
    clients, experts = np.nonzero(x)
    backwards = Alignment.from_pairs(clients[::-1], experts[::-1], 4)
    assert all(np.array_equal(one, other) for one, other in zip(backwards, alignment, strict=True))
    shuffled = (alignment.indptr, np.concatenate([np.flatnonzero(row)[::-1] for row in x]).astype(np.int32))
    assert as_alignment(shuffled, 4, 5).to_dense(5).tolist() == x.tolist()


def test_an_empty_alignment_has_all_its_rows():
    assert Alignment.from_pairs([], [], 3).to_dense(2).tolist() == [[False, False]] * 3
    assert as_alignment((np.zeros(4, dtype=int), []), 3, 2).num_clients == 3


def test_a_hard_bound_costs_nothing_and_a_soft_one_by_the_unit():
    bounds = AlignmentProblem(
        np.ones((1, 2)), expert_capacity=[1, 1], expert_demand=1, overload_penalty=[2.0, np.inf], shortfall_penalty=3.0
    ).experts
    assert bounds.penalty(np.array([3.0, 3.0])).tolist() == [4.0, 0.0]
    assert bounds.penalty(np.array([0.0, 0.0])).tolist() == [3.0, 3.0]
    assert bounds.overloads(np.array([3.0, 3.0])).tolist() == [0.0, 2.0]
