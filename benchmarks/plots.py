"""Draws standings as inline SVG, in the colours of the page: growth with the clients, and the performance profile."""

import io
import re
from collections.abc import Sequence
from typing import Any

from alignsolve import SOLVERS
from benchmarks.entrants import in_order
from benchmarks.summary import Standing, profile
from fedtrain.report.charts import colour_of

LARGEST_RATIO = 1e4
WIDTH, HEIGHT = 4.4, 3.0
"""Inches of a picture. It is shown at the width of its card, on a phone too."""
MARK = "#0a0a{:02x}"
"""A colour that stands for a contender's until the picture is written."""


def legend(found: Sequence[Standing]) -> list[tuple[str, str, bool]]:
    """Return each contender with its colour, and whether its lines are dashed, as those of outside systems are."""
    names = in_order(one.contender for one in found)
    return [(name, colour_of(k, len(names)), name not in SOLVERS) for k, name in enumerate(names)]


def growth(found: Sequence[Standing]) -> dict[str, str]:
    """Return plots of seconds against clients, by family and number of experts; those with one size are left out."""
    answered = [one for one in found if one.outcome == "answered"]
    kinds = list(dict.fromkeys((one.family, one.num_experts) for one in answered))
    several = dict.fromkeys(experts for _, experts in kinds)
    plots = {}
    for kind in kinds:
        inside = [one for one in answered if (one.family, one.num_experts) == kind]
        if len({one.num_clients for one in inside}) > 1:
            title = f"{kind[0]}, {kind[1]} experts" if len(several) > 1 else kind[0]
            plots[title] = _growth(inside, found)
    return plots


def _growth(inside: Sequence[Standing], found: Sequence[Standing]) -> str:
    figure, axes = _canvas()
    for name, style in _styles(found).items():
        line = sorted((one.num_clients, one.total) for one in inside if one.contender == name)
        if line:
            axes.loglog(*zip(*line, strict=True), **style)
    return _svg(figure, axes, "clients", "seconds", len(legend(found)))


def performance(found: Sequence[Standing]) -> str:
    """Return the performance profile; empty if fewer than two contenders solved an instance."""
    ratios = profile(found)
    if sum(bool(values) for values in ratios.values()) < 2:
        return ""
    num_instances = len({one.instance for one in found})
    figure, axes = _canvas()
    for name, style in _styles(found).items():
        values = ratios[name]
        if values:
            shares = [(k + 1) / num_instances for k in range(len(values))]
            across, up = [values[0], *values, LARGEST_RATIO], [0.0, *shares, shares[-1]]
            axes.step(across, up, where="post", **{**style, "marker": ""})
    axes.set(xscale="log", xlim=(1.0, LARGEST_RATIO), ylim=(0.0, 1.02))
    return _svg(figure, axes, "time / fastest time", "share of instances", len(legend(found)))


def _styles(found: Sequence[Standing]) -> dict[str, dict[str, Any]]:
    """Return the line style of each contender, the same in every picture: our solvers solid, others dashed."""
    return {
        name: {
            "color": MARK.format(k),
            "linestyle": "--" if dashed else "-",
            "linewidth": 1.4 if dashed else 2.2,
            "marker": "o",
            "markersize": 3.5,
        }
        for k, (name, _, dashed) in enumerate(legend(found))
    }


def _canvas() -> tuple[Any, Any]:
    from matplotlib.figure import Figure  # noqa: PLC0415

    figure = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Any, axes: Any, across: str, up: str, number: int) -> str:
    """Return the figure as one <svg> element in the colours of the page's theme; equal data give equal text."""
    from matplotlib import rc_context  # noqa: PLC0415

    axes.set_xlabel(across, gid="axis-x")
    axes.set_ylabel(up, gid="axis-y")
    axes.grid(alpha=0.5, which="both")
    for axis in (axes.xaxis, axes.yaxis):
        if axis.get_scale() == "log":
            _write_plainly(axis)
    text = io.StringIO()
    with rc_context({"svg.hashsalt": "alignsolve", "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    svg = text.getvalue()[text.getvalue().index("<svg") :]
    svg = re.sub(r'<g id="axis-([xy])"', r'<g data-axis="\1"', svg)
    svg = re.sub(r' id="(?:figure|axes|patch|line2d|text|xtick|ytick|matplotlib\.axis)_\d+"', "", svg)
    svg = re.sub(r" (?:width|height)=\"[\d.]+pt\"", "", svg, count=2)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    return _themed(svg, number)


def _write_plainly(axis: Any) -> None:
    """Write the ticks of an axis of powers as numbers: 0.1, 1, 10, 1,000."""
    from matplotlib.ticker import LogFormatterSciNotation  # noqa: PLC0415

    class Plain(LogFormatterSciNotation):
        """Chooses the ticks that have a text as matplotlib does, and writes them plainly."""

        def __call__(self, x: float, pos: int | None = None) -> str:
            return plain(x) if super().__call__(x, pos) else ""

    axis.set_major_formatter(Plain())
    axis.set_minor_formatter(Plain(labelOnlyBase=False, minor_thresholds=(1, 0.4)))


def plain(value: float) -> str:
    """Write a number without a power of ten.

    Examples
    --------
    >>> plain(0.01), plain(2000.0)
    ('0.01', '2,000')
    """
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def _themed(svg: str, number: int) -> str:
    """Put the page's colours in place of matplotlib's."""
    svg = re.sub(r"#0a0a([0-9a-f]{2})", lambda found: colour_of(int(found[1], 16), number), svg)
    svg = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font: \1 system-ui, sans-serif", svg)
    for theirs, ours in (("#000000", "var(--muted)"), ("#b0b0b0", "var(--rule)"), ("#ffffff", "var(--panel)")):
        svg = svg.replace(theirs, ours)
    return svg
