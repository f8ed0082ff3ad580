"""Size and cost of models without their weights, and two blocks of them to time.

The network is built from its configuration on PyTorch's meta device, which holds shapes but no numbers; then all blocks
but the first two are dropped and the rest is filled with random numbers, so that it runs like the model itself.
"""

import copy
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from todacomm.core.errors import InvalidInput
from todacomm.core.types import layer_key
from todacomm.models.architecture.block_chains import lists_of
from todacomm.models.architecture.blocks_and_norms import DEPTHS, anatomy, number_of_blocks
from todacomm.models.architecture.causal_or_masked import decided, head_class
from todacomm.models.architecture.forward_inputs import base_of, text_config, vocabulary_of
from todacomm.models.architecture.probing import probe
from todacomm.models.checkpoints import checkpoint_files, loading
from todacomm.models.checkpoints.base_and_adapter import parts_of
from todacomm.models.checkpoints.loading import LoadedModel
from todacomm.models.checkpoints.placement import device_of
from todacomm.models.extraction import select_layers
from todacomm.models.names import ModelSource

KEPT = 2  # blocks
FILLED = 2**26  # entries of a matrix; of larger ones only the first rows are filled
ROWS = 512  # of an embedding or a head that are filled
HEADS = ("num_attention_heads", "n_head", "n_heads", "num_heads")


@dataclass(frozen=True, slots=True, eq=False)
class Skeleton:
    """What is known of a model without its weights."""

    cut: LoadedModel  # the model with two blocks and random weights
    depth: int
    parameters: int  # of the whole model
    block: int  # parameters of one block
    matrices: int  # entries of all matrices that every token is multiplied by, without embeddings and head
    head: int  # entries of the head
    attention: int  # heads × their width
    vocabulary: int
    layers: tuple[str, ...]  # at a site, in order of depth
    described: float = 0.0  # seconds to read configuration and tokenizer

    @property
    def width(self) -> int:
        return self.cut.anatomy.width

    def forward_flops(self, texts: int, tokens: int) -> float:
        """FLOPs of a batch (texts, tokens) through the base: 2 for each matrix entry and token, 4·t² of attention."""
        return texts * tokens * (2 * self.matrices + 4 * self.depth * tokens * self.attention)

    def head_flops(self, positions: int) -> float:
        """FLOPs of the head at so many positions."""
        return 2 * self.head * positions


def skeleton(
    source: ModelSource,
    *,
    site: str,
    device: str,
    dtype: str,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    clock: Callable[[], float] = time.perf_counter,
) -> Skeleton:
    """Build the skeleton of a model from its configuration and tokenizer, without its weights.

    Raises what `todacomm.models.checkpoints.loading.load_model` raises for a model that is missing or unsuited.
    """
    with checkpoint_files.quietly(), checkpoint_files.explained(source):
        base = parts_of(source).base
        gguf_file = checkpoint_files.only_gguf(base)
    with checkpoint_files.quietly(hide_stderr=bool(gguf_file)), checkpoint_files.explained(source):
        checkpoint_files.check_weights(base, gguf_file, allow_pickle=allow_pickle, fetch=False)
        begun = clock()
        config, kind, tokenizer = loading.local_description(
            source, trust_remote_code=trust_remote_code, gguf_file=gguf_file
        )
        seconds = clock() - begun
        headed = head_class(config, kind)
        with torch.device("meta"):
            network = headed.from_config(copy.deepcopy(config), trust_remote_code=trust_remote_code)
    device = device_of(device)
    headless = loading.NO_HEAD if not gguf_file and lacks_head(network, base) else ""

    def loaded(network: nn.Module, depth: int | None) -> LoadedModel:
        found = anatomy(network, depth)
        probed = probe(found, tokenizer)
        told = decided(kind, headless, probed, config)
        return LoadedModel(source.name, network, tokenizer, *told, found, device, dtype, "", "", probed)

    found = cut_short(base_of(network) if headless else network, loaded, site=site, device=device, dtype=dtype)
    return replace(found, described=seconds)


def lacks_head(network: nn.Module, source: ModelSource) -> bool:
    """Whether a head with weights of its own is missing from the weight files; False where there are no files."""
    directory = checkpoint_files.directory_of(source)
    files = (
        [path for path in checkpoint_files.weight_files(directory) if path.suffix == ".safetensors"]
        if directory
        else []
    )
    if not files:
        return False
    there: set[str] = set()
    for path in files:
        with safe_open(path, framework="numpy") as stored:
            there.update(stored.keys())
    tied = getattr(network, "all_tied_weights_keys", None) or {}
    prefix = f"{network.base_model_prefix}."
    own = {key for key in network.state_dict() if not key.startswith(prefix)} - set(tied)
    # a model that takes images may have its head inside another part
    return bool(own) and not any(name.endswith(tuple(own)) for name in there)


def cut_short(
    network: nn.Module, loaded: Callable[[nn.Module, int | None], LoadedModel], *, site: str, device: str, dtype: str
) -> Skeleton:
    """Build the skeleton of a network on the meta device; ``loaded`` makes it a model."""
    depth, base = number_of_blocks(network), base_of(network)
    counts = {
        "parameters": sum(p.numel() for p in network.parameters()),
        "matrices": matrix_entries(text_part(base)),
        "head": 0 if base is network else head_entries(network, base),
    }
    block, again, changed = shorten(network, base, depth)
    counts["matrices"] += again
    materialise(network, device, getattr(torch, dtype))
    try:
        model = loaded(network.eval(), None)
    except InvalidInput:  # some have parts that are as wide as the model is deep (Gemma 4)
        for holder, name in changed:
            setattr(holder, name, depth)
        model = loaded(network, min(KEPT, depth))
    return Skeleton(
        cut=model,
        depth=depth,
        block=block,
        attention=attention_width(text_config(network), model.anatomy.width),
        vocabulary=vocabulary_of(network),
        layers=tuple(layers_of(model, site, depth)),
        **counts,
    )


