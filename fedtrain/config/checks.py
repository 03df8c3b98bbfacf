"""Checks of a configuration's values: every field carries a rule, as a function and in words."""

import math
from collections.abc import Callable, Collection
from dataclasses import MISSING, field, fields
from typing import Any


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key and the values that it may have."""


def check(key: str, value: object, holds: bool, rule: str) -> None:
    """Raise ConfigError unless the rule holds."""
    if not holds:
        raise ConfigError(f"{key} is {value!r}; it must be {rule}")


def check_fields(section: Any, prefix: str) -> None:
    """Check all fields of a section by their rules; messages put ``prefix`` before the names."""
    for one in fields(section):
        if "rule" in one.metadata:
            holds, rule = one.metadata["rule"]
            value = getattr(section, one.name)
            check(prefix + one.name, value, holds(value), rule)


def checked(default: Any, holds: Callable[[Any], bool], rule: str) -> Any:
    """Make a field with a rule: ``holds`` is the check, and ``rule`` says it in words."""
    return field(default=default, metadata={"rule": (holds, rule)})


def one_of(default: str, names: Collection[str]) -> Any:
    """Make a field whose value is one of these names."""
    return checked(default, lambda value: value in names, " or ".join(repr(name) for name in names))


def positive(default: Any = MISSING) -> Any:
    """Make a field for a number above 0; without a default, the value must be given."""
    return checked(default, lambda value: 0.0 < value < math.inf, "above 0, and finite")


def share(default: float) -> Any:
    """Make a field for a share, from 0 to 1."""
    return checked(default, lambda value: 0.0 <= value <= 1.0, "between 0 and 1")


def at_least(least: int, default: int) -> Any:
    """Make a field for a whole number with a smallest value."""
    return checked(default, lambda value: value >= least, f"{least} or more")
