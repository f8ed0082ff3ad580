"""The configuration of a study, as a frozen type."""

import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from todacomm.core.errors import InvalidInput, InvalidStudy, UnknownName
from todacomm.core.inference_types import Asked
from todacomm.core.memory import size_of
from todacomm.core.recipe import DISTANCES, FEWEST_POINTS, SCALES, Recipe
from todacomm.homology.engines import DEFAULT, engines
from todacomm.models.datasets import HUB_FORM, sources
from todacomm.models.names import DEVICE_MAPS, DEVICES, DTYPES, SHIPPED, SITES
from todacomm.models.pooling import poolings
from todacomm.report.document.figure_formats import FORMATS, Figures

DEFAULT_STUDY = "encoder-decoder"  # what `todacomm run` measures when nothing is named
ALL = "all"
NONE = "none"  # how the absence of a value is written in YAML


def _nothing(value: object) -> object:
    return None if value == NONE else value


def _listed(value: object) -> object:
    """A comma list or a YAML list to a tuple; anything else is left for the type to refuse."""
    if isinstance(value, str):
        return tuple(part for piece in value.split(",") if (part := piece.strip()))
    return tuple(value) if isinstance(value, list) else value


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names or not all(name.strip() for name in names):
        raise ValueError("expected one name or more, found an empty " + ("name" if names else "list"))
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"'{twice}' stands twice")
    return names


def _no_names(value: object) -> object:
    return () if value == (NONE,) or value is None else value


def _one_of(kind: str, known: Collection[str]) -> Callable[[str], str]:
    def checked(name: str) -> str:
        if name not in known:
            raise UnknownName(kind, name, known)
        return name

    return checked


def _poolings(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(map(_one_of("pooling", poolings), _each_once(names)))


def _listed_layers(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        written = f"layer_{max(value, 0)}"
        raise ValueError(f"found {value}; blocks are called layer_0, layer_1, …, so write '{written}'")  # noqa: TRY004
    listed = _listed(value)
    return ALL if listed == (ALL,) else listed


def _layers(names: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(names, str) or ALL in names:
        return ALL
    for name in _each_once(names):
        if not re.fullmatch(r"embedding|final|layer_(0|[1-9]\d*)", name):
            hint = f"A module by its name: td.activations(network, batches, ['{name}']); or name its site, attention or mlp, beside layer_i."
            known = (ALL, "embedding", "layer_0", "layer_1", "…", "final")
            raise UnknownName("layer", name, known, hint=hint if "." in name else "")
    return names


def _file_name(name: str | None) -> str | None:
    if name is not None and (name in ("", ".", "..") or "/" in name or "\\" in name):
        raise ValueError(f"expected a name without slashes, found '{name}'; the directory is output_dir")
    return name


def _size(text: str | None) -> str | None:
    if text is not None:
        size_of(text)
    return text


def _asked(key: str) -> Callable[[Any], Any]:
    """What is asked of the numbers is checked by the type that holds it."""

    def checked(value: Any) -> Any:
        try:
            Asked(**{key: value})
        except InvalidInput as problem:
            raise ValueError(str(problem)) from None
        return value

    return checked


def _formats(names: tuple[str, ...]) -> tuple[str, ...]:
    try:
        return Figures(_each_once(names)).formats
    except UnknownName as problem:
        raise ValueError(str(problem)) from None


def _device_map(name: str | None) -> str | None:
    return None if name is None else _one_of("device map", DEVICE_MAPS)(name)


Count = Annotated[int, Field(ge=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_each_once)]
Layers = Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_listed_layers), AfterValidator(_layers)]
Poolings = Annotated[
    tuple[str, ...] | None, BeforeValidator(_listed), BeforeValidator(_nothing), AfterValidator(_poolings)
]
NullNames = Annotated[
    tuple[str, ...], BeforeValidator(_no_names), BeforeValidator(_listed), AfterValidator(_asked("nulls"))
]
MaybeCount = Annotated[Count | None, BeforeValidator(_nothing)]
MaybePoints = Annotated[Annotated[int, Field(ge=FEWEST_POINTS)] | None, BeforeValidator(_nothing)]
Formats = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_formats)]
MaybeText = Annotated[str | None, BeforeValidator(_nothing)]


