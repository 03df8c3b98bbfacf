"""The exact bound: experts' terms in plain floats are those in fractions."""

from fractions import Fraction

import numpy as np
import pytest

from alignsolve import AlignmentProblem
from alignsolve.certificate.exact_bound import _terms, terms_exactly
from alignsolve.data.expert_sets import Prices


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-3, 1.0, 1e17, 1e297, 1e305])
def test_terms_without_penalties_sum_exactly_to_the_fractions(scale):
    rng = np.random.default_rng(0)
    capacity = rng.integers(1, 9, 40)
    problem = AlignmentProblem(np.zeros((9, 40)), expert_capacity=capacity, expert_demand=rng.integers(0, capacity))
    with np.errstate(over="ignore"):
        prices = np.clip(scale * rng.normal(size=40), -1e307, 1e307)
    prices[::7] = 0.0
    terms = list(_terms(problem.experts, prices))
    assert sum(map(Fraction, terms)) == sum(terms_exactly(problem, Prices.projected(problem, prices)))


def test_loads_of_many_bits_keep_their_exact_terms():
    problem = AlignmentProblem(np.zeros((2, 3)), expert_capacity=[2.0**40 + 1.0, 2.0**26 + 1.0, 1.0])
    prices = np.array([0.1, 1.0 / 3.0, 0.7])
    assert sum(map(Fraction, _terms(problem.experts, prices))) == sum(
        terms_exactly(problem, Prices.projected(problem, prices))
    )


@pytest.mark.parametrize("seed", range(20))
def test_terms_with_penalties_sum_exactly_to_the_fractions(seed):
    rng = np.random.default_rng(seed)
    bounds = {
        "expert_capacity": rng.choice([0.0, 1.0, 2.5, 4.0, np.inf], 30),
        "expert_demand": rng.choice([0.0, 1.0, 1.5, 3.0], 30),
        "overload_penalty": rng.choice([0.0, 0.3, 7.0], 30),
        "shortfall_penalty": rng.choice([0.0, 0.1, 9.0], 30),
    }
    problem = AlignmentProblem(np.zeros((5, 30)), **bounds)
    prices = problem.experts.project(rng.choice([-20.0, -0.05, 0.0, 1.0 / 3.0, 20.0], 30))
    assert sum(map(Fraction, _terms(problem.experts, prices))) == sum(
        terms_exactly(problem, Prices.projected(problem, prices))
    )


@pytest.mark.parametrize("seed", range(20))
def test_whole_bounds_beyond_the_floats_are_exact(seed):
    """Sums of whole numbers near 2^53 are no floats; rounded to the nearest one a bound would be too low."""
    rng = np.random.default_rng(seed)
    fitness = 2**53 - rng.integers(0, 9, (3, 3))
    prices = 2**53 - rng.integers(0, 9, 3)
    problem = AlignmentProblem(fitness, expert_capacity=rng.integers(1, 3, 3))
    rows = sum(max(0, *(int(f) - int(p) for f, p in zip(row, prices, strict=True))) for row in fitness)
    paid = sum(int(p) * int(c) for p, c in zip(prices, problem.expert_capacity, strict=True))
    assert problem.bound(prices) == rows + paid
