"""``todacomm measure``."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from todacomm.cli import console, options, tables
from todacomm.core.errors import InvalidInput

PANEL = "Output"


def measure(
    path: Annotated[
        Path,
        typer.Argument(
            help="An array file: .npy, .npz, .safetensors, .csv, .tsv or .parquet, each array (n points, d features)."
        ),
    ],
    layers: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Arrays of the file to measure, by name (default: all that are clouds).",
            rich_help_panel=options.MEASUREMENT,
        ),
    ] = None,
    components: options.Components = "50",
    distance: options.Distance = "euclidean",
    scale: options.Scale = "none",
    maxdim: options.MaxDim = 1,
    engine: options.Engine = "bitlink",
    subsample: options.Subsample = None,
    landmarks: options.Landmarks = None,
    confidence: options.Confidence = 0.95,
    resamples: options.Resamples = 100,
    null_draws: options.NullDraws = 199,
    seed: options.Seed = 42,
    jobs: Annotated[
        str,
        typer.Option(
            metavar="auto|N", help="Layers measured at a time; auto is one a core.", rich_help_panel=options.MEASUREMENT
        ),
    ] = "auto",
    max_memory: options.MaxMemory = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither read nor write the cache.", rich_help_panel=PANEL)
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write records, figures and a reading of them here.", rich_help_panel=PANEL)
    ] = None,
    figures: options.Formats = "png",
    figures_bare: options.Bare = False,
    csv: options.Csv = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure arrays that you have: one cloud, or one for each layer. Needs no torch and no model.

    [bold]Examples[/]
      todacomm measure cloud.npy
      todacomm measure activations.safetensors --scale median --maxdim 2 --output measured/
      todacomm measure distances.npy --distance precomputed
    """
    from todacomm.clouds.array_files import read_clouds
    from todacomm.core.inference_types import Asked
    from todacomm.core.memory import limit_of
    from todacomm.core.parallel import in_threads, one_thread
    from todacomm.core.recipe import Recipe
    from todacomm.profiles.from_arrays import measure_arrays
    from todacomm.records.result_directories import check_new
    from todacomm.report.document.figure_formats import PNG, Figures
    from todacomm.runs.cache.store import Cache, default_place
    from todacomm.runs.jobs import Remembering
    from todacomm.runs.plan.memory_limit import check_arrays, shapes_of

    recipe = Recipe(
        components=options.components_of(components),
        distance=distance,  # type: ignore[arg-type]  # checked by Recipe
        scale=scale,  # type: ignore[arg-type]  # checked by Recipe
        maxdim=maxdim,
        engine=engine,
        subsample=subsample,
        landmarks=landmarks,
        seed=seed,
    )
    written = Figures.read(figures, bare=figures_bare)
    if output is None and written != PNG:
        raise InvalidInput("--figures and --figures-bare draw nothing without --output; give the directory too")
    if output is not None:
        check_new(output)
    clouds = read_clouds(path, names=names_in(layers), limit=limit_of(max_memory))
    if clouds.left_out and not (quiet or csv or json):
        console.warn(clouds.told(path))
    cache = None if no_cache else Cache(default_place())
    number = options.auto_or_number("--jobs", jobs, of="layers at a time")
    each = Remembering(
        cache, check_arrays(shapes_of(clouds.layers, path.stem), recipe, jobs=number, max_memory=max_memory)
    )
    with console.tracker(quiet=quiet or csv or json) as track, one_thread, console.warnings_told():
        profile, checked = measure_arrays(
            clouds.layers,
            name=path.stem,
            recipe=recipe,
            asked=Asked(confidence, resamples, null_draws),
            track=track,
            each=each,
            spread=partial(in_threads, number=number),
        )
    if each.remembered and not (quiet or csv or json):
        console.say(f"{len(each.remembered)} of {len(profile.layers)} layers were measured before")
    for complaint in cache.told() if cache else ():
        console.warn(complaint)
    if output is not None:
        from todacomm.runs.study import write_measured

        write_measured(output, profile, checked, source=path, figures=written)
    tables.show([profile], csv=csv, json=json, quiet=quiet)
    if output is not None and not (csv or json):
        console.page("Written to", output)
    if output is None and quiet and not (csv or json):
        console.warn(
            "--quiet prints no table, and without --output nothing is kept; --json and --csv print the numbers"
        )


def names_in(text: str | None) -> list[str]:
    """The names of a comma list; none for none."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
