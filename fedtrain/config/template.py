"""Writes a commented configuration: every key with its default, its unit and its meaning."""

import textwrap
from collections.abc import Iterator

from fedtrain.config.keys import Key, Table, sentence, tables
from fedtrain.config.run import RunConfig

WIDTH = 100
HEAD = """\
# A configuration of fedtrain: every key with its default. Change what you need, and delete what you do not.
# `fedtrain run FILE` runs it. `fedtrain run FILE --set key=value` changes a key for one run.
"""


def commented() -> str:
    """Return a configuration with all defaults and a comment on every key; reading it gives the defaults."""
    found = list(tables(RunConfig))
    lists = {table.name: table for table in found if table.many}
    parts = [HEAD]
    for table in found:
        if not table.many:
            parts.append("\n".join(_table(table, lists)))
    return "\n".join(parts)


def _table(table: Table, lists: dict[str, Table]) -> Iterator[str]:
    if table.name:
        yield from _comment(table.about)
        yield f"[{table.name}]"
    for key in table.keys:
        yield ""
        yield from _comment(f"{sentence(key)} Unit: {key.unit}.")
        inner = lists.get(f"{table.name}.{key.name}")
        yield from _list(key, inner) if inner else [f"{key.name} = {key.default}"]
    yield ""


def _list(key: Key, inner: Table) -> Iterator[str]:
    """Yield a list of tables, one table a line, after a comment on each of its keys."""
    for one in inner.keys:
        yield from _comment(f"- {one.name} ({one.unit}): {sentence(one)}")
    yield f"{key.name} = ["
    yield from (f"    {{{line}}}," for line in key.default.removeprefix("[{").removesuffix("}]").split("}, {"))
    yield "]"


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="# ", subsequent_indent="# ")
