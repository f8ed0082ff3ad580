"""Merge a PEFT adapter into the weights of its base, and check that the result computes the same as PEFT."""

import importlib.util
import json
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import nn

from todacomm.core.errors import InvalidInput, MissingExtra, ModelUnavailable
from todacomm.models.architecture.forward_inputs import base_of
from todacomm.models.checkpoints.base_and_adapter import CONFIG
from todacomm.models.names import ModelSource

WRAPPED = "base_model.model."  # before every name of a tensor of an adapter
SAME = {torch.float32: 1e-3}  # of the largest score, that merging may move one; more in half precision
ROUNDED = 0.1
PROBE = 8  # tokens


def require_peft(adapter: ModelSource) -> None:
    """Raise `MissingExtra` where PEFT is not installed: the adapter would be ignored."""
    if importlib.util.find_spec("peft") is None:
        raise MissingExtra("peft", "adapters", f"The adapter of {adapter.name} at {adapter.location}")


def merged(network: Any, adapter: ModelSource, directory: Path) -> Any:
    """Merge the adapter in ``directory`` into the weights of a network.

    Raises `InvalidInput` for a method that is no change of weights, such as prompt tuning, and `ModelUnavailable` where
    tensors of the adapter are missing, left over or of another shape.
    """
    from peft import PeftConfig, PeftModel
    from peft.utils import load_peft_weights

    config = PeftConfig.from_pretrained(str(directory))
    _check_known(adapter, config, json.loads((directory / CONFIG).read_bytes()))
    if config.is_prompt_learning or config.is_adaption_prompt:
        raise no_weights(adapter, config)
    names = [name.removeprefix(WRAPPED) for name in load_peft_weights(str(directory), device="cpu")]
    inner = _owner(network, names)
    _untie(network, inner, names)
    wrapped = PeftModel(inner, config)
    report = wrapped.load_adapter(str(directory), "default", torch_device=str(next(network.parameters()).device))
    _check_complete(adapter, inner, report)
    wrapped.eval()
    wanted = _scores(network)
    try:
        wrapped.merge_and_unload(safe_merge=True)
    except (AttributeError, NotImplementedError, TypeError, ValueError) as problem:
        raise no_weights(adapter, config) from problem
    if not _alike(wanted, _scores(network), next(network.parameters()).dtype):
        raise no_weights(adapter, config)
    return network


def _check_known(adapter: ModelSource, config: Any, stored: Mapping[str, Any]) -> None:
    """Refuse settings that the installed PEFT does not know: it would ignore them."""
    unknown = sorted(key for key, value in stored.items() if value and not hasattr(config, key))
    if unknown:
        raise ModelUnavailable(
            f"{adapter.name}: the adapter at {adapter.location} sets {', '.join(unknown)}, which PEFT "
            f"{version('peft')} does not know; it was written by another version, so install that: pip install -U peft"
        )


def no_weights(adapter: ModelSource, config: Any) -> InvalidInput:
    """The error for an adapter that cannot be merged into weights."""
    kind = getattr(config.peft_type, "value", config.peft_type)
    return InvalidInput(
        f"{adapter.name}: its adapter ({kind}, at {adapter.location}) is no change of weights that can be merged into "
        "its base, so its layers cannot be measured from files; hold the model yourself and name modules with "
        "td.activations(module, batches, sites=[...])"
    )


def _owner(network: Any, names: Iterable[str]) -> Any:
    """The network, or its headless part where the adapter was trained on that."""
    outer = {name for name, _ in network.named_children()}
    return network if any(name.split(".")[0] in outer for name in names) else base_of(network)


def _untie(network: Any, inner: Any, names: Iterable[str]) -> None:
    """Untie the head from the embedding where they share weights and the adapter changes one of them."""
    head, embedding = network.get_output_embeddings(), network.get_input_embeddings()
    if head is None or head.weight is not embedding.weight:
        return
    paths = [path for path, module in inner.named_modules() if module in (head, embedding)]
    if any(name.startswith(f"{path}.") for name in names for path in paths):
        head.weight = nn.Parameter(head.weight.detach().clone(), requires_grad=False)


def _check_complete(adapter: ModelSource, inner: Any, report: Any) -> None:
    there = {name for name, _ in inner.named_children()}
    foreign = [n for n in report.unexpected_keys if n.removeprefix(WRAPPED).split(".")[0] in there or "lora_" in n]
    for tensors, what in ((report.missing_keys, "lacks"), (foreign, "has for no module of")):
        if tensors:
            raise ModelUnavailable(
                f"{adapter.name}: the adapter at {adapter.location} {what} {len(tensors)} of the tensors of "
                f"{type(inner).__name__} (the first is {min(tensors).removeprefix(WRAPPED)}): it is incomplete or of "
                "another base"
            )


def _scores(network: Any) -> torch.Tensor:
    """The scores of a few tokens, or the last states of a network without a head."""
    place = next(network.parameters()).device
    ids = torch.arange(1, PROBE + 1, device=place)[None] % network.get_input_embeddings().weight.shape[0]
    with torch.no_grad():
        found: torch.Tensor = network(input_ids=ids)[0]
    return found


def _alike(wanted: torch.Tensor, found: torch.Tensor, dtype: torch.dtype) -> bool:
    tolerance = SAME.get(dtype, ROUNDED)
    return bool((wanted - found).abs().max() <= tolerance * wanted.abs().max())
