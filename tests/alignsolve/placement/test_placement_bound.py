"""The bound's four reasons, each where it is the one that counts."""

import numpy as np
import pytest

from alignsolve.placement.bound import bound, quick_bound

CASES = {
    "work": ([3, 3, 2, 2], [2, 2], [1, 1], 5),
    "work of two speeds": ([3, 3, 3, 3], [4, 4], [1, 3], 3),
    "room: the GPU with one slot holds 5 at most": ([5, 5, 5, 5], [1, 3], [1, 1], 15),
    "one expert, of which four GPUs hold a copy": ([80, 1, 1, 1, 1], [2, 2, 2, 2], [1, 1, 1, 1], 21),
    "company: no slot is left, so seven others fill the GPU of the largest": ([9, 2, 2, 2], [2, 2], [1, 1], 11),
    "room: the other nine are on GPUs of three slots": ([1] * 10, [4, 3, 3], [1, 1, 1], 4),
    "large copies: of ten, two GPUs hold three each": ([3] * 5 + [1], [3, 3], [1, 1], 9),
    "large copies: only one can be split": ([6, 6, 6, 6, 6], [2, 2, 2], [1, 1, 1], 12),
}


@pytest.mark.parametrize(("loads", "slots", "speed", "expected"), CASES.values(), ids=CASES)
def test_each_reason(loads, slots, speed, expected):
    given = np.array(loads, dtype=float), np.array(slots), np.array(speed, dtype=float)
    assert bound(*given) == pytest.approx(expected)
    assert bound(*given) <= expected
    assert quick_bound(*given) <= bound(*given)


def test_what_is_not_worth_a_bisection_is_left_out():
    given = np.full(5, 6.0), np.full(3, 2), np.ones(3)
    assert bound(*given, gap=0.1) == pytest.approx(12)
    assert bound(*given, gap=0.3) == quick_bound(*given) == pytest.approx(10)
