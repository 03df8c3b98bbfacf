"""The second protocol's tasks: natural text, clients that change their domain, and one small run of each loop."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.evidence.second.corpora import DOMAINS, translations
from benchmarks.evidence.second.federations import drifted, federation_of, moved, varied
from benchmarks.evidence.second.plan import read_protocol
from benchmarks.evidence.second.run import run

PROTOCOL = read_protocol()


def small(task, alignment, *, rounds, num_clients=8):
    """Return a run of a task with few clients and rounds."""
    entry = PROTOCOL.entry(task, alignment, next(iter(PROTOCOL.settings(task))), 121)
    clients = replace(entry.config.clients, num_clients=num_clients)
    return replace(entry, config=replace(entry.config, rounds=rounds, clients=clients))


def test_clients_that_move_take_each_others_examples_and_an_oracle_follows():
    entry = small("drift", "oracle", rounds=4)
    entry = replace(entry, task=replace(entry.task, drift_at=2))
    before = federation_of(entry.config, {})
    after = drifted(before, {})
    order = moved(entry.seed, 8)
    assert sorted(order.tolist()) == list(range(8))
    assert (order != np.arange(8)).sum() == 4
    for client, old in enumerate(order.tolist()):
        assert after.clients[client] is before.clients[old]
    np.testing.assert_array_equal(after.data.mixture, before.data.mixture[order])
    known, followed = (one.aligner.fitness.mixture for one in (before, after))
    np.testing.assert_array_equal(followed, known[order])
    assert after.fleet is before.fleet
    row = run(entry)
    assert len(row.accuracy) == 4
    assert np.isnan(row.personal[:-1]).all()
    assert 0.0 < row.personal[-1] <= 1.0
    assert (np.diff(row.bytes) > 0).all()
    held = before.fleet.actual.memory_bytes // before.footprint.expert_bytes
    assert len(np.unique(held)) > 1  # devices differ


def test_a_parameter_is_replaced_by_its_path():
    entry = small("digits-visible", "ours", rounds=1)
    federation = federation_of(entry.config, {"fitness.gate.threshold": 0.15})
    assert federation.aligner.fitness.gate.threshold == 0.15
    with pytest.raises(ValueError, match=r"LabelAgreement has no parameter 'treshold' \(path 'treshold'\)"):
        varied(federation.aligner, "fitness.gate.treshold", 0.1)


def test_translations_are_read_from_a_catalogue():
    header, untranslated = 'msgid ""\nmsgstr "Language: de\\n"\n', 'msgid "b"\nmsgstr ""\n'
    catalogue = header + '\nmsgid "a"\nmsgstr ""\n"Ein \\"Wort\\", "\n"zwei\\n"\n\n' + untranslated
    plural = 'msgid "c"\nmsgid_plural "d"\nmsgstr[0] "Baum"\nmsgstr[1] "Bäume"\n'
    assert translations(catalogue + "\n" + plural) == ['Ein "Wort", zwei\n', "Baum", "Bäume"]


@pytest.mark.slow
def test_natural_text_is_divided_without_a_window_twice():
    pytest.importorskip("django", reason="natural text needs the extra [dev]: Django's catalogues")
    from benchmarks.evidence.second.natural import TEST_WINDOWS, natural  # noqa: PLC0415

    config = small("natural", "ours", rounds=1).config
    data, again = (natural(config.data, 8, 121) for _ in range(2))
    assert all(np.array_equal(a.inputs, b.inputs) for a, b in zip(data.clients, again.clients, strict=True))
    assert len(data.test) == TEST_WINDOWS * len(DOMAINS)
    every = np.concatenate([part.inputs for part in (*data.clients, data.test)])
    assert len(np.unique(every, axis=0)) > 0.95 * len(every)  # files repeat licences and the like
    assert (every == 0).mean() < 0.05  # unknown characters
    assert data.mixture.max(axis=1).mean() > 0.5
    np.testing.assert_array_equal(data.clients[0].inputs[:, 1:], data.clients[0].labels[:, :-1])


@pytest.mark.slow
@pytest.mark.parametrize(("task", "alignment"), [("olmoe", "ours-personal"), ("olmoe-lora", "ours-sums")])
def test_a_small_language_model_is_trained_within_budgets_of_bytes(task, alignment, monkeypatch):
    pytest.importorskip("peft", reason="the extra [hf] is not installed: peft")
    pytest.importorskip("django", reason="natural text needs the extra [dev]: Django's catalogues")
    from benchmarks.evidence.second import olmoe  # noqa: PLC0415

    monkeypatch.setattr(olmoe, "BASE_STEPS", 2)
    row = olmoe.run(small(task, alignment, rounds=2, num_clients=4))
    assert row.outcome == "finished"
    assert row.loss[1] < row.loss[0]
    assert row.worst[-1] >= row.personal[-1] > 0
