"""Placement: against brute force, against EPLB's rule, as index arrays, with nodes, speeds and bad input."""

from itertools import combinations, product

import numpy as np
import pytest

from alignsolve.numerics import OPTIMALITY
from alignsolve.placement import Placement, copies_of, place
from alignsolve.placement.request import read_fleet
from benchmarks.peers.eplb import eplb

ROUNDING = 1 + 1e-12


def times(copies, loads, speed=1.0):
    """Times of the GPUs, written anew: each copy has an even share."""
    return (copies * (loads / copies.sum(axis=0))).sum(axis=1) / speed


def smallest(loads, slots, speed, node, group):
    """Try every placement of a tiny layer."""
    experts, best = range(len(loads)), np.inf
    held = [[set(own) for number in range(room + 1) for own in combinations(experts, number)] for room in slots]
    for choice in product(*held):
        copies = np.array([[expert in own for expert in experts] for own in choice])
        if not copies.any(axis=0).all():
            continue
        gpu, expert = np.nonzero(copies)
        if len(set(zip(group[expert], node[gpu], strict=True))) == len(set(group)):
            best = min(best, times(copies, loads, speed).max())
    return best


def drawn(rng, most):
    """Draw a tiny layer of up to ``most`` experts: loads, slots, speed, nodes and groups."""
    num_experts, num_gpus = int(rng.integers(1, most + 1)), int(rng.integers(1, 4))
    loads = rng.choice([rng.integers(0, 9, num_experts).astype(float), rng.exponential(1.0, num_experts)])
    slots = rng.integers(1, 4, num_gpus)
    speed = rng.choice([1.0, 1.0, 2.0], num_gpus)
    node, group = np.zeros(num_gpus, dtype=int), np.zeros(num_experts, dtype=int)
    if rng.random() < 0.4 and num_gpus > 1:
        node[-1], group = 1, np.arange(num_experts) % 2
    return loads, slots, speed, node, group


def check_against_brute_force(seeds, most, rounds=100):
    """Compare layers with what trying everything finds; return how many were optimal and how many there were."""
    met = tried = 0
    for seed in seeds:
        loads, slots, speed, node, group = drawn(np.random.default_rng(seed), most)
        best = smallest(loads, slots, speed, node, group) if slots.sum() >= len(loads) else np.inf
        if best == np.inf:
            with pytest.raises(ValueError, match="slots"):
                place(loads, len(slots), slots, speed=speed, gpu_node=node, expert_group=group)
            continue
        placed = place(loads, len(slots), slots, speed=speed, gpu_node=node, expert_group=group, rounds=rounds)
        assert placed.largest == pytest.approx(times(placed.copies, loads, speed).max())
        assert placed.bound <= best * ROUNDING, seed
        assert placed.largest >= best / ROUNDING, seed
        assert placed.largest <= best * 1.5, seed
        met += placed.largest <= best * (1 + 1e-4) * ROUNDING
        tried += 1
    return met, tried


@pytest.mark.kernels
def test_tiny_layers_against_brute_force():
    met, tried = check_against_brute_force(range(25), most=4, rounds=8)
    assert met >= 0.9 * tried > 0


@pytest.mark.slow
def test_many_tiny_layers_against_brute_force():
    met, tried = check_against_brute_force(range(1000, 1060), most=5)
    assert met >= 0.9 * tried


def test_never_worse_than_the_rule_on_any_layer():
    """Layers of several shapes, as one request each; the rule may put two copies on a GPU, we never do."""
    rng = np.random.default_rng(7)
    for num_experts, num_gpus, slots in ((24, 4, 7), (16, 8, 3), (30, 6, 5)):
        loads = np.concatenate([rng.lognormal(0, 1, (4, num_experts)), rng.integers(1, 5, (2, num_experts))])
        placed = place(loads, num_gpus, slots)
        rule = [eplb(row, num_gpus, slots).largest for row in loads]
        assert (placed.largest <= np.array(rule) * ROUNDING).all()
        assert (placed.bound <= placed.largest).all()
        assert placed.copies.sum(axis=2).max() <= slots


