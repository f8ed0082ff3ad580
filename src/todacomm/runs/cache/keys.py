"""Cache keys: digests of weights, texts, clouds, settings, and of the code that computes a result.

Results with equal keys are equal byte for byte. A key holds all that could change a number: the source of the modules
that compute it, of the engine and of the metrics, and the versions of the libraries underneath.
"""

import hashlib
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from todacomm.core.inference_types import InferenceSettings
from todacomm.core.recipe import Recipe
from todacomm.core.types import Texts
from todacomm.core.versions import installed
from todacomm.homology.engines import engines
from todacomm.homology.metrics import metrics
from todacomm.models.checkpoints import checkpoint_files
from todacomm.models.checkpoints.base_and_adapter import parts_of, weight_files
from todacomm.models.names import ModelSource
from todacomm.models.pooling import poolings
from todacomm.runs.cache.store import Cache, digest_of
from todacomm.runs.config import Study
from todacomm.runs.fields import READING
from todacomm.statistics.layer_statistics import statistics
from todacomm.statistics.null_models import null_models

OF_A_READING = ("torch", "transformers", "tokenizers", "gguf", "numpy")
OF_A_MEASUREMENT = ("numpy", "scipy", "numba")  # and the libraries of the engine
DESCRIBES = {
    ".json",
    ".txt",
    ".model",
    ".py",
    ".jinja",
    ".tiktoken",
    ".vocab",
    ".bpe",
}  # configuration, tokenizer, code
APART = ("pooling", "subsample", "seed")  # matter only to some models or poolings
IMPORTS = re.compile(r"^ *from todacomm\.([\w.]+) import (\([^)]*\)|.+)", re.MULTILINE)


@cache
def code_digest(module: str) -> str:
    """The SHA-256 of the source of a module of todacomm and all that it imports of todacomm, transitively."""
    return digest_of({name: hashlib.sha256(source).hexdigest() for name, source in _closure(module).items()})


def _closure(module: str) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    ahead = [module]
    while ahead:
        name = ahead.pop()
        source = _source(name)
        if name not in found and source is not None:
            found[name] = source
            pairs = IMPORTS.findall(source.decode())
            ahead += [part for inner, names in pairs for part in (inner, *_inside(inner, names))]
    return found


def _inside(module: str, names: str) -> list[str]:
    """The submodules among imported names if the module is a package, else the names that `_source` does not know."""
    return [f"{module}.{name}" for name in re.findall(r"\w+", names)]


def _source(module: str) -> bytes | None:
    """The source of a module, or of ``__init__.py`` for a package; None for neither."""
    place = Path(str(files("todacomm"))).joinpath(*module.split("."))
    found = [path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()]
    return found[0].read_bytes() if found else None


@cache
def _versions(names: tuple[str, ...]) -> dict[str, str | None]:
    return {name: installed(name) for name in names}


@cache
def _foreign(functions: tuple[Callable[..., Any], ...]) -> dict[str, str]:
    """Module → digest of its file, for functions of third parties."""
    names = sorted({f.__module__ for f in functions if f.__module__.split(".")[0] != "todacomm"})
    places = {name: getattr(sys.modules.get(name), "__file__", None) for name in names}
    return {name: hashlib.sha256(Path(p).read_bytes()).hexdigest() if p else "" for name, p in places.items()}


# Models


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Digests of a model's files: of its weights, and of all else that decides what it computes."""

    weights_sha256: str
    content: str


def checkpoint_of(source: ModelSource, cache: Cache, *, remote_code: bool = False) -> Checkpoint | None:
    """Digest a model without loading it; None where its files are not all on this machine.

    With ``remote_code`` also None where code comes from another repository, which may change unseen.
    """
    found = parts_of(source)
    directories = list(dict.fromkeys((found.directories or {}).values()))
    if not directories or (remote_code and any(map(_code_elsewhere, directories))):
        return None
    try:
        weights = _sha256_of(weight_files(found, checkpoint_files.only_gguf(found.base)), cache)
        told = [_told(directory, cache, remote_code=remote_code) for directory in directories]
    except OSError:
        return None
    peft = installed("peft") if found.adapter else None
    return Checkpoint(weights, digest_of({"weights": weights, "files": told, "peft": peft})) if weights else None


