"""Thousands of faults in one process: no run stops, no bad update is merged, and every good one is."""

import io

import numpy as np
import pytest
import torch
from rich.console import Console

from fedtrain.config.file import read_config
from fedtrain.local import client as local
from fedtrain.run import Ending, execute
from fedtrain.server import initial_state, prepare
from fedtrain.server import rounds as rounds_module
from fedtrain.server.rounds import run_rounds
from fedtrain.server.simulated_clients import checksum, seal
from tests.faults import NONSENSE, Network

TINY = (
    "rounds=2",
    "model.num_features=4",
    "model.num_hidden=4",
    "model.num_experts=3",
    "training.epochs=1",
    "training.batch_size=128",
    "clients.num_clients=4",
    "clients.dropout=0.05",
)
FAST, ALL = 30, 500


@pytest.fixture(scope="module")
def federation():
    return prepare(read_config(overrides=TINY))


@pytest.fixture
def trained_once(monkeypatch):
    """Reuse the training of another run with the same input; training is a pure function."""
    train, known = local.train, {}

    def remembered(client, spec, download, experts, data, training, rng):
        content = tuple(value.numpy().tobytes() for value in download.values())
        key = client, experts, training.learning_rate, hash(content)
        if key not in known:
            known[key] = train(client, spec, download, experts, data, training, rng)
        return known[key]

    monkeypatch.setattr(local, "train", remembered)


def oracle(current, updates):
    """Return the weighted mean by definition: per tensor, over the clients that sent it."""
    merged = {}
    for name, value in current.items():
        part, _, rest = name.partition(".")
        expert = int(rest.split(".")[0]) if part in ("experts", "router") else None
        terms = []
        for update in updates:
            if name in update.tensors:
                usage = 1.0 if expert is None else update.measured.usage[update.experts.index(expert)]
                terms.append((usage * update.num_examples, update.tensors[name].double()))
        total = sum(weight for weight, _ in terms)
        merged[name] = sum(weight * sent for weight, sent in terms) / total if total > 0 else value
    return merged


def play_with_faults(federation, seed):
    """Run with faults at a random rate, and check every round."""
    rng = np.random.default_rng([17, seed])
    network = Network(rng, rate=float(rng.random()))
    state = initial_state(federation)
    counts = []
    for done, after in run_rounds(federation, state, network):
        assert sorted(client for client, _ in done.quarantined) == sorted(network.unsound)
        assert all(reason and reason.isprintable() and len(reason) <= 200 for _, reason in done.quarantined)
        assert done.row.quarantined == len(network.unsound)
        assert done.row.merged == len(network.sound)
        expected = oracle(state.tensors, network.sound)
        for name, value in after.tensors.items():
            torch.testing.assert_close(value.double(), expected[name].double(), rtol=1e-6, atol=1e-9)
        assert np.isfinite(done.row.loss)
        counts.append((len(network.sound), len(network.unsound)))
        state = after
    return counts


def test_faults_stop_nothing_and_spoil_nothing(federation, trained_once):
    sound, unsound = np.sum([np.sum(play_with_faults(federation, seed), axis=0) for seed in range(FAST)], axis=0)
    assert min(sound, unsound) > 2 * FAST


@pytest.mark.slow
def test_hundreds_of_runs_with_faults(federation, trained_once):
    for seed in range(FAST, ALL):
        assert len(play_with_faults(federation, seed)) == 2


@pytest.mark.parametrize("kind", range(len(NONSENSE)))
def test_every_kind_of_nonsense_is_put_aside(federation, kind):
    changed = []

    def network(replies):
        first, *others = replies
        changed.append(first.sender)
        return [*others, seal(first.sender, first.round, NONSENSE[kind](np.random.default_rng(kind), first.update))]

    [(done, _), *_] = run_rounds(federation, initial_state(federation), network)
    assert [client for client, _ in done.quarantined] == changed[:1]


def test_the_order_of_arrival_changes_nothing(federation):
    def play(transport):
        rounds, states = zip(*run_rounds(federation, initial_state(federation), transport), strict=True)
        return [done.quarantined for done in rounds], states[-1].tensors

    def twice(replies):
        return [*replies, seal(replies[0].sender, replies[0].round, replies[1].update), *replies[:2]]

    told, tensors = play(twice)
    assert told[0] == [(0, "sent 2 updates")]  # and client 1, whose reply came twice, is merged
    for seed in range(3):
        rng = np.random.default_rng(seed)
        told_again, again = play(lambda replies, rng=rng: _shuffled(rng, twice(replies)))
        assert told_again == told
        assert all(torch.equal(tensors[name], again[name]) for name in tensors)


def _shuffled(rng, replies):
    return [replies[k] for k in rng.permutation(len(replies))]


def test_a_checksum_tells_content_and_nothing_else(federation):
    replies = []
    [*_] = run_rounds(federation, initial_state(federation), lambda sent: replies.extend(sent) or sent)
    update = replies[0].update
    reordered = dict(sorted(update.tensors.items(), reverse=True))
    assert checksum(update) == replies[0].checksum
    assert checksum(type(update)(**{**vars(update), "weights": reordered})) == replies[0].checksum
    assert len({reply.checksum for reply in replies}) == len(replies)


def test_a_run_tells_what_it_put_aside_in_its_folder_and_report(tmp_path, monkeypatch):
    network = Network(np.random.default_rng(4), rate=0.7)
    real = rounds_module.train_cohort
    monkeypatch.setattr(rounds_module, "train_cohort", lambda *arguments: real(*arguments[:-1], network))
    console = Console(file=io.StringIO())
    config = read_config(overrides=[*TINY, "name=faulty"])
    assert execute(config, tmp_path, overwrite=False, console=console) is Ending.FINISHED
    lines = (tmp_path / "faulty" / "quarantine.csv").read_text().splitlines()
    assert lines[0] == "round,client,reason"
    assert len(lines) > 3
    assert "update not merged" in console.file.getvalue()
    page = (tmp_path / "faulty" / "report.html").read_text()
    assert "Put aside" in page
    assert page.count('class="quarantined"') == len(lines) - 1
