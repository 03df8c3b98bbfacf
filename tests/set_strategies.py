"""Hypothesis strategies for problems whose experts are in sets: nested ones, and sets that cross."""

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from alignsolve import AlignmentProblem
from tests import strategies

Draw = Any


@st.composite
def nested_members(draw: Draw, e: int) -> Any:
    """Draw nested or disjoint sets of e experts, some of them twice, in any order: (num_sets, e) bools."""
    order = np.array(draw(st.permutations(range(e))))
    found: list[Any] = []

    def part(low: int, high: int, depth: int) -> None:
        if draw(st.integers(0, 2)) or (low, high) == (0, e):
            for _ in range(1 + (draw(st.integers(0, 7)) == 0)):
                inside = np.zeros(e, dtype=np.bool_)
                inside[order[low:high]] = True
                found.append(inside)
        if high - low > 1 and depth < 3:
            middle = draw(st.integers(low + 1, high - 1))
            part(low, middle, depth + 1)
            part(middle, high, depth + 1)

    part(0, e, 0)
    members = np.array(found)
    return members[np.array(draw(st.permutations(range(len(members)))))]


@st.composite
def crossing_members(draw: Draw, e: int) -> Any:
    """Draw any sets of e experts."""
    members = draw(strategies.arrays([True, False, True], (draw(st.integers(1, 3)), e), np.bool_))
    members[~members.any(axis=1), 0] = True
    return members


@st.composite
def set_problems(draw: Draw, *, general: bool = False, **sizes: int) -> AlignmentProblem:
    """Draw a problem of either class with bounds on sets of experts; about half are feasible."""
    problem = draw(strategies.general_problems(**sizes) if general else strategies.cardinality_problems(**sizes))
    n, e = problem.shape
    crossing = general and draw(st.booleans())
    members = draw(crossing_members(e) if crossing else nested_members(e))
    unit = 1.0 if problem.client_load is None else float(problem.client_load.max(initial=0.0)) or 1.0
    given: dict[str, Any] = {"expert_sets": members}
    amounts = [np.inf, *(unit * count for count in range(2 * n, -1, -1))]
    given["set_capacity"] = draw(strategies.spread(amounts, (), (len(members),)))
    if draw(st.booleans()):
        given["set_demand"] = draw(strategies.spread([0.0, 0.0, unit, 2 * unit], (), (len(members),)))
    for field in ("set_overload_penalty", "set_shortfall_penalty"):
        if draw(st.integers(0, 2)) == 0:
            given[field] = draw(strategies.spread([np.inf, 0.0, 0.5, 1.0, 3.0], (), (len(members),)))
    return replace(problem, **given)


def prices(num_sets: int) -> st.SearchStrategy[Any]:
    """Draw prices of sets: whole, fractional, or far outside their box."""
    return strategies.prices(num_sets)
