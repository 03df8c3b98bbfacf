"""Hypothesis strategies for problems: every field of AlignmentProblem, in every shape that it may be given in.

Numbers are drawn on grids (whole, quarters, hundredths, bytes), so that sums tie, cancel and fit exactly now and then,
and no instance lies between "fits" and "does not fit" by less than a solver can tell.
"""

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


def cardinality_problems(**sizes: Any) -> st.SearchStrategy[AlignmentProblem]:
    """Unit loads, no budgets."""
    return problems(class_=ProblemClass.CARDINALITY, **sizes)


def general_problems(**sizes: Any) -> st.SearchStrategy[AlignmentProblem]:
    """Weighted loads, budgets, or both (rarely, loads that turn out to be 1 after all)."""
    return problems(class_=ProblemClass.GENERAL, **sizes)


def arrays(elements: st.SearchStrategy[Any], shape: tuple[int, ...], dtype: Any = np.float64) -> st.SearchStrategy[Any]:
    """An array of drawn elements."""
    size = int(np.prod(shape))
    return st.lists(elements, min_size=size, max_size=size).map(lambda drawn: np.array(drawn, dtype=dtype).reshape(shape))


def spread(elements: st.SearchStrategy[Any], *shapes: tuple[int, ...], dtype: Any = np.float64) -> st.SearchStrategy[Any]:
    """An array, or a scalar for the shape ``()``, of one of the shapes that a field takes."""
    made = [arrays(elements, shape, dtype) if shape else elements for shape in shapes]
    return st.one_of(*made)


def _hide(values: Any, eligible: Any, what: float) -> Any:
    """Put nonsense where nobody may look."""
    return values if eligible is None or values.dtype.kind in "iu" else np.where(eligible, values, values.dtype.type(what))


@st.composite
def fitness_fields(draw: Draw, n: int, e: int) -> dict[str, Any]:
    """Fitness of every dtype; eligibility with NaN or infinities at ineligible pairs."""
    whole = st.integers(-20, 20)
    kind = draw(st.sampled_from(["integer", "small", "quarters", "hundredths", "float32", "ties", "zero", "wide"]))
    fitness = draw({
        "integer": arrays(whole, (n, e), np.int64),
        "small": arrays(st.integers(0, 9), (n, e), draw(st.sampled_from([np.int8, np.uint8, np.int32]))),
        "quarters": arrays(whole.map(lambda k: k / 4), (n, e)),
        "hundredths": arrays(st.integers(-300, 300).map(lambda k: k / 100), (n, e)),
        "float32": arrays(whole.map(lambda k: k / 8), (n, e), np.float32),
        "ties": arrays(st.sampled_from([-1.0, 0.0, 1.0, 1.0]), (n, e)),
        "zero": st.just(np.zeros((n, e))),
        "wide": arrays(st.sampled_from([1e6, 0.5, 0.01, -0.25, -1e6, 3.0]), (n, e)),
    }[kind])  # fmt: skip
    if draw(st.integers(0, 2)):
        return {"fitness": fitness}
    eligible = draw(arrays(st.sampled_from([True, True, True, False]), (n, e), np.bool_))
    nonsense = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return {"fitness": _hide(fitness, eligible, nonsense), "eligible": eligible}


@st.composite
def client_fields(draw: Draw, n: int, e: int) -> dict[str, Any]:
    """Experts per client, seldom crossed; required pairs."""
    given: dict[str, Any] = {"client_capacity": draw(spread(st.integers(1, max(1, e)), (), (n,), dtype=np.int64))}
    if draw(st.integers(0, 2)) == 0:
        given["client_demand"] = draw(spread(st.sampled_from([0, 1, 1, 2]), (), (n,), dtype=np.int64))
    if draw(st.integers(0, 5)) == 0:
        given["client_capacity"] = draw(spread(st.integers(0, e + 1), (), (n,), dtype=np.int64))
    if draw(st.integers(0, 4)) == 0:
        given["required"] = draw(arrays(st.sampled_from([False] * 7 + [True]), (n, e), np.bool_))
    return given


