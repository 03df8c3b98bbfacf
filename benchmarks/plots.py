"""Draws standings as inline SVG: growth with the number of clients, and the performance profile."""

import io
import math
from collections.abc import Sequence
from typing import Any

from alignsolve import SOLVERS
from benchmarks.entrants import in_order
from benchmarks.summary import Standing, profile

PANELS_ACROSS = 3
LARGEST_RATIO = 1e4
COLOURS = [f"C{k}" for k in range(10)] + ["#1b4f72", "#784212", "#145a32", "#641e16", "#4a235a", "#7d6608", "#17202a"]


def scaling(found: Sequence[Standing]) -> str:
    """Return a plot of seconds against clients, one panel per family; empty if every family has only one size."""
    answered = [one for one in found if one.outcome == "answered"]
    families = list(dict.fromkeys(one.family for one in answered))
    families = [name for name in families if len({one.num_clients for one in answered if one.family == name}) > 1]
    if not families:
        return ""
    rows = math.ceil(len(families) / PANELS_ACROSS)
    figure, grid = _canvas(rows, min(PANELS_ACROSS, len(families)))
    styles = _styles(found)
    for at, family in enumerate(families):
        axes = grid[at // PANELS_ACROSS][at % PANELS_ACROSS]
        for name, style in styles.items():
            line = sorted((o.num_clients, o.total) for o in answered if (o.family, o.contender) == (family, name))
            if line:
                axes.loglog(*zip(*line, strict=True), label=name, **style)
        axes.set(title=family, xlabel="clients", ylabel="seconds")
        axes.grid(alpha=0.25, which="both")
    for at in range(len(families), rows * len(grid[0])):
        grid[at // PANELS_ACROSS][at % PANELS_ACROSS].set_visible(False)
    _legend(figure, grid)
    return _svg(figure)


def performance(found: Sequence[Standing]) -> str:
    """Return the performance profile; empty if fewer than two contenders solved an instance."""
    ratios = profile(found)
    if sum(bool(values) for values in ratios.values()) < 2:
        return ""
    num_instances = len({one.instance for one in found})
    figure, grid = _canvas(1, 1, width=8.0)
    axes = grid[0][0]
    for name, style in _styles(found).items():
        values = ratios[name]
        if values:
            shares = [(k + 1) / num_instances for k in range(len(values))]
            axes.step(
                [values[0], *values, LARGEST_RATIO],
                [0.0, *shares, shares[-1]],
                where="post",
                label=name,
                **{**style, "marker": ""},
            )
    axes.set(xscale="log", xlim=(1.0, LARGEST_RATIO), ylim=(0.0, 1.02), xlabel="time / fastest time", ylabel="share")
    axes.grid(alpha=0.25, which="both")
    _legend(figure, grid)
    return _svg(figure)


def _styles(found: Sequence[Standing]) -> dict[str, dict[str, Any]]:
    """Return the line style of each contender, the same in every picture: our solvers solid, others dashed."""
    names = in_order(one.contender for one in found)
    return {
        name: {
            "color": COLOURS[k % len(COLOURS)],
            "linestyle": "-" if name in SOLVERS else "--",
            "linewidth": 2.2 if name in SOLVERS else 1.4,
            "marker": "o",
            "markersize": 3.5,
        }
        for k, name in enumerate(names)
    }


def _canvas(rows: int, columns: int, width: float = 4.2) -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(width * columns, 3.4 * rows + 0.8), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _legend(figure: Any, grid: Any) -> None:
    named: dict[str, Any] = {}
    for axes in grid.flat:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            named.setdefault(name, handle)
    figure.legend(named.values(), named.keys(), loc="outside lower center", ncols=6, frameon=False, fontsize="small")


def _svg(figure: Any) -> str:
    """Return the figure as one <svg> element; equal data give equal text."""
    from matplotlib import rc_context  # noqa: PLC0415

    text = io.StringIO()
    with rc_context({"svg.hashsalt": "alignsolve", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
