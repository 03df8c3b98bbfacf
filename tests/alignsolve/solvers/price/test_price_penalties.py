"""Penalties that are far larger than the fitness: prices go as far as the penalties need, and prove the optimum."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, solve

FOUND = {
    "two demands that no fitness pays for": {
        "fitness": np.zeros((1, 2)),
        "expert_demand": [1.5, 1.0],
        "shortfall_penalty": 10.0,
        "switching_cost": 1.0,
    },
    "a demand above a capacity that costs nothing to exceed": {
        "fitness": [[0.0, -0.6]],
        "expert_capacity": [0.0, 0.5],
        "expert_demand": 1.0,
        "overload_penalty": 0.0,
        "shortfall_penalty": 10.0,
    },
}
"""Problems that the fuzzer found: the price of one expert stopped at the largest number of quanta."""


@pytest.mark.parametrize("name", FOUND)
def test_a_price_beyond_the_largest_number_of_quanta_goes_on(name: str) -> None:
    problem = AlignmentProblem(**FOUND[name])
    solution = solve(problem, "price", throw=False)
    assert solution.status == "OPTIMAL"
    assert solution.objective == solve(problem, "flow").objective


def test_penalties_of_all_sizes_are_proven() -> None:
    rng, proven = np.random.default_rng(5), 0
    for _ in range(150):
        problem = random_problem(rng)
        wanted = solve(problem, "flow", throw=False)
        if wanted.status == "OPTIMAL":
            found = solve(problem, "price", throw=False)
            assert found.status == "OPTIMAL", problem
            assert found.objective == pytest.approx(wanted.objective, rel=1e-9)
            proven += 1
    assert proven > 100


def random_problem(rng: np.random.Generator) -> AlignmentProblem:
    """Draw few clients and experts, fitness of one size, and penalties of many."""
    n, e = int(rng.integers(1, 5)), int(rng.integers(1, 4))
    sizes, chances = [0.0, 1.0, 10.0, 1e3, 1e6, 1e9, 1e12, np.inf], [0.15, 0.15, 0.2, 0.15, 0.1, 0.05, 0.05, 0.15]
    return AlignmentProblem(
        np.round(rng.normal(size=(n, e)), int(rng.integers(0, 3))) * rng.choice([0.0, 1.0, 1e-3, 1e-6, 100.0]),
        client_capacity=rng.integers(0, e + 1, n),
        expert_capacity=rng.choice([0, 0.5, 1, 2, 9], size=e),
        expert_demand=rng.choice([0, 1, 1.5, 2, 5], size=e),
        overload_penalty=rng.choice(sizes, size=e, p=chances),
        shortfall_penalty=rng.choice(sizes, size=e, p=chances),
        switching_cost=float(rng.choice([0.0, 0.1, 1.0])),
    )
