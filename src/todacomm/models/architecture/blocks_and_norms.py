"""Find the blocks of a transformer, its final norm, and what each sublayer adds to the residual stream.

They are found from the module tree and one short forward pass, not from a table of architectures: the blocks are the
chain of `todacomm.models.architecture.block_chains`; the final norm is the norm outside them that receives the output
of the last one. Post-norm models (BERT, OPT-350m) have none.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from todacomm.core.errors import InvalidInput
from todacomm.models.architecture.block_chains import By, Chain, calls_of, chain_of, lists_of, received, same
from todacomm.models.architecture.forward_inputs import (
    LIBRARY_CALL,
    base_of,
    plain_ids,
    reading,
    text_config,
    window_of,
)
from todacomm.models.architecture.hooks import UPRIGHT, Axes, Tap, Trace, hidden_of, trace, upright
from todacomm.models.names import SITES

NormPlace = Literal["pre-LN", "post-LN", "other"]
PROBE = (2, 9)  # texts × tokens of the forward pass that finds the modules
OF_A_DECODER = ("decoder_layers", "num_decoder_layers")  # of a decoder split from an encoder-decoder (BART)
DEPTHS = (*OF_A_DECODER, "num_hidden_layers", "n_layer", "n_layers", "num_layers")

# Where the output of a sublayer is, relative to its block: the first that exists. A norm between the sublayer and the
# stream belongs to what is added. A guess only: `_confirmed` checks it against the stream.
ATTENTION = (
    "post_self_attn_layernorm",  # GLM-4
    "albert_layers.0.attention.dense",
    "attention.output.dense",  # BERT, RoBERTa, RoFormer, ESM, ELECTRA
    "attention.attn",  # MPNet, whose `attention` holds the norm after the sum too
    "self_attention.dense",  # BLOOM, whose `self_attention` adds the residual itself
    "self_attn",
    "attn",
    "attention",
    "self_attention",
)
MLP = (
    "post_mlp_layernorm",  # GLM-4
    "post_feedforward_layernorm",  # Gemma 2 and 3, OLMo 2
    "albert_layers.0.ffn_output",
    "output.dense",  # BERT and its kin
    "mlp.dense_4h_to_h",  # BLOOM; GPT-NeoX, where it is the same as `mlp`
    "mlp",
    "ffn",
    "fc2",  # OPT
    "feed_forward",
    "block_sparse_moe",
)


@dataclass(frozen=True, slots=True, eq=False)
class Anatomy:
    """The blocks of a network in order, its final norm if any, and the residual stream between them.

    A block that is applied repeatedly (ALBERT) is listed as often. ``norm_place``: pre-LN where a norm of any block
    reads the stream that enters it; post-LN where none does and no final norm follows; other where only what the
    sublayers add is normalised (OLMo 2).
    """

    blocks: tuple[nn.Module, ...]
    blocks_path: str
    final_norm: nn.Module | None
    final_norm_path: str
    width: int  # of the stream
    base: nn.Module
    norm_place: NormPlace
    embedding: Tap  # the stream before the first block
    axes: Axes = UPRIGHT  # of the stream in memory
    by: By = "chain"  # how the blocks were found
    final_call: int = 0  # which call of its norm is the final one

    def outputs(self, site: str) -> tuple[Tap, ...]:
        """For each block, where to read the stream after it (``block``) or what ``attention`` or ``mlp`` adds to it.

        Raises `InvalidInput` for an unknown site and where no such module is found or confirmed.
        """
        if site not in SITES:
            raise InvalidInput(f"site '{site}'; expected one of {', '.join(SITES)}")
        if site != "block":
            return _sublayers(self, site)
        return tuple(Tap(block, call=call, axes=self.axes) for block, call in self.calls)

    @property
    def calls(self) -> list[tuple[nn.Module, int]]:
        """The blocks in order, each with its call number."""
        return calls_of(self.blocks, self.blocks)

    @property
    def final(self) -> Tap | None:
        """Where to read the output of the final norm."""
        return Tap(self.final_norm, call=self.final_call, axes=self.axes) if self.final_norm else None


def anatomy(network: nn.Module, depth: int | None = None) -> Anatomy:
    """Find the blocks and the final norm of a language model by one short forward pass.

    ``depth`` overrides the number of layers in the configuration. Raises `InvalidInput` where no chain of that many
    modules is found, and for a network that cannot read a short text.
    """
    base, depth = base_of(network), depth or number_of_blocks(network)
    lists = lists_of(base)
    norms = {path: m for path, m in base.named_modules() if "norm" in type(m).__name__.lower()}
    ids = probe_ids(network)
    with reading(network):
        seen = trace(base, list(dict.fromkeys([*(m for ms in lists.values() for m in ms), *norms.values()])), ids)
        chain = chain_of(base, depth, seen, ids)
    if chain is None:
        raise InvalidInput(_not_found(network, depth, seen))
    outside = {p: m for p, m in norms.items() if not p.startswith(f"{chain.path}.")}
    calls = {p: call for p, m in outside.items() if (call := _final_call(seen, m, chain)) is not None}
    norm = next(iter(calls), "")
    before = [m for p, m in norms.items() if p != norm]
    return Anatomy(
        chain.blocks,
        chain.path,
        norms.get(norm),
        norm,
        int(chain.streams[-1].shape[-1]),
        base,
        _norm_place(seen, chain, before, final=bool(norm)),
        chain.embedding,
        chain.axes,
        chain.by,
        calls.get(norm, 0),
    )


def _final_call(seen: Trace, norm: nn.Module, chain: Chain) -> int | None:
    """The call of a norm that receives the last block's output and gives the model's; None where there is none.

    NanoChat calls one norm before its blocks and after them; a norm inside a mixture of streams is not the final one.
    """
    call, given = received(seen, norm, chain.streams[-1], chain.axes), hidden_of(seen.output)
    if call is None or given is None or given.shape[:2] != chain.streams[-1].shape[:2]:
        return call
    left = seen.left.get(norm, [])
    return call if call < len(left) and same(upright(left[call], chain.axes, given.shape[1]), given) else None


def number_of_blocks(network: nn.Module) -> int:
    """The number of layers in the configuration of the text model."""
    config = text_config(network)
    for name in DEPTHS if getattr(config, "is_decoder", False) else DEPTHS[len(OF_A_DECODER) :]:
        if isinstance(depth := getattr(config, name, None), int) and depth > 0:
            return depth
    raise InvalidInput(
        f"{type(network).__name__}: none of {', '.join(DEPTHS[len(OF_A_DECODER) :])} is in its configuration; "
        f"{LIBRARY_CALL}"
    )


def probe_ids(network: nn.Module) -> Tensor:
    """The token ids (b, t) that a network is probed with, short enough for its window."""
    texts, tokens = PROBE
    tokens = min(tokens, window_of(network) or tokens)
    return plain_ids(network, texts * tokens).reshape(texts, tokens)


def _norm_place(seen: Trace, chain: Chain, norms: Sequence[nn.Module], *, final: bool) -> NormPlace:
    before = chain.streams[:-1]
    if any(
        received(seen, m, stream, chain.axes) is not None for m in norms if m not in chain.blocks for stream in before
    ):
        return "pre-LN"
    return "other" if final else "post-LN"


def _not_found(network: nn.Module, depth: int, seen: Trace) -> str:
    lists = lists_of(base_of(network))
    ran = [path for path, ms in lists.items() if len(calls_of(seen.order, ms)) == depth]
    there = ", ".join(f"{p} ({len(m)})" for p, m in list(lists.items())[:5]) or "none"
    reason = (
        f"{', '.join(ran)} did not run one after the other on (texts, tokens, features), nor give its hidden_states"
        if ran
        else f"looked for a ModuleList whose modules are called {depth} times, once for each layer of its "
        "configuration; "
        f"lists found: {there}"
    )
    return f"the blocks of {type(network).__name__} cannot be found: {reason}; {LIBRARY_CALL}"


def _sublayers(found: Anatomy, site: str) -> tuple[Tap, ...]:
    pairs = [(_first(block, _attention_names(block)), _first(block, MLP)) for block in found.blocks]
    modules = [m for pair in pairs for m in pair if m is not None]
    inner = [m for block in found.blocks for m in block.modules() if "norm" in type(m).__name__.lower()]
    with reading(found.base):
        seen = trace(found.base, list(dict.fromkeys([*found.blocks, *modules, *inner])), probe_ids(found.base))
    for i, ((block, call), (attention, mlp)) in enumerate(zip(found.calls, pairs, strict=True)):
        if attention is None or mlp is None or not _confirmed(seen, block, (attention, mlp), call):
            raise InvalidInput(
                f"what the {site} sublayer of {found.blocks_path}.{i} ({type(block).__name__}) adds to the stream "
                f"cannot be found; looked for {', '.join(ATTENTION if site == 'attention' else MLP)}; {LIBRARY_CALL}"
            )
    chosen = [attention if site == "attention" else mlp for attention, mlp in pairs]
    calls = [call for _, call in found.calls]
    return tuple(Tap(m, call=c, axes=found.axes) for m, c in zip(chosen, calls, strict=True) if m is not None)


def _attention_names(block: nn.Module) -> tuple[str, ...]:
    # in Llama `post_attention_layernorm` is the norm before the MLP; it follows attention where the MLP has one too
    return ("post_attention_layernorm", *ATTENTION) if hasattr(block, "post_feedforward_layernorm") else ATTENTION


def _first(block: nn.Module, names: Sequence[str]) -> nn.Module | None:
    inside = dict(block.named_modules())
    return next((inside[name] for name in names if name in inside), None)


def _confirmed(seen: Trace, block: nn.Module, sublayers: Sequence[nn.Module], call: int) -> bool:
    """Whether the stream shows both sums: out = in + a + m (pre-norm), or norms of in + a, and of that norm + m."""
    ends, added = seen.at(block, call), [seen.at(module, call) for module in sublayers]
    if ends is None or any(one is None or one[1].numel() != ends[0].numel() for one in added):
        return False
    before, after = ends
    a, m = (one[1].reshape(before.shape) for one in added if one is not None)
    if _close(before + a + m, after):
        return True
    norms = [one for n in block.modules() if "norm" in type(n).__name__.lower() and (one := seen.at(n, call))]
    between = [left for entered, left in norms if _close(entered, before + a)]
    return any(_close(entered, x.reshape(before.shape) + m) for entered, _ in norms for x in between)


def _close(a: Tensor, b: Tensor) -> bool:
    if a.numel() != b.numel():
        return False
    tolerance = 1e-5 if a.dtype == torch.float32 else 3e-2  # half precision rounds the sums
    x, y = a.float().reshape(-1), b.float().reshape(-1)
    return bool((x - y).norm() <= tolerance * (y.norm() + 1e-12))