def matrix_entries(base: nn.Module) -> int:
    """The entries of all matrices of a network but embeddings."""
    inner = (m for m in base.modules() if not isinstance(m, nn.Embedding))
    return sum(p.numel() for m in inner for p in m.parameters(recurse=False) if p.ndim > 1)


def head_entries(network: nn.Module, base: nn.Module) -> int:
    """The entries of the matrices outside the base."""
    inside = set(base.modules())
    outside = (m for m in network.modules() if m not in inside)
    return sum(p.numel() for m in outside for p in m.parameters(recurse=False) if p.ndim > 1)


def attention_width(config: Any, width: int) -> int:
    """Heads × head width from the configuration, else the width of the stream."""
    heads = next((n for name in HEADS if isinstance(n := _given(config, name), int)), None)
    each = _given(config, "head_dim")
    return heads * each if heads and isinstance(each, int) else width


def _given(config: Any, name: str) -> Any:
    with suppress(RuntimeError):  # where it differs between layers
        return getattr(config, name, None)
    return None


def text_part(base: nn.Module) -> nn.Module:
    """The part of a base model that reads text: itself, unless the model also takes images."""
    wanted = type(text_config(base))
    return next((m for m in base.modules() if isinstance(getattr(m, "config", None), wanted)), base)


def shorten(network: nn.Module, base: nn.Module, depth: int) -> tuple[int, int, list[tuple[Any, str]]]:
    """Keep only the first two blocks.

    Returns the parameters of one, the matrix entries applied anew in all, and the settings that were changed.
    Parallel lists (XLM) are all cut; blocks that are applied repeatedly (ALBERT) stay, and are applied twice.
    """
    text = text_part(base)
    lists = lists_of(text)
    deep = [path for path, modules in lists.items() if len(modules) == depth]
    many = depth if deep else max(map(len, lists.values()), default=1)
    stored = [m for path in deep or lists for m in lists[path]]
    block = sum(p.numel() for m in stored for p in m.parameters()) // many
    entries = sum(map(matrix_entries, stored))
    for path in deep:
        parent, _, name = path.rpartition(".")
        setattr(text.get_submodule(parent), name, nn.ModuleList(lists[path][:KEPT]))
    configs = [text_config(network), *(m.config for m in text.modules() if getattr(m, "config", None) is not None)]
    distinct = {id(config): config for config in configs}.values()
    changed: list[tuple[Any, str]] = [(c, name) for c in distinct for name in DEPTHS if getattr(c, name, None) == depth]
    changed += [(m, name) for m in text.modules() for name in DEPTHS if vars(m).get(name) == depth]
    for holder, name in changed:
        setattr(holder, name, min(KEPT, depth))
    return block, entries // many * (depth - many), changed


def materialise(network: nn.Module, device: str, precision: torch.dtype) -> None:
    """Fill every parameter and buffer of a network on the meta device with numbers that run like real ones."""
    noise = 0.02 * torch.randn(2**16, generator=torch.Generator().manual_seed(0))
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            made = filled(parameter, noise, like=module).to(device=device, dtype=precision)
            setattr(module, name, nn.Parameter(made, requires_grad=False))
        for name, buffer in list(module.named_buffers(recurse=False)):
            setattr(module, name, constant(buffer).to(device))
    with torch.no_grad():
        refill(network)


def refill(module: nn.Module, fill: Callable[[nn.Module], object] | None = None) -> None:
    """Fill buffers with the values that their model computes (masks, positions, decays), where it has a rule.

    A model within a model uses its own rule, which knows its configuration.
    """
    fill = getattr(module, "_init_weights", fill)
    if fill is not None and next(module.buffers(recurse=False), None) is not None:
        fill(module)
    for child in module.children():
        refill(child, fill)


def filled(shape: Tensor, noise: Tensor, *, like: nn.Module) -> Tensor:
    """Noise for a matrix (first rows of a large one); ones and zeros for the weight and bias of a norm."""
    made = torch.zeros(shape.shape)  # untouched pages take no memory
    if shape.ndim < 2:
        return made if shape is getattr(like, "bias", None) else made + 1
    part = made if made.numel() < FILLED and not isinstance(like, nn.Embedding) else made[:ROWS]
    flat = part.view(-1)
    flat.copy_(noise.repeat(-(-flat.numel() // noise.numel()))[: flat.numel()])
    return made


def constant(buffer: Tensor) -> Tensor:
    """A buffer of small numbers: zeros for indices, true for masks (lower-triangular if square)."""
    if buffer.dtype in (torch.bool, torch.uint8) and buffer.ndim > 1 and buffer.shape[-1] == buffer.shape[-2]:
        return torch.ones(buffer.shape, dtype=buffer.dtype).tril()
    value = True if buffer.dtype == torch.bool else 0.01 if buffer.is_floating_point() else 0
    return torch.full(buffer.shape, value, dtype=buffer.dtype)


def layers_of(model: LoadedModel, site: str, depth: int) -> list[str]:
    """The layers of the whole model at a site, from those of its cut."""
    ends = [layer for layer in select_layers(model.anatomy, "all", site) if layer in ("embedding", "final")]
    return sorted([*ends, *(f"layer_{i}" for i in range(depth))], key=layer_key)
