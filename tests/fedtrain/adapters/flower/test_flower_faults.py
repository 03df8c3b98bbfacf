"""Clients that lie, fail or are silent: bad updates are refused, the others are merged, and rounds continue."""

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")

from flwr.app import Array, Message, RecordDict

from alignsolve import Outcome
from fedtrain.adapters.flower import client_app
from fedtrain.adapters.flower.records import pack, unpack
from tests.adding import NUM_CLIENTS, NUM_EXPERTS, add, assert_close, expected, listen, weights
from tests.flower_grid import FakeGrid
from tests.flower_model import assigned_in, make_grid, make_strategy, node_of, nodes


@pytest.fixture
def reports(monkeypatch):
    return listen(monkeypatch)


def changed_weights(change):
    def tamper(_, reply):
        part = unpack(reply.content.array_records["weights"])
        change(part)
        reply.content["weights"] = pack(part)
        return [reply]

    return tamper


def changed_measures(**changes):
    def tamper(_, reply):
        for name, value in changes.items():
            reply.content["measures"][name.replace("_", "-")] = value
        return [reply]

    return tamper


def changed_array(**fields):
    def tamper(_, reply):
        array = reply.content.array_records["weights"]["head"]
        known = {name: getattr(array, name) for name in ("dtype", "shape", "stype", "data")}
        reply.content.array_records["weights"]["head"] = Array(**(known | fields))
        return [reply]

    return tamper


def spoil(name, value):
    def change(part):
        key = next(key for key in part if key.startswith(name))
        part[key] = value(part[key])

    return changed_weights(change)


def with_foreign_expert(part):
    held = {int(name.split(".")[1]) for name in part if name.startswith("experts.")}
    foreign = next(j for j in range(NUM_EXPERTS) if j not in held)
    part[f"experts.{foreign}.weight"] = np.zeros((3, 2), dtype=np.float32)


def instead_of_own_expert(part):
    own = next(name for name in part if name.startswith("experts."))
    value = part.pop(own)
    with_foreign_expert(part)
    part[next(name for name in part if name.startswith("experts."))] = value


def second_update(_, reply):
    other = Message(RecordDict(dict(reply.content)), reply_to=_)
    return [reply, other]


FAULTS = {
    "an expert it was not given": (changed_weights(with_foreign_expert), "is not part of its assignment"),
    "another expert instead": (changed_weights(instead_of_own_expert), "experts"),
    "a tensor is missing": (changed_weights(lambda part: part.pop("head")), "tensor head is missing"),
    "a tensor too many": (changed_weights(lambda part: part.update(extra=np.ones(2))), "extra is not part"),
    "wrong type": (spoil("experts.", lambda value: value.astype(np.float64)), "expected numpy.float32"),
    "wrong shape that broadcasts": (spoil("head", lambda value: value[:1]), "(1,)"),
    "NaN": (spoil("experts.", lambda value: value * np.nan), "not finite"),
    "infinite": (spoil("router", lambda value: value + np.inf), "not finite"),
    "claims other experts": (changed_measures(experts=[NUM_EXPERTS - 1, 0, 1]), "claims experts"),
    "negative count": (changed_measures(num_examples=-10), "claims -10 examples"),
    "no examples": (changed_measures(num_examples=0), "claims 0 examples"),
    "absurd count": (changed_measures(num_examples=10**15), "at most 1000"),
    "count is a float": (changed_measures(num_examples=1e6), "claims 1000000.0 examples"),
    "negative usage": (changed_measures(usage=[-0.5]), "usage"),
    "usage above all": (changed_measures(usage=[1e9]), "not shares"),
    "usage of another length": (changed_measures(usage=[0.2] * 3), "usage has shape"),
    "loss is NaN": (changed_measures(loss=[float("nan")]), "loss of expert"),
    "router mass of another length": (changed_measures(router_mass=[1.0]), "router_mass has shape"),
    "negative duration": (changed_measures(seconds=-1.0), "seconds is -1.0"),
    "duration is NaN": (changed_measures(seconds=float("nan")), "seconds is nan"),
    "no measures": (lambda _, reply: [reply.content.pop("measures") and reply], "expected weights and measures"),
    "no weights": (lambda _, reply: [reply.content.pop("weights") and reply], "expected weights and measures"),
    "bytes cut short": (changed_array(data=b"\0" * 5), "has 5 bytes instead of 24"),
    "unknown type": (changed_array(dtype="numpy.object"), "unknown type"),
    "unknown format": (changed_array(stype="pickle"), "stored as 'pickle'"),
    "negative shape": (changed_array(shape=(-3,)), "has shape (-3,)"),
    "two updates": (second_update, "sent 2 updates"),
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_faulty_update_is_refused_and_the_others_are_merged(kind, reports, caplog):
    tamper, words = FAULTS[kind]
    grid = make_grid()
    grid.tamper[2] = tamper  # a client with one expert
    result = make_strategy().start(grid, pack(weights()), num_rounds=1)
    others = [0, 1, 3, 4]
    assert_close(unpack(result.arrays), expected(weights(), assigned_in(grid), others))
    assert [i for i, report in reports[0].items() if report.outcome is Outcome.COMPLETED] == others
    assert reports[0][2].outcome is Outcome.REJECTED
    assert result.train_metrics_clientapp[1]["rejected"] == 1
    assert words in next(record.message for record in caplog.records if record.message.startswith("client 2: "))


def test_a_message_delivered_twice_counts_once():
    grid = make_grid()
    grid.tamper[1] = lambda _, reply: [reply, reply]
    result = make_strategy().start(grid, pack(weights()), num_rounds=1)
    assert_close(unpack(result.arrays), expected(weights(), assigned_in(grid), list(range(NUM_CLIENTS))))


def test_replies_of_nodes_that_were_not_asked_are_not_read():
    grid = make_grid()

    def forged(request, reply):
        stranger = Message(RecordDict(dict(reply.content)), reply_to=request)
        stranger.metadata.__dict__["_message_id"] = "forged"
        return [reply, stranger]

    grid.tamper[0] = forged
    deliver = grid.pull_messages

    def from_elsewhere(message_ids):
        replies = deliver(message_ids)
        for reply in replies:
            if reply.metadata.message_id == "forged":
                reply.metadata.__dict__["_src_node_id"] = 12345
        return replies

    grid.pull_messages = from_elsewhere
    result = make_strategy().start(grid, pack(weights()), num_rounds=1)
    assert_close(unpack(result.arrays), expected(weights(), assigned_in(grid), list(range(NUM_CLIENTS))))


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("no such file"), Outcome.DROPPED),
        (RuntimeError("shapes"), Outcome.DROPPED),
        (MemoryError("32 GiB"), Outcome.OUT_OF_MEMORY),
    ],
)
def test_a_client_that_raises_is_a_dropout_of_the_round(error, outcome, reports, caplog):
    def fail(given, experts, task):
        if task.client == 3 and task.round == 0:
            raise error
        return add(given, experts, task)

    grid = FakeGrid(client_app(fail), nodes())
    result = make_strategy().start(grid, pack(weights()), num_rounds=2)
    assert [told[3].outcome for told in reports] == [outcome, Outcome.COMPLETED]
    assert reports[0][3].bytes_down > 0
    assert [result.train_metrics_clientapp[k]["dropped"] for k in (1, 2)] == [1, 0]
    assert str(error) in caplog.text


