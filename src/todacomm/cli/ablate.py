"""``todacomm ablate``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.cli import console, options, streams
from todacomm.cli import run as running
from todacomm.core.errors import InvalidInput

if TYPE_CHECKING:
    from todacomm.ablation.settings import Setting
    from todacomm.comparison.expressions import Statement
    from todacomm.core.recipe import Recipe
    from todacomm.runs.ablation import Ablated
    from todacomm.runs.ablation_measurements import Means
    from todacomm.runs.config import Study

SETTINGS = "Settings (each a list that replaces its values; the base has the usual value, else the first)"
LIST = "A,B,…"


def ablate(
    path: Annotated[
        Path | None, typer.Argument(help="An array file (.npy, .npz, .safetensors) in place of models; needs no torch.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="One model: a name of todacomm list-models.", rich_help_panel=running.MODELS)
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(metavar=LIST, help="Several models, whose order is a claim.", rich_help_panel=running.MODELS),
    ] = None,
    hf_model: Annotated[
        str | None,
        typer.Option(metavar="ID|DIR", help="A hub id or a local directory.", rich_help_panel=running.MODELS),
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(
            metavar="ID|DIR", help="Where the tokenizer is, if not with the model.", rich_help_panel=running.MODELS
        ),
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME", help="A study file, for everything else.", rich_help_panel=running.MODELS),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE|hf:…", help="Default wikitext2.", rich_help_panel=running.TEXTS),
    ] = None,
    samples: Annotated[
        int | None, typer.Option(help="How many texts (default 500).", rich_help_panel=running.TEXTS)
    ] = None,
    components: Annotated[
        str | None, typer.Option(metavar=LIST, help="Default 10,20,50,100,none.", rich_help_panel=SETTINGS)
    ] = None,
    points: Annotated[
        str | None,
        typer.Option(
            metavar=LIST,
            help="Shares of the points, numbers of them, all (default 0.25,0.5,all).",
            rich_help_panel=SETTINGS,
        ),
    ] = None,
    distance: Annotated[
        str | None, typer.Option(metavar=LIST, help="Default euclidean,cosine.", rich_help_panel=SETTINGS)
    ] = None,
    scale: Annotated[
        str | None, typer.Option(metavar=LIST, help="Default none,median,rms,sphere.", rich_help_panel=SETTINGS)
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar=LIST, help="Of the subsamples (default 42,43,44).", rich_help_panel=SETTINGS)
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            metavar=LIST, help="Default by the kind of the model, mean, last; one pass each.", rich_help_panel=SETTINGS
        ),
    ] = None,
    max_length: Annotated[
        str | None,
        typer.Option(metavar=LIST, help="Tokens of a text (default 64,128); one pass each.", rich_help_panel=SETTINGS),
    ] = None,
    full: Annotated[
        bool,
        typer.Option(
            "--full", help="Every combination of the values, not one factor at a time.", rich_help_panel=SETTINGS
        ),
    ] = False,
    claim: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLAIM",
            help="What is to stand beside what the base shows: 'expansion>2', 'H1_count@layer_3>=10', 'H1_loop@final:p<=0.05'; repeatable.",
            rich_help_panel=running.CLAIMS,
        ),
    ] = None,
    null_draws: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Gaussian clouds for the claim on loops; 0, for speed, makes none.",
            rich_help_panel=running.CLAIMS,
        ),
    ] = 0,
    output: Annotated[str | None, typer.Option(help="Name of the ablation.", rich_help_panel=options.OUTPUT)] = None,
    output_dir: Annotated[
        str | None, typer.Option(help="Where it goes (default experiments).", rich_help_panel=options.OUTPUT)
    ] = None,
    figures: options.MaybeFormats = None,
    figures_bare: options.MaybeBare = None,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Neither read nor write the cache.", rich_help_panel=options.OUTPUT)
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print ablation.json instead of the table.", rich_help_panel=options.OUTPUT)
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure again under other settings, and say which claims stand in how many of them.

    One setting is changed at a time. A model reads the texts once for each pooling and length; all else is measured on what it
    gave, out of the cache where that has it, so that a stopped ablation goes on where it was. Claimed is what the base shows: the
    order of several models by expansion and by shape growth, each one's peak, and whether it grows.

    [bold]Examples[/]
      todacomm ablate
      todacomm ablate --model gpt2 --claim "expansion>2" --pool mean,last
      todacomm ablate activations.npz --components 10,50,none --null-draws 199
    """
    from todacomm.runs.ablation import ablate_arrays, ablate_models
    from todacomm.runs.ablation_measurements import base_of

    given = named(
        path,
        {"model": model, "models": models, "hf_model": hf_model, "config": config, "dataset": dataset}
        | {"tokenizer": tokenizer},
    )
    own = {"samples": samples, "output": output, "output_dir": output_dir, "cache": False if no_cache else None}
    own |= {"figures": figures, "figures_bare": figures_bare}
    study = running.study_of(config, {**given, **{key: value for key, value in own.items() if value is not None}})
    lists = lists_of(
        {"components": components, "points": points, "distance": distance, "scale": scale, "seed": seeds}
        | {"pooling": pool, "max_length": max_length}
    )
    settings = settings_from(base_of(study), lists, arrays=path is not None, full=full)
    recipe = recipe_of(study, settings)
    bounds = bounds_of(claim or [], recipe, null_draws)
    silent = quiet or json
    with console.tracker(quiet=silent) as track:
        means = means_of(study, null_draws, track, console.unsaid if silent else console.say)
        if path is None:
            found = ablate_models(study, settings, bounds, means, command=running.command_line())
        else:
            from todacomm.clouds.array_files import read_clouds
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


