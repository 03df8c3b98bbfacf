"""The update that a client returns, and its inspection before it may be merged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import MAX_FLOAT
from fedtrain.aggregate import arrays
from fedtrain.layouts import Layout, RouterRows, Weights

ROUNDING = 1e-6
"""By how much a share may exceed 1: a mean of ones in float32 does, by some 1e-7. More would be weight for nothing."""


class Measured(NamedTuple):
    """What a client saw while it trained, averaged over all its steps.

    Attributes
    ----------
    usage
        (k,) share of its examples that went through each held expert.
    loss, accuracy
        (k,) means over the examples that went through the expert; NaN where none did.
    router_mass
        (num_experts,) the router's mean softmax over all experts of a layer, held or not, before local training; None
        if it was not measured.
    """

    usage: Any
    loss: Any
    accuracy: Any
    router_mass: Any = None


@dataclass(frozen=True, eq=False)
class PartialUpdate:
    """What a client returns.

    Attributes
    ----------
    client
        Index of the client.
    experts
        The experts that it was assigned, ascending.
    weights
        As :func:`fedtrain.partial.slice_weights` gave them, trained.
    num_examples
        How many examples it trained on: the weight of its shared part.
    usage
        (k,) share of these examples that went through each expert: with ``num_examples`` the weight of its expert and
        of the expert's row of the router. None: all of them went through each.
    loss, accuracy, router_mass
        What else it measured (:class:`fedtrain.partial.Measured`), for the aligner to learn from; None: nothing.
    """

    client: int
    experts: Sequence[int]
    weights: Weights
    num_examples: float
    usage: npt.ArrayLike | None = None
    loss: npt.ArrayLike | None = None
    accuracy: npt.ArrayLike | None = None
    router_mass: npt.ArrayLike | None = None

    @property
    def tensors(self) -> Weights:
        """Its weights, by the name that fedtrain's own models have for them."""
        return self.weights

    @property
    def measured(self) -> Measured:
        """All that it measured."""
        return Measured(self.usage, self.loss, self.accuracy, self.router_mass)

    def weight(self, expert: int | None) -> float:
        """How many examples trained an expert, or the shared part (None)."""
        if expert is None or self.usage is None:
            return float(self.num_examples)
        return float(np.asarray(self.usage, dtype=np.float64)[list(self.experts).index(expert)]) * self.num_examples


def find_fault(
    update: PartialUpdate,
    weights: Weights,
    layout: Layout,
    *,
    assigned: Sequence[int] | None,
    cap: float,
    router_rows: RouterRows = "held",
) -> str | None:
    """Say why an update must not be merged; None if it may.

    Parameters
    ----------
    update
        What came back. Nothing that it holds makes this fail.
    weights, layout
        The whole model's, whose shapes and types it must have.
    assigned
        The experts that its client was given; None if it was not asked at all.
    cap
        The most examples that its client can have.
    router_rows
        Which of the router's rows it is to return.
    """
    if assigned is None:
        return "was not asked to train"
    experts = layout.check_experts(assigned)
    claimed = np.asarray(update.experts, dtype=object).tolist()  # whatever it is
    if claimed != list(experts):
        return f"claims experts {claimed}, was assigned {list(experts)}"
    if not _is_number(update.num_examples) or not 0 < update.num_examples <= cap:
        return f"claims {update.num_examples!r} examples, can have more than 0 and at most {cap:g}"
    return (
        _fault_of_shares("usage", update.usage, len(experts))
        or _fault_of_shares("router_mass", update.router_mass, layout.num_experts)
        or _fault_of_weights(update.weights, layout.sliced_shapes(weights, experts, router_rows), weights)
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _fault_of_shares(field: str, given: npt.ArrayLike | None, number: int) -> str | None:
    if given is None:
        return None
    shares = np.asarray(given, dtype=object)  # whatever it is, a ragged list even
    if shares.shape != (number,):
        return f"{field} has shape {shares.shape}, expected {(number,)}"
    if not all(_is_number(share) and 0.0 <= share <= 1.0 + ROUNDING for share in shares):
        return f"{field} is {shares.tolist()}, not shares between 0 and 1"
    return None


def _fault_of_weights(returned: Weights, expected: dict[str, tuple[int, ...]], weights: Weights) -> str | None:
    for name in sorted(returned.keys() | expected.keys(), key=str):
        if name not in returned:
            return f"tensor {name} is missing"
        if name not in expected:
            return f"tensor {name} is not part of its assignment"
        value = returned[name]
        if not arrays.is_dense(value):
            return f"tensor {name} is a {type(value).__name__}, not a dense array"
        wanted = f"{arrays.kind(weights[name])} {expected[name]}"
        if f"{arrays.kind(value)} {tuple(value.shape)}" != wanted:
            return f"tensor {name} is {arrays.kind(value)} {tuple(value.shape)}, expected {wanted}"
        if not arrays.largest(value) <= MAX_FLOAT:  # nor is NaN
            return f"tensor {name} is not finite or absurdly large"
    return None
