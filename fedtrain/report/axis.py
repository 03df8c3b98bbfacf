"""The axes of charts: a frame that maps data to positions, round ticks within what can be, and the axes' names."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from alignsolve.numerics import FloatArray

WIDTH, HEIGHT = 420, 222
RIGHT, TOP, BOTTOM = 408, 26, 182
LETTER = 7.2
"""Width of a letter of a tick in the SVG's units, at the largest size that the style sheet gives it."""
SAME = 1e-6
"""Largest relative difference of values that are drawn as equal."""
ANYTHING = (-math.inf, math.inf)
NOT_NEGATIVE = (0.0, math.inf)
SHARE = (0.0, 1.0)
"""Smallest and largest value that can be."""
Limits = tuple[float, float]
Ticks = Callable[[Sequence[float]], list[str]]
"""A function that writes all ticks of an axis, in one unit."""


@dataclass(frozen=True)
class Frame:
    """The mapping from data to positions in the SVG.

    Attributes
    ----------
    rounds
        (num_rounds,) ascending.
    low, high
        Ends of the axis.
    left, right, top, bottom
        Edges of the frame in the SVG's units.
    """

    rounds: FloatArray
    low: float
    high: float
    left: float
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM

    def x(self, number: float) -> float:
        """Return the position of a round."""
        first, last = self.rounds[0], self.rounds[-1]
        share = (number - first) / (last - first) if last > first else 0.5
        return float(self.left + share * (self.right - self.left))

    def y(self, value: float) -> float:
        """Return the position of a value; one beyond the axis is at its end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return float(self.bottom - share * (self.bottom - self.top))

    def span(self) -> str:
        """Return the first and last round and their positions, as the page's script reads them."""
        return f"{self.rounds[0]:g} {self.rounds[-1]:g} {self.left:g} {self.right:g}"


def frame_around(rounds: FloatArray, ticks: Sequence[float], written: Sequence[str]) -> Frame:
    """Return a frame whose left edge leaves room for the ticks as they are written."""
    return Frame(rounds, ticks[0], ticks[-1], left=round(12 + LETTER * max(map(len, written))))


def ends(values: Sequence[FloatArray], low: float | None, high: float | None, limits: Limits) -> tuple[float, float]:
    """Return the smallest and largest known value, with ``low`` and ``high`` included, within the limits.

    If all values are equal, the ends lie around them.
    """
    finite = np.concatenate([*values, [value for value in (low, high) if value is not None]])
    finite = np.clip(finite[np.isfinite(finite)], *limits)
    least, most = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    least, most = _apart(least, most)
    return max(least, limits[0]), min(most, limits[1])


def nice_ticks(low: float, high: float, *, wanted: int = 4, least: float = 0.0) -> list[float]:
    """Return evenly spaced round numbers, the first at or below ``low`` and the last at or above ``high``.

    Their distance is at least ``least``.

    Examples
    --------
    >>> nice_ticks(0.0, 0.93)
    [0.0, 0.25, 0.5, 0.75, 1.0]
    """
    low, high = _apart(low, high)
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    step = max(step, least)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(k * step, 12 - math.floor(math.log10(step))) for k in range(first, last + 1)]


def _apart(low: float, high: float) -> tuple[float, float]:
    """Return two values; if they are equal, or differ by less than is worth a picture, two around them."""
    if high - low > SAME * max(abs(low), abs(high)):
        return low, high
    return (low, low + 1.0) if low == 0 else (low - abs(low) / 2, low + abs(low) / 2)


def grid(frame: Frame, ticks: Sequence[float], written: Sequence[str], name: str) -> Iterator[str]:
    """Draw the lines and the ticks of both axes, and write their names; the x axis is that of the rounds."""
    for tick, text in zip(ticks, written, strict=True):
        y = frame.y(tick)
        yield f'<line class="grid" x1="{frame.left:g}" x2="{frame.right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        yield f'<text x="{frame.left - 6:g}" y="{y + 4:.1f}" text-anchor="end">{escape(text)}</text>'
    first, last = frame.rounds[0], frame.rounds[-1]
    numbers = [t for t in nice_ticks(first, last, wanted=5) if first <= t <= last and t == int(t)] or [first]
    for number in numbers:
        yield f'<text x="{frame.x(number):.1f}" y="{frame.bottom + 17}" text-anchor="middle">{number:g}</text>'
    middle = (frame.left + frame.right) / 2
    yield f'<text class="name" data-axis="x" x="{middle:g}" y="{frame.bottom + 34}" text-anchor="middle">round</text>'
    yield f'<text class="name" data-axis="y" x="0" y="11">{escape(name)}</text>'


def cursor(frame: Frame) -> str:
    """Draw the line that marks the chosen round, at the last one."""
    x = frame.x(frame.rounds[-1])
    return f'<line class="cursor" x1="{x:.1f}" x2="{x:.1f}" y1="{frame.top}" y2="{frame.bottom}"/>'
