"""The configuration of a study: each field is a key of its YAML and an option of the command line."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypedDict

from todacomm.core.errors import InvalidInput, InvalidStudy, UnknownName
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.memory import size_of
from todacomm.core.recipe import DISTANCES, FEWEST_POINTS, SCALES, Recipe, called_here
from todacomm.homology.engines import DEFAULT, engines
from todacomm.models.datasets import HUB_FORM, sources
from todacomm.models.names import DEVICE_MAPS, DEVICES, DTYPES, SHIPPED, SITES
from todacomm.models.pooling import poolings
from todacomm.models.text_files import paths
from todacomm.report.document.figure_formats import FORMATS, Figures
from todacomm.runs.fields import (
    CHOICE,
    INFERENCE,
    LOADING,
    MACHINE,
    MEASURING,
    NONE,
    OUTPUT,
    READING,
    STUDY,
    Kind,
    Option,
    WrongKind,
    listed,
    maybe,
    named,
    names,
    number,
    one_of,
    option,
    string,
    switch,
    whole,
    word_or,
)

DEFAULT_STUDY = "encoder-decoder"  # what `todacomm run` measures when nothing is named
ALL = "all"
ON, OFF = True, False
OF_MODELS, OF_TEXTS, OF_LAYERS, MEASUREMENT = "Models", "Texts", "Layers", "Measurement"
NULLS, SPEED, SAFETY, OUTPUT_PANEL = "Intervals and nulls", "Machine", "Loading", "Output"
_RECIPE, _ASKED = Recipe(), InferenceSettings()


# Kinds of values that only a study has


def _layers(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        written = f"layer_{max(value, 0)}"
        raise ValueError(f"found {value}; blocks are called layer_0, layer_1, …, so write '{written}'")  # noqa: TRY004
    found = listed(value)
    if found == ALL or (isinstance(found, tuple) and ALL in found):
        return ALL
    try:
        return names(Kind(_layer, "")).check(found)
    except WrongKind as problem:
        raise WrongKind(f"'{ALL}' or {problem.expected}", value) from None


def _layer(name: str) -> str:
    if not re.fullmatch(r"embedding|final|layer_(0|[1-9]\d*)", name):
        known = (ALL, "embedding", "layer_0", "layer_1", "…", "final")
        door = (
            f"A module by its name: td.activations(network, batches, ['{name}']); or name its site, attention or mlp, "
            "beside layer_i."
        )
        raise UnknownName("layer", name, known, hint=door if "." in name else "")
    return name


def _file_name(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\\" in name:
        raise ValueError(f"expected a name without slashes, found '{name}'; the directory is output_dir")
    return name


def _place(path: str) -> str:
    if not path:
        raise WrongKind("a name", path)
    return path


def _size(text: str) -> str:
    size_of(text)
    return text


def _asked(key: str) -> Callable[[Any], Any]:
    """Check a setting of inference by the type that holds it."""

    def checked(value: Any) -> Any:
        try:
            InferenceSettings(**{key: value})
        except InvalidInput as problem:
            raise ValueError(str(problem)) from None
        return value

    return checked


def _nulls(value: Any) -> Any:
    found = listed(value)
    if found in (None, (NONE,), ()):
        return ()
    from todacomm.statistics.null_models import checked_nulls

    return names().then(checked_nulls).check(found)


def _formats(found: tuple[str, ...]) -> tuple[str, ...]:
    return Figures(found).formats


OUR_NULLS = ("text", "untrained", "columns")  # without loading their module
COUNT = whole(1)
POINTS = maybe(whole(FEWEST_POINTS))
AUTO = word_or("auto", COUNT)
ASKED = {key: whole(-(2**63)).then(_asked(key)) for key in ("resamples", "null_draws", "null_runs")}
ID = maybe(string.then(str, shape="ID|DIR"))


@dataclass(frozen=True, slots=True, init=False)
class Study:
    """What to measure and how; every key is an option of ``todacomm run``. Raises InvalidStudy or UnknownName.

    ``pooling`` None pools by the kind of each model (last for causal, cls for masked); each of several is measured.
    """

    # fmt: off
    models: tuple[str, ...] = option(
        SHIPPED, names(), "Models to measure and compare, by default the four that ship: names of todacomm "
        "list-models, hub ids or directories; NAME=A gives A another name", OF_MODELS, CHOICE, STUDY,
        single={"model": ("NAME", "Measure one model: a name of todacomm list-models"),
                "hf_model": ("ID|DIR", "Measure one model: a hub id or a directory")})
    datasets: tuple[str, ...] = option(
        ("wikitext2",), names(), f"Datasets, one run each: {', '.join([*sources.ours, *paths()])} or {HUB_FORM}",
        OF_TEXTS, CHOICE, STUDY, single={"dataset": ("NAME|FILE|hf:…", "Measure on one dataset")})
    samples: int = option(
        500, whole(FEWEST_POINTS), "Number of texts of each dataset; of one file of your own all of them, unless given",
        OF_TEXTS, READING)
    shuffle: bool = option(
        OFF, switch, "Draw the texts at random by the seed, instead of taking the first ones", OF_TEXTS, CHOICE)
    min_tokens: int = option(
        1, COUNT, "Skip texts with fewer tokens", OF_TEXTS, READING)
    max_length: int = option(
        128, COUNT, "Cut texts after N tokens, or at the model's window if that is "
        "shorter", OF_TEXTS, READING, MEASURING)
    layers: str | tuple[str, ...] = option(
        ALL, Kind(_layers, "all|A,B,…", choices=(ALL, "embedding", "final")),
        "Layers to measure: all, or a list of embedding, layer_0, layer_1, …, final", OF_LAYERS, CHOICE)
    site: str = option(
        _RECIPE.site, named("site", SITES), "Measure the residual stream (block), or what a sublayer adds to it "
        "(attention, mlp)", OF_LAYERS, READING, MEASURING)
    pooling: tuple[str, ...] | None = option(
        None, maybe(names(named("pooling", poolings))), "Make one vector of each text, or keep its tokens; several "
        "give one measurement each; none chooses by kind: last for causal models, cls for masked ones",
        OF_LAYERS, READING, MEASURING, old=("pool",))
    components: int | None = option(
        _RECIPE.components, maybe(COUNT), "Keep N principal components; none keeps every dimension",
        MEASUREMENT, MEASURING, old=("pca",))
    distance: str = option(
        _RECIPE.distance, named("distance", DISTANCES), "Distance between points", MEASUREMENT, MEASURING)
    scale: str = option(
        _RECIPE.scale, named("scale", SCALES), "Divide by the median or RMS distance, or project the centred "
        "points to the "
        "unit sphere; none does neither", MEASUREMENT, MEASURING)
    maxdim: int = option(
        _RECIPE.maxdim, whole(0, 2, shape="0|1|2"), "Highest homology dimension: 0 components, 1 and loops, 2 "
        "and voids",
        MEASUREMENT, MEASURING)
    engine: str = option(
        DEFAULT, named("engine", engines), "Engine that computes persistent homology; ripser checks a tenth "
        "of the layers",
        MEASUREMENT, MEASURING)
    subsample: int | None = option(
        _RECIPE.subsample, POINTS, "Use a random subsample of N points; none uses all", MEASUREMENT, READING, MEASURING,
        old=("points",))
    landmarks: int | None = option(
        _RECIPE.landmarks, POINTS, "Use N maxmin landmarks, and report covering radius and error bound; none uses all "
        "points", MEASUREMENT, MEASURING)
    confidence: float = option(
        _ASKED.confidence, number.then(_asked("confidence")), "Confidence level of the intervals", NULLS, INFERENCE)
    resamples: int = option(
        _ASKED.resamples, ASKED["resamples"], "Random halves of each cloud, for the intervals; 0 leaves these out",
        NULLS, INFERENCE)
    null_draws: int = option(
        _ASKED.null_draws, ASKED["null_draws"], "Draws from the Gaussian null that each layer is tested "
        "against; 0 leaves "
        "it out", NULLS, INFERENCE)
    nulls: tuple[str, ...] = option(
        _ASKED.nulls, Kind(_nulls, f"{','.join(OUR_NULLS)}|none", choices=OUR_NULLS), "Test against these null "
        "models, too: text shuffles the tokens of each text, untrained draws random weights, columns shuffles "
        "each feature", NULLS, INFERENCE)
    null_runs: int = option(
        _ASKED.null_runs, ASKED["null_runs"], "Forward passes of each null model that takes some", NULLS, INFERENCE)
    seed: int = option(
        _RECIPE.seed, whole(0), "Seed of every random choice", MEASUREMENT, READING, MEASURING)
    device: str = option(
        "auto", named("device", DEVICES), "Device that the model runs on", SPEED, LOADING, READING, MACHINE)
    device_map: str | None = option(
        None, maybe(named("device map", DEVICE_MAPS)), "Spread a model that does not fit on one device over devices, "
        "memory and disk (auto), or not (none)", SPEED, LOADING, MACHINE)
    dtype: str = option(
        "float32", named("dtype", DTYPES), "Floating-point type that the model computes "
        "in", SPEED, LOADING, READING, MACHINE)
    batch_size: Literal["auto"] | int = option(
        "auto", AUTO, "Texts per batch; auto goes by their length", SPEED, READING, MACHINE)
    num_layers: int | None = option(
        None, maybe(COUNT), "Fail unless the model has this many layers; none checks nothing", OF_MODELS, LOADING)
    revision: str | None = option(
        None, maybe(string), "Branch, tag or commit of the hub models; none is the newest", OF_MODELS, LOADING)
    tokenizer: str | None = option(
        None, ID, "Load the tokenizer of every model from here; none takes the one beside the weights",
        OF_MODELS, CHOICE)
    trust_remote_code: bool = option(
        OFF, switch, "Run Python code that comes with a model", SAFETY, LOADING, READING)
    allow_pickle: bool = option(
        OFF, switch, "Read weights from pickle files, tensors only", SAFETY, LOADING)
    language: bool = option(
        ON, switch, "Compute loss, perplexity and accuracy on the same texts", MEASUREMENT, READING)
    backend: str = option(
        "auto", one_of("auto", "threading", "loky", "dask"), "Execution backend: this process, processes of "
        "this machine, "
        "or the cluster of the scheduler; auto is dask with a scheduler, else threading", SPEED, MACHINE, STUDY)
    jobs: Literal["auto"] | int = option(
        "auto", AUTO, "Layers at a time, or processes with loky; auto is one per core", SPEED, MACHINE)
    scheduler: str | None = option(
        None, maybe(string.then(str, shape="tcp://HOST:PORT|FILE")), "Address or file of the scheduler of a "
        "dask cluster; "
        "none is no cluster", SPEED, MACHINE, STUDY)
    max_memory: str | None = option(
        None, maybe(string.then(_size, shape="SIZE")), "Memory limit such as 4GiB or 500MB: larger runs are "
        "reduced (batch, "
        "threads) or refused; none is 90 % of what is left", SPEED, MACHINE, STUDY)
    cache: bool = option(
        ON, switch, "Reuse what was computed before, store what is new, and keep the activations beside the records",
        OUTPUT_PANEL, OUTPUT)
    keep_texts: bool = option(
        ON, switch, "Store the texts and the names of their groups beside the records, not only lengths and numbers",
        OUTPUT_PANEL, OUTPUT, old=("texts",))
    figures: tuple[str, ...] = option(
        FORMATS[:1], names(named("format of figures", FORMATS)).then(_formats), "File formats of the figures; "
        "png is always "
        "written", OUTPUT_PANEL, OUTPUT)
    figures_bare: bool = option(
        OFF, switch, "Draw figures for a paper: one or two columns wide, titles and captions in text files beside them",
        OUTPUT_PANEL, OUTPUT)
    name: str | None = option(
        None, maybe(string.then(_file_name, shape="NAME")), "Name of the experiment; none names it after the model",
        OUTPUT_PANEL, OUTPUT, old=("output",))
    output_dir: str = option(
        "experiments", string.then(_place, shape="DIR"), "Directory that holds the experiments", OUTPUT_PANEL, OUTPUT)
    # fmt: on

    def __init__(self, **values: Any) -> None:
        given = by_key(values)
        problems = {
            key: str(UnknownName("study key", key, KEYS, hint=called_here(key))) for key in given if key not in KEYS
        }
        for key, told in OPTIONS.items():
            try:
                object.__setattr__(self, key, told.kind.check(given[key]) if key in given else told.default)
            except UnknownName as unknown:
                unknown.key = key
                raise
            except ValueError as problem:
                problems[key] = f"{key}: {problem} ({told.help})"
        if problems:
            raise RefusedKeys(problems)

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        return ((key, getattr(self, key)) for key in KEYS)

    def but(self, **changes: Any) -> "Study":
        """A copy of the study with these keys changed, checked anew."""
        return type(self)(**{**dict(self), **by_key(changes)})

    def bearing_on(self, what: str) -> dict[str, Any]:
        """The fields that bear on this, with their values."""
        return {key: getattr(self, key) for key in keys_of(what)}

    def reading(self) -> dict[str, Any]:
        """The settings of the study that a forward pass uses."""
        return {key: getattr(self, key) for key in ("site", "max_length", "batch_size", "subsample", "seed")}

    def drawn_as(self) -> Figures:
        """The settings of figures."""
        return Figures(self.figures, self.figures_bare)

    def asked(self) -> InferenceSettings:
        """The settings of inference."""
        return InferenceSettings(**self.bearing_on(INFERENCE))

    def recipe(self, pooling: str) -> Recipe:
        """The recipe for the clouds of one pooling."""
        return Recipe(**{**self.bearing_on(MEASURING), "pooling": pooling})

    def recipe_of_arrays(self) -> Recipe:
        """The recipe for given arrays."""
        return Recipe(**{**self.bearing_on(MEASURING), "pooling": None, "max_length": None})


class RunSettings(TypedDict, total=False):
    """The fields of a study for one model on one dataset, as keywords of `todacomm.run`."""

    samples: int
    shuffle: bool
    min_tokens: int
    max_length: int
    layers: str | Sequence[str]
    site: str
    pooling: str | Sequence[str] | None
    components: int | None
    distance: str
    scale: str
    maxdim: int
    engine: str
    subsample: int | None
    landmarks: int | None
    confidence: float
    resamples: int
    null_draws: int
    nulls: str | Sequence[str]
    null_runs: int
    seed: int
    device: str
    device_map: str | None
    dtype: str
    batch_size: Literal["auto"] | int
    num_layers: int | None
    revision: str | None
    trust_remote_code: bool
    allow_pickle: bool
    language: bool
    jobs: Literal["auto"] | int


OPTIONS: Mapping[str, Option] = {field.name: field.metadata["option"] for field in fields(Study)}
KEYS = tuple(OPTIONS)
OLD = {old: key for key, told in OPTIONS.items() for old in told.old}


def keys_of(*bearing: str) -> tuple[str, ...]:
    """The fields that bear on any of these."""
    return tuple(key for key, told in OPTIONS.items() if told.bears_on & set(bearing))


def by_key(values: Mapping[str, Any]) -> dict[str, Any]:
    """Rename older keys of a study. Raises InvalidStudy where both old and new are given."""
    for old, key in OLD.items():
        if old in values and key in values:
            raise InvalidStudy(f"{old} and {key} are one setting; give one of them")
    return {OLD.get(key, key): value for key, value in values.items()}


class RefusedKeys(InvalidStudy):
    """Problems by key; a study file adds line numbers."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems.values()))
