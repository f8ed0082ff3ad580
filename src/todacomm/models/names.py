"""Resolve names of models. A preset is only a name for a hub id; the model itself gives layers, kind and pooling."""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from todacomm.core.errors import InvalidInput, ModelUnavailable, UnknownName


@dataclass(frozen=True, slots=True)
class Preset:
    """A named model: ``location`` is a hub id, empty if it ships; ``parameters`` include the head, shared ones once."""

    location: str
    kind: Literal["causal", "masked"]
    parameters: int


PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "gpt2": Preset("openai-community/gpt2", "causal", 124_439_808),
        "gpt2-medium": Preset("openai-community/gpt2-medium", "causal", 354_823_168),
        "gpt2-large": Preset("openai-community/gpt2-large", "causal", 774_030_080),
        "distilgpt2": Preset("distilbert/distilgpt2", "causal", 81_912_576),
        "bert": Preset("google-bert/bert-base-uncased", "masked", 109_514_298),
        "bert-large": Preset("google-bert/bert-large-uncased", "masked", 335_174_458),
        "distilbert": Preset("distilbert/distilbert-base-uncased", "masked", 66_985_530),
        "roberta": Preset("FacebookAI/roberta-base", "masked", 124_697_433),
        "distilroberta": Preset("distilbert/distilroberta-base", "masked", 82_170_201),
        "modernbert": Preset("answerdotai/ModernBERT-base", "masked", 149_655_232),
        "pythia-14m": Preset("EleutherAI/pythia-14m", "causal", 14_067_712),
        "pythia-70m": Preset("EleutherAI/pythia-70m", "causal", 70_426_624),
        "pythia-160m": Preset("EleutherAI/pythia-160m", "causal", 162_322_944),
        "pythia-410m": Preset("EleutherAI/pythia-410m", "causal", 405_334_016),
        "smollm-135m": Preset("HuggingFaceTB/SmolLM-135M", "causal", 134_515_008),
        "smollm-360m": Preset("HuggingFaceTB/SmolLM-360M", "causal", 361_821_120),
        "smollm2-135m": Preset("HuggingFaceTB/SmolLM2-135M", "causal", 134_515_008),
        "smollm2-360m": Preset("HuggingFaceTB/SmolLM2-360M", "causal", 361_821_120),
        "qwen2-0.5b": Preset("Qwen/Qwen2-0.5B", "causal", 494_032_768),
        "qwen2.5-0.5b": Preset("Qwen/Qwen2.5-0.5B", "causal", 494_032_768),
        "qwen2.5-coder-0.5b": Preset("Qwen/Qwen2.5-Coder-0.5B", "causal", 494_032_768),
        "qwen3-0.6b": Preset("Qwen/Qwen3-0.6B", "causal", 596_049_920),
        "opt-125m": Preset("facebook/opt-125m", "causal", 125_239_296),
        "opt-350m": Preset("facebook/opt-350m", "causal", 331_196_416),
        "gpt-neo-125m": Preset("EleutherAI/gpt-neo-125m", "causal", 125_198_592),
        "gemma2-2b": Preset("google/gemma-2-2b", "causal", 2_614_341_888),
    }
)
ZOO: Mapping[str, Preset] = MappingProxyType(
    {
        "tiny-postln-encoder": Preset("", "masked", 1_751_552),
        "tiny-postln-decoder": Preset("", "causal", 1_751_552),
        "tiny-preln-encoder": Preset("", "masked", 1_735_065),
        "tiny-preln-decoder": Preset("", "causal", 1_735_065),
    }
)
SHIPPED = tuple(ZOO)
DEVICES = ("auto", "cpu", "cuda", "mps")
DTYPES = ("float32", "float16", "bfloat16")
DEVICE_MAPS = ("none", "auto")
SITES = ("block", "attention", "mlp")  # the residual stream, or what a sublayer adds to it
FREELY = "Any hub id (owner/name) or local directory goes by --hf-model."


