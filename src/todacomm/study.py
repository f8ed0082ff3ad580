"""The configuration of a study, as a frozen type and as YAML; the study files that ship with the package."""

import re
import reprlib
from collections.abc import Callable, Collection, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from todacomm.engines import DEFAULT, engines
from todacomm.errors import InvalidStudy, UnknownName
from todacomm.memory import size_of
from todacomm.models import DEVICE_MAPS, DEVICES, DTYPES, SHIPPED, SITES
from todacomm.pooling import poolings
from todacomm.recipe import DISTANCES, FEWEST_POINTS, SCALES, Recipe
from todacomm.sources import HUB_FORM, sources

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


def _one_of(kind: str, known: Collection[str]) -> Callable[[str], str]:
    def checked(name: str) -> str:
        if name not in known:
            raise UnknownName(kind, name, known)
        return name

    return checked


def _poolings(names: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(map(_one_of("pooling", poolings), _each_once(names)))


def _listed_layers(value: object) -> object:
    listed = _listed(value)
    return ALL if listed == (ALL,) else listed


def _layers(names: str | tuple[str, ...]) -> str | tuple[str, ...]:
    if isinstance(names, str) or ALL in names:
        return ALL
    for name in _each_once(names):
        if not re.fullmatch(r"embedding|final|layer_(0|[1-9]\d*)", name):
            raise UnknownName("layer", name, (ALL, "embedding", "layer_0", "layer_1", "…", "final"))
    return names


def _file_name(name: str | None) -> str | None:
    if name is not None and (name in ("", ".", "..") or "/" in name or "\\" in name):
        raise ValueError(f"expected a name without slashes, found '{name}'; the directory is output_dir")
    return name


def _size(text: str | None) -> str | None:
    if text is not None:
        size_of(text)
    return text


def _device_map(name: str | None) -> str | None:
    return None if name is None else _one_of("device map", DEVICE_MAPS)(name)


Count = Annotated[int, Field(ge=1)]
Names = Annotated[tuple[str, ...], BeforeValidator(_listed), AfterValidator(_each_once)]
Layers = Annotated[Literal["all"] | tuple[str, ...], BeforeValidator(_listed_layers), AfterValidator(_layers)]
Poolings = Annotated[
    tuple[str, ...] | None, BeforeValidator(_listed), BeforeValidator(_nothing), AfterValidator(_poolings)
]
MaybeCount = Annotated[Count | None, BeforeValidator(_nothing)]
MaybePoints = Annotated[Annotated[int, Field(ge=FEWEST_POINTS)] | None, BeforeValidator(_nothing)]
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
    output: Annotated[MaybeText, AfterValidator(_file_name)] = Field(
        default=None, description="name of the experiment; none names it after the model"
    )
    output_dir: Annotated[str, Field(min_length=1)] = Field(
        default="experiments", description="where experiments are kept"
    )

    def __init__(self, **values: Any) -> None:
        unknown = {key: str(UnknownName("study key", key, KEYS)) for key in values if key not in KEYS}
        if unknown:
            raise _Refused(unknown)
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _Refused(_problems(error)) from None

    def but(self, **changes: Any) -> Self:
        """The same study with these keys changed, checked anew."""
        return type(self)(**{**dict(self), **changes})

    def recipe(self, pooling: str) -> Recipe:
        """The recipe of the clouds made by one pooling."""
        shared = {key: getattr(self, key) for key in KEYS if key in Recipe.__dataclass_fields__}
        return Recipe(**{**shared, "pooling": pooling})


KEYS = tuple(Study.model_fields)


class _Refused(InvalidStudy):
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


# YAML


def load_study(path: str | Path) -> Study:
    """The study of a YAML file; raises InvalidStudy that names the key and the line."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        shipped = ", ".join(shipped_studies())
        raise InvalidStudy(
            f"there is no study file '{path}'. Studies that ship: {shipped}. Write one with: todacomm init study.yaml"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidStudy(f"the study file '{path}' cannot be read: {error}") from error
    return _parsed(text, str(path))


def _parsed(text: str, where: str) -> Study:
    try:
        lines, values = _keys_and_values(text, where)
    except yaml.YAMLError as error:
        raise InvalidStudy(f"{where}{_mark(error)}: not YAML ({_reason(error)})") from None
    try:
        return Study(**values)
    except _Refused as refused:
        problems = refused.problems
    except UnknownName as unknown:
        key = unknown.kind if unknown.kind in KEYS else f"{unknown.kind}s"
        problems = {key: f"{key}: {unknown}"}
    raise InvalidStudy("\n".join(f"{where}, line {lines[key]}: {problem}" for key, problem in problems.items()))


def _mark(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    return "" if mark is None else f", line {mark.line + 1}"


def _reason(error: yaml.YAMLError) -> str:
    return " ".join(str(getattr(error, "problem", None) or error).split())


def _keys_and_values(text: str, where: str) -> tuple[dict[str, int], dict[str, Any]]:
    """The line and the value of every key."""
    loader = yaml.SafeLoader(text)
    root = loader.get_single_node()
    if not isinstance(root, yaml.MappingNode):
        found = "nothing" if root is None else "a list" if isinstance(root, yaml.SequenceNode) else f"'{root.value}'"
        raise InvalidStudy(f"{where}: expected keys and values such as 'samples: 500', found {found}")
    lines: dict[str, int] = {}
    values: dict[str, Any] = {}
    for key, value in root.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise InvalidStudy(f"{where}, line {line}: a key is a name; found a list or a mapping")
        if key.value in lines:
            raise InvalidStudy(f"{where}, line {line}: '{key.value}' stands twice, first in line {lines[key.value]}")
        lines[key.value] = line
        values[key.value] = _constructed(loader, value, f"{where}, line {line}: {key.value}")
    return lines, values


def _constructed(loader: yaml.SafeLoader, node: yaml.Node, where: str) -> Any:
    try:
        return loader.construct_object(node, deep=True)
    except ValueError as error:  # a date that is none
        raise InvalidStudy(f"{where}: not a value ({error}); put it in quotes") from None


def dump_study(study: Study, *, version: str) -> str:
    """The study as YAML with every key, runnable again; ``version`` is that of todacomm."""
    head = (
        f"# Written by todacomm {version}: everything that was asked for.\n# Run it again: todacomm run --config FILE\n"
    )
    return head + "".join(_entry(key, value) for key, value in study)


def template() -> str:
    """A study file with every key, its default and what it means."""
    head = (
        "# A study for `todacomm run --config FILE`. Every key stands here with its default: keep those you change.\n"
    )
    keys = ((field.description, _entry(key, field.default)) for key, field in Study.model_fields.items())
    return head + "".join(f"\n# {description}\n{entry}" for description, entry in keys)


def _entry(key: str, value: object) -> str:
    plain = NONE if value is None else list(value) if isinstance(value, tuple) else value
    # PyYAML folds the line ends of Unicode (U+0085) into blanks unless it escapes them
    readable = all(str(part).isprintable() for part in (plain if isinstance(plain, list) else [plain]))
    return yaml.safe_dump({key: plain}, allow_unicode=readable, width=1000)


# Study files that ship


def shipped_studies() -> Mapping[str, str]:
    """Name to description, the first comment line, of every study file that ships."""
    found = (entry for entry in files("todacomm").joinpath("studies").iterdir() if entry.name.endswith(".yaml"))
    texts = {entry.name.removesuffix(".yaml"): entry.read_text(encoding="utf-8") for entry in found}
    return {name: texts[name].split("\n", 1)[0].lstrip("# ") for name in sorted(texts)}


def load_shipped(name: str) -> Study:
    """The study that ships under this name."""
    known = shipped_studies()
    if name not in known:
        raise UnknownName("study", name, known, hint="Or give the path of a study file.")
    text = files("todacomm").joinpath("studies", f"{name}.yaml").read_text(encoding="utf-8")
    return _parsed(text, f"{name}.yaml")


def open_study(source: str | Path) -> Study:
    """What ``--config`` takes: the name of a study that ships, or the path of a study file."""
    return load_shipped(source) if isinstance(source, str) and source in shipped_studies() else load_study(source)
