"""The residual stream of the tiny models written out: embed, call the blocks one by one, then the final norm.

Embeddings come from the weights, not from the models' own embedding modules.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tiny_models import FAMILIES


def stream(name: str, base: Any, ids: Tensor) -> dict[str, Tensor]:
    """Each layer's hidden states (1, t, d) of one text without padding."""
    with torch.inference_mode():
        hidden = EMBEDDINGS[name](base, ids)
        layers = {"embedding": hidden}
        for i, block in enumerate(base.get_submodule(FAMILIES[name].blocks)):
            out = block(
                hidden, attention_mask=mask_of(name, base, ids, i), **ARGUMENTS.get(name, nothing)(base, hidden, i)
            )
            hidden = out if isinstance(out, Tensor) else out[0]
            layers[f"layer_{i}"] = hidden
        if FAMILIES[name].final:
            layers["final"] = base.get_submodule(FAMILIES[name].final)(hidden)
    return layers


def mask_of(name: str, base: Any, ids: Tensor, i: int) -> Tensor | None:
    """What is added to the attention scores: nothing, or minus infinity after each token (and far before it)."""
    if FAMILIES[name].kind == "masked":
        return None
    mask = torch.full((ids.shape[1],) * 2, -torch.inf).triu(1)
    if name.startswith("gemma") and base.config.layer_types[i] == "sliding_attention":
        mask = mask + torch.full_like(mask, -torch.inf).tril(-base.config.sliding_window)
    return mask[None, None]


def places(ids: Tensor, first: int = 0) -> Tensor:
    return torch.arange(first, first + ids.shape[1])


def absolute(words: str, positions: str, *, first: int = 0, norm: str = "", types: str = "") -> Callable[..., Tensor]:
    def embed(base: Any, ids: Tensor) -> Tensor:
        hidden = base.get_submodule(words).weight[ids] + base.get_submodule(positions).weight[places(ids, first)]
        hidden = hidden + base.get_submodule(types).weight[0] if types else hidden
        return base.get_submodule(norm)(hidden) if norm else hidden

    return embed


def relative(words: str, *, scale: float = 1, norm: str = "", types: str = "") -> Callable[..., Tensor]:
    def embed(base: Any, ids: Tensor) -> Tensor:
        hidden = base.get_submodule(words).weight[ids] * scale
        hidden = hidden + base.get_submodule(types).weight[0] if types else hidden
        return base.get_submodule(norm)(hidden) if norm else hidden

    return embed


def opt(base: Any, ids: Tensor) -> Tensor:
    words = base.decoder.embed_tokens.weight[ids]
    words = words if base.decoder.project_in is None else words @ base.decoder.project_in.weight.T
    return words + base.decoder.embed_positions.weight[places(ids, 2)]


BERT = {"norm": "embeddings.LayerNorm", "types": "embeddings.token_type_embeddings"}
ROFORMER = relative("embeddings.word_embeddings", **BERT)
ESM = relative("embeddings.word_embeddings")
EMBEDDINGS: dict[str, Callable[..., Tensor]] = {
    "gpt2": absolute("wte", "wpe"),
    "gpt_neo": absolute("wte", "wpe"),
    "gpt_neox": relative("embed_in"),
    "llama": relative("embed_tokens"),
    "qwen2": relative("embed_tokens"),
    "phi": relative("embed_tokens"),
    "gemma2": relative("embed_tokens", scale=math.sqrt(16)),
    "gemma3": relative("embed_tokens", scale=math.sqrt(16)),
    "opt-pre": opt,
    "opt-post": opt,
    "opt-350m": opt,
    "bert": absolute("embeddings.word_embeddings", "embeddings.position_embeddings", **BERT),
    "roberta": absolute("embeddings.word_embeddings", "embeddings.position_embeddings", first=1, **BERT),
    "mpnet": absolute(
        "embeddings.word_embeddings", "embeddings.position_embeddings", first=2, norm="embeddings.LayerNorm"
    ),
    "distilbert": absolute("embeddings.word_embeddings", "embeddings.position_embeddings", norm="embeddings.LayerNorm"),
    "roformer": ROFORMER,
    "roformer-decoder": ROFORMER,
    "esm": ESM,
    "esm-decoder": ESM,
}


def nothing(_base: Any, _hidden: Tensor, _i: int) -> dict[str, Any]:
    return {}


def rotary(base: Any, hidden: Tensor, _i: int) -> dict[str, Any]:
    return {"position_embeddings": base.rotary_emb(hidden, places(hidden[..., 0])[None])}


def gemma3(base: Any, hidden: Tensor, i: int) -> dict[str, Any]:
    kind = base.config.layer_types[i]
    return {"position_embeddings": base.rotary_emb(hidden, places(hidden[..., 0])[None], kind)}


def mpnet(base: Any, hidden: Tensor, _i: int) -> dict[str, Any]:
    return {"position_bias": base.encoder.compute_position_bias(hidden)}


def roformer(base: Any, hidden: Tensor, _i: int) -> dict[str, Any]:
    return {"sinusoidal_pos": base.encoder.embed_positions.weight[places(hidden[..., 0])][None, None]}


def esm(base: Any, hidden: Tensor, _i: int) -> dict[str, Any]:
    return {"position_embeddings": base.rotary_embeddings(hidden, places(hidden[..., 0])[None])}


ARGUMENTS: dict[str, Callable[..., dict[str, Any]]] = {
    **dict.fromkeys(("gpt_neox", "llama", "qwen2", "phi", "gemma2"), rotary),
    "gemma3": gemma3,
    "mpnet": mpnet,
    "roformer": roformer,
    "roformer-decoder": roformer,
    "esm": esm,
    "esm-decoder": esm,
}