def _told(directory: Path, cache: Cache, *, remote_code: bool) -> dict[str, str]:
    """The digests of the files that describe a model; with ``remote_code`` of all files, as code may read any."""
    told = {path.name: _file_digest(path) for path in sorted(directory.iterdir()) if path.suffix in DESCRIBES}
    others = sorted(path for path in directory.rglob("*") if path.is_file()) if remote_code else []
    return {**told, "all": _sha256_of(others, cache)} if others else told


def _code_elsewhere(directory: Path) -> bool:
    found = [directory / name for name in ("config.json", "tokenizer_config.json")]
    return any(
        "--" in str(checkpoint_files.object_of(path, directory.name).get("auto_map"))
        for path in found
        if path.is_file()
    )


def _sha256_of(files: Sequence[Path], cache: Cache) -> str:
    """The digest of files, cached while they are untouched."""
    paths = [path.resolve() for path in files]
    stats = [path.stat() for path in paths]
    if not paths:
        return ""
    touched = ([s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for s in stats)
    key = digest_of([[str(path), *stat] for path, stat in zip(paths, touched, strict=True)])
    if (known := cache.facts("digests", key)) is not None:
        return str(known["sha256"])
    found = checkpoint_files.sha256_of(paths)
    cache.keep("digests", key, {"sha256": found, "files": [str(path) for path in paths]}, {})
    return found


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# Keys


def model_key(checkpoint: Checkpoint, study: Study) -> str:
    """The key of a model's kind and size."""
    return digest_of(
        {
            "checkpoint": checkpoint.content,
            "remote_code": study.trust_remote_code,
            "code": code_digest("models.checkpoints.loading"),
            "versions": _versions(OF_A_READING),
        }
    )


def reading_key(checkpoint: Checkpoint, texts: Texts, study: Study, pooling: str, kind: str) -> str:
    """The key of the activations of one model on one set of texts, for any of its layers.

    It holds every field of the study that bears on reading.
    """
    drawn = poolings[pooling].per_token
    return digest_of(
        {
            "checkpoint": checkpoint.content,
            "texts": texts.sha256,
            "settings": {key: value for key, value in study.bearing_on(READING).items() if key not in APART},
            "pooling": pooling,
            "subsample": study.subsample if drawn else None,
            "seed": study.seed if drawn or (study.language and kind == "masked") else None,
            "code": code_digest("models.extraction"),
            "foreign": _foreign((poolings[pooling].function,)),
            "versions": _versions(OF_A_READING),
        }
    )


def _foreign_tests(asked: InferenceSettings) -> dict[str, dict[str, str]]:
    """The digests of third-party null models and statistics; nothing without any."""
    draws = tuple(null.draw for name in asked.nulls if (null := null_models[name]).draw is not None)
    found = _foreign((*draws, *(one.test for one in statistics.values()))) if asked.null_draws else {}
    return {"foreign": found} if found else {}


def claims_key(
    clouds: Mapping[str, str], recipe: Recipe, asked: InferenceSettings, groups: Sequence[str] | None
) -> str:
    """The key of inference on clouds with these digests, by layer."""
    return digest_of(
        {
            "measured": {layer: measurement_key(cloud, recipe) for layer, cloud in clouds.items()},
            "asked": asdict(asked),
            "groups": list(groups) if groups else None,
            "code": code_digest("profiles.intervals_and_nulls"),
            **_foreign_tests(asked),
        }
    )


def measurement_key(cloud: str, recipe: Recipe) -> str:
    """The key of the measurement of a cloud with this digest."""
    engine = engines[recipe.engine]
    return digest_of(
        {
            "cloud": cloud,
            "recipe": asdict(recipe),
            "code": code_digest("profiles.measure"),
            "metrics": list(metrics),
            "foreign": _foreign((engine.compute, *(metric.of for metric in metrics.values()))),
            "versions": _versions((*OF_A_MEASUREMENT, *engine.libraries)),
        }
    )
