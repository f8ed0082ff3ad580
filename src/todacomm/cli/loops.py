"""``todacomm loops``."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.cli import options
from todacomm.cli import run as running
from todacomm.cli.terminal import console, streams
from todacomm.runs.config import MEASUREMENT, Study

if TYPE_CHECKING:
    from rich.table import Table

    from todacomm.cohomology.association import Association
    from todacomm.runs.loops.find_loops import FoundLoops, Source
    from todacomm.training.turned_run import TurnedRun

TOP, TEXTS, LETTERS = 5, 3, 24  # loops of a layer; texts of a cycle in the table, and letters of each
AROUND = 3  # properties that are named beside a loop
RECIPE = ("components", "scale", "distance", "subsample", "seed")


@options.with_options(
    (*RECIPE, "null_draws", "jobs", "max_memory", "output_dir", "figures", "figures_bare"),
    null_draws=options.retold(
        "null_draws", "Rotations of each cloud that its loops are held against; of a training run, placebos", default=99
    ),
    output_dir=options.retold("output_dir", "Directory where runs are looked for, and where results go"),
    jobs=options.retold("jobs", "Layers at a time; auto is one per core"),
)
def loops(
    given: Mapping[str, Any],
    path: Annotated[
        Path,
        typer.Argument(
            help="A run that keeps its activations, by its directory or the name of its model; or an array file (.npy, "
            ".npz, .safetensors, .csv), each array (n points, d features).",
            metavar="RUN|FILE",
        ),
    ],
    layer: Annotated[
        list[str] | None,
        options.own(MEASUREMENT, "Look at this layer alone; repeatable.", "NAME", "--layer"),
    ] = None,
    properties: Annotated[
        Path | None,
        options.own(
            MEASUREMENT,
            "Hold the columns of this table against the angles too: a row a text, in the order of the texts. Numbers "
            "and names are told apart; hour%24 names a column of numbers that repeat after 24.",
            "FILE.csv|.jsonl",
            "--properties",
        ),
    ] = None,
    steps: Annotated[
        int | None,
        options.own(
            MEASUREMENT,
            "Of a training run, follow the loops of its embedding through N checkpoints, evenly spaced; of a track, "
            "those of one --layer.",
            "N",
            "--steps",
        ),
    ] = None,
    top: Annotated[int, options.own(MEASUREMENT, "Show at most N loops of a layer.", "N", "--top")] = TOP,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Find the loops of each layer without labels: an angle for every text, the texts on the loop, what runs around it.

    A loop is offered where a bar of H1, or a plateau of its Betti number, stands out of Gaussian clouds of the same
    covariance. Its angle comes from integer cohomology; properties of the texts are held against it, permuted within
    articles; and its cycle is followed into the next layer. Everything is written: the record, angles.csv, a
    report with charts.
    Of a training run of todacomm grok the loops of the embedding are named by their frequencies and turned, which
    shows those that the network uses; that is printed alone. With --steps they are followed through its checkpoints.

    Examples:
      todacomm loops tiny-preln-decoder
      todacomm loops experiments/gpt2_tda_20260101_120000 --layer layer_5 --top 3
      todacomm loops tiny-preln-decoder --properties labels.csv
      todacomm loops embedding.npy --components none --scale sphere
      todacomm loops experiments/grok_add_p113_20260101_120000/runs/seed_46
      todacomm loops experiments/grok_add_p113_20260101_120000/runs/seed_46 --steps 11

    """
    from todacomm.records.files.io import read_json
    from todacomm.records.loops import LOOPS
    from todacomm.records.training import WEIGHTS
    from todacomm.report.document.style import drawn_as
    from todacomm.runs.loops.find_loops import find_loops, with_properties, write_loops

    study = Study(**given)
    draws = study.null_draws if "null_draws" in given else 99
    training = (path / WEIGHTS).exists()
    if training:
        refuse_properties(path, properties)
    if training and steps is None:
        of_training(path, draws, json=json, quiet=quiet)
        return
    source = (
        source_along(path, steps, layer or [], training=training)
        if steps is not None
        else source_of(path, study, given, layer or [], quiet=quiet or json)
    )
    source = source if properties is None else with_properties(source, properties)
    with console.tracker(quiet=quiet or json) as track, console.warnings_told():
        found = find_loops(source, draws=draws, top=max(1, top), number=study.jobs, track=track)
    with drawn_as(study.drawn_as()):
        directory = write_loops(found, Path(study.output_dir), running.command_line())
    if json:
        streams.print_json(read_json(directory / LOOPS))
        return
    if not quiet:
        if any(found.layers):
            console.out.print(table_of(found))
        for line in lines_of(found):
            console.out.print(line, soft_wrap=True)
    console.page("Report", directory / "report.html")


