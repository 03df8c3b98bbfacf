"""AlignedStrategy on a simulated grid: the messages, the merge, and the clients that take part."""

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")

from flwr.app import Array, ArrayRecord, ConfigRecord

from alignsolve import Outcome
from fedtrain.adapters.flower import AlignedStrategy, TooFewClientsError, client_app
from fedtrain.adapters.flower.records import pack, unpack
from fedtrain.config.file import read_config
from fedtrain.layouts import LayoutError
from fedtrain.local import client as local
from fedtrain.models import num_bytes, part_to_download, part_to_upload
from fedtrain.randomness import Purpose, generator
from fedtrain.server import initial_state, prepare
from fedtrain.server.rounds import run_rounds
from tests.adding import NUM_CLIENTS, add, assert_close, expected, listen, weights
from tests.flower_grid import FakeGrid, bytes_on_the_wire
from tests.flower_model import assigned_in, make_grid, make_strategy, nodes, partition

CONFIG = ("rounds=3", "clients.num_clients=6", "clients.dropout=0", "training.epochs=1", "training.batch_size=64")


@pytest.fixture
def reports(monkeypatch):
    return listen(monkeypatch)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_model_is_that_of_fedtrains_own_loop_whatever_the_order_of_replies(seed):
    federation = prepare(read_config(overrides=CONFIG))
    config = federation.config
    *_, (_, own) = run_rounds(federation, initial_state(federation))

    def train(given, experts, task):
        rng = generator(config.seed, Purpose.TRAINING, task.round, task.client)
        data, training = federation.clients[task.client], config.training.in_round(task.round)
        update = local.train(task.client, federation.spec, given, experts, data, training, rng)
        return update.tensors, {"num_examples": update.num_examples, **update.measured._asdict()}

    grid = FakeGrid(client_app(train), nodes(6, seed), seed=seed)
    strategy = AlignedStrategy(federation.aligner, num_clients=6, seed=config.seed, patience=0.1, router_down="all")
    result = strategy.start(grid, pack(initial_state(federation).tensors), num_rounds=3)
    final = unpack(result.arrays)
    assert final.keys() == own.tensors.keys()
    assert max(float((final[name] - own.tensors[name]).abs().max()) for name in final) == 0.0
    assert strategy.aligner_state.to_arrays()["prices"].tolist() == own.aligner.to_arrays()["prices"].tolist()


def test_clients_are_sent_the_bytes_of_their_experts_and_the_shared_part():
    """On fedtrain's model of default size, which is small; in larger models the names weigh less."""
    federation = prepare(read_config(overrides=CONFIG))
    tensors = initial_state(federation).tensors

    def train(given, experts, task):
        measures = {name: np.full(len(experts), 0.5) for name in ("usage", "loss", "accuracy")}
        return part_to_upload(given, experts), {"num_examples": 1, **measures}

    grid = FakeGrid(client_app(train), nodes(6))
    returned = {}
    for k in range(6):
        grid.tamper[k] = lambda request, reply: [returned.setdefault(request.metadata.dst_node_id, reply)]
    strategy = AlignedStrategy(federation.aligner, num_clients=6, patience=0.1, router_down="all")
    figures = strategy.start(grid, pack(tensors), num_rounds=1).train_metrics_clientapp[1]
    records = [message.content.array_records["weights"] for message in grid.trained()]
    assert len({id(record) for record in records}) == len(records) == 6
    down = up = 0
    for message, record in zip(grid.trained(), records, strict=True):
        experts = message.content.config_records["task"]["experts"]
        asked, reply = part_to_download(tensors, experts), returned[message.metadata.dst_node_id]
        assert record.keys() == asked.keys()
        for size, part in ((record, asked), (reply.content.array_records["weights"], part_to_upload(asked, experts))):
            assert sum(len(array.data) for array in size.values()) == num_bytes(part)
            assert size.count_bytes() == pytest.approx(num_bytes(part), rel=0.01)
        down, up = down + record.count_bytes(), up + reply.content.array_records["weights"].count_bytes()
        assert bytes_on_the_wire(message) < 1.05 * num_bytes(asked)  # names, types, checksums
    assert (figures["bytes-down"], figures["bytes-up"]) == (down, up)
    assert sum(num_bytes(tensors) for _ in records) > 1.5 * down


