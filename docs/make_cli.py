"""Print docs/cli.md from the commands themselves.

python docs/make_cli.py > docs/cli.md
"""

import re
from collections.abc import Iterator
from typing import Any

import typer.main
from typer.core import TyperOption

from todacomm.cli import HELP, app

MARKUP = re.compile(r"\[/?(?:bold)?\]")


def plain(text: str) -> str:
    """Help without rich's markup."""
    return MARKUP.sub("", text).replace("\\[", "[").strip()


def as_cell(text: str) -> str:
    """Text in a table cell."""
    return plain(text).replace("|", "\\|").replace("[", "\\[").replace("\n", " ")


def rows(command: object) -> Iterator[str]:
    """One row an option, in the order of ``--help``."""
    for parameter in getattr(command, "params", []):
        if not isinstance(parameter, TyperOption):
            yield f"| `{(parameter.metavar or parameter.name).upper()}` | {as_cell(getattr(parameter, 'help', '') or '')} | |"
        elif parameter.name != "help":
            names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
            shape = "" if parameter.is_flag else f" `{parameter.metavar or 'VALUE'}`".replace("|", "\\|")
            default = (
                "" if parameter.default is None or isinstance(parameter.default, bool) else f"`{parameter.default}`"
            )
            yield f"| {names}{shape} | {as_cell(parameter.help or '')} | {default} |"


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
    yield plain(HELP) + "\n"
    for name, command in commands(typer.main.get_group(app)):
        head, _, examples = plain(command.help or "").partition("Examples\n")
        yield f"## todacomm {name}\n\n{head.strip()}\n"
        if examples:
            lines = (line.strip() for line in examples.splitlines())
            yield "```sh\n" + "\n".join(line for line in lines if line) + "\n```\n"
        found = list(rows(command))
        if found:
            yield "| option | meaning | default |\n|---|---|---|\n" + "\n".join(found) + "\n"


if __name__ == "__main__":
    print("\n".join(page()), end="")
