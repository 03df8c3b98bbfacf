"""Charts as inline SVG: small, with real text, and coloured by the page's style sheet, so that they follow its theme.

The attribute ``data-span`` of a chart holds its first and last round and their x positions. With it, the page's script
can move one cursor through all charts.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray
from fedtrain.report.axis import (
    ANYTHING,
    HEIGHT,
    WIDTH,
    Frame,
    Limits,
    Ticks,
    cursor,
    ends,
    frame_around,
    grid,
    nice_ticks,
)
from fedtrain.report.units import ticks_of_numbers

SMALL_WIDTH, SMALL_HEIGHT = 180, 110
SMALL_LEFT, SMALL_RIGHT, SMALL_TOP, SMALL_BOTTOM = 24, 174, 20, 90
THIN, WIDER, WIDEST = 1.8, 2.6, 9.6
"""Width of a line, by how much it is wider for each line that covers it, and the largest width."""
Format = Callable[[float], str]


@dataclass(frozen=True)
class Series:
    """One line.

    Attributes
    ----------
    label
        Name of the line in the legend.
    values
        (num_rounds,) values; NaN leaves a gap.
    key
        Key under which the page's script finds the line's values.
    colour
        A CSS colour.
    dashed
        Whether the line is dashed, as lines of reference are.
    band
        (2, num_rounds) lower and upper edge of a band around the line; None: there is none.
    """

    label: str
    values: FloatArray
    key: str
    colour: str
    dashed: bool = False
    band: FloatArray | None = None


def colour_of(k: int, number: int) -> str:
    """Return one of several colours, equally light, so that all can be read in both themes."""
    return f"oklch(var(--line-lightness) 0.13 {(int(360 * k / number + 0.5) + 250) % 360})"


def line_chart(
    title: str,
    rounds: FloatArray,
    series: Sequence[Series],
    *,
    name: str,
    form: Format,
    axis: Ticks = ticks_of_numbers,
    low: float | None = None,
    high: float | None = None,
    limits: Limits = ANYTHING,
    step: float = 0.0,
    note: str = "",
) -> str:
    """Draw lines over the rounds, with a legend that shows the chosen round's values.

    A line that lies under others is wider, so that it is seen on both sides of them.

    Parameters
    ----------
    title, note
        Plain text; the note stands below the chart.
    rounds
        (num_rounds,) at least one, ascending.
    series
        The lines; at least one.
    name
        Name of the vertical axis.
    form, axis
        Format of a value, and of the ticks of the vertical axis.
    low, high
        Values that the axis includes in any case; None: only the range of the data.
    limits
        Smallest and largest value that can be. Bands are cut there.
    step
        Smallest distance between ticks: 1 for what is counted.
    """
    # The axis, then the lines in front of their bands, then the legend and a summary for screen readers.
    edges = [line.band.ravel() for line in series if line.band is not None]
    ticks = nice_ticks(*ends([*(line.values for line in series), *edges], low, high, limits), least=step)
    written = axis(ticks)
    frame = frame_around(rounds, ticks, written)
    covered = [_covering(series[k:], frame) for k in range(len(series))]
    wider = min(WIDER, (WIDEST - THIN) / max(1, *covered))
    lines = [_line(frame, line, THIN + wider * number) for line, number in zip(series, covered, strict=True)]
    drawn = [*(_band(frame, line, limits) for line in series), *lines]
    body = "".join([*grid(frame, ticks, written, name), *drawn, cursor(frame)])
    legend = "".join(_legend(line, form) for line in series)
    summary = "; ".join(_summary(line, rounds, form) for line in series[:4])
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}</h3><ul class="legend">{legend}</ul></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{title}: {summary}")}" '
        f'data-span="{frame.span()}">{body}</svg>'
        + (f'<p class="note">{escape(note)}</p>' if note else "")
        + "</figure>"
    )


def said(title: str, text: str, note: str) -> str:
    """Say in words what a chart would not show."""
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}</h3></figcaption>'
        f'<p class="said">{escape(text)}</p><p class="note">{escape(note)}</p></figure>'
    )


def expert_chart(
    j: int, rounds: FloatArray, load: FloatArray, demand: FloatArray, capacity: FloatArray, *, high: float, colour: str
) -> str:
    """Draw one expert's load as steps over the band of its bounds; rounds outside the bounds are marked.

    Parameters
    ----------
    j
        Index of the expert.
    rounds, load, demand, capacity
        (num_rounds,) values; a capacity of inf is no bound.
    high
        Top of the axis, the same for all experts.
    """
    # The band between demand and capacity, the marks for loads outside it, and the axis.
    frame = Frame(rounds, 0.0, high, SMALL_LEFT, SMALL_RIGHT, SMALL_TOP, SMALL_BOTTOM)
    edges = _step_edges(frame)
    upper = [frame.y(value) for value in np.minimum(capacity, high)]
    lower = [frame.y(value) for value in demand]
    band = _steps(edges, upper) + " L" + _steps(edges, lower, backwards=True)[1:] + "Z"
    outside = (load > capacity + 1e-9) | (load < demand - 1e-9)
    marks = "".join(
        f'<circle class="outside" cx="{frame.x(number):.1f}" cy="{frame.y(value):.1f}" r="2.2"/>'
        for number, value in zip(rounds[outside], load[outside], strict=True)
    )
    axis = "".join(_small_axes(frame, high))
    told = f"Expert {j}: load {load.min():g} to {load.max():g}, outside its bounds in {outside.sum()} rounds"
    return (
        f'<figure class="small chart"><figcaption><span class="chip" style="background:{colour}"></span>expert {j}'
        f' <output data-load="{j}"></output></figcaption>'
        f'<svg viewBox="0 0 {SMALL_WIDTH} {SMALL_HEIGHT}" role="img" aria-label="{told}" '
        f'data-span="{frame.span()}">{axis}<path class="band" d="{band}"/>'
        f'<path class="line" style="stroke:{colour}" d="{_steps(edges, [frame.y(value) for value in load])}"/>'
        f"{marks}{cursor(frame)}</svg></figure>"
    )


def _small_axes(frame: Frame, high: float) -> Iterator[str]:
    """Draw the axes of a small chart: only their ends are written, and their names."""
    for value in (0.0, high):
        y = frame.y(value)
        yield f'<line class="grid" x1="{SMALL_LEFT}" x2="{SMALL_RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{SMALL_LEFT - 4}" y="{y + 3:.1f}" text-anchor="end">{value:g}</text>'
    yield '<text class="name" data-axis="y" x="0" y="9">clients</text>'
    below, middle = frame.bottom + 15, (SMALL_LEFT + SMALL_RIGHT) / 2
    yield f'<text x="{SMALL_LEFT}" y="{below}">{frame.rounds[0]:g}</text>'
    yield f'<text class="name" data-axis="x" x="{middle:g}" y="{below}" text-anchor="middle">round</text>'
    yield f'<text x="{SMALL_RIGHT}" y="{below}" text-anchor="end">{frame.rounds[-1]:g}</text>'


def proof_strip(rounds: FloatArray, proven: BoolArray) -> str:
    """Draw one mark per round: proven optimal or not."""
    marks = "".join(
        f'<rect class="{"proven" if is_proven else "unproven"}" x="{k + 0.08:.2f}" width="0.84" height="1">'
        f"<title>round {number:g}: {'proven optimal' if is_proven else 'not proven optimal'}</title></rect>"
        for k, (number, is_proven) in enumerate(zip(rounds, proven, strict=True))
    )
    told = f"{proven.sum()} of {len(proven)} rounds proven optimal"
    return (
        f'<svg class="strip" viewBox="0 0 {len(rounds)} 1" preserveAspectRatio="none" role="img" '
        f'aria-label="{told}">{marks}</svg>'
        f'<p class="ends"><span>{rounds[0]:g}</span><span data-axis="x">round</span><span>{rounds[-1]:g}</span></p>'
    )


def _band(frame: Frame, line: Series, limits: Limits) -> str:
    """Draw a line's band, cut at the limits, in the rounds where both edges are known; nothing if there is no band."""
    if line.band is None:
        return ""
    known = np.isfinite(line.band).all(axis=0)
    numbers, (low, high) = frame.rounds[known], np.clip(line.band[:, known], *limits)
    if len(numbers) < 2:
        return ""
    there = [f"{frame.x(n):.1f},{frame.y(v):.1f}" for n, v in zip(numbers, low, strict=True)]
    back = [f"{frame.x(n):.1f},{frame.y(v):.1f}" for n, v in zip(numbers, high, strict=True)]
    return f'<path class="spread" style="fill:{line.colour}" d="M{" L".join([*there, *reversed(back)])}Z"/>'


