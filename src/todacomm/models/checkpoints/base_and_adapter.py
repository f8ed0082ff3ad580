"""The parts of a model: a base, an optional adapter, and a tokenizer, each with its files.

PEFT writes an adapter as ``adapter_config.json`` and ``adapter_model.safetensors``. Beside a configuration and weights
it belongs to these; alone it belongs to the base that its configuration names. Nothing here imports torch.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from todacomm.core.errors import ModelUnavailable, UnsafeModel
from todacomm.models.checkpoints import checkpoint_files
from todacomm.models.checkpoints.checkpoint_files import PICKLED, SAFE, file_of
from todacomm.models.names import PRESETS, ModelSource, directory_at, is_hub_id

CONFIG = "adapter_config.json"
SAFE_TENSORS, PICKLED_TENSORS = "adapter_model.safetensors", "adapter_model.bin"
OF_A_TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "spiece.model",
    "vocab.json",
    "vocab.txt",
)


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of a model: ``base`` has configuration and weights, ``adapter`` is merged into these, if any."""

    base: ModelSource
    adapter: ModelSource | None
    tokenizer: ModelSource

    @property
    def directories(self) -> dict[str, Path] | None:
        """The directory of each part on this machine; None where one is missing."""
        named = {"base": self.base, "adapter": self.adapter, "tokenizer": self.tokenizer}
        found = {role: checkpoint_files.directory_of(source) for role, source in named.items() if source}
        return None if None in found.values() else {role: path for role, path in found.items() if path}


def parts_of(source: ModelSource, *, fetch: bool = False) -> Parts:
    """Find the parts of a model; ``fetch`` downloads files from the hub.

    Raises `ModelUnavailable` for an adapter without weights, without a configuration, or without a base.
    """
    config = _adapter_config(source, fetch=fetch)
    words = ModelSource(source.tokenizer, source.tokenizer) if source.tokenizer else None
    if config is None:
        return Parts(source, None, words or source)
    whole = all(any(file_of(source, n, fetch=fetch) for n in names) for names in (("config.json",), (*SAFE, *PICKLED)))
    base = source if whole else _base_of(source, config)
    own_words = base is source or any(file_of(source, name, fetch=fetch) for name in OF_A_TOKENIZER)
    return Parts(base, source, words or (source if own_words else base))


def weight_files(parts: Parts, gguf_file: str | None = None) -> list[Path]:
    """Every file of tensors that loading reads, the adapter's last; none where they are not on this machine."""
    directories = parts.directories
    if directories is None:
        return []
    adapter = [adapter_weights(parts.adapter)] if parts.adapter else []
    return [*checkpoint_files.weight_files(directories["base"], gguf_file), *adapter]


def weights_sha256(parts: Parts, gguf_file: str | None) -> str:
    """The SHA-256 over the bytes of the weight files in order; empty where they cannot be found.

    For a single file this is the digest that the hub shows for it.
    """
    files = weight_files(parts, gguf_file)
    return checkpoint_files.sha256_of(files) if files else ""


def adapter_weights(adapter: ModelSource, *, fetch: bool = False) -> Path:
    """The weight file of an adapter. Raises `ModelUnavailable` where there is none."""
    for name in (SAFE_TENSORS, PICKLED_TENSORS):
        if found := file_of(adapter, name, fetch=fetch):
            return found
    raise ModelUnavailable(
        f"{adapter.name}: {CONFIG} at {adapter.location} describes an adapter whose weights are missing; "
        f"expected {SAFE_TENSORS} beside it"
    )


def check_adapter(adapter: ModelSource, *, allow_pickle: bool) -> Path:
    """The directory of an adapter that is safe to read, with its files fetched. Raises `UnsafeModel` for a pickle."""
    weights = adapter_weights(adapter, fetch=True)
    if weights.name == PICKLED_TENSORS and not allow_pickle:
        raise UnsafeModel(
            f"{adapter.name}: its adapter is only there as a pickle ({weights}), which can run code when it is read. "
            "If you trust where it came from, use --allow-pickle (it is then read with weights_only=True)"
        )
    return weights.parent


def kind_of_adapter(adapter: ModelSource) -> str:
    """PEFT's name of the method: LORA, IA3 …; empty where the configuration does not tell."""
    return str((_adapter_config(adapter, fetch=False) or {}).get("peft_type") or "")


def describe_adapter(parts: Parts) -> str:
    """Describe adapter and base for a record; empty without an adapter."""
    if parts.adapter is None:
        return ""
    commit = "" if parts.base.directory else checkpoint_files.commit(parts.base)
    base = (
        "its own weights" if parts.base is parts.adapter else f"{parts.base.location}{f'@{commit}' if commit else ''}"
    )
    return f"{kind_of_adapter(parts.adapter)} adapter {parts.adapter.location} merged into {base}"


def _adapter_config(source: ModelSource, *, fetch: bool) -> dict[str, Any] | None:
    path = file_of(source, CONFIG, fetch=fetch)
    if path is None:
        stray = [n for n in (SAFE_TENSORS, PICKLED_TENSORS) if source.directory and file_of(source, n)]
        if stray:
            raise ModelUnavailable(
                f"{source.name}: {stray[0]} at {source.location} is an adapter without its {CONFIG}, so it cannot be "
                "applied; put that file beside it, or take the adapter away to measure the base alone"
            )
        return None
    found = checkpoint_files.object_of(path, source.name)
    if not found.get("peft_type"):
        raise ModelUnavailable(f"{source.name}: {path} names no peft_type; was it written by PEFT's save_pretrained?")
    return found


def _base_of(source: ModelSource, config: dict[str, Any]) -> ModelSource:
    """The base that an adapter names: a hub id, or a directory relative to here or to the adapter."""
    named, revision = config.get("base_model_name_or_path"), config.get("revision")
    if not isinstance(named, str) or not named:
        raise ModelUnavailable(
            f"{source.name}: the adapter at {source.location} names no base model; "
            f"write its directory or hub id into {CONFIG} as base_model_name_or_path"
        )
    beside = str(source.directory / named) if source.directory else ""
    if found := directory_at(named) or (beside and directory_at(beside)):
        return _no_adapter(ModelSource(found.resolve().name, str(found)), source)
    if is_hub_id(named) or is_hub_id(f"owner/{named}"):  # the hub knows its oldest models without an owner
        name = f"{named}, the base of {source.name},"
        location = PRESETS[named].location if named in PRESETS else named
        return ModelSource(name, location, revision if isinstance(revision, str) else None)
    raise ModelUnavailable(
        f"{source.name}: its base model '{named}' is not there; the adapter at {source.location} has nothing to "
        f"change. Write the directory or hub id where it is now into {CONFIG} as base_model_name_or_path"
    )


def _no_adapter(base: ModelSource, source: ModelSource) -> ModelSource:
    if base.directory and (base.directory / CONFIG).is_file():
        raise ModelUnavailable(
            f"{source.name}: its base model {base.location} has an adapter of its own; merge that into its weights "
            "first (merge_and_unload of PEFT)"
        )
    return base
