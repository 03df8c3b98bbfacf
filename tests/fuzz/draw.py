"""Draws problems with every field, fast: one generator, tables of values, no search for interesting numbers.

The ideas are those of :mod:`tests.strategies`. Numbers come from grids, so that sums tie, cancel or fit exactly, and
the margin between "fits" and "does not fit" is clear. One problem in seven has extreme numbers instead.
"""

from typing import Any

import numpy as np

from tests.fuzz.draw_sets import add_optional, add_sets
from tests.fuzz.fields import Drawn
from tests.fuzz.pick import on_grid, pick, spread

HOSTILE = 0.14
"""Share of problems with extreme numbers. For these a proof is not asked for, only that nothing is wrong."""
SPARSE = 0.15
GENERAL = 0.5
"""Share of the others that are of the general class."""
PARTS = {"loads": 0.45, "budgets": 0.45, "crossing": 0.4, "optional": 0.4}
"""What makes a problem general, and in which share of these."""
NESTED = 0.3
"""Share with sets of experts that are nested or disjoint, where no part says that they cross."""
BYTE_UNIT = 123_456_789
WHOLE = np.arange(-20, 21)
FITNESS = {
    "integer": WHOLE,
    "small": np.arange(10, dtype=np.int8),
    "bytes": np.arange(0, 256, 17, dtype=np.uint8),
    "quarters": WHOLE / 4,
    "hundredths": np.arange(-100, 151) / 100,
    "float32": (WHOLE / 8).astype(np.float32),
    "half": (WHOLE / 16).astype(np.float16),
    "ties": np.array([-1.0, 0.0, 1.0, 1.0]),
    "zero": np.zeros(1),
    "wide": np.array([1e6, 0.5, 0.01, -0.25, -1e6, 3.0]),
}
EXTREME_FITNESS = {
    "tiny": np.array([1e-300, -1e-300, 2.5e-300, 0.0, 1e-290]),
    "huge": np.array([1e139, -1e139, 5e138, 1e100, 0.0]),
    "mixed": np.array([1e-300, 1e100, -1e9, 0.001, 1.0, 1e17]),
    "large whole": np.array([2**53, 2**53 - 1, 2**53 - 2, -(2**53), 0, 1], dtype=np.int64),
    "billions": 10**9 + np.arange(-5, 6),
    "close": 1.0 + np.arange(-4, 5) * 2.0**-50,
}
EXTREME_LOADS = (
    np.array([1e9, 1e9 + 100, 1e9 + 1, 2e9]),
    np.array([1e-9, 3e-9, 1.0, 0.5]),
    np.array([1e-300, 1e-12, 1.0]),
    np.array([1e100, 3e99, 1.0]),
    np.array([0.1, 0.2, 0.3, 0.1 + 0.2]),
)


def draw(rng: np.random.Generator) -> Drawn:
    """Draw a problem; about two thirds are feasible."""
    n, e = int(rng.integers(1, 7)), int(rng.integers(1, 6))
    if rng.random() < 0.1:
        n, e = (1, e + 2) if rng.random() < 0.5 else (n + 2, 1)
    sparse = rng.random() < SPARSE
    hostile = rng.random() < HOSTILE
    parts = set() if sparse else _parts(rng)
    if "crossing" in parts:
        e = max(e, 3)
    fields: dict[str, tuple[Any, str]] = {"fitness": (_fitness(rng, n, e, hostile), "ij")}
    if sparse or rng.random() < 0.45:
        fields["eligible"] = (_eligible(rng, n, e), "ij")
    _add_clients(rng, fields, n, e, sparse)
    if rng.random() < 0.35:
        _add_groups(rng, fields, n, e)
    unit = _add_loads(rng, fields, n, e, hostile) if "loads" in parts else 1.0
    _add_experts(rng, fields, n, e, unit, hostile)
    if "budgets" in parts:
        _add_budgets(rng, fields, n, e, hostile)
    if "sets" in parts:
        add_sets(rng, fields, n, e, unit, crossing="crossing" in parts, hostile=hostile)
    if "optional" in parts:
        add_optional(rng, fields, n, e, unit, hostile)
    if rng.random() < 0.35:
        _add_switching(rng, fields, n, e)
    return Drawn(fields, sparse=sparse, hostile=hostile)


def _parts(rng: np.random.Generator) -> set[str]:
    """What the problem has beyond bounds of clients and experts; nearly half are of the general class."""
    parts = {"sets"} if rng.random() < NESTED else set()
    if rng.random() < GENERAL:
        parts |= {name for name, share in PARTS.items() if rng.random() < share} or {str(pick(rng, list(PARTS)))}
    return parts | {"sets"} if "crossing" in parts else parts


def _fitness(rng: np.random.Generator, n: int, e: int, hostile: bool) -> Any:
    if hostile and rng.random() < 0.7:
        return pick(rng, EXTREME_FITNESS[str(pick(rng, list(EXTREME_FITNESS)))], (n, e))
    if rng.random() < 0.1:
        return rng.normal(size=(n, e))
    return pick(rng, FITNESS[str(pick(rng, list(FITNESS)))], (n, e))


def _eligible(rng: np.random.Generator, n: int, e: int) -> Any:
    """Mostly three of four; sometimes a client or all have no eligible pair."""
    eligible = rng.random((n, e)) < pick(rng, [0.75, 0.9, 0.4])
    if rng.random() < 0.1:
        eligible[int(rng.integers(n))] = False
    if rng.random() < 0.02:
        eligible[:] = False
    return eligible


