"""The reference of all keys of a TOML file, read from its dataclasses: default, unit, rule and meaning of each key."""

import dataclasses
import inspect
import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

REQUIRED = "required"


class Key(NamedTuple):
    """One key.

    Attributes
    ----------
    name
        The key within its table.
    default
        Its default as TOML; ``REQUIRED`` if it must be given.
    unit
        Unit of a number, or kind of a value.
    rule
        Which values are allowed; empty if all of this kind are.
    meaning
        What it is, as plain text with code in backticks.
    """

    name: str
    default: str
    unit: str
    rule: str
    meaning: str


class Table(NamedTuple):
    """A table of keys.

    Attributes
    ----------
    name
        Its dotted name; empty for the top of the file.
    about
        What the table is about.
    keys
        Its keys, without those of inner tables.
    many
        Whether it is a list of tables.
    """

    name: str
    about: str
    keys: list[Key]
    many: bool


def tables(kind: Any, name: str = "", *, many: bool = False) -> Iterator[Table]:
    """Yield a dataclass as a table of keys, then its fields that are dataclasses, as inner tables.

    Parameters
    ----------
    kind
        The dataclass. Its docstring must describe all its fields.
    name
        Dotted name of the table.
    many
        Whether it is a list of tables.
    """
    hints, told = get_type_hints(kind), meanings(kind)
    inner, keys = [], []
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        item = get_args(hint)[0] if get_origin(hint) is tuple else hint
        if dataclasses.is_dataclass(item):
            inner.append((item, f"{name}.{field.name}".lstrip("."), item is not hint))
        if not dataclasses.is_dataclass(hint):
            keys.append(_key(field, hint, told[field.name]))
    about = plain((inspect.getdoc(kind) or "").partition("\n\n")[0])
    yield Table(name, about, keys, many)
    for one in inner:
        yield from tables(one[0], one[1], many=one[2])


def meanings(kind: Any) -> dict[str, str]:
    """Return the meaning of each field of a dataclass, from the section ``Attributes`` of its docstring."""
    _, _, section = (inspect.getdoc(kind) or "").partition("Attributes\n----------\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith(" "):
            names = line.split(", ")
        for name in names if line.startswith(" ") else ():
            found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return {name: plain(text) for name, text in found.items()}


def plain(text: str) -> str:
    """Return reStructuredText with code in single backticks, and without line breaks."""
    text = re.sub(r":\w+:`~?\.?([^`]+)`", r"`\1`", text)
    return " ".join(text.replace("``", "`").split())


def as_toml(value: Any) -> str:
    """Write a value as TOML on one line."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name} = {as_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return repr(value) if isinstance(value, float) else json.dumps(value)


def as_text(found: Iterator[Table], *, width: int) -> Iterator[str]:
    """Yield the reference line by line, for a terminal of this width."""
    for table in found:
        yield f"[[{table.name}]]" if table.many else f"[{table.name}]" if table.name else "(at the top of the file)"
        yield from textwrap.wrap(table.about, width, initial_indent="  ", subsequent_indent="  ")
        for key in table.keys:
            given = key.default if key.default == REQUIRED else f"default {key.default}"
            yield ""
            yield from textwrap.wrap(f"{key.name}  ({key.unit}; {given})", width, subsequent_indent="    ")
            yield from textwrap.wrap(sentence(key), width, initial_indent="    ", subsequent_indent="    ")
        yield ""


def as_markdown(found: Iterator[Table]) -> Iterator[str]:
    """Yield the reference line by line, as tables of a Markdown page."""
    for table in found:
        yield (
            f"### `[[{table.name}]]`"
            if table.many
            else f"### `[{table.name}]`"
            if table.name
            else "### Top of the file"
        )
        yield from ("", table.about, "", "| key | default | unit or kind | meaning |", "|---|---|---|---|")
        for key in table.keys:
            default = key.default if key.default == REQUIRED else f"`{key.default}`"
            cells = (f"`{key.name}`", default, key.unit, sentence(key))
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        yield ""


def sentence(key: Key) -> str:
    """Return what a key means, and which values are allowed."""
    return f"{key.meaning} Allowed: {key.rule}." if key.rule else key.meaning


def _key(field: Any, hint: Any, meaning: str) -> Key:
    default = field.default_factory() if field.default_factory is not dataclasses.MISSING else field.default
    given = REQUIRED if default is dataclasses.MISSING else as_toml(default)
    return Key(field.name, given, _unit(field, hint), field.metadata.get("rule", (None, ""))[1], meaning)


def _unit(field: Any, hint: Any) -> str:
    """Return the unit of a number, or the kind of another value."""
    if "unit" in field.metadata:
        return str(field.metadata["unit"])
    kinds = {bool: "true or false", str: "name" if "names" in field.metadata else "text"}
    if get_origin(hint) is tuple:
        item = get_args(hint)[0]
        return {int: "list of whole numbers", float: "list of numbers"}.get(item, "list of tables")
    return "keys of a run" if get_origin(hint) is Mapping else kinds[hint]