def test_groups_stay_within_a_node():
    rng = np.random.default_rng(3)
    loads = rng.lognormal(0, 1, (3, 32))
    placed = place(loads, 8, 5, gpu_node=4, expert_group=8)
    rule = [eplb(row, 8, 5, num_nodes=4, num_groups=8).largest for row in loads]
    assert (placed.largest <= np.array(rule) * ROUNDING).all()
    home = np.array([[np.unique(np.nonzero(copies[:, e])[0] // 2) for e in range(32)] for copies in placed.copies])
    assert home.shape == (3, 32, 1)
    assert (home.reshape(3, 8, 4) == home.reshape(3, 8, 4)[..., :1]).all()


def test_the_largest_time_is_balanced_not_the_load():
    loads, speed = np.random.default_rng(5).lognormal(0, 0.5, 48), np.repeat([1.0, 2.0], 4)
    placed = place(loads, 8, 8, speed=speed)
    load = (placed.copies * (loads / placed.counts)).sum(axis=1)
    assert placed.gap <= 1e-4
    assert load[4:].mean() == pytest.approx(2 * load[:4].mean(), rel=1e-3)
    doubled = place(loads, 8, 8, speed=2 * speed)
    assert doubled.largest == placed.largest / 2


def test_indices_rebuild_the_placement():
    loads = np.random.default_rng(1).lognormal(0, 1, (2, 10))
    slots = [3, 4, 5, 2]
    placed = place(loads, 4, slots)
    physical, logical, counts = placed.physical_to_logical, placed.logical_to_physical, placed.counts
    assert (copies_of(physical, 10, slots) == placed.copies).all()
    for layer, expert in np.ndindex(2, 10):
        own = logical[layer, expert][: counts[layer, expert]]
        assert (physical[layer, own] == expert).all()
        assert (logical[layer, expert][counts[layer, expert] :] == -1).all()
        assert (np.repeat(np.arange(4), slots)[own] == np.nonzero(placed.copies[layer, :, expert])[0]).all()
    one = place(loads[0], 4, slots)
    assert one.physical_to_logical.tolist() == physical[0].tolist()


def test_answers_do_not_depend_on_threads_or_on_other_layers():
    loads = np.random.default_rng(2).lognormal(0, 1, (4, 20))
    placed = place(loads, 5, 5, threads=1)
    assert (place(loads, 5, 5, threads=3).copies == placed.copies).all()
    assert (place(loads[:2], 5, 5).copies == placed.copies[:2]).all()
    hurried = place(loads, 5, 5, time_limit=0.0)
    assert (hurried.largest >= hurried.bound).all()


@pytest.mark.parametrize(
    ("loads", "num_gpus", "slots", "largest"),
    [
        ([5.0], 1, 1, 5.0),  # one GPU
        ([5.0, 0.0, 1.0], 1, 3, 6.0),  # an expert without load needs a copy all the same
        ([0.0, 0.0, 0.0], 2, 2, 0.0),
        ([1.0] * 12, 4, 3, 3.0),  # all equal
        ([6.0, 3.0], 3, 5, 3.0),  # more slots than copies are possible: some stay empty
        ([1e-290] * 4, 2, 2, 2e-290),
        ([1e140] * 4, 2, 2, 2e140),
    ],
)
def test_edges(loads, num_gpus, slots, largest):
    placed = place(loads, num_gpus, slots)
    assert placed.largest == pytest.approx(largest)
    assert placed.gap <= OPTIMALITY
    assert (placed.counts <= num_gpus).all()
    assert len(placed.physical_to_logical) == num_gpus * slots


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"slots": 1}, "3 GPUs have 3 slots together, fewer than the 4 experts"),
        ({"loads": [1.0, -1.0, 1.0, 1.0]}, "loads of expert 1 is -1.0"),
        ({"loads": [[1.0, 1.0], [1.0, np.nan]]}, "loads of layer 1, expert 1 is nan"),
        ({"loads": []}, "loads has shape"),
        ({"loads": 3.0}, "loads has shape"),
        ({"num_gpus": 0}, "num_gpus is 0"),
        ({"slots": [2, 2]}, "slots has shape"),
        ({"slots": 1.5}, "slots is 1.5"),
        ({"speed": [1, 0, 1]}, "speed of gpu 1 is 0"),
        ({"speed": [1, -1, 1]}, "speed of gpu 1 is -1"),
        ({"moved_cost": -1}, "moved_cost is -1"),
        ({"current": np.zeros((3, 5), dtype=bool)}, "current has shape"),
        ({"current": np.ones((3, 4), dtype=bool)}, "gpu 0 holds 4 experts in layer 0, more than its 2 slots"),
        ({"current": [[0, 1, 2, 3]] * 3}, "copies_of"),
        ({"gpu_node": 3}, "give both"),
        ({"gpu_node": 2, "expert_group": 2}, "gpu_node is 2; 3 GPUs cannot be divided"),
        ({"gpu_node": [0, 1], "expert_group": 2}, "gpu_node has shape"),
        ({"gpu_node": 3, "expert_group": [0, 0, 0, 1]}, "no way was found to fit 2 groups of up to 3 experts"),
    ],
)
def test_bad_input_is_named(change, message):
    request = {"loads": [4.0, 3.0, 2.0, 1.0], "num_gpus": 3, "slots": 2} | change
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        place(**request)


def test_a_placement_checks_itself():
    fleet = read_fleet(2, 2, 1)
    loads, bound = np.ones((1, 2)), np.ones(1)
    good = np.eye(2, dtype=bool)[np.newaxis]
    assert Placement(loads, fleet, good, bound).gap.tolist() == [0.0]
    for wrong, why in (
        (good & [[True, False]], "expert 1 has no copy"),
        (good | [[True, True]], "more than its slots"),
    ):
        with pytest.raises(ValueError, match=why):
            Placement(loads, fleet, wrong, bound)
    apart = read_fleet(2, 2, 2, gpu_node=2, expert_group=[0, 0])
    with pytest.raises(ValueError, match="two nodes"):
        Placement(loads, apart, good, bound)
    with pytest.raises(ValueError, match="names expert 2"):
        copies_of([0, 2], 2, [1, 1])