class Study(BaseModel):
    """What to measure and how; every key is an option of ``todacomm run``. Raises InvalidStudy or UnknownName.

    ``pooling`` None pools by the kind of each model (last for causal, cls for masked); several poolings are one
    measurement each.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    models: Names = Field(
        default=SHIPPED, description="presets as in todacomm list-models, hub ids or local directories"
    )
    datasets: Names = Field(
        default=("wikitext2",),
        description=f"{', '.join(sources)}, path.txt, path.jsonl[:field] or {HUB_FORM}",
    )
    samples: int = Field(default=500, ge=FEWEST_POINTS, description="how many texts of each dataset")
    shuffle: bool = Field(
        default=False, description="true draws the texts by seed; false takes the first in file order"
    )
    min_tokens: Count = Field(default=1, description="texts with fewer tokens are passed over")
    max_length: Count = Field(
        default=128, description="tokens after which a text is cut, or the model's window if smaller"
    )
    layers: Layers = Field(default="all", description="all, or a list of embedding, layer_0, layer_1, …, final")
    site: Annotated[str, AfterValidator(_one_of("site", SITES))] = Field(
        default="block", description="block is the residual stream; attention or mlp, what that sublayer adds to it"
    )
    pooling: Poolings = Field(
        default=None,
        description=f"a list of {', '.join(poolings)}; none is by kind (last for causal, cls for masked models)",
    )
    components: MaybeCount = Field(default=50, description="principal components kept; none keeps every dimension")
    distance: Annotated[str, AfterValidator(_one_of("distance", DISTANCES))] = Field(
        default="euclidean", description="euclidean or cosine"
    )
    scale: Annotated[str, AfterValidator(_one_of("scale", SCALES))] = Field(
        default="none", description="none, median, rms (divide by that distance) or sphere (project each point on it)"
    )
    maxdim: int = Field(
        default=1, ge=0, le=2, description="highest homology dimension: 0 clusters, 1 and loops, 2 and voids"
    )
    engine: Annotated[str, AfterValidator(_one_of("engine", engines))] = Field(
        default=DEFAULT, description=f"what computes persistent homology: {' or '.join(engines)}"
    )
    subsample: MaybePoints = Field(default=None, description="points drawn from each cloud; none measures all of them")
    landmarks: MaybePoints = Field(
        default=None, description="points of each cloud that stand for all, chosen far apart; none measures all of them"
    )
    confidence: Annotated[float, AfterValidator(_asked("confidence"))] = Field(
        default=0.95, description="of the intervals"
    )
    resamples: Annotated[int, AfterValidator(_asked("resamples"))] = Field(
        default=100, description="runs on random halves of each cloud, for the intervals; 0 leaves them out"
    )
    null_draws: Annotated[int, AfterValidator(_asked("null_draws"))] = Field(
        default=199, description="Gaussian clouds that each layer is held against; 0 leaves them out"
    )
    nulls: NullNames = Field(
        default=(),
        description="nulls that take forward passes of their own: text (tokens shuffled within each text), untrained "
        "(the same architecture with random weights); none is neither",
    )
    null_runs: Annotated[int, AfterValidator(_asked("null_runs"))] = Field(
        default=5, description="forward passes of each of these nulls"
    )
    seed: int = Field(default=42, ge=0, description="of every random choice")
    device: Annotated[str, AfterValidator(_one_of("device", DEVICES))] = Field(
        default="auto", description="auto, cpu, cuda or mps"
    )
    device_map: Annotated[MaybeText, AfterValidator(_device_map)] = Field(
        default=None,
        description="auto spreads a model that does not fit one device over devices, main memory and disk; none does not",
    )
    dtype: Annotated[str, AfterValidator(_one_of("dtype", DTYPES))] = Field(
        default="float32", description="what the model computes in: float32, float16 or bfloat16"
    )
    batch_size: Literal["auto"] | Count = Field(
        default="auto", description="texts at a time; auto goes by their length"
    )
    num_layers: MaybeCount = Field(
        default=None, description="checked against the model, which knows its own; none checks nothing"
    )
    revision: MaybeText = Field(default=None, description="branch, tag or commit of the hub models; none is the newest")
    tokenizer: MaybeText = Field(
        default=None,
        description="directory or hub id of the tokenizer of every model; none takes the one beside the weights",
    )
    trust_remote_code: bool = Field(default=False, description="true runs Python code that comes with a model")
    allow_pickle: bool = Field(default=False, description="true reads weights from pickle files (tensors only)")
    language: bool = Field(default=True, description="loss, perplexity and accuracy of the models on the same texts")
    backend: Literal["auto", "threading", "loky", "dask"] = Field(
        default="auto",
        description="who does the jobs: threading (this process), loky (processes of this machine) or dask (a cluster, "
        "with scheduler); auto is dask with a scheduler, else threading",
    )
    jobs: Literal["auto"] | Count = Field(
        default="auto", description="layers at a time with threading, processes with loky; auto is one a core"
    )
    scheduler: MaybeText = Field(
        default=None, description="of a dask cluster: tcp://host:port or its scheduler file; none is no cluster"
    )
    max_memory: Annotated[MaybeText, AfterValidator(_size)] = Field(
        default=None,
        description="memory that may be held, such as 4GiB or 500MB; what needs more is thinned or refused before it is "
        "begun; none is nine tenths of what the machine has left",
    )
    cache: bool = Field(
        default=True,
        description="take from the cache what was computed before and keep there what is new; keep the pooled "
        "activations beside the records",
    )
    keep_texts: bool = Field(
        default=True,
        description="keep the texts and the names of their groups beside the records, for the page; false keeps lengths and "
        "numbers of groups alone",
    )
    figures: Formats = Field(
        default=FORMATS[:1],
        description=f"formats of the figures: a list of {', '.join(FORMATS)}; png is always written",
    )
    figures_bare: bool = Field(
        default=False,
        description="true draws figures for a paper: no headings, no small print (they go into text files beside), as wide as columns",
    )
    output: Annotated[MaybeText, AfterValidator(_file_name)] = Field(
        default=None, description="name of the experiment; none names it after the model"
    )
    output_dir: Annotated[str, Field(min_length=1)] = Field(
        default="experiments", description="where experiments are kept"
    )

    def __init__(self, **values: Any) -> None:
        unknown = {key: str(UnknownName("study key", key, KEYS)) for key in values if key not in KEYS}
        if unknown:
            raise Refused(unknown)
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise Refused(_problems(error)) from None

    def but(self, **changes: Any) -> Self:
        """The same study with these keys changed, checked anew."""
        return type(self)(**{**dict(self), **changes})

    def reading(self) -> dict[str, Any]:
        """What a pass over given texts takes of the study."""
        return {key: getattr(self, key) for key in ("site", "max_length", "batch_size", "subsample", "seed")}

    def drawn_as(self) -> Figures:
        """How figures are written."""
        return Figures(self.figures, self.figures_bare)

    def asked(self) -> Asked:
        """What is asked of the numbers."""
        return Asked(self.confidence, self.resamples, self.null_draws, self.nulls, self.null_runs)

    def recipe(self, pooling: str) -> Recipe:
        """The recipe of the clouds made by one pooling."""
        shared = {key: getattr(self, key) for key in KEYS if key in Recipe.__dataclass_fields__}
        return Recipe(**{**shared, "pooling": pooling})


KEYS = tuple(Study.model_fields)


class Refused(InvalidStudy):
    """Problems by key, to which a file adds its lines."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        self.problems = problems
        super().__init__("; ".join(problems.values()))


