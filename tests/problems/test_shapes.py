"""Families of real shapes: layers of public models, one-to-one problems, and few places at many experts."""

import numpy as np
import pytest

from alignsolve import Feature, ProblemClass, solve
from problems.fitness import KINDS, draw, spread_out
from problems.layered import layered
from problems.moe_models import MODELS
from problems.one_to_one import rectangular, square
from problems.phones import draw_phones
from problems.wide import wide


def rng():
    return np.random.default_rng(5)


@pytest.mark.parametrize(
    ("model", "layers", "experts", "megabytes"),
    [
        ("mixtral-8x7b", 32, 8, 336.0),
        ("olmoe-1b-7b", 16, 64, 12.0),
        ("qwen3-30b-a3b", 48, 128, 9.0),
        ("gpt-oss-120b", 36, 128, 47.460938),
        ("deepseek-v3", 58, 256, 84.0),
        ("kimi-k2", 60, 384, 84.0),
    ],
)
def test_a_model_has_its_published_shape(model, layers, experts, megabytes):
    problem = layered(rng(), num_clients=2, model=model, totals="bytes")
    assert np.bincount(problem.expert_group).tolist() == [experts] * layers
    assert np.unique(problem.expert_cost) == pytest.approx([megabytes * 2**20], rel=1e-6)


def test_counts_and_bytes_of_one_size_are_the_same_problem():
    counted, weighed = (layered(rng(), num_clients=7, num_experts=24, totals=totals) for totals in ("experts", "bytes"))
    assert counted.class_ is ProblemClass.CARDINALITY
    assert weighed.class_ is ProblemClass.GENERAL
    assert np.array_equal(counted.fitness, weighed.fitness)
    fits = np.floor(weighed.client_budget[:, 0] / weighed.expert_cost[0, 0, 0])
    assert np.array_equal(fits, counted.client_capacity)
    best = solve(counted, "flow")
    assert weighed.violations(best.x) == []
    assert weighed.objective(best.x) == best.objective


def test_every_client_needs_an_expert_of_each_layer_and_popular_experts_are_full():
    problem = layered(rng(), num_clients=40, num_experts=48, model="olmoe-1b-7b", expert_demands=True)
    assert problem.num_groups == 3
    assert (problem.group_demand == 1).all()
    assert {Feature.GROUPS, Feature.HARD_EXPERT_DEMANDS} <= problem.features
    assert not layered(rng(), num_clients=40, num_experts=48).expert_demand.any()
    solution = solve(problem, "flow")
    full = solution.loads == problem.expert_capacity
    popular = problem.fitness.sum(axis=0) > np.median(problem.fitness.sum(axis=0))
    assert full[popular].mean() > full[~popular].mean()
    assert full.any()


