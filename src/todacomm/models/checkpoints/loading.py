"""Load a model of the hub, of a directory or of the package, or adopt one that the caller holds.

No code of a checkpoint runs unless allowed: weights come from safetensors or GGUF; pickle and remote code are refused.
Whether a model is causal or masked is read from its configuration, never from a class name (an ESM decoder is an
EsmForMaskedLM), and then asked of the model itself: see `todacomm.models.architecture.probing`.
"""

import copy
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from joblib import cpu_count

from todacomm.core.errors import InvalidInput, MissingExtra, ModelUnavailable
from todacomm.models.checkpoints import base_and_adapter, checkpoint_files
from todacomm.models.names import DTYPES, ModelSource, resolve

try:
    import torch
    import transformers
    from torch import nn
    from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING
except ModuleNotFoundError:
    raise MissingExtra("torch and transformers", "models", "Loading a model") from None

from todacomm.models.architecture.blocks_and_norms import Anatomy, anatomy, number_of_blocks
from todacomm.models.architecture.causal_or_masked import Kind, decided, head_class, kind_of
from todacomm.models.architecture.forward_inputs import base_of
from todacomm.models.architecture.probing import Probe, probe
from todacomm.models.checkpoints.adapters import merged, require_peft
from todacomm.models.checkpoints.completeness import check_complete
from todacomm.models.checkpoints.placement import device_of, forget_with, spread
from todacomm.models.checkpoints.user_networks import state_sha256, unwrapped

NO_HEAD = "the checkpoint has no language-modelling head"
NO_ADAPTER = {
    "subfolder": "no adapter"
}  # transformers is not to look for one: it is merged here, or refused without PEFT


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A network ready to be measured, with its tokenizer and origin."""

    name: str
    network: nn.Module
    tokenizer: Any
    kind: Kind
    headless: str  # why there are no language metrics; empty where the network has a head
    anatomy: Anatomy
    device: str
    dtype: str
    revision: str
    weights_sha256: str  # of the weight files, or of the state dict of an adopted network
    probe: Probe  # decides the kind
    adapter: str = ""  # what was merged into the weights
    tokenizer_from: str = ""  # where the tokenizer is, if not in the checkpoint

    @property
    def blocks(self) -> int:
        return len(self.anatomy.blocks)

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.network.parameters())

    @property
    def base(self) -> nn.Module:
        """The network without its head."""
        return self.anatomy.base

    @property
    def predicts_next(self) -> bool:
        """Whether one pass gives next-token scores at every position."""
        return self.kind == "causal" and not self.headless

    def as_dict(self) -> dict[str, Any]:
        """What a record says about the model, ready for JSON."""
        held = ("network", "tokenizer", "anatomy", "probe")
        return {
            **{f.name: getattr(self, f.name) for f in fields(self) if f.name not in held},
            "blocks": self.blocks,
            "parameters": self.parameters,
            "architecture": type(self.network).__name__,
            "width": self.anatomy.width,
            "probe": self.outcome,
        }

    @property
    def outcome(self) -> dict[str, Any]:
        """What probing found when the model was loaded."""
        return {"blocks_by": self.anatomy.by, **self.probe.as_dict()}


def load_model(  # noqa: PLR0913 - every option of loading, each a keyword with a default
    source: ModelSource,
    *,
    device: str = "auto",
    dtype: str = "float32",
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    gguf_file: str | None = None,
    num_layers: int | None = None,
    weights_sha256: str = "",
    device_map: str | None = None,
    max_memory: Mapping[str | int, str] | None = None,
    tokenizer: Any = None,
) -> LoadedModel:
    """Load a model and its tokenizer in evaluation mode; a PEFT adapter is merged into its base.

    ``tokenizer`` replaces the model's own; ``weights_sha256`` is given where it is known. ``device_map="auto"`` spreads
    a model over devices, within ``max_memory`` of each (`todacomm.models.checkpoints.placement`).

    Raises `ModelUnavailable` (hub unreachable, gated, missing, incomplete), `UnsafeModel` (pickle, remote code),
    `InvalidInput` (device, dtype, encoder-decoder, other ``num_layers``) and `MissingExtra` (GGUF without its reader).
    """
    placed, precision = device_of(device), _dtype(dtype)
    torch.set_num_threads(min(torch.get_num_threads(), cpu_count()))  # torch does not know the limits of a container
    with checkpoint_files.quietly(), checkpoint_files.explained(source):
        found = base_and_adapter.parts_of(source, fetch=True)
        directory = _adapter_directory(found, allow_pickle=allow_pickle, device_map=device_map)
        gguf_file = gguf_file or checkpoint_files.only_gguf(found.base)
    if gguf_file:
        _require_gguf(gguf_file)
    spreading = spread(device=device, gguf_file=gguf_file, max_memory=max_memory) if device_map == "auto" else {}
    with checkpoint_files.quietly(hide_stderr=bool(gguf_file)), checkpoint_files.explained(found.base):
        options = _options(found.base, trust_remote_code=trust_remote_code, gguf_file=gguf_file)
        config = _config(found.base, options)
        kind = kind_of(config, source.name)
        checkpoint_files.check_weights(found.base, gguf_file, allow_pickle=allow_pickle)
        words = _tokenizer(found, config, options) if tokenizer is None else tokenizer
        placing = {**options, "dtype": precision, **spreading}
        network, headless = _network(found.base, config, kind, placing, allow_pickle=allow_pickle)
    forget_with(network, spreading)
    _check_depth(network, source.name, num_layers)
    network = network.eval() if spreading else network.to(placed).eval()
    if found.adapter and directory:
        with checkpoint_files.quietly(), checkpoint_files.explained(source):
            network = merged(network, found.adapter, directory)
    digest = weights_sha256 or base_and_adapter.weights_sha256(found, gguf_file) or state_sha256(network)
    body = anatomy(network)
    probed = probe(body, words)
    kind, headless = decided(kind, headless, probed, config)
    return LoadedModel(
        source.name,
        network,
        words,
        kind,
        headless,
        body,
        placed,
        dtype,
        checkpoint_files.commit(source),
        digest,
        probed,
        base_and_adapter.describe_adapter(found),
        source.tokenizer or "",
    )


def _adapter_directory(found: base_and_adapter.Parts, *, allow_pickle: bool, device_map: str | None) -> Path | None:
    """The directory of a model's adapter, once it is known to be mergeable; None without an adapter."""
    if found.adapter is None:
        return None
    require_peft(found.adapter)
    if device_map == "auto":
        raise InvalidInput(
            f"--device-map auto: the adapter of {found.adapter.name} is merged into weights that lie in one place; "
            "merge it yourself (merge_and_unload of PEFT), save the model, and give that"
        )
    return base_and_adapter.check_adapter(found.adapter, allow_pickle=allow_pickle)


