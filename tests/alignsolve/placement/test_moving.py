"""From a current placement to the next: what is moved, what it costs, and the curve between the two ends."""

import numpy as np
import pytest

from alignsolve.placement import place, trade_off

GPUS, SLOTS, EXPERTS = 8, 5, 32


@pytest.fixture(scope="module")
def change():
    """Loads of two layers, the placement for them, and the loads after a tenth of them has changed."""
    rng = np.random.default_rng(4)
    before = rng.lognormal(0, 0.8, (2, EXPERTS))
    other = rng.permuted(before, axis=1)
    return place(before, GPUS, SLOTS), 0.9 * before + 0.1 * other


@pytest.fixture(scope="module")
def curve(change):
    return trade_off(change[1][0], GPUS, SLOTS, change[0].copies[0])


def moved(copies, before):
    return (copies & ~before).sum(axis=(-2, -1))


@pytest.mark.slow
def test_the_curve_falls_and_its_ends_are_right(change, curve):
    placed, loads = change
    nothing, best = curve.at(0), curve.at(len(curve) - 1)
    assert (nothing.copies == placed.copies[0]).all()
    assert best.largest <= place(loads[0], GPUS, SLOTS).largest
    assert best.largest == place(loads[0], GPUS, SLOTS, current=placed.copies[0]).largest
    assert (np.diff(curve.moved) > 0).all()
    assert (np.diff(curve.largest) < 0).all()
    for k in range(len(curve)):
        assert curve.at(k).moved == curve.moved[k] == moved(curve.at(k).copies, placed.copies[0])
        assert curve.at(k).largest == curve.largest[k]


def test_little_is_moved_for_almost_the_best(change, curve):
    placed, loads = change
    fresh = place(loads[0], GPUS, SLOTS)
    near = curve.within(0.01)
    assert near.largest <= 1.01 * fresh.largest
    assert near.moved <= moved(fresh.copies, placed.copies[0]) / 3


def test_a_curve_of_layers_takes_the_best_step_first(change):
    placed, loads = change
    sizes = np.linspace(1.0, 2.0, EXPERTS)
    curve = trade_off(loads, GPUS, SLOTS, placed, expert_bytes=sizes)
    gains = -np.diff(curve.largest) / np.diff(curve.moved)
    assert (gains > 0).all()
    assert (np.diff(gains) <= 1e-9).all()
    last = curve.at(len(curve) - 1)
    assert curve.largest[-1] == pytest.approx(last.largest.sum())
    assert curve.moved[-1] == pytest.approx(((last.copies & ~placed.copies) * sizes).sum())
    assert curve.at(0).moved.tolist() == [0, 0]
    assert "points" in repr(curve)


def test_a_price_of_moving_is_weighed_against_time(change):
    placed, loads = change
    free, dear, never = (place(loads, GPUS, SLOTS, current=placed, moved_cost=cost) for cost in (0.0, 0.02, 1e6))
    assert never.moved.tolist() == [0, 0]
    assert (never.copies == placed.copies).all()
    assert (free.moved >= dear.moved).all()
    assert (free.largest <= dear.largest).all()
    assert (dear.largest + 0.02 * dear.moved <= never.largest).all()
    assert (dear.largest + 0.02 * dear.moved <= free.largest + 0.02 * free.moved).all()


def test_the_same_loads_move_nothing(change):
    placed = change[0]
    again = place(placed.loads, GPUS, SLOTS, current=placed)
    assert again.moved.sum() == 0
    assert place(placed.loads, GPUS, SLOTS).moved.sum() == again.copies.sum()


def test_a_gpu_that_joined_and_one_that_left(change):
    """The newcomer's row is empty; the one that left has no row, and took the only copies of some experts along."""
    placed, loads = change
    joined = np.vstack([placed.copies[0], np.zeros((1, EXPERTS), dtype=bool)])
    more = place(loads[0], GPUS + 1, SLOTS, current=joined)
    assert more.largest < place(loads[0], GPUS, SLOTS, current=placed.copies[0]).largest
    left = placed.copies[0][:-1]
    gone = trade_off(loads[0], GPUS - 1, SLOTS, left)
    assert gone.at(0).moved == (~left.any(axis=0)).sum()
    assert gone.at(0).counts.min() == 1


def test_renamed_gpus_count_as_the_same(change):
    """Equal GPUs are interchangeable, and so are equal nodes: what only changed its name stays where it is."""
    placed, loads = change
    nodes = {"gpu_node": 4, "expert_group": 8}
    first = place(loads[0], GPUS, SLOTS, **nodes)
    assert place(loads[0], GPUS, SLOTS, current=first.copies[[3, 2, 0, 1, 7, 6, 5, 4]], **nodes).moved == 0
    apart = place(loads[0], GPUS, SLOTS, current=placed.copies[0], **nodes)  # its groups lie on many nodes
    assert 0 < apart.moved < apart.copies.sum()


def test_a_curve_needs_a_current_placement():
    with pytest.raises(ValueError, match="current is None"):
        trade_off([1.0, 2.0], 2, 1, None)