def test_updates_are_merged_per_expert_by_their_examples(reports):
    grid, strategy = make_grid(), make_strategy()
    result = strategy.start(grid, pack(weights()), num_rounds=1, train_config=ConfigRecord({"lr": 0.5}))
    assigned = assigned_in(grid)
    assert sorted(len(experts) for experts in assigned.values()) == [1, 1, 1, 2, 2]
    assert_close(unpack(result.arrays), expected(weights(), assigned, list(range(NUM_CLIENTS))))
    for message in grid.trained():
        assert message.content.config_records["config"] == {"lr": 0.5}
    (told,) = reports
    assert {i: (report.outcome, report.experts.tolist()) for i, report in told.items()} == {
        i: (Outcome.COMPLETED, experts) for i, experts in assigned.items()
    }
    for i, report in told.items():
        assert (report.seconds, report.num_examples) == (2.0 + i, 10 * (i + 1))
        assert report.loss.tolist() == (np.arange(len(assigned[i])) + 0.5).tolist()


def test_records_in_flowers_own_format_come_back_in_it():
    given = ArrayRecord({name: Array(value) for name, value in weights().items()})
    grid = make_grid()
    result = make_strategy().start(grid, given, num_rounds=1)
    read = {name: array.numpy() for name, array in result.arrays.items()}
    assert_close(read, expected(weights(), assigned_in(grid), list(range(NUM_CLIENTS))))


def test_cohorts_are_drawn_by_the_seed_and_not_by_node_ids():
    cohorts = []
    for seed, node_seed in ((3, 0), (3, 1), (4, 0)):
        grid = FakeGrid(client_app(add), nodes(seed=node_seed), seed=node_seed)
        make_strategy(cohort_fraction=0.4, seed=seed).start(grid, pack(weights()), num_rounds=6)
        rounds = [message.metadata.group_id for message in grid.trained()]
        cohorts.append(sorted(zip(rounds, (partition(grid, message) for message in grid.trained()), strict=True)))
    assert cohorts[0] == cohorts[1] != cohorts[2]
    assert len(cohorts[0]) == 6 * 2


def test_nobody_there_is_an_error_that_says_so():
    grid = FakeGrid(client_app(add), {})
    with pytest.raises(TooFewClientsError, match=r"round 1 needs 1 clients, and 0 are there after 0\.1 s"):
        make_strategy().start(grid, pack(weights()), num_rounds=1)


def test_a_model_without_experts_is_refused_before_anything_is_sent():
    grid = make_grid()
    with pytest.raises(LayoutError, match="no experts found"):
        make_strategy().start(grid, pack({"head": np.ones(3)}), num_rounds=1)
    assert not grid.sent


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cohort_fraction": 0.0}, "cohort_fraction is 0"),
        ({"min_clients": 0}, "min_clients is 0"),
        ({"num_clients": 2, "min_clients": 3}, "min_clients is 3; it must be from 1 to num_clients, which is 2"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        make_strategy(**options)


def test_cohorts_may_be_chosen():
    grid = make_grid()
    make_strategy(sample=lambda done, there: there[[done, done + 2]]).start(grid, pack(weights()), num_rounds=2)
    chosen = [(message.metadata.group_id, partition(grid, message)) for message in grid.trained()]
    assert sorted(chosen) == [("1", 0), ("1", 2), ("2", 1), ("2", 3)]
    with pytest.raises(ValueError, match="chose client 7, who is not there"):
        make_strategy(sample=lambda done, there: np.array([0, 7])).start(grid, pack(weights()), num_rounds=1)


def test_without_a_saved_state_every_start_is_a_new_run():
    strategy = make_strategy()
    finals = [unpack(strategy.start(make_grid(), pack(weights()), num_rounds=2).arrays) for _ in range(2)]
    assert_close(*finals)
    assert [figures["round"] for figures in strategy.history] == [1, 2]
