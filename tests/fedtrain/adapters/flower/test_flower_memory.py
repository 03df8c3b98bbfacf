"""Devices report their memory: each gets what fits into its bytes, and one with too little takes no part."""

import numpy as np
import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")

from alignsolve import Aligner
from fedtrain.adapters.flower import AlignedStrategy, client_app
from fedtrain.adapters.flower.records import pack
from tests.flower_grid import FakeGrid
from tests.flower_model import nodes, partition

LAYERS, EXPERT = (3, 3), 4 * 4 * 4
"""Experts per layer, and bytes of one expert with its gradient and Adam's moments."""


def weights():
    names = [f"model.layers.{layer}.mlp.experts.{j}.weight" for layer in range(2) for j in range(3)]
    return {name: np.ones((2, 2), dtype=np.float32) for name in names} | {"head": np.ones(3, dtype=np.float32)}


def shift(given, experts, task):
    measures = {name: np.full(len(experts), 0.5) for name in ("usage", "loss", "accuracy")}
    return {name: value + 1 for name, value in given.items()}, {"num_examples": 10, **measures}


def run(memory, *, said=None, rounds=2):
    says = None if said is None else (lambda context: said[context.node_config["partition-id"]])
    grid = FakeGrid(client_app(shift, memory=says), nodes(4))
    strategy = AlignedStrategy(Aligner(), num_clients=4, patience=0.3, memory=memory)
    strategy.start(grid, pack(weights()), num_rounds=rounds)
    held = {}
    for message in grid.trained():
        sent = message.content.array_records["weights"]
        held.setdefault(partition(grid, message), []).append(sum("experts" in name for name in sent))
    return held


SHARED = 4 * 3 * 4
MEMORY = [SHARED + 2 * EXPERT, SHARED + 5 * EXPERT + 1, 10_000, SHARED + 3 * EXPERT]


def test_each_device_gets_what_fits_into_the_bytes_that_it_reports():
    held = run("reported", said=MEMORY)
    assert {client: numbers[0] for client, numbers in held.items()} == {0: 2, 1: 5, 2: 6, 3: 3}
    assert {client: numbers[0] for client, numbers in run(MEMORY).items()} == {0: 2, 1: 5, 2: 6, 3: 3}


def test_a_device_with_too_little_memory_takes_no_part_and_the_log_says_what_is_missing(caplog):
    held = run("reported", said=[MEMORY[0] - 7, *MEMORY[1:]], rounds=1)
    assert sorted(held) == [1, 2, 3]
    assert f"says that it has {MEMORY[0] - 7} bytes of memory; training takes {MEMORY[0]}: 7 are missing" in caplog.text


def test_a_device_that_does_not_report_its_memory_takes_no_part(caplog):
    with pytest.raises(RuntimeError, match="needs 1 clients, and 0 are there"):
        run("reported")
    assert "says that it has None bytes of memory" in caplog.text


def test_memory_that_is_neither_bytes_nor_reported_is_refused():
    with pytest.raises(ValueError, match="memory"):
        AlignedStrategy(Aligner(), num_clients=4, memory="all")
