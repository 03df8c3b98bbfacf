"""Types of identical clients: the same optimum as with all clients, and alignments that keep every client's bounds."""

import math

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Status, solve, solve_types


def drawn(rng, number):
    """Return a problem of types, their counts, every client's type, and the problem of all clients."""
    types, experts = rng.integers(1, 5), rng.integers(2, 6)
    counts = rng.integers(0, 5, types)
    counts[0] += 1
    labels = rng.permutation(np.repeat(np.arange(types), counts))
    fitness = rng.normal(size=(types, experts)) if number % 2 else rng.integers(-3, 9, (types, experts))
    capacity = rng.integers(1, experts + 1, types)
    rows = {
        "client_capacity": capacity,
        "client_demand": np.minimum(capacity, rng.integers(0, 3, types)),
        "eligible": rng.random((types, experts)) < 0.8,
        "previous": rng.random((types, experts)) < 0.3,
    }
    most = rng.integers(0, len(labels) + 2, experts)
    same = {"expert_capacity": most, "expert_demand": np.minimum(most, rng.integers(0, 2, experts))}
    same["switching_cost"] = 0.5
    if number % 3 == 0:
        same |= {"overload_penalty": 1.5, "shortfall_penalty": 2.0}
    if number % 4 == 0:
        same["expert_group"] = np.arange(experts) % 2
        rows |= {"group_capacity": rng.integers(1, 3, (types, 2)), "group_demand": np.zeros((types, 2), dtype=int)}
        rows["required"] = rows["eligible"] & (np.arange(experts) == 1) & (capacity[:, None] > 1)
    full = AlignmentProblem(fitness[labels], **{name: values[labels] for name, values in rows.items()}, **same)
    return AlignmentProblem(fitness, **rows, **same), counts, labels, full


def test_types_have_the_optimum_of_all_clients_and_every_client_gets_its_share():
    rng, seen = np.random.default_rng(20), set()
    for number in range(48):
        problem, counts, labels, full = drawn(rng, number)
        solution, expected = solve_types(problem, counts), solve(full, throw=False)
        assert solution.status is expected.status
        seen.add(solution.status)
        if solution.status is Status.INFEASIBLE:
            assert solution.missing > 0.0 or math.isnan(solution.missing)
            assert solution.why
            continue
        assert solution.objective == pytest.approx(expected.objective, rel=1e-12, abs=1e-12)
        dealt = solution.assigned(labels, problem.expert_group)
        assert not full.violations(dealt)
        assert full.objective(dealt) == pytest.approx(solution.objective, rel=1e-12, abs=1e-12)
        assert full.bound(solution.prices) == pytest.approx(solution.bound, rel=1e-9, abs=1e-9)
        assert full.loads(dealt).tolist() == solution.loads.tolist()
    assert seen == {Status.OPTIMAL, Status.INFEASIBLE}


def test_a_row_with_a_count_is_not_a_row_of_more_capacity():
    """Three clients of two experts each: the better expert can be had three times, not six."""
    solution = solve_types(AlignmentProblem([[5.0, 1.0, 1.0]], client_capacity=2, expert_capacity=[9, 2, 9]), [3])
    assert solution.holders.tolist()[0][0] == 3
    assert solution.objective == 18.0
    dealt = solution.assigned([0, 0, 0])
    assert np.diff(dealt.indptr).tolist() == [2, 2, 2]


def test_what_is_missing_is_told():
    one = {"client_capacity": 1, "expert_demand": [4, 3]}
    short = solve_types(AlignmentProblem([[1.0, 1.0], [2.0, 0.0]], **one), [2, 3])
    assert (short.status, short.missing) == (Status.INFEASIBLE, pytest.approx(2.0))
    assert "2 units of load are missing" in short.why
    with pytest.raises(ValueError, match="there is no alignment: 2 units"):
        short.assigned([0, 0, 1, 1, 1])
    poor = AlignmentProblem([[1.0, 1.0]], client_capacity=2, client_demand=2, eligible=[[True, False]])
    assert "client 0" in solve_types(poor, [2]).why
    assert solve_types(poor, [0]).objective == 0.0  # nobody is of this type


def test_what_is_no_problem_of_types_is_refused():
    problem = AlignmentProblem([[1.0, 2.0]])
    for counts in ([1, 2], [-1], [1.5], 3):
        with pytest.raises(ValueError, match="counts must be 1 whole numbers"):
            solve_types(problem, counts)
    for more in ({"client_load": [2.0]}, {"client_budget": [1.0], "expert_cost": [1.0, 1.0]}, {"expert_sets": [0, 0]}):
        with pytest.raises(ValueError, match="use solve\\(\\) with all clients"):
            solve_types(AlignmentProblem([[1.0, 2.0]], **more), [3])
    with pytest.raises(ValueError, match="types must name the type of each client"):
        solve_types(problem, [2]).assigned([0, 1])


@pytest.mark.slow
def test_a_million_clients_of_500_types_have_the_optimum_of_all_of_them():
    rng = np.random.default_rng(0)
    labels, fitness, capacity = rng.integers(0, 500, 1_000_000), rng.random((500, 16)), rng.integers(1, 4, 500)
    share = capacity[labels].sum() / 16
    bounds = {"expert_capacity": np.floor(1.1 * share), "expert_demand": np.floor(0.6 * share)}
    problem = AlignmentProblem(fitness, client_capacity=capacity, **bounds)
    solution = solve_types(problem, np.bincount(labels))
    full = AlignmentProblem(fitness[labels], client_capacity=capacity[labels], **bounds)
    expected, dealt = solve(full), solution.assigned(labels)
    assert solution.status is expected.status is Status.OPTIMAL
    assert solution.objective == pytest.approx(expected.objective, rel=1e-12)
    assert not full.violations(dealt)
