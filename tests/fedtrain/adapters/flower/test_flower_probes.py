"""Flower: clients are asked for the router masses of the current model before they are aligned."""

import logging

import numpy as np
import pytest

from alignsolve import POLICIES, AffinityFitness, Aligner, CapacityProfiler, Parts
from fedtrain.adapters.flower import AlignedStrategy, client_app, pack
from fedtrain.server.session import Session
from tests.adding import NUM_CLIENTS, NUM_EXPERTS, add, weights
from tests.flower_grid import FakeGrid
from tests.flower_model import assigned_in, nodes, partition


def add_and_measure(given, experts, task):
    trained, measures = add(given, experts, task)
    return trained, {**measures, "router_mass": np.full(NUM_EXPERTS, 1 / NUM_EXPERTS)}


def prefer(given, context):
    """Client i prefers expert (i + 1) mod 4; client 3 answers nonsense, and client 4 fails."""
    client = context.node_config["partition-id"]
    assert not any(name.startswith("experts.") for name in given)
    assert given["router.weight"].shape == (NUM_EXPERTS, 3)
    if client == 4:
        raise RuntimeError("no data yet")
    mass = np.full(NUM_EXPERTS, 0.1)
    mass[(client + 1) % NUM_EXPERTS] = np.nan if client == 3 else 0.7
    return mass


def run(router_mass, **options):
    aligner = Aligner(AffinityFitness(), capacity=CapacityProfiler(client_capacity=1), **options)
    strategy = AlignedStrategy(aligner, num_clients=NUM_CLIENTS, patience=0.1, router_down="all")
    grid = FakeGrid(client_app(add_and_measure, num_examples=lambda _: 1000, router_mass=router_mass), nodes())
    strategy.start(grid, pack(weights()), num_rounds=1)
    return grid, strategy


def test_fresh_masses_decide_and_impossible_ones_are_left_out(caplog):
    with caplog.at_level(logging.WARNING, logger="flwr"):
        grid, strategy = run(prefer, fresh_masses=True)
    held = assigned_in(grid)
    assert [held[client] for client in range(3)] == [[1], [2], [3]]
    told = [record.getMessage() for record in caplog.records if "fresh router masses" in record.getMessage()]
    assert [text.partition(":")[0] for text in told] == ["client 3", "client 4"]
    assert np.isfinite(strategy.aligner_state.fitness.value).all()  # all have reported since
    asked = [message for message in grid.sent if message.metadata.message_type == "query.mass"]
    assert sorted(partition(grid, message) for message in asked) == list(range(NUM_CLIENTS))
    plain, fresh = (run(prefer, fresh_masses=flag)[1].history[0]["bytes-down"] for flag in (False, True))
    probe = asked[0].content.array_records["weights"].count_bytes()
    assert fresh == plain + NUM_CLIENTS * probe


def test_clients_that_offer_no_masses_are_aligned_all_the_same():
    grid, _ = run(None, fresh_masses=True)
    assert sorted(assigned_in(grid)) == list(range(NUM_CLIENTS))
    grid, _ = run(prefer)
    assert not [message for message in grid.sent if message.metadata.message_type == "query.mass"]


def test_clients_are_told_whether_an_auxiliary_loss_is_advised_and_updates_give_their_geometry():
    told = []

    def train(given, experts, task):
        told.append(task.pull)
        return add_and_measure(given, experts, task)

    whole = weights() | {"classifier.weight": np.zeros((3, 2))}
    for aligner, pull in ((Aligner(), True), (POLICIES["fedamole-gated"](Parts()), False)):
        strategy = AlignedStrategy(aligner, num_clients=NUM_CLIENTS, patience=0.1, router_down="all")
        strategy.start(FakeGrid(client_app(train), nodes()), pack(whole), num_rounds=2)
        assert told == [pull] * 2 * NUM_CLIENTS
        told.clear()
    assert strategy.aligner_state.fitness.evidence.rounds == 2  # clients move the head alike


def test_an_adapter_without_this_exchange_refuses_the_aligner():
    session = Session(Aligner(AffinityFitness(), fresh_masses=True), num_clients=2)
    with pytest.raises(ValueError, match="fresh_masses is True, and these rounds do not ask clients"):
        session.resume(weights())
