"""``todacomm track``."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.cli import options
from todacomm.cli import run as running
from todacomm.cli.terminal import console, streams
from todacomm.core.errors import InvalidInput
from todacomm.core.progress import unsaid
from todacomm.runs.config import OF_MODELS, OPTIONS, OUTPUT_PANEL, Study

if TYPE_CHECKING:
    from todacomm.report.tracking.read_track import TrackedSeries
    from todacomm.runs.tracking.track import Asked

NOT_HERE = ("backend", "scheduler", "revision")
SETTINGS = {key: told for key, told in OPTIONS.items() if key not in NOT_HERE}
Sources = Annotated[
    list[str] | None,
    typer.Argument(
        help="Folders of checkpoints (checkpoint-500, step_1000 …), hub ids with --revisions, models, or files of "
        "weights; PATH=NAME gives one another name. Those without a number make one series, in this order.",
        metavar="[CHECKPOINTS]...",
    ),
]
Revisions = Annotated[
    str | None,
    options.own(
        OF_MODELS,
        "Checkpoints to take: names of branches or tags, or of sub-directories; all that hold a number; or N of them, "
        "evenly over the logarithm of the step.",
        "A,B,…|all|log:N",
        "--revisions",
    ),
]
Config = Annotated[
    Path | None,
    options.own(
        OF_MODELS,
        "Directory of config.json, and a tokenizer, for checkpoints that are weights alone (.safetensors).",
        "DIR",
        "--config",
    ),
]
Keep = Annotated[
    str,
    options.own(
        OF_MODELS,
        "Hub revisions that stay on the disk: all, or none but the one that is measured.",
        "all|none",
        "--keep",
    ),
]


@options.with_options(
    SETTINGS,
    models=options.retold(
        "models", "Models or hub ids whose checkpoints are tracked; the same as arguments", default=()
    ),
    name=options.retold("name", "Name of the track; none names it after its series"),
)
def track(
    given: Mapping[str, Any],
    sources: Sources = None,
    revisions: Revisions = None,
    config: Config = None,
    keep: Keep = "all",
    loops: Annotated[
        str,
        options.own(
            OUTPUT_PANEL,
            "Follow the loops of this layer from step to step; auto takes the one with loops at most steps.",
            "auto|none|LAYER",
            "--loops",
        ),
    ] = "auto",
    json: Annotated[bool, options.own(OUTPUT_PANEL, "Print track.json instead of the table.", "", "--json")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure the checkpoints of a training: every layer at every step, and when each begins to change.

    Each checkpoint is measured as todacomm run measures a model, one in memory at a time; those with the same weights
    once. Two trainings on the same texts are compared step by step, and it is said when they part. The same command
    resumes a track that was stopped; a checkpoint that cannot be loaded is named, and the others are measured (exit
    code 1). What td.Monitor wrote in a training is read as a series: nothing is measured then.

    Examples:
      todacomm track runs/my-training
      todacomm track runs/seed-1 runs/seed-2 --pooling mean
      todacomm track --model EleutherAI/pythia-70m --revisions log:12 --keep none
      todacomm track base tuned-a tuned-b=mine --samples 200
      todacomm track weights/ --config base
      todacomm track my-training/topology

    """
    if monitored := monitors_among(sources or []):
        show_monitored(monitored, json=json, quiet=quiet)
        return
    from todacomm.records.files.io import read_json
    from todacomm.records.tracks import TRACK
    from todacomm.report.tracking.track_sentences import sentences
    from todacomm.runs.tracking.track import execute_track

    study = study_of(given)
    asked = asked_of(sources, given, revisions, config, keep)
    silent = quiet or json
    with console.tracker(quiet=silent) as bar:
        say = unsaid if silent else console.say
        made = execute_track(
            replace(asked, loops=loops), study, command=running.command_line(), track=bar, say=say, warn=console.warn
        )
    if json:
        streams.print_json(read_json(made.directory / TRACK))
    elif not quiet:
        show(made.found.title, made.found.series, sentences(made.found))
        console.page("Report", made.directory / "report.html")
    for name, problem in made.found.record.failures.items():
        console.err.tell("failed:", "bold red", f"{name}: {problem}")
    if made.found.record.failures:
        console.stop(console.FAILED)


def monitors_among(sources: list[str]) -> list[Path]:
    """The directories that a monitor wrote. Raises InvalidInput for checkpoints beside them."""
    from todacomm.records.monitoring import MONITOR

    found = [Path(source) for source in sources if (Path(source) / MONITOR).is_file()]
    if found and len(found) < len(sources):
        other = next(source for source in sources if Path(source) not in found)
        raise InvalidInput(f"{found[0]} is what a monitor wrote, {other} is not; track them apart")
    return found


def show_monitored(directories: list[Path], *, json: bool, quiet: bool) -> None:
    """Print the onsets of what monitors saw, and make their pages. Raises InvalidInput for --json."""
    from todacomm.report.tracking.monitor_document import read_monitor, sentences_of, write_monitor_report

    if json:
        raise InvalidInput(
            f"--json prints track.json; a monitor writes JSON itself: {directories[0]}/measurements.jsonl"
        )
    for directory in directories:
        found = read_monitor(directory)
        write_monitor_report(directory, found)
        if not quiet:
            show(found.name, [found.series], sentences_of(found))
            console.page("Report", directory / "report.html")


def study_of(given: Mapping[str, Any]) -> Study:
    """The settings of a track; of a file of texts all are measured, unless ``--samples`` says how many."""
    settings = {key: value for key, value in given.items() if key != "models"}
    return running.study_of(None, {**settings, "models": ("checkpoints",)})


def asked_of(
    sources: list[str] | None, given: Mapping[str, Any], revisions: str | None, config: Path | None, keep: str
) -> "Asked":
    """What is to be tracked, by arguments or by --model. Raises InvalidInput for both and for neither."""
    from todacomm.runs.tracking.track import Asked

    by_option = listed_models(given.get("models", ()))
    if sources and by_option:
        raise InvalidInput(
            f"{sources[0]} and --models {by_option[0]}: give all checkpoints as arguments, or as --models"
        )
    return Asked(tuple(sources or by_option), revisions, config, keep)


def listed_models(given: Any) -> tuple[str, ...]:
    """The models of an option, typed as a list or parsed."""
    return tuple(word.strip() for word in given.split(",") if word.strip()) if isinstance(given, str) else tuple(given)


def show(title: str, series: "Sequence[TrackedSeries]", told: Iterable[str]) -> None:
    """Print the onsets that are shown, and what is said of the series."""
    from todacomm.report.terminal.table import framed
    from todacomm.report.tracking.track_document import onset_rows

    rows = [row for one in series for row in onset_rows(one)]
    if rows:
        table = framed(f"When each layer of {title} begins to change")
        for i, head in enumerate(
            ("series", "number", "layer", "step", "95 % interval", "before", "after", "adjusted p")
        ):
            table.add_column(head, justify="left" if i < 3 else "right", overflow="fold")
        for row in rows:
            table.add_row(*row)
        console.out.print(table)
    for sentence in told:
        console.out.print(sentence, soft_wrap=True)
