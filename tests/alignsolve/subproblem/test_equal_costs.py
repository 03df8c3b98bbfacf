"""Clients whose experts all cost the same: places instead of a knapsack, with the knapsack as the oracle."""

from dataclasses import replace

import numpy as np
import pytest

from alignsolve import AlignmentProblem
from alignsolve.subproblem.counted_budgets import without_budgets
from alignsolve.subproblem.dispatch import best_rows
from alignsolve.subproblem.knapsack import knapsack_rows

N, E = 6, 12


def drawn(seed: int, **fields: object) -> AlignmentProblem:
    rng = np.random.default_rng(seed)
    given = {
        "client_capacity": E,
        "client_budget": rng.integers(4, 9, N) * 3.0 + rng.choice([0.0, 1.0], N),
        "expert_cost": np.full(E, 3.0),
        "expert_group": np.arange(E) % 3,
        "group_demand": 1,
        "eligible": rng.random((N, E)) < 0.9,
    }
    return AlignmentProblem(rng.normal(0.0, 1.0, (N, E)), **{**given, **fields})


@pytest.mark.parametrize("seed", range(20))
def test_places_are_worth_what_the_knapsack_is(seed: int) -> None:
    block, prices = drawn(seed).block(0, N), np.full(E, 0.1)
    counted = without_budgets(block)
    assert counted is not None
    assert counted.budget is None
    expected = knapsack_rows(block, prices)
    for choose in (False, True):
        found = best_rows(block, prices, choose=choose)
        np.testing.assert_array_equal(found.feasible, expected.feasible)
        np.testing.assert_allclose(found.value[found.feasible], expected.value[found.feasible], rtol=1e-12)


def test_costs_that_differ_are_not_counted() -> None:
    assert without_budgets(drawn(0, expert_cost=np.arange(1.0, E + 1.0)).block(0, N)) is None


def test_a_budget_within_tolerance_of_a_multiple_pays_for_it() -> None:
    block = drawn(0, client_budget=np.full(N, 6.0 - 1e-12), eligible=None).block(0, N)
    counted = without_budgets(block)
    assert counted is not None
    assert (counted.capacity == 2).all()
    free = without_budgets(replace(block, cost=np.zeros_like(block.cost)))
    assert free is not None
    assert (free.capacity == E).all()
