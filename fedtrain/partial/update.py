"""What a client returns, and the inspection that decides whether it may be merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import MAX_FLOAT
from fedtrain.aggregate import arrays
from fedtrain.layouts import Layout, Weights
from fedtrain.partial.slicing import RouterRows, travelling_part

ROUNDING = 1e-6
"""By how much a share of all examples may exceed 1: a mean of ones in float32 does now and then."""


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
    """

    client: int
    experts: Sequence[int]
    weights: Weights
    num_examples: float
    usage: npt.ArrayLike | None = None

    def expert_weights(self) -> dict[int, float]:
        """Weight of each of its experts."""
        usage = np.ones(len(self.experts)) if self.usage is None else np.asarray(self.usage, dtype=np.float64)
        return {int(j): float(share) * self.num_examples for j, share in zip(self.experts, usage, strict=True)}


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
        What came back.
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
    fault = _fault_of_usage(update.usage, len(experts))
    return fault or _fault_of_weights(update, _expected_shapes(weights, layout, experts, router_rows), weights)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def _fault_of_usage(usage: npt.ArrayLike | None, num_held: int) -> str | None:
    if usage is None:
        return None
    shares = np.asarray(usage, dtype=object)  # whatever it is, a ragged list even
    if shares.shape != (num_held,):
        return f"usage has shape {shares.shape}, expected {(num_held,)}"
    if not all(_is_number(share) and 0.0 <= share <= 1.0 + ROUNDING for share in shares):
        return f"usage is {shares.tolist()}, not shares between 0 and 1"
    return None


def _fault_of_weights(update: PartialUpdate, expected: Mapping[str, tuple[int, ...]], weights: Weights) -> str | None:
    for name in sorted(update.weights.keys() | expected.keys(), key=str):
        if name not in update.weights:
            return f"tensor {name} is missing"
        if name not in expected:
            return f"tensor {name} is not part of its assignment"
        value = update.weights[name]
        if not arrays.is_array(value):
            return f"tensor {name} is a {type(value).__name__}"
        wanted = f"{arrays.kind(weights[name])} {expected[name]}"
        if f"{arrays.kind(value)} {tuple(value.shape)}" != wanted:
            return f"tensor {name} is {arrays.kind(value)} {tuple(value.shape)}, expected {wanted}"
        if not arrays.largest(value) <= MAX_FLOAT:  # nor is NaN
            return f"tensor {name} is not finite or absurdly large"
    return None


def _expected_shapes(
    weights: Weights, layout: Layout, experts: Sequence[int], router_rows: RouterRows
) -> dict[str, tuple[int, ...]]:
    shapes = {}
    for name, value in weights.items():
        part, shape = travelling_part(layout, name, router_rows), tuple(value.shape)
        if part is None:
            shapes[name] = shape
        elif part.axis is not None or part.held(experts):
            shapes[name] = part.shape(shape, len(part.held(experts)))
    return shapes
