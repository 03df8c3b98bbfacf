"""Copies a client's part of the weights and counts its bytes: shared tensors, its experts, and rows of the router."""

import math
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve import Solution
from fedtrain.aggregate import arrays
from fedtrain.aggregate.arrays import Array
from fedtrain.layouts import Layout, RouterRows, Weights


def slice_weights(
    weights: Weights, layout: Layout, experts: Iterable[int], *, router_rows: RouterRows = "held"
) -> dict[str, Array]:
    """Copy the weights that a client needs to train these experts.

    Parameters
    ----------
    weights
        The whole model's tensors by name; they are not changed.
    layout
        The model's layout, from :func:`fedtrain.layouts.detect`.
    experts
        The client's experts, numbered through the layers.
    router_rows
        The rows of the router that the client gets.

    Returns
    -------
    dict
        The client's tensors by name, with three kinds of entries. Shared tensors are complete. Tensors that belong to
        one expert are included for the client's experts only. Tensors that hold all experts are cut down to the
        client's experts, in ascending order: they have the shape of a model with only this number of experts.

    Raises
    ------
    ValueError
        If an expert is named twice or does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> from fedtrain.layouts import detect
    >>> weights = {f"experts.{j}.weight": np.full(2, j) for j in range(4)}
    >>> weights |= {"router.weight": np.arange(8).reshape(4, 2), "head.weight": np.ones(3)}
    >>> part = slice_weights(weights, detect(weights), [3, 1])
    >>> sorted(part), part["router.weight"].tolist()
    (['experts.1.weight', 'experts.3.weight', 'head.weight', 'router.weight'], [[2, 3], [6, 7]])
    """
    chosen = layout.check_experts(experts)
    shapes = layout.sliced_shapes(weights, chosen, router_rows)
    sliced = {name: arrays.new(weights[name], shape) for name, shape in shapes.items()}
    for piece in layout.pieces(weights, chosen, router_rows):
        sliced[piece.name][piece.sliced] = arrays.plain(weights[piece.name])[piece.whole]
    return sliced


class Traffic(NamedTuple):
    """The size of a client's part of the weights, in bytes.

    Attributes
    ----------
    shared
        Bytes of the tensors that every client gets.
    router
        Bytes of the client's rows of the router.
    experts
        Bytes of the client's experts.
    """

    shared: int
    router: int
    experts: int

    @property
    def total(self) -> int:
        """The sum of all three."""
        return sum(self)


def traffic(weights: Weights, layout: Layout, experts: Iterable[int], *, router_rows: RouterRows = "held") -> Traffic:
    """Return the size of the weights that :func:`slice_weights` returns for the same arguments, without copying."""
    totals = [0, 0, 0]
    for name, shape in layout.sliced_shapes(weights, layout.check_experts(experts), router_rows).items():
        part = layout.parts.get(name)
        totals[0 if part is None else 1 if part.router else 2] += math.prod(shape) * weights[name].dtype.itemsize
    return Traffic(*totals)


def assignments(solution: Solution, cohort: npt.ArrayLike) -> dict[int, tuple[int, ...]]:
    """Return each client's experts in an alignment. Clients without experts are left out.

    Parameters
    ----------
    solution
        The solution, from :meth:`alignsolve.Aligner.align`.
    cohort
        The client of each row of the solution.

    Raises
    ------
    ValueError
        If the solution holds no alignment.
    """
    if solution.assigned is None:
        raise ValueError(f"the solution is {solution.status.value} and holds no alignment")
    indptr, experts = solution.assigned
    rows = zip(np.asarray(cohort).tolist(), indptr[:-1], indptr[1:], strict=True)
    return {client: tuple(experts[start:end].tolist()) for client, start, end in rows if end > start}
