"""Flower's strategy and client app conform to the kit; messages go through a grid in this process."""

import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")

from fedtrain.adapters.conformance import CHECKS, check_resumption
from fedtrain.adapters.flower import AlignedStrategy, client_app, pack, unpack
from tests.flower_grid import FakeGrid
from tests.flower_model import nodes


def run(setting):
    grid = FakeGrid(client_app(setting.train), nodes(setting.num_clients))
    strategy = AlignedStrategy(
        setting.aligner,
        num_clients=setting.num_clients,
        seed=setting.seed,
        patience=0.1,
        max_examples=setting.max_examples,
        state_dir=setting.state_dir,
    )
    return unpack(strategy.start(grid, pack(setting.weights), num_rounds=setting.num_rounds).arrays)


@pytest.mark.parametrize("check", CHECKS)
def test_flower_conforms(check):
    CHECKS[check](run)


def test_flower_resumes(tmp_path):
    check_resumption(run, tmp_path)
