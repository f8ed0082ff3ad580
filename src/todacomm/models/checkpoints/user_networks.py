"""Unwrap a network that the caller holds, and digest its weights."""

import hashlib
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from todacomm.core.errors import InvalidInput

WRAPPERS = ("_orig_mod", "module")  # of torch.compile, and of DataParallel and its kin


def unwrapped(network: Any, tokenizer: Any) -> tuple[nn.Module, Any]:
    """Return the inner transformers network, and the given tokenizer or that of the wrapper.

    Understood are torch.compile, DataParallel, PEFT, sentence-transformers and pipelines of transformers. Raises
    `InvalidInput` for prompt tuning, which is no part of the network, and for what is no network.
    """
    if not isinstance(network, nn.Module):
        inner = getattr(network, "model", None)
        if not isinstance(inner, nn.Module):
            raise InvalidInput(
                f"{type(network).__name__} is no model: expected a name, a directory, or a network of torch with its "
                "tokenizer"
            )
        return unwrapped(inner, tokenizer or getattr(network, "tokenizer", None))
    for name in WRAPPERS:
        if not hasattr(network, "config") and isinstance(inner := getattr(network, name, None), nn.Module):
            return unwrapped(inner, tokenizer)
    if sentences := next((m for m in network.modules() if isinstance(getattr(m, "auto_model", None), nn.Module)), None):
        return unwrapped(sentences.auto_model, tokenizer or getattr(sentences, "tokenizer", None))
    return (_without_peft(network) if hasattr(network, "get_base_model") else network), tokenizer


def _without_peft(network: Any) -> nn.Module:
    """The network with its adapter's layers, which compute the same without PEFT's wrapper."""
    configs = getattr(network, "peft_config", {})
    outside = [c for c in configs.values() if c.is_prompt_learning]
    if outside:
        kind = getattr(outside[0].peft_type, "value", outside[0].peft_type)
        raise InvalidInput(
            f"{type(network).__name__}: {kind} puts vectors before the texts and changes no layer of the network; "
            "name modules yourself with td.activations(module, batches, sites=[...])"
        )
    found: nn.Module = network.get_base_model()
    return found


def state_sha256(network: nn.Module) -> str:
    """The SHA-256 over names, types, shapes and bytes of the state dict, sorted by name.

    Empty where a tensor is not in memory, as of a model whose weights are on disk.
    """
    digest = hashlib.sha256()
    state = network.state_dict()
    if any(isinstance(value, Tensor) and value.device.type == "meta" for value in state.values()):
        return ""
    for key, value in sorted(state.items()):
        digest.update(f"{key} ".encode())
        for part in _parts(value):
            digest.update(part)
    return digest.hexdigest()


def _parts(value: Any) -> Iterable[bytes]:
    """The bytes of a value of a state dict: tensors, and scales and packed tuples of quantised layers."""
    if isinstance(value, Tensor):
        yield f"{value.dtype} {tuple(value.shape)}\0".encode()
        if value.is_quantized:
            yield repr(_scales(value)).encode()
            value = value.int_repr()
        yield value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
    elif isinstance(value, (tuple, list)):
        for part in value:
            yield from _parts(part)
    else:
        yield f"{value!r}\0".encode()


def _scales(value: Tensor) -> tuple[Any, ...]:
    if value.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return value.q_scale(), value.q_zero_point()
    return value.q_per_channel_axis(), value.q_per_channel_scales().tolist(), value.q_per_channel_zero_points().tolist()
