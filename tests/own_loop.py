"""The results of a run by fedtrain's own loop, and of the same run by an adapter's server from its folder."""

import json

from fedtrain.config.file import read_config
from fedtrain.server import initial_state, prepare
from fedtrain.server.checkpoint import load_weights
from fedtrain.server.rounds import run_rounds


def own_loop(num_clients, rounds, *overrides):
    """Run all rounds; return every round's row, and the last state."""
    sizes = (f"clients.num_clients={num_clients}", f"rounds={rounds}", "clients.dropout=0")
    federation = prepare(read_config(overrides=[*sizes, *overrides]))
    played = list(run_rounds(federation, initial_state(federation)))
    return [done.row for done, _ in played], played[-1][1]


def assert_same_model(folder, state):
    known = load_weights(folder)
    assert known.keys() == state.tensors.keys()
    assert max(float((known[name] - value).abs().max()) for name, value in state.tensors.items()) <= 1e-6


def history(folder):
    """Return every round's figures, from the newest state."""
    newest = max(folder.glob("round-*"))
    return json.loads((newest / "state.json").read_text(encoding="utf-8"))["history"]
