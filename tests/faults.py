"""A network that loses, repeats, reorders and damages replies, and clients that send nonsense; from one generator."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import torch

from fedtrain.partial import PartialUpdate
from fedtrain.server.simulated_clients import Reply, seal

Change = Callable[[np.random.Generator, PartialUpdate], PartialUpdate]


class Network:
    """A transport with faults; it records the sound replies, and the number of unsound ones."""

    def __init__(self, rng: np.random.Generator, rate: float) -> None:
        self.rng = rng
        self.rate = rate
        self.sound: list[PartialUpdate] = []
        self.unsound: list[int] = []

    def __call__(self, replies: Sequence[Reply]) -> list[Reply]:
        """Deliver a round's replies."""
        self.sound, self.unsound = [], []
        delivered: list[Reply] = []
        for reply in replies:
            delivered += self._deliver(reply) if self.rng.random() < self.rate else self._sound(reply)
        return [delivered[k] for k in self.rng.permutation(len(delivered))]

    def _sound(self, reply: Reply) -> list[Reply]:
        self.sound.append(reply.update)
        return [reply]

    def _bad(self, reply: Reply) -> list[Reply]:
        self.unsound.append(reply.sender)
        return [reply]

    def _deliver(self, reply: Reply) -> list[Reply]:
        kind = self.rng.choice(["drop", "repeat", "again", "corrupt", "stale", "stranger", "nonsense"], p=PROBABILITIES)
        if kind == "drop":
            return []
        if kind == "repeat":
            return [*self._sound(reply), reply]
        if kind == "again":  # once more, and otherwise: neither counts
            other = nonsense(self.rng, reply.update)
            return [*self._bad(reply), seal(reply.sender, reply.round, other)]
        if kind == "corrupt":
            return self._bad(dataclasses.replace(reply, update=_flip_a_bit(self.rng, reply.update)))
        if kind == "stale":
            return self._bad(seal(reply.sender, reply.round - 1, reply.update))
        if kind == "stranger":
            return self._bad(seal(1000 + reply.sender, reply.round, reply.update))
        return self._bad(seal(reply.sender, reply.round, nonsense(self.rng, reply.update)))


PROBABILITIES = [0.1, 0.1, 0.1, 0.15, 0.1, 0.05, 0.4]


def nonsense(rng: np.random.Generator, update: PartialUpdate) -> PartialUpdate:
    """Return an update that must be refused."""
    return NONSENSE[rng.integers(len(NONSENSE))](rng, update)


def _flip_a_bit(rng: np.random.Generator, update: PartialUpdate) -> PartialUpdate:
    name = sorted(update.tensors)[rng.integers(len(update.tensors))]
    value = update.tensors[name].clone()
    bits = value.view(torch.int32).reshape(-1)
    bits[int(rng.integers(len(bits)))] ^= 1 << int(rng.integers(31))
    return dataclasses.replace(update, weights={**update.tensors, name: value})


def _with(change: Callable[[np.random.Generator, torch.Tensor], object]) -> Change:
    """Return the update with one tensor changed."""

    def changed(rng: np.random.Generator, update: PartialUpdate) -> PartialUpdate:
        name = sorted(update.tensors)[rng.integers(len(update.tensors))]
        return dataclasses.replace(update, weights={**update.tensors, name: change(rng, update.tensors[name].clone())})

    return changed


def _one(rng: np.random.Generator, value: torch.Tensor, put: float) -> torch.Tensor:
    value.reshape(-1)[int(rng.integers(value.nelement()))] = put
    return value


def _without_a_tensor(rng: np.random.Generator, update: PartialUpdate) -> PartialUpdate:
    name = sorted(update.tensors)[rng.integers(len(update.tensors))]
    return dataclasses.replace(update, weights={key: value for key, value in update.tensors.items() if key != name})


def _measured(**changes: object) -> Change:
    return lambda rng, update: dataclasses.replace(update, **changes)


def _all_used(rng: np.random.Generator, update: PartialUpdate) -> PartialUpdate:
    usage = np.full(len(update.experts), 1.5)
    return dataclasses.replace(update, usage=usage)


NONSENSE: list[Change] = [
    _with(lambda rng, value: _one(rng, value, float("nan"))),
    _with(lambda rng, value: _one(rng, value, float("inf"))),
    _with(lambda rng, value: torch.full_like(value, float("-inf"))),
    _with(lambda rng, value: value.double()),
    _with(lambda rng, value: value.half()),
    _with(lambda rng, value: value.reshape(1, -1)[:, 1:]),
    _with(lambda rng, value: value.unsqueeze(0)),
    _with(lambda rng, value: torch.zeros(0)),
    _with(lambda rng, value: value.to_sparse()),
    _with(lambda rng, value: value.tolist()),
    _with(lambda rng, value: None),
    _without_a_tensor,
    lambda rng, update: dataclasses.replace(update, weights={**update.tensors, "experts.99.x\n": torch.zeros(2)}),
    lambda rng, update: dataclasses.replace(update, weights={}),
    lambda rng, update: dataclasses.replace(update, experts=(*update.experts, 77)),
    lambda rng, update: dataclasses.replace(update, experts=()),
    lambda rng, update: dataclasses.replace(update, client=update.client + 1),
    lambda rng, update: dataclasses.replace(update, num_examples=10**9),
    lambda rng, update: dataclasses.replace(update, num_examples=-1),
    lambda rng, update: dataclasses.replace(update, num_examples=float("nan")),
    _all_used,
    _measured(usage=None),
    _measured(usage=np.zeros(0)),
    _measured(router_mass=np.full(3, np.nan)),
    _measured(router_mass=np.full(3, "x", dtype=object)),
    _measured(loss="low"),
]
