"""What every command shares: the terminal, progress bars, the way an error is told."""

import sys
import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console

from todacomm.errors import TodacommError
from todacomm.progress import Track, silent

PIPED_WIDTH = 110  # columns of a table that goes to a file or another program
out = Console(soft_wrap=False, highlight=False, width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True, soft_wrap=True, highlight=False)

FAILED, WRONG_INPUT, INTERRUPTED = 1, 2, 130
FIRED = 1  # a rule of a gate


def tell(problem: TodacommError) -> None:
    """Print an error as one paragraph on standard error."""
    err.print(f"[bold red]error:[/] {escaped(str(problem))}")


def escaped(text: str) -> str:
    """Text from outside, with rich's markup taken as plain characters."""
    from rich.markup import escape

    return escape(text)


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
        TextColumn("[progress.description]{task.description}"),
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


@contextmanager
def leaving_with(code: int) -> Iterator[None]:
    """Leave with ``code``, after the traceback, where something goes wrong that nobody foresaw: of itself it would be 1."""
    try:
        yield
    finally:
        problem = sys.exc_info()[1]
        if problem is not None and not isinstance(problem, (TodacommError, typer.Exit, SystemExit, KeyboardInterrupt)):
            traceback.print_exc()
            raise SystemExit(code)


def say(message: str) -> None:
    """A line on what is being done, on standard error."""
    err.print(escaped(message), style="dim")


def warn(message: str) -> None:
    """A warning on standard error, also with ``--quiet``."""
    err.print(f"[yellow]warning:[/] {escaped(message)}")


def unsaid(message: str) -> None:
    """`say` with ``--quiet``."""