def _options(
    source: ModelSource, *, trust_remote_code: bool, gguf_file: str | None, local: bool = False
) -> dict[str, Any]:
    """The options by which transformers finds a model."""
    asked = {"revision": source.revision, "trust_remote_code": trust_remote_code, "gguf_file": gguf_file}
    asked["local_files_only"] = True if local and source.directory is None else None
    return {key: value for key, value in asked.items() if value is not None}


def _require_gguf(gguf_file: str) -> None:
    for package in ("gguf", "accelerate"):  # transformers reads GGUF through both
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(package, "gguf", f"Reading {gguf_file}")


def adopt(network: nn.Module, tokenizer: Any, *, name: str | None = None) -> LoadedModel:
    """Take a network that the caller holds, and a tokenizer or its location; change neither.

    Raises `InvalidInput` for a network without a transformers configuration, or without a tokenizer.
    """
    network, tokenizer = unwrapped(network, tokenizer)
    number_of_blocks(network)  # says what to do where there is no configuration
    if tokenizer is None:
        raise InvalidInput(f"{type(network).__name__}: a model that you hold needs its tokenizer: tokenizer=...")
    if isinstance(tokenizer, (str, Path)):
        tokenizer = tokenizer_at(str(tokenizer))
    config = network.config
    kind = kind_of(config, type(network).__name__)
    path = Path(getattr(config, "_name_or_path", "") or "").name
    first = next(network.parameters())
    dtype = str(first.dtype).removeprefix("torch.")
    head = getattr(network, "get_output_embeddings", lambda: None)()
    headless = NO_HEAD if head is None or base_of(network) is network else ""
    found = anatomy(network)
    probed = probe(found, tokenizer)
    kind, headless = decided(kind, headless, probed, config)
    return LoadedModel(
        name or path or type(network).__name__,
        network,
        tokenizer,
        kind,
        headless,
        found,
        str(first.device),
        dtype,
        "",
        state_sha256(network),
        probed,
    )


