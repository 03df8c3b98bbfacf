"""Values of a table: one, or an array in one of the shapes that a field accepts."""

from typing import Any

import numpy as np


def pick(rng: np.random.Generator, table: Any, shape: Any = ()) -> Any:
    """Draw values of a table, an array or one number."""
    return np.asarray(table)[rng.integers(len(table), size=shape)]


def spread(rng: np.random.Generator, table: Any, sizes: dict[str, int], *axes: str) -> tuple[Any, str]:
    """Draw values of one of the shapes that a field accepts, and the axes of that shape."""
    own = axes[int(rng.integers(len(axes)))]
    return pick(rng, table, tuple(sizes[axis] for axis in own)), own


def on_grid(counts: Any, unit: float) -> Any:
    """Multiples of a unit, those of 0.01 rounded once."""
    return counts / 100 if unit == 0.01 else counts * unit
