"""The largest entries of a row, found eight at a time, compared with sorting; and its callers, on wide rows."""

import numba
import numpy as np
import pytest

from alignsolve import AlignmentProblem
from alignsolve.solvers.price.engine_numba import NumbaEngine
from alignsolve.solvers.price.engine_numpy import NumpyEngine
from alignsolve.solvers.price.pricing import typed
from alignsolve.subproblem.dispatch import best_rows
from alignsolve.subproblem.row_compiled import best_rows_compiled
from alignsolve.subproblem.simd_topk import BATCH, LANES, best_of, desk, lane_tops, listed, mark

pytestmark = pytest.mark.kernels
WIDTHS = [1, 7, 8, 9, 63, 64, 65, 130]


@numba.njit
def found(room, row, length, least, begin, most, shut):
    """Return the listed entries that are not below a level, and how many of the best are in order."""
    lane_tops(row, room.tops)
    marked = mark(row, least, room.marks[0])
    number = listed(room.marks[0], length, begin, length, room.likely)
    return marked, number, best_of(row, room.likely, number, most, shut, room.best)


@pytest.mark.parametrize("length", WIDTHS)
@pytest.mark.parametrize("kind", [np.float64, np.int64])
def test_what_is_marked_listed_and_sorted_is_what_sorting_says(length, kind):
    rng = np.random.default_rng(length)
    shut = kind(-(2**62))
    for most in (0, 1, 3, 12):
        room = desk(length, kind, shut)
        row = room.rows[0]
        row[:length] = rng.integers(-20, 20, length)
        row[:length][rng.random(length) < 0.2] = shut
        begin, least = int(rng.integers(length)), kind(rng.integers(-20, 20))
        marked, number, kept = found(room, row, length, least, begin, most, shut)
        above = np.flatnonzero(row >= least)
        assert marked == number == len(above)
        assert sorted(room.likely[:number].tolist()) == above.tolist()
        np.testing.assert_array_equal(room.tops, np.sort(row.reshape(-1, LANES).max(axis=0))[::-1])
        np.testing.assert_array_equal(room.best[:kept], np.sort(row[above])[::-1][:most])
        if length <= LANES * LANES:
            assert room.likely[:number].tolist() == sorted(above.tolist(), key=lambda j: (j - begin) % length)


def wide(rng, width, *, whole):
    """Return clients with more capacity than SIMD lanes and more experts than bits in a word.

    Some pairs are ineligible, some are required.
    """
    n = 3 * BATCH + 5
    eligible, required = rng.random((n, width)) < 0.6, rng.random((n, width)) < 0.03
    fitness = rng.integers(-9, 9, (n, width)) if whole else rng.normal(size=(n, width))
    if not whole:
        fitness[~eligible] = np.nan
    capacity = required.sum(axis=1) + rng.integers(0, 2 * LANES + 4, n)
    return AlignmentProblem(
        fitness, client_capacity=capacity, client_demand=rng.integers(0, 3, n), eligible=eligible | required & eligible,
        required=required & eligible,
    )  # fmt: skip


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("whole", [False, True])
def test_wide_rows_are_priced_and_bounded_as_numpy_does_it(width, whole):
    rng = np.random.default_rng(width)
    problem = wide(rng, width, whole=whole)
    prices = rng.integers(-3, 3, width) if whole else rng.normal(size=width)
    block = problem.block(0, problem.num_clients)
    expected, got = best_rows(block, prices.astype(float)), best_rows_compiled(block, prices.astype(float))
    np.testing.assert_array_equal(got.feasible, expected.feasible)
    np.testing.assert_allclose(got.value[got.feasible], expected.value[got.feasible], rtol=1e-13, atol=1e-13)
    block = typed(block.pick(np.flatnonzero(got.feasible)), prices.dtype)
    plain, fast = NumpyEngine().price(block, prices, 0.0), NumbaEngine().price(block, prices, 0.0)
    np.testing.assert_array_equal(fast.number, plain.number)
    np.testing.assert_allclose(fast.margin, plain.margin, rtol=1e-13)
    np.testing.assert_allclose(fast.ground_margin, plain.ground_margin, rtol=1e-13)
    assert fast.dual == pytest.approx(plain.dual, rel=1e-12)
    if not whole:  # nothing ties
        assert fast.magnitude == pytest.approx(plain.magnitude, rel=1e-12)
        ends = np.cumsum(plain.number)[:-1]
        mine, others = np.split(fast.expert, ends), np.split(plain.expert, ends)
        assert [sorted(row.tolist()) for row in mine] == [row.tolist() for row in others]
        np.testing.assert_array_equal(fast.loads, plain.loads)
