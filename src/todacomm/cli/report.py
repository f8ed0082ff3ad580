"""``todacomm report``."""

from pathlib import Path
from typing import Annotated

import typer

from todacomm.cli import console, options
from todacomm.cli import run as running


def report(
    names: options.Written,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="DIRECTORY|FILE.html",
            help="Where the page over several runs goes (default experiments/report_<names>_<timestamp>); of one, a page beside its own.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    output_dir: Annotated[
        Path,
        typer.Option(help="Where names are looked for and pages over several runs go.", rich_help_panel=options.OUTPUT),
    ] = Path("experiments"),
    figures: options.Formats = "png",
    figures_bare: options.Bare = False,
    quiet: options.Quiet = False,
) -> None:
    """Make figures and reports again from stored records; no model is loaded, and no record is changed.

    One directory: its figures, Markdown and report.html are written again where they were. Several runs: one page, on which all of
    them lie over each other, whatever their texts.

    A record that is missing, damaged or of a newer schema is named, here and on the page, and left out. Exit code 0: everything was made;
    1: something was left out; 2: nothing could be made.

    [bold]Examples[/]
      todacomm report gpt2
      todacomm report experiments/comparison_gpt2_vs_bert_20260101_120000 --figures pdf
      todacomm report gpt2 bert my_model/ --output overview.html
    """
    from todacomm.records.damaged import Salvage, told
    from todacomm.report.document.figure_formats import Figures
    from todacomm.report.document.style import drawn_as
    from todacomm.runs.locate import find
    from todacomm.runs.rebuild_reports import report_again, report_together

    written, salvage = Figures.read(figures, bare=figures_bare), Salvage()
    places = find(names, output_dir)
    found = [(place.directory, place.kind) for place in places]
    for place in () if quiet else places:
        if place.said:
            console.say(place.said)
    with drawn_as(written):
        if len(found) == 1 and output is None:
            made = report_again(*found[0], salvage)
        else:
            command = running.command_line()
            made = report_together(found, salvage, output=output, output_dir=output_dir, command=command)
    if not quiet:
        for note in made.notes:
            console.say(note)
        console.page("Report", made.page)
    for loss in told(salvage.losses):
        console.warn(f"left out: {loss}")
    if salvage.losses:
        console.stop(console.FAILED)