def _covering(series: Sequence[Series], frame: Frame) -> int:
    """Count the lines after the first that cover it: whose values differ by less than can be seen."""
    first, *others = (line.values for line in series)
    seen = (frame.high - frame.low) / 100
    gaps = [np.abs(first - values) for values in others]
    return sum(bool((gap[np.isfinite(gap)] < seen).all()) for gap in gaps if np.isfinite(gap).any())


def _line(frame: Frame, line: Series, width: float) -> str:
    """Draw a line with gaps where values are missing; a single point between gaps is a dot."""
    parts: list[str] = []
    dots: list[str] = []
    run: list[str] = []
    # Collect runs of known values; the NaN at the end closes the last run.
    for number, value in [*zip(frame.rounds, line.values, strict=True), (0.0, math.nan)]:
        if math.isfinite(value):
            run.append(f"{frame.x(number):.1f},{frame.y(value):.1f}")
            continue
        if len(run) == 1:
            x, y = run[0].split(",")
            dots.append(f'<circle style="fill:{line.colour}" cx="{x}" cy="{y}" r="{width + 0.7:g}"/>')
        elif run:
            parts.append("M" + " L".join(run))
        run = []
    dashed = " dashed" if line.dashed else ""
    style = f"stroke:{line.colour};stroke-width:{width:g}"
    path = f'<path class="line{dashed}" style="{style}" d="{" ".join(parts)}"/>' if parts else ""
    return path + "".join(dots)


def _legend(line: Series, form: Format) -> str:
    last = form(line.values[-1]) if math.isfinite(line.values[-1]) else "–"
    dashed = " dashed" if line.dashed else ""
    return (
        f'<li><span class="chip{dashed}" style="--chip:{line.colour}"></span>{escape(line.label)} '
        f'<output data-key="{escape(line.key)}">{escape(last)}</output></li>'
    )


def _summary(line: Series, rounds: FloatArray, form: Format) -> str:
    known = np.flatnonzero(np.isfinite(line.values))
    if not len(known):
        return f"{line.label} not known"
    first, last = known[0], known[-1]
    return (
        f"{line.label} {form(line.values[first])} in round {rounds[first]:g}, "
        f"{form(line.values[last])} in round {rounds[last]:g}"
    )


def _step_edges(frame: Frame) -> list[float]:
    """Return the x positions at which each round's step begins and ends: halfway to its neighbours."""
    at = [frame.x(number) for number in frame.rounds]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(at)]
    return [frame.left, *middles, frame.right]


def _steps(edges: Sequence[float], heights: Sequence[float], *, backwards: bool = False) -> str:
    points = [(x, y) for left, right, y in zip(edges[:-1], edges[1:], heights, strict=True) for x in (left, right)]
    ordered = points[::-1] if backwards else points
    return "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in ordered)
