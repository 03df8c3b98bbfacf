"""Slices a client's part out of the weights: shared tensors, its experts, the router's rows; counts the bytes."""

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
    """Copy what a client needs to train these experts.

    Parameters
    ----------
    weights
        The whole model's tensors by name; not changed.
    layout
        From :func:`fedtrain.layouts.detect`.
    experts
        The client's, numbered through the layers.
    router_rows
        Which of the router's rows it gets.

    Returns
    -------
    dict
        Shared tensors as they are; divided tensors with the entries of these experts alone, in ascending order, as a
        model with only so many experts has them; of tensors that belong to one expert those of these experts.

    Raises
    ------
    ValueError
        If an expert is named twice, or there is no such expert.

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
    """Bytes of a client's part of the weights.

    Attributes
    ----------
    shared
        Of the tensors that every client gets.
    router
        Of its rows of the router.
    experts
        Of its experts.
    """

    shared: int
    router: int
    experts: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self)


def traffic(weights: Weights, layout: Layout, experts: Iterable[int], *, router_rows: RouterRows = "held") -> Traffic:
    """Say how many bytes :func:`slice_weights` with the same arguments returns, without slicing."""
    totals = [0, 0, 0]
    for name, shape in layout.sliced_shapes(weights, layout.check_experts(experts), router_rows).items():
        part = layout.parts.get(name)
        totals[0 if part is None else 1 if part.router else 2] += math.prod(shape) * weights[name].dtype.itemsize
    return Traffic(*totals)


def assignments(solution: Solution, cohort: npt.ArrayLike) -> dict[int, tuple[int, ...]]:
    """Read each client's experts from an alignment; clients without experts are left out.

    Parameters
    ----------
    solution
        Of :meth:`alignsolve.Aligner.align`.
    cohort
        The client of each of its rows.
    """
    if solution.assigned is None:
        raise ValueError(f"the solution is {solution.status.value} and holds no alignment")
    indptr, experts = solution.assigned
    rows = zip(np.asarray(cohort).tolist(), indptr[:-1], indptr[1:], strict=True)
    return {client: tuple(experts[start:end].tolist()) for client, start, end in rows if end > start}
