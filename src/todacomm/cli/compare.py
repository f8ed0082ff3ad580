"""``todacomm compare``."""

from pathlib import Path
from typing import Annotated

import typer

from todacomm.cli import console, options, tables


def compare(
    names: Annotated[
        list[str],
        typer.Argument(
            help="Experiment or run directories, or names of models whose newest run is meant.", metavar="RUN..."
        ),
    ],
    output_dir: Annotated[
        Path, typer.Option(help="Where experiments are kept and the comparison goes.", rich_help_panel=options.OUTPUT)
    ] = Path("experiments"),
    output: Annotated[str | None, typer.Option(help="Name of the comparison.", rich_help_panel=options.OUTPUT)] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Set finished runs side by side; no model is loaded.

    [bold]Examples[/]
      todacomm compare gpt2 bert
      todacomm compare experiments/gpt2_tda_20260101_120000 experiments/bert_tda_20260101_120500
    """
    from todacomm.comparison import told_apart
    from todacomm.errors import InvalidInput, InvalidStudy
    from todacomm.execution import write_comparison
    from todacomm.store import find_experiment, read_experiment

    wanted = [part for name in names for part in name.split(",") if part]
    if output is not None and ("/" in output or output in ("", ".", "..")):
        raise InvalidStudy(f"--output {output}: expected a name without slashes; the directory is --output-dir")
    if len(wanted) < 2:
        raise InvalidInput(f"{len(wanted)} run given; a comparison needs at least two")
    found = [find_experiment(name, output_dir) for name in wanted]
    if len({directory.resolve() for directory in found}) < len(found):
        raise InvalidInput("the same run is given twice; a comparison needs different ones")
    short = [directory.resolve().name for directory in found]
    labels = [name if short.count(name) == 1 else given for name, given in zip(short, wanted, strict=True)]
    profiles = told_apart(
        {label: [r.profile for r in read_experiment(d)] for label, d in zip(labels, found, strict=True)}
    )
    directory = write_comparison(profiles, output_dir, name=output)
    if json:
        console.out.out((directory / "comparison.json").read_text(encoding="utf-8"), end="")
    elif not quiet:
        tables.show_comparison(directory, profiles)
