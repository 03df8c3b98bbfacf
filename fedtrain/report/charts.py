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

WIDTH, HEIGHT = 420, 190
LEFT, RIGHT, TOP, BOTTOM = 50, 408, 10, 166
SMALL_WIDTH, SMALL_HEIGHT = 180, 84
SMALL_LEFT, SMALL_RIGHT, SMALL_TOP, SMALL_BOTTOM = 22, 176, 6, 76
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


@dataclass(frozen=True)
class _Frame:
    """The mapping from data to positions in the SVG."""

    rounds: FloatArray
    low: float
    high: float
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM

    def x(self, number: float) -> float:
        first, last = self.rounds[0], self.rounds[-1]
        share = (number - first) / (last - first) if last > first else 0.5
        return float(self.left + share * (self.right - self.left))

    def y(self, value: float) -> float:
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return float(self.bottom - share * (self.bottom - self.top))

    def span(self) -> str:
        return f"{self.rounds[0]:g} {self.rounds[-1]:g} {self.left} {self.right}"


def expert_colour(j: int, num_experts: int) -> str:
    """Return the colour of an expert, different for each expert and readable in both themes."""
    return f"hsl({round(360 * j / num_experts) + 205} 62% var(--line-lightness))"


def line_chart(
    title: str,
    rounds: FloatArray,
    series: Sequence[Series],
    *,
    form: Format,
    axis: Format | None = None,
    low: float | None = None,
    high: float | None = None,
    note: str = "",
) -> str:
    """Draw lines over the rounds, with a legend that shows the chosen round's values.

    Parameters
    ----------
    title, note
        Plain text; the note stands below the chart.
    rounds
        (num_rounds,) at least one, ascending.
    series
        The lines; at least one.
    form, axis
        Format of a value, and format on the axis if it differs.
    low, high
        Values that the axis includes in any case; None: only the range of the data.
    """
    # The axis, then the lines in front of their bands, then the legend and a summary for screen readers.
    edges = [line.band.ravel() for line in series if line.band is not None]
    ticks = nice_ticks(*_ends([*(line.values for line in series), *edges], low, high))
    frame = _Frame(rounds, ticks[0], ticks[-1])
    drawn = [*(_band(frame, line) for line in series), *(_line(frame, line) for line in series)]
    body = "".join([*_grid(frame, ticks, axis or form), *drawn, _cursor(frame)])
    legend = "".join(_legend(line, form) for line in series)
    summary = "; ".join(_summary(line, rounds, form) for line in series[:4])
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}</h3><ul class="legend">{legend}</ul></figcaption>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{title}: {summary}")}" '
        f'data-span="{frame.span()}">{body}</svg>'
        + (f'<p class="note">{escape(note)}</p>' if note else "")
        + "</figure>"
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
    frame = _Frame(rounds, 0.0, high, SMALL_LEFT, SMALL_RIGHT, SMALL_TOP, SMALL_BOTTOM)
    edges = _step_edges(frame)
    upper = [frame.y(value) for value in np.minimum(capacity, high)]
    lower = [frame.y(value) for value in demand]
    band = _steps(edges, upper) + " L" + _steps(edges, lower, backwards=True)[1:] + "Z"
    outside = (load > capacity + 1e-9) | (load < demand - 1e-9)
    marks = "".join(
        f'<circle class="outside" cx="{frame.x(number):.1f}" cy="{frame.y(value):.1f}" r="2.2"/>'
        for number, value in zip(rounds[outside], load[outside], strict=True)
    )
    axis = "".join(
        f'<line class="grid" x1="{SMALL_LEFT}" x2="{SMALL_RIGHT}" y1="{frame.y(v):.1f}" y2="{frame.y(v):.1f}"/>'
        f'<text x="{SMALL_LEFT - 4}" y="{frame.y(v) + 3:.1f}" text-anchor="end">{v:g}</text>'
        for v in (0.0, high)
    )
    told = f"Expert {j}: load {load.min():g} to {load.max():g}, outside its bounds in {outside.sum()} rounds"
    return (
        f'<figure class="small chart"><figcaption><span class="chip" style="background:{colour}"></span>expert {j}'
        f' <output data-load="{j}"></output></figcaption>'
        f'<svg viewBox="0 0 {SMALL_WIDTH} {SMALL_HEIGHT}" role="img" aria-label="{told}" '
        f'data-span="{frame.span()}">{axis}<path class="band" d="{band}"/>'
        f'<path class="line" style="stroke:{colour}" d="{_steps(edges, [frame.y(value) for value in load])}"/>'
        f"{marks}{_cursor(frame)}</svg></figure>"
    )


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
    )