def refuse_properties(path: Path, properties: Path | None) -> None:
    """Raise InvalidInput where properties of texts are given beside a training run, which has no texts."""
    from todacomm.core.errors import InvalidInput

    if properties is not None:
        raise InvalidInput(f"{path} is a training run, which has no texts; leave --properties out")


def source_along(path: Path, steps: int, layers: Sequence[str], *, training: bool) -> "Source":
    """A layer at some checkpoints of a track, or the embedding of a training run. Raises InvalidInput."""
    from todacomm.core.errors import InvalidInput
    from todacomm.records.tracks import TRACK
    from todacomm.runs.loops.loops_along_steps import source_of_steps
    from todacomm.runs.tracking.loops_of_track import source_of_track

    if (path / TRACK).exists() and len(layers) == 1:
        return source_of_track(path, layers[0], number=steps)
    if not training:
        raise InvalidInput(
            f"--steps {steps} follows the checkpoints of a training run or, with one --layer, of a track, and {path} "
            "is neither; expected a directory like experiments/grok_add_p113_…/runs/seed_46"
        )
    return source_of_steps(path, steps)


def of_training(path: Path, placebos: int, *, json: bool, quiet: bool) -> None:
    """Name the loops of a training run, turn them, and print what came of it."""
    from todacomm.records.files.codec import plain
    from todacomm.runs.loops.turn_run import turn_run

    with console.tracker(quiet=quiet or json) as track:
        found = turn_run(path, placebos=placebos, track=track)
    if json:
        streams.print_json(plain(found, nulls=True))
    elif not quiet:
        console.out.print(table_of_turned(found))
        steps = ", ".join(f"{one.step}: {one.share:.0%}" for one in found.moved)
        if steps:
            line = f"All used planes turned together move the answer by as many steps ({steps} of the test pairs)."
            console.out.print(line, soft_wrap=True)


def table_of_turned(found: "TurnedRun") -> "Table":
    """One row a loop that was found without labels, then one a plane of the spectrum."""
    from todacomm.report.terminal.table import framed
    from todacomm.report.words.phrases import number, share

    table = framed(f"Loops of the embedding of {found.run}")
    for head in ("frequency", "found by", "follows it", "variance", "slope", "R", "full swap", "p", "verdict"):
        table.add_column(head, overflow="fold")
    for one in found.loops:
        turned = one.turned
        table.add_row(
            str(one.name.frequency),
            "topology" if one.found else "spectrum",
            number(one.name.correlation, 3),
            share(one.share),
            *(number(value, 2) for value in (turned.slope, turned.alignment, turned.swap, one.p)),
            one.verdict,
        )
    return table


def source_of(path: Path, study: Study, given: Mapping[str, Any], layers: list[str], *, quiet: bool) -> "Source":
    """The clouds of a run, prepared as it was but for what was typed, or those of a file."""
    from dataclasses import replace

    from todacomm.clouds.array_files import read_clouds
    from todacomm.core.memory import limit_of
    from todacomm.runs.locate import find
    from todacomm.runs.loops.find_loops import source_of_arrays, source_of_run

    if path.is_file():
        clouds = read_clouds(path, limit=limit_of(study.max_memory))
        if clouds.left_out and not quiet:
            console.warn(clouds.told(path))
        return source_of_arrays(clouds.layers, path.stem, study.recipe_of_arrays(), layers)
    [place] = find([str(path)], Path(study.output_dir), runs=True)
    if place.said and not quiet:
        console.say(place.said)
    source = source_of_run(place.directory, layers)
    typed = {key: getattr(study.recipe_of_arrays(), key) for key in RECIPE if key in given}
    return replace(source, recipe=replace(source.recipe, **typed))


