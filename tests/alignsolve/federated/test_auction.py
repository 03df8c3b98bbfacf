"""Auctions reach what they promise: exact with cores, within limits with votes, the same whoever answers first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, Status, solve
from alignsolve.federated import Auction
from problems import FAMILIES
from tests.auctions import bidders_of, bounds_of, changed, finish, held_auction, judged

EXACT = ("popular", "clustered", "uniform", "soft", "ties", "integers", "zeros", "duplicated", "tight", "rank1", "wide")


@given(st.sampled_from(EXACT), st.integers(1, 40), st.integers(1, 5), st.integers(0, 2**20))
def test_cores_are_exact_on_small_problems(family, num_clients, num_experts, seed):
    problem = FAMILIES[family](np.random.default_rng(seed), num_clients=num_clients, num_experts=num_experts)
    auction, x = held_auction(problem, "core")
    own = judged(problem, x, auction.outcome.prices)
    assert own.status is Status.OPTIMAL, (own, auction.outcome)
    assert auction.outcome.reached
    assert own.objective == pytest.approx(solve(problem).objective, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("family", ["popular", "clustered"])
@pytest.mark.parametrize("num_clients", [1000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_limits_of_exchanges_bytes_gap_and_overload(family, num_clients):
    cold = FAMILIES[family](np.random.default_rng(5), num_clients=num_clients, num_experts=16)
    warm = changed(cold, np.random.default_rng(6))
    most = {"loads": (30, 8, 10_000), "choices": (30, 8, 2000), "core": (15, 5, 2000)}
    for tells, (exchanges, warm_exchanges, num_bytes) in most.items():
        start = None
        for problem, limit in ((cold, exchanges), (warm, warm_exchanges)):
            auction, x = held_auction(problem, tells, start=start)
            outcome, start = auction.outcome, auction.outcome.start
            assert outcome.reached
            assert outcome.exchanges <= limit
            assert outcome.num_bytes <= num_bytes * num_clients
            assert np.array_equal(outcome.loads, x.sum(axis=0))
            unit = 2.0 * np.abs(outcome.prices).max()
            own = judged(problem.soften(overload=unit, shortfall=unit), x, outcome.prices)
            assert own.gap <= (1e-9 if tells == "core" else 1e-3)
            assert own.gap == pytest.approx(outcome.gap, abs=1e-9)
            beyond = np.maximum(outcome.loads - problem.expert_capacity, 0) + np.maximum(
                problem.expert_demand - outcome.loads, 0
            )
            assert beyond.sum() <= (0 if tells == "core" else 1e-3 * outcome.loads.sum())


@pytest.mark.parametrize("tells", ["loads", "choices", "core"])
def test_single_clients_with_masks_answer_like_the_population(tells):
    problem = FAMILIES["clustered"](np.random.default_rng(2), num_clients=40, num_experts=4)
    simulated, x = held_auction(problem, tells, gap=0.02, overload=0.02, masked=True)
    for seed in (1, 2):
        auction = Auction(simulated.terms, range(40), **bounds_of(problem), gap=0.02, overload=0.02, masked=True)
        own = finish(auction, bidders_of(auction.terms, problem, seed=seed), rng=np.random.default_rng(seed))
        assert np.array_equal(own, x)
        assert auction.outcome.looks == simulated.outcome.looks
        if tells == "choices":
            assert np.array_equal(auction.outcome.assigned.to_dense(4), x)


@pytest.mark.parametrize("tells", ["loads", "choices", "core"])
def test_renumbered_clients_get_the_same_experts(tells):
    problem = FAMILIES["popular"](np.random.default_rng(3), num_clients=200, num_experts=6)
    order = np.random.default_rng(4).permutation(200)
    other = AlignmentProblem(
        problem.fitness[order],
        client_capacity=problem.client_capacity[order],
        client_demand=problem.client_demand,
        **bounds_of(problem),
    )
    (first, x), (second, y) = held_auction(problem, tells), held_auction(other, tells)
    assert np.array_equal(x[order], y)
    assert first.outcome.exchanges == second.outcome.exchanges


def test_noise_splits_clients_that_tie():
    """Identical clients all choose alike at any prices; public noise tells them apart."""
    problem = AlignmentProblem(np.ones((300, 4)), client_demand=1, expert_capacity=80, expert_demand=70)
    tied, _ = held_auction(problem, "loads", most_exchanges=8, overload_price=1.0)
    split, x = held_auction(problem, "loads", terms={"noise": 1e-4}, spread=1e-4, overload_price=1.0)
    assert not tied.outcome.reached
    assert split.outcome.reached
    assert (x.sum(axis=0) <= 80).all()
    assert (x.sum(axis=0) >= 70).all()


@pytest.mark.parametrize("tells", ["loads", "choices", "core"])
def test_bounds_that_leave_no_alignment_are_not_reached(tells):
    problem = FAMILIES["infeasible-capacity"](np.random.default_rng(0), num_clients=30, num_experts=4)
    auction, x = held_auction(problem, tells)
    assert auction.finished
    assert not auction.outcome.reached
    assert auction.outcome.overload > 0
    assert np.array_equal(auction.outcome.loads, x.sum(axis=0))


def test_the_last_exchange_comes_in_any_case():
    problem = FAMILIES["popular"](np.random.default_rng(0), num_clients=300, num_experts=8)
    for tells in ("loads", "choices", "core"):
        auction, x = held_auction(problem, tells, most_exchanges=3)
        outcome = auction.outcome
        assert auction.finished
        assert outcome.exchanges <= 3
        assert np.array_equal(outcome.loads, x.sum(axis=0))
        assert auction.next() is None
