"""Build the inputs of a forward pass: token ids, attention mask, positions."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import torch
from torch import Tensor, nn

from todacomm.core.errors import InvalidInput, TodacommError, ran_out
from todacomm.models.checkpoints.placement import input_device

LIBRARY_CALL = "name the modules yourself with td.activations(module, batches, sites=[...])"
SPECIAL = ("_token_id", "_token_index", "_token_ids")  # endings of configuration keys for ids that are no text
FIRST_PLAIN = 100  # lower ids are special or unused in many vocabularies
FOREIGN = (RuntimeError, ValueError, TypeError, LookupError, AttributeError, AssertionError, ImportError)


def text_config(network: nn.Module) -> Any:
    """The configuration of the text model; raises `InvalidInput` where there is none."""
    config: Any = getattr(network, "config", None)
    if config is None:
        raise InvalidInput(
            f"{type(network).__name__} has no configuration: it is no transformers model; {LIBRARY_CALL}"
        )
    return config.get_text_config() if hasattr(config, "get_text_config") else config


def base_of(network: nn.Module) -> nn.Module:
    """The network without its language-modelling head; itself without one."""
    base = getattr(network, "base_model", network)
    if base is network and isinstance(inner := _beside_the_head(network), nn.Module):
        return base_of(inner)
    return base if isinstance(base, nn.Module) else network


def _beside_the_head(network: nn.Module) -> nn.Module | None:
    """The one part with the input embedding, where the base has another name than the network says (Llama 4)."""
    with suppress(NotImplementedError, AttributeError):
        words, head = network.get_input_embeddings(), network.get_output_embeddings()  # type: ignore[operator]
        parts = [part for part in network.children() if words is not part and words in set(part.modules())]
        if isinstance(head, nn.Module) and len(parts) == 1:
            return parts[0]
    return None


def vocabulary_of(network: nn.Module) -> int:
    """The number of rows of the input embedding."""
    weight = None
    with suppress(NotImplementedError, AttributeError):
        weight = network.get_input_embeddings().weight  # type: ignore[operator]
    return int(weight.shape[0] if isinstance(weight, Tensor) else text_config(network).vocab_size)


def padding_id(network: nn.Module, tokenizer: Any) -> int:
    """The padding id: the model's own, else the tokenizer's, else its end of text, else 0.

    It is masked out everywhere, but RoBERTa and its kin count positions by comparing with the id they were built with.
    """
    configured = getattr(text_config(network), "pad_token_id", None)
    own = getattr(_counting_embedding(base_of(network)), "padding_idx", configured)
    candidates = (own, tokenizer.pad_token_id, tokenizer.eos_token_id)
    size = vocabulary_of(network)
    return next((c for c in candidates if isinstance(c, int) and 0 <= c < size), 0)


def arguments(module: nn.Module, ids: Tensor, real: Tensor | None = None) -> dict[str, Any]:
    """The keyword arguments of a forward pass over texts (b, t).

    Besides ids: the mask where ``real`` has a hole or a real token looks like padding, and positions where padding
    would shift them.
    """
    device = input_device(module)
    accepted = inspect.signature(module.forward).parameters
    given: dict[str, Any] = {"input_ids": ids.to(device)}
    if (real is not None and not real.all()) or _looks_padded(
        module, ids
    ):  # without a mask attention takes its fast path
        given["attention_mask"] = (torch.ones_like(ids) if real is None else real.long()).to(device)
    if "use_cache" in accepted or (_takes_more(accepted) and _caches(module)):
        given["use_cache"] = False
    if real is not None and not real[:, 0].all() and "position_ids" in accepted and not reserved_positions(module):
        given["position_ids"] = (real.to(device).long().cumsum(dim=1) - 1).clamp(min=0)
    return given


def _looks_padded(module: nn.Module, ids: Tensor) -> bool:
    # without a mask, XLM and Flaubert take every token with the padding id for padding
    config = getattr(module, "config", None)
    padding = None if config is None else getattr(text_config(module), "pad_token_id", None)
    return isinstance(padding, int) and bool((ids == padding).any())


def _takes_more(accepted: Any) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in accepted.values())


def _caches(module: nn.Module) -> bool:
    return getattr(module, "config", None) is not None and bool(getattr(text_config(module), "use_cache", False))


def _counting_embedding(base: nn.Module) -> nn.Module | None:
    """The embedding that counts positions itself, past its padding id (RoBERTa, MPNet, ESM)."""
    return next((m for m in base.modules() if hasattr(m, "create_position_ids_from_inputs_embeds")), None)


def reserved_positions(base: nn.Module) -> int:
    """How many positions a model reserves before that of the first token."""
    counting = _counting_embedding(base)
    return 0 if counting is None else int(getattr(counting, "padding_idx", 0) or 0) + 1


def window_of(network: nn.Module) -> int | None:
    """The longest text that a model has positions for; None where its configuration gives no bound."""
    window = getattr(text_config(network), "max_position_embeddings", None)
    return window - reserved_positions(base_of(network)) if isinstance(window, int) and window > 0 else None


def plain_ids(network: nn.Module, count: int) -> Tensor:
    """Ids of ordinary tokens: none that a configuration calls padding, end or image."""
    size = vocabulary_of(network)
    special = set(_named(getattr(network, "config", None))) | set(_named(text_config(network)))
    start = min(FIRST_PLAIN, size // 4)
    plain = [i for i in (*range(start, min(size, start + 8 * count)), *range(start)) if i not in special] or [0]
    return torch.tensor([plain[i % len(plain)] for i in range(count)])


def _named(config: Any) -> Iterator[int]:
    for name, value in vars(config).items():
        if name.endswith(SPECIAL):
            yield from (v for v in (value if isinstance(value, list | tuple) else [value]) if isinstance(v, int))


@contextmanager
def reading(network: nn.Module, what: str = "a short text") -> Iterator[None]:
    """Turn what a network raises on texts into `InvalidInput` that names it; running out of memory passes through."""
    try:
        yield
    except TodacommError:
        raise
    except FOREIGN as error:
        if ran_out(error):
            raise
        told = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise InvalidInput(
            f"{type(network).__name__} cannot read {what} given as input_ids and attention_mask alone "
            f"({type(error).__name__}: {told.rstrip('.')}); {LIBRARY_CALL}"
        ) from error
