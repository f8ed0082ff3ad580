"""Where a transformer keeps its blocks, its final norm, and what each sublayer adds to the residual stream.

Found from the module tree and one forward pass over a few tokens, not from a table of families: the blocks are the list
of modules that is as long as the configuration says and that ran one after the other; the final norm is the norm outside
them that received the output of the last one. Post-norm models (BERT, OPT-350m) have none.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from todacomm.errors import InvalidInput
from todacomm.models import SITES
from todacomm.placement import input_device

NormPlace = Literal["pre-LN", "post-LN", "other"]
PROBE = (2, 3)  # texts × tokens of the forward pass that finds the modules
LIBRARY_CALL = "name the modules yourself with td.activations(module, batches, sites=[...])"
DEPTHS = ("num_hidden_layers", "n_layer", "n_layers", "num_layers")

# Where the output of a sublayer is, relative to its block, the first that exists. A norm on the way from the sublayer to
# the stream belongs to what is added. A guess only: `_confirmed` checks it against the stream itself.
ATTENTION = (
    "post_self_attn_layernorm",  # GLM-4
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
    """The blocks of a network in order, its final norm if it has one, their dotted names, and the width of the stream.

    ``norm_place``: pre-LN where a norm of a block reads the stream that enters it; post-LN where none does and no final
    norm follows; other where only what the sublayers add is normalised (OLMo 2).
    """

    blocks: tuple[nn.Module, ...]
    blocks_path: str
    final_norm: nn.Module | None
    final_norm_path: str
    width: int
    base: nn.Module
    norm_place: NormPlace

    def outputs(self, site: str) -> tuple[nn.Module, ...]:
        """For each block, the module whose output is the stream after it (``block``) or what ``attention`` or ``mlp`` adds.

        Raises `InvalidInput` for an unknown site and where no such module is found or confirmed.
        """
        if site not in SITES:
            raise InvalidInput(f"site '{site}'; expected one of {', '.join(SITES)}")
        return self.blocks if site == "block" else _sublayers(self, site)


def anatomy(network: nn.Module) -> Anatomy:
    """Find the blocks and the final norm of a language model by one tiny forward pass.

    Raises `InvalidInput` where no list of modules has the length that the configuration gives.
    """
    base = base_of(network)
    depth = number_of_blocks(network)
    candidates = {
        path: tuple(m) for path, m in base.named_modules() if isinstance(m, nn.ModuleList) and len(m) == depth
    }
    modules = [block for blocks in candidates.values() for block in blocks]
    norms = {path: m for path, m in base.named_modules() if "norm" in type(m).__name__.lower()}
    seen = probe(base, [*modules, *norms.values()])
    ran = [path for path, blocks in candidates.items() if all(_is_stream(seen.output(block)) for block in blocks)]
    if not ran:
        raise InvalidInput(_not_found(network, depth, list(candidates)))
    path = ran[0]  # what lies inside a block, as the experts of a mixture, comes after it
    last = seen.output(candidates[path][-1])
    norm = next((p for p, m in norms.items() if not p.startswith(f"{path}.") and _received(seen, m, last)), "")
    inside = [m for p, m in norms.items() if p.startswith(f"{path}.0.")]
    place = _norm_place(seen, candidates[path][0], inside, final=bool(norm))
    return Anatomy(candidates[path], path, norms.get(norm), norm, int(last.shape[-1]), base, place)


def base_of(network: nn.Module) -> nn.Module:
    """The network without its language-modelling head; itself where it has none."""
    base = getattr(network, "base_model", network)
    return base if isinstance(base, nn.Module) else network


def number_of_blocks(network: nn.Module) -> int:
    """The number of layers that the configuration of the text model gives."""
    config = getattr(network, "config", None)
    if config is None:
        raise InvalidInput(
            f"{type(network).__name__} has no configuration: it is no transformers model; {LIBRARY_CALL}"
        )
    text = config.get_text_config() if hasattr(config, "get_text_config") else config
    for name in DEPTHS:
        if isinstance(depth := getattr(text, name, None), int) and depth > 0:
            return depth
    raise InvalidInput(f"{type(network).__name__}: none of {', '.join(DEPTHS)} is in its configuration; {LIBRARY_CALL}")


def text_config(network: nn.Module) -> Any:
    """The configuration of the text model; raises `InvalidInput` for a network that has none."""
    config: Any = getattr(network, "config", None)
    if config is None:
        raise InvalidInput(
            f"{type(network).__name__} has no configuration: it is no transformers model; {LIBRARY_CALL}"
        )
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def hidden_of(output: Any) -> Tensor | None:
    """The hidden states among the outputs of a module: the tensor itself, or the first of a tuple or mapping."""
    several = tuple(output.values()) if isinstance(output, Mapping) else output
    first = several[0] if isinstance(several, tuple | list) and len(several) else several
    return first if isinstance(first, Tensor) else None


def entering(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor | None:
    """The hidden states that a module was called with: by position, as ``hidden_states``, or the first (b, t, d) given."""
    given = [*args[:1], kwargs.get("hidden_states"), *kwargs.values()]
    return next((g for g in given if isinstance(g, Tensor) and g.is_floating_point() and g.ndim >= 2), None)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients; each module gets its own mode back afterwards."""
    training = [m for m in network.modules() if m.training]
    network.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module in training:
            module.training = True


