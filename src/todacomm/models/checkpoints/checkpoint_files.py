"""Find the files of a checkpoint, check that they are safe to read, digest them, and explain failures.

A checkpoint is a directory, or a hub id that lies in the hub's cache once it was loaded. Nothing here imports torch.
"""

import contextlib
import hashlib
import io
import json
import logging
import os
import pickle
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from todacomm.core.errors import InvalidInput, ModelFailed, ModelUnavailable, TodacommError, UnsafeModel
from todacomm.models.names import SHIPPED, ModelSource

SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
OFFLINE_WORKS = f"The models that ship with todacomm ({', '.join(SHIPPED)}) need no hub: todacomm run"
OF_A_MODEL = ("config.json", "adapter_config.json", "*.gguf")
OF_LIBRARIES = (
    OSError,
    ValueError,
    RuntimeError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
    AssertionError,
)
LONGEST_SENTENCE = 500
POINTER, LARGEST_POINTER = b"version https://git-lfs", 1024
CHUNK = 1 << 20


def only_gguf(source: ModelSource) -> str | None:
    """The GGUF file of a directory that has one and no other weights.

    Raises `InvalidInput` where there are several to choose from and `ModelUnavailable` for a directory without a model.
    """
    if (directory := source.directory) is None:
        return None
    configured = (directory / "config.json").is_file()
    if configured and any((directory / name).is_file() for name in (*SAFE, *PICKLED)):
        return None
    found = sorted(path.name for path in directory.glob("*.gguf"))
    if len(found) > 1:
        raise InvalidInput(f"{directory} holds {len(found)} GGUF files ({', '.join(found)}); say which: gguf_file=...")
    if not found and not configured:
        raise ModelUnavailable(
            f"{directory} is not a model: config.json is missing. {_models_inside(directory)}Expected the files that "
            "save_pretrained writes (config.json, model.safetensors, tokenizer.json), or one .gguf file"
        )
    return found[0] if found else None


def _models_inside(directory: Path) -> str:
    """List the models inside a directory, such as the checkpoints of a Trainer; empty where there are none."""
    inside = [path for name in OF_A_MODEL for path in directory.glob(f"*/{name}")]
    found = sorted({path.parent for path in inside}, key=lambda p: (len(p.name), p.name))
    if not found:
        return ""
    shown = ", ".join(map(str, found[-3:]))
    return f"It holds {len(found)} model{'s' if len(found) > 1 else ''}: give one of them, as {shown}. "


def check_weights(source: ModelSource, gguf_file: str | None, *, allow_pickle: bool, fetch: bool = True) -> None:
    """Refuse pickled weights unless allowed, and say what is missing where there are none.

    Without ``fetch`` the hub is not asked, and a hub model whose weights are not here passes. Raises `UnsafeModel` and
    `ModelUnavailable`. Reads names of files only.
    """
    if gguf_file:
        return
    found = first_file(source, fetch=fetch)
    if found is None and not (fetch or source.directory):
        return
    if found is None:
        _require_reachable(source)
        inside = _models_inside(source.directory) if source.directory else ""
        raise ModelUnavailable(
            f"{source.name}: no weights at {source.location}; expected model.safetensors. {inside}".strip(" .")
        )
    named = shards_of(found) if found.suffix == ".json" else [found]
    _refuse_pointers(source, named)
    pickled = next((path.relative_to(found.parent) for path in named if path.suffix != ".safetensors"), None)
    if pickled is None:
        return
    if found.name.endswith(SAFE[1].removeprefix("model")):
        raise UnsafeModel(
            f"{source.name}: {found} names {pickled} among its files, which is no safetensors file and would be read "
            "as a pickle, which can run code; expected only *.safetensors there"
        )
    if not allow_pickle:
        raise UnsafeModel(
            f"{source.name}: its weights are only there as a pickle ({pickled} at {source.location}), which can run "
            "code when it is read. If you trust where it came from, use --allow-pickle (it is then read with "
            "weights_only=True), or a --revision that has model.safetensors"
        )


def _refuse_pointers(source: ModelSource, files: Iterable[Path]) -> None:
    """Refuse the pointer file that Git LFS keeps in place of a large file."""
    for path in files:
        if path.is_file() and path.stat().st_size < LARGEST_POINTER and path.read_bytes().startswith(POINTER):
            raise ModelUnavailable(
                f"{source.name}: {path} is not the file but what Git LFS keeps in its place; fetch it with: git lfs "
                "pull"
            )


def commit(source: ModelSource) -> str:
    """The commit of a loaded model of the hub; for a directory, the revision that the caller named."""
    snapshot = None if source.directory else _snapshot(source)
    return snapshot.name if snapshot else source.revision or ""


