"""A personal model beside the one that all clients train over a noisy channel (arXiv 2302.12509), reconstructed.

The server's model w went through fading and noise in every round. In the end each client n solves a problem of its own,

    min over v of  f_n(v) + λ/2 · ‖v − w‖²,

on its own examples: v is w for a large λ, and a model trained alone from w for λ = 0. Prints the mean personalised
accuracy by λ, without the channel and with it. Clients have conflicting tasks here, which no input shows.

Run: python examples/systems/personal_model.py [--rounds 20] [--steps 60] [--seed 0] [--set key=value …]
"""

import argparse
import math
from collections.abc import Sequence

import numpy as np
import torch
from torch.nn import functional

from fedtrain.config.file import read_config
from fedtrain.models import Model, Tensors, part_to_download
from fedtrain.server import Federation, initial_state, prepare
from fedtrain.server.rounds import run_rounds

TASK = ("data.name=concepts", "data.concepts.visible=false", "training.together=true", "alignment.fitness=loss")
CHANNELS = {"no channel": (), "channel": ("channel.fading=rayleigh", "channel.noise=0.02")}
PULLS = (math.inf, 10.0, 1.0, 0.1, 0.0)
"""Values of λ; with inf the client keeps its part of w."""


def personal(federation: Federation, whole: Model, client: int, pull: float, steps: int) -> Model:
    """Return the client's own model, which starts from its part of the server's."""
    data, shared = federation.clients[client], [value.detach().clone() for value in whole.parameters()]
    optimizer = torch.optim.SGD(whole.parameters(), lr=min(0.1, 1.0 / (pull + 1.0)))
    for _ in range(steps if math.isfinite(pull) else 0):
        away = sum((value - start).square().sum() for value, start in zip(whole.parameters(), shared, strict=True))
        loss = functional.cross_entropy(whole(data.inputs).logits, data.labels) + 0.5 * pull * away
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return whole


def accuracy(federation: Federation, model: Model, client: int) -> float:
    """Return the share of correct predictions on the test set, weighted by the client's mixture of domains."""
    with torch.no_grad():
        right = model(federation.test.inputs).logits.argmax(dim=1) == federation.test.labels
    return float(federation.data.test_weights(client) @ right.double().numpy())


def main(arguments: Sequence[str] | None = None) -> dict[tuple[str, float], float]:
    """Train with each channel, solve the personal problems; print and return the accuracies by channel and λ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=60, help="steps of each personal problem")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="further keys of the configuration")
    chosen = parser.parse_args(arguments)
    own = (f"rounds={chosen.rounds}", f"seed={chosen.seed}", *chosen.set)
    print(f"{'λ':12}" + "".join(f"{pull:>8}" for pull in PULLS))
    found = {}
    for name, channel in CHANNELS.items():
        federation, held = prepare(read_config(overrides=[*TASK, *channel, *own])), {}
        tensors: Tensors = {}
        for done, after in run_rounds(federation, initial_state(federation)):
            held |= {report.client: tuple(report.experts.tolist()) for report in done.reports if len(report.experts)}
            tensors = after.tensors
        for pull in PULLS:
            scores = []
            for client, experts in held.items():
                whole = federation.spec.build(experts).load(part_to_download(tensors, experts))
                scores.append(accuracy(federation, personal(federation, whole, client, pull, chosen.steps), client))
            found[name, pull] = float(np.mean(scores))
        print(f"{name:12}" + "".join(f"{found[name, pull]:8.3f}" for pull in PULLS), flush=True)
    return found


if __name__ == "__main__":
    main()
