"""Probing a model: chains of blocks, padding that reaches real tokens, tokens that see ahead."""

import json

import numpy as np
import pytest
import torch
import transformers as hf

from tiny_models import ENDS, MIDDLE, NO_DROPOUT, PAD, SENTENCES, SMALL, TEXTS, tiny, tokenizer
from todacomm.core.errors import InvalidInput
from todacomm.core.types import Texts
from todacomm.models.checkpoints.loading import adopt
from todacomm.models.extraction import extract
from todacomm.runs.experiment import card_of, notes_of

WINDOW = {"max_position_embeddings": 64}
BERT_LIKE = {**SMALL, **MIDDLE, **NO_DROPOUT, "pad_token_id": PAD, **WINDOW}
LLAMA_LIKE = {**SMALL, **MIDDLE, **ENDS, **WINDOW}
XLM = {"vocab_size": 300, "emb_dim": 16, "n_layers": 3, "n_heads": 2, "n_langs": 1, "pad_index": PAD, **WINDOW}
GEMMA = {**LLAMA_LIKE, "num_key_value_heads": 1, "head_dim": 8}


def loaded(model, config, /, *, name="tiny", **options):
    """A tiny model whose weights are large enough that every sublayer moves the stream."""
    torch.manual_seed(1)
    network = getattr(hf, model)(getattr(hf, config)(**options)).eval()
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return adopt(network, tokenizer(ends=True), name=name)


def reported(model, text):
    """The hidden states that transformers gives for one text alone."""
    ids = torch.tensor([model.tokenizer(text)["input_ids"]])
    with torch.inference_mode():
        states = model.network(ids, attention_mask=torch.ones_like(ids), output_hidden_states=True).hidden_states
    return [h[0, 1:-1].mean(dim=0).numpy() for h in states]


def assert_layers_are_reported(model, *, each=1):
    """Without a final norm all layers are transformers' hidden states, ``each`` a block, text by text."""
    found = extract(model, TEXTS, pooling="mean", language=False)[0].layers
    for i, text in enumerate(TEXTS.items[:4]):
        for points, state in zip(found.values(), reported(model, text)[::each], strict=True):
            np.testing.assert_allclose(points[i], state, atol=1e-5)


def relative(a, b):
    return max(np.abs(a[k] - b[k]).max() / np.median(np.linalg.norm(b[k], axis=1)) for k in b)


# Which modules are the chain of blocks


@pytest.mark.parametrize(
    ("model", "config", "more"),
    [
        ("XLMWithLMHeadModel", "XLMConfig", {}),
        ("FlaubertWithLMHeadModel", "FlaubertConfig", {}),
        ("XLMWithLMHeadModel", "XLMConfig", {"n_layers": 1}),
        ("XLMWithLMHeadModel", "XLMConfig", {"n_layers": 2, "gelu_activation": False}),
    ],
)
def test_lists_that_run_side_by_side_are_not_taken_for_the_blocks(model, config, more):
    """XLM keeps attention, norms and MLPs in four lists: the stream after a block is what leaves its second norm."""
    found = loaded(model, config, **{**XLM, **more})
    assert (found.anatomy.blocks_path, found.anatomy.by) == ("layer_norm2", "hidden states")
    assert found.outcome["blocks_by"] == "hidden states"
    assert_layers_are_reported(found)


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("inner", [1, 2])
def test_blocks_that_share_their_weights_are_read_call_by_call(groups, inner):
    """ALBERT applies one group again and again, or a few in turn."""
    options = {**BERT_LIKE, "embedding_size": 8, "num_hidden_groups": groups, "inner_group_num": inner}
    found = loaded("AlbertForMaskedLM", "AlbertConfig", **options)
    assert (found.blocks, len(set(found.anatomy.blocks)), found.anatomy.by) == (3, groups, "chain")
    assert (found.anatomy.norm_place, found.anatomy.width) == ("post-LN", 16)
    assert_layers_are_reported(found, each=inner)


def test_the_sublayers_of_shared_blocks_are_read_call_by_call():
    found = loaded("AlbertForMaskedLM", "AlbertConfig", **BERT_LIKE, embedding_size=8)
    attention, mlp = (
        extract(found, TEXTS, site=s, pooling="mean", language=False)[0].layers for s in ("attention", "mlp")
    )
    assert list(attention) == list(mlp) == ["layer_0", "layer_1", "layer_2"]
    for layers in (attention, mlp):
        assert all(
            np.abs(layers[a] - layers[b]).max() > 0.01 for a, b in (("layer_0", "layer_1"), ("layer_1", "layer_2"))
        )


