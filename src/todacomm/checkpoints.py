"""The files of a checkpoint: which ones hold the weights, whether they are safe to read, their digest, and what went wrong.

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
from pathlib import Path

from todacomm.errors import InvalidInput, ModelUnavailable, TodacommError, UnsafeModel
from todacomm.models import SHIPPED, ModelSource

SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
OFFLINE_WORKS = f"The models that ship with todacomm ({', '.join(SHIPPED)}) need no hub: todacomm run"
CHUNK = 1 << 20


def only_gguf(source: ModelSource) -> str | None:
    """The GGUF file of a directory that holds one and no other weights; None otherwise.

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
            f"{directory} is not a model: config.json is missing. Expected the files that save_pretrained writes "
            "(config.json, model.safetensors, tokenizer.json), or one .gguf file"
        )
    return found[0] if found else None


def check_weights(source: ModelSource, gguf_file: str | None, *, allow_pickle: bool) -> None:
    """Refuse pickled weights that were not asked for, and say what is missing where there are none.

    Raises `UnsafeModel` and `ModelUnavailable`. Reads names of files only.
    """
    if gguf_file or any(_holds(source, name) for name in SAFE):
        return
    pickled = next((name for name in PICKLED if _holds(source, name)), None)
    if pickled is None:
        _require_reachable(source)
        raise ModelUnavailable(f"{source.name}: no weights at {source.location}; expected model.safetensors")
    if not allow_pickle:
        raise UnsafeModel(
            f"{source.name}: its weights are only there as a pickle ({pickled} at {source.location}), which can run code "
            "when it is read. If you trust where it came from, use --allow-pickle (it is then read with "
            "weights_only=True), or a --revision that has model.safetensors"
        )


def commit(source: ModelSource) -> str:
    """The commit of a model of the hub that was loaded; for a directory the revision that the caller named, or nothing."""
    snapshot = None if source.directory else _snapshot(source)
    return snapshot.name if snapshot else source.revision or ""


def weights_sha256(source: ModelSource, gguf_file: str | None) -> str:
    """The SHA-256 over the bytes of the weight files in the order of their names; empty where they cannot be found.

    For a single file this is the digest that the hub shows for it.
    """
    directory = directory_of(source)
    if directory is None:
        return ""
    return sha256_of(weight_files(directory, gguf_file))


def sha256_of(paths: Iterable[Path]) -> str:
    """The SHA-256 over the bytes of files, one after the other."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()


def directory_of(source: ModelSource) -> Path | None:
    """Where the files of a model are on this machine; None for a model of the hub that was never loaded here."""
    return source.directory or _snapshot(source)


def weight_files(directory: Path, gguf_file: str | None = None) -> list[Path]:
    """The files that hold the weights, by the precedence of transformers: safetensors, its shards, pickle, its shards."""
    if gguf_file:
        return [directory / gguf_file]
    first = next((directory / name for name in (*SAFE, *PICKLED) if (directory / name).is_file()), None)
    if first is None or first.suffix != ".json":
        return [] if first is None else [first]
    return sorted(directory / name for name in set(json.loads(first.read_text())["weight_map"].values()))


@contextlib.contextmanager
def quietly(*, hide_stderr: bool = False) -> Iterator[None]:
    """Without the progress bars, warnings and log lines of transformers and the hub; their settings are restored.

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

    foreign = (OSError, ValueError, RuntimeError, SafetensorError, StrictDataclassError, HFValidationError)
    try:
        yield
    except TodacommError:
        raise
    except pickle.UnpicklingError as error:
        raise UnsafeModel(
            f"{source.name}: the pickle at {source.location} holds more than weights, or is damaged, and was not loaded"
        ) from error
    except ImportError as error:
        raise ModelUnavailable(f"{source.name} needs a package that is not installed: {_first_line(error)}") from error
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
    return ModelUnavailable(f"{where} cannot be loaded: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def remote_code(source: ModelSource) -> UnsafeModel:
    """The refusal of a model whose code comes with its weights."""
    return UnsafeModel(
        f"{source.name}: loading it would run Python code that comes with the checkpoint at {source.location} "
        "(auto_map in its configuration). Read that code, then use --trust-remote-code"
    )


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _holds(source: ModelSource, name: str) -> bool:
    if (directory := source.directory) is not None:
        return (directory / name).is_file()
    from transformers.utils.hub import cached_file

    revision = source.revision or "main"
    found = cached_file(source.location, name, revision=revision, _raise_exceptions_for_missing_entries=False)
    return found is not None


def _require_reachable(source: ModelSource) -> None:
    """Raise what the hub raises where a file is not in the cache, so that no network is not taken for no weights."""
    if source.directory is None:
        from transformers.utils.hub import cached_file

        cached_file(source.location, SAFE[0], revision=source.revision or "main")


def _snapshot(source: ModelSource) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.location, "config.json", revision=source.revision or "main")
    return Path(found).parent if isinstance(found, str) else None


@contextlib.contextmanager
def _environment(name: str, value: str) -> Iterator[None]:
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name) if before is None else os.environ.__setitem__(name, before)
