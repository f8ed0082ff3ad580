"""Tiny random models of many families, and their tokenizers, built in-process: no network, no downloads."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
import transformers as hf
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from todacomm.core.types import Texts
from todacomm.models.checkpoints.loading import LoadedModel, adopt

torch.set_num_threads(1)  # two threads on tensors of this size only wait for each other
SPECIALS = ("<pad>", "<s>", "</s>", "<unk>", "<mask>")
PAD, START, END, UNKNOWN, MASK = range(5)
VOCABULARY = 300
SENTENCES = (
    "the cat sat on the mat and looked at the moon",
    "a theorem",
    "loops persist while noise dies young, or so they say in the long papers on shape",
    "zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich",
    "one two three four five six seven",
    "persistence",
    "points, bars and diagrams: births before deaths, always",
    "the moon looked back",
    "what is the shape of what a network has learned, layer by layer by layer",
    "no",
    "rivers run to the sea and the sea is never full",
)
TEXTS = Texts("sentences", SENTENCES)
SMALL = {"vocab_size": VOCABULARY, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 2}
MIDDLE = {"intermediate_size": 32}
ENDS = {"pad_token_id": PAD, "bos_token_id": START, "eos_token_id": END}
NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}


@cache
def tokenizer(*, ends: bool, specials: tuple[str, ...] = SPECIALS) -> Any:
    """A byte-level BPE; with ``ends`` it writes <s> text </s> and knows <mask>, without it has only an end of text."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(SENTENCES, trainer)
    if not ends:
        return hf.PreTrainedTokenizerFast(tokenizer_object=backend, eos_token=SPECIALS[END])
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", specials.index("<s>")), ("</s>", END)]
    )
    names = dict(zip(("pad", "bos", "eos", "unk", "mask"), SPECIALS, strict=True))
    return hf.PreTrainedTokenizerFast(tokenizer_object=backend, **{f"{k}_token": v for k, v in names.items()})


@dataclass(frozen=True)
class Family:
    """How to build one tiny model; ``final`` is where its final norm is, empty for a post-norm model."""

    build: Callable[[], Any]
    blocks: str
    final: str
    kind: str = "causal"


def _bert_like(config: str, model: str, **more: Any) -> Callable[[], Any]:
    options = {**SMALL, **MIDDLE, **NO_DROPOUT, "pad_token_id": PAD, "max_position_embeddings": 80, **more}
    return lambda: getattr(hf, model)(getattr(hf, config)(**options))


def _llama_like(prefix: str, config: str = "", **more: Any) -> Callable[[], Any]:
    options = {**SMALL, **MIDDLE, **ENDS, "max_position_embeddings": 64, **more}
    return lambda: getattr(hf, f"{prefix}ForCausalLM")(getattr(hf, config or f"{prefix}Config")(**options))


def _gpt2() -> Any:
    return hf.GPT2LMHeadModel(
        hf.GPT2Config(
            vocab_size=VOCABULARY, n_embd=16, n_layer=3, n_head=2, n_positions=64, bos_token_id=END, eos_token_id=END
        )
    )


def _gpt_neo() -> Any:
    config = hf.GPTNeoConfig(
        vocab_size=VOCABULARY,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        attention_types=[[["global", "local"], 1]],
        window_size=4,
        max_position_embeddings=64,
        bos_token_id=END,
        eos_token_id=END,
    )
    return hf.GPTNeoForCausalLM(config)


def _distilbert() -> Any:
    config = hf.DistilBertConfig(
        vocab_size=VOCABULARY,
        dim=16,
        n_layers=3,
        n_heads=2,
        hidden_dim=32,
        max_position_embeddings=64,
        pad_token_id=PAD,
    )
    return hf.DistilBertForMaskedLM(config)


def _opt(**more: Any) -> Callable[[], Any]:
    options = {**SMALL, **ENDS, "ffn_dim": 32, "max_position_embeddings": 64, "word_embed_proj_dim": 16, **more}
    return lambda: hf.OPTForCausalLM(hf.OPTConfig(**options))


ESM = {
    "position_embedding_type": "rotary",
    "token_dropout": False,
    "emb_layer_norm_before": False,
    "mask_token_id": MASK,
}
GEMMA = {"num_key_value_heads": 1, "head_dim": 8, "sliding_window": 8}
FAMILIES = {
    "gpt2": Family(_gpt2, "h", "ln_f"),
    "gpt_neo": Family(_gpt_neo, "h", "ln_f"),
    "gpt_neox": Family(_llama_like("GPTNeoX"), "layers", "final_layer_norm"),
    "llama": Family(_llama_like("Llama", num_key_value_heads=1), "layers", "norm"),
    "qwen2": Family(_llama_like("Qwen2", num_key_value_heads=1), "layers", "norm"),
    "phi": Family(_llama_like("Phi", num_key_value_heads=2), "layers", "final_layernorm"),
    "gemma2": Family(_llama_like("Gemma2", **GEMMA), "layers", "norm"),
    "gemma3": Family(_llama_like("Gemma3", "Gemma3TextConfig", **GEMMA), "layers", "norm"),
    "opt-pre": Family(_opt(), "decoder.layers", "decoder.final_layer_norm"),
    "opt-post": Family(_opt(do_layer_norm_before=False), "decoder.layers", ""),
    "opt-350m": Family(_opt(do_layer_norm_before=False, word_embed_proj_dim=8), "decoder.layers", ""),
    "bert": Family(_bert_like("BertConfig", "BertForMaskedLM"), "encoder.layer", "", "masked"),
    "roberta": Family(_bert_like("RobertaConfig", "RobertaForMaskedLM"), "encoder.layer", "", "masked"),
    "mpnet": Family(_bert_like("MPNetConfig", "MPNetForMaskedLM"), "encoder.layer", "", "masked"),
    "distilbert": Family(_distilbert, "transformer.layer", "", "masked"),
    "roformer": Family(_bert_like("RoFormerConfig", "RoFormerForMaskedLM"), "encoder.layer", "", "masked"),
    "roformer-decoder": Family(
        _bert_like("RoFormerConfig", "RoFormerForCausalLM", is_decoder=True), "encoder.layer", ""
    ),
    "esm": Family(
        _bert_like("EsmConfig", "EsmForMaskedLM", **ESM), "encoder.layer", "encoder.emb_layer_norm_after", "masked"
    ),
    "esm-decoder": Family(
        _bert_like("EsmConfig", "EsmForMaskedLM", is_decoder=True, **ESM),
        "encoder.layer",
        "encoder.emb_layer_norm_after",
    ),
}
BARE = {"gpt2", "gpt_neo", "llama"}  # no special tokens, no padding token
PRE_NORM = tuple(name for name, family in FAMILIES.items() if family.final)
POST_NORM = tuple(name for name, family in FAMILIES.items() if not family.final)
MASKED = tuple(name for name, family in FAMILIES.items() if family.kind == "masked")
CAUSAL = tuple(name for name, family in FAMILIES.items() if family.kind == "causal")


@cache
def tiny(name: str) -> LoadedModel:
    """The tiny model of a family, with weights large enough that each sublayer moves the stream."""
    torch.manual_seed(list(FAMILIES).index(name))
    network = FAMILIES[name].build().eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:  # RoFormer's sinusoids are none
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    specials = (
        ("<s>", "<pad>", *SPECIALS[2:]) if name == "mpnet" else SPECIALS
    )  # MPNet's padding id is 1 whatever it is told
    return adopt(network, tokenizer(ends=name not in BARE, specials=specials), name=name)