def sha256_of(paths: Iterable[Path]) -> str:
    """The SHA-256 over the bytes of files in order."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def directory_of(source: ModelSource) -> Path | None:
    """The local directory of a model; None for a model of the hub that was never loaded here."""
    return source.directory or _snapshot(source)


def weight_files(directory: Path, gguf_file: str | None = None) -> list[Path]:
    """The weight files, by the precedence of transformers.

    A file that config.json names, safetensors, its shards, pickle, its shards.
    """
    if gguf_file:
        return [directory / gguf_file]
    first = first_file(ModelSource(directory.name, str(directory)))
    if first is None or first.suffix != ".json":
        return [] if first is None else [first]
    return shards_of(first)


def first_file(source: ModelSource, *, fetch: bool = False) -> Path | None:
    """The weight file, or index of shards, that transformers reads; None where there is none."""
    config = file_of(source, "config.json", fetch=fetch)
    named = object_of(config, source.name).get("transformers_weights") if config else None
    names = [*SAFE, *PICKLED] if named is None else [_beside(str(named), config or Path())]
    return next((path for name in names if (path := file_of(source, name, fetch=fetch))), None)


def shards_of(index: Path) -> list[Path]:
    """The files that an index of shards names, sorted. Raises `ModelUnavailable`, `UnsafeModel`.

    They lie beside the index: what would lead out of that directory is refused.
    """
    shards = object_of(index, index.parent.name).get("weight_map")
    if not isinstance(shards, dict) or not shards or not all(isinstance(name, str) for name in shards.values()):
        raise ModelUnavailable(f"{index} has no weight_map from tensors to files; the checkpoint is damaged")
    return [index.parent / _beside(name, index) for name in sorted(set(shards.values()))]


def _beside(name: str, namer: Path) -> str:
    """Check a file name that a file of a model gives. Raises `UnsafeModel` where it leads out of the directory."""
    if Path(name).is_absolute() or ".." in Path(name).parts or "\\" in name or not name.isprintable():
        raise UnsafeModel(f"{namer} names {name!r}, which lies outside its directory; only files beside it are read")
    return name


def object_of(path: Path, name: str) -> dict[str, Any]:
    """Read the JSON object in a file of a model. Raises `ModelUnavailable` for a damaged one."""
    try:
        found = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as problem:
        raise ModelUnavailable(f"{name}: {path} cannot be loaded: it is no JSON ({problem})") from problem
    if not isinstance(found, dict):
        raise ModelUnavailable(
            f"{name}: {path} cannot be loaded: expected a JSON object, found a {type(found).__name__}"
        )
    return found


@contextlib.contextmanager
def quietly(*, hide_stderr: bool = False) -> Iterator[None]:
    """Silence progress bars, warnings and log lines of transformers and the hub; restore their settings.

    ``hide_stderr`` also hides what is written to stderr: transformers' GGUF reader draws a bar that has no switch. The
    conversion service of the hub, which sends model names to a third place, is never called.
    """
    from transformers.utils import logging as loud

    bars, level = loud.is_progress_bar_enabled(), loud.get_verbosity()
    hub = logging.getLogger("huggingface_hub")
    hub_level = hub.level
    stderr = contextlib.redirect_stderr(io.StringIO()) if hide_stderr else contextlib.nullcontext()
    loud.disable_progress_bar()  # type: ignore[no-untyped-call]
    loud.set_verbosity(logging.CRITICAL)
    hub.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), stderr, _environment("DISABLE_SAFETENSORS_CONVERSION", "1"):
            warnings.simplefilter("ignore")
            yield
    finally:
        hub.setLevel(hub_level)
        loud.set_verbosity(level)
        if bars:
            loud.enable_progress_bar()  # type: ignore[no-untyped-call]


@contextlib.contextmanager
def explained(source: ModelSource) -> Iterator[None]:
    """Turn what transformers and the hub raise into `ModelUnavailable` or `UnsafeModel`, in one sentence that helps."""
    from huggingface_hub.errors import HFValidationError, StrictDataclassError
    from safetensors import SafetensorError

    foreign = (*OF_LIBRARIES, SafetensorError, StrictDataclassError, HFValidationError)
    try:
        yield
    except TodacommError:
        raise
    except pickle.UnpicklingError as error:
        raise UnsafeModel(
            f"{source.name}: the pickle at {source.location} holds more than weights, or is damaged, and was not loaded"
        ) from error
    except ImportError as error:
        raise ModelUnavailable(f"{source.name} needs a package that is not installed: {_sentence(error)}") from error
    except foreign as error:
        raise _explanation(source, error) from error


def _explanation(source: ModelSource, error: Exception) -> TodacommError:
    from huggingface_hub import errors as hub

    causes = tuple(_chain(error))
    where = source.location if source.location == source.name else f"{source.name} ({source.location})"

    def caused_by(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if "trust_remote_code" in str(error):
        return remote_code(source)
    if caused_by(hub.GatedRepoError):
        return ModelUnavailable(
            f"{where} is gated: accept its terms at https://huggingface.co/{source.location}, then log in with "
            f"`hf auth login` or set HF_TOKEN. {OFFLINE_WORKS}"
        )
    if caused_by(hub.RevisionNotFoundError):
        return ModelUnavailable(f"{where} has no revision '{source.revision}' on the hub")
    if caused_by(hub.RepositoryNotFoundError, hub.HFValidationError):
        return ModelUnavailable(
            f"{where} is not on the hub, or is private: check the spelling, or log in with `hf auth login`. "
            "`todacomm list-models` shows the names that are known"
        )
    if caused_by(hub.LocalEntryNotFoundError, hub.OfflineModeIsEnabled, ConnectionError, TimeoutError):
        return ModelUnavailable(
            f"{where} is not in the cache and the hub cannot be reached (no network, or HF_HUB_OFFLINE is set). "
            f"{OFFLINE_WORKS}"
        )
    return ModelUnavailable(f"{where} cannot be loaded: {_sentence(error)}")


def _sentence(error: BaseException) -> str:
    """The first sentence of a message, over several lines if need be; the error's type where that says more."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    whole = next((i for i, line in enumerate(lines) if not line.endswith((":", ","))), len(lines) - 1)
    said = " ".join(lines[: whole + 1])[:LONGEST_SENTENCE]
    plain = isinstance(error, (OSError, ValueError, RuntimeError)) and said
    return said if plain else f"{type(error).__name__}{': ' if said else ''}{said}"


