"""One client that arrives between rounds: its own best experts at the last prices, within the room that is left."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alignsolve import (
    AdmissionError,
    Aligner,
    CapacityProfiler,
    LoadMonitor,
    MemoryBudget,
    Report,
    RouterFitness,
    SwitchingCost,
)
from tests.rounds import reports_of

NUM_CLIENTS = 6


def reported(client, num_experts, rng):
    mass = rng.random(num_experts)
    return Report(client, [0], usage=[1.0], loss=[0.5], accuracy=[0.5], num_examples=9, router_mass=mass)


def started(aligner, num_experts, seed=0):
    """Return a state after a round of half of the clients, who are still at work; all clients' routers are known."""
    rng = np.random.default_rng(seed)
    state = aligner.init(NUM_CLIENTS, num_experts, seed=seed)
    state = aligner.observe(state, [reported(i, num_experts, rng) for i in range(NUM_CLIENTS)])
    return aligner.align(state, np.arange(NUM_CLIENTS // 2))[1]


def best_value(aligner, state, client):
    """Return the value of the client's best choice by enumeration, or None, and the values of all experts."""
    cohort = np.array([client])
    fitness = aligner._fitness.fitness(state.fitness, cohort, rng=np.random.default_rng(0))[0]
    if aligner.switching is not None:
        held = aligner.switching.previous(state.switching, cohort)[0]
        fitness = fitness - np.where(held, 0.0, aligner.switching.costs(state.num_experts))
    worth = fitness - state.prices
    capacity, demand = (int(part[0]) for part in aligner.capacity.capacity(state.capacity, cohort))
    cost, budget = np.zeros(state.num_experts), 0.0
    if aligner.budget is not None:
        budgets = aligner.budget.budgets(state.budget, cohort)
        cost, budget = np.broadcast_to(budgets.cost[0], state.num_experts), budgets.budget[0]
    layers = aligner.layers or ()
    layer_of = np.repeat(np.arange(len(layers)), layers) if layers else None
    open_, best, most = np.flatnonzero(state.room >= 1), None, 0
    for size in range(min(capacity, len(open_)) + 1):
        for choice in itertools.combinations(open_.tolist(), size):
            chosen = np.array(choice, dtype=int)
            if cost[chosen].sum() > budget + 1e-9:
                continue
            if layers and np.bincount(layer_of[chosen], minlength=len(layers)).min() < aligner.layer_demand:
                continue
            most = max(most, size)
            if layers or size >= min(demand, most):
                value = worth[chosen].sum()
                best = value if best is None or value > best else best
    lacks = not layers and demand and not most
    return None if lacks else best, worth


def aligners(layers, budgets, switching):
    cost = SwitchingCost(1.0, price=0.3) if switching else None
    shared = {"fitness": RouterFitness(), "load": LoadMonitor(tolerance=0.5), "tie_break": 0.0, "switching": cost}
    if budgets == "counts":
        return Aligner(capacity=CapacityProfiler(client_capacity=[2, 3, 4, 4, 3, 2]), layers=layers, **shared)
    sizes = 10 if budgets == "equal" else [10, 25]
    memory = MemoryBudget(memory=[50, 60, 70, 70, 80, 61], expert_bytes=sizes, shared_bytes=9, layers=layers)
    return Aligner(budget=memory, layers=layers, **shared)


@pytest.mark.parametrize("switching", [False, True])
@pytest.mark.parametrize("budgets", ["counts", "equal", "differ"])
@pytest.mark.parametrize("layers", [(3, 4), None])
def test_an_arrival_gets_its_best_experts_with_room_and_breaks_nothing(layers, budgets, switching):
    if layers is None and budgets == "differ":
        pytest.skip("sizes are given per layer")
    aligner = aligners(layers, budgets, switching)
    for seed in range(4):
        state = started(aligner, 7, seed)
        for client in range(NUM_CLIENTS // 2, NUM_CLIENTS):
            best, worth = best_value(aligner, state, client)
            if best is None:
                with pytest.raises(AdmissionError, match=f"client {client} cannot be admitted"):
                    aligner.admit(state, client)
                continue
            experts, after = aligner.admit(state, client)
            assert worth[experts].sum() == pytest.approx(best)
            assert (np.diff(experts) > 0).all()
            assert (state.room[experts] >= 1).all(), "an expert without room"
            np.testing.assert_array_equal(state.room - after.room, np.isin(np.arange(7), experts))
            again, _ = aligner.admit(state, client)
            np.testing.assert_array_equal(again, experts)
            state = after


@given(st.integers(0, 10_000))
def test_passes_over_the_row_find_what_sorting_every_layer_finds(seed):
    from alignsolve.admission import Arrival  # noqa: PLC0415
    from alignsolve.estimate.limits import client_limits  # noqa: PLC0415
    from alignsolve.subproblem.dispatch import best_rows  # noqa: PLC0415

    rng = np.random.default_rng(seed)
    layers = tuple(rng.integers(1, 5, rng.integers(1, 4)).tolist())
    number, need = sum(layers), int(rng.integers(1, 3))
    open_ = rng.random(number) < 0.8
    value, prices = rng.integers(-3, 4, (1, number)).astype(float), rng.integers(-2, 3, number).astype(float)
    capacity, demand = rng.integers(0, number + 1, 1), rng.integers(0, number + 1, 1)
    arrival = Arrival(3, value, capacity, np.minimum(demand, capacity), None, layers, need)
    try:
        experts = arrival.choose(prices, open_)
    except AdmissionError:
        needed = np.minimum(layers, need)
        counts = np.add.reduceat(open_, np.cumsum([0, *layers[:-1]]), dtype=int)
        assert capacity[0] < needed.sum() or (counts < needed).any()
        return
    limits = client_limits(np.minimum(capacity, open_.sum()), arrival.demand, number, layers=layers, layer_demand=need)
    row = best_rows(arrival._block(limits, open_), prices, choose=True)
    assert row.feasible[0]
    assert (value[0] - prices)[experts].sum() == row.value[0]
    np.testing.assert_array_equal(experts, np.flatnonzero(row.chosen[0]))


def test_a_report_gives_its_places_back_and_a_round_counts_anew():
    aligner = aligners((3, 4), "counts", switching=False)
    state = started(aligner, 7)
    experts, after = aligner.admit(state, 4)
    back = aligner.observe(after, [Report(4, experts, outcome="dropped")])
    np.testing.assert_array_equal(back.room, state.room)
    solution, anew = aligner.align(after, [0, 1])
    np.testing.assert_array_equal(anew.room, solution.problem.expert_capacity - solution.loads)
    everybody = reports_of(solution, [0, 1], 7, np.random.default_rng(0))
    done = aligner.observe(anew, everybody)
    np.testing.assert_array_equal(done.room, solution.problem.expert_capacity)


def test_a_client_that_joined_after_the_round_is_admitted():
    aligner = aligners((3, 4), "counts", switching=False)
    aligner = replace(aligner, capacity=CapacityProfiler(client_capacity=3))
    state = started(aligner, 7).grow(NUM_CLIENTS + 1)
    experts, _ = aligner.admit(state, NUM_CLIENTS)
    assert len(experts) == 3
    with pytest.raises(ValueError, match=r"names clients 7..7, there are 0..6"):
        aligner.admit(state, NUM_CLIENTS + 1)


def test_without_a_round_there_are_no_prices():
    with pytest.raises(ValueError, match="no round has been aligned"):
        Aligner().admit(Aligner().init(2, 2), 0)


@pytest.mark.parametrize(
    ("change", "room", "told"),
    [
        ({}, [1, 1, 1, 0, 0, 0, 0], "client 5 cannot be admitted: layer 1 has room at 0 of its experts, .* needs 1"),
        ({"layer_demand": 2}, [1, 0, 0, 9, 9, 9, 9], "layer 0 has room at 1 of its experts, and the client needs 2"),
        ({}, [9] * 7, "it can take 1 experts, and needs 2: 1 are missing"),
        (
            {"budget": MemoryBudget(memory=39, expert_bytes=[10, 25], shared_bytes=9, layers=(3, 4))},
            [9] * 7,
            "budget is 30, .* cost 35, of which layer 1 takes 25: 5 are missing",
        ),
        (
            {"budget": MemoryBudget(memory=39, expert_bytes=20, shared_bytes=9)},
            [9] * 7,
            "budget is 30, .* cost 40, of which layer 0 takes 20: 10 are missing",
        ),
        (
            {"budget": MemoryBudget(memory=39, expert_bytes=[40, 1, 1, 9, 9, 9, 9], shared_bytes=9)},
            [9, 0, 0, 9, 9, 9, 9],
            "budget is 30, .* cost 49, of which layer 0 takes 40: 19 are missing",
        ),
    ],
)
def test_what_is_missing_is_named(change, room, told):
    capacity = CapacityProfiler(client_capacity=99 if "budget" in change else [4, 4, 4, 4, 4, 1])
    if "layer_demand" in change:
        capacity = CapacityProfiler(client_capacity=9)
    aligner = Aligner(capacity=capacity, layers=(3, 4), fitness=RouterFitness())
    state = started(aligner, 7)
    aligner = replace(aligner, **change)
    with pytest.raises(AdmissionError, match=told):
        aligner.admit(replace(state, room=np.array(room, dtype=float)), 5)


def test_one_layer_without_room_and_a_client_that_can_hold_nothing():
    aligner = Aligner(capacity=CapacityProfiler(client_capacity=[1, 1, 1, 1, 1, 0]), fitness=RouterFitness())
    state = started(aligner, 3)
    with pytest.raises(AdmissionError, match="client 4 cannot be admitted: no expert has room"):
        aligner.admit(replace(state, room=np.zeros(3)), 4)
    experts, after = aligner.admit(state, 5)
    assert len(experts) == 0
    np.testing.assert_array_equal(after.room, state.room)


def test_an_older_file_without_room_admits_nobody_before_the_next_round():
    aligner = aligners((3, 4), "counts", switching=False)
    arrays = started(aligner, 7).to_arrays()
    del arrays["room"]
    state = aligner.from_arrays(arrays)
    with pytest.raises(AdmissionError, match="layer 0 has room at 0"):
        aligner.admit(state, 5)
