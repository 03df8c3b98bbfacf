"""Checks of a configuration's values: every field carries a rule, as a function and in words."""

import difflib
import math
import re
from collections.abc import Callable, Collection
from dataclasses import MISSING, field, fields
from typing import Any


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names the key and the values that it may have."""


def check(key: str, value: object, holds: bool, rule: str) -> None:
    """Raise ConfigError unless the rule holds."""
    if not holds:
        raise ConfigError(told(key, value, rule))


def told(key: str, value: object, rule: str) -> str:
    """Say which key has which value, and what it must be."""
    return f"{key} is {value!r}; it must be {rule}"


def check_fields(section: Any, prefix: str) -> None:
    """Check all fields of a section by their rules; messages put ``prefix`` before the names."""
    for one in fields(section):
        if "rule" in one.metadata:
            holds, rule = one.metadata["rule"]
            value = getattr(section, one.name)
            if not holds(value):  # similar names are looked for in no other case: that takes long
                raise ConfigError(told(prefix + one.name, value, rule + nearest(value, one.metadata.get("names", ()))))


def nearest(wrong: object, names: Collection[str]) -> str:
    """Return ``; did you mean '…'?`` with the most similar name; an empty text if none is similar."""
    close = difflib.get_close_matches(str(wrong), names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def is_function(name: object) -> bool:
    """Return whether a value names a function of the user's own, as ``module:function`` or ``file.py:function``."""
    return isinstance(name, str) and re.fullmatch(r".+:[^\W\d]\w*", name) is not None


def checked(default: Any, holds: Callable[[Any], bool], rule: str, **known: Any) -> Any:
    """Make a field with a rule: ``holds`` is the check, ``rule`` says it in words, ``known`` is for the reference."""
    return field(default=default, metadata={"rule": (holds, rule), **known})


def one_of(default: str, names: Collection[str]) -> Any:
    """Make a field whose value is one of these names."""
    return checked(default, lambda value: value in names, _listed(names), names=tuple(names))


def one_of_or_function(default: str, names: Collection[str]) -> Any:
    """Make a field whose value is one of these names, or names a function of the user's own."""
    rule = f"{_listed(names)}, or a function of your own, as 'module:function' or 'path/to/file.py:function'"
    return checked(default, lambda value: value in names or is_function(value), rule, names=tuple(names))


def _listed(names: Collection[str]) -> str:
    return " or ".join(repr(name) for name in names)


def positive(default: Any = MISSING, *, unit: str) -> Any:
    """Make a field for a number above 0; without a default, the value must be given."""
    return checked(default, lambda value: 0.0 < value < math.inf, "above 0, and finite", unit=unit)


def share(default: float, *, unit: str) -> Any:
    """Make a field for a share, from 0 to 1."""
    return checked(default, lambda value: 0.0 <= value <= 1.0, "between 0 and 1", unit=unit)


def at_least(least: int, default: int, *, unit: str) -> Any:
    """Make a field for a whole number with a smallest value."""
    return checked(default, lambda value: value >= least, f"{least} or more", unit=unit)
