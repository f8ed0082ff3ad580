"""``todacomm ablate``."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.cli import options
from todacomm.cli import run as running
from todacomm.cli.terminal import console, streams
from todacomm.clouds.array_files import read_clouds, suffixes
from todacomm.core.errors import InvalidInput
from todacomm.core.progress import unsaid
from todacomm.core.recipe import FEWEST_POINTS
from todacomm.runs.config import OPTIONS, OUTPUT_PANEL, Study
from todacomm.runs.fields import Kind, Option, listed, maybe, named

if TYPE_CHECKING:
    from todacomm.ablation.settings import Setting
    from todacomm.comparison.expressions import Statement
    from todacomm.core.recipe import Recipe
    from todacomm.runs.ablation import AblationOutcome
    from todacomm.runs.ablation_measurements import Means

SETTINGS = "Settings, each a list of values"
CLAIMS = "Claims"
UNUSED = {"language", "keep_texts", "confidence", "resamples", "nulls", "null_runs", "backend", "scheduler"}
USED = tuple(key for key in OPTIONS if key not in UNUSED)


def points_of(text: str) -> float | int | None:
    """Parse ``all``, a fraction between 0 and 1, or a number of points."""
    if text in ("all", "none"):
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if 0 < value < 1:
        return value
    if value == 1 and "." in text:
        return None
    if value >= FEWEST_POINTS and value == int(value):
        return int(value)
    raise ValueError("expected a share between 0 and 1, a number of points from 3 on, or all")


def one_vector(name: str | None) -> str | None:
    """Check that a pooling gives one vector a text."""
    from todacomm.models.pooling import poolings

    if name is not None and poolings[name].per_token:
        raise ValueError("an ablation compares clouds of texts; expected poolings with one vector a text")
    return name


def values_of(key: str, default: str, sentence: str = "", *, each: Kind | None = None) -> Option:
    """An option for several values of a study field; its default is shown, not used."""
    one = each or OPTIONS[key].kind

    def check(text: str) -> tuple[Any, ...]:
        try:
            found = tuple(dict.fromkeys(one.check(one.read(part)) for part in listed(text)))
        except ValueError as problem:
            raise InvalidInput(f"{options.dashed(key)} {text}: {problem}") from None
        if not found:
            raise InvalidInput(f"{options.dashed(key)}: an empty list; expected values with commas between")
        return found

    kind = Kind(check, "A,B,…", choices=one.choices)
    return options.retold(key, sentence or OPTIONS[key].help, default=default, kind=kind, panel=SETTINGS)


FACTORS = {
    "components": values_of("components", "10,20,50,100,none"),
    "subsample": values_of(
        "subsample",
        "0.25,0.5,all",
        "Use random subsamples: shares of the points, numbers of points, or all",
        each=Kind(points_of, "N"),
    ),
    "distance": values_of("distance", "euclidean,cosine"),
    "scale": values_of("scale", "none,median,rms,sphere"),
    "seed": replace(values_of("seed", "42,43,44", "Seeds of the subsamples"), old=("seeds",)),
    "pooling": values_of(
        "pooling",
        "none,mean,last",
        "Make one vector of each text, with one forward pass for each pooling; none chooses by kind",
        each=maybe(named("pooling", OPTIONS["pooling"].kind.choices)).then(one_vector),
    ),
    "max_length": values_of("max_length", "64,128", "Cut texts after N tokens, with one forward pass for each length"),
}


@options.with_options(
    USED,
    **FACTORS,
    null_draws=options.retold(
        "null_draws", "Draws from the Gaussian null, for claims on loops; 0 leaves it out", default=0, panel=CLAIMS
    ),
    name=options.retold("name", "Name of the ablation; none names it after the models"),
)
def ablate(
    given: Mapping[str, Any],
    path: Annotated[
        Path | None, typer.Argument(help=f"An array file ({suffixes()}) in place of models; needs no torch.")
    ] = None,
    config: running.Config = None,
    full: Annotated[
        bool,
        options.own(SETTINGS, "Combine all values, instead of changing one setting at a time.", "", "--full"),
    ] = False,
    claim: Annotated[
        list[str] | None,
        options.own(
            CLAIMS,
            "Test this claim, too: 'expansion>2', 'H1_count@layer_3>=10', 'H1_loop@final:p<=0.05'; repeatable.",
            "CLAIM",
        ),
    ] = None,
    json: Annotated[bool, options.own(OUTPUT_PANEL, "Print ablation.json instead of the table.", "", "--json")] = False,
    quiet: options.Quiet = False,
) -> None:
    """Re-measure under other settings, and report in how many of them each claim stands.

    One setting changes at a time, from a base with the default value of each list, or else its first. A model reads
    the texts once for each pooling and length; all else is measured on its activations, by way of the cache, so that
    a stopped ablation resumes. The claims are what the base shows: the ranking of several models by expansion and by
    shape growth, each one's peak, and whether it grows.

    Examples:
      todacomm ablate
      todacomm ablate --model gpt2 --claim "expansion>2" --pooling mean,last
      todacomm ablate activations.npz --components 10,50,none --null-draws 199

    """
    from todacomm.runs.ablation import ablate_arrays, ablate_models
    from todacomm.runs.ablation_measurements import base_of

    if path is not None:
        options.refuse_of_models(path, given, (*options.OF_ARRAYS, "name", "output_dir"))
    lists = {key: FACTORS[key].kind.check(given[key]) for key in FACTORS if key in given}
    study = running.study_of(config, {key: value for key, value in given.items() if key not in FACTORS})
    null_draws = study.null_draws if "null_draws" in given else 0
    settings = settings_from(base_of(study), lists, arrays=path is not None, full=full)
    recipe = recipe_of(study, settings)
    bounds = bounds_of(claim or [], recipe, null_draws)
    silent = quiet or json
    with console.tracker(quiet=silent) as track:
        means = means_of(study, null_draws, track, unsaid if silent else console.say)
        if path is None:
            found = ablate_models(study, settings, bounds, means, command=running.command_line())
        else:
            from todacomm.core.memory import limit_of

            clouds = read_clouds(path, limit=limit_of(study.max_memory))
            if clouds.left_out and not silent:
                console.warn(clouds.told(path))
            found = ablate_arrays(
                clouds.layers,
                study,
                recipe,
                settings,
                bounds=bounds,
                means=means,
                name=path.stem,
                command=running.command_line(),
            )
    for complaint in means.cache.told() if means.cache else ():
        console.warn(complaint)
    show(found, json=json, quiet=quiet)
    if found.failures:
        console.stop(console.FAILED)


# What was typed


def settings_from(
    base: "Setting", lists: Mapping[str, tuple[Any, ...]], *, arrays: bool, full: bool
) -> "tuple[Setting, ...]":
    """The settings of the typed lists, with defaults for the others."""
    from todacomm.ablation.settings import based, default_grid, settings_of

    if arrays:
        base = replace(base, pooling=None, max_length=None)
    given = {"points" if key == "subsample" else key: values for key, values in lists.items()}
    base = based(base, given)
    return settings_of(base, {**default_grid(base, arrays=arrays), **given}, full=full)


def recipe_of(study: Study, settings: "Sequence[Setting]") -> "Recipe":
    """The recipe for given arrays; checks each setting. Raises UnknownName and the like."""
    recipe = study.recipe_of_arrays()
    for setting in settings:
        setting.recipe(recipe, n=2**31)
    return recipe


def bounds_of(claims: Sequence[str], recipe: "Recipe", null_draws: int) -> "list[Statement]":
    """Parse the claims."""
    from todacomm.ablation.claims import quantities_of, tests_of
    from todacomm.comparison.expressions import claim_of

    bounds = [claim_of(text, quantities_of(recipe.maxdim), tests_of(recipe)) for text in claims]
    if not null_draws and (tested := next((b for b in bounds if b.kind), None)):
        raise InvalidInput(f"'{tested}' is on a p-value, which needs draws of the null: add --null-draws 199")
    return bounds


def means_of(study: Study, null_draws: int, track: Any, say: Any) -> "Means":
    """The cache, the null and the number of layers at a time."""
    from todacomm.core.inference_types import InferenceSettings
    from todacomm.runs.ablation_measurements import Means
    from todacomm.runs.jobs import cache_of

    return Means(cache_of(study), InferenceSettings(resamples=0, null_draws=null_draws), study.jobs, track, say)


# What is printed


def show(found: "AblationOutcome", *, json: bool, quiet: bool) -> None:
    """Print the claims, the failures and the directory."""
    from todacomm.records.files.io import read_json

    if json:
        streams.print_json(read_json(found.directory / "ablation.json"))
    elif not quiet:
        show_table(found)
    for model, failed in found.failures.items():
        console.err.tell("failed:", "bold red", f"{model}: {failed.message}")


def show_table(found: "AblationOutcome") -> None:
    """One row a claim."""
    from todacomm.report.terminal.overview import claims_table

    console.out.print(claims_table(found.ablation))
    line = "Counted are the settings that can judge a claim; the report says what was counted apart, and why."
    console.out.print(line, soft_wrap=True)
    console.page("Report", found.directory / "report.html")
