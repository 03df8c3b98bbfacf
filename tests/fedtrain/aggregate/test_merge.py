"""Laws of aggregation, and the inspection before it."""

import dataclasses
import re

import numpy as np
import pytest
import torch

from fedtrain.aggregate import aggregate
from fedtrain.models import expert_of
from fedtrain.server.simulated_clients import seal
from tests.updates import draw, inspect, make_update, same

EXPERTS = {0: (0, 1), 1: (1,), 2: (0, 2), 5: (1, 2)}  # nobody holds expert 3


@pytest.fixture
def current():
    return draw(0)


@pytest.fixture
def updates():
    sizes = {0: 7, 1: 3, 2: 31, 5: 2}
    return [make_update(client, experts, num_examples=sizes[client]) for client, experts in EXPERTS.items()]


def test_the_mean_is_weighted_by_the_examples_that_trained_a_tensor(current):
    one = make_update(0, (0, 1), usage=[0.75, 0.25], num_examples=40)
    two = make_update(1, (1, 2), usage=[0.1, 0.9], num_examples=100)
    merged = aggregate(current, [one, two])
    for name, weights in {"classifier.weight": (40, 100), "experts.1.0.weight": (10, 10), "router.1": (10, 10)}.items():
        expected = (weights[0] * one.tensors[name] + weights[1] * two.tensors[name]) / sum(weights)
        torch.testing.assert_close(merged[name], expected)


def test_order_of_arrival_does_not_change_a_bit(current, updates):
    rng = np.random.default_rng(0)
    expected = aggregate(current, updates)
    assert all(same(aggregate(current, [updates[i] for i in rng.permutation(4)]), expected) for _ in range(5))


def test_a_single_holder_is_copied_bit_for_bit(current):
    update = make_update(3, (0, 2), usage=[0.3, 0.7], num_examples=13)
    merged = aggregate(current, [update])
    assert all(torch.equal(merged[name], value) for name, value in update.tensors.items())


def test_what_nobody_trained_stays_bit_for_bit(current, updates):
    merged = aggregate(current, updates)
    untouched = [name for name in current if expert_of(name) == 3]
    assert len(untouched) == 5
    assert all(torch.equal(merged[name], current[name]) for name in untouched)
    assert same(aggregate(current, []), current)


def test_a_holder_that_routed_nothing_to_its_expert_has_no_say_in_it(current):
    idle = make_update(0, (0, 1), usage=[1.0, 0.0])
    assert torch.equal(aggregate(current, [idle])["experts.1.0.weight"], current["experts.1.0.weight"])
    busy = make_update(1, (1,))
    assert torch.equal(aggregate(current, [idle, busy])["experts.1.0.weight"], busy.tensors["experts.1.0.weight"])


def test_aggregation_changes_neither_model_nor_updates(current, updates):
    before = {name: value.clone() for name, value in current.items()}
    returned = [{name: value.clone() for name, value in update.tensors.items()} for update in updates]
    aggregate(current, updates)
    assert same(current, before)
    assert all(same(update.tensors, old) for update, old in zip(updates, returned, strict=True))


def fault_of(update):
    """Say why the server refuses it, from client 2, who was given experts 0 and 2 and has 31 examples."""
    return inspect([seal(2, 0, update)], {2: (0, 2)}, cap=31).faults.get(2)


def test_a_sound_update_has_no_fault():
    assert fault_of(make_update(2, (0, 2))) is None


def replaced(**changes):
    return dataclasses.replace(make_update(2, (0, 2)), **changes)


def with_tensors(changes=(), without=()):
    tensors = make_update(2, (0, 2)).tensors | dict(changes)
    return replaced(weights={name: value for name, value in tensors.items() if name not in without})


def with_measures(**changes):
    return replaced(**changes)


NAN = torch.full((5,), torch.nan)
FAULTS = {
    "claims to be client 4, not 2": lambda: replaced(client=4),
    r"claims experts \[0, 1\], was assigned \[0, 2\]": lambda: make_update(2, (0, 1)),
    "claims 32 examples, can have more than 0 and at most 31": lambda: replaced(num_examples=32),
    "claims 0 examples": lambda: replaced(num_examples=0),
    "router.2 is missing": lambda: with_tensors(without=["router.2"]),
    "router.1 is not part of its assignment": lambda: with_tensors({"router.1": torch.zeros(5)}),
    "router.2 is not finite": lambda: with_tensors({"router.2": NAN}),
    r"router.2 is torch.float32 \(1,\), expected torch.float32 \(5,\)": lambda: with_tensors(
        {"router.2": torch.ones(1)}
    ),
    r"router.2 is torch.float64 \(5,\)": lambda: with_tensors({"router.2": torch.ones(5, dtype=torch.float64)}),
    r"usage has shape \(1,\)": lambda: with_measures(usage=np.ones(1)),
    "usage is .*not shares": lambda: with_measures(usage=np.array([np.nan, 0.5])),
    "usage is .*-0.5": lambda: with_measures(usage=np.array([1.5, -0.5])),
    "claims 10.0 examples": lambda: replaced(num_examples=10.0),
    "tensor router.2 is a Tensor, not a dense array": lambda: with_tensors({"router.2": torch.zeros(5).to_sparse()}),
    "tensor router.0 is a list, not a dense array": lambda: with_tensors({"router.0": [0.0] * 5}),
    "usage, loss or accuracy is not an array of numbers": lambda: with_measures(usage=np.array([None, "x"])),
    "usage is 0 for every expert": lambda: with_measures(usage=np.zeros(2)),
    "accuracy of expert 0 is -1.0": lambda: with_measures(accuracy=np.array([-1.0, 0.5])),
    "loss is below 0, or accuracy is above 1": lambda: with_measures(loss=np.array([-1e300, 0.5])),
    r"router_mass is \[9.0, .*\], not shares": lambda: with_measures(router_mass=np.array([9.0, 0.0, 0.0, 0.0])),
    "loss of expert 0 is inf": lambda: with_measures(loss=np.array([np.inf, 1.0])),
    "router_mass": lambda: with_measures(router_mass=np.array([np.nan, 0.0, 0.0, 1.0])),
    r"router_mass has shape \(2,\), expected \(4,\)": lambda: with_measures(router_mass=np.ones(2)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_update_is_told_by_its_fault(fault):
    assert re.search(fault, fault_of(FAULTS[fault]()))


def test_an_unused_expert_may_lack_measures():
    update = with_measures(usage=np.array([1.0, 0.0]), loss=np.array([1.0, np.nan]), accuracy=np.array([0.5, np.nan]))
    assert fault_of(update) is None
