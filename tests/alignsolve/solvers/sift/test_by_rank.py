"""Problems in which the strong go with the strong: they are seated by rank, and the search begins there."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Status, solve
from alignsolve.solvers.sift import Sift
from alignsolve.solvers.sift.by_rank import seat_by_rank
from alignsolve.solvers.sift.network import Terms

ONE_EACH = np.ones(90, dtype=np.int64)


def product(num_clients: int, num_experts: int, sign: float = 1.0) -> np.ndarray:
    """Return a fitness of rank one."""
    rng = np.random.default_rng(1)
    return np.outer(rng.random(num_clients), sign * rng.random(num_experts) - min(sign, 0.0))


@pytest.mark.parametrize("shape", [(90, 90), (90, 30), (30, 90)])
@pytest.mark.parametrize("kind", ["product", "falling", "sum"])
def test_an_exact_pattern_is_solved_by_its_seating(shape, kind):
    fitness = product(*shape, sign=-1.0 if kind == "falling" else 1.0)
    if kind == "sum":
        fitness = fitness[:, :1] + fitness[:1]
    problem = AlignmentProblem(fitness, expert_capacity=1)
    solution = solve(problem, Sift())
    assert (solution.status, solution.stats["phases"]) == (Status.OPTIMAL, 0)
    assert solution.objective == pytest.approx(solve(problem, "flow").objective, rel=1e-12)


@pytest.mark.parametrize("noise", [1e-9, 1e-4, 1e-2, 0.3])
@pytest.mark.parametrize(
    "fields",
    [
        {"expert_capacity": 3},
        {"expert_capacity": 2, "client_capacity": 2},
        {"expert_capacity": 2, "expert_demand": 1, "client_demand": 1},
        {"expert_capacity": 1, "overload_penalty": 0.05},
        {"expert_capacity": [0, 5] * 15, "expert_group": np.arange(30) // 10, "group_capacity": 1},
    ],
)
def test_what_the_seating_misses_is_found(noise, fields):
    rng = np.random.default_rng(2)
    fitness = product(60, 30) + noise * (rng.random((60, 30)) - 0.2)
    problem = AlignmentProblem(fitness, **fields)
    assert solve(problem, Sift()).objective == pytest.approx(solve(problem, "flow").objective, rel=1e-12)


def test_barred_and_required_pairs_are_kept():
    rng = np.random.default_rng(3)
    eligible = rng.random((40, 40)) < 0.7
    required = np.zeros((40, 40), dtype=bool)
    required[np.arange(0, 40, 9), np.argmax(eligible[::9], axis=1)] = True
    problem = AlignmentProblem(product(40, 40), expert_capacity=6, eligible=eligible, required=required)
    assert solve(problem, Sift()).objective == pytest.approx(solve(problem, "flow").objective, rel=1e-12)


def test_prices_keep_neighbours_from_changing_places():
    problem = AlignmentProblem(product(90, 30), expert_capacity=2)
    seating = seat_by_rank(Terms(problem), ONE_EACH)
    seated = np.flatnonzero(seating.seat >= 0)
    assert len(seated) == 60
    reduced = problem.fitness[seated] - seating.prices
    assert np.allclose(reduced.max(axis=1), seating.surplus[seated])


def test_there_is_no_seating_of_clients_with_several_experts_or_groups_or_without_places():
    fitness = product(90, 30)
    for fields, wanted in (
        ({"expert_capacity": 1}, 2 * ONE_EACH),
        ({"expert_capacity": 0}, ONE_EACH),
        ({"expert_capacity": 1, "expert_group": np.arange(30) // 10}, ONE_EACH),
    ):
        assert seat_by_rank(Terms(AlignmentProblem(fitness, **fields)), wanted) is None
