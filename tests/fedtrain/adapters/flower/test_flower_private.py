"""The Flower app of private rounds trains, and its server gets masked votes alone before an auction ends."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")
pytest.importorskip("torch", reason="torch is not installed: pip install 'alignsolve[flower]'")

from flwr.app import Context, Message, RecordDict

from alignsolve.federated import Bidder, Terms
from alignsolve.federated.answers import unpacked
from tests.flower_grid import FakeGrid, delivered

EXAMPLES = Path(__file__).parents[4] / "examples"
APP = EXAMPLES / "flower-private"
CLIENTS, ROUNDS = 8, 3


class GridWithMemory(FakeGrid):
    """Nodes keep their state from message to message, as Flower's do; every message is kept."""

    def __init__(self, app, run_config):
        nodes = {100 + i: {"partition-id": i, "num-partitions": CLIENTS} for i in range(CLIENTS)}
        super().__init__(app, nodes, run_config=run_config)
        self.contexts = {n: Context(0, n, own, RecordDict(), run_config) for n, own in nodes.items()}

    def _answer(self, message: Message) -> list[Message]:
        node = message.metadata.dst_node_id
        return [] if node in self.silent else [delivered(self.app(message, self.contexts[node]), node)]


@pytest.fixture(scope="module")
def example():
    sys.path.insert(0, str(APP))
    try:
        return {name: importlib.import_module(f"auctioned.{name}") for name in ("task", "client", "server")}
    finally:
        sys.path.remove(str(APP))


def settings(trace):
    return {"rounds": ROUNDS, "num-clients": CLIENTS, "timeout": 5.0, "patience": 5.0, "trace": str(trace)}


def lines(trace):
    return [json.loads(line) for line in trace.read_text(encoding="utf-8").splitlines()]


def check_trace(trace, example):
    """Before the experts won are asked for, only keys and masked votes of the length of a vote have arrived."""
    task, read = example["task"], lines(trace)
    for turn in range(ROUNDS):
        own = [line for line in read if line["turn"] == turn]
        whats = [line["what"] for line in own]
        before = own[: whats.index("query.won")]
        assert {line["what"] for line in before} == {"query.begin", "query.ask"}
        assert all(line["what"] in {"query.won", "train"} for line in own[whats.index("query.won") :])
        assert {tuple(line["fields"]) for line in before if line["what"] == "query.begin"} == {()}
        votes = [line for line in before if line["what"] == "query.ask"]
        assert {tuple(line["fields"]) for line in votes} == {("answer/answer",)}
        assert len(votes) % CLIENTS == 0
        seen = [bytes.fromhex(line["fields"]["answer/answer"]) for line in votes]
        assert len(set(seen)) == len(seen)
        terms = Terms(CLIENTS, task.NUM_EXPERTS)
        masked = np.array([unpacked(vote[2 : 2 + 2], 4, terms) for vote in seen])  # four loads of four digits
        assert (masked > 1).any(axis=1).mean() > 0.9  # a choice has 0 and 1 only
        assert len(np.unique(masked)) == 16
    first = [line for line in read if line["turn"] == -1]
    assert {tuple(sorted(line["fields"])) for line in first} == {("hello/client", "hello/key")}
    everything = trace.read_text(encoding="utf-8")
    router = task.initial()["router.weight"]
    for client in range(CLIENTS):
        for number in task.fitness(client, router):
            for kind in ("<f8", "<f4"):
                assert np.array(number, dtype=kind).tobytes().hex() not in everything


@pytest.mark.slow
def test_the_server_gets_keys_and_masked_votes_and_the_model_learns(example, tmp_path, capsys):
    trace = tmp_path / "trace"
    grid = GridWithMemory(example["client"].app, settings(trace))
    example["server"].app(grid, Context(0, 0, {}, RecordDict(), settings(trace)))
    check_trace(trace, example)
    printed = capsys.readouterr().out
    accuracy = [float(line.split("accuracy ")[1][:5]) for line in printed.splitlines() if "accuracy" in line]
    assert len(accuracy) == ROUNDS
    assert accuracy[-1] > 0.6
    # A vote as the server got it is not the one that the client would send in clear.
    task, asks = example["task"], [m for m in grid.sent if m.metadata.message_type == "query.ask"]
    message = asks[0].content["ask"]["message"]
    router = task.initial()["router.weight"]
    clear = {
        Bidder(Terms(CLIENTS, task.NUM_EXPERTS), i, task.fitness(i, router), capacity=task.CAPACITY[i % 2], demand=1)
        .answer(message)
        .hex()
        for i in range(CLIENTS)
    }
    got = {line["fields"]["answer/answer"] for line in lines(trace) if line["what"] == "query.ask"}
    assert not clear & got


def test_a_silent_client_is_left_out(example, tmp_path, capsys):
    grid = GridWithMemory(example["client"].app, settings(tmp_path / "trace"))
    office = example["server"].Office(grid, CLIENTS, 5.0, "")
    office.gather(5.0)
    grid.silent = {103}
    assigned, start = example["server"].align(office, 0, example["task"].initial(), None)
    assert sorted(assigned) == [0, 1, 2, 4, 5, 6, 7]
    assert np.isfinite(start.prices).all()
    assert "3: 'it did not answer in time'" in capsys.readouterr().out


@pytest.mark.engine
def test_flowers_engine_runs_it(example, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(EXAMPLES / "flower"))
    federation = importlib.import_module("federation")
    monkeypatch.setattr(federation, "APP", APP)
    trace = tmp_path / "trace"
    with federation.federation() as started:
        keys = [f"trace='{trace}'", f"rounds={ROUNDS}"]
        federation.run_app(started, keys, nodes=CLIENTS, patience=600.0)
    check_trace(trace, example)
    assert sum(line["what"] == "train" for line in lines(trace)) == ROUNDS * CLIENTS
