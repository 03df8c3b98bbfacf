"""The order of numbers in compiled code, compared with numpy's stable sort."""

import numba
import numpy as np
import pytest

from alignsolve.subproblem.falling_order import falling_order

pytestmark = pytest.mark.kernels


@numba.njit
def order_of(values):
    return falling_order(values)


@pytest.mark.parametrize("length", [0, 1, 2, 15, 16, 17, 31, 32, 33, 64, 100, 1000])
@pytest.mark.parametrize("levels", [1, 3, 10**6])
def test_it_is_numpys_stable_order(length, levels):
    values = np.random.default_rng(length).integers(-levels, levels, length).astype(np.float64)
    np.testing.assert_array_equal(order_of(values), np.argsort(-values, kind="stable"))


def test_the_infinite_and_the_zeros_have_their_places():
    values = np.array([0.0, -np.inf, np.inf, -0.0, 1.0, np.inf])
    assert order_of(values).tolist() == [2, 5, 4, 0, 3, 1]