def along_of(found: "FoundLoops") -> str:
    """Along what the loops are followed: layers, or steps of a training."""
    from todacomm.records.loops import along

    return along([layer.address.layer for layer in found.layers])


def table_of(found: "FoundLoops") -> "Table":
    """One row a loop; ``90 % within`` is the shortest arc that holds so many of the points."""
    from todacomm.cohomology.curve import arc_of
    from todacomm.report.loops.loop_sentences import degrees
    from todacomm.report.terminal.table import framed
    from todacomm.report.words.intervals_and_nulls import p_text
    from todacomm.report.words.phrases import number

    pooling = found.source.recipe.pooling
    table = framed(f"Loops of {found.source.name} on {found.source.data}{f', pooling {pooling}' * bool(pooling)}")
    table.add_column(along_of(found), overflow="fold")
    for head in ("loop", "from–to / median", "p", "among", "90 % within"):
        table.add_column(head, justify="right", no_wrap=True)
    for layer in found.layers:
        for place, one in enumerate(layer.coordinates, start=1):
            unit = layer.median or 1.0
            table.add_row(
                layer.address.layer,
                str(place),
                f"{number(one.birth / unit, 3)}–{number(one.death / unit, 3)}",
                "untested" if one.p is None else p_text(one.p),
                f"{one.points} of {len(one.angles)}",
                degrees(arc_of(one.angles)),
            )
    return table


def around_each(found: "FoundLoops") -> Iterator[str]:
    """What runs around each loop, and some texts on it in their order."""
    from todacomm.cohomology.association import stillness
    from todacomm.report.document.style import cut

    for layer, properties in zip(found.layers, found.properties, strict=True):
        for place, (one, around) in enumerate(zip(layer.coordinates, properties, strict=True), start=1):
            texts = " · ".join(cut(" ".join(text.split()), LETTERS) for text in one.texts[:TEXTS])
            told = stillness(one.angles) or strongest(around)
            yield f"loop {place} of {layer.address.layer}: {told}; on it {texts or f'points {listed_rows(one.cycle)}'}"


def strongest(around: "Sequence[Association]") -> str:
    """The properties that run around a loop most, with their strength and the p-value that none of them exceeds."""
    from todacomm.core.inference_types import at_most_alpha
    from todacomm.report.words.intervals_and_nulls import p_text

    found = [(one, p) for one in around if (p := one.adjusted) is not None and at_most_alpha(p)][:AROUND]
    named = ", ".join(f"{one.name} {one.strength:.2f}" for one, _ in found)
    return f"{named} (p {p_text(max(p for _, p in found))})" if found else "no property runs around it"


def listed_rows(rows: tuple[int, ...]) -> str:
    """The first of some row numbers."""
    return ", ".join(map(str, rows[:TEXTS])) + (" …" if len(rows) > TEXTS else "")


def lines_of(found: "FoundLoops") -> Iterator[str]:
    """What runs around each loop, which layers have none, and which loops go on."""
    from todacomm.report.words.phrases import plural

    if not any(found.layers):
        where = plural(len(found.layers), along_of(found))
        yield f"No loop is shown at {where}; that is no evidence that there is none."
    yield from around_each(found)
    none = [layer for layer in found.layers if not layer]
    for layer in none[:TOP]:
        yield f"{layer.address.layer}: {'; '.join(layer.reasons)}"
    if len(none) > TOP:
        yield f"and {plural(len(none) - TOP, f'more {along_of(found)}')} without a loop, see the report"
    on = [one for one in found.passages if one.winding]
    names = [layer.address.layer for layer in found.layers]
    for one in on:
        yield f"loop {one.source + 1} of {names[one.layer]} goes on as loop {one.target + 1} of {names[one.layer + 1]}"
