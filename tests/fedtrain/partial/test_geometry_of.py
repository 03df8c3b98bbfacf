"""The geometry of an update: head, labels, body and sketch; rounds give it to an aligner that learns from it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from alignsolve import POLICIES, Aligner, CapacityProfiler, LossFitness, Parts, UpdateFitness
from fedtrain.aggregate import arrays
from fedtrain.layouts import Layout, LayoutError, Part, detect
from fedtrain.partial import PartialUpdate, geometry_of
from fedtrain.partial.geometry import EXACT, sketched
from fedtrain.server.inspection import Answer
from fedtrain.server.step import Server, ServerState

RNG = np.random.default_rng(0)


def weights_of(num_labels=3, width=2, **others):
    weights = {f"experts.{j}.weight": np.zeros((2, 2), dtype=np.float32) for j in range(2)}
    weights |= {"router.weight": np.zeros((2, 2), dtype=np.float32), "body.b": np.zeros(2, dtype=np.float32)}
    weights |= {"classifier.weight": np.zeros((num_labels, width), dtype=np.float32)}
    return weights | {"classifier.bias": np.zeros(num_labels, dtype=np.float32), "body.a": np.ones(1)} | others


def moved(weights, **moves):
    """Return the update of a client that moved these tensors, with underscores for dots."""
    steps = {name.replace("_", "."): np.asarray(step) for name, step in moves.items()}
    return PartialUpdate(0, [0], {name: value + steps.get(name, 0.0) for name, value in weights.items()}, 5)


def test_head_labels_and_body_are_the_trained_weights_minus_those_that_were_sent():
    weights = weights_of()
    update = moved(weights, classifier_weight=np.arange(6.0).reshape(3, 2), classifier_bias=[1.0, 0.2, -3.0],
                   body_a=[4.0], body_b=[5.0, 6.0], experts_0_weight=np.ones((2, 2)))  # fmt: skip
    found = geometry_of(update, weights, detect(weights))
    assert found.head.tolist() == [[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]
    assert found.labels.tolist() == [True, False, False]  # a quarter of the largest rise is 0.25
    assert found.body.tolist() == [4.0, 5.0, 6.0]  # by name, without experts and routers


def test_without_a_bias_the_rows_that_move_far_are_held_and_without_a_head_there_are_no_labels():
    weights = weights_of()
    del weights["classifier.bias"]
    layout = detect(weights)
    assert (layout.head, layout.head_bias) == ("classifier.weight", None)
    update = moved(weights, classifier_weight=[[3.0, 4.0], [0.0, 1.0], [0.0, 2.0]])
    assert geometry_of(update, weights, layout).labels.tolist() == [True, False, True]
    still = geometry_of(moved(weights), weights, layout)
    assert not still.labels.any()
    bare = geometry_of(update, weights, replace(layout, head=None))
    assert bare.shape == (0, 0, 3 + 6)  # the head is part of the body then


def test_tensors_give_what_arrays_give():
    weights = weights_of()
    update = moved(weights, classifier_weight=RNG.normal(size=(3, 2)), body_b=[1.0, 2.0])
    layout = detect(weights)
    tensors = {name: torch.from_numpy(value) for name, value in weights.items()}
    trained = replace(update, weights={name: torch.from_numpy(value) for name, value in update.weights.items()})
    one, other = geometry_of(update, weights, layout), geometry_of(trained, tensors, layout)
    assert np.array_equal(one.head, other.head)
    assert np.array_equal(one.body, other.body)


def test_a_sketch_keeps_cosines_and_is_the_same_for_all():
    rows = RNG.normal(size=(20, 5 * EXACT)) + 0.3 * RNG.normal(size=5 * EXACT)
    small = sketched(rows, EXACT)
    assert small.shape == (20, EXACT)
    assert np.array_equal(small, np.concatenate([sketched(row[None], EXACT) for row in rows]))

    def cosines(values):
        unit = values / np.linalg.norm(values, axis=1, keepdims=True)
        return unit @ unit.T

    assert np.abs(cosines(small) - cosines(rows)).max() < 0.04
    large = weights_of(big=np.zeros(EXACT))
    found = geometry_of(moved(large, big=RNG.normal(size=EXACT)), large, detect(large))
    assert found.body.shape == (EXACT,)


@pytest.mark.parametrize(("change", "told"), [
    ({"head": "lm.weight"}, "head is lm.weight, of shape None; it must be a tensor with a row per label"),
    ({"head": "body.b"}, r"head is body.b, of shape \(2,\)"),
    ({"head_bias": "body.b"}, "head_bias is body.b; it must be a tensor with an entry for each of 3 labels"),
])  # fmt: skip
def test_an_impossible_head_is_refused_before_a_round(change, told):
    weights = weights_of()
    layout = replace(detect(weights), **change)
    aligner = Aligner(UpdateFitness())
    state = ServerState(0, weights, aligner.init(2, 2))
    with pytest.raises(LayoutError, match=told):
        Server(aligner, layout).begin(state, np.arange(2))
    Server(Aligner(LossFitness()), layout).begin(replace(state, aligner=Aligner().init(2, 2)), np.arange(2))


def test_too_many_labels_and_a_head_of_experts_are_refused():
    weights = weights_of(num_labels=3000)
    with pytest.raises(LayoutError, match="has 3000 labels, and at most 2048 can be compared: set head=None"):
        geometry_of(moved(weights), weights, detect(weights))
    with pytest.raises(LayoutError, match=r"head is experts\.weight, which belongs to experts; it must be shared"):
        Layout("mine", ("",), (2,), {"experts.weight": Part(0, 2, axis=0)}, head="experts.weight")


@pytest.mark.parametrize("names", [
    ("lm_head.weight",), ("model.score.weight",), ("head.weight",), ("fc.weight",),
])  # fmt: skip
def test_usual_heads_are_found_by_name(names):
    weights = {name: value for name, value in weights_of().items() if not name.startswith("classifier")}
    assert detect(weights).head is None
    assert detect(weights | dict.fromkeys(names, np.zeros((3, 2)))).head == names[0]
    two = {"a.head.weight": np.zeros((3, 2)), "b.head.weight": np.zeros((3, 2))}
    assert detect(weights | two).head is None  # which of them is not known


def test_rounds_give_the_geometry_to_an_aligner_that_learns_from_it_and_to_no_other():
    weights = weights_of()
    layout = detect(weights)
    for aligner, wanted in (
        (Aligner(UpdateFitness(), capacity=CapacityProfiler(client_capacity=1)), True),
        (POLICIES["ours"](Parts(), goal="global"), True),
        (POLICIES["ours"](Parts()), False),
    ):
        server = Server(aligner, layout)
        pending = server.begin(ServerState(0, weights, aligner.init(3, 2)), np.arange(3))
        answers = {}
        for client, held in pending.assigned.items():
            part = server.part(pending, client)
            trained = {name: arrays.copy(value) + np.float32(client + 1) for name, value in part.items()}
            shares = {"usage": [1.0], "loss": [1.0], "accuracy": [0.5], "router_mass": [0.5, 0.5]}
            answers[client] = [Answer(PartialUpdate(client, held, trained, 5, **shares))]
        answers[2] = [Answer(fault="damaged")]
        reports = server.finish(pending, answers, dict.fromkeys(answers, 10)).inspected.reports
        assert [report.geometry is not None for report in reports] == [wanted, wanted, False]
        if wanted:
            assert reports[1].geometry.body.tolist() == [2.0, 2.0, 2.0]