@pytest.mark.parametrize(
    ("model", "config", "options"),
    [
        (
            "XLNetLMHeadModel",
            "XLNetConfig",
            {"vocab_size": 300, "d_model": 16, "n_layer": 3, "n_head": 2, "d_inner": 32},
        ),
        (
            "LongformerForMaskedLM",
            "LongformerConfig",
            {**BERT_LIKE, "attention_window": 8, "max_position_embeddings": 80},
        ),
    ],
)
def test_a_stream_that_lies_otherwise_in_memory_is_put_upright(model, config, options):
    """XLNet has (tokens, texts, features) inside; Longformer appends tokens of its own."""
    assert_layers_are_reported(loaded(model, config, **options))


@pytest.mark.parametrize(
    ("model", "config", "options"),
    [
        (
            "FunnelForMaskedLM",
            "FunnelConfig",
            {"vocab_size": 300, "d_model": 16, "n_head": 2, "d_head": 8, "d_inner": 32},
        ),
        ("SqueezeBertForMaskedLM", "SqueezeBertConfig", {**BERT_LIKE, "embedding_size": 16}),
        ("XmodForMaskedLM", "XmodConfig", BERT_LIKE),
    ],
)
def test_a_model_whose_stream_cannot_be_read_is_refused_by_name(model, config, options):
    with pytest.raises(InvalidInput, match=rf"{model}.*td\.activations\(module, batches") as told:
        loaded(model, config, **options)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("decoder", [False, True])
def test_the_place_of_the_norm_is_asked_of_every_block(decoder):
    """The first block of ModernBERT has no norm before its attention."""
    options = {**LLAMA_LIKE, "cls_token_id": 1, "sep_token_id": 2}
    names = ("ModernBertDecoderForCausalLM", "ModernBertDecoderConfig") if decoder else ("ModernBertForMaskedLM",
        "ModernBertConfig")  # fmt: skip
    assert loaded(*names, **options).anatomy.norm_place == "pre-LN"


# Padding


@pytest.mark.parametrize("name", ["XLM", "Flaubert"])
@pytest.mark.parametrize("padding", [2, 7])
def test_a_real_token_with_the_id_of_padding_is_read(name, padding):
    """Alone and beside longer texts alike; without a mask XLM would take it for padding."""
    found = loaded(f"{name}WithLMHeadModel", f"{name}Config", **{**XLM, "pad_index": padding}, pad_token_id=padding)
    alone, auto = (extract(found, TEXTS, pooling="mean", batch_size=b, language=False)[0] for b in (1, "auto"))
    assert relative(auto.layers, alone.layers) < 1e-5


PADDED = {
    "FNet": ("FNetForMaskedLM", "FNetConfig", {**BERT_LIKE, "tpu_short_seq_length": 64}),
    "ConvBERT": ("ConvBertForMaskedLM", "ConvBertConfig", {**BERT_LIKE, "embedding_size": 16}),
    "Nystroemformer": ("NystromformerForMaskedLM", "NystromformerConfig", BERT_LIKE),
    "MobileBERT": (
        "MobileBertForMaskedLM",
        "MobileBertConfig",
        {**BERT_LIKE, "embedding_size": 8, "intra_bottleneck_size": 16, "true_hidden_size": 16},
    ),
}


@pytest.mark.parametrize("name", PADDED)
def test_where_padding_reaches_real_tokens_only_texts_of_equal_length_share_a_batch(name):
    model, config, options = PADDED[name]
    found = loaded(model, config, name=name, **options)
    assert found.probe.padding > 1e-4
    assert card_of(found).probe["batches"] == "equal lengths"
    alone, auto, seven = (extract(found, TEXTS, pooling="mean", batch_size=b) for b in (1, "auto", 7))
    assert max(relative(auto[0].layers, alone[0].layers), relative(seven[0].layers, alone[0].layers)) < 1e-5
    assert auto[1].masked_loss == pytest.approx(alone[1].masked_loss, rel=1e-5)
    assert any("only texts of equal length shared a batch" in note for note in notes_of(auto[0]))


@pytest.mark.parametrize("name", ["gpt2", "bert", "mpnet", "esm-decoder", "opt-350m"])
def test_where_padding_is_masked_out_texts_of_any_length_share_a_batch(name):
    found = tiny(name)
    assert found.probe.together == "any"
    assert max(found.probe.padding, found.probe.company) < 1e-5
    assert not any("batch" in note for note in notes_of(extract(found, TEXTS, language=False)[0]))


def test_padding_is_asked_of_each_side():
    """RWKV reads padding like text, so what comes before a text changes it and what comes after does not."""
    options = {"vocab_size": 300, "hidden_size": 16, "num_hidden_layers": 3, "context_length": 64}
    found = loaded("RwkvForCausalLM", "RwkvConfig", **options)
    alone, left, right = (
        extract(found, TEXTS, padding=side, batch_size=b, language=False)[0]
        for side, b in (("left", 1), ("left", "auto"), ("right", "auto"))
    )
    assert (left.notes["batches"], right.notes["batches"]) == ("equal lengths", "any")
    assert max(relative(left.layers, alone.layers), relative(right.layers, alone.layers)) < 1e-5


