"""Attacks: the attackers, the updates that they send, and the effect of rules and limits."""

import numpy as np
import pytest
import torch

from benchmarks.attacks import AttackRow, attack_run, read_rows, table, write_rows
from fedtrain.config.file import read_config
from fedtrain.server import initial_state, prepare
from fedtrain.server.rounds import run_rounds
from fedtrain.simulation.attacks import draw_attackers

TINY = (
    "rounds=2",
    "model.num_features=4",
    "model.num_hidden=4",
    "model.num_experts=3",
    "training.epochs=1",
    "training.batch_size=128",
    "clients.num_clients=10",
    "clients.dropout=0",
    "attack.share=0.3",
)


def played(*overrides):
    """Return the federation, the replies of every round by sender, the rounds and the states."""
    federation = prepare(read_config(overrides=[*TINY, *overrides]))
    sent = []

    def network(replies):
        sent.append({reply.sender: reply for reply in replies})
        return replies

    start = initial_state(federation)
    rounds, states = zip(*run_rounds(federation, start, network), strict=True)
    return federation, sent, rounds, (start, *states)


@pytest.fixture(scope="module")
def honest():
    return played()


def test_attackers_are_drawn_once_and_more_of_them_include_the_fewer():
    config = read_config(overrides=["attack.kind=sign-flip", "attack.share=0.3"])
    few = draw_attackers(config)
    assert few.sum() == 12
    more = draw_attackers(read_config(overrides=["attack.kind=gaussian", "attack.share=0.6"]))
    assert (few <= more).all()
    assert not draw_attackers(read_config(overrides=["attack.share=0.9"])).any()
    other = draw_attackers(read_config(overrides=["attack.kind=sign-flip", "attack.share=0.3", "seed=1"]))
    assert (few != other).any()


@pytest.mark.parametrize("kind", ["same-value", "sign-flip", "gaussian", "scaled", "nans", "forged-replay"])
def test_attackers_send_what_they_are_said_to_and_the_others_what_they_would(honest, kind):
    federation, sent, _, states = played(f"attack.kind={kind}", "attack.scale=2")
    sent_honestly = honest[1][0]
    assert federation.attackers.sum() == 3
    for client, reply in sent[0].items():
        for name, value in reply.update.tensors.items():
            would, base = sent_honestly[client].update.tensors[name], states[0].tensors[name]
            if not federation.attackers[client] or kind == "forged-replay":
                assert torch.equal(value, would)
            elif kind == "same-value":
                torch.testing.assert_close(value, base + 2.0)
            elif kind == "sign-flip":
                torch.testing.assert_close(value - base, -2.0 * (would - base), rtol=1e-3, atol=1e-5)
            elif kind == "scaled":
                torch.testing.assert_close(value - base, 2.0 * (would - base), rtol=1e-3, atol=1e-5)
            elif kind == "nans":
                assert bool(value.isnan().all())
    if kind == "gaussian":
        noise = torch.cat([
            (reply.update.tensors[name] - states[0].tensors[name]).reshape(-1)
            for client, reply in sent[0].items() if federation.attackers[client] for name in reply.update.tensors
        ])  # fmt: skip
        assert abs(float(noise.std()) - 2.0) < 0.15
        assert abs(float(noise.mean())) < 0.2


def test_a_channel_adds_its_noise_to_what_every_client_sends(honest):
    _, sent, _, _ = played("channel.noise=0.03", "channel.power=9", "rounds=1")
    noise = torch.cat([
        (reply.update.tensors[name] - value).reshape(-1)
        for client, reply in sent[0].items() for name, value in honest[1][0][client].update.tensors.items()
    ])  # fmt: skip
    assert abs(float(noise.std()) - 0.01) < 0.0005


def test_replays_are_stale_and_forged_ones_are_old(honest):
    federation, sent, rounds, _ = played("attack.kind=replay")
    attackers = np.flatnonzero(federation.attackers).tolist()
    assert [client for client, _ in rounds[1].quarantined] == attackers
    assert all(reason == "stale: belongs to round 1, this is round 2" for _, reason in rounds[1].quarantined)
    federation, sent, rounds, _ = played("attack.kind=forged-replay")
    assert rounds[1].quarantined == []
    for client in attackers:
        old, new = sent[0][client].update, sent[1][client].update
        if old.experts == new.experts:
            assert all(torch.equal(value, new.tensors[name]) for name, value in old.tensors.items())


def test_what_is_not_a_number_is_put_aside_and_what_is_far_is_by_the_limit():
    for overrides in (["attack.kind=nans"], ["attack.kind=same-value", "attack.scale=9", "validation.norm_limit=20"]):
        federation, _, rounds, states = played(*overrides)
        for done in rounds:
            assert [client for client, _ in done.quarantined] == np.flatnonzero(federation.attackers).tolist()
            assert done.row.rejected == done.row.quarantined == 3
        assert all(bool(value.isfinite().all()) for value in states[-1].tensors.values())


def test_rows_come_back_and_make_a_table(tmp_path):
    rows = [
        AttackRow(0, 2, "none", 1.0, "mean", 0.0, 0.95, 0),
        AttackRow(0, 2, "sign-flip", 1.0, "mean", 0.0, 0.45, 0),
        AttackRow(0, 2, "sign-flip", 1.0, "multi-krum", 0.0, 0.94, 1),
    ]
    write_rows(tmp_path / "rows.csv", rows)
    assert read_rows(tmp_path / "rows.csv") == rows
    assert "| sign-flip × 1 | mean | 0 | 1 | 0.4500 | 50.0 | 50.0 |" in table(rows)


@pytest.mark.slow
def test_with_sign_flipping_clients_a_robust_rule_stays_within_three_points():
    """On average over the seeds in benchmarks/results/attacks.csv; single runs may lose more."""

    def accuracies(attack, rule):
        return np.array([attack_run(seed, 10, attack, 1.0, rule).accuracy for seed in range(4)])

    free, robust = accuracies("none", "mean"), accuracies("sign-flip", "multi-krum")
    plain = accuracies("sign-flip", "mean")
    assert (free - robust).mean() <= 0.03
    assert (free - plain).mean() > 0.05
    assert (plain < robust).all()
