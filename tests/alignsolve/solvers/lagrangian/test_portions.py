"""``lagrangian`` with many clients: they choose in portions; the answer is feasible and near the bound."""

import math
import time

import numpy as np
import pytest

from alignsolve import solve
from alignsolve.solvers.common.level_method import bound_at
from alignsolve.solvers.lagrangian import Lagrangian, newton
from alignsolve.solvers.lagrangian.clients import ClientChunks
from alignsolve.solvers.lagrangian.multigrid import Prices
from alignsolve.solvers.lagrangian.newton import Descent, curvature
from alignsolve.solvers.lagrangian.portions import FEWEST, _PortionedChoice, portions
from problems import FAMILIES


def made(family, num_clients, num_experts):
    return FAMILIES[family](np.random.default_rng(1), num_clients=num_clients, num_experts=num_experts)


def test_portions_halve_are_spread_evenly_and_miss_nobody():
    found = portions(100_000, FEWEST)
    assert np.array_equal(np.sort(np.concatenate(found)), np.arange(100_000))
    assert [len(portion) for portion in found[:3]] == [50_000, 25_000, 12_500]
    assert len(found[-1]) >= FEWEST
    for portion in found:
        assert np.diff(portion).min() > 0
        assert abs(portion.mean() / 50_000 - 1.0) < 0.01


def test_few_clients_are_one_portion():
    assert [portion.tolist() for portion in portions(3, FEWEST)] == [[0, 1, 2]]


@pytest.mark.parametrize("family", ["weighted", "soft", "budget"])
def test_many_clients_are_within_a_thousandth_of_the_bound(family):
    problem = made(family, 70_000, 16)
    solution = solve(problem, Lagrangian(gap=1e-3))
    assert problem.violations(solution.x) == []
    assert solution.gap <= 1e-3
    assert solution.stats["found_by"] == "dealing"


def test_threads_do_not_change_what_is_dealt():
    problem = made("weighted", 70_000, 16)
    one, two = (solve(problem, Lagrangian(gap=1e-3), threads=threads) for threads in (1, 2))
    assert np.array_equal(one.assigned.experts, two.assigned.experts)
    assert np.array_equal(one.prices, two.prices)


def dealt_too_much(problem, prices):
    """Return a state in which all clients but the last have chosen and one expert is just overloaded.

    The highest price was lowered until that happened.
    """
    for share in np.linspace(0.9, 0.1, 33):
        wrong = np.where(prices == prices.max(), share * prices, prices)
        dealing = _PortionedChoice(problem, Prices(wrong, wrong), 1, math.inf)
        for clients in dealing.portions[:-1]:
            dealing.choose(clients)
        if (dealing.loads > problem.experts.most).any():
            return dealing
    raise AssertionError


def test_holders_of_what_is_too_full_choose_again_with_the_last():
    problem = made("budgets", 12_000, 8)
    dealing = dealt_too_much(problem, solve(problem, Lagrangian(gap=1e-3)).prices)
    last = dealing.portions[-1]
    again = dealing._holders_of_too_much(last)
    assert 0 < len(again) < 0.2 * problem.num_clients
    assert not np.isin(again, last).any()
    assert dealing.settle(last, np.random.default_rng(0))
    assert problem.violations(dealing.chosen) == []


def test_steps_by_curvature_lower_the_bound_and_never_raise_it():
    problem = made("weighted", 4000, 8)
    clients = ClientChunks.of(problem, 1, 1, math.inf)
    start = problem.experts.project(np.full(8, 0.1))
    falls = curvature(clients, start, math.inf)
    descent = Descent(problem, clients, start, falls)
    first = bound_at(problem, clients, start)[0]
    assert descent.bound == pytest.approx(first)
    assert descent.run(20, 1e-9, math.inf) > 0
    assert descent.bound < first
    assert descent.bound == pytest.approx(problem.bound(descent.best), rel=1e-9)


def test_what_a_small_sample_cannot_tell_is_taken_as_typical(monkeypatch):
    problem, prices = made("weighted", 8000, 8), np.full(8, 0.1)
    few = ClientChunks.of(problem, 400, 1, math.inf)
    true = curvature(ClientChunks.of(problem, 1, 1, math.inf), prices, math.inf)
    drawn = curvature(few, prices, math.inf)
    monkeypatch.setattr(newton, "ENOUGH", 1e-9)
    seen = curvature(few, prices, math.inf)
    assert np.array_equal(drawn, drawn.T)
    assert np.linalg.norm(drawn - true) < 0.8 * np.linalg.norm(seen - true)


def test_a_curvature_that_comes_too_late_is_none():
    clients = ClientChunks.of(made("weighted", 400, 8), 1, 1, math.inf)
    assert curvature(clients, np.zeros(8), time.monotonic() - 1.0) is None
