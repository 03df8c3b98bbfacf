"""Families made from other systems: their formulas by hand, and what they refuse."""

import numpy as np
import pytest

from alignsolve import solve
from problems import FAMILIES
from problems.levels import BITS, NOISE, error, rate
from problems.tiers import made, price_of_tiers
from problems.windows import fits


def test_levels_follow_the_formulas_and_a_client_takes_one_level_of_an_expert():
    assert rate(2.0, np.array([0.0, 6 * NOISE, 30 * NOISE]), np.ones(3)).tolist() == [0.0, 4.0, 8.0]
    assert error(np.array([1, 2, 3])) == pytest.approx([1.0, 1 / 9, 1 / 49])
    with pytest.raises(ValueError, match="a level has 0 bits; it must have 1 or more"):
        error(np.array([4, 0]))
    problem = FAMILIES["levels"](np.random.default_rng(0), num_clients=30, num_experts=9)
    x = solve(problem, "ilp").x.reshape(30, 3, len(BITS))
    assert (x.sum(axis=2) <= 1).all()
    assert all(x.any(axis=(0, 1)))  # each level is somebody's best


def test_windows_decide_who_can_finish_and_may_have_no_length():
    seconds = np.array([[1.0, 2.0], [1.0, 2.0], [0.0, 2.0]])
    assert fits(np.array([2.0, 1.5, 0.0]), seconds).tolist() == [[True, True], [True, False], [False, False]]
    for wrong in (-1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="a window must have a length"):
            fits(np.array([wrong]), seconds[:1])
    problem = FAMILIES["windows"](np.random.default_rng(3), num_clients=60, num_experts=4)
    unseen = ~problem.eligible.any(axis=1)
    assert unseen.any()
    assert not solve(problem, "flow").x[unseen].any()


def test_deciding_in_tiers_costs_something_and_a_cell_may_have_no_clients():
    problem, where = made(np.random.default_rng(0), 60, 8)
    whole, apart = price_of_tiers(problem, where)
    assert whole > apart > 0.0
    x = solve(problem, "ilp").x
    assert not x[where.cell[:, None] != where.column_cell[None, :]].any()
    lone, cells = made(np.random.default_rng(0), 1, 4)
    assert len(np.unique(cells.cell)) < len(np.unique(cells.column_cell))
    assert solve(lone, "ilp").x.sum() == 1


def test_caches_keep_some_clients_and_move_others():
    problem = FAMILIES["caches"](np.random.default_rng(0), num_clients=60, num_experts=6)
    kept = solve(problem, "flow").x[problem.previous].mean()
    assert 0.3 < kept < 1.0