def _problems(error: ValidationError) -> dict[str, str]:
    """What pydantic found, one sentence a key: what was expected and what was found."""
    found: dict[str, list[Any]] = {}
    for one in error.errors(include_url=False):
        found.setdefault(str(one["loc"][0]), []).append(one)
    return {key: f"{key}: {_problem(errors)} ({Study.model_fields[key].description})" for key, errors in found.items()}


def _problem(errors: list[Any]) -> str:
    wanted = dict.fromkeys(_expected(one["msg"]) for one in errors)
    if any(one["type"] == "value_error" for one in errors):
        return "; ".join(wanted)
    value = errors[0]["input"]
    quote = errors[0]["type"] == "string_type" and isinstance(value, int | float)
    return f"expected {' or '.join(wanted)}, found {_shown(value)}{'; put it in quotes' if quote else ''}"


SPOKEN = {
    "Input should be ": "",
    "Value error, ": "",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "a valid integer": "a whole number",
    "a valid boolean": "true or false",
    "a valid string": "a string",
    "a valid tuple": "a list",
    "String should have at least 1 character": "a name",
}


def _expected(message: str) -> str:
    for theirs, ours in SPOKEN.items():
        message = message.replace(theirs, ours)
    return message


def _shown(value: object) -> str:
    """A value as YAML has it."""
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    return reprlib.repr(list(value) if isinstance(value, tuple) else value)
