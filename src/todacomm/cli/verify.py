"""``todacomm verify``."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from todacomm.cli import options
from todacomm.cli.terminal import console, streams
from todacomm.runs.config import OUTPUT_PANEL


@options.with_options(())
def verify(
    given: Mapping[str, Any],
    directories: Annotated[list[Path], typer.Argument(help="Directories that todacomm has written.", metavar="DIR...")],
    records_only: Annotated[
        bool,
        options.own(
            OUTPUT_PANEL,
            "Neither measure layers again from their activations nor make pages again; a second in place of some.",
            "",
            "--records-only",
        ),
    ] = False,
    json: Annotated[bool, options.own(OUTPUT_PANEL, "Print the faults as JSON.", "", "--json")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Check that results hold together: digests, and every number that follows from another.

    Metrics are derived again from the stored bars, intervals from the half-samples, adjusted p-values from p-values,
    growths from summaries, comparisons and signatures from the runs, and pages from the records; layers are measured
    again where their activations lie beside them. So a number that was changed together with its digest is found too.
    No model is loaded and nothing is written. Exit code 0: everything holds together; 1: something does not; 2: there
    is nothing to check.

    Examples:
      todacomm verify experiments/gpt2_tda_20260101_120000
      todacomm verify experiments/*/ --records-only --quiet

    """
    from todacomm.runs.verification import verify as check

    found = [check.verify(one, reports=not records_only, clouds=not records_only) for one in directories]
    if json:
        streams.print_json([asdict(one) for one in found])
    for one in () if json else found:
        for fault in one.faults:
            console.err.tell("fault:", "bold red", f"{one.directory}/{fault}")
        if one.sound and not quiet:
            console.say(f"{one.directory} ({one.kind}): everything holds together")
    if not all(one.sound for one in found):
        console.stop(console.FAILED)
