"""Malicious clients: they train as asked and then send something else.

Which clients do is drawn once. An attacker's tensors are made from the model that it was sent, w, and from its own
honest result, w + d:

- ``same-value``: w + scale in every parameter; ``sign-flip``: w − scale·d; ``gaussian``: w + scale·noise with standard
  normal noise. These three are the attacks of Li et al. (RSA, AAAI 2019), stated on what is added to the model.
- ``nans``: NaN in every parameter.
- ``replay``: what it would have sent in the first round, under that round's number. ``forged-replay``: the same, under
  the number of the current round.

What it says of its examples and measures stays as it would be, so that it looks like everybody else.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from alignsolve.numerics import BoolArray
from fedtrain.config import RunConfig
from fedtrain.models import Tensors
from fedtrain.partial import PartialUpdate
from fedtrain.randomness import Purpose, generator

REPLAYS = ("replay", "forged-replay")


def draw_attackers(config: RunConfig) -> BoolArray:
    """Draw who attacks, (num_clients,)."""
    num_clients = config.clients.num_clients
    if config.attack.kind == "none":
        return np.zeros(num_clients, dtype=np.bool_)
    rank = generator(config.seed, Purpose.ATTACKERS).permutation(num_clients)
    return rank < round(config.attack.share * num_clients)


def corrupt(update: PartialUpdate, sent: Tensors, config: RunConfig, number: int) -> PartialUpdate:
    """Turn an attacker's honest update into what it sends; a replay is none of this function's business.

    Parameters
    ----------
    update
        The honest result.
    sent
        The model's tensors that the client was sent.
    config
        Kind and scale of the attack, and the seed.
    number
        The round, counted from 0.
    """
    attack = config.attack
    rng = generator(config.seed, Purpose.ATTACK, number, update.client)

    def instead(name: str, value: Tensor) -> Tensor:
        base = sent[name]
        if attack.kind == "same-value":
            return base + attack.scale
        if attack.kind == "sign-flip":
            return base - attack.scale * (value - base)
        if attack.kind == "gaussian":
            noise = torch.from_numpy(rng.standard_normal(tuple(value.shape)))
            return base + (attack.scale * noise).to(base.dtype)
        if attack.kind == "nans":
            return torch.full_like(value, torch.nan)
        return value

    return replace(update, weights={name: instead(name, update.weights[name]) for name in sorted(update.weights)})
