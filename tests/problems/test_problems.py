"""Every family keeps its promises: any size, repeatable by seed, feasible or infeasible for the declared reason."""

import itertools
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest
from scipy.optimize import Bounds, LinearConstraint, milp

from alignsolve import AlignmentProblem, Feature
from alignsolve.certificate.witness import confirm
from alignsolve.problem import FIELDS
from problems import FAMILIES
from problems.planted import around_mean, deal, device_tiers, loads
from tests.problem_fields import arrays

SIZES = [(1, 1), (1, 5), (3, 1), (2, 7), (12, 4), (17, 6)]


def make(name: str, size: tuple[int, int], seed: int = 0) -> AlignmentProblem:
    return FAMILIES[name](np.random.default_rng(seed), num_clients=size[0], num_experts=size[1])


@pytest.mark.parametrize("name", FAMILIES)
def test_declared_feasibility_is_true(name):
    for size, seed in itertools.product(SIZES, range(2)):
        problem = make(name, size, seed)
        assert problem.shape == size
        assert has_alignment(problem) == FAMILIES[name].feasible


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", [name for name, family in FAMILIES.items() if not family.feasible])
def test_declared_reason_is_a_witness_and_other_sides_have_none(name, size):
    problem, reason = make(name, size), FAMILIES[name].infeasible
    sets = None if reason.sets is None else reason.sets(problem)
    witness = confirm(problem, reason.experts(problem), reason.side, sets)
    assert witness is not None
    assert witness.missing > 0
    assert witness.side == reason.side
    everyone = np.ones(problem.num_experts, dtype=bool)
    for side in {"row", "demand", "capacity"} - {reason.side}:
        assert confirm(problem, everyone, side) is None


@pytest.mark.parametrize("name", FAMILIES)
def test_same_seed_makes_the_same_instance_and_another_seed_another(name):
    first, again, other = make(name, (30, 6), 1), make(name, (30, 6), 1), make(name, (30, 6), 2)
    assert all(same(getattr(first, field), getattr(again, field)) for field in FIELDS)
    assert not all(same(getattr(first, field), getattr(other, field)) for field in FIELDS)


@pytest.mark.parametrize("size", [(0, 3), (3, 0)])
def test_empty_sizes_are_refused(size):
    with pytest.raises(ValueError, match="needs a client and an expert"):
        make("uniform", size)


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("uniform", {Feature.FRACTIONAL_VALUES, Feature.HARD_EXPERT_CAPACITIES, Feature.HARD_EXPERT_DEMANDS}),
        ("sparse", {Feature.ELIGIBILITY}),
        ("required", {Feature.REQUIRED_PAIRS}),
        ("layers", {Feature.GROUPS, Feature.CLIENT_DEMANDS}),
        ("soft", {Feature.SOFT_BOUNDS, Feature.SWITCHING_COSTS}),
        ("weighted", {Feature.WEIGHTED_LOADS}),
        ("weighted-bytes", {Feature.WEIGHTED_LOADS}),
        ("exact-decimals", {Feature.WEIGHTED_LOADS}),
        ("budget", {Feature.BUDGETS}),
        ("budgets", {Feature.BUDGETS}),
    ],
)
def test_families_ask_for_what_they_are_named_after(name, features):
    assert features <= make(name, (30, 6)).features


def test_every_feature_is_asked_for_by_some_feasible_family():
    asked = set().union(*(make(name, (30, 6)).features for name, family in FAMILIES.items() if family.feasible))
    assert asked == set(Feature)


def test_fitness_has_the_structure_that_names_the_family():
    shape = (400, 12)
    assert np.linalg.matrix_rank(make("clustered", shape).fitness) == 4
    assert np.linalg.matrix_rank(make("rank1", shape).fitness) == 1
    assert np.linalg.matrix_rank(make("additive", shape).fitness) == 2
    assert len(np.unique(make("ties", shape).fitness)) == 4
    assert len(np.unique(make("constant", shape).fitness)) == 1
    assert not make("zeros", shape).fitness.any()
    assert len(np.unique(make("duplicated", shape).fitness, axis=0)) <= 100
    assert (make("outlier", shape).fitness >= 1e9).sum() == 1
    assert make("integers", shape).integral
    tight = make("tight", shape)
    assert np.array_equal(tight.expert_demand, tight.expert_capacity)
    assert np.array_equal(tight.client_demand, tight.client_capacity)


def test_greed_breaks_the_balanced_bounds():
    for name in ("popular", "clustered", "rank1", "layers", "soft", "weighted"):
        problem = make(name, (400, 12))
        rank = np.argsort(np.argsort(-problem.fitness, axis=1), axis=1)
        greedy = rank < problem.client_capacity[:, None]
        assert (problem.loads(greedy) > 1.2 * problem.expert_capacity).any(), name