def test_a_silent_node_is_dropped_and_left_out_until_it_answers(reports):
    grid, strategy = make_grid(), make_strategy()
    dead = node_of(grid, 4)

    def watch(number, arrays):
        if number == 1:
            grid.silent.add(dead)

    result = strategy.start(grid, pack(weights()), num_rounds=4, evaluate_fn=watch)
    outcomes = [told[4].outcome if 4 in told else None for told in reports]
    assert outcomes == [Outcome.COMPLETED, Outcome.DROPPED, None, None]
    assert [result.train_metrics_clientapp[k]["merged"] for k in (1, 2, 3, 4)] == [5, 4, 4, 4]
    assert len([message for message in grid.trained() if message.metadata.dst_node_id == dead]) == 2


def test_a_node_that_comes_back_takes_part_again(reports):
    """It comes back under a new node id from Flower; the dead id stays listed for some time."""
    grid, strategy = make_grid(), make_strategy()
    dead = node_of(grid, 4)

    def watch(number, arrays):
        if number == 1:
            grid.silent.add(dead)
        elif number == 2:
            grid.nodes[99] = {"partition-id": 4}

    strategy.start(grid, pack(weights()), num_rounds=4, evaluate_fn=watch)
    outcomes = [told[4].outcome for told in reports if 4 in told]
    assert outcomes == [Outcome.COMPLETED, Outcome.DROPPED, Outcome.COMPLETED, Outcome.COMPLETED]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "has no partition-id"),
        ({"partition-id": 5}, "client 5; there are 0..4"),
        ({"partition-id": -1}, "client -1"),
        ({"partition-id": 0}, "client 0, as node"),
    ],
)
def test_nodes_that_are_nobody_take_no_part(config, words, caplog):
    grid = make_grid()
    grid.nodes[2**62 + 1] = config
    result = make_strategy(patience=0.5).start(grid, pack(weights()), num_rounds=1)
    assert result.train_metrics_clientapp[1]["clients"] == NUM_CLIENTS
    assert words in caplog.text


@pytest.mark.parametrize("examples", [0, -3, 10**12])
def test_nodes_with_absurd_counts_take_no_part(examples, caplog):
    app = client_app(add, num_examples=lambda context: examples if context.node_config["partition-id"] == 1 else 1000)
    grid = FakeGrid(app, nodes())
    result = make_strategy(patience=0.5).start(grid, pack(weights()), num_rounds=1)
    assert result.train_metrics_clientapp[1]["clients"] == NUM_CLIENTS - 1
    assert f"has {examples} examples" in caplog.text


@pytest.mark.parametrize(
    ("measures", "words"),
    [
        ({"usage": None}, "usage has shape"),
        ({"loss": [1.0, 2.0, 3.0]}, "loss has shape"),
        ({"speed": 1.0}, "speed"),
    ],
)
def test_a_training_function_that_measures_wrongly_is_told_so(measures, words, caplog):
    def train(given, experts, task):
        trained, said = add(given, experts, task)
        return trained, said | measures

    result = make_strategy().start(FakeGrid(client_app(train), nodes()), pack(weights()), num_rounds=1)
    assert result.train_metrics_clientapp[1]["dropped"] == NUM_CLIENTS
    assert words in caplog.text
    assert_close(unpack(result.arrays), weights())
