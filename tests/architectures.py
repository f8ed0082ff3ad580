"""Every architecture of transformers that can be built small: random weights, three layers, one vocabulary; and its
reference.

Nothing here uses what todacomm finds out about a model. The reference reads one text at a time, without padding, with
the hidden states that transformers reports, a hook on the last block of its class, and a loss written out.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers as hf
from huggingface_hub.errors import StrictDataclassError
from torch import nn
from transformers.models.auto import modeling_auto as auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from tiny_models import END, PAD, SENTENCES, START, VOCABULARY, tokenizer
from todacomm.core.errors import InvalidInput
from todacomm.core.types import Texts
from todacomm.models import size_and_flops
from todacomm.models.architecture.blocks_and_norms import anatomy
from todacomm.models.architecture.causal_or_masked import decided, kind_of
from todacomm.models.architecture.forward_inputs import FOREIGN
from todacomm.models.architecture.probing import probe
from todacomm.models.checkpoints.loading import LoadedModel, adopt
from todacomm.models.extraction import extract

TEXTS = Texts("sentences", SENTENCES[:5])
WIDTH, HEADS, DEPTH, WINDOW = 32, 4, 3, 128
AGREES = 1e-4
AUTO = {
    "causal": hf.AutoModelForCausalLM,
    "masked": hf.AutoModelForMaskedLM,
    "beside images": hf.AutoModelForImageTextToText,
}
NAMES = {
    "causal": auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    "masked": auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    "beside images": auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
}
# the states that these report are those after each block: that before the first is missing, the last is there twice
STATES_AFTER = {"mamba", "mamba2", "falcon_mamba", "rwkv"}
# what these turn by three positions is half of a head: two and one and one of the four pairs
SECTIONED = ("glm4v", "glm46v", "glm_ocr", "paddleocr_vl", "qwen2_5_omni", "qwen2_5_vl", "qwen2_vl", "glm4v_moe")
LARGE = {"perceiver", "blt"}  # cannot be made small, and are refused before they are run
UNBUILT = (*FOREIGN, StrictDataclassError)

SIZES: dict[str, Any] = {
    **dict.fromkeys(["hidden_size", "d_model", "n_embd", "dim", "emb_dim", "embed_dim", "embedding_size"], WIDTH),
    **dict.fromkeys(["model_dim", "word_embed_proj_dim", "attention_hidden_size"], WIDTH),
    **dict.fromkeys(["num_hidden_layers", "n_layer", "n_layers", "num_layers", "encoder_layers"], DEPTH),
    **dict.fromkeys(["decoder_layers", "num_decoder_layers", "num_encoder_layers", "num_blocks"], DEPTH),
    **dict.fromkeys(["num_attention_heads", "n_head", "n_heads", "num_heads", "encoder_attention_heads"], HEADS),
    **dict.fromkeys(["decoder_attention_heads", "num_decoder_attention_heads", "mamba_n_heads"], HEADS),
    **dict.fromkeys(["num_key_value_heads", "multi_query_group_num", "num_kv_heads"], HEADS // 2),
    **dict.fromkeys(["head_dim", "kv_channels", "d_kv", "global_head_dim", "swa_head_dim", "d_head"], WIDTH // HEADS),
    **dict.fromkeys(["intermediate_size", "ffn_dim", "n_inner", "d_inner", "hidden_dim", "d_ff"], 2 * WIDTH),
    **dict.fromkeys(["encoder_ffn_dim", "decoder_ffn_dim", "ffn_hidden_size", "feed_forward_size"], 2 * WIDTH),
    **dict.fromkeys(["vocab_size", "vocab_size_per_layer_input", "entity_vocab_size"], VOCABULARY),
    **dict.fromkeys(["pronunciation_vocab_size", "shape_vocab_size"], VOCABULARY),
    **dict.fromkeys(["max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length"], WINDOW),
    **dict.fromkeys(["n_ctx", "context_length", "max_seq_length", "max_window_layers"], WINDOW),
    **dict.fromkeys(["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"], 4),
    **dict.fromkeys(["num_experts_per_tok", "moe_topk", "top_k_experts", "moe_k", "num_selected_experts"], 2),
    **dict.fromkeys(["moe_intermediate_size", "expert_ffn_hidden_size", "shared_expert_intermediate_size"], WIDTH),
    **dict.fromkeys(["n_group", "topk_group", "mamba_n_groups", "n_groups", "mamba_ngroups"], 1),
    **dict.fromkeys(["q_lora_rank", "kv_lora_rank", "qk_head_dim"], 16),
    **dict.fromkeys(["qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim", "rotary_dim"], WIDTH // HEADS),
    **dict.fromkeys(["linear_num_value_heads", "num_heads_linear", "mamba_num_heads"], HEADS),
    **dict.fromkeys(["linear_num_key_heads"], HEADS // 2),
    **dict.fromkeys(["linear_key_head_dim", "linear_value_head_dim"], WIDTH // HEADS),
    **dict.fromkeys(["state_size", "mamba_d_state", "ssm_state_size", "sliding_window", "attention_window"], 8),
    **dict.fromkeys(["mamba_d_head", "mamba_head_dim", "mamba_headdim"], 16),
    "pad_token_id": PAD,
    "bos_token_id": START,
    "eos_token_id": END,
    "image_token_id": 290,
    "image_token_index": 290,
    "video_token_id": 291,
    "audio_token_id": 292,
    "vision_start_token_id": 293,
    "vision_end_token_id": 294,
    "out_hidden_size": WIDTH,
    "text_hidden_size": WIDTH,
}
# what one type needs besides, for its configuration to be consistent
BESIDES: dict[str, dict[str, Any]] = {
    "gpt_neo": {"attention_types": [[["global", "local", "global"], 1]]},
    "reformer": {
        "is_decoder": True,
        "axial_pos_embds": False,
        "attn_layers": ["local", "lsh", "local"],
        "attention_head_size": 8,
        "hash_seed": 1,
    },
    "xmod": {"default_language": "en_XX"},
    "zaya": {"num_experts_per_tok": 1},
    "mamba2": {"num_heads": 4, "head_dim": 16, "n_groups": 1},
    "falcon_h1": {"mamba_d_ssm": 64},
    "gemma4_assistant": {"hidden_size_per_layer_input": 0},
    "esmc": {"num_key_value_heads": HEADS},
    "neomme": {"head_dim": 16, "hidden_size": 64},
}


def types() -> dict[str, str]:
    """Each model type that reads text, and the first mapping of transformers that knows it."""
    found: dict[str, str] = {}
    for mapping, names in NAMES.items():
        for name in names:
            found.setdefault(name, mapping)
    return dict(sorted(found.items()))


def shrunk(config: Any) -> dict[str, Any]:
    """The arguments that make a configuration small, and those of the configurations in it."""
    told, own = vars(config), getattr(type(config), "attribute_map", {}) or {}
    found: dict[str, Any] = {}
    for known, size in SIZES.items():
        name = own.get(known, known)
        if name in told and not isinstance(told[name], (bool, dict, str)):
            found[name] = size
    if "kv_lora_rank" in told:  # such attention has a key for every head
        found["num_key_value_heads"] = HEADS
    if isinstance(rope := told.get("rope_parameters"), dict) and (
        "mrope_section" in rope or config.model_type.startswith(SECTIONED)
    ):
        found["rope_parameters"] = {**rope, "mrope_section": [2, 1, 1], "partial_rotary_factor": 1.0}
    inner = {name: value for name, value in told.items() if isinstance(value, hf.PreTrainedConfig)}
    found |= {name: {**shrunk(value), "model_type": value.model_type} for name, value in inner.items()}
    return found


def built(name: str, *, device: str = "cpu") -> nn.Module:
    """The network of a type, its weights large enough that every sublayer moves the stream."""
    config_class, mapping = CONFIG_MAPPING[name], types()[name]
    config = config_class(**{**shrunk(config_class()), **BESIDES.get(name, {})})
    torch.manual_seed(0)
    with torch.device(device):
        network = AUTO[mapping].from_config(config).eval()
    if device == "cpu":
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.requires_grad and parameter.is_floating_point():
                    parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator).to(parameter.dtype))
    return network


@dataclass
class Reference:
    """One text at a time: the mean over content tokens of each state, of the raw last block, and the loss."""

    states: list[np.ndarray]
    last: np.ndarray | None
    loss: float | None


def reference(network: nn.Module, texts: Texts = TEXTS) -> Reference:
    """Read the texts one by one."""
    states: list[list[np.ndarray]] = []
    last, nats = [], []
    for text in texts.items:
        told = tokenizer(ends=True)(text, return_special_tokens_mask=True)
        ids, content = torch.tensor([told["input_ids"]]), ~np.array(told["special_tokens_mask"], dtype=bool)
        output, raw = _forward(network, ids)
        states.append([_mean(h, content) for h in output.hidden_states])
        last.append(None if raw is None else _mean(raw, content))
        if (logits := getattr(output, "logits", None)) is not None and logits.shape[:2] == ids.shape:
            scores = logits[0].double().log_softmax(dim=-1)
            nats += [-float(scores[i - 1, ids[0, i]]) for i in np.flatnonzero(content) if i]
    layers = [np.array(points) for points in zip(*states, strict=True)]
    return Reference(layers, None if last[0] is None else np.array(last), float(np.mean(nats)) if nats else None)


def _forward(network: nn.Module, ids: torch.Tensor) -> tuple[Any, torch.Tensor | None]:
    """The output for one text, and the outputs of the last module of the blocks' class."""
    classes = set(getattr(network, "_no_split_modules", None) or ())
    left: list[Any] = []
    lists = [m for m in network.modules() if isinstance(m, nn.ModuleList) and len(m) == DEPTH]
    blocks = [m for modules in lists for m in modules if type(m).__name__ in classes]
    handles = [m.register_forward_hook(lambda _m, _a, out: left.append(_copied(out))) for m in blocks]
    accepted = inspect.signature(network.forward).parameters
    more = {"use_cache": False} if {"use_cache", "kwargs"} & set(accepted) else {}
    try:
        with torch.inference_mode():
            output = network(input_ids=ids, output_hidden_states=True, return_dict=True, **more)
    finally:
        for handle in handles:
            handle.remove()
    fits = [h for h in left if h is not None and h.shape[:2] == ids.shape]
    return output, fits[-1] if fits else None


