"""Print docs/cli.md from the commands themselves.

python docs/make_cli.py > docs/cli.md
"""

from collections.abc import Iterator
from typing import Any

import typer.main
from typer.core import TyperOption

from todacomm.cli import HELP, app
from todacomm.cli.terminal.help import default_of, names_of, told_of


def as_cell(text: str) -> str:
    """Text in a table cell."""
    return text.replace("|", "\\|").replace("\n", " ")


def written_of(parameter: Any) -> str:
    """The names of an option and the shape of its value."""
    if not isinstance(parameter, TyperOption):
        return f"`{(parameter.metavar or parameter.name).upper()}`"
    shape = "" if parameter.is_flag else f" `{parameter.metavar or 'VALUE'}`"
    return ", ".join(f"`{name}`" for name in names_of(parameter)) + shape


def rows(command: Any) -> Iterator[str]:
    """One row an option, in the order of ``--help``."""
    for parameter in command.params:
        if parameter.name != "help":
            default = default_of(parameter)
            text = as_cell(getattr(parameter, "help", None) or "").replace("[", "\\[")
            yield f"| {as_cell(written_of(parameter))} | {text} | {f'`{default}`' if default else ''} |"


def commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its whole name; a group stands before those in it."""
    for name, command in group.commands.items():
        yield before + name, command
        if hasattr(command, "commands"):
            yield from commands(command, f"{before}{name} ")


def page() -> Iterator[str]:
    """The lines of docs/cli.md."""
    yield "# The command line\n"
    yield "Made by `python docs/make_cli.py`; a test fails when it is stale.\n"
    yield HELP
    yield "`todacomm --install-completion` lets the shell complete commands, options and their values.\n"
    for name, command in commands(typer.main.get_group(app)):
        head, examples = told_of(command)
        yield f"## todacomm {name}\n\n{head}\n"
        if examples:
            yield "```sh\n" + "\n".join(examples) + "\n```\n"
        found = list(rows(command))
        if found:
            yield "| option | meaning | default |\n|---|---|---|\n" + "\n".join(found) + "\n"


if __name__ == "__main__":
    print("\n".join(page()), end="")
