"""Decide whether a model is causal or masked: by its configuration, then by how it reads."""

from typing import Any, Literal

from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoModelForMaskedLM
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)

from todacomm.core.errors import InvalidInput
from todacomm.models.architecture.probing import Probe

Kind = Literal["causal", "masked"]
BOTH_WAYS = "each token sees those after it, so the next token is not predicted but read"
FOR_MASKED = "no token sees those after it, and the head was made to fill in masked tokens"


def kind_of(config: Any, name: str) -> Kind:
    """Return ``causal`` (left to right) or ``masked`` (both ways) by the configuration; `decided` asks the model.

    Raises `InvalidInput` for an encoder-decoder and for what is no language model.
    """
    if getattr(config, "is_encoder_decoder", False):
        raise InvalidInput(
            f"{name} is an encoder-decoder ({config.model_type}); todacomm measures decoder-only and encoder-only "
            "models. For its parts, name modules yourself with td.activations(module, batches, sites=[...])"
        )
    remote = getattr(config, "auto_map", None) or {}
    if getattr(config, "is_decoder", False):
        return "causal"
    if config.model_type in MODEL_FOR_MASKED_LM_MAPPING_NAMES or "AutoModelForMaskedLM" in remote:
        return "masked"
    if config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or "AutoModelForCausalLM" in remote:
        return "causal"
    if _reads_text_beside_images(config.model_type):
        return "causal"
    raise InvalidInput(
        f"{name} is of type '{config.model_type}', neither a causal nor a masked language model; "
        "name modules yourself with td.activations(module, batches, sites=[...])"
    )


def _reads_text_beside_images(model_type: str) -> bool:
    """Whether a type is a language model that also takes images (LLaVA), or the text part of one (Qwen2-VL's)."""
    whole = model_type.removesuffix("_model").removesuffix("_text")
    return any(name in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES for name in (model_type, whole))


def decided(kind: Kind, headless: str, probed: Probe, config: Any) -> tuple[Kind, str]:
    """Return the kind of a model by how it reads, and why it has no language metrics, if so."""
    if kind == "causal" and not probed.causal:
        return "masked", headless or BOTH_WAYS
    if kind == "masked" and probed.only_backwards:
        return "causal", headless or ("" if config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES else FOR_MASKED)
    return kind, headless


def head_class(config: Any, kind: Kind) -> Any:
    """The transformers class that builds the network of a configuration with its head."""
    remote = getattr(config, "auto_map", None) or {}
    if kind == "causal" and (
        config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES or "AutoModelForCausalLM" in remote
    ):
        return AutoModelForCausalLM
    if kind == "causal" and config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES:
        return AutoModelForImageTextToText
    # a decoder of a type without a causal class (ESM) has its next-token logits in the masked one
    return AutoModelForMaskedLM
