"""Draws what asks for loads of several clients or experts together: sets of experts, and optional demands.

Their bounds are multiples of the same unit as the loads. So a set's load often is exactly its bound.
"""

from typing import Any

import numpy as np

from tests.fuzz.pick import on_grid, pick, spread

PENALTIES = np.array([0.0, 0.5, 1.0, 3.0, 10.0, np.inf])
EXTREME_BOUNDS = (1e19, 1e9, 1e-9, 1.0, 0.0)
DEPTH = 3
"""How often a part of the experts is cut in two for nested sets."""


def add_sets(
    rng: np.random.Generator, fields: dict[str, Any], n: int, e: int, unit: float, *, crossing: bool, hostile: bool
) -> None:
    """Add sets of experts and their bounds: nested ones, a label for each expert, or sets that cross."""
    labelled = not crossing and rng.random() < 0.25
    given = _labels(rng, e) if labelled else _crossing(rng, e) if crossing else _nested(rng, e)
    num_sets = len(given) if given.ndim == 2 else int(given.max()) + 1
    fields["expert_sets"] = (given, "sj" if given.ndim == 2 else "j")
    _add_bounds(rng, fields, num_sets, n, unit, hostile)


def add_optional(
    rng: np.random.Generator, fields: dict[str, Any], n: int, e: int, unit: float, hostile: bool
) -> None:  # fmt: skip
    """Add optional demands: mostly two or three units, now and then none, a half more, or all that clients have."""
    most = 2 * n if "client_load" in fields else n
    steps = np.array([0.0, 2.0, 2.0, 2.0, 3.0, 3.0, 1.5, most])
    fields["optional_demand"] = spread(rng, on_grid(steps, unit), {"j": e}, "", "j", "j")
    if hostile and rng.random() < 0.2:
        fields["optional_demand"] = spread(rng, EXTREME_BOUNDS, {"j": e}, "", "j")


def _labels(rng: np.random.Generator, e: int) -> Any:
    """A label for each expert; each label from 0 on is used."""
    labels = rng.integers(int(rng.integers(1, 4)), size=e)
    return np.unique(labels, return_inverse=True)[1].reshape(-1)


def _nested(rng: np.random.Generator, e: int) -> Any:
    """Sets of which any two are nested or disjoint, some twice, in any order: (num_sets, e) bools."""
    order, found = rng.permutation(e), []
    parts = [(0, e, 0)]
    while parts:
        low, high, depth = parts.pop()
        inside = np.zeros(e, dtype=np.bool_)
        inside[order[low:high]] = True
        if rng.random() < 0.6:
            found += [inside] * (1 + (rng.random() < 0.1))
        if high - low > 1 and depth < DEPTH:
            middle = int(rng.integers(low + 1, high))
            parts += [(low, middle, depth + 1), (middle, high, depth + 1)]
    if not found:
        found.append(np.ones(e, dtype=np.bool_))
    return np.array(found)[rng.permutation(len(found))]


def _crossing(rng: np.random.Generator, e: int) -> Any:
    """Two sets that cross, of three experts at least, and now and then any others: (num_sets, e) bools."""
    members = rng.random((int(pick(rng, [2, 2, 3, 4])), e)) < 0.5
    shared, first, second = rng.permutation(e)[:3]
    members[:2, shared] = True
    members[:2, first] = [True, False]
    members[:2, second] = [False, True]
    members[~members.any(axis=1), shared] = True
    return members[rng.permutation(len(members))]


def _add_bounds(
    rng: np.random.Generator, fields: dict[str, Any], num_sets: int, n: int, unit: float, hostile: bool
) -> None:
    """Add bounds of the sets' loads, sometimes crossed; soft ones also between the grid's points."""
    sizes = {"s": num_sets}
    soft = rng.random() < 0.35
    step = 2 if soft or rng.random() < 0.15 else 1
    top = 3 * n if "client_load" in fields else n + 1
    amounts = on_grid(np.arange(top * step + 1) / step, unit)
    if rng.random() < 0.85:
        some = amounts[len(amounts) // 3 :] if rng.random() < 0.6 else amounts
        unbounded = np.full(1 + len(some) // 5, np.inf)
        fields["set_capacity"] = spread(rng, np.concatenate([unbounded, some]), sizes, "", "s", "s")
    if rng.random() < 0.35:
        least = np.concatenate([np.zeros(3), on_grid(np.arange(1, 2 * step + 1) / step, unit)])
        fields["set_demand"] = spread(rng, least if rng.random() < 0.9 else amounts, sizes, "", "s")
    if hostile and rng.random() < 0.2:
        fields[str(pick(rng, ["set_capacity", "set_demand"]))] = spread(rng, EXTREME_BOUNDS, sizes, "", "s")
    if soft:
        grid = PENALTIES / unit if unit > 1 else PENALTIES
        if hostile and rng.random() < 0.5:
            grid = pick(rng, [1.0, 1e14, 1e-14, 1e100]) * PENALTIES[:-1]
        for name in ("set_overload_penalty", "set_shortfall_penalty"):
            if rng.random() < 0.7:
                fields[name] = spread(rng, grid, sizes, "", "s")
