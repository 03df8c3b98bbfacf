"""Malicious clients: they train as asked and then send something else.

The attackers are drawn once per run. An attacker's tensors are made from two things: the model w that the server sent,
and the attacker's own honest result w + d.

- ``same-value``: w + scale in every parameter; ``sign-flip``: w − scale·d; ``gaussian``: w + scale·noise with standard
  normal noise. These three are the attacks of Li et al. (RSA, AAAI 2019), stated on what is added to the model.
- ``scaled``: w + scale·d, so that an attacker has the say of many clients.
- ``nans``: NaN in every parameter.
- ``replay``: the attacker's first update again, under the number of the first round.
- ``forged-replay``: the attacker's first update again, under the number of the current round.

An attacker reports its number of examples and its measurements honestly, so that it looks like every other client.
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
    """Draw the attackers, (num_clients,) True for each."""
    num_clients = config.clients.num_clients
    if config.attack.kind == "none":
        return np.zeros(num_clients, dtype=np.bool_)
    rank = generator(config.seed, Purpose.ATTACKERS).permutation(num_clients)
    return rank < round(config.attack.share * num_clients)


def corrupt(update: PartialUpdate, sent: Tensors, config: RunConfig, number: int) -> PartialUpdate:
    """Turn an attacker's honest update into the update that it sends; replays are made elsewhere.

    Parameters
    ----------
    update
        The honest result.
    sent
        The model's tensors as the server sent them to the client.
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
        if attack.kind == "scaled":
            return base + attack.scale * (value - base)
        if attack.kind == "nans":
            return torch.full_like(value, torch.nan)
        return value

    return replace(update, weights={name: instead(name, update.weights[name]) for name in sorted(update.weights)})
