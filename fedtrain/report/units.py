"""Formats figures for pages."""

import math


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


def short_percent(value: float) -> str:
    """Write a share that is a round number, as on an axis."""
    return f"{100 * value:g} %"


def number(value: float) -> str:
    """Write a plain number."""
    return f"{value:.4g}"


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