def _add_clients(rng: np.random.Generator, fields: dict[str, Any], n: int, e: int, sparse: bool) -> None:
    sizes = {"i": n, "j": e}
    most = np.arange(1, e + 1) if rng.random() < 0.85 else np.arange(e + 2)
    fields["client_capacity"] = spread(rng, most, sizes, "", "i")
    if rng.random() < 0.35:
        fields["client_demand"] = spread(rng, [0, 1, 1, 2], sizes, "", "i")
    if rng.random() < 0.35:
        required = rng.random((n, e)) < 0.12
        if "eligible" in fields and (sparse or rng.random() < 0.9):  # a sparse problem has no other pairs
            required &= fields["eligible"][0]
        fields["required"] = (required, "ij")


def _add_groups(rng: np.random.Generator, fields: dict[str, Any], n: int, e: int) -> None:
    group = rng.integers(min(3, e), size=e)
    sizes = {"i": n, "g": int(group.max()) + 1}
    fields["expert_group"] = (group, "j")
    if rng.random() < 0.6:
        fields["group_capacity"] = spread(rng, [1, 2, 2], sizes, "", "g", "ig")
    if rng.random() < 0.5:
        fields["group_demand"] = spread(rng, [0, 0, 1], sizes, "", "g", "ig")


def _add_loads(rng: np.random.Generator, fields: dict[str, Any], n: int, e: int, hostile: bool) -> float:
    """Add loads per client or per pair, and return the unit of their grid."""
    sizes = {"i": n, "j": e}
    if hostile and rng.random() < 0.5:
        table = EXTREME_LOADS[int(rng.integers(len(EXTREME_LOADS)))]
        fields["client_load"] = spread(rng, table, sizes, "i", "ij")
        return float(table.max())
    unit = float(pick(rng, [1.0, 0.01, BYTE_UNIT]))
    steps = ([1, 2, 3], [1, 0, 2, 3, 4, 5], [1, 10, 20])[int(rng.integers(3))]
    counts, axes = spread(rng, steps, sizes, "i", "ij")
    fields["client_load"] = (on_grid(counts, unit), axes)
    return unit


def _add_experts(
    rng: np.random.Generator, fields: dict[str, Any], n: int, e: int, unit: float, hostile: bool
) -> None:  # fmt: skip
    """Add load bounds on the grid of the loads, sometimes crossed; soft ones also between the grid's points."""
    sizes = {"j": e}
    soft = rng.random() < 0.4
    step = 2 if soft or rng.random() < 0.15 else 1
    top = max(1, n if unit == 1.0 and "client_load" not in fields else 3 * n)
    amounts = on_grid(np.arange(top * step + 1) / step, unit)
    if rng.random() < 0.7:
        unbounded = np.full(1 + len(amounts) // 4, np.inf)
        fields["expert_capacity"] = spread(rng, np.concatenate([unbounded, amounts]), sizes, "", "j")
    if rng.random() < 0.45:
        least = np.concatenate([np.zeros(3), on_grid(np.arange(1, 2 * step + 1) / step, unit)])
        fields["expert_demand"] = spread(rng, least if rng.random() < 0.85 else amounts, sizes, "", "j")
    if hostile and rng.random() < 0.2:
        name = str(pick(rng, ["expert_capacity", "expert_demand"]))
        fields[name] = spread(rng, [1e19, 1e9, 1e-9, 1.0, 0.0], sizes, "", "j")
    if soft:
        grid = np.array([0.0, 0.5, 1.0, 3.0, 10.0, np.inf])
        if hostile:
            grid = pick(rng, [1.0, 1e14, 1e-14, 1e100]) * grid[:-1] if rng.random() < 0.5 else grid
        for name in ("overload_penalty", "shortfall_penalty"):
            if rng.random() < 0.7:
                fields[name] = spread(rng, grid / unit if unit > 1 else grid, sizes, "", "j")


def _add_budgets(rng: np.random.Generator, fields: dict[str, Any], n: int, e: int, hostile: bool) -> None:
    """One or several resources, costs per expert or per pair, some budgets without limit."""
    r = int(rng.integers(0, 3))
    axis, sizes = ("r" if r else ""), {"i": n, "j": e, "r": r}
    if hostile and rng.random() < 0.6:
        table = EXTREME_LOADS[int(rng.integers(len(EXTREME_LOADS)))]
        fields["expert_cost"] = spread(rng, np.append(table, 0.0), sizes, f"j{axis}", f"ij{axis}")
        limits = np.concatenate([table, table[:1] + table[-1:], [np.inf]])
        fields["client_budget"] = spread(rng, limits, sizes, f"i{axis}")
        return
    unit = float(pick(rng, [1.0, 0.01, BYTE_UNIT]))
    cost, own = spread(rng, np.arange(7), sizes, f"j{axis}", f"ij{axis}")
    if rng.random() < 0.15:
        cost = np.full_like(cost, 2)
    limits = on_grid(np.arange(1, 13), unit)
    table = np.append(limits, np.inf) if rng.random() < 0.5 else limits
    fields["expert_cost"] = (on_grid(cost, unit), own)
    fields["client_budget"] = spread(rng, table, sizes, f"i{axis}") if r else spread(rng, table, sizes, "", "i")


def _add_switching(rng: np.random.Generator, fields: dict[str, Any], n: int, e: int) -> None:
    sizes = {"i": n, "j": e}
    fields["switching_cost"] = spread(rng, [0.0, 0.5, 1.0, 2.0], sizes, "", "j", "ij")
    if rng.random() < 0.6:
        fields["previous"] = (rng.random((n, e)) < 0.5, "ij")