ALIAS = re.compile(r"\w[\w.+@-]*")
HUB_NAME = re.compile(r"\w(?:[\w.-]*\w)?", re.ASCII)
LONGEST_ID = 96  # characters of a hub id


@dataclass(frozen=True, slots=True)
class ModelSource:
    """Where a model is: ``location`` is a hub id or a directory, ``name`` its name in addresses.

    ``tokenizer`` is the hub id or directory of its tokenizer; None where that lies beside the weights.
    """

    name: str
    location: str
    revision: str | None = None
    tokenizer: str | None = None

    @property
    def directory(self) -> Path | None:
        """The directory of a local model; None for one on the hub."""
        path = Path(self.location).expanduser()
        return path if os.path.isdir(path) else None  # noqa: PTH112 - Path.is_dir raises where it may not look


def resolve(name: str, *, revision: str | None = None, tokenizer: str | None = None) -> ModelSource:
    """Resolve a shipped model, a preset, a directory or a hub id, in this order; a leading ``alias=`` renames it.

    ``tokenizer`` is resolved likewise. Raises `UnknownName` with a suggestion for anything else, and `ModelUnavailable`
    for a file, a directory that may not be entered, or a shipped model that is missing from the installation.
    """
    for given in (name, tokenizer):
        if given is not None and not (given.strip() and given.isprintable()):
            raise InvalidInput(f"{given!r} names no model: it is empty, or has characters that cannot be printed")
    alias, given = _alias_and_rest(name)
    found = _source(given, revision)
    words = None if tokenizer is None else _source(tokenizer, None).location
    return replace(found, name=alias or found.name, tokenizer=words)


def _alias_and_rest(name: str) -> tuple[str, str]:
    """Split ``tuned=runs/b`` into alias and rest; an existing directory of that name has no alias."""
    alias, equals, rest = name.partition("=")
    if equals and rest and ALIAS.fullmatch(alias) and directory_at(name) is None:
        return alias, rest
    return "", name


def _source(name: str, revision: str | None) -> ModelSource:
    if name in SHIPPED:
        return _without_revision(_shipped(name), revision)
    if name in PRESETS:
        return ModelSource(name, PRESETS[name].location, revision)
    if (path := directory_at(name)) is not None:
        return _without_revision(ModelSource(path.resolve().name, str(path)), revision)
    if os.path.isfile(name):  # noqa: PTH113 - Path.is_file raises where it may not look
        raise ModelUnavailable(f"{name} is a file; give the directory that holds the model: {Path(name).parent}")
    if is_hub_id(name):
        return ModelSource(name, name, revision)
    raise UnknownName("model", name, (*SHIPPED, *PRESETS), hint=f"{_neighbours(name)}{FREELY}")


def is_hub_id(name: str) -> bool:
    """Whether a name has the form ``owner/name`` of the hub."""
    parts = name.split("/")
    sound = len(parts) == 2 and len(name) <= LONGEST_ID and "--" not in name and ".." not in name
    return sound and all(HUB_NAME.fullmatch(part) for part in parts)


def directory_at(name: str) -> Path | None:
    """The directory of this name; None where there is none. Raises `ModelUnavailable` where access is denied."""
    try:
        path = Path(name).expanduser()
        return path if path.is_dir() else None
    except RuntimeError:  # ~ of an unknown user
        return None
    except OSError as problem:
        raise ModelUnavailable(
            f"'{name}' cannot be looked at: {problem.strerror}. "
            "Expected a directory that may be entered, with a model in it"
        ) from problem


def _neighbours(name: str) -> str:
    """Name the directories that a mistyped path may mean; empty where there are none."""
    path = Path(name)
    try:
        there = sorted(p.name for p in path.parent.iterdir() if p.is_dir()) if "/" in name else []
    except (OSError, ValueError):
        return ""
    near = difflib.get_close_matches(path.name, there, n=3, cutoff=0.5)
    return f"There is no directory '{name}'; near it: {', '.join(str(path.parent / n) for n in near)}. " if near else ""


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
