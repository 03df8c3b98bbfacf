"""Slicing and merging by expert: laws in every layout, with numpy and torch, and the refusal of hostile updates."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import Aligner, AlignmentProblem, CapacityProfiler, solve
from fedtrain.layouts import detect
from fedtrain.partial import PartialUpdate, assignments, find_fault, merge, slice_weights, traffic
from tests.layouts import EXAMPLES, NUM_EXPERTS, marked

ROOT = Path(__file__).parents[3]
TOTAL = 2 * NUM_EXPERTS
expert_sets = st.sets(st.integers(0, TOTAL - 1)).map(lambda chosen: tuple(sorted(chosen)))
cohorts = st.dictionaries(st.integers(0, 9), expert_sets, max_size=4)
every_layout = pytest.mark.parametrize("name", EXAMPLES)
rows = st.sampled_from(["held", "all"])


def drawn(name, seed):
    """Return random weights in a layout."""
    rng = np.random.default_rng(seed)
    return {key: rng.standard_normal(value.shape).astype(np.float32) for key, value in EXAMPLES[name]().items()}


def as_tensors(weights):
    return {key: torch.from_numpy(value.copy()) for key, value in weights.items()}


def same(left, right):
    return left.keys() == right.keys() and all(np.array_equal(left[key], right[key]) for key in left)


def returned(name, layout, held, **how):
    """Return an update with weights drawn for the client, and size and usage derived from its index."""
    rng = np.random.default_rng(len(held))
    return [
        PartialUpdate(
            client,
            experts,
            slice_weights(drawn(name, 1000 + client), layout, experts, **how),
            num_examples=3 * client + 1,
            usage=rng.integers(0, 5, len(experts)) / 4 if client % 2 else None,
        )
        for client, experts in held.items()
    ]


@every_layout
@settings(max_examples=20)
@given(experts=expert_sets, router_rows=rows)
def test_a_slice_holds_its_experts_and_nothing_of_others(name, experts, router_rows):
    marks, layout = marked(EXAMPLES[name]())
    part = slice_weights(marks, layout, reversed(experts), router_rows=router_rows)
    for key, mark in marks.items():
        whole = np.isin(mark, (-1, *experts)) | (
            router_rows == "all" and bool({"gate", "router"} & set(key.split(".")))
        )
        assert np.array_equal(np.sort(part.get(key, np.zeros(0)), axis=None), np.sort(mark[whole], axis=None))


@every_layout
@settings(max_examples=20)
@given(experts=expert_sets, router_rows=rows)
def test_traffic_counts_the_bytes_of_the_slice(name, experts, router_rows):
    weights = drawn(name, 0)
    layout = detect(weights, num_experts=NUM_EXPERTS)
    part = slice_weights(weights, layout, experts, router_rows=router_rows)
    bill = traffic(weights, layout, experts, router_rows=router_rows)
    assert bill.total == sum(value.nbytes for value in part.values())
    assert bill.shared == sum(value.nbytes for key, value in weights.items() if key not in layout.parts)
    assert bill == traffic(as_tensors(weights), layout, experts, router_rows=router_rows)


@every_layout
@settings(max_examples=20)
@given(held=cohorts, router_rows=rows)
def test_what_comes_back_untouched_changes_nothing(name, held, router_rows):
    weights = drawn(name, 0)
    layout = detect(weights, num_experts=NUM_EXPERTS)
    updates = [
        PartialUpdate(client, experts, slice_weights(weights, layout, experts, router_rows=router_rows), 7 + client)
        for client, experts in held.items()
    ]
    merged = merge(weights, updates, layout, assigned=held, cap=100, router_rows=router_rows)
    assert not merged.faults
    assert same(merged.weights, weights)


@every_layout
@settings(max_examples=20)
@given(held=cohorts)
def test_each_entry_is_the_weighted_mean_of_those_who_trained_its_expert(name, held):
    weights = drawn(name, 0)
    marks, layout = marked(EXAMPLES[name]())
    updates = returned(name, layout, held)
    merged = merge(weights, updates, layout, assigned=held, cap=100)
    assert not merged.faults
    for key, mark in marks.items():
        total, weight = np.zeros(mark.shape), np.zeros(mark.shape)
        for one in updates:
            trained = drawn(name, 1000 + one.client)[key]
            usage = np.ones(len(one.experts)) if one.usage is None else one.usage
            share = dict(zip(one.experts, usage, strict=True)) | {-1: 1.0}
            own = one.num_examples * np.vectorize(lambda j, share=share: share.get(j, 0.0))(mark)
            total, weight = total + own * trained, weight + own
        untouched = weight == 0.0
        assert np.array_equal(merged.weights[key][untouched], weights[key][untouched])
        expected = total[~untouched] / weight[~untouched]
        np.testing.assert_allclose(merged.weights[key][~untouched], expected, rtol=1e-6, atol=1e-7)


@every_layout
@settings(max_examples=20)
@given(held=cohorts, order=st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_change_a_bit(name, held, order):
    weights = drawn(name, 0)
    layout = detect(weights, num_experts=NUM_EXPERTS)
    updates = returned(name, layout, held)
    expected = merge(weights, updates, layout, assigned=held, cap=100)
    order.shuffle(updates)
    again = merge(weights, updates, layout, assigned=held, cap=100)
    assert same(again.weights, expected.weights)


@every_layout
def test_torch_and_numpy_agree_and_nothing_given_is_changed(name):
    weights, held = drawn(name, 0), {0: (0, 5), 1: (5, 7), 4: (1, 2, 6)}
    layout = detect(weights, num_experts=NUM_EXPERTS)
    updates = returned(name, layout, held)
    expected = merge(weights, updates, layout, assigned=held, cap=100)
    tensors = as_tensors(weights)
    in_torch = [dataclasses.replace(one, weights=as_tensors(one.weights)) for one in updates]
    merged = merge(tensors, in_torch, layout, assigned=held, cap=100)
    assert same({key: value.numpy() for key, value in merged.weights.items()}, expected.weights)
    assert same({key: value.numpy() for key, value in tensors.items()}, weights)
    assert same(weights, drawn(name, 0))
    sliced = slice_weights(tensors, layout, (1, 6))
    assert same({key: value.numpy() for key, value in sliced.items()}, slice_weights(weights, layout, (1, 6)))


def test_a_slice_is_a_copy_without_history():
    weights = {f"experts.{j}.weight": torch.nn.Parameter(torch.ones(2)) for j in range(2)}
    weights["router.weight"] = torch.nn.Parameter(torch.ones(2, 3))
    part = slice_weights(weights, detect(weights), [1])
    assert not any(value.requires_grad for value in part.values())
    for value in part.values():
        value.add_(1.0)
    assert all(bool((value == 1.0).all()) for value in weights.values())


def test_all_of_the_router_can_travel_and_is_then_averaged_as_the_shared_part():
    weights, held = drawn("fused", 0), {0: (0,), 1: (3, 4)}
    layout = detect(weights)
    updates = returned("fused", layout, held, router_rows="all")
    merged = merge(weights, updates, layout, assigned=held, cap=100, router_rows="all").weights
    gate = "model.layers.1.mlp.gate.weight"
    trained = [one.weights[gate].astype(np.float64) for one in updates]
    np.testing.assert_allclose(merged[gate], (1 * trained[0] + 4 * trained[1]) / 5, rtol=1e-6)


def test_counters_are_not_averaged():
    weights = {"experts.0": np.ones(2, dtype=np.float32), "steps": np.array(7), "on": np.array([True])}
    sent = weights | {"steps": np.array(9), "on": np.array([False])}
    layout = detect(weights)
    merged = merge(weights, [PartialUpdate(0, [0], sent, 1)], layout, assigned={0: [0]}, cap=1)
    assert not merged.faults
    assert merged.weights["steps"] == 7
    assert merged.weights["on"].all()


NAME = "model.layers.0.mlp.experts.down_proj"
GATE = "model.layers.0.mlp.gate.weight"


def sound(**changes):
    """Return an update of client 2, which holds experts 1 and 5, with changes."""
    weights = drawn("fused", 0)
    plain = PartialUpdate(2, (1, 5), slice_weights(weights, detect(weights), (1, 5)), 30, [0.5, 0.25])
    return dataclasses.replace(plain, **changes)


def with_tensors(changes):
    return sound(weights=sound().weights | changes)


def with_entry(value, dtype=np.float32):
    tensor = sound().weights[NAME].astype(dtype)
    tensor[0, 0, 0] = value
    return with_tensors({NAME: tensor})


HOSTILE = {
    r"claims experts \[1, 6\], was assigned \[1, 5\]": lambda: sound(experts=(1, 6)),
    r"claims experts \[1, 5, 6\]": lambda: sound(experts=(1, 5, 6)),
    r"claims experts \[5, 1\]": lambda: sound(experts=(5, 1)),
    "claims experts -1, was": lambda: sound(experts=np.int64(-1)),
    r"claims experts \[array\(\[1, 5\]\), 5\]": lambda: sound(experts=[np.array([1, 5]), 5]),
    "claims experts None": lambda: sound(experts=None),
    r"claims experts \[\[1, 5\]\]": lambda: sound(experts=np.array([[1, 5]])),
    "claims 0 examples": lambda: sound(num_examples=0),
    "claims -3 examples": lambda: sound(num_examples=-3),
    "claims nan examples": lambda: sound(num_examples=float("nan")),
    "claims inf examples": lambda: sound(num_examples=float("inf")),
    "claims 41 examples, can have more than 0 and at most 40": lambda: sound(num_examples=41),
    "claims '9' examples": lambda: sound(num_examples="9"),
    "claims True examples": lambda: sound(num_examples=True),
    r"usage has shape \(1,\), expected \(2,\)": lambda: sound(usage=[0.5]),
    r"usage is \[0.5, 1.5\], not shares": lambda: sound(usage=[0.5, 1.5]),
    r"usage is \[1.00001, 1\], not shares": lambda: sound(usage=[1.00001, 1]),
    r"usage is \[0.5, nan\], not shares": lambda: sound(usage=[0.5, np.nan]),
    r"usage is \['a', 'b'\], not shares": lambda: sound(usage=["a", "b"]),
    r"usage is \[\[1\], \[1, 2\]\], not shares": lambda: sound(usage=[[1], [1, 2]]),
    f"tensor {GATE} is missing": lambda: sound(weights={k: v for k, v in sound().weights.items() if k != GATE}),
    "tensor backdoor is not part of its assignment": lambda: with_tensors({"backdoor": np.ones(2, np.float32)}),
    rf"tensor {NAME} is numpy.float32 \(4, 8, 6\), expected numpy.float32 \(1, 8, 6\)": lambda: with_tensors(
        {NAME: drawn("fused", 0)[NAME]}
    ),
    rf"tensor {NAME} is numpy.float32 \(1, 8, 1\)": lambda: with_tensors({NAME: np.ones((1, 8, 1), np.float32)}),
    rf"tensor {NAME} is numpy.float64": lambda: with_entry(1.0, np.float64),
    rf"tensor {NAME} is torch.float32": lambda: with_tensors({NAME: torch.ones(1, 8, 6)}),
    f"tensor {NAME} is a list": lambda: with_tensors({NAME: [[[1.0]]]}),
    "returns a float, not tensors by name": lambda: sound(weights=1.5),
    "returns a list, not tensors by name": lambda: sound(weights=[np.ones(2, np.float32)]),
    f"tensor {NAME} is not finite": lambda: with_entry(np.nan),
    f"tensor {NAME} is not finite or": lambda: with_entry(-np.inf),
}


@pytest.mark.parametrize("fault", HOSTILE)
def test_a_hostile_update_is_quarantined_with_its_reason(fault):
    weights = drawn("fused", 0)
    layout, other = detect(weights), sound(client=0, experts=(1, 5))
    assigned = {0: (1, 5), 2: (1, 5)}
    merged = merge(weights, [HOSTILE[fault](), other], layout, assigned=assigned, cap=40)
    assert list(merged.faults) == [2]
    with pytest.raises(AssertionError, match=fault):
        raise AssertionError(merged.faults[2])
    assert same(merged.weights, merge(weights, [other], layout, assigned=assigned, cap=40).weights)


def test_a_sound_update_has_no_fault():
    weights = drawn("fused", 0)
    rounded = np.float32(1.0) + np.finfo(np.float32).eps  # what a mean of ones may come to
    for update in (
        sound(),
        sound(usage=None),
        sound(usage=np.array([0, rounded])),
        sound(num_examples=np.int64(30), experts=np.array([1, 5])),
    ):
        assert find_fault(update, weights, detect(weights), assigned=(1, 5), cap=30) is None


def test_numbers_too_large_to_average_are_refused():
    weights = {"experts.0": np.ones(2)}
    sent = PartialUpdate(0, [0], {"experts.0": np.array([1.0, 1e300])}, 1)
    merged = merge(weights, [sent], detect(weights), assigned={0: [0]}, cap=1)
    assert merged.faults == {0: "tensor experts.0 is not finite or absurdly large"}


def test_strangers_and_repeaters_are_left_out():
    weights = drawn("fused", 0)
    layout, cap = detect(weights), {2: 40, 3: 40}
    twice = [sound(), sound(num_examples=1)]
    merged = merge(weights, [sound(client=3), *twice], layout, assigned={2: (1, 5)}, cap=cap)
    assert merged.faults == {2: "sent 2 updates", 3: "was not asked to train"}
    assert same(merged.weights, weights)
    uncapped = merge(weights, [sound()], layout, assigned={2: (1, 5)}, cap={3: 40})
    assert "at most 0" in uncapped.faults[2]


def test_an_id_that_compares_with_no_other_is_a_strangers():
    weights, strange = drawn("fused", 0), ["2", None, (2, "a"), -1, np.int64(3), "10"]
    layout, updates = detect(weights), [sound(), sound(client=7), *(sound(client=client) for client in strange)]
    told = {"assigned": {2: (1, 5), 7: (1, 5)}, "cap": 40}
    forth, back = (merge(weights, order, layout, **told) for order in (updates, updates[::-1]))
    assert list(forth.faults.items()) == list(back.faults.items())
    assert forth.faults == dict.fromkeys(strange, "was not asked to train")
    assert same(forth.weights, back.weights)
    assert same(forth.weights, merge(weights, updates[:2], layout, **told).weights)


@pytest.mark.parametrize("cap", [float("inf"), float("nan"), -1])
def test_a_cap_that_caps_nothing_is_refused(cap):
    weights = drawn("fused", 0)
    with pytest.raises(ValueError, match=f"cap of client 2 is {cap}"):
        merge(weights, [], detect(weights), assigned={2: (1,)}, cap=cap)


@pytest.mark.parametrize(("experts", "message"), [([1, 1], "named twice"), ([8], "experts 0..7"), ([-1], "0..7")])
def test_experts_that_there_are_not_are_refused(experts, message):
    weights = drawn("fused", 0)
    with pytest.raises(ValueError, match=message):
        slice_weights(weights, detect(weights), experts)


def test_assignments_are_read_from_an_alignment():
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=[1, 2, 1, 2]))
    solution, _ = aligner.align(aligner.init(4, 4), cohort=[0, 1, 3])
    given_out = assignments(solution, [0, 1, 3])
    assert given_out.keys() == {0, 1, 3}
    assert sorted(len(experts) for experts in given_out.values()) == [1, 2, 2]
    idle = solve(AlignmentProblem(np.ones((2, 1)), expert_capacity=1))
    assert list(assignments(idle, [5, 6]).values()) == [(0,)]
    none = solve(AlignmentProblem(np.ones((1, 1)), expert_demand=2), throw=False)
    with pytest.raises(ValueError, match="INFEASIBLE and holds no alignment"):
        assignments(none, [5])


def test_the_core_needs_no_torch():
    code = (
        "import sys, numpy as np\n"
        "from fedtrain.layouts import detect\n"
        "from fedtrain.partial import PartialUpdate, merge, slice_weights\n"
        "weights = {f'experts.{j}': np.ones(2) for j in range(3)}\n"
        "layout = detect(weights)\n"
        "part = slice_weights(weights, layout, [2])\n"
        "sent = PartialUpdate(0, [2], {'experts.2': part['experts.2'] * 3}, 1)\n"
        "merged = merge(weights, [sent], layout, assigned={0: [2]}, cap=1)\n"
        "assert not merged.faults and merged.weights['experts.2'].tolist() == [3.0, 3.0]\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


DAMAGES = {
    "drop": lambda value, rng: None,
    "spoil": lambda value, rng: _with_nan(value, rng.integers(value.size)),
    "widen": lambda value, rng: value.astype(np.float64),
    "grow": lambda value, rng: np.concatenate([value, value[:1]]),
    "flatten": lambda value, rng: value.reshape(1, -1, 1),
    "scalar": lambda value, rng: np.array(0.0, dtype=value.dtype),
}


def _with_nan(value, index):
    spoiled = value.copy()
    spoiled.reshape(-1)[index] = np.nan
    return spoiled


@every_layout
@settings(max_examples=20)
@given(held=cohorts.filter(len), damage=st.sampled_from(sorted(DAMAGES)), seed=st.integers(0, 99))
def test_any_damage_costs_its_client_and_nobody_else(name, held, damage, seed):
    rng = np.random.default_rng(seed)
    weights = drawn(name, 0)
    layout = detect(weights, num_experts=NUM_EXPERTS)
    updates = returned(name, layout, held)
    victim = updates[int(rng.integers(len(updates)))]
    filled = sorted(key for key, value in victim.weights.items() if value.size)
    hit = filled[int(rng.integers(len(filled)))]
    broken = DAMAGES[damage](victim.weights[hit], rng)
    tensors = {key: broken if key == hit else value for key, value in victim.weights.items()}
    tensors = {key: value for key, value in tensors.items() if value is not None}
    others = [one for one in updates if one is not victim]
    merged = merge(weights, [*others, dataclasses.replace(victim, weights=tensors)], layout, assigned=held, cap=100)
    assert list(merged.faults) == [victim.client]
    assert hit in merged.faults[victim.client]
    assert same(merged.weights, merge(weights, others, layout, assigned=held, cap=100).weights)