def _dtype(asked: str) -> torch.dtype:
    if asked not in DTYPES:
        raise InvalidInput(f"dtype '{asked}'; expected one of {', '.join(DTYPES)}")
    found: torch.dtype = getattr(torch, asked)
    return found


def _config(source: ModelSource, options: Mapping[str, Any]) -> Any:
    """Read the configuration; refuse a type that only remote code knows before importing anything of it."""
    if "gguf_file" not in options and not options["trust_remote_code"]:
        raw, _ = PreTrainedConfig.get_config_dict(source.location, revision=source.revision)
        if raw.get("model_type") not in CONFIG_MAPPING:
            if raw.get("auto_map"):
                raise checkpoint_files.remote_code(source)
            raise ModelUnavailable(
                f"{source.name}: its configuration names the model type '{raw.get('model_type')}', which transformers "
                f"{transformers.__version__} does not know; is it a transformers model, or does it need a newer "
                "version?"
            )
    return copy.deepcopy(_described(AutoConfig, source, options))


def _described(auto: Any, source: ModelSource, options: Mapping[str, Any]) -> Any:
    """Read a configuration or tokenizer with ``auto``; that of a GGUF file is cached, as it takes seconds."""
    if source.directory is None or "gguf_file" not in options:
        return auto.from_pretrained(source.location, **options)
    stamp = (source.directory / options["gguf_file"]).stat().st_mtime_ns
    return _described_once(auto, source.location, stamp, tuple(sorted(options.items())))


@lru_cache(maxsize=4)
def _described_once(auto: Any, location: str, _stamp: int, options: tuple[tuple[str, Any], ...]) -> Any:
    return auto.from_pretrained(location, **dict(options))


def local_description(source: ModelSource, *, trust_remote_code: bool, gguf_file: str | None) -> tuple[Any, Kind, Any]:
    """The configuration, kind and tokenizer of a model on this machine, without its weights.

    Nothing is fetched. Raises what transformers raises: to be called within `checkpoints.explained`.
    """
    found = base_and_adapter.parts_of(source)
    if found.adapter:
        require_peft(found.adapter)
    options = _options(found.base, trust_remote_code=trust_remote_code, gguf_file=gguf_file, local=True)
    config = _config(found.base, options)
    return config, kind_of(config, source.name), _tokenizer(found, config, options)


def tokenizer_at(name: str) -> Any:
    """The tokenizer of a preset, a directory or a hub id."""
    source = resolve(name)
    with checkpoint_files.quietly(), checkpoint_files.explained(source):
        options = _options(source, trust_remote_code=False, gguf_file=None)
        return _tokenizer(base_and_adapter.Parts(source, None, source), None, options)


def _tokenizer(found: base_and_adapter.Parts, config: Any, options: Mapping[str, Any]) -> Any:
    """Load the tokenizer of a model whose base is read with these options."""
    source, own = found.tokenizer, dict(options)
    if source is not found.base:
        own = _options(
            source, trust_remote_code=options["trust_remote_code"], gguf_file=None, local="local_files_only" in own
        )
        own |= {} if checkpoint_files.file_of(source, "config.json") else {"config": config}
    with checkpoint_files.ReadingTokenizer(source):
        tokenizer = _described(AutoTokenizer, source, own)
    # transformers 5 makes an empty tokenizer where the files are missing: every word would be unknown
    if len(tokenizer) <= len(set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)):
        raise checkpoint_files.no_tokenizer(source, "expected tokenizer.json (or vocab.txt, tokenizer.model)")
    return tokenizer


def _network(
    source: ModelSource, config: Any, kind: Kind, options: Mapping[str, Any], *, allow_pickle: bool
) -> tuple[Any, str]:
    """Load the network; return also why it has no head (empty where it has one)."""
    headed = head_class(config, kind)
    safely = {} if "gguf_file" in options else {"use_safetensors": None if allow_pickle else True}
    network, report = headed.from_pretrained(
        source.location,
        config=config,
        output_loading_info=True,
        weights_only=True,
        ignore_mismatched_sizes=True,  # they are named below
        adapter_kwargs=NO_ADAPTER,
        **safely,
        **options,
    )
    if check_complete(source, network, report):
        return network, ""
    return base_of(network), NO_HEAD


def _check_depth(network: nn.Module, name: str, asked: int | None) -> None:
    there = number_of_blocks(network)
    if asked is not None and asked != there:
        raise InvalidInput(
            f"--num-layers {asked}, but {name} has {there} layers; leave it out, the model is asked itself"
        )
