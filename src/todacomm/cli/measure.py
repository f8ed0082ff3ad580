"""``todacomm measure``."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from todacomm.cli import options
from todacomm.cli.terminal import console, tables
from todacomm.clouds.array_files import read_clouds, suffixes
from todacomm.core.errors import InvalidInput
from todacomm.core.recipe import GIVEN, Recipe
from todacomm.runs.config import MEASUREMENT, OUTPUT_PANEL, Study
from todacomm.runs.fields import named

DISTANCE = "Distance between points; precomputed where the arrays are distances (n, n) themselves"


@options.with_options(
    options.OF_ARRAYS,
    distance=options.retold("distance", DISTANCE, kind=named("distance", GIVEN)),
    jobs=options.retold("jobs", "Layers at a time; auto is one per core"),
    cache=options.retold("cache", "Reuse what was computed before, and store what is new"),
)
def measure(
    given: Mapping[str, Any],
    path: Annotated[
        Path,
        typer.Argument(help=f"An array file: {suffixes()}, each array (n points, d features)."),
    ],
    layers: Annotated[
        str | None,
        options.own(MEASUREMENT, "Arrays of the file to measure, by name; by default all that are clouds.", "NAMES"),
    ] = None,
    output: Annotated[
        Path | None,
        options.own(OUTPUT_PANEL, "Write records, figures and a report here.", "DIR"),
    ] = None,
    csv: options.Csv = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure your own arrays: one cloud, or one for each layer. Needs no torch and no model.

    Examples:
      todacomm measure cloud.npy
      todacomm measure activations.safetensors --scale median --maxdim 2 --output measured/
      todacomm measure distances.npy --distance precomputed

    """
    from todacomm.core.memory import limit_of
    from todacomm.core.parallel import in_threads, one_thread
    from todacomm.profiles.from_arrays import measure_arrays
    from todacomm.records.disagreements import disagreements_kept
    from todacomm.records.files.result_directories import check_new
    from todacomm.report.document.figure_formats import PNG
    from todacomm.runs.jobs import CachedEach, cache_of
    from todacomm.runs.plan.memory_limit import check_arrays, shapes_of

    study, recipe = study_and_recipe(given)
    written = study.drawn_as()
    if output is None and written != PNG:
        raise InvalidInput("--figures and --figures-bare draw nothing without --output; give the directory too")
    if output is not None:
        check_new(output)
    clouds = read_clouds(path, names=names_in(layers), limit=limit_of(study.max_memory))
    if clouds.left_out and not (quiet or csv or json):
        console.warn(clouds.told(path))
    cache = cache_of(study)
    each = CachedEach(
        cache, check_arrays(shapes_of(clouds.layers, path.stem), recipe, jobs=study.jobs, max_memory=study.max_memory)
    )
    kept = disagreements_kept(output.parent if output else Path())
    with kept, console.tracker(quiet=quiet or csv or json) as track, one_thread, console.warnings_told():
        profile, checked = measure_arrays(
            clouds.layers,
            name=path.stem,
            recipe=recipe,
            asked=study.asked(),
            track=track,
            each=each,
            spread=partial(in_threads, number=study.jobs),
        )
    if each.remembered and not (quiet or csv or json):
        console.say(f"{len(each.remembered)} of {len(profile.layers)} layers loaded from cache")
    for complaint in cache.told() if cache else ():
        console.warn(complaint)
    if output is not None:
        from todacomm.runs.run_study import write_measured

        write_measured(output, profile, checked, source=path, figures=written)
    tables.show([profile], csv=csv, json=json, quiet=quiet)
    if output is not None and not (csv or json):
        console.page("Written to", output)
    if output is None and quiet and not (csv or json):
        console.warn(
            "--quiet prints no table, and without --output nothing is kept; --json and --csv print the numbers"
        )


def study_and_recipe(given: Mapping[str, Any]) -> tuple[Study, Recipe]:
    """The study as typed, and the recipe for arrays, which alone may be distances."""
    distance = {key: value for key, value in given.items() if key == "distance"}
    study = Study(**{key: value for key, value in given.items() if key not in distance})
    return study, replace(study.recipe_of_arrays(), **distance)


def names_in(text: str | None) -> list[str]:
    """Parse a comma list of names."""
    return [part.strip() for part in (text or "").split(",") if part.strip()]