def named(path: Path | None, options_: dict[str, str | None]) -> dict[str, Any]:
    """The models and the dataset as keys of a study. Raises InvalidInput where options speak of the same thing."""
    given = [name for name, value in options_.items() if value is not None and name != "config"]
    if path is not None and given:
        raise InvalidInput(
            f"{path} and --{given[0].replace('_', '-')}: arrays need no model and no texts; give one of them"
        )
    of_models = [name for name in given if name not in ("dataset", "tokenizer")]
    if len(of_models) > 1:
        first, second = (f"--{name.replace('_', '-')}" for name in of_models[:2])
        raise InvalidInput(f"{first} and {second} both name the models; give one of them")
    found: dict[str, Any] = {}
    for name in given:
        value = options_[name]
        found[running.MEANING.get(name, name)] = value if name in ("models", "tokenizer") else (value,)
    return found


def lists_of(typed: dict[str, str | None]) -> dict[str, tuple[Any, ...]]:
    """Factor → the values that were typed, each once."""
    readers: dict[str, Callable[[str], Any]] = {
        "components": options.components_of,
        "points": points_of,
        "seed": whole("--seeds", 0),
        "max_length": whole("--max-length", 1),
        "pooling": pooling_of,
    }
    found = {}
    for factor, text in typed.items():
        if text is not None:
            parts = [part.strip() for part in text.split(",") if part.strip()]
            if not parts:
                raise InvalidInput(f"an empty list for {factor.replace('_', ' ')}; expected values with commas between")
            found[factor] = tuple(dict.fromkeys(readers.get(factor, str)(part) for part in parts))
    return found


def points_of(text: str) -> float | int | None:
    """``all``, a share between 0 and 1, or a number of points."""
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
    if value >= 3 and value == int(value):
        return int(value)
    raise InvalidInput(f"--points {text}: expected a share between 0 and 1, a number of points from 3 on, or all")


def whole(option: str, least: int) -> Callable[[str], int]:
    """A reader of whole numbers."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise InvalidInput(f"{option} {text}: expected whole numbers of {least} or more, with commas between")
        return int(text)

    return read


def pooling_of(text: str) -> str:
    """A pooling that gives one vector a text."""
    from todacomm.models.pooling import poolings

    if poolings[text].per_token:
        raise InvalidInput(
            f"--pool {text}: an ablation compares clouds of texts; expected poolings with one vector a text"
        )
    return text


def settings_from(
    base: "Setting", lists: dict[str, tuple[Any, ...]], *, arrays: bool, full: bool
) -> "tuple[Setting, ...]":
    """The settings of the lists, and of the usual values where none was typed."""
    from dataclasses import replace

    from todacomm.ablation.settings import based, default_grid, settings_of

    if arrays:
        if beside := [name for name in ("pooling", "max_length") if name in lists]:
            raise InvalidInput(
                f"{beside[0].replace('_', ' ')}: arrays are pooled already, so this would change nothing; leave it out"
            )
        base = replace(base, pooling=None, max_length=None)
    base = based(base, lists)
    return settings_of(base, {**default_grid(base, arrays=arrays), **lists}, full=full)


def recipe_of(study: "Study", settings: "Sequence[Setting]") -> "Recipe":
    """The recipe of given arrays, after a look at each setting. Raises UnknownName and the like."""
    from dataclasses import replace

    recipe = replace(study.recipe("last"), pooling=None, max_length=None)
    for setting in settings:
        setting.recipe(recipe, n=2**31)
    return recipe


def bounds_of(claims: "Sequence[str]", recipe: "Recipe", null_draws: int) -> "list[Statement]":
    """The claims that were typed."""
    from todacomm.ablation.claims import quantities_of, tests_of
    from todacomm.comparison.expressions import claim_of

    bounds = [claim_of(text, quantities_of(recipe.maxdim), tests_of(recipe)) for text in claims]
    if not null_draws and (tested := next((b for b in bounds if b.kind), None)):
        raise InvalidInput(f"'{tested}' is on a p-value, which needs draws of the null: add --null-draws 199")
    return bounds


def means_of(study: "Study", null_draws: int, track: Any, say: Any) -> "Means":
    """The cache, the null and the number of layers at a time."""
    from todacomm.core.inference_types import Asked
    from todacomm.runs.ablation_measurements import Means
    from todacomm.runs.jobs import cache_of

    return Means(cache_of(study), Asked(resamples=0, null_draws=null_draws), study.jobs, track, say)


# What is printed


def show(found: "Ablated", *, json: bool, quiet: bool) -> None:
    """Claim, stands in, where it fails; the failures; where everything is."""
    from todacomm.records.io import read_json

    if json:
        streams.print_json(read_json(found.directory / "ablation.json"))
    elif not quiet:
        show_table(found)
    for model, failed in found.failures.items():
        console.err.tell("failed:", "bold red", f"{model}: {failed.message}")


def show_table(found: "Ablated") -> None:
    """One row a claim."""
    from todacomm.report.terminal.overview import claims_table

    console.out.print(claims_table(found.ablation))
    line = "Counted are the settings that can judge a claim; the report says what was counted apart, and why."
    console.out.print(line, soft_wrap=True)
    console.page("Report", found.directory / "report.html")