def test_bytes_are_byte_sized_and_sparse_is_unmeasured_elsewhere():
    assert make("weighted-bytes", (30, 6)).client_load.min() >= 1e9
    problem = make("sparse", (200, 10))
    assert np.isnan(problem.fitness[~problem.eligible]).all()
    assert 0.2 < problem.eligible.mean() < 0.5


def test_exact_decimals_overflow_naive_float_sums():
    naive = []
    for seed in range(20):
        problem = make("exact-decimals", (12, 2), seed)
        load = float(problem.client_load[0, 0])
        naive += [sum([load] * round(capacity / load)) > capacity for capacity in problem.expert_capacity]
    assert any(naive)


def test_dealt_experts_are_distinct_and_loads_differ_by_one():
    rng = np.random.default_rng(0)
    capacity = device_tiers(rng, 501, 7)
    planted = deal(rng, capacity, 7)
    assert np.array_equal(planted.to_dense(7).sum(axis=1), capacity)
    assert np.ptp(loads(planted, 7)) <= 1
    demand, most = around_mean(loads(planted, 7))
    assert (demand <= loads(planted, 7)).all()
    assert (loads(planted, 7) <= most).all()
    assert (most < 1.2 * loads(planted, 7).mean()).all()


def test_large_instances_are_made_without_copies(tracked_peak):
    for name in ("uniform", "popular", "clustered", "sparse", "weighted-bytes"):
        peak = tracked_peak(lambda name=name: make(name, (20_000, 64)))
        assert peak < 2.5 * 8 * 20_000 * 64, name


@pytest.fixture
def tracked_peak():
    """Return the peak of the memory that a call allocates, in bytes."""

    def measure(call) -> int:
        tracemalloc.start()
        try:
            call()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure


def same(a, b) -> bool:
    if a is None or b is None:
        return a is b
    parts = zip(arrays(a), arrays(b), strict=True)
    return all(np.array_equal(one, other, equal_nan=one.dtype.kind == "f") for one, other in parts)


def has_alignment(problem: AlignmentProblem) -> bool:
    """Return whether an alignment keeps the hard bounds, by an independent MILP solver on the raw fields."""
    problem = problem.to_dense()
    n, e = problem.shape
    lower, upper = np.zeros((n, e)), np.ones((n, e))
    if problem.eligible is not None:
        upper[~problem.eligible] = 0
    if problem.required is not None:
        lower[problem.required] = 1
    if (lower > upper).any():
        return False
    constraints = [LinearConstraint(row.ravel() / scale, low / scale, high / scale)
                   for row, low, high, scale in rows(problem)]  # fmt: skip
    pairs = Bounds(lower.ravel(), upper.ravel())
    result = milp(
        np.zeros(n * e),
        integrality=np.ones(n * e),
        bounds=pairs,
        constraints=constraints,
    )
    assert result.status in (0, 2), result.message
    return result.status == 0


def rows(problem: AlignmentProblem) -> Iterator[tuple[np.ndarray, float, float, float]]:
    """Yield all rows but the pairs' bounds: coefficients, least, most, and their scale."""
    n, e = problem.shape
    load = np.ones((n, e)) if problem.client_load is None else problem.client_load
    for i in range(n):
        row = np.zeros((n, e))
        row[i] = 1
        yield row, problem.client_demand[i], problem.client_capacity[i], 1.0
        for g in range(problem.num_groups):
            members = row * (problem.expert_group == g)
            yield members, problem.group_demand[i, g], problem.group_capacity[i, g], 1.0
        for r in range(0 if problem.client_budget is None else problem.client_budget.shape[1]):
            cost = row * problem.expert_cost[:, :, r]
            yield cost, -np.inf, problem.client_budget[i, r], max(cost.max(), 1e-9)
    for s in range(problem.num_sets):
        hard = np.isinf([problem.set_shortfall_penalty[s], problem.set_overload_penalty[s]])
        least = problem.set_demand[s] if hard[0] else 0.0
        yield load * problem.expert_sets[s], least, problem.set_capacity[s] if hard[1] else np.inf, 1.0
    for j in range(e):
        row = np.zeros((n, e))
        row[:, j] = load[:, j]
        least = problem.expert_demand[j] if np.isinf(problem.shortfall_penalty[j]) else 0.0
        most = problem.expert_capacity[j] if np.isinf(problem.overload_penalty[j]) else np.inf
        if least > most:
            yield np.zeros((n, e)), 1.0, np.inf, 1.0
        else:
            yield row, least, most, float(row.max())