@contextmanager
def hooked(
    before: Mapping[nn.Module, Callable[[Tensor], None]], after: Mapping[nn.Module, Callable[[Tensor], None]]
) -> Iterator[None]:
    """Call ``before[module]`` with what enters a module and ``after[module]`` with what leaves it; hooks never outlive this."""
    handles = [m.register_forward_pre_hook(_reading_input(f), with_kwargs=True) for m, f in before.items()]
    handles += [m.register_forward_hook(_reading_output(f)) for m, f in after.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _reading_input(function: Callable[[Tensor], None]) -> Callable[..., None]:
    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if (hidden := entering(args, kwargs)) is not None:
            function(hidden)

    return hook


def _reading_output(function: Callable[[Tensor], None]) -> Callable[..., None]:
    def hook(_module: nn.Module, _args: Any, output: Any) -> None:
        if (hidden := hidden_of(output)) is not None:
            function(hidden)

    return hook


@dataclass(slots=True)
class Probe:
    """What entered and left each watched module in the tiny forward pass."""

    entered: dict[nn.Module, Tensor] = field(default_factory=dict)
    left: dict[nn.Module, Tensor] = field(default_factory=dict)

    def output(self, module: nn.Module) -> Tensor:
        return self.left.get(module, torch.empty(0))


def probe(base: nn.Module, modules: Sequence[nn.Module]) -> Probe:
    """Run ``PROBE`` tokens through the base model and keep what enters and leaves ``modules``."""
    seen = Probe()
    before = {m: _keeping(seen.entered, m) for m in modules}
    after = {m: _keeping(seen.left, m) for m in modules}
    ids = torch.arange(math.prod(PROBE), device=input_device(base)).reshape(PROBE)
    with evaluating(base), hooked(before, after):
        base(input_ids=ids, attention_mask=torch.ones_like(ids))
    return seen


def _keeping(store: dict[nn.Module, Tensor], module: nn.Module) -> Callable[[Tensor], None]:
    return lambda hidden: store.__setitem__(module, hidden.detach().clone())


def _is_stream(hidden: Tensor) -> bool:
    return hidden.ndim == 3 and tuple(hidden.shape[:2]) == PROBE


def _received(seen: Probe, module: nn.Module, hidden: Tensor) -> bool:
    entered = seen.entered.get(module)
    return entered is not None and entered.shape == hidden.shape and torch.equal(entered, hidden)


def _norm_place(seen: Probe, block: nn.Module, inside: Sequence[nn.Module], *, final: bool) -> NormPlace:
    if any(_received(seen, m, seen.entered[block]) for m in inside):
        return "pre-LN"
    return "other" if final else "post-LN"


def _not_found(network: nn.Module, depth: int, candidates: list[str]) -> str:
    lists = {p: len(m) for p, m in network.named_modules() if isinstance(m, nn.ModuleList)}
    there = ", ".join(f"{p} ({n})" for p, n in list(lists.items())[:5]) or "none"
    reason = (
        f"{', '.join(candidates)} did not run one after the other on (texts, tokens, features)"
        if candidates
        else f"looked for a ModuleList of {depth} modules, the number of layers in its configuration; lists found: {there}"
    )
    return f"the blocks of {type(network).__name__} cannot be found: {reason}; {LIBRARY_CALL}"


def _sublayers(found: Anatomy, site: str) -> tuple[nn.Module, ...]:
    pairs = [(_first(block, _attention_names(block)), _first(block, MLP)) for block in found.blocks]
    modules = [m for pair in pairs for m in pair if m is not None]
    inner = [m for block in found.blocks for m in block.modules() if "norm" in type(m).__name__.lower()]
    seen = probe(found.base, list(dict.fromkeys([*found.blocks, *modules, *inner])))
    for i, (block, (attention, mlp)) in enumerate(zip(found.blocks, pairs, strict=True)):
        if attention is None or mlp is None or not _confirmed(seen, block, attention, mlp):
            raise InvalidInput(
                f"what the {site} sublayer of {found.blocks_path}.{i} ({type(block).__name__}) adds to the stream cannot "
                f"be found; looked for {', '.join(ATTENTION if site == 'attention' else MLP)}; {LIBRARY_CALL}"
            )
    chosen = [attention if site == "attention" else mlp for attention, mlp in pairs]
    return tuple(m for m in chosen if m is not None)


def _attention_names(block: nn.Module) -> tuple[str, ...]:
    # `post_attention_layernorm` is the norm before the MLP in Llama, and the norm after attention where the MLP has one too
    return ("post_attention_layernorm", *ATTENTION) if hasattr(block, "post_feedforward_layernorm") else ATTENTION


def _first(block: nn.Module, names: Sequence[str]) -> nn.Module | None:
    inside = dict(block.named_modules())
    return next((inside[name] for name in names if name in inside), None)


def _confirmed(seen: Probe, block: nn.Module, attention: nn.Module, mlp: nn.Module) -> bool:
    """Whether the stream shows the two sums: out = in + a + m (pre-norm), or norms that received in + a, and its norm + m."""
    if not all(m in seen.left for m in (attention, mlp)) or block not in seen.entered:
        return False
    before, after = seen.entered[block], seen.left[block]
    a, m = (seen.left[module].reshape(before.shape) for module in (attention, mlp))
    if _close(before + a + m, after):
        return True
    norms = [n for n in block.modules() if n in seen.entered and "norm" in type(n).__name__.lower()]
    between = [seen.left[n] for n in norms if _close(seen.entered[n], before + a)]
    return any(_close(seen.entered[n], x.reshape(before.shape) + m) for n in norms for x in between)


def _close(a: Tensor, b: Tensor) -> bool:
    if a.numel() != b.numel():
        return False
    tolerance = 1e-5 if a.dtype == torch.float32 else 3e-2  # sums in half precision are rounded on the way
    x, y = a.float().reshape(-1), b.float().reshape(-1)
    return bool((x - y).norm() <= tolerance * (y.norm() + 1e-12))
