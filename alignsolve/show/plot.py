"""Four pictures of a solution, by matplotlib: loads within their bounds, prices, the alignment, and margins.

A margin says how sure a choice is: by how much a client's best choice beats the next one, at the prices. Where it is 0,
ties or the experts' limits decide.
"""

import importlib
import io
from typing import Any

import numpy as np

from alignsolve.data.names import shown
from alignsolve.numerics import FloatArray
from alignsolve.subproblem.reduced_fitness import reduced_fitness

NAMED = 30
"""Most experts, or clients, with a name on an axis."""
BLUE, LIGHT, ORANGE, GREY = "#2f6db3", "#a9c6e8", "#a34700", "#9aa4ae"


def figure_of(solution: Any) -> Any:
    """Return a figure of matplotlib.

    Raises
    ------
    ValueError
        If the solution has no alignment.
    ImportError
        If matplotlib is not installed; the message names the extra.
    """
    if solution.assigned is None:
        raise ValueError(f"there is no alignment to draw: {solution.explain()}")
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise ImportError("plot() needs matplotlib, which the extra [plot] brings: pip install 'alignsolve[plot]'"
                          ) from error  # fmt: skip
    shown_in_notebooks = type("Figure", (figures.Figure,), {"_repr_png_": _png})
    figure = shown_in_notebooks(figsize=(11, 8), layout="constrained")
    figure.suptitle(solution.explain(), fontsize=10, wrap=True)
    (loads, prices), (alignment, margins) = figure.subplots(2, 2)
    _draw_loads(loads, solution)
    _draw_prices(prices, solution)
    _draw_alignment(alignment, solution)
    _draw_margins(margins, solution)
    return figure


def _png(figure: Any) -> bytes:
    """The picture as a notebook shows it; a notebook knows figures by itself only once pyplot is imported."""
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=80)
    return picture.getvalue()


def _names(axis: Any, names: Any, count: int, what: str) -> None:
    """Name the ticks of an axis of experts or clients, if they are few."""
    axis.set_label_text(what)
    if names is not None and count <= NAMED:
        axis.set_ticks(range(count), [_plain(shown(name)) for name in names])


def _plain(text: str) -> str:
    """A text without the signs that matplotlib reads as formulas."""
    return text.replace("$", r"\$")


def _experts(axes: Any, solution: Any) -> None:
    problem = solution.problem
    _names(axes.xaxis, problem.expert_names, problem.num_experts, "expert")
    axes.tick_params(axis="x", labelrotation=60 if problem.expert_names is not None else 0)


def _draw_loads(axes: Any, solution: Any) -> None:
    problem, place = solution.problem, np.arange(solution.problem.num_experts)
    axes.bar(place, solution.loads, color=LIGHT, label="load")
    most = np.where(np.isfinite(problem.expert_capacity), problem.expert_capacity, np.nan)
    axes.scatter(place, most, marker="_", s=160, linewidth=2.5, color=ORANGE, label="capacity")
    demand = np.where(problem.expert_demand > 0, problem.expert_demand, np.nan)
    axes.scatter(place, demand, marker="_", s=160, linewidth=2.5, color="black", label="demand")
    axes.set_title("Loads and bounds of the experts")
    axes.set_ylabel("load")
    axes.set_ylim(0.0, 1.2 * max(1.0, float(np.nanmax([*solution.loads, *most, *demand], initial=0.0))))
    axes.legend(loc="upper center", ncols=3, frameon=False)
    _experts(axes, solution)


def _draw_prices(axes: Any, solution: Any) -> None:
    axes.set_title("Prices of the experts")
    axes.set_ylabel("fitness per unit of load")
    if solution.prices is None:
        axes.text(0.5, 0.5, "no prices are known", ha="center", transform=axes.transAxes)
    else:
        axes.bar(np.arange(len(solution.prices)), solution.prices, color=BLUE)
        axes.axhline(0.0, color=GREY, linewidth=0.8)
    _experts(axes, solution)


def _draw_alignment(axes: Any, solution: Any) -> None:
    problem, assigned = solution.problem, solution.assigned
    size = max(2.0, min(60.0, 3000.0 / max(1, problem.num_clients)))
    axes.scatter(assigned.experts, assigned.clients(), marker="s", s=size, color=BLUE)
    axes.set_xlim(-0.5, problem.num_experts - 0.5)
    axes.set_ylim(problem.num_clients - 0.5, -0.5)
    axes.set_title("Alignment")
    _experts(axes, solution)
    _names(axes.yaxis, problem.client_names, problem.num_clients, "client")
    axes.tick_params(axis="y", labelsize=7)


def _draw_margins(axes: Any, solution: Any) -> None:
    axes.set_title("Margins of the clients")
    axes.set_xlabel("reduced fitness of the last expert taken, less that of the next")
    axes.set_ylabel("clients")
    margins = margins_of(solution)
    if len(margins):
        axes.hist(margins, bins=min(30, max(5, len(margins) // 5)), color=BLUE)
    else:
        axes.text(0.5, 0.5, "no client has a choice", ha="center", transform=axes.transAxes)


def margins_of(solution: Any) -> FloatArray:
    """For each client with a choice: its least reduced fitness taken, less its largest not taken."""
    problem, assigned = solution.problem, solution.assigned
    prices = np.zeros(problem.num_experts) if solution.prices is None else solution.prices
    found = []
    for block in problem.blocks():
        reduced = reduced_fitness(block, prices).astype(np.float64)
        able = np.ones(reduced.shape, dtype=np.bool_) if block.allowed is None else block.allowed
        indptr = assigned.indptr[block.start : block.stop + 1]
        rows = np.repeat(np.arange(block.num_clients), np.diff(indptr))
        held = np.zeros(reduced.shape, dtype=np.bool_)
        held[rows, block.columns(rows, assigned.experts[indptr[0] : indptr[-1]])] = True
        least = np.where(held, reduced, np.inf).min(axis=1, initial=np.inf)
        next_ = np.where(able & ~held, reduced, -np.inf).max(axis=1, initial=-np.inf)
        found.append((least - next_)[np.isfinite(least) & np.isfinite(next_)])
    return np.concatenate(found) if found else np.zeros(0)
