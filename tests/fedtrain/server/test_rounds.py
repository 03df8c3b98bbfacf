"""Rounds: certified, counted in true bytes, repeatable by seed, and not stopped by a failing client."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from fedtrain.config import ConfigError
from fedtrain.local import client as local
from fedtrain.models import num_bytes, part_to_download, part_to_upload
from fedtrain.server import initial_state, prepare
from fedtrain.server.rounds import run_rounds, sample_cohort
from tests.small_runs import configured
from tests.updates import same

CLOCKS = {"solve_seconds", "round_seconds", "align_seconds"}


def play(*overrides: str):
    federation = prepare(configured(*overrides))
    start = initial_state(federation)
    rounds, states = zip(*run_rounds(federation, start), strict=True)
    return federation, rounds, (start, *states)


def figures(done):
    return {name: value for name, value in done.row._asdict().items() if name not in CLOCKS}


@pytest.fixture(scope="module")
def played():
    return play()


def test_every_round_is_certified_and_learns(played):
    _, rounds, _ = played
    for number, done in enumerate(rounds, start=1):
        assert (done.row.round, done.row.status, done.row.proof) == (number, "OPTIMAL", "PRICES")
        assert done.row.gap <= 1e-9
        assert (done.row.clients, done.row.dropped, done.row.rejected, done.row.softened) == (12, 0, 0, 0)
        assert done.solution.problem.violations(done.solution.assigned) == []
        loads = np.bincount(done.solution.assigned.experts, minlength=4)
        assert done.row.load_cv == pytest.approx(loads.std() / loads.mean())
    assert rounds[1].row.loss < rounds[0].row.loss < math.log(10)


def test_clients_hold_as_many_experts_as_their_memory_allows(played):
    federation, rounds, _ = played
    capacity = np.array([1, 2, 4])[federation.fleet.tier]
    for done in rounds:
        assert (np.diff(done.solution.assigned.indptr) == capacity[done.cohort]).all()


def test_bytes_are_those_of_what_the_alignment_sends(played):
    _, rounds, states = played
    for done, before in zip(rounds, states, strict=False):
        held = [np.flatnonzero(row).tolist() for row in done.solution.x]
        assert done.row.bytes_down == sum(num_bytes(part_to_download(before.tensors, experts)) for experts in held)
        assert done.row.bytes_up == sum(num_bytes(part_to_upload(before.tensors, experts)) for experts in held)
        assert done.row.bytes_down < 12 * num_bytes(before.tensors)


def test_states_are_values(played):
    """The first state still gives the first round after the run has continued."""
    federation, rounds, states = played
    again, state = next(run_rounds(federation, states[0]))
    assert figures(again) == figures(rounds[0])
    assert same(state.tensors, states[1].tensors)


def test_a_run_is_repeated_bit_for_bit_by_its_seed(played):
    _, rounds, states = played
    _, again, states_again = play()
    assert [figures(done) for done in again] == [figures(done) for done in rounds]
    assert same(states_again[-1].tensors, states[-1].tensors)
    _, other, _ = play("seed=1")
    assert figures(other[0]) != figures(rounds[0])


def test_cohorts_are_drawn_by_round_without_replacement():
    federation = prepare(configured("clients.cohort_fraction=0.5"))
    cohorts = [sample_cohort(federation, number) for number in range(20)]
    assert all(len(cohort) == 6 and (np.diff(cohort) > 0).all() for cohort in cohorts)
    assert set(np.concatenate(cohorts).tolist()) == set(range(12))
    assert np.array_equal(sample_cohort(federation, 3), cohorts[3])


def test_dropped_clients_are_counted_download_and_return_nothing():
    _, rounds, states = play("clients.dropout=0.5", "rounds=4", "seed=2")
    _, full, _ = play("rounds=4", "seed=2")
    assert 12 < sum(done.row.dropped for done in rounds) < 36
    for done, complete in zip(rounds, full, strict=True):
        assert done.row.bytes_down == complete.row.bytes_down
        assert (done.row.bytes_up < complete.row.bytes_up) == (done.row.dropped > 0)
        assert (done.row.status, done.row.proof) == ("OPTIMAL", "PRICES")
    assert not same(states[0].tensors, states[-1].tensors)


def test_a_round_that_everybody_leaves_changes_nothing():
    federation = prepare(configured("clients.dropout=0.999999", "rounds=1"))
    start = initial_state(federation)
    [(done, state)] = run_rounds(federation, start)
    assert (done.row.dropped, done.row.bytes_up) == (12, 0)
    assert same(state.tensors, start.tensors)


def test_a_bad_update_is_left_out_with_its_reason(monkeypatch):
    """The result is as if clients 3 and 5 were absent, except that the row counts them."""
    train = local.train

    def poisoned(client, *args):
        update = train(client, *args)
        if client == 3:
            update.tensors["classifier.bias"][0] = torch.nan
        if client == 5:
            update.tensors.pop("extractor.0.weight")
        return update

    monkeypatch.setattr(local, "train", poisoned)
    federation = prepare(configured("rounds=1"))
    [(done, state)] = run_rounds(federation, initial_state(federation))
    assert done.quarantined == [
        (3, "tensor classifier.bias is not finite or absurdly large"),
        (5, "tensor extractor.0.weight is missing"),
    ]
    assert (done.row.rejected, done.row.dropped, done.row.quarantined) == (2, 0, 2)
    assert all(bool(torch.isfinite(value).all()) for value in state.tensors.values())
    assert state.aligner.load.load.sum() == sum(np.diff(done.solution.assigned.indptr)[[0, 1, 2, 4, *range(6, 12)]])


@pytest.mark.parametrize("override", ["alignment.fitness=router", "data.partition=quantity", "training.optimizer=adam"])
def test_options_train_and_are_certified(override):
    config = configured(override, "rounds=1")
    bigger = tuple(dataclasses.replace(tier, memory_kib=2 * tier.memory_kib) for tier in config.clients.tiers)
    federation = prepare(dataclasses.replace(config, clients=dataclasses.replace(config.clients, tiers=bigger)))
    [(done, _)] = run_rounds(federation, initial_state(federation))
    assert (done.row.status, done.row.proof) == ("OPTIMAL", "PRICES")
    assert done.row.loss < math.log(10)


def test_what_cannot_be_prepared_is_told_by_its_keys():
    with pytest.raises(ConfigError, match=r"clients.num_clients, data.min_examples: 1000 clients"):
        prepare(configured("clients.num_clients=1000"))
    with pytest.raises(ConfigError, match="'phone' has memory_kib = 19, and training one expert"):
        prepare(configured("model.num_hidden=64"))
