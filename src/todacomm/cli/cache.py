"""``todacomm cache ls``, ``rm`` and ``du``: results of earlier runs."""

import re
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.cli.terminal import console, streams
from todacomm.cli.terminal.help import Command, Group
from todacomm.core.errors import InvalidInput
from todacomm.report.terminal.plain_text import visible

if TYPE_CHECKING:
    from todacomm.runs.cache.store import Row

app = typer.Typer(
    help="List, measure and clear the cache, by which no model runs twice on the same texts.",
    cls=Group,
    no_args_is_help=True,
)
JSON = "Print JSON instead of the table; sizes are bytes."
SPANS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


@app.command("ls", cls=Command)
def ls(
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of the table.")] = False,
    json: Annotated[bool, typer.Option("--json", help=JSON)] = False,
) -> None:
    """List the cache: activations of models on texts, and their measurements.

    The cache is in $TODACOMM_CACHE, else in the user's cache directory. A later run reuses an entry if weights, texts,
    settings and versions are the same; todacomm run --no-cache ignores it.
    """
    from todacomm.runs.cache.store import Cache, default_place, rows

    cache = Cache(default_place())
    found = rows(cache)
    if json:
        streams.print_json([as_dict(row) for row in found])
    elif csv:
        streams.print_csv([as_dict(row) for row in found], COLUMNS)
    else:
        show(found, f"{cache.root}")


COLUMNS = ("key", "what", "model", "dataset", "pooling", "layers", "bytes", "last_used")


def as_dict(row: "Row") -> dict[str, Any]:
    """Convert a row for CSV and JSON; times are seconds since 1970."""
    values = (row.key, row.what, row.model, row.data, row.pooling, row.layers, row.size, round(row.used))
    return dict(zip(COLUMNS, values, strict=True))


def show(found: "list[Row]", place: str) -> None:
    """Print the table of ``ls``."""
    from rich.table import Table

    if not found:
        console.out.print(f"The cache at {place} is empty: todacomm run fills it.", soft_wrap=True)
        return
    table = Table("key", "what", "model", "dataset", "pooling", box=None, pad_edge=False, header_style="bold")
    for name in ("layers", "size", "last used"):
        table.add_column(name, justify="right")
    for row in found:
        pooling = row.pooling or "given"
        last = f"{span(time.time() - row.used)} ago"
        table.add_row(row.key, row.what, row.model, row.data, pooling, str(row.layers), size(row.size), last)
    console.out.print(table)
    console.out.print(
        f"\n{size(sum(row.size for row in found))} in {place}. Remove some: todacomm cache rm KEY", soft_wrap=True
    )


@app.command("du", cls=Command)
def du(json: Annotated[bool, typer.Option("--json", help=JSON)] = False) -> None:
    """Show the size of the cache by kind of entry."""
    from rich.table import Table

    from todacomm.runs.cache.store import Cache, default_place, usage

    cache = Cache(default_place())
    found = usage(cache)
    if json:
        streams.print_json({"place": str(cache.root), **{k: asdict(v) for k, v in found.items()}})
        return
    table = Table("what", box=None, pad_edge=False, header_style="bold")
    for name in ("files", "size", "also in runs"):
        table.add_column(name, justify="right")
    for what, one in found.items():
        table.add_row(what, str(one.files), size(one.bytes), size(one.in_runs))
    console.out.print(table)
    console.out.print(f"\n{size(sum(one.bytes for one in found.values()))} in {cache.root}", soft_wrap=True)


@app.command("rm", cls=Command)
def rm(
    keys: Annotated[
        list[str] | None, typer.Argument(metavar="KEY...", help="Keys as todacomm cache ls shows them.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="All that is kept of this model.")] = None,
    older_than: Annotated[
        str | None, typer.Option(metavar="30d", help="All that was last used so long ago: 90m, 12h, 30d or 8w.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of it.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Remove entries of the cache and report the space freed. Runs keep their own copies.

    Examples:
      todacomm cache rm 3f9a0c
      todacomm cache rm --model gpt2 --older-than 30d
      todacomm cache rm --all --yes

    """
    from todacomm.runs.cache.store import Cache, default_place, matching, remove

    if not (keys or model or older_than or everything):
        raise InvalidInput("nothing was named: give keys of todacomm cache ls, --model, --older-than or --all")
    if everything and (keys or model or older_than):
        raise InvalidInput("--all removes everything: leave out the keys, --model and --older-than")
    cache = Cache(default_place())
    before = None if older_than is None else time.time() - seconds_of(older_than)
    found = matching(cache, keys=keys, model=model, before=before)
    if not found.entries and not found.rest:
        console.out.print("There is nothing of that in the cache.")
        return
    what = f"{len(found.entries)} entr{'y' if len(found.entries) == 1 else 'ies'} ({size(found.bytes)})"
    if not yes and not confirmed(f"Remove {what} from {cache.root}?"):
        console.out.print("Nothing was removed.")
        return
    freed = remove(found)
    held = f"; {size(found.bytes - freed)} stay on the disk, as runs hold them" if freed < found.bytes else ""
    console.out.print(f"Removed {what}: {size(freed)} freed{held}.")


def confirmed(question: str) -> bool:
    """Ask the user. Raises InvalidInput without a terminal."""
    try:
        return typer.confirm(visible(question))
    except typer.Abort:
        raise InvalidInput("nothing was removed, for nobody answers: --yes removes without asking") from None


def seconds_of(text: str) -> float:
    """Parse ``30d`` to seconds."""
    given = re.fullmatch(r"(\d+)([mhdw])", text.strip())
    if given is None:
        raise InvalidInput(f"--older-than {text}: expected a number and a unit, such as 90m, 12h, 30d or 8w")
    return int(given[1]) * SPANS[given[2]]


def span(seconds: float) -> str:
    """Format a time in a suitable unit."""
    unit = next((unit for unit in ("w", "d", "h", "m") if seconds >= 2 * SPANS[unit]), "")
    return f"{seconds / SPANS[unit]:.0f}{unit}" if unit else f"{max(seconds, 0):.0f}s"


def size(number: float) -> str:
    """Format bytes in a suitable unit."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} B" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"
