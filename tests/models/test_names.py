import hashlib
import os
import subprocess
import sys

import pytest

from tiny_models import tiny
from todacomm.core.errors import InvalidInput, MissingExtra, ModelUnavailable, UnknownName
from todacomm.models.checkpoints import base_and_adapter, checkpoint_files, loading
from todacomm.models.checkpoints.loading import load_model
from todacomm.models.names import PRESETS, SHIPPED, ZOO, ModelSource, is_hub_id, resolve

# names


def test_names_are_shipped_models_presets_directories_and_hub_ids(tmp_path):
    assert resolve("gpt2") == ModelSource("gpt2", "openai-community/gpt2", None)
    assert resolve("bert", revision="v1") == ModelSource("bert", "google-bert/bert-base-uncased", "v1")
    assert resolve("microsoft/phi-1_5").location == "microsoft/phi-1_5"
    (tmp_path / "mine").mkdir()
    assert resolve(str(tmp_path / "mine")) == ModelSource("mine", str(tmp_path / "mine"), None)
    assert sum(preset.parameters < 10**9 for preset in PRESETS.values()) >= 20
    assert all(is_hub_id(preset.location) for preset in PRESETS.values())


def test_an_unknown_name_suggests_lists_and_says_how_to_name_any_other():
    with pytest.raises(UnknownName, match=r"Did you mean 'gpt2'\? Known: tiny-postln-encoder, .* --hf-model"):
        resolve("gtp2")
    with pytest.raises(UnknownName, match="not a model"):
        resolve("./not/there")


def test_a_file_is_pointed_to_its_directory(tmp_path):
    (tmp_path / "x.gguf").touch()
    with pytest.raises(ModelUnavailable, match="x.gguf is a file; give the directory"):
        resolve(str(tmp_path / "x.gguf"))


def test_a_shipped_model_that_is_missing_says_that_the_installation_is_incomplete(monkeypatch, tmp_path):
    monkeypatch.setattr("todacomm.models.names.files", lambda _: tmp_path)
    with pytest.raises(ModelUnavailable, match="tiny-preln-decoder ships with todacomm, but .* install it again"):
        resolve("tiny-preln-decoder")
    (tmp_path / "zoo" / SHIPPED[0]).mkdir(parents=True)
    assert resolve(SHIPPED[0]).directory == tmp_path / "zoo" / SHIPPED[0]


def llama(width, depth, middle, heads, groups):
    return "LlamaForCausalLM", {
        "vocab_size": 49152, "hidden_size": width, "num_hidden_layers": depth, "intermediate_size": middle,
    "num_attention_heads": heads, "num_key_value_heads": groups, "tie_word_embeddings": True,
    }  # fmt: skip


def neox(width, depth, heads):
    return "GPTNeoXForCausalLM", {
        "vocab_size": 50304, "hidden_size": width, "num_hidden_layers": depth, "num_attention_heads": heads,
        "intermediate_size": 4 * width, "tie_word_embeddings": False,
    }  # fmt: skip


def gpt2(width, depth, heads):
    return "GPT2LMHeadModel", {"n_embd": width, "n_layer": depth, "n_head": heads}


def roberta(depth):
    return "RobertaForMaskedLM", {
        "vocab_size": 50265, "max_position_embeddings": 514, "type_vocab_size": 1, "num_hidden_layers": depth
    }  # fmt: skip


