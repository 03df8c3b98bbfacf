"""Rules that remember: in a run, in a session that is resumed, and the examples that a server holds back."""

import numpy as np
import pytest

from alignsolve import Aligner, CapacityProfiler
from fedtrain.config import ConfigError
from fedtrain.data import DataError, Examples, Federated
from fedtrain.data.federated import hold_back
from fedtrain.partial import PartialUpdate
from fedtrain.server import initial_state, prepare
from fedtrain.server.inspection import Answer
from fedtrain.server.rounds import run_rounds
from fedtrain.server.session import Session
from tests.small_runs import configured

RULES = ("domain-aware", "learned")


def federated(labels):
    labels = np.array(labels)
    test = Examples(np.arange(len(labels), dtype=np.float32)[:, None], labels, 2)
    clients = (Examples(np.zeros((1, 1), dtype=np.float32), np.zeros(1, dtype=np.int64), 2),)
    return Federated(clients, test, labels, np.array([[0.5, 0.5]]))


def test_the_server_keeps_examples_of_every_group_for_itself():
    data, own = hold_back(np.random.default_rng(0), federated([0] * 4 + [1] * 5), 0.5)
    assert sorted(own.labels.tolist()) == [0, 0, 1, 1]
    assert sorted(data.test_group.tolist()) == [0, 0, 1, 1, 1]
    assert sorted([*own.inputs[:, 0], *data.test.inputs[:, 0]]) == list(range(9))


def test_a_validation_set_of_one_class_or_of_nothing_is_refused():
    with pytest.raises(DataError, match=r"gives the server 2 examples of 1 classes.*raise it, or data\.test_fraction"):
        hold_back(np.random.default_rng(0), federated([0] * 4 + [1]), 0.5)
    with pytest.raises(DataError, match="0 examples of 0 classes"):
        hold_back(np.random.default_rng(0), federated([0, 1]), 0.1)
    with pytest.raises(ConfigError, match=r"data\.held_back is 0\.0; it must be above 0 where aggregation\.rule is"):
        configured("aggregation.rule=learned")


def test_a_run_learns_weights_on_what_the_server_holds_back():
    config = configured("aggregation.rule=learned", "data.held_back=0.4", "rounds=1", "aggregation.evaluations=3")
    federation = prepare(config)
    assert len(federation.held_back) + len(federation.test) == len(prepare(configured()).test)
    ((_, state),) = run_rounds(federation, initial_state(federation))
    assert state.memory["learned.shared.times"].sum() == 3.0
    assert set(state.memory["learned.shared.value"]) <= set(np.clip(state.memory["learned.shared.value"], -1.0, 1.0))


@pytest.mark.parametrize("rule", RULES)
def test_a_session_that_is_resumed_goes_on_with_what_its_rule_remembers(rule, tmp_path):
    def weights():
        return {f"experts.{j}.weight": np.ones((2, 2)) for j in range(2)} | {"router.weight": np.eye(2)}

    def session(folder):
        made = Session(
            Aligner(capacity=CapacityProfiler(client_capacity=1)),
            num_clients=4,
            rule=rule,
            score=lambda tensors: -float(np.square(tensors["experts.0.weight"] - 3.0).sum()),
            state_dir=folder,
        )
        return made, made.resume(weights())

    def one_round(running, tensors):
        pending = running.begin(tensors, range(4), patience=0.0)
        rng, answers = np.random.default_rng(running.rounds_done), {}
        for client, held in pending.assigned.items():
            part = {
                name: value + rng.normal(size=value.shape)
                for name, value in running.server.part(pending, client).items()
            }
            update = PartialUpdate(client, held, part, 5, [1.0], [1.0], [0.5])
            answers[client] = [Answer(update)]
        done, _ = running.finish(pending, answers, dict.fromkeys(range(4), 9.0))
        return done.state

    running, tensors = session(tmp_path / "whole")
    for _ in range(4):
        state = one_round(running, tensors)
        tensors = state.tensors
    for _ in range(4):
        running, tensors = session(tmp_path / "parts")  # a new server for each round
        again = one_round(running, tensors)
    assert state.memory.keys() == again.memory.keys()
    assert state.memory
    assert all(np.array_equal(state.memory[key], again.memory[key]) for key in state.memory)
    assert all(np.array_equal(state.tensors[name], again.tensors[name]) for name in state.tensors)
