"""The terminal of all commands: output, progress bars, errors and warnings."""

import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from todacomm.core.errors import TodacommError
from todacomm.core.progress import Track, silent
from todacomm.report.terminal.plain_text import visible

PIPED_WIDTH = 110  # columns of a table that goes to a file or another program


class Terminal(Console):
    """A console that interprets no text: control characters and brackets in names are shown."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **settings)

    def render_str(self, text: str, **settings: Any) -> Text:
        """A string, before its width is measured."""
        return super().render_str(visible(text), **settings)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Whatever is printed."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=visible(segment.text))

    def tell(self, sign: str, style: str, message: str) -> None:
        """Print a line with a sign before it."""
        self.print(Text.assemble((sign, style), " ", message), soft_wrap=True)


out = Terminal(soft_wrap=False, width=None if sys.stdout and sys.stdout.isatty() else PIPED_WIDTH)
err = Terminal(stderr=True, soft_wrap=True)

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
FIRED = 1  # a rule of a gate


def tell(problem: TodacommError) -> None:
    """Print an error as one paragraph on standard error."""
    err.tell("error:", "bold red", str(problem))


@contextmanager
def tracker(*, quiet: bool) -> Iterator[Track]:
    """A `Track` that shows a progress bar on standard error; the silent one with ``quiet``."""
    if quiet:
        yield silent
        return
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}", style="progress.description", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:

        def track(iterable: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
            return progress.track(iterable, description=description, total=total)

        yield track


def stop(code: int) -> None:
    """Leave with an exit code."""
    sys.stdout.flush()
    raise typer.Exit(code)


def page(name: str, path: Path) -> None:
    """Print the full path of a page, as a link where the terminal supports it."""
    whole = path.resolve()
    out.print(Text.assemble(f"{name}: ", (str(whole), f"link {whole.as_uri()}")), soft_wrap=True)


def say(message: str) -> None:
    """Print a progress message on standard error."""
    err.print(message, style="dim")


def warn(message: str) -> None:
    """Print a warning on standard error, also with ``--quiet``."""
    err.tell("warning:", "yellow", message)


@contextmanager
def warnings_told() -> Iterator[None]:
    """Print the library's warnings as those of the command line, each once."""
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        yield
    for message in dict.fromkeys(str(one.message) for one in seen if one.category is UserWarning):
        warn(message)