# Which tokens a token sees


BOTH_WAYS = {
    "Llama": ("LlamaForCausalLM", "LlamaConfig", {**LLAMA_LIKE, "is_causal": False}),
    "Mistral": ("MistralForCausalLM", "MistralConfig", {**LLAMA_LIKE, "num_key_value_heads": 1, "is_causal": False}),
    "Qwen3": ("Qwen3ForCausalLM", "Qwen3Config", {**GEMMA, "is_causal": False}),
    "Gemma 3": ("Gemma3ForCausalLM", "Gemma3TextConfig", {**GEMMA, "use_bidirectional_attention": True}),
    "XLNet": (
        "XLNetLMHeadModel",
        "XLNetConfig",
        {"vocab_size": 300, "d_model": 16, "n_layer": 3, "n_head": 2, "d_inner": 32},
    ),
}


@pytest.mark.parametrize("name", BOTH_WAYS)
def test_a_model_whose_tokens_see_those_after_them_has_no_next_token_loss(name):
    model, config, options = BOTH_WAYS[name]
    found = loaded(model, config, name=name, **options)
    assert (found.kind, found.predicts_next, found.outcome["causal"]) == ("masked", False, False)
    read, language = extract(found, TEXTS)
    assert read.pooling == "cls"
    assert (language.loss, language.perplexity, language.masked_loss) == (None, None, None)
    assert "each token sees those after it" in language.reason
    assert any(f"{name} reads both ways" in note for note in notes_of(read))


@pytest.mark.parametrize("name", ["gpt2", "llama", "gemma3", "roformer-decoder", "opt-post"])
def test_a_causal_model_stays_one(name):
    assert (tiny(name).kind, tiny(name).probe.causal, tiny(name).predicts_next) == ("causal", True, True)
    assert tiny(name).probe.later > 1e-3


def test_a_model_of_a_masked_type_that_reads_only_backwards_is_causal():
    """XLM was trained both ways: with ``causal`` its head predicts the next token."""
    found = loaded("XLMWithLMHeadModel", "XLMConfig", **XLM, causal=True)
    assert (found.kind, found.headless) == ("causal", "")
    read, language = extract(found, TEXTS)
    assert read.pooling == "last"
    assert language.loss > 0


# The probe itself


def test_a_model_that_gives_other_numbers_each_time_is_refused():
    network = tiny("bert").network
    handle = network.bert.encoder.layer[1].register_forward_hook(lambda _m, _a, out: out + torch.rand(out.shape))
    try:
        with pytest.raises(InvalidInput, match="BertModel gives other hidden states each time it reads the same text"):
            adopt(network, tokenizer(ends=True))
    finally:
        handle.remove()


def test_texts_that_change_one_another_are_read_one_by_one():
    network = loaded("BertForMaskedLM", "BertConfig", **BERT_LIKE).network
    network.bert.encoder.layer[1].register_forward_hook(lambda _m, _a, out: out + 0.1 * out.mean(dim=0, keepdim=True))
    found = adopt(network, tokenizer(ends=True))
    assert found.outcome["batches"] == "none"
    alone, auto = (extract(found, TEXTS, batch_size=b, language=False)[0] for b in (1, "auto"))
    assert relative(auto.layers, alone.layers) == 0
    assert any("each was read alone" in note for note in notes_of(auto))


def test_the_outcome_is_json():
    assert json.loads(json.dumps(tiny("gpt2").outcome)) == tiny("gpt2").outcome
    assert tiny("gpt2").as_dict()["probe"]["blocks_by"] == "chain"


def test_numbers_that_are_not_finite_do_not_decide_how_a_model_reads():
    network = loaded("LlamaForCausalLM", "LlamaConfig", **LLAMA_LIKE).network
    with torch.no_grad():
        network.model.layers[1].mlp.down_proj.weight[0, 0] = torch.nan
    assert adopt(network, tokenizer(ends=True)).kind == "causal"


@pytest.mark.parametrize("original", [20, 30])
def test_what_only_longer_texts_show_is_asked_with_the_texts_themselves(original):
    """Rotary angles that follow the longest text of a batch: a short text shows nothing of it."""
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": original, "factor": 4.0}
    factors = {"short_factor": [1.0] * 4, "long_factor": [4.0, 3.0, 2.0, 1.5]}
    found = loaded("LlamaForCausalLM", "LlamaConfig", **LLAMA_LIKE, rope_parameters=rope | factors)
    assert found.probe.together == "any"
    texts = Texts("two", (SENTENCES[1], SENTENCES[2], SENTENCES[1], SENTENCES[5]))  # 7, 51, 7 and 8 tokens
    alone, auto = (extract(found, texts, batch_size=b, language=False, max_length=40)[0] for b in (1, "auto"))
    assert auto.notes["batches"] == "equal lengths"
    assert relative(auto.layers, alone.layers) < 1e-5