LARGE = {"hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16}
QWEN2 = {
    "vocab_size": 151936, "hidden_size": 896, "num_hidden_layers": 24, "intermediate_size": 4864,
    "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": True,
}  # fmt: skip
QWEN3 = {
    "vocab_size": 151936, "hidden_size": 1024, "num_hidden_layers": 28, "intermediate_size": 3072,
    "num_attention_heads": 16,
    "num_key_value_heads": 8, "head_dim": 128, "tie_word_embeddings": True,
}  # fmt: skip
GEMMA2 = {
    "vocab_size": 256000, "hidden_size": 2304, "num_hidden_layers": 26, "intermediate_size": 9216,
    "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 256,
}  # fmt: skip
NEO = {"hidden_size": 768, "num_layers": 12, "num_heads": 12, "attention_types": [[["global", "local"], 6]]}
# the published configuration of every preset; what is left out is the default of the library, which is made for that
# model
PUBLISHED = {
    "gpt2": gpt2(768, 12, 12),
    "gpt2-medium": gpt2(1024, 24, 16),
    "gpt2-large": gpt2(1280, 36, 20),
    "distilgpt2": gpt2(768, 6, 12),
    "bert": ("BertForMaskedLM", {}),
    "bert-large": ("BertForMaskedLM", {**LARGE, "intermediate_size": 4096}),
    "distilbert": ("DistilBertForMaskedLM", {}),
    "roberta": roberta(12),
    "distilroberta": roberta(6),
    "modernbert": ("ModernBertForMaskedLM", {}),
    "pythia-14m": neox(128, 6, 4),
    "pythia-70m": neox(512, 6, 8),
    "pythia-160m": neox(768, 12, 12),
    "pythia-410m": neox(1024, 24, 16),
    "smollm-135m": llama(576, 30, 1536, 9, 3),
    "smollm-360m": llama(960, 32, 2560, 15, 5),
    "smollm2-135m": llama(576, 30, 1536, 9, 3),
    "smollm2-360m": llama(960, 32, 2560, 15, 5),
    "qwen2-0.5b": ("Qwen2ForCausalLM", QWEN2),
    "qwen2.5-0.5b": ("Qwen2ForCausalLM", QWEN2),
    "qwen2.5-coder-0.5b": ("Qwen2ForCausalLM", QWEN2),
    "qwen3-0.6b": ("Qwen3ForCausalLM", QWEN3),
    "opt-125m": ("OPTForCausalLM", {}),
    "opt-350m": (
        "OPTForCausalLM",
        {**LARGE, "ffn_dim": 4096, "word_embed_proj_dim": 512, "do_layer_norm_before": False},
    ),
    "gpt-neo-125m": ("GPTNeoForCausalLM", NEO),
    "gemma2-2b": ("Gemma2ForCausalLM", GEMMA2),
}


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_the_parameters_and_the_kind_of_its_published_configuration(name):
    """Built without numbers from the configuration that stands beside the weights on the hub."""
    import torch
    import transformers

    architecture, config = PUBLISHED[name]
    kind = getattr(transformers, architecture)
    with torch.device("meta"):
        network = kind(kind.config_class(**config))
    network.tie_weights()
    assert sum(parameter.numel() for parameter in network.parameters()) == PRESETS[name].parameters
    assert loading.kind_of(network.config, name) == PRESETS[name].kind


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_model_has_the_parameters_and_the_kind_of_the_catalogue(name):
    model = load_model(resolve(name), device="cpu")
    assert (model.parameters, model.kind) == (ZOO[name].parameters, ZOO[name].kind)


# files


def test_a_single_gguf_file_is_found_and_several_must_be_chosen_from(tmp_path):
    (tmp_path / "a.gguf").touch()
    source = resolve(str(tmp_path))
    assert checkpoint_files.only_gguf(source) == "a.gguf"
    (tmp_path / "config.json").write_text("{}")
    assert checkpoint_files.only_gguf(source) == "a.gguf"
    (tmp_path / "b.gguf").touch()
    with pytest.raises(InvalidInput, match=r"2 GGUF files \(a.gguf, b.gguf\); say which"):
        checkpoint_files.only_gguf(source)
    (tmp_path / "model.safetensors").touch()
    assert checkpoint_files.only_gguf(source) is None
    assert checkpoint_files.only_gguf(ModelSource("gpt2", "openai-community/gpt2")) is None


def test_gguf_without_its_reader_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.gguf").touch()
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"Reading a.gguf needs gguf.*\.\[gguf\]"):
        load_model(resolve(str(tmp_path)))


def test_the_digest_covers_every_shard_in_the_order_of_names(tmp_path):
    network = tiny("gpt2").network
    network.save_pretrained(tmp_path, max_shard_size="10KB")
    files = checkpoint_files.weight_files(tmp_path)
    assert [f.name for f in files] == sorted(f.name for f in tmp_path.glob("model-*.safetensors"))
    assert len(files) > 1
    expected = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()
    assert base_and_adapter.weights_sha256(base_and_adapter.parts_of(resolve(str(tmp_path))), None) == expected


# what is printed


def test_quietness_is_given_back(capfd):
    from transformers.utils import logging

    before = (
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        os.environ.get("DISABLE_SAFETENSORS_CONVERSION"),
    )
    with checkpoint_files.quietly(hide_stderr=True):
        sys.stderr.write("hidden")
        assert logging.get_verbosity() == logging.CRITICAL
    assert capfd.readouterr().err == ""
    assert before == (
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        os.environ.get("DISABLE_SAFETENSORS_CONVERSION"),
    )


# without torch


def python(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_names_and_poolings_need_no_torch():
    code = (
        "import sys, todacomm.models.names, todacomm.models.pooling, todacomm.models.checkpoints.checkpoint_files; "
        "print({'torch', 'transformers'} & set(sys.modules))"
    )
    assert python(code) == "set()\n"


@pytest.mark.parametrize("module", ["checkpoints.loading", "extraction"])
def test_without_torch_the_install_command_is_named(module):
    code = f"""
import sys
sys.modules["torch"] = None
from todacomm.core.errors import MissingExtra
try:
    import todacomm.models.{module}
except MissingExtra as error:
    print(error)
"""
    assert "pip install '.[models]'" in python(code)