@dataclass(frozen=True, slots=True)
class ReadingTokenizer:
    """Turn errors of reading a tokenizer into `ModelUnavailable`, which says how to give another one.

    The tokenizers library, written in Rust, raises bare Exception, and panics with something that is none.
    """

    source: ModelSource

    def __enter__(self) -> None:
        """Do nothing on entry."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        foreign = isinstance(error, (*OF_LIBRARIES, ImportError)) or of_tokenizers(error)
        unreached = isinstance(error, OSError) and self.source.directory is None
        if (
            error
            and foreign
            and not (unreached or isinstance(error, TodacommError) or "trust_remote_code" in str(error))
        ):
            raise no_tokenizer(self.source, _sentence(error)) from error


@dataclass(frozen=True, slots=True)
class Tokenising:
    """Turn errors of the tokenizers library on texts into `ModelFailed`."""

    tokenizer: str

    def __enter__(self) -> None:
        """Do nothing on entry."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if error and of_tokenizers(error):
            raise ModelFailed(
                f"the tokenizer at {self.tokenizer} stopped on these texts ({_sentence(error)}); try shorter texts, or "
                "another tokenizer: --tokenizer DIR"
            ) from error


def of_tokenizers(error: BaseException | None) -> bool:
    """Whether an error comes from the tokenizers library, whose errors have no type of their own."""
    return type(error) is Exception or type(error).__name__ == "PanicException"


def no_tokenizer(source: ModelSource, because: str) -> ModelUnavailable:
    """The error for a model without a readable tokenizer."""
    return ModelUnavailable(
        f"{source.name}: no tokenizer can be read at {source.location} ({because}); give the one that the model was "
        "trained with: --tokenizer DIR, or a hub id"
    )


def remote_code(source: ModelSource) -> UnsafeModel:
    """The error for a model whose code comes with its weights."""
    return UnsafeModel(
        f"{source.name}: loading it would run Python code that comes with the checkpoint at {source.location} "
        "(auto_map in its configuration). Read that code, then use --trust-remote-code"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def file_of(source: ModelSource, name: str, *, fetch: bool = False) -> Path | None:
    """The local path of a file of a model, downloaded if ``fetch``; None where there is none.

    Raises the hub's error where it is unreachable and nothing of the model is here: one time-out is enough.
    """
    if (directory := source.directory) is not None:
        return path if (path := directory / name).is_file() else None
    if not fetch:
        return _cached(source, name)
    from transformers.utils.hub import cached_file

    found = cached_file(
        source.location,
        name,
        revision=source.revision or "main",
        _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=_snapshot(source) is None,
    )
    return Path(found) if found else None


def _cached(source: ModelSource, name: str) -> Path | None:
    """A file of a hub model that was fetched before."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.location, name, revision=source.revision or "main")
    return Path(found) if isinstance(found, str) else None


def _require_reachable(source: ModelSource) -> None:
    """Raise the hub's error for a file that is not cached, so that no network is not mistaken for no weights."""
    if source.directory is None:
        from transformers.utils.hub import cached_file

        cached_file(source.location, SAFE[0], revision=source.revision or "main")


def _snapshot(source: ModelSource) -> Path | None:
    found = _cached(source, "config.json") or _cached(source, "adapter_config.json")
    return found.parent if found else None


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.__setitem__(name, before)
