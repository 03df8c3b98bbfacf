"""What a client returns after local training, and the inspection that decides whether it may be merged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from fedtrain.moe import Tensors, expert_of


@dataclass(frozen=True, eq=False)
class Update:
    """What a client returns after local training.

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
    usage
        Share of its routing that each of its experts got, in the order of ``experts``; sums to 1.
    """

    client: int
    experts: tuple[int, ...]
    tensors: Tensors
    num_examples: int
    usage: tuple[float, ...]

    def weight(self, name: str) -> float:
        """Weight of this client's value of a tensor: the examples that trained it."""
        expert = expert_of(name)
        share = 1.0 if expert is None else self.usage[self.experts.index(expert)]
        return share * self.num_examples


def find_fault(update: Update, current: Mapping[str, Tensor], experts: Iterable[int], most_examples: int) -> str | None:
    """Say why an update must not be merged; None if it may.

    Parameters
    ----------
    update
        What the client returned.
    current
        The whole model's tensors, whose shapes and types it must have.
    experts
        What the client was assigned.
    most_examples
        How many examples it is known to have.
    """
    assigned = tuple(experts)
    if update.experts != assigned:
        return f"claims experts {list(update.experts)}, was assigned {list(assigned)}"
    if not 0 < update.num_examples <= most_examples:
        return f"claims {update.num_examples} examples, has {most_examples}"
    if len(update.usage) != len(assigned) or not all(0.0 <= share <= 1.0 for share in update.usage):
        return f"claims usage {list(update.usage)}, expected a share in 0..1 for each of {len(assigned)} experts"
    expected = {name for name in current if expert_of(name) is None or expert_of(name) in assigned}
    if update.tensors.keys() != expected:
        wrong = sorted(update.tensors.keys() ^ expected)[0]
        return f"tensor {wrong} is {'missing' if wrong in expected else 'not part of its assignment'}"
    return next(filter(None, (_tensor_fault(name, update.tensors[name], current[name]) for name in sorted(expected))), None)


def _tensor_fault(name: str, value: Tensor, current: Tensor) -> str | None:
    if value.shape != current.shape or value.dtype != current.dtype:
        return f"tensor {name} is {value.dtype} {tuple(value.shape)}, expected {current.dtype} {tuple(current.shape)}"
    if not bool(torch.isfinite(value).all()):
        return f"tensor {name} is not finite"
    return None
