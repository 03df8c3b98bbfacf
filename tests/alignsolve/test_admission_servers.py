"""A client that arrives between rounds, where servers host several experts and have little room left."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from alignsolve import (
    AdmissionError,
    Aligner,
    CapacityProfiler,
    LoadMonitor,
    MemoryBudget,
    Report,
    RouterFitness,
    Servers,
    load_state,
    save_state,
)

NUM_CLIENTS, NUM_EXPERTS, LAYERS = 6, 7, (3, 4)
NESTED = np.array([[1, 1, 0, 1, 0, 0, 0], [0, 0, 1, 0, 1, 1, 1], [1, 1, 1, 1, 0, 1, 0]], dtype=bool)


def started(aligner, seed=0):
    """Return a state after a round of half of the clients, who are still at work; all clients' routers are known."""
    rng = np.random.default_rng(seed)
    state = aligner.init(NUM_CLIENTS, NUM_EXPERTS, seed=seed)
    masses = rng.random((NUM_CLIENTS, NUM_EXPERTS))
    told = {"usage": [1.0], "loss": [0.5], "accuracy": [0.5], "num_examples": 9}
    state = aligner.observe(state, [Report(i, [0], router_mass=masses[i], **told) for i in range(NUM_CLIENTS)])
    return aligner.align(state, np.arange(NUM_CLIENTS // 2))[1]


def with_room(aligner, state, room):
    """Return the aligner with servers that have this room left."""
    loads = NESTED @ state.at_work
    return replace(aligner, sets=Servers(NESTED, np.maximum(loads + room, 0)))


def best_value(aligner, state, client, room):
    """Return the value of the best choice by enumeration, None if there is none, and the values of all experts."""
    worth = aligner._fitness.fitness(state.fitness, np.array([client]), rng=np.random.default_rng(0))[0] - state.prices
    capacity, demand = (int(part[0]) for part in aligner.capacity.capacity(state.capacity, np.array([client])))
    cost, budget = np.zeros(NUM_EXPERTS), 0.0
    if aligner.budget is not None:
        budgets = aligner.budget.budgets(state.budget, np.array([client]))
        cost, budget = np.broadcast_to(budgets.cost[0], NUM_EXPERTS), budgets.budget[0]
    layer_of = None if aligner.layers is None else np.repeat(np.arange(2), aligner.layers)
    found = []
    for size in range(min(capacity, NUM_EXPERTS) + 1):
        for choice in itertools.combinations(np.flatnonzero(state.room >= 1), size):
            chosen = np.array(choice, dtype=int)
            if cost[chosen].sum() > budget or (NESTED[:, chosen].sum(axis=1) > room).any():
                continue
            if layer_of is None or np.bincount(layer_of[chosen], minlength=2).min() >= 1:
                found.append((size, worth[chosen].sum()))
    least = min(demand, max((size for size, _ in found), default=0))
    if layer_of is None and demand and not least:
        found = []
    return max((value for size, value in found if size >= least), default=None), worth


@pytest.mark.parametrize("limit", ["counts", "equal sizes", "sizes"])
@pytest.mark.parametrize("layers", [LAYERS, None])
def test_an_arrival_gets_its_best_experts_within_the_room_of_its_servers(layers, limit):
    if layers is None and limit == "sizes":
        pytest.skip("sizes are given per layer")
    shared = {"fitness": RouterFitness(), "load": LoadMonitor(tolerance=0.5), "tie_break": 0.0, "layers": layers}
    if limit == "counts":
        aligner = Aligner(capacity=CapacityProfiler(client_capacity=[2, 3, 4, 4, 3, 2], client_demand=2), **shared)
    else:
        memory = [50, 60, 70, 70, 80, 61]
        budget = MemoryBudget(memory, 10 if limit == "equal sizes" else [10, 25], shared_bytes=9, layers=layers)
        aligner = Aligner(budget=budget, **shared)
    seen = {"admitted": 0, "refused": 0}
    for seed in range(5):
        state, rng = started(aligner, seed), np.random.default_rng(seed)
        for client in range(NUM_CLIENTS // 2, NUM_CLIENTS):
            room = rng.integers(0, 3, 3)
            served = with_room(aligner, state, room)
            np.testing.assert_array_equal(served.sets.rooms(state.at_work).room, room)
            best, worth = best_value(aligner, state, client, room)
            if best is None:
                seen["refused"] += 1
                with pytest.raises(AdmissionError, match=rf"client {client} cannot be admitted: .*server"):
                    served.admit(state, client)
                continue
            seen["admitted"] += 1
            experts, after = served.admit(state, client)
            assert worth[experts].sum() == pytest.approx(best)
            assert (NESTED[:, experts].sum(axis=1) <= room).all()
            left = room - NESTED[:, experts].sum(axis=1)
            np.testing.assert_array_equal(served.sets.rooms(after.at_work).room, left)
    assert min(seen.values()) > 0


def served_by(room, names=None):
    """Return an aligner of two servers, whose clients need two experts in two layers, and a state with this room."""
    hosts = np.array([[1, 1, 0, 1, 1, 0, 0], [0, 0, 1, 0, 0, 1, 1]], dtype=bool)
    aligner = Aligner(
        fitness=RouterFitness(), capacity=CapacityProfiler(client_capacity=3), layers=LAYERS, sets=Servers(hosts, 9)
    )
    state = started(aligner)
    return replace(aligner, sets=Servers(hosts, hosts @ state.at_work + room)), state


@pytest.mark.parametrize(
    ("room", "told"),
    [
        ([0, 0], "layer 0 has room at 0 of its experts, .* needs 1 \\(servers 0, 1 without room\\)"),
        ([1, 0], "its servers cannot give it the 2 .* layers \\(server 1 without room, server 0 with room for 1\\)"),
    ],
)
def test_servers_without_room_are_named(room, told):
    aligner, state = served_by(room)
    with pytest.raises(AdmissionError, match=f"client 4 cannot be admitted: {told}"):
        aligner.admit(state, 4)


@pytest.mark.parametrize("suffix", ["npz", "json"])
def test_a_file_keeps_who_is_at_work_and_an_older_one_leaves_no_room(tmp_path, suffix):
    aligner, state = served_by([2, 0])
    experts, after = aligner.admit(state, 4)
    save_state(tmp_path / f"state.{suffix}", after, aligner)
    again = load_state(tmp_path / f"state.{suffix}", aligner)
    np.testing.assert_array_equal(again.at_work, after.at_work)
    back = aligner.observe(again, [Report(4, experts, outcome="dropped")])
    np.testing.assert_array_equal(back.at_work, state.at_work)
    arrays = state.to_arrays()
    del arrays["at_work"]
    older = aligner.from_arrays(arrays)
    save_state(tmp_path / f"older.{suffix}", older, aligner)
    for known in (older, load_state(tmp_path / f"older.{suffix}", aligner)):
        with pytest.raises(AdmissionError, match="servers 0, 1 without room"):
            aligner.admit(known, 4)
    assert len(replace(aligner, sets=None).admit(older, 4)[0]) == 3
