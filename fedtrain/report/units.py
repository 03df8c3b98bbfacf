"""Formats figures for pages, and the ticks of an axis in one unit."""

import itertools
import math
import re
from collections.abc import Sequence

TIMES = (("ms", 1e-3), ("s", 1.0), ("min", 60.0), ("h", 3600.0))
SIZES = (("B", 1.0), ("kB", 1e3), ("MB", 1e6), ("GB", 1e9), ("TB", 1e12))


def formatted(column: str, value: float) -> str:
    """Write a value of rounds.csv in the unit that follows from the column's name; a dash if it is not finite."""
    if not math.isfinite(value):
        return "–"
    for ending, form in (("accuracy", percent), ("seconds", seconds)):
        if column.endswith(ending):
            return form(value)
    if column.startswith("bytes"):
        return amount_of_bytes(value)
    return number(value)


def percent(value: float) -> str:
    """Write a share.

    Examples
    --------
    >>> percent(0.9333)
    '93.3 %'
    """
    return f"{100 * value:.1f} %"


def ticks_of_shares(values: Sequence[float]) -> list[str]:
    """Write ticks as percents.

    Examples
    --------
    >>> ticks_of_shares([0.0, 0.25])
    ['0 %', '25 %']
    """
    return [f"{100 * value:g} %" for value in values]


def ticks_of_numbers(values: Sequence[float]) -> list[str]:
    """Write ticks as plain numbers, with as many digits as tell them apart.

    Examples
    --------
    >>> ticks_of_numbers([59.99994, 59.99996, 59.99998])
    ['59.99994', '59.99996', '59.99998']
    """
    error = min((abs(b - a) for a, b in itertools.pairwise(values)), default=math.inf) / 1000
    for digits in range(4, 17):
        written = [f"{value:.{digits}g}" for value in values]
        if all(abs(float(text) - value) <= error for text, value in zip(written, values, strict=True)):
            break
    return [_short(text) for text in written]


def ticks_of_seconds(values: Sequence[float]) -> list[str]:
    """Write ticks of durations, all in the unit that suits the largest.

    Examples
    --------
    >>> ticks_of_seconds([0.0, 0.5, 1.0, 1.5])
    ['0 s', '0.5 s', '1 s', '1.5 s']
    """
    return _in_one_unit(values, TIMES)


def ticks_of_bytes(values: Sequence[float]) -> list[str]:
    """Write ticks of sizes, all in the unit that suits the largest.

    Examples
    --------
    >>> ticks_of_bytes([0.0, 500e6, 1e9])
    ['0 GB', '0.5 GB', '1 GB']
    """
    return _in_one_unit(values, SIZES)


def _in_one_unit(values: Sequence[float], units: Sequence[tuple[str, float]]) -> list[str]:
    largest = max(map(abs, values))
    unit, size = next((one for one in reversed(units) if largest >= one[1]), units[0])
    return [f"{value / size:.4g} {unit}" for value in values]


def number(value: float) -> str:
    """Write a plain number.

    Examples
    --------
    >>> number(1234.56), number(1e-9)
    ('1235', '1e-9')
    """
    return _short(f"{value:.4g}")


def _short(text: str) -> str:
    """Leave out the zeros and the plus of an exponent, as the page's script does."""
    return re.sub(r"e([+-])0*(?=\d)", lambda found: "e" + found[1].strip("+"), text)


def seconds(value: float) -> str:
    """Write a duration.

    Examples
    --------
    >>> seconds(0.0042), seconds(12.0), seconds(300.0), seconds(72_000.0)
    ('4.2 ms', '12 s', '5 min', '20 h')
    """
    if abs(value) < 1:
        return f"{1000 * value:.3g} ms"
    for unit, size, most in (("s", 1.0, 100.0), ("min", 60.0, 6000.0)):
        if abs(value) < most:
            return f"{value / size:.3g} {unit}"
    return f"{value / 3600:.3g} h"


def amount_of_bytes(value: float) -> str:
    """Write a number of bytes.

    Examples
    --------
    >>> amount_of_bytes(2_400_000), amount_of_bytes(12)
    ('2.4 MB', '12 B')
    """
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.0f} B"
