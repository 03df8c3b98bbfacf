"""The benchmark of the loop: its rounds keep every budget of bytes, and its output names what was measured."""

import numpy as np
from typer.testing import CliRunner

from alignsolve import Status
from benchmarks import aligning, aligning_layers


def test_rounds_with_layers_are_proven_and_keep_the_budgets():
    costs = aligning_layers.layered_rounds(6, 3, 8, rounds=3)
    for cost in costs:
        assert cost.solution.status is Status.OPTIMAL
        assert min(cost.align, cost.observe, cost.admit) > 0
        assert (np.add.reduceat(cost.solution.x, [0, 8, 16], axis=1) >= 1).all()
        assert cost.solution.x.sum(axis=1).max() <= 8 * 3


def test_the_output_names_every_model(monkeypatch):
    monkeypatch.setattr(aligning_layers, "MODELS", {"tiny": (4, 2, 3)})
    app = aligning.typer.Typer()
    app.command()(aligning.race)
    done = CliRunner().invoke(app, ["--clients", "20", "--experts", "4", "--repeats", "1", "--rounds", "2"])
    assert done.exit_code == 0, done.output
    assert "4 x (2 x 3), bytes, tiny: align " in done.output
    assert "together" in done.output
    assert "proof: PRICES" in done.output
