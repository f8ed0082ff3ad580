"""``todacomm run``."""

import shlex
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.cli import console, options, tables
from todacomm.core.errors import InvalidInput
from todacomm.homology.engines import engines
from todacomm.models.names import DEVICE_MAPS, DEVICES, DTYPES, SITES
from todacomm.models.pooling import poolings

if TYPE_CHECKING:
    from todacomm.runs.config import Study
    from todacomm.runs.study import Outcome

MODELS, TEXTS, LAYERS, CLAIMS = "Models", "Texts", "Layers", "Claims"
MACHINE, SAFETY = "Machine", "Loading"


def run(
    context: typer.Context,
    model: Annotated[
        str | None, typer.Option(help="One model: a name of todacomm list-models.", rich_help_panel=MODELS)
    ] = None,
    models: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,…",
            help="Several models, compared at the end; NAME=A gives A another name.",
            rich_help_panel=MODELS,
        ),
    ] = None,
    hf_model: Annotated[
        str | None, typer.Option(metavar="ID|DIR", help="A hub id or a local directory.", rich_help_panel=MODELS)
    ] = None,
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of the hub model.", rich_help_panel=MODELS)
    ] = None,
    tokenizer: Annotated[
        str | None,
        typer.Option(metavar="ID|DIR", help="Where the tokenizer is, if not with the model.", rich_help_panel=MODELS),
    ] = None,
    num_layers: Annotated[
        int | None, typer.Option(help="Checked against the model, which knows its own.", rich_help_panel=MODELS)
    ] = None,
    config: Annotated[
        str | None,
        typer.Option(metavar="FILE|NAME", help="A study file; other options change it.", rich_help_panel=MODELS),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE|hf:…",
            help="wikitext2 (default), squad, path.txt, path.jsonl\\[:field], hf:name\\[/config]\\[:split]\\[:field].",
            rich_help_panel=TEXTS,
        ),
    ] = None,
    datasets: Annotated[
        str | None, typer.Option(metavar="A,B,…", help="Several datasets, one run each.", rich_help_panel=TEXTS)
    ] = None,
    samples: Annotated[int | None, typer.Option(help="How many texts (default 500).", rich_help_panel=TEXTS)] = None,
    shuffle: Annotated[
        bool | None,
        typer.Option("--shuffle", help="Draw the texts by seed, not the first ones.", rich_help_panel=TEXTS),
    ] = None,
    min_tokens: Annotated[
        int | None, typer.Option(help="Pass over shorter texts (default 1).", rich_help_panel=TEXTS)
    ] = None,
    max_length: Annotated[
        int | None, typer.Option(help="Cut texts after so many tokens (default 128).", rich_help_panel=TEXTS)
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(metavar="all|A,B,…", help="embedding, layer_0, …, final (default all).", rich_help_panel=LAYERS),
    ] = None,
    site: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(SITES),
            help="The residual stream, or what that sublayer adds to it (default block).",
            rich_help_panel=LAYERS,
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(poolings),
            help="One vector a text; several by commas (default by kind: last for causal, cls for masked).",
            rich_help_panel=LAYERS,
        ),
    ] = None,
    pca: Annotated[
        str | None,
        typer.Option(metavar="N|none", help="Components to keep (default 50).", rich_help_panel=options.MEASUREMENT),
    ] = None,
    distance: Annotated[
        str | None,
        typer.Option(metavar="euclidean|cosine", help="Default euclidean.", rich_help_panel=options.MEASUREMENT),
    ] = None,
    scale: Annotated[
        str | None,
        typer.Option(
            metavar="none|median|rms|sphere",
            help="Divide by that distance, or put the centred points on the sphere (default none).",
            rich_help_panel=options.MEASUREMENT,
        ),
    ] = None,
    maxdim: Annotated[
        int | None,
        typer.Option(
            metavar="0|1|2", help="0 clusters, 1 loops, 2 voids (default 1).", rich_help_panel=options.MEASUREMENT
        ),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(metavar="|".join(engines), help="Default bitlink.", rich_help_panel=options.MEASUREMENT),
    ] = None,
    subsample: options.Subsample = None,
    landmarks: options.Landmarks = None,
    confidence: Annotated[
        float | None, typer.Option(metavar="0…1", help="Of the intervals (default 0.95).", rich_help_panel=CLAIMS)
    ] = None,
    resamples: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Runs on random halves, for the intervals (default 100); 0 leaves them out.",
            rich_help_panel=CLAIMS,
        ),
    ] = None,
    null_draws: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Gaussian clouds that each layer is held against (default 199); 0 leaves them out.",
            rich_help_panel=CLAIMS,
        ),
    ] = None,
    nulls: Annotated[
        str | None,
        typer.Option(
            metavar="text,untrained",
            help="Hold layers against shuffled tokens, or an untrained model, too: forward passes of their own.",
            rich_help_panel=CLAIMS,
        ),
    ] = None,
    null_runs: Annotated[
        int | None,
        typer.Option(metavar="N", help="Forward passes of each of these (default 5).", rich_help_panel=CLAIMS),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(help="Decides every random choice (default 42).", rich_help_panel=options.MEASUREMENT),
    ] = None,
    language: Annotated[
        bool | None,
        typer.Option(
            "--language/--no-language",
            help="Loss, perplexity and accuracy on the same texts (default yes).",
            rich_help_panel=options.MEASUREMENT,
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(metavar="|".join(DEVICES), help="Default auto.", rich_help_panel=MACHINE)
    ] = None,
    device_map: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(DEVICE_MAPS),
            help="auto: spread a model that does not fit one device, down to disk (default none).",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="|".join(DTYPES), help="Default float32.", rich_help_panel=MACHINE),
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option(metavar="auto|N", help="Texts at a time (default auto).", rich_help_panel=MACHINE)
    ] = None,
    jobs: Annotated[
        str | None,
        typer.Option(
            metavar="auto|N",
            help="Layers measured at a time, or processes with --backend loky (default one a core).",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="threading|loky|dask",
            help="This process (default), processes of this machine, or the cluster of --scheduler.",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            metavar="tcp://HOST:PORT|FILE",
            help="The scheduler of a dask cluster, or its scheduler file; its workers do the jobs.",
            rich_help_panel=MACHINE,
        ),
    ] = None,
    max_memory: options.MaxMemory = None,
    trust_remote_code: Annotated[
        bool | None,
        typer.Option("--trust-remote-code", help="Run Python code that comes with a model.", rich_help_panel=SAFETY),
    ] = None,
    allow_pickle: Annotated[
        bool | None,
        typer.Option("--allow-pickle", help="Read weights from pickle files, tensors only.", rich_help_panel=SAFETY),
    ] = None,
    output: Annotated[str | None, typer.Option(help="Name of the experiment.", rich_help_panel=options.OUTPUT)] = None,
    output_dir: Annotated[
        str | None, typer.Option(help="Where it goes (default experiments).", rich_help_panel=options.OUTPUT)
    ] = None,
    figures: options.MaybeFormats = None,
    figures_bare: options.MaybeBare = None,
    no_cache: Annotated[
        bool | None, typer.Option("--no-cache", help=options.NO_CACHE, rich_help_panel=options.OUTPUT)
    ] = None,
    no_texts: Annotated[
        bool | None,
        typer.Option(
            "--no-texts",
            help="Keep no text, and no name of a group, in records and pages: lengths and numbers alone.",
            rich_help_panel=options.OUTPUT,
        ),
    ] = None,
    csv: options.Csv = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure models layer by layer, and compare them.

    Without options: the four small models that ship, on 500 texts of WikiText-2, with the same pooling. Offline.

    [bold]Examples[/]
      todacomm run
      todacomm run --model gpt2 --samples 500
      todacomm run --models gpt2,bert --pool mean
      todacomm run --hf-model microsoft/phi-1_5 --dataset notes.txt
    """
    study = study_of(config, given_options(context))
    from todacomm.runs.study import execute

    silent = quiet or csv or json
    with console.tracker(quiet=silent) as track:
        say = console.unsaid if silent else console.say
        outcome = execute(study, command=command_line(), track=track, say=say, warn=console.warn)
    show(outcome, csv=csv, json=json, quiet=quiet)
    if outcome.failures:
        console.stop(console.FAILED)


MEANING = {  # option → key of a study, where the names differ
    "model": "models",
    "hf_model": "models",
    "dataset": "datasets",
    "pool": "pooling",
    "pca": "components",
    "no_cache": "cache",
    "no_texts": "keep_texts",
}
APART = {"context", "config", "csv", "json", "quiet", "path", "calibrate"}  # options that are no keys of a study


def given_options(context: typer.Context) -> dict[str, Any]:
    """The keys of a study that were given as options; those left alone stay as the study file has them.

    Raises InvalidInput where two options name the same thing.
    """
    found: dict[str, Any] = {}
    said: dict[str, str] = {}
    for name, value in context.params.items():
        source = context.get_parameter_source(name)
        if name in APART or source is None or source.name == "DEFAULT":
            continue
        key, option = MEANING.get(name, name), f"--{name.replace('_', '-')}"
        if key in said:
            raise InvalidInput(f"{said[key]} and {option} both name the {key}; give one of them")
        said[key], found[key] = option, READ.get(name, as_it_is)(value)
    return found


def as_it_is(value: Any) -> Any:
    """The value of an option whose key takes it so."""
    return value


def negated(value: bool) -> bool:
    """``--no-cache`` as the key ``cache``, ``--no-texts`` as ``keep_texts``."""
    return not value


def batch_of(text: str) -> str | int:
    """``auto`` or a number of texts."""
    return options.auto_or_number("--batch-size", text, of="texts")


def jobs_of(text: str) -> str | int:
    """``auto`` or a number of layers or processes."""
    return options.auto_or_number("--jobs", text, of="layers or processes at a time")


READ: dict[str, Callable[[Any], Any]] = {
    "pca": options.components_of,
    "batch_size": batch_of,
    "jobs": jobs_of,
    "no_cache": negated,
    "no_texts": negated,
    "model": lambda name: (name,),
    "hf_model": lambda name: (name,),
    "dataset": lambda name: (name,),
}


def study_of(config: str | None, given: Mapping[str, Any]) -> "Study":
    """The study of ``--config``, or the default one, with the options that were given in place of its keys."""
    from todacomm.runs.config import DEFAULT_STUDY, Study
    from todacomm.runs.config_files import load_shipped, open_study

    if config is not None:
        return open_study(config).but(**given)
    return Study(**given) if "models" in given else load_shipped(DEFAULT_STUDY).but(**given)


def command_line() -> str:
    """What was typed, quoted for a shell."""
    return shlex.join(["todacomm", *sys.argv[1:]])


def show(outcome: "Outcome", *, csv: bool, json: bool, quiet: bool) -> None:
    """The tables, where everything is, and which models failed."""
    tables.show(outcome.profiles, csv=csv, json=json, quiet=quiet)
    if not (csv or json or quiet):
        for experiment in outcome.experiments:
            console.page("Report", experiment / "reports" / "report.html")
        if outcome.comparison:
            tables.show_comparison(outcome.comparison, outcome.compared.values())
    for model, failure in outcome.failures.items():
        console.err.tell("failed:", "bold red", f"{model}: {failure.message}")