def test_layers_and_experts_shrink_together():
    sizes = np.bincount(layered(rng(), num_clients=3, num_experts=6144 // 16).expert_group)
    assert sizes.tolist() == [32] * 12
    assert np.bincount(layered(rng(), num_clients=3, num_layers=2, num_experts=7).expert_group).tolist() == [4, 3]
    assert np.bincount(layered(rng(), num_clients=3, num_layers=2).expert_group).tolist() == [128, 128]


def test_sizes_that_differ_by_layer_are_eighths_and_seconds_are_a_second_resource():
    problem = layered(rng(), num_clients=9, num_experts=384, totals="bytes", mixed=True, seconds=True)
    cost = problem.expert_cost
    eighths = 8.0 * cost[0, :, 0] / MODELS["qwen3-30b-a3b"].expert_bytes
    by_layer = [np.unique(eighths[problem.expert_group == g]) for g in range(problem.num_groups)]
    assert all(len(found) == 1 for found in by_layer)
    assert {4.0, 5.0, 6.0, 7.0, 8.0} >= set(np.concatenate(by_layer).tolist())
    assert len(np.unique(np.concatenate(by_layer))) > 1
    assert problem.client_budget.shape == (9, 2)
    assert np.ptp(cost[:, :, 1] / cost[:, :, 0]) > 0
    only = layered(rng(), num_clients=9, num_experts=12, seconds=True)
    assert only.client_budget.shape == (9, 1)
    assert only.client_capacity.max() < 12 * 12


def test_shares_have_the_skew_of_the_counts():
    """Standard deviation of the logarithm over all domains: 0.53 in the first layer of OLMoE, 1.27 in the last."""
    fitness = layered(rng(), num_clients=400, num_experts=4096, num_layers=4, model="olmoe-1b-7b").fitness
    first, last = fitness[:, :1024], fitness[:, -1024:]
    assert first.mean() == pytest.approx(1.0, rel=0.05)
    assert 0.3 < np.log(first).std() < 0.6
    assert 0.7 < np.log(last).std() < 1.3
    plain = layered(rng(), num_clients=50, model="mixtral-8x7b").fitness
    assert np.log(plain).std() < 0.25


def test_what_cannot_be_counted_or_is_unknown_is_refused():
    with pytest.raises(ValueError, match="cannot be counted"):
        layered(rng(), num_clients=2, mixed=True)
    with pytest.raises(ValueError, match=r"no model 'gpt-2'.*olmoe"):
        layered(rng(), num_clients=2, model="gpt-2")
    with pytest.raises(ValueError, match=r"no kind of fitness 'normal'.*uniform"):
        draw("normal", rng(), 2, 2)


def test_a_wide_span_goes_over_twelve_decades_and_keeps_the_order():
    plain, wide_span = (layered(rng(), num_clients=9, num_experts=60, span=span).fitness for span in (False, True))
    assert wide_span.min() == pytest.approx(1e-6)
    assert wide_span.max() == pytest.approx(1e6)
    assert np.array_equal(np.argsort(plain, axis=None), np.argsort(wide_span, axis=None))
    assert spread_out(np.array([[2.0, 2.0]])) == pytest.approx(np.array([[2.0, 2.0]]))
    assert 11.0 < np.ptp(np.log10(draw("span", rng(), 40, 40))) < 12.0


def test_phones_are_like_the_measured_ones():
    phones = draw_phones(rng(), 20_000)
    assert np.median(phones.gigabytes) == 4.0
    assert (phones.gigabytes <= 1.0).mean() == pytest.approx(54 / 333, abs=0.02)
    assert np.corrcoef(np.log(phones.gigabytes), np.log(phones.slowness))[0, 1] < -0.8
    assert 1 / np.median(phones.seconds_per_byte) == pytest.approx(1.9e6, rel=0.2)


@pytest.mark.parametrize("fitness", KINDS)
def test_a_square_problem_is_a_perfect_matching(fitness):
    problem = square(rng(), num_clients=6, num_experts=6, fitness=fitness)
    solution = solve(problem)
    assert solution.x.sum(axis=0).tolist() == solution.x.sum(axis=1).tolist() == [1] * 6
    assert problem.integral == (fitness == "integers")


@pytest.mark.parametrize(("size", "pairs"), [((5, 9), 5), ((9, 5), 5), ((4, 4), 4)])
def test_a_rectangular_problem_matches_its_smaller_side(size, pairs):
    solution = solve(rectangular(rng(), num_clients=size[0], num_experts=size[1]))
    assert solution.x.sum() == pairs
    assert solution.x.sum(axis=0).max() == solution.x.sum(axis=1).max() == 1


def test_a_wide_problem_has_few_places():
    drawn = wide(rng(), num_clients=50, num_experts=80)
    assert set(drawn.client_capacity) == set(drawn.expert_capacity) == {1, 2, 3, 4}
    given = wide(rng(), num_clients=5, num_experts=8, per_client=4, per_expert=1)
    assert (set(given.client_capacity), set(given.expert_capacity)) == ({4}, {1})
