"""Small HTML tables for notebooks. All that comes from a user is escaped."""

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

from alignsolve.data.names import label

SHOWN = 12
"""Most rows of a table."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], more: str = "") -> str:
    """Return a table; ``more`` is the sentence below it that says what was left out."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    rest = f"<p>{escape(more)}</p>" if more else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def sentence(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{escape(text)}</p>"


def problem_html(problem: Any) -> str:
    """A problem: what it is, and the bounds of its experts."""
    rows = [
        (label(problem.expert_names, j), f"{problem.expert_demand[j]:.6g}", _most(problem, j))
        for j in range(min(problem.num_experts, SHOWN))
    ]
    return sentence(repr(problem)) + table(("expert", "demand", "capacity"), rows, _more(problem))


def solution_html(solution: Any) -> str:
    """A solution: the sentence that says what is known, and the loads of the experts."""
    problem, loads, prices = solution.problem, solution.loads, solution.prices
    known, status = solution.explain(), str(solution.status)
    known = known if known.startswith(status.lower()) else f"{status}: {known}"
    told = sentence(f"{known} (proof: {solution.proof})")
    if loads is None:
        return told
    rows = [
        (
            label(problem.expert_names, j),
            f"{problem.expert_demand[j]:.6g}",
            f"{loads[j]:.12g}",
            _most(problem, j),
            "" if prices is None else f"{prices[j]:.6g}",
        )
        for j in range(min(problem.num_experts, SHOWN))
    ]
    return told + table(("expert", "demand", "load", "capacity", "price"), rows, _more(problem))


def lines_html(title: str, lines: Iterable[str]) -> str:
    """A text of several lines, as a list."""
    return sentence(title) + "<ul>" + "".join(f"<li>{escape(line.strip())}</li>" for line in lines) + "</ul>"


def _most(problem: Any, j: int) -> str:
    most = problem.expert_capacity[j]
    return "no limit" if np.isinf(most) else f"{most:.6g}"


def _more(problem: Any) -> str:
    left = problem.num_experts - SHOWN
    return f"and {left} more experts" if left > 0 else ""