@st.composite
def group_fields(draw: Draw, n: int, e: int) -> dict[str, Any]:
    """Groups of experts with their own bounds per client."""
    group = draw(arrays(st.integers(0, min(2, max(0, e - 1))), (e,), np.int64))
    g = int(group.max(initial=-1)) + 1
    shapes = ((), (g,), (n, g))
    given: dict[str, Any] = {"expert_group": group}
    if draw(st.booleans()):
        given["group_capacity"] = draw(spread(st.integers(1, 2), *shapes, dtype=np.int64))
    if draw(st.booleans()):
        given["group_demand"] = draw(spread(st.sampled_from([0, 0, 1]), *shapes, dtype=np.int64))
    return given


@st.composite
def client_loads(draw: Draw, n: int, e: int) -> tuple[float, Any]:
    """The unit of the grid, and loads per client or per pair: whole, hundredths, or bytes."""
    unit = draw(st.sampled_from([1.0, 0.01, BYTE_UNIT]))
    steps = draw(st.sampled_from([st.integers(1, 3), st.integers(0, 5), st.sampled_from([1, 10, 20])]))
    counts = draw(spread(steps, (n,), (n, e), dtype=np.int64))
    return unit, counts / 100 if unit == 0.01 else counts * unit


@st.composite
def expert_fields(draw: Draw, n: int, e: int, unit: float) -> dict[str, Any]:
    """Load bounds on the grid of the loads, crossed now and then; soft ones, then also between the grid's points."""
    given: dict[str, Any] = {}
    soft = draw(st.integers(0, 2)) == 0
    step = 2 if soft or draw(st.integers(0, 5)) == 0 else 1
    top = max(1, 2 * n if unit == 1.0 else 4 * n)

    def on_grid(count: int) -> float:
        return count / step / 100 if unit == 0.01 else count / step * unit

    amounts = st.integers(0, top * step).map(on_grid)
    least = st.sampled_from([0, 0, step, 2 * step]).map(on_grid)
    if draw(st.booleans()):
        unbounded = st.sampled_from([np.inf])
        given["expert_capacity"] = draw(spread(st.one_of(amounts, amounts, unbounded), (), (e,)))
    if draw(st.booleans()):
        given["expert_demand"] = draw(spread(st.one_of(least, least, least, amounts), (), (e,)))
    if soft:
        grid = [0.0, 0.5, 1.0, 3.0, 10.0, np.inf]
        per_unit = st.sampled_from([cost / unit if unit > 1 else cost for cost in grid])
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
    cost = draw(spread(st.integers(0, 6), (e, *axis), (n, e, *axis), dtype=np.int64))
    limits = st.one_of(st.integers(2, 12), st.integers(2, 12), st.just(np.inf))
    budget = draw(spread(limits, (n, *axis)) if r else spread(limits, (), (n,)))
    cost, budget = (cost / 100, budget / 100) if unit == 0.01 else (cost * unit, budget * unit)
    if eligible is not None and cost.ndim - len(axis) == 2:
        cost = _hide(cost, eligible[..., None] if axis else eligible, np.nan)
    return {"client_budget": budget, "expert_cost": cost}


@st.composite
def switching_fields(draw: Draw, n: int, e: int) -> dict[str, Any]:
    """What was held before, and what it costs to fetch another expert."""
    given: dict[str, Any] = {"switching_cost": draw(spread(st.sampled_from([0.0, 0.5, 1.0, 2.0]), (), (e,), (n, e)))}
    if draw(st.booleans()):
        given["previous"] = draw(arrays(st.booleans(), (n, e), np.bool_))
    return given


def prices(num_experts: int) -> st.SearchStrategy[Any]:
    """Any prices: whole, fractional, far outside the box."""
    return arrays(st.sampled_from([0.0, 0.0, 1.0, -1.0, 0.25, -2.5, 7.0, 1e3, -1e3, 0.1]), (num_experts,))
