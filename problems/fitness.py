"""Kinds of random fitness, for families that are about the shape of the matrix and not about its entries."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import FloatArray, RealArray

DECADES = 6
"""A wide span of fitness goes from 10^−DECADES to 10^DECADES."""


def draw(kind: str, rng: np.random.Generator, num_clients: int, num_experts: int) -> RealArray:
    """Draw a fitness, (num_clients, num_experts), of a kind in ``KINDS``; all entries are at least 0."""
    if kind not in KINDS:
        raise ValueError(f"there is no kind of fitness {kind!r}; there are: {', '.join(KINDS)}")
    return KINDS[kind](rng, num_clients, num_experts)


def spread_out(fitness: FloatArray) -> FloatArray:
    """Return positive fitness stretched over twelve decades, 1e-6 to 1e6; the order of the entries stays.

    The logarithms are scaled. So two entries that had equal ratios to a third have equal ratios again.
    """
    exponent = np.log10(fitness)
    least, most = exponent.min(), exponent.max()
    if most > least:
        exponent = (exponent - least) * (2 * DECADES / (most - least)) - DECADES
    return np.power(10.0, exponent, out=exponent)


def _uniform(rng: np.random.Generator, num_clients: int, num_experts: int) -> FloatArray:
    """Draw from [0, 1)."""
    return rng.random((num_clients, num_experts))


def _integers(rng: np.random.Generator, num_clients: int, num_experts: int) -> npt.NDArray[Any]:
    """Draw integers 0..99: many ties."""
    return rng.integers(100, size=(num_clients, num_experts))


def _rank1(rng: np.random.Generator, num_clients: int, num_experts: int) -> FloatArray:
    """Draw the outer product of two vectors in [0, 1)."""
    return np.outer(rng.random(num_clients), rng.random(num_experts))


def _wide(rng: np.random.Generator, num_clients: int, num_experts: int) -> FloatArray:
    """Draw numbers whose logarithms are uniform between those of 1e-6 and 1e6."""
    exponent = rng.uniform(-DECADES, DECADES, size=(num_clients, num_experts))
    return np.power(10.0, exponent, out=exponent)


KINDS: dict[str, Callable[[np.random.Generator, int, int], RealArray]] = {
    "uniform": _uniform,
    "integers": _integers,
    "rank1": _rank1,
    "span": _wide,
}
"""Every kind of fitness by name."""
