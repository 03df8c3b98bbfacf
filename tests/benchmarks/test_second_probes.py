"""Probes of pairs: on made measurements with known truth, and what they cost in a small run."""

from dataclasses import replace

import numpy as np
import pytest

from alignsolve import Report
from benchmarks.evidence.second.ifca import IfcaFitness
from benchmarks.evidence.second.pfedmm import ResponsibilityFitness
from benchmarks.evidence.second.plan import read_protocol
from benchmarks.evidence.second.probing import measured, responsibilities
from benchmarks.evidence.second.run import run

NAN = float("nan")


def rng():
    return np.random.default_rng(0)


def made(losses):
    """Return the state after clients measured these losses, with the responsibilities of equal examples."""
    fitness, losses = ResponsibilityFitness(), np.array(losses)
    state = fitness.init(*losses.shape)
    shares = np.where(np.isnan(losses), NAN, np.exp(-np.nan_to_num(losses)))
    shares /= np.nansum(shares, axis=1, keepdims=True)
    return fitness, fitness.told(state, np.arange(len(losses)), losses, shares)


def test_responsibilities_are_the_shares_of_examples_that_each_expert_explains():
    explained = np.repeat([[0.05, 6.0, 6.0], [6.0, 0.05, 6.0]], [30, 10], axis=0)
    np.testing.assert_allclose(responsibilities(explained), [0.75, 0.25, 0.0], atol=0.01)
    np.testing.assert_allclose(responsibilities(np.zeros((5, 4))), 0.25)


def test_an_expert_is_probed_only_where_it_may_be_worth_the_price():
    # Experts that are all alike promise nothing.
    fitness, alike = made([[1.0, 1.0, NAN, NAN], [2.0, 2.0, NAN, NAN]])
    assert not fitness.wanted(alike, np.arange(2), rng()).any()
    # Where they differ, the client without a good one gains more than the client that has it.
    fitness, differ = made([[1.0, 1.1, NAN, NAN], [0.1, 2.2, NAN, NAN], [0.5, 2.0, 1.0, 1.5]])
    gain = fitness.improvement(differ, np.arange(3))
    assert gain[0] > gain[1] > 0
    asked = fitness.wanted(differ, np.arange(3), rng())
    assert asked[0].tolist() == [False, False, True, True]
    assert not asked[2].any()  # nothing is unknown
    assert not replace(fitness, price=10.0).wanted(differ, np.arange(3), rng()).any()
    assert not fitness.without_probes().wanted(differ, np.arange(3), rng()).any()
    # A client without a report has nothing to compare with.
    assert not fitness.improvement(differ.grow(5), np.array([3, 4])).any()


def test_shares_of_old_measurements_are_forgotten_and_new_ones_divide_what_they_had():
    fitness, state = made([[0.1, 2.0, NAN, NAN]])
    first = fitness.fitness(state, np.arange(1), rng=rng())
    assert first[0].argmax() == 0
    assert first[0, 0] > first[0, 2] > first[0, 1]  # unknown experts are between a good and a bad one
    assert state.share[0, :2].sum() == pytest.approx(0.5)  # two of four experts
    again = fitness.told(state, np.array([0]), np.array([[NAN, 0.1, 2.0, NAN]]), np.array([[NAN, 0.9, 0.1, NAN]]))
    np.testing.assert_allclose(again.share[0, 1:3], [0.45, 0.05])
    for _ in range(fitness.fresh + 1):
        state = fitness.update(state, [Report(0, [0], usage=[1.0], loss=[0.1], accuracy=[1.0])])
    assert np.isnan(state.share).all()
    assert fitness.fitness(state, np.arange(1), rng=rng()).tolist() == [[1.0] * 4]


def test_ifca_takes_the_expert_with_the_lowest_loss():
    fitness = IfcaFitness()
    state = fitness.init(2, 3)
    assert fitness.wanted(state, np.arange(2), rng()).all()
    state = fitness.told(state, np.arange(2), np.array([[0.5, 0.2, 0.9], [1.0, 3.0, 2.0]]), np.full((2, 3), 1 / 3))
    np.testing.assert_allclose(fitness.fitness(state, np.arange(2), rng=rng()), [[4 / 7, 1, 0], [1, 0, 0.5]])


@pytest.mark.parametrize(("alignment", "least"), [("ifca", 0.7), ("pfedmm", 0.0)])
def test_probes_are_paid_for(alignment, least):
    protocol = read_protocol()
    entry = protocol.entry("digits-visible", alignment, next(iter(protocol.settings("digits-visible"))), 121)
    clients = replace(entry.config.clients, num_clients=6)
    row = run(replace(entry, config=replace(entry.config, rounds=3, clients=clients)))
    assert row.outcome == "finished"
    assert least * row.bytes[-1] / 2 <= row.probe_bytes < row.bytes[-1]
    if alignment == "ifca":  # every client downloads every expert in every round
        assert row.probe_bytes > 0.3 * row.bytes[-1]


def test_a_model_with_several_layers_has_no_single_expert_to_probe():
    protocol = read_protocol()
    entry = protocol.entry("natural", "ifca", next(iter(protocol.settings("natural"))), 121)
    from fedtrain.models.transformer import TransformerSpec  # noqa: PLC0415

    class Federation:
        spec = TransformerSpec(num_classes=4, context=8)
        clients = ()

    with pytest.raises(ValueError, match="probes of pairs need one layer of experts; the model has 2"):
        measured(Federation, {}, np.arange(1), np.ones((1, 16), dtype=bool))
    assert entry.config.model.num_layers == 1
