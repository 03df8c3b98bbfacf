"""``.. command-line:: module:app``: the commands and options of a typer application, as ``--help`` shows them."""

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import click
import typer
from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from sphinx.application import Sphinx


class CommandLine(Directive):
    """The reference of one command line. The option ``prog`` is the name that a user types."""

    required_arguments = 1
    option_spec = {"prog": str}  # noqa: RUF012  (docutils' own interface)

    def run(self) -> list[nodes.Node]:
        """Write the reference as reStructuredText, and parse it."""
        module, _, attribute = self.arguments[0].partition(":")
        lines = list(described(command_of(getattr(importlib.import_module(module), attribute)), self.options["prog"]))
        node = nodes.section()
        self.state.nested_parse(StringList(lines, source=self.arguments[0]), self.content_offset, node)
        return node.children


def command_of(application: Any) -> click.Command:
    """Return the command of a typer application, or of a function that is run as one."""
    if not isinstance(application, typer.Typer):
        function, application = application, typer.Typer(add_completion=False)
        application.command()(function)
    return typer.main.get_command(application)


def described(command: click.Command, program: str) -> Iterator[str]:
    """Describe a command and its subcommands, line by line, in reStructuredText."""
    subcommands = getattr(command, "commands", {})
    if not subcommands:
        context = click.Context(command, info_name=program)
        yield from (f".. rubric:: ``{' '.join((program, *command.collect_usage_pieces(context)))}``", "")
        yield from (plain(command.help), "")
        for parameter in command.params:
            yield from described_parameter(parameter, context)
    for name, below in subcommands.items():
        yield from described(below, f"{program} {name}")
    if subcommands and command.epilog:
        yield from (plain(command.epilog), "")


def described_parameter(parameter: click.Parameter, context: click.Context) -> Iterator[str]:
    """Describe one argument or option as an entry of a definition list."""
    shown = parameter.make_metavar(context)
    if isinstance(parameter, click.Option):
        value = "" if parameter.is_flag else f" {shown}"
        shown = ", ".join([*parameter.opts, *parameter.secondary_opts]) + value
    default = parameter.default
    told = default is None or default is False or callable(default) or parameter.name == "out"  # a path of this machine
    yield f"``{shown}``"
    yield f"    {plain(getattr(parameter, 'help', None))}{'' if told else f' Default: ``{default}``.'}"
    yield ""


def plain(text: str | None) -> str:
    """Escape stars, and write options as code: docutils would read emphasis and dashes. Code is in backticks."""
    cleaned = re.sub(r"`([^`]+)`", r"``\1``", inspect.cleandoc(text or "").replace("*", r"\*"))
    return re.sub(r"(?<![`\S])(--[\w-]+)", r"``\1``", cleaned)


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive."""
    app.add_directive("command-line", CommandLine)
    return {"parallel_read_safe": True}
