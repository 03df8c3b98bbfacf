"""How the values of a configuration are checked: every field carries its rule, and the rule says what is allowed."""

import math
from collections.abc import Callable, Collection
from dataclasses import MISSING, field, fields
from typing import Any


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key and what it may be."""


def check(key: str, value: object, holds: bool, rule: str) -> None:
    """Refuse a value unless its rule holds."""
    if not holds:
        raise ConfigError(f"{key} is {value!r}; it must be {rule}")


def check_fields(section: Any, prefix: str) -> None:
    """Check all fields of a section by the rules that they carry; ``prefix`` is put before their names."""
    for one in fields(section):
        if "rule" in one.metadata:
            holds, rule = one.metadata["rule"]
            value = getattr(section, one.name)
            check(prefix + one.name, value, holds(value), rule)


def checked(default: Any, holds: Callable[[Any], bool], rule: str) -> Any:
    """Make a field with a rule of its own, in words too."""
    return field(default=default, metadata={"rule": (holds, rule)})


def one_of(default: str, names: Collection[str]) -> Any:
    """Make a field for one of these words."""
    return checked(default, lambda value: value in names, " or ".join(repr(name) for name in names))


def positive(default: Any = MISSING) -> Any:
    """Make a field for a number above 0; without a default, one that must be given."""
    return checked(default, lambda value: 0.0 < value < math.inf, "above 0, and finite")


def share(default: float) -> Any:
    """Make a field for a share of a whole."""
    return checked(default, lambda value: 0.0 <= value <= 1.0, "between 0 and 1")


def at_least(least: int, default: int) -> Any:
    """Make a field for a whole number that is not below the least."""
    return checked(default, lambda value: value >= least, f"{least} or more")
