"""The update that a client returns, and its inspection before it may be merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import MAX_FLOAT
from fedtrain.aggregate import arrays
from fedtrain.layouts import Layout, RouterRows, Weights

ROUNDING = 1e-6
"""The tolerance by which a share may exceed 1.

A mean of ones in float32 exceeds 1 by about 1e-7. A larger tolerance would let clients claim extra weight.
"""


class Measured(NamedTuple):
    """The measures of a client's local training, averaged over all its steps.

    Attributes
    ----------
    usage
        (k,) share of its examples that went through each held expert.
    loss, accuracy
        (k,) means over the examples that went through the expert; NaN for an expert without examples.
    router_mass
        (num_experts,) the router's mean softmax before local training, over all experts of a layer, held or not. None
        if it was not measured.
    """

    usage: Any
    loss: Any
    accuracy: Any
    router_mass: Any = None


@dataclass(frozen=True, eq=False)
class PartialUpdate:
    """The update that a client returns.

    Attributes
    ----------
    client
        Index of the client.
    experts
        The client's assigned experts, ascending.
    weights
        The trained tensors, with the names and shapes that :func:`fedtrain.partial.slice_weights` returned.
    num_examples
        Number of examples that the client trained on. It is the weight of the shared part.
    usage
        (k,) share of these examples that went through each expert. Usage times ``num_examples`` is the weight of the
        expert and of its row of the router. None: all examples went through every expert.
    loss, accuracy, router_mass
        Further measures (:class:`fedtrain.partial.Measured`) that the aligner learns from; None: not measured.
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
        """The weights, under the name that fedtrain's own models use for them."""
        return self.weights

    @property
    def measured(self) -> Measured:
        """All measures of the update."""
        return Measured(self.usage, self.loss, self.accuracy, self.router_mass)

    def weight(self, expert: int | None) -> float:
        """Return the number of examples that trained an expert, or the shared part (None)."""
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
    """Return the reason why an update must not be merged; None if it may be merged.

    Parameters
    ----------
    update
        The update to inspect. No content of an update raises an error here.
    weights, layout
        The whole model's tensors and layout. The update must have the same types, and the shapes of its slice.
    assigned
        The experts that the client was assigned; None if the client was not asked.
    cap
        The maximum number of examples of the client.
    router_rows
        The rows of the router that the client must return.
    """
    if assigned is None:
        return "was not asked to train"
    # Check the claims: the experts, and the number of examples.
    experts = layout.check_experts(assigned)
    claimed = np.asarray(update.experts, dtype=object).tolist()  # accepts a value of any type
    if not _are(claimed, experts):
        return f"claims experts {claimed}, was assigned {list(experts)}"
    if not _is_number(update.num_examples) or not 0 < update.num_examples <= cap:
        return f"claims {update.num_examples!r} examples, can have more than 0 and at most {cap:g}"
    # Check the measures, and then the tensors.
    return (
        _fault_of_shares("usage", update.usage, len(experts))
        or _fault_of_shares("router_mass", update.router_mass, layout.num_experts)
        or _fault_of_weights(update.weights, layout.sliced_shapes(weights, experts, router_rows), weights)
    )


def _are(claimed: Any, experts: Sequence[int]) -> bool:
    """Whether claimed experts, of any type, are these; arrays among them would compare entry by entry."""
    if not isinstance(claimed, list) or len(claimed) != len(experts):
        return False
    return all(isinstance(one, Real) and one == j for one, j in zip(claimed, experts, strict=True))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _fault_of_shares(field: str, given: npt.ArrayLike | None, number: int) -> str | None:
    """Return the fault of a measure that must hold ``number`` shares between 0 and 1."""
    if given is None:
        return None
    shares = np.asarray(given, dtype=object)  # accepts a value of any type, even a ragged list
    if shares.shape != (number,):
        return f"{field} has shape {shares.shape}, expected {(number,)}"
    if not all(_is_number(share) and 0.0 <= share <= 1.0 + ROUNDING for share in shares):
        return f"{field} is {shares.tolist()}, not shares between 0 and 1"
    return None


def _fault_of_weights(returned: Any, expected: dict[str, tuple[int, ...]], weights: Weights) -> str | None:
    """Return the first fault of the returned tensors, by name: their names, types, shapes and values are checked."""
    if not isinstance(returned, Mapping):
        return f"returns a {type(returned).__name__}, not tensors by name"
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
        if not arrays.largest(value) <= MAX_FLOAT:  # true for NaN as well
            return f"tensor {name} is not finite or absurdly large"
    return None
