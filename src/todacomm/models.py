"""The names of models. A preset is a name for a hub id and nothing else; layers, kind and pooling come from the model."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

from todacomm.errors import InvalidInput, ModelUnavailable, UnknownName

PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "gpt2": "openai-community/gpt2",
        "distilgpt2": "distilbert/distilgpt2",
        "bert": "google-bert/bert-base-uncased",
        "distilbert": "distilbert/distilbert-base-uncased",
        "pythia-70m": "EleutherAI/pythia-70m",
        "pythia-160m": "EleutherAI/pythia-160m",
        "pythia-410m": "EleutherAI/pythia-410m",
        "smollm-135m": "HuggingFaceTB/SmolLM-135M",
        "smollm-360m": "HuggingFaceTB/SmolLM-360M",
        "smollm2-135m": "HuggingFaceTB/SmolLM2-135M",
        "smollm2-360m": "HuggingFaceTB/SmolLM2-360M",
        "qwen2-0.5b": "Qwen/Qwen2-0.5B",
        "qwen2.5-0.5b": "Qwen/Qwen2.5-0.5B",
        "qwen2.5-coder-0.5b": "Qwen/Qwen2.5-Coder-0.5B",
        "opt-125m": "facebook/opt-125m",
        "opt-350m": "facebook/opt-350m",
        "gpt-neo-125m": "EleutherAI/gpt-neo-125m",
        "gemma2-2b": "google/gemma-2-2b",
    }
)
SHIPPED = ("tiny-postln-encoder", "tiny-postln-decoder", "tiny-preln-encoder", "tiny-preln-decoder")
DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "float16", "bfloat16")
DEVICE_MAPS = ("none", "auto")
SITES = ("block", "attention", "mlp")  # the residual stream, or what a sublayer adds to it
FREELY = "Any hub id (owner/name) or local directory goes by --hf-model."


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model is: ``location`` is a hub id or a directory, ``name`` what it is called in addresses."""

    name: str
    location: str
    revision: str | None = None

    @property
    def directory(self) -> Path | None:
        """The directory of a local model; None for one on the hub."""
        path = Path(self.location).expanduser()
        return path if path.is_dir() else None


def resolve(name: str, *, revision: str | None = None) -> ModelSource:
    """A shipped model, a preset, an existing directory or a hub id, in this order.

    Raises `UnknownName` with a suggestion for anything else and `ModelUnavailable` for a file or a shipped model that
    is missing from the installation.
    """
    if name in SHIPPED:
        return _without_revision(_shipped(name), revision)
    if name in PRESETS:
        return ModelSource(name, PRESETS[name], revision)
    path = Path(name).expanduser()
    if path.is_dir():
        return _without_revision(ModelSource(path.resolve().name, str(path)), revision)
    if path.is_file():
        raise ModelUnavailable(f"{name} is a file; give the directory that holds the model: {path.parent}")
    if len(parts := name.split("/")) == 2 and all(parts) and parts[0] not in (".", "..", "~"):
        return ModelSource(name, name, revision)
    raise UnknownName("model", name, (*SHIPPED, *PRESETS), hint=FREELY)


def _without_revision(source: ModelSource, revision: str | None) -> ModelSource:
    if revision is not None:
        raise InvalidInput(
            f"revision {revision} was asked for, but {source.name} is a directory; revisions are of hub models"
        )
    return source


def _shipped(name: str) -> ModelSource:
    directory = Path(str(files("todacomm"))) / "zoo" / name
    if not directory.is_dir():
        raise ModelUnavailable(
            f"{name} ships with todacomm, but {directory} is missing: the installation is incomplete; install it again"
        )
    return ModelSource(name, str(directory))
