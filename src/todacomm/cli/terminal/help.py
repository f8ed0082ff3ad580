"""Format the help of commands: options by panel, wrapped to the terminal without breaking words."""

import inspect
from collections.abc import Iterable, Iterator
from typing import Any

from typer.core import TyperCommand, TyperGroup, TyperOption

from todacomm.cli.terminal.streams import encodable

WIDEST = 28  # columns of names, beyond which the help stands on a line of its own
EXAMPLES = "Examples:\n"


class Command(TyperCommand):
    """A command."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, description, options, examples."""
        write(self, ctx, formatter)
        formatter.buffer = [encodable(formatter.getvalue())]


class Group(TyperGroup):
    """Commands under one name."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write usage, description, options and commands."""
        write(self, ctx, formatter)
        rows = [(name, told_of(command)[0].split("\n\n")[0]) for name, command in self.commands.items()]
        section(formatter, "Commands", rows)
        formatter.buffer = [encodable(formatter.getvalue())]


def write(command: Any, ctx: Any, formatter: Any) -> None:
    """Write the help of a command, or of a group without its commands."""
    command.format_usage(ctx, formatter)
    head, examples = told_of(command)
    formatter.write_paragraph()
    formatter.write_text(head)
    for panel, parameters in by_panel(command.get_params(ctx)).items():
        section(formatter, panel, [(shape_of(one), sentence_of(one)) for one in parameters])
    if examples:
        with formatter.section("Examples"):
            formatter.write("".join(f"  {line}\n" for line in examples))


def section(formatter: Any, title: str, rows: Iterable[tuple[str, str]]) -> None:
    """Write a heading, and names with their meanings."""
    with formatter.section(title):
        formatter.write_dl(list(rows), col_max=WIDEST)


def told_of(command: Any) -> tuple[str, list[str]]:
    """The description of a command, and its examples."""
    head, _, examples = inspect.cleandoc(command.help or "").partition(EXAMPLES)
    return head.strip(), [line.strip() for line in examples.splitlines() if line.strip()]


def by_panel(parameters: Iterable[Any]) -> dict[str, list[Any]]:
    """Panel → options; arguments first, options of all commands last."""
    found: dict[str, list[Any]] = {"Arguments": []}
    for one in parameters:
        panel = "Arguments" if not isinstance(one, TyperOption) else one.rich_help_panel or "Options"
        found.setdefault(panel, []).append(one)
    last = found.pop("Options", [])
    return {panel: of_panel for panel, of_panel in {**found, "Options": last}.items() if of_panel}


def shape_of(parameter: Any) -> str:
    """``--name VALUE``; ``--[no-]name`` for what is on or off."""
    if not isinstance(parameter, TyperOption):
        return str(parameter.metavar or parameter.name).upper()
    first, *more = names_of(parameter)
    if parameter.secondary_opts:
        return f"--[no-]{first[2:]}"
    return ", ".join((first, *more)) + ("" if parameter.is_flag else f" {parameter.metavar or 'VALUE'}")


def names_of(option: TyperOption) -> Iterator[str]:
    """The name of an option, its letter, and its negation; former names are hidden."""
    yield next(name for name in option.opts if name.startswith("--"))
    yield from option.secondary_opts[:1]
    yield from (name for name in option.opts if not name.startswith("--"))


def sentence_of(parameter: Any) -> str:
    """The help with the default."""
    default, text = default_of(parameter), (getattr(parameter, "help", None) or "").rstrip(".")
    return f"{text} [default: {default}]" if default else f"{text}."


def default_of(parameter: Any) -> str:
    """The default in words; empty for none, and for a flag that is off."""
    told = getattr(parameter, "show_default", None)
    if isinstance(told, str):
        return told
    default = parameter.default
    return "" if default is None or isinstance(default, bool) or not parameter.metavar else str(default)
