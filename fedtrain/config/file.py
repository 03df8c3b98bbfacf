"""Configurations as TOML: reads files, overrides single keys, refuses unknown keys and wrong types, writes files."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from fedtrain.config import ConfigError, RunConfig


def read_config(path: Path | None = None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a configuration: the defaults, then the values of a TOML file, then ``key=value`` overrides.

    Parameters
    ----------
    path
        The file; None for the defaults alone.
    overrides
        ``key=value`` with dotted keys. The value is written as in TOML (``true``, ``0.1``, ``[1, 2]``); bare words are
        strings.

    Raises
    ------
    ConfigError
        If the file cannot be read or is not TOML, a key is unknown, or a value is of the wrong type or out of range.

    Examples
    --------
    >>> read_config(overrides=["training.epochs=2", "name=short"]).training.epochs
    2
    """
    given = {} if path is None else read_toml(path)
    if {"tasks", "alignments"} <= given.keys():
        raise ConfigError(f"{path} is a plan, not the configuration of a run; run it with: fedtrain compare {path}")
    for override in overrides:
        _override(given, override)
    return build_config(given)


def build_config(given: Mapping[str, Any]) -> RunConfig:
    """Make a configuration from nested keys, as in a TOML file; keys that are left out have their defaults.

    Raises
    ------
    ConfigError
        If a key is unknown, or a value is of the wrong type or out of range.
    """
    config: RunConfig = build(RunConfig, given)
    return config


def build(kind: Any, given: Mapping[str, Any], prefix: str = "") -> Any:
    """Make a dataclass from a table of keys; fields that are dataclasses are made from the inner tables.

    Parameters
    ----------
    kind
        The dataclass; the types of its fields decide which values are allowed.
    given
        Values by field; fields that are left out have their defaults.
    prefix
        The position of the table, which error messages put before a key.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, or a value is of the wrong type or out of range.
    """
    hints = _types_of(kind)
    for key in given:
        if key not in hints:
            raise ConfigError(f"unknown key {prefix + key!r}; {_advice(RunConfig if prefix else kind, prefix + key)}")
    arguments = {key: _convert(hints[key], value, prefix + key) for key, value in given.items()}
    missing = [field.name for field in fields(kind) if field.name not in arguments and _has_no_default(field)]
    if missing:
        raise ConfigError(f"{prefix}{missing[0]} is missing, it has no default")
    return kind(**arguments)


def to_toml(config: RunConfig) -> str:
    """Write every key of a configuration as TOML; reading the text gives an equal configuration."""
    import tomli_w  # noqa: PLC0415  (only to write)

    return tomli_w.dumps(asdict(config))


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; raise ConfigError with the file's name if that fails."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def _override(given: dict[str, Any], override: str) -> None:
    """Set one dotted key in the nested dictionaries."""
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override!r}: expected key=value, such as training.epochs=2")
    *tables, last = (part.strip() for part in key.split("."))
    table = given
    for name in tables:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            raise ConfigError(f"--set {override!r}: {name} is a value, not a table of keys")
    table[last] = _read_value(text.strip())


def _read_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text  # a bare word, as a shell passes it; the type check decides whether a string is right here


@cache
def _types_of(kind: Any) -> dict[str, Any]:
    """Return the types by field. They are cached: looking them up is slow, and a comparison does it often."""
    return get_type_hints(kind)


def _has_no_default(field: Any) -> bool:
    # Without a default, both attributes are dataclasses.MISSING.
    return field.default is field.default_factory


def _convert(hint: Any, value: Any, key: str) -> Any:
    """Check a value's type, and convert it: whole numbers to floats, lists to tuples, tables to dataclasses."""
    if (is_dataclass(hint) or get_origin(hint) is Mapping) and not isinstance(value, dict):
        raise ConfigError(f"{key} is {value!r}; it must be a table of keys")
    if is_dataclass(hint):
        return build(hint, value, f"{key}.")
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            tables = f" of tables, [[{key}]] in a file" if is_dataclass(get_args(hint)[0]) else ""
            raise ConfigError(f"{key} is {value!r}; it must be a list{tables}")
        return tuple(_convert(get_args(hint)[0], item, key) for item in value)
    if get_origin(hint) is Mapping:
        return {name: _convert(get_args(hint)[1], inner, f"{key}.{name}") for name, inner in value.items()}
    if hint is Any:
        return value
    if hint is float and type(value) is int:
        return float(value)
    if type(value) is not hint:
        raise ConfigError(f"{key} is {value!r}; it must be {_TYPE_NAMES[hint]}")
    return value


_TYPE_NAMES = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}


def _advice(kind: Any, unknown: str) -> str:
    """Suggest the known key that is most similar, by its own name and by its full name together."""
    last = unknown.rpartition(".")[2]

    def likeness(key: str) -> float:
        pairs = (key, unknown), (key.rpartition(".")[2], last)
        return sum(difflib.SequenceMatcher(None, *pair).ratio() for pair in pairs)

    return f"did you mean {max(_keys(kind, ''), key=likeness)!r}?"


def _keys(kind: Any, prefix: str) -> Iterator[str]:
    for name, hint in get_type_hints(kind).items():
        yield prefix + name
        inner = get_args(hint)[0] if get_origin(hint) is tuple else hint
        if is_dataclass(inner):
            yield from _keys(inner, f"{prefix}{name}.")
