"""``todacomm show``."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from todacomm.cli import options
from todacomm.cli.terminal import console, streams
from todacomm.runs.config import OUTPUT_PANEL, Study

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import RenderableType

    from todacomm.records.files.damaged import Salvage
    from todacomm.runs.locate import Kind


@options.with_options((), output_dir=options.retold("output_dir", "Directory where names are looked for"))
def show(
    given: Mapping[str, Any],
    names: options.Written,
    json: Annotated[bool, options.own(OUTPUT_PANEL, "Print the record instead of tables.", "", "--json")] = False,
) -> None:
    """Show results in the terminal: the answer, and tables with sparklines along layers or steps.

    ○ marks a doubtful layer and × one where ratios are undefined; brackets hold intervals. A damaged record is named
    on standard error and skipped. Exit code 0: all of it is shown; 1: something was skipped; 2: nothing could be
    shown.

    Examples:
      todacomm show gpt2
      todacomm show experiments/comparison_gpt2_vs_bert_20260101_120000
      todacomm show experiments/grok_add_p113_20260101_120000 --json

    """
    from todacomm.records.files.damaged import Salvage, loss_messages
    from todacomm.runs.locate import find

    salvage, read = Salvage(), record_of if json else overview_of
    places = find(names, Path(Study(**given).output_dir))
    found = [(place.directory, place.kind) for place in places]
    for place in places:
        if place.said:
            console.say(place.said)
    shown = [salvage(str(directory), partial(read, directory, kind, salvage)) for directory, kind in found]
    legible = [one for one in shown if one is not None]
    salvage.need(legible, ", ".join(str(directory) for directory, _ in found))
    if json:
        print_json(legible)
    else:
        for item in (item for items in legible for item in items):
            console.out.print(item)
    for loss in loss_messages(salvage.losses):
        console.warn(f"left out: {loss}")
    if salvage.losses:
        console.stop(console.FAILED)


def overview_of(directory: Path, kind: "Kind", salvage: "Salvage") -> "list[RenderableType]":
    """Yield what is printed of a directory. Raises InvalidRecord where nothing of it can be read."""
    return list(items_of(directory, kind, salvage))


def items_of(directory: Path, kind: "Kind", salvage: "Salvage") -> "Iterable[RenderableType]":
    """Show them one after the other."""
    from todacomm.report.terminal import overview

    width = console.out.width
    if kind == "comparison":
        from todacomm.comparison.compare import Comparison
        from todacomm.records.comparisons import COMPARISON_RECORD, messages_of

        stored = COMPARISON_RECORD.read(directory)
        for group in stored.groups.values():
            alone = Comparison((), group.rows, group.warnings, messages_of(stored.failures))
            yield from overview.overview_of_comparison(alone, [pair["verdict"] for pair in group.pairs])
    elif kind == "ablation":
        from todacomm.records.ablations import ABLATION_RECORD
        from todacomm.records.comparisons import messages_of

        ablated = ABLATION_RECORD.read(directory)
        yield from overview.overview_of_ablation(ablated.ablation, messages_of(ablated.failures))
    elif kind == "probe":
        from todacomm.records.probes import PROBE_RECORD
        from todacomm.report.probes.probe_sections import sentences

        probed = PROBE_RECORD.read(directory).found
        yield from (f"{probed.probe.name}, {probed.model}", *sentences(probed))
    elif kind == "loops":
        from todacomm.records.loops import read_loops_record
        from todacomm.report.loops.loop_sentences import loop_sentences

        looped = read_loops_record(directory)
        yield from (f"{looped.model}, {looped.data}", *loop_sentences(looped))
    elif kind == "training":
        from todacomm.runs.training_results import findings_of

        yield from overview.overview_of_training(findings_of(directory, salvage), width)
    else:
        from todacomm.runs.locate import legible_runs

        for record in legible_runs(directory, salvage).values():
            yield from overview.overview_of_profile(record.profile, width)


def record_of(directory: Path, kind: "Kind", salvage: "Salvage") -> Any:
    """The record of a directory as the command that made it prints it with --json. Raises InvalidRecord."""
    from todacomm.cli.terminal.tables import as_json
    from todacomm.records.ablations import ABLATION
    from todacomm.records.comparisons import COMPARISON
    from todacomm.records.files.fault_messages import Spot
    from todacomm.records.files.io import check_schema, read_json
    from todacomm.records.loops import LOOPS
    from todacomm.records.probes import PROBE, PROBE_RECORD
    from todacomm.records.training import SCHEMA, SIGNATURE
    from todacomm.runs.locate import legible_runs

    if kind == "runs":
        return [as_json(record.profile) for record in legible_runs(directory, salvage).values()]
    files = {"comparison": COMPARISON, "ablation": ABLATION, "training": SIGNATURE, "probe": PROBE, "loops": LOOPS}
    path = directory / files[kind]
    found = read_json(path)
    known = (*PROBE_RECORD.older, PROBE_RECORD.schema) if kind == "probe" else (SCHEMA,)
    check_schema(Spot(path), found, *known)
    return found


def print_json(records: list[Any]) -> None:
    """One record as it is, several as a list."""
    streams.print_json(records[0] if len(records) == 1 else records)