def _copied(output: Any) -> torch.Tensor | None:
    first = output[0] if isinstance(output, tuple) else output
    return first.clone() if isinstance(first, torch.Tensor) else None  # what follows may write into it


def _mean(hidden: torch.Tensor, content: np.ndarray) -> np.ndarray:
    return hidden[0].float().numpy()[content].mean(axis=0)


def largest(found: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, as a share of the usual norm of a point."""
    if found.shape != expected.shape:
        return float("inf")
    return float(np.abs(found - expected).max() / np.median(np.linalg.norm(expected, axis=1)))


@dataclass
class Outcome:
    """What became of a type: how far the layers, those of batches, and the loss are from the reference; or why it was
    refused or could not be built.
    """

    name: str
    network: str = ""
    model: LoadedModel | None = None
    differs: float = 0.0
    batches: float = 0.0
    loss: float | None = None
    refused: str = ""
    unbuilt: str = ""

    @property
    def agrees(self) -> bool:
        return self.model is not None and max(self.differs, self.batches, self.loss or 0) < AGREES

    def row(self) -> tuple[str, ...]:
        """What the page says of it, without its numbers."""
        if self.unbuilt:
            return (self.name, self.unbuilt)
        if self.model is None:
            return (self.name, self.network, self.refused)
        found = self.model
        language = "next token" if found.predicts_next else "masked tokens" if not found.headless else "none"
        reads = "those before it" if found.probe.causal else "all"
        return (
            self.name,
            self.network,
            reads,
            language,
            found.anatomy.norm_place,
            found.probe.together,
            found.anatomy.by,
        )


def outcome(name: str) -> Outcome:
    """Read the texts by todacomm and by the reference."""
    try:
        network = built(name, device="meta" if name in LARGE else "cpu")
    except UNBUILT as problem:
        return Outcome(name, unbuilt=f"{type(problem).__name__}: {' '.join(str(problem).split())[:90]}")
    found = Outcome(name, type(network).__name__)
    try:
        model = adopt(network, tokenizer(ends=True), name=name)
        one, language = extract(model, TEXTS, pooling="mean", batch_size=1)
        many, again = extract(model, TEXTS, pooling="mean")
    except InvalidInput as refusal:
        found.refused = str(refusal)
        return found
    found.model, expected = model, reference(network)
    found.batches = max(largest(many.layers[k], one.layers[k]) for k in one.layers)
    found.differs = max(largest(one.layers[k], h) for k, h in _expected(name, expected, one.layers).items())
    if language and again and language.loss is not None and expected.loss is not None:
        found.loss = max(abs(x.loss / expected.loss - 1) for x in (language, again) if x.loss is not None)
    return found


def _expected(name: str, told: Reference, layers: Any) -> dict[str, np.ndarray]:
    """The states of the reference by the name of their layer."""
    blocks = [f"layer_{i}" for i in range(sum(k.startswith("layer_") for k in layers))]
    inner = [*blocks[:-1]] if name in STATES_AFTER else ["embedding", *blocks[:-1]]
    found = dict(zip(inner, told.states, strict=False))
    if "final" in layers:
        found["final"] = told.states[-1]
    elif told.last is None:
        found[blocks[-1]] = told.states[-1]
    return found if told.last is None else {**found, blocks[-1]: told.last}


def planned(name: str) -> LoadedModel:
    """The two blocks that a plan is made with, of a network whose weights are nowhere."""
    network = built(name, device="meta")
    words, kind = tokenizer(ends=True), kind_of(network.config, name)

    def loaded(cut: nn.Module, depth: int | None) -> LoadedModel:
        found = anatomy(cut, depth)
        probed = probe(found, words)
        told = decided(kind, "", probed, cut.config)
        return LoadedModel(name, cut, words, *told, found, "cpu", "float32", "", "", probed)

    return size_and_flops.cut_short(network, loaded, site="block", device="cpu", dtype="float32").cut