def nice_ticks(low: float, high: float, *, wanted: int = 4) -> list[float]:
    """Return evenly spaced round numbers, the first at or below ``low`` and the last at or above ``high``.

    Examples
    --------
    >>> nice_ticks(0.0, 0.93)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    if not high > low:
        low, high = (low, low + 1.0) if low == 0 else (low - abs(low) / 2, low + abs(low) / 2)
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12 - math.floor(math.log10(step))) for k in range(first, last + 1)]


def _ends(values: Sequence[FloatArray], low: float | None, high: float | None) -> tuple[float, float]:
    finite = np.concatenate([*values, [value for value in (low, high) if value is not None]])
    finite = finite[np.isfinite(finite)]
    return (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)


def _grid(frame: _Frame, ticks: Sequence[float], form: Format) -> Iterator[str]:
    for tick in ticks:
        y = frame.y(tick)
        yield f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{escape(form(tick))}</text>'
    first, last = frame.rounds[0], frame.rounds[-1]
    numbers = [t for t in nice_ticks(first, last, wanted=5) if first <= t <= last and t == int(t)] or [first]
    for number in numbers:
        yield f'<text x="{frame.x(number):.1f}" y="{BOTTOM + 17}" text-anchor="middle">{number:g}</text>'


def _band(frame: _Frame, line: Series) -> str:
    """Draw a line's band in the rounds where both edges are known; return nothing if there is no band."""
    if line.band is None:
        return ""
    known = np.isfinite(line.band).all(axis=0)
    numbers, (low, high) = frame.rounds[known], line.band[:, known]
    if len(numbers) < 2:
        return ""
    there = [f"{frame.x(n):.1f},{frame.y(v):.1f}" for n, v in zip(numbers, low, strict=True)]
    back = [f"{frame.x(n):.1f},{frame.y(v):.1f}" for n, v in zip(numbers, high, strict=True)]
    return f'<path class="spread" style="fill:{line.colour}" d="M{" L".join([*there, *reversed(back)])}Z"/>'


def _line(frame: _Frame, line: Series) -> str:
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
            dots.append(f'<circle style="fill:{line.colour}" cx="{x}" cy="{y}" r="2.5"/>')
        elif run:
            parts.append("M" + " L".join(run))
        run = []
    dashed = " dashed" if line.dashed else ""
    path = f'<path class="line{dashed}" style="stroke:{line.colour}" d="{" ".join(parts)}"/>' if parts else ""
    return path + "".join(dots)


def _cursor(frame: _Frame) -> str:
    x = frame.x(frame.rounds[-1])
    return f'<line class="cursor" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{frame.bottom}"/>'


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


def _step_edges(frame: _Frame) -> list[float]:
    """Return the x positions at which each round's step begins and ends: halfway to its neighbours."""
    at = [frame.x(number) for number in frame.rounds]
    middles = [(a + b) / 2 for a, b in itertools.pairwise(at)]
    return [frame.left, *middles, frame.right]


def _steps(edges: Sequence[float], heights: Sequence[float], *, backwards: bool = False) -> str:
    points = [(x, y) for left, right, y in zip(edges[:-1], edges[1:], heights, strict=True) for x in (left, right)]
    ordered = points[::-1] if backwards else points
    return "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in ordered)
