"""What a client returns after local training, and the inspection that decides whether it may be merged."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from alignsolve.numerics import FloatArray
from fedtrain.models import Tensors, expert_of, part_to_upload

ROUNDING = 1e-3
"""By how much a mean that a client computed in float32 may be off its range."""


class Measured(NamedTuple):
    """What a client saw while it trained, averaged over all its steps.

    Attributes
    ----------
    usage
        (num_held,) share of the routing weight that each held expert got; sums to 1 in each layer.
    loss, accuracy
        (num_held,) mean cross-entropy and accuracy of the examples routed to the expert, weighted by their gates;
        NaN where none was.
    router_mass
        (num_experts,) the router's mean softmax over all experts of a layer, held or not, before local training.
    """

    usage: FloatArray
    loss: FloatArray
    accuracy: FloatArray
    router_mass: FloatArray


@dataclass(frozen=True, eq=False)
class Update:
    """What a client returns.

    Attributes
    ----------
    client
        Index of the client.
    experts
        The experts that it was assigned, ascending.
    tensors
        The shared part, these experts, and their rows of the router.
    num_examples
        How many examples it trained on.
    measured
        What it saw meanwhile.
    """

    client: int
    experts: tuple[int, ...]
    tensors: Tensors
    num_examples: int
    measured: Measured

    def weight(self, name: str) -> float:
        """Weight of this client's value of a tensor: how many of its examples trained it."""
        expert = expert_of(name)
        share = 1.0 if expert is None else float(self.measured.usage[self.experts.index(expert)])
        return share * self.num_examples


def find_fault(
    update: Update, current: Mapping[str, Tensor], *, client: int, experts: tuple[int, ...], num_examples: int
) -> str | None:
    """Say why an update must not be merged; None if it may.

    Nothing that an update holds is believed before it is looked at, and nothing in it makes this fail.

    Parameters
    ----------
    update
        What came back.
    current
        The whole model's tensors, whose shapes and types it must have.
    client, experts
        Who was asked, and what it was assigned.
    num_examples
        How many examples the client is known to have; it may have trained on fewer. With its usage, shares of them,
        that caps its weight.
    """
    if update.client != client:
        return f"claims to be client {update.client}, not {client}"
    if update.experts != experts:
        return f"claims experts {list(update.experts)}, was assigned {list(experts)}"
    if not isinstance(update.num_examples, int) or not 0 < update.num_examples <= num_examples:
        return f"claims {update.num_examples} examples, has {num_examples}"
    num_experts = sum(name.startswith("router.") for name in current)
    return _fault_of_tensors(update, current) or _fault_of_measures(update, num_experts)


def _fault_of_tensors(update: Update, current: Mapping[str, Tensor]) -> str | None:
    expected = part_to_upload(current, update.experts)
    for name in sorted(update.tensors.keys() | expected.keys(), key=str):
        if name not in update.tensors:
            return f"tensor {name} is missing"
        if name not in expected:
            return f"tensor {name} is not part of its assignment"
        value, known = update.tensors[name], expected[name]
        if not isinstance(value, Tensor) or value.layout is not torch.strided or value.device != known.device:
            return f"tensor {name} is not a dense tensor"
        if value.shape != known.shape or value.dtype != known.dtype:
            return f"tensor {name} is {value.dtype} {tuple(value.shape)}, expected {known.dtype} {tuple(known.shape)}"
        if not bool(torch.isfinite(value).all()):
            return f"tensor {name} is not finite"
    return None


def _fault_of_measures(update: Update, num_experts: int) -> str | None:
    measured, num_held = update.measured, len(update.experts)
    lengths = {"usage": num_held, "loss": num_held, "accuracy": num_held, "router_mass": num_experts}
    for field, length in lengths.items():
        value = getattr(measured, field)
        if not isinstance(value, np.ndarray) or value.dtype.kind != "f":
            return f"{field} is not an array of numbers"
        if value.shape != (length,):
            return f"{field} has shape {value.shape}, expected {(length,)}"
    usage, mass = measured.usage, measured.router_mass
    if not ((usage >= 0.0) & (usage <= 1.0)).all():
        return f"usage is {usage.tolist()}, not shares between 0 and 1"
    if not usage.any():
        return "usage is 0 for every expert"
    loss, accuracy = measured.loss[usage > 0.0], measured.accuracy[usage > 0.0]
    if not (np.isfinite(loss) & np.isfinite(accuracy)).all():
        return "loss or accuracy is not finite though the expert was used"
    if not ((loss >= -ROUNDING) & (accuracy >= 0.0) & (accuracy <= 1.0 + ROUNDING)).all():
        return "loss is below 0, or accuracy is not between 0 and 1"
    if not ((mass >= 0.0) & (mass <= 1.0 + ROUNDING)).all():
        return "router_mass is not a share between 0 and 1 for every expert"
    return None
