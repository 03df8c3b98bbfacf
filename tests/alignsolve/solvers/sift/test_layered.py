"""``sift`` on random layered problems, against the min-cost flow on all pairs; hostile values, ties and bounds."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Proof, Status, join_layers, solve

SLICES = 25


def layered(rng):
    """Draw several layers under one total, with any of the features of the cardinality class."""
    n, num_layers = int(rng.integers(1, 9)), int(rng.integers(1, 6))
    whole, hard = rng.random() < 0.4, rng.random() < 0.7
    scale = 10.0 ** rng.integers(-6, 7) if not whole else 1
    layers = [layer(rng, n, scale, whole=whole, hard=hard) for _ in range(num_layers)]
    totals = {}
    if rng.random() < 0.7:
        least = num_layers if rng.random() < 0.8 else 0
        totals["client_capacity"] = rng.integers(least, 3 * num_layers + 1, n)
    if rng.random() < 0.2:
        totals["client_demand"] = rng.integers(0, num_layers + 1, n)
    return join_layers(layers, **totals).problem


def layer(rng, n, scale, *, whole, hard):
    e = int(rng.integers(1, 7))
    fitness = rng.integers(-3, 9, (n, e)) if whole else scale * rng.normal(0.5, 1.0, (n, e))
    if not whole and scale == 1.0:
        fitness = fitness * 10.0 ** rng.integers(-6, 7, (n, e))
    fields = {"client_demand": int(rng.random() < 0.6), "client_capacity": int(rng.integers(1, e + 1))}
    if rng.random() < 0.7:
        fields["expert_capacity"] = rng.integers(0 if rng.random() < 0.1 else 1, n + 2, e)
    if rng.random() < 0.4:
        fields["expert_demand"] = rng.integers(0, max(2, n // 2), e)
    if rng.random() < 0.3:
        fields["eligible"] = rng.random((n, e)) < 0.8
        if not whole:
            fitness[~fields["eligible"]] = np.nan
    if rng.random() < 0.2:
        fields["required"] = rng.random((n, e)) < 0.05
    if rng.random() < 0.2:
        fields |= {"switching_cost": rng.integers(0, 3, e), "previous": rng.random((n, e)) < 0.3}
    if not hard:
        over, short = scale * rng.integers(0, 3, (2, e))
        fields |= {"overload_penalty": over, "shortfall_penalty": short}
    return AlignmentProblem(fitness, **fields)


def agrees(seed):
    """Check that both solvers say the same and prove it; return the status."""
    problem = layered(np.random.default_rng(seed))
    found, other = (solve(problem, name, throw=False) for name in ("sift", "flow"))
    assert found.status is other.status, (seed, found, other)
    if found.status is Status.INFEASIBLE:
        assert found.witness is not None
        return found.status
    if found.status is Status.FEASIBLE:  # what is left is the rounding of values a million times the objective
        largest = max(float(np.abs(block.value[block.allowed]).max(initial=0.0)) for block in problem.blocks())
        assert found.bound - found.objective <= 1e-12 * largest, (seed, found)
        return found.status
    assert found.proof is Proof.PRICES
    assert abs(found.objective - other.objective) <= 1e-9 * max(abs(other.objective), abs(found.bound)), (seed, found)
    return found.status


@pytest.mark.parametrize("portion", range(SLICES))
def test_layered_problems_agree_with_the_whole_flow(portion):
    told = [agrees(seed) for seed in range(8 * portion, 8 * portion + 8)]
    assert Status.FEASIBLE not in told


@pytest.mark.slow
@pytest.mark.parametrize("portion", range(SLICES))
def test_thousands_of_layered_problems_agree_with_the_whole_flow(portion):
    told = [agrees(seed) for seed in range(1_000 + 200 * portion, 1_200 + 200 * portion)]
    assert told.count(Status.OPTIMAL) > 50
    assert told.count(Status.FEASIBLE) <= 2
