"""Models that also take images, blocks that share weights or run in parallel, tokens without an embedding."""

import json

import numpy as np
import pytest
import torch
import transformers as hf
from test_probing import BERT_LIKE, LLAMA_LIKE, XLM, loaded, relative

from tiny_models import SENTENCES, TEXTS, tiny, tokenizer
from todacomm.core.errors import InvalidInput, ModelFailed
from todacomm.core.types import Texts
from todacomm.models.checkpoints.loading import adopt, load_model
from todacomm.models.extraction import extract
from todacomm.models.names import resolve
from todacomm.models.perplexity import MASK_UNKNOWN
from todacomm.models.size_and_flops import skeleton
from todacomm.runs.jobs import as_todacomm_error

TEXT = {**LLAMA_LIKE, "num_key_value_heads": 1}
VISION = {
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "image_size": 16,
}
EYES = {"depth": 3, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "patch_size": 4}
SECTIONS = {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 1, 1]}


def llava():
    text, vision = hf.LlamaConfig(**TEXT), hf.CLIPVisionConfig(**VISION, patch_size=4)
    return hf.LlavaForConditionalGeneration(hf.LlavaConfig(text_config=text, vision_config=vision, image_token_id=299))


def qwen2_vl():
    config = hf.Qwen2VLConfig(text_config={**TEXT, "rope_parameters": SECTIONS}, vision_config=EYES)
    return hf.Qwen2VLForConditionalGeneration(config)


def saved(network, directory):
    network.save_pretrained(directory)
    tokenizer(ends=True).save_pretrained(directory)
    return directory


def mean_of_states(network, text):
    ids = torch.tensor([tokenizer(ends=True)(text)["input_ids"]])
    with torch.inference_mode():
        return [h[0, 1:-1].mean(dim=0).numpy() for h in network(ids, output_hidden_states=True).hidden_states]


@pytest.mark.parametrize("build", [llava, qwen2_vl])
def test_the_text_tower_of_a_model_that_takes_images_is_measured(build, tmp_path):
    """Loaded from a directory or held: layers are the hidden states of text alone, and so is the loss."""
    torch.manual_seed(0)
    network = build().eval()
    model = load_model(resolve(str(saved(network, tmp_path))))
    assert (model.kind, model.headless, model.blocks) == ("causal", "", 3)
    assert model.anatomy.blocks_path == "language_model.layers"
    read, language = extract(model, TEXTS, pooling="mean")
    held, same = extract(adopt(network, tokenizer(ends=True)), TEXTS, pooling="mean")
    assert relative(held.layers, read.layers) < 1e-6
    assert language.loss == pytest.approx(same.loss)
    for i, text in enumerate(SENTENCES[:3]):
        for layer, state in zip(
            ("embedding", "layer_0", "layer_1", "final"), mean_of_states(network, text), strict=True
        ):
            np.testing.assert_allclose(read.layers[layer][i], state, atol=1e-5)


@pytest.mark.parametrize("build", [llava, qwen2_vl])
def test_the_text_tower_alone_is_measured_without_a_head(build):
    model = adopt(build().model.language_model.eval(), tokenizer(ends=True))
    assert (model.kind, bool(model.headless), model.blocks) == ("causal", True, 3)


def test_a_model_that_only_sees_is_refused_by_name():
    network = hf.CLIPVisionModel(hf.CLIPVisionConfig(**VISION, patch_size=4))
    with pytest.raises(
        InvalidInput, match="CLIPVisionModel is of type 'clip_vision_model', neither a causal nor a masked"
    ):
        adopt(network, tokenizer(ends=True))


PLANNED = {
    "XLM": lambda: loaded("XLMWithLMHeadModel", "XLMConfig", **XLM).network,
    "ALBERT": lambda: loaded("AlbertForMaskedLM", "AlbertConfig", **BERT_LIKE, embedding_size=8).network,
    "ALBERT of three groups": lambda: (
        loaded("AlbertForMaskedLM", "AlbertConfig", **BERT_LIKE, embedding_size=8, num_hidden_groups=3).network
    ),
    "LLaVA": llava,
    "Qwen2-VL": qwen2_vl,
    "FNet": lambda: loaded("FNetForMaskedLM", "FNetConfig", **BERT_LIKE).network,
    "Llama both ways": lambda: loaded("LlamaForCausalLM", "LlamaConfig", **LLAMA_LIKE, is_causal=False).network,
}


@pytest.mark.parametrize("name", PLANNED)
def test_a_plan_knows_what_the_whole_model_is(name, tmp_path):
    """Two blocks without their weights have the kind, the layers and the batches of the whole model."""
    whole = adopt(PLANNED[name]().eval(), tokenizer(ends=True))
    found = skeleton(resolve(str(saved(whole.network, tmp_path))), site="block", device="cpu", dtype="float32")
    assert (found.depth, found.cut.blocks, found.width) == (3, 2, whole.anatomy.width)
    assert (found.cut.kind, found.cut.headless) == (whole.kind, whole.headless)
    assert found.cut.probe.together == whole.probe.together
    assert found.layers == tuple(extract(whole, TEXTS, language=False)[0].layers)
    assert found.parameters == whole.parameters


