"""``todacomm report``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from todacomm.cli import options
from todacomm.cli import run as running
from todacomm.cli.terminal import console
from todacomm.runs.config import OUTPUT_PANEL, Study


@options.with_options(
    ("figures", "figures_bare"),
    output_dir=options.retold("output_dir", "Directory where names are looked for, and pages over several runs go"),
)
def report(
    given: Mapping[str, Any],
    names: options.Written,
    output: Annotated[
        Path | None,
        options.own(
            OUTPUT_PANEL,
            "Write the page over several runs here, or a page of one run beside its own; by default "
            "experiments/report_<names>_<timestamp>.",
            "DIR|FILE.html",
        ),
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Rebuild figures and reports from stored records; no model is loaded, and no record is changed.

    One directory: its figures, Markdown and report.html are rewritten in place. Several runs: one page that overlays
    all of them, whatever their texts.

    A record that is missing, damaged or of a newer schema is named, here and on the page, and skipped. Exit code 0:
    everything was made; 1: something was skipped; 2: nothing could be made.

    Examples:
      todacomm report gpt2
      todacomm report experiments/comparison_gpt2_vs_bert_20260101_120000 --figures pdf
      todacomm report gpt2 bert my_model/ --output overview.html

    """
    from todacomm.records.files.damaged import Salvage, loss_messages
    from todacomm.report.document.style import drawn_as
    from todacomm.runs.locate import find
    from todacomm.runs.rebuild_reports import report_again, report_together

    study, salvage = Study(**given), Salvage()
    output_dir = Path(study.output_dir)
    places = find(names, output_dir)
    found = [(place.directory, place.kind) for place in places]
    for place in () if quiet else places:
        if place.said:
            console.say(place.said)
    with drawn_as(study.drawn_as()):
        if len(found) == 1 and output is None:
            made = report_again(*found[0], salvage)
        else:
            command = running.command_line()
            made = report_together(found, salvage, output=output, output_dir=output_dir, command=command)
    if not quiet:
        for note in made.notes:
            console.say(note)
        console.page("Report", made.page)
    for loss in loss_messages(salvage.losses):
        console.warn(f"left out: {loss}")
    if salvage.losses:
        console.stop(console.FAILED)
