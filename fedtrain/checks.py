"""Checks of configured values: what is wrong becomes a ConfigError that names the key and what it may be."""

import math


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key and what it may be."""


def check(key: str, value: object, holds: bool, rule: str) -> None:
    """Refuse a value that does not hold to its rule."""
    if not holds:
        raise ConfigError(f"{key} is {value!r}; it must be {rule}")


def one_of(key: str, value: str, names: tuple[str, ...]) -> None:
    """Refuse a word that is not among these."""
    check(key, value, value in names, " or ".join(repr(name) for name in names))


def positive(key: str, value: float) -> None:
    """Refuse what is not a finite number above 0."""
    check(key, value, 0.0 < value < math.inf, "above 0, and finite")


def at_least(key: str, value: int, least: int) -> None:
    """Refuse a whole number below the least."""
    check(key, value, value >= least, f"{least} or more")