def test_blocks_that_share_their_weights_cost_as_much_as_they_are_applied(tmp_path):
    models = {name: saved(PLANNED[name](), tmp_path / name[-1]) for name in ("ALBERT", "ALBERT of three groups")}
    one, three = (skeleton(resolve(str(d)), site="block", device="cpu", dtype="float32") for d in models.values())
    assert one.block == three.block
    assert one.parameters < three.parameters
    assert one.matrices == three.matrices


@pytest.mark.parametrize("word", ["<new>", "<another>"])
@pytest.mark.parametrize("name", ["gpt2", "bert"])
def test_a_token_that_the_embedding_does_not_have_is_named_with_its_text(name, word):
    words = hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer(ends=True).backend_tokenizer)
    words.add_tokens([word])
    model = adopt(tiny(name).network, words)
    texts = Texts("given", (*SENTENCES[:2], f"the {word} sea", SENTENCES[3]))
    size, id_ = 300, words.convert_tokens_to_ids(word)
    with pytest.raises(
        InvalidInput, match=rf"text 2 \('the {word} sea'\).*'{word}' of id {id_}, but .* has {size} rows"
    ):
        extract(model, texts)
    assert len(extract(model, Texts("given", SENTENCES[:3]))[0].layers["embedding"]) == 3


def test_a_mask_token_that_the_embedding_does_not_have_is_the_reason_for_no_loss():
    words = hf.PreTrainedTokenizerFast(tokenizer_object=tokenizer(ends=True).backend_tokenizer)
    words.add_special_tokens({"mask_token": "<hole>"})
    assert extract(adopt(tiny("bert").network, words), TEXTS)[1].reason == MASK_UNKNOWN


@pytest.mark.parametrize(
    ("problem", "advice"),
    [
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)."), False),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError("Unable to allocate 8 GiB"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
            True,
        ),
        (OSError("No such file"), False),
    ],
)
def test_memory_is_spoken_of_where_it_ran_out(problem, advice):
    found = as_todacomm_error(problem)
    assert isinstance(found, ModelFailed)
    assert ("memory ran out; try fewer --samples or --batch-size 1" in str(found)) == advice


def test_a_model_that_fails_on_longer_texts_is_refused_by_name():
    """A passing probe of a short text does not promise that every text is read."""
    network = loaded("BertForMaskedLM", "BertConfig", **BERT_LIKE).network

    def refuse(_module, args):
        if args[0].shape[1] > 20:
            raise ValueError("sequence length has to be a multiple of 64")

    network.bert.encoder.layer[0].register_forward_pre_hook(refuse)
    model = adopt(network, tokenizer(ends=True))
    with pytest.raises(
        InvalidInput, match=r"BertForMaskedLM cannot read texts of up to \d+ tokens .*multiple of 64\); name"
    ):
        extract(model, TEXTS, language=False)


def test_a_vocabulary_that_is_too_small_is_told_with_both_shapes(tmp_path):
    saved(tiny("gpt2").network, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "vocab_size": 200}))
    with pytest.raises(Exception, match=r"300×16 in the weights, 200×16 by the configuration") as told_of:
        load_model(resolve(str(tmp_path)))
    assert "above report" not in str(told_of.value)


def test_a_base_of_another_name_than_its_class_says_has_a_head_beside_it():
    """Llama 4 says that its base is called language_model, and calls it model."""
    options = {**TEXT, "head_dim": 8, "intermediate_size_mlp": 32, "num_local_experts": 2, "attn_scale": 0.1}
    model = loaded("Llama4ForCausalLM", "Llama4TextConfig", **options)
    assert (model.headless, model.anatomy.blocks_path, model.predicts_next) == ("", "layers", True)
    assert extract(model, TEXTS)[1].loss > 0


def test_scores_that_are_not_of_the_tokens_of_a_text_are_refused():
    network = loaded("LlamaForCausalLM", "LlamaConfig", **LLAMA_LIKE).network
    model = adopt(network, tokenizer(ends=True), name="few")
    network.register_forward_hook(lambda _m, _a, out: type(out)(logits=out.logits[:, :4]))
    with pytest.raises(
        InvalidInput, match=r"few: the head of LlamaForCausalLM gives scores of shape \(1, 4, 300\) for 9 tokens"
    ):
        extract(model, TEXTS)
    assert extract(model, TEXTS, language=False)[0].layers


def test_the_final_norm_is_read_in_the_call_after_the_blocks():
    """NanoChat calls one norm on the embedding and on the last block."""
    model = loaded("NanoChatForCausalLM", "NanoChatConfig", **TEXT)
    assert model.anatomy.final_norm_path == "norm"
    final = extract(model, TEXTS, pooling="mean", language=False)[0].layers["final"]
    for i, text in enumerate(SENTENCES[:3]):
        np.testing.assert_allclose(final[i], mean_of_states(model.network, text)[-1], atol=1e-5)
