"""The example of personal models: the pull keeps a client's model near the server's, and every figure is printed."""

import importlib.util
from pathlib import Path

import pytest
import torch

from fedtrain.config.file import read_config
from fedtrain.models import part_to_download
from fedtrain.server import initial_state, prepare

EXAMPLE = Path(__file__).parents[2] / "examples" / "systems" / "personal_model.py"
SMALL = ("clients.num_clients=4", "data.max_examples=20", "model.num_hidden=16")


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("personal_model", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_larger_pull_keeps_the_personal_model_nearer(example):
    federation = prepare(read_config(overrides=[*example.TASK, *SMALL]))
    tensors, experts = initial_state(federation).tensors, (0, 2)

    def far(pull):
        model = federation.spec.build(experts).load(part_to_download(tensors, experts))
        before = torch.cat([value.detach().flatten().clone() for value in model.parameters()])
        own = example.personal(federation, model, 0, pull, steps=20)
        return float((torch.cat([value.detach().flatten() for value in own.parameters()]) - before).norm())

    moved = [far(pull) for pull in (float("inf"), 10.0, 1.0, 0.0)]
    assert moved[0] == 0.0
    assert moved == sorted(moved)
    assert moved[1] < 0.5 * moved[3]


@pytest.mark.slow
def test_every_channel_and_pull_has_its_figure(example, capsys):
    found = example.main(["--rounds", "1", "--steps", "2", *(word for key in SMALL for word in ("--set", key))])
    assert {channel for channel, _ in found} == set(example.CHANNELS)
    assert all(0.0 <= value <= 1.0 for value in found.values())
    assert capsys.readouterr().out.count("\n") == 3
