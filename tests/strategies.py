"""Hypothesis strategies for problems: every field of AlignmentProblem, in every shape that it accepts.

Numbers are drawn on grids (whole, quarters, hundredths, bytes). So sums sometimes tie, cancel or fit exactly, and
the margin between "fits" and "does not fit" is never too small for a solver. An array is one draw of bytes,
looked up in a table of values: the order of a table is the order in which examples shrink.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, ProblemClass

BYTE_UNIT = 123_456_789
Draw = Any


@st.composite
def problems(
    draw: Draw, *, max_clients: int = 4, max_experts: int = 4, class_: ProblemClass | None = None, empty: bool = False
) -> AlignmentProblem:
    """Draw a problem of at most this size; about two thirds are feasible."""
    least = 0 if empty else 1
    n, e = draw(st.integers(least, max_clients)), draw(st.integers(least, max_experts))
    general = class_ is ProblemClass.GENERAL or (class_ is None and draw(st.booleans()))
    weighted = general and draw(st.booleans())
    budgeted = general and (not weighted or draw(st.booleans()))
    given = draw(fitness_fields(n, e))
    given |= draw(client_fields(n, e))
    if draw(st.integers(0, 3)) == 0:
        given |= draw(group_fields(n, e))
    unit = 1.0
    if weighted:
        unit, load = draw(client_loads(n, e))
        given["client_load"] = _hide(load, given.get("eligible"), np.nan) if load.ndim == 2 else load
    given |= draw(expert_fields(n, e, unit))
    if budgeted:
        given |= draw(budget_fields(n, e, given.get("eligible")))
    if draw(st.integers(0, 3)) == 0:
        given |= draw(switching_fields(n, e))
    return AlignmentProblem(**given)


@st.composite
def optional_problems(draw: Draw, **sizes: Any) -> AlignmentProblem:
    """Draw problems in which some experts have no load, or at least so much."""
    problem = draw(problems(**sizes))
    n, e = problem.shape
    unit = 1.0 if problem.client_load is None else float(problem.client_load.max(initial=0.0)) or 1.0
    optional = draw(spread([0.0, 2.0 * unit, 3.0 * unit, 1.5 * unit, n * unit], (), (e,)))
    return replace(problem, optional_demand=optional)


def cardinality_problems(**sizes: Any) -> st.SearchStrategy[AlignmentProblem]:
    """Unit loads, no budgets."""
    return problems(class_=ProblemClass.CARDINALITY, **sizes)


def general_problems(**sizes: Any) -> st.SearchStrategy[AlignmentProblem]:
    """Draw problems with weighted loads, budgets, or both (in rare cases, all loads are 1)."""
    return problems(class_=ProblemClass.GENERAL, **sizes)


def arrays(table: Sequence[Any], shape: tuple[int, ...], dtype: Any = np.float64) -> st.SearchStrategy[Any]:
    """An array of at most 256 different values."""
    size, values = math.prod(shape), np.array(table, dtype=dtype)
    drawn = st.binary(min_size=size, max_size=size)
    return drawn.map(
        lambda raw: values[np.frombuffer(raw, dtype=np.uint8).astype(np.intp) % len(values)].reshape(shape)
    )


@st.composite
def spread(draw: Draw, table: Sequence[Any], *shapes: tuple[int, ...], dtype: Any = np.float64) -> Any:
    """Draw an array of one of the shapes that a field accepts; a plain number for the shape ``()``."""
    values = draw(arrays(table, draw(st.sampled_from(shapes)), dtype))
    return values if values.shape else values.item()


def _hide(values: Any, eligible: Any, what: float) -> Any:
    """Put NaN or infinities into entries that must not be read."""
    return (
        values if eligible is None or values.dtype.kind in "iu" else np.where(eligible, values, values.dtype.type(what))
    )


@st.composite
def fitness_fields(draw: Draw, n: int, e: int) -> dict[str, Any]:
    """Fitness of every dtype; eligibility with NaN or infinities at ineligible pairs."""
    whole = sorted(range(-20, 21), key=abs)
    kind = draw(st.sampled_from(["integer", "small", "quarters", "hundredths", "float32", "ties", "zero", "wide"]))
    fitness = draw({
        "integer": arrays(whole, (n, e), np.int64),
        "small": arrays(range(10), (n, e), draw(st.sampled_from([np.int8, np.uint8, np.int32]))),
        "quarters": arrays(np.divide(whole, 4), (n, e)),
        "hundredths": arrays(np.arange(-100, 151) / 100, (n, e)),
        "float32": arrays(np.divide(whole, 8), (n, e), np.float32),
        "ties": arrays([-1.0, 0.0, 1.0, 1.0], (n, e)),
        "zero": st.just(np.zeros((n, e))),
        "wide": arrays([1e6, 0.5, 0.01, -0.25, -1e6, 3.0], (n, e)),
    }[kind])  # fmt: skip
    if draw(st.integers(0, 2)):
        return {"fitness": fitness}
    eligible = draw(arrays([True, True, True, False], (n, e), np.bool_))
    nonsense = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return {"fitness": _hide(fitness, eligible, nonsense), "eligible": eligible}


@st.composite
def client_fields(draw: Draw, n: int, e: int) -> dict[str, Any]:
    """Draw bounds on experts per client, rarely crossed, and required pairs."""
    given: dict[str, Any] = {"client_capacity": draw(spread(range(1, max(2, e + 1)), (), (n,), dtype=np.int64))}
    if draw(st.integers(0, 2)) == 0:
        given["client_demand"] = draw(spread([0, 1, 1, 2], (), (n,), dtype=np.int64))
    if draw(st.integers(0, 5)) == 0:
        given["client_capacity"] = draw(spread(range(e + 2), (), (n,), dtype=np.int64))
    if draw(st.integers(0, 4)) == 0:
        given["required"] = draw(arrays([False] * 7 + [True], (n, e), np.bool_))
    return given


@st.composite
def group_fields(draw: Draw, n: int, e: int) -> dict[str, Any]:
    """Groups of experts with their own bounds per client."""
    group = draw(arrays(range(min(3, max(1, e))), (e,), np.int64))
    g = int(group.max(initial=-1)) + 1
    shapes = ((), (g,), (n, g))
    given: dict[str, Any] = {"expert_group": group}
    if draw(st.booleans()):
        given["group_capacity"] = draw(spread([1, 2], *shapes, dtype=np.int64))
    if draw(st.booleans()):
        given["group_demand"] = draw(spread([0, 0, 1], *shapes, dtype=np.int64))
    return given


@st.composite
def client_loads(draw: Draw, n: int, e: int) -> tuple[float, Any]:
    """The unit of the grid, and loads per client or per pair: whole, hundredths, or bytes."""
    unit = draw(st.sampled_from([1.0, 0.01, BYTE_UNIT]))
    steps = draw(st.sampled_from([[1, 2, 3], [1, 0, 2, 3, 4, 5], [1, 10, 20]]))
    counts = draw(spread(steps, (n,), (n, e), dtype=np.int64))
    return unit, counts / 100 if unit == 0.01 else counts * unit


@st.composite
def expert_fields(draw: Draw, n: int, e: int, unit: float) -> dict[str, Any]:
    """Draw load bounds on the grid of the loads, sometimes crossed; soft bounds also between the grid's points."""
    given: dict[str, Any] = {}
    soft = draw(st.integers(0, 1)) == 0
    step = 2 if soft or draw(st.integers(0, 5)) == 0 else 1
    top = max(1, 2 * n if unit == 1.0 else 4 * n)

    def on_grid(count: int) -> float:
        return count / step / 100 if unit == 0.01 else count / step * unit

    amounts = [on_grid(count) for count in range(top * step, -1, -1)]
    least = [0.0, 0.0, 0.0, *(on_grid(count) for count in range(1, 2 * step + 1))]
    if draw(st.booleans()):
        given["expert_capacity"] = draw(spread([np.inf] * (len(amounts) // 3 + 1) + amounts, (), (e,)))
    if draw(st.booleans()):
        given["expert_demand"] = draw(spread(least if draw(st.integers(0, 3)) else amounts, (), (e,)))
    if soft:
        grid = [0.0, 0.5, 1.0, 3.0, 10.0, np.inf]
        per_unit = [cost / unit if unit > 1 else cost for cost in grid]
        for field in ("overload_penalty", "shortfall_penalty"):
            if draw(st.booleans()):
                given[field] = draw(spread(per_unit, (), (e,)))
    return given


@st.composite
def budget_fields(draw: Draw, n: int, e: int, eligible: Any) -> dict[str, Any]:
    """One or several resources, costs per expert or per pair, some budgets without limit."""
    unit = draw(st.sampled_from([1.0, 0.01, BYTE_UNIT]))
    r = draw(st.integers(0, 2))
    axis = (r,) if r else ()
    cost = draw(spread(range(7), (e, *axis), (n, e, *axis), dtype=np.int64))
    limits = np.array([np.inf, np.inf, *range(12, 1, -1)])
    limits = limits / 100 if unit == 0.01 else limits * unit
    budget = draw(spread(limits, (n, *axis)) if r else spread(limits, (), (n,)))
    cost = cost / 100 if unit == 0.01 else cost * unit
    if eligible is not None and cost.ndim - len(axis) == 2:
        cost = _hide(cost, eligible[..., None] if axis else eligible, np.nan)
    return {"client_budget": budget, "expert_cost": cost}


@st.composite
def switching_fields(draw: Draw, n: int, e: int) -> dict[str, Any]:
    """Draw the experts held before, and the cost of fetching another expert."""
    given: dict[str, Any] = {"switching_cost": draw(spread([0.0, 0.5, 1.0, 2.0], (), (e,), (n, e)))}
    if draw(st.booleans()):
        given["previous"] = draw(arrays([False, True], (n, e), np.bool_))
    return given


def prices(num_experts: int) -> st.SearchStrategy[Any]:
    """Draw prices: whole, fractional, or far outside their box."""
    return arrays([0.0, 0.0, 1.0, -1.0, 0.25, -2.5, 7.0, 1e3, -1e3, 0.1], (num_experts,))


@st.composite
def simplifiable_problems(draw: Draw, *, max_clients: int = 5, max_experts: int = 4) -> AlignmentProblem:
    """Draw problems that a presolve can simplify: equal costs and loads, idle bounds, blocks, groups apart."""
    n, e = draw(st.integers(1, max_clients)), draw(st.integers(1, max_experts))
    given = draw(fitness_fields(n, e)) | draw(client_fields(n, e))
    if draw(st.booleans()):
        given |= draw(group_fields(n, e))
        if draw(st.booleans()):
            given |= {"client_capacity": e, "client_demand": 0}
    unit = 1.0
    if draw(st.integers(0, 2)):
        unit = draw(st.sampled_from([1.0, 0.01, BYTE_UNIT]))
        steps = draw(arrays([1, 2, 3], (e,), np.int64))
        given["client_load"] = np.tile(steps / 100 if unit == 0.01 else steps * unit, (n, 1))
    given |= draw(expert_fields(n, e, unit))
    if draw(st.integers(0, 2)):
        unit = draw(st.sampled_from([1.0, 0.01, BYTE_UNIT]))
        r = draw(st.integers(1, 2))
        steps = draw(arrays([0, 1, 2, 3], (n, 1, r), np.int64)) * np.ones((n, e, r), np.int64)
        if draw(st.booleans()) and "expert_group" in given:
            steps = steps * (given["expert_group"] == draw(st.integers(0, 1)))[:, None]
        budget = draw(arrays([*range(10), np.inf], (n, r)))
        given["expert_cost"] = steps / 100 if unit == 0.01 else steps * unit
        given["client_budget"] = budget / 100 if unit == 0.01 else budget * unit
    if draw(st.booleans()):
        blocks = draw(arrays([0, 1], (n,), np.int64))[:, None] == draw(arrays([0, 1], (e,), np.int64))
        given["eligible"] = blocks & np.broadcast_to(given.get("eligible", True), (n, e))
    return AlignmentProblem(**given)
