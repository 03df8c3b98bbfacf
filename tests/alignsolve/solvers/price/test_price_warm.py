"""``price`` from prices far larger than the values: a warm start changes only the time."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Proof, Status, solve
from tests import oracle

SEEN = {
    "all zero": (np.zeros((1, 2)), {"expert_capacity": 0.0, "overload_penalty": 1.0}, [3.443961783957949, -1.379]),
    "tiny values": (np.array([[1e-6], [1e-6], [0.0]]), {"expert_capacity": 1.0, "overload_penalty": 0.3}, [-65639.5]),
    "a price further off than quanta reach": (
        np.array([[100.0, 1000.0, 1000.0], [0.0, 0.0, -393.6050708565539], [100.0, 0.0, 100.0]]),
        {"expert_capacity": 1.0, "overload_penalty": 0.3, "client_demand": 1},
        [-720211.09570794, 42556.00059421, 1251548.02348902],
    ),
}


@pytest.mark.parametrize("case", SEEN)
def test_what_was_left_unproven_is_proven(case):
    fitness, fields, prices = SEEN[case]
    problem = AlignmentProblem(fitness, **fields)
    warm = solve(problem, "price", warm_start=np.array(prices))
    assert (warm.status, warm.proof) == (Status.OPTIMAL, Proof.PRICES)
    assert warm.objective == pytest.approx(float(oracle.best(problem).objective), rel=1e-12, abs=0.0)


def test_prices_of_all_sizes_leave_nothing_unproven():
    rng = np.random.default_rng(1)
    for _ in range(100):
        shape = rng.integers(1, 4, size=2)
        values = rng.choice([0.0, 0.0, 0.0, -0.3936050708565539, 0.1, 1.0], size=shape)
        values *= rng.choice([0.0, 1.0, 1e-6, 1e3])
        problem = AlignmentProblem(values, expert_capacity=float(rng.integers(2)), overload_penalty=0.3)
        prices = rng.normal(size=shape[1]) * rng.choice([3.0, 1e6, 1e-3])
        warm = solve(problem, "price", warm_start=prices)
        left = warm.bound - warm.objective
        assert warm.status is Status.OPTIMAL or left <= 1e-12 * np.abs(values).max(axis=1).sum(), (values, prices)
        assert warm.objective == pytest.approx(float(oracle.best(problem).objective), rel=1e-9, abs=0.0)
