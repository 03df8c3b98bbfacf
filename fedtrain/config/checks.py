"""How the values of a configuration are checked: by rules that name the key and say what it may be."""

import math


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key and what it may be."""


def check(key: str, value: object, holds: bool, rule: str) -> None:
    """Refuse a value unless its rule holds."""
    if not holds:
        raise ConfigError(f"{key} is {value!r}; it must be {rule}")


def one_of(key: str, value: str, names: tuple[str, ...]) -> None:
    """Refuse a word that is not among the names."""
    check(key, value, value in names, " or ".join(repr(name) for name in names))


def positive(key: str, value: float) -> None:
    """Refuse what is not above 0 and finite."""
    check(key, value, 0.0 < value < math.inf, "above 0, and finite")


def share(key: str, value: float) -> None:
    """Refuse what is no share of a whole."""
    check(key, value, 0.0 <= value <= 1.0, "between 0 and 1")


def at_least(key: str, value: int, least: int) -> None:
    """Refuse a whole number below the least."""
    check(key, value, value >= least, f"{least} or more")
