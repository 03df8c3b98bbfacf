"""The guide docs/flower.md: the code that it shows is enough to train a model of torch modules."""

import re
from pathlib import Path

import pytest

pytest.importorskip("flwr", reason="Flower is not installed: pip install 'alignsolve[flower]'")
pytest.importorskip("torch")

import numpy as np
import torch
from flwr.app import Context, RecordDict

from fedtrain.adapters.flower import AlignedStrategy, pack, unpack
from tests.adding import NUM_CLIENTS, make_aligner, weights
from tests.flower_grid import FakeGrid
from tests.flower_model import make_grid, nodes

GUIDE = Path(__file__).parents[4] / "docs" / "flower.md"
BLOCKS = re.findall(r"```python\n(.*?)```", GUIDE.read_text(encoding="utf-8"), flags=re.DOTALL)
NUM_EXPERTS = 4


class Experts(torch.nn.Module):
    """Experts behind a router with one row per expert."""

    def __init__(self, experts):
        super().__init__()
        self.router = torch.nn.Linear(3, len(experts))
        self.experts = torch.nn.ModuleDict({str(j): torch.nn.Linear(3, 2) for j in experts})

    def forward(self, inputs):
        """Return outputs and gates."""
        gates = torch.softmax(self.router(inputs), dim=1)
        return sum(gates[:, [k]] * expert(inputs) for k, expert in enumerate(self.experts.values())), gates


def fit(model, client):
    """Train a few steps towards the client's own linear function."""
    inputs = torch.randn(32, 3, generator=torch.Generator().manual_seed(client))
    target = inputs[:, :2] * (client + 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(5):
        outputs, gates = model(inputs)
        loss = (outputs - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    usage = gates.detach().mean(dim=0).double()
    number = len(usage)
    return {
        "num_examples": 32,
        "usage": usage / usage.sum(),
        "loss": [loss.item()] * number,
        "accuracy": [0.5] * number,
    }


def test_the_guides_code_runs(tmp_path):
    torch.manual_seed(0)
    model = Experts(range(NUM_EXPERTS))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    client_side = {"build": Experts, "fit": fit}
    server_side = {"model": model, "experts_that_fit": [1, 2, 1], "folder": tmp_path}
    clients, server, _ = BLOCKS
    exec(clients, client_side)
    exec(server.replace("num_rounds=50", "num_rounds=3"), server_side)
    grid = FakeGrid(client_side["app"], nodes(3))
    server_side["app"](grid, Context(1, 1, {}, RecordDict(), {}))
    assert len(grid.trained()) == 3 * 3
    for message in grid.trained():
        experts = message.content.config_records["task"]["experts"]
        assert message.content.array_records["weights"]["router.weight"].shape == (len(experts), 3)
    after = model.state_dict()
    assert any(not torch.equal(after[name], value) for name, value in before.items())
    assert (tmp_path / "round-00003" / "model.safetensors").exists()


def test_flowers_adam_steps_towards_what_was_merged():
    space = {}
    exec(BLOCKS[2], space)
    options = {"num_clients": NUM_CLIENTS, "patience": 0.1, "router_down": "all", "cohort_fraction": 0.4}
    grid = make_grid()
    stepped = unpack(space["WithAdam"](make_aligner(), **options).start(grid, pack(weights()), num_rounds=1).arrays)
    merged = unpack(AlignedStrategy(make_aligner(), **options).start(make_grid(), pack(weights()), num_rounds=1).arrays)
    rate = space["adam"].eta * np.sqrt(1 - 0.99**2) / (1 - 0.9**2)
    for name, start in weights().items():
        delta = merged[name] - start
        step = rate * 0.1 * delta / (np.sqrt(0.01 * delta**2) + space["adam"].tau)
        np.testing.assert_allclose(stepped[name], start + step, atol=1e-6)
    assert np.abs(stepped["head"] - weights()["head"]).max() > 0.01
    again = space["WithAdam"](make_aligner(), **options).start(make_grid(), pack(weights()), num_rounds=3)
    assert all(np.isfinite(value).all() for value in unpack(again.arrays).values())
