import hashlib
import os
import subprocess
import sys

import pytest

from tiny_models import tiny
from todacomm import checkpoints, loading, parts
from todacomm.errors import InvalidInput, MissingExtra, ModelUnavailable, UnknownName
from todacomm.loading import load_model
from todacomm.models import PRESETS, SHIPPED, ModelSource, resolve

# names


def test_names_are_shipped_models_presets_directories_and_hub_ids(tmp_path):
    assert resolve("gpt2") == ModelSource("gpt2", "openai-community/gpt2", None)
    assert resolve("bert", revision="v1") == ModelSource("bert", "google-bert/bert-base-uncased", "v1")
    assert resolve("microsoft/phi-1_5").location == "microsoft/phi-1_5"
    (tmp_path / "mine").mkdir()
    assert resolve(str(tmp_path / "mine")) == ModelSource("mine", str(tmp_path / "mine"), None)
    assert len(PRESETS) == 18
    assert all(hub_id.count("/") == 1 for hub_id in PRESETS.values())


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
    monkeypatch.setattr("todacomm.models.files", lambda _: tmp_path)
    with pytest.raises(ModelUnavailable, match="tiny-preln-decoder ships with todacomm, but .* install it again"):
        resolve("tiny-preln-decoder")
    (tmp_path / "zoo" / SHIPPED[0]).mkdir(parents=True)
    assert resolve(SHIPPED[0]).directory == tmp_path / "zoo" / SHIPPED[0]


# files


def test_a_single_gguf_file_is_found_and_several_must_be_chosen_from(tmp_path):
    (tmp_path / "a.gguf").touch()
    source = resolve(str(tmp_path))
    assert checkpoints.only_gguf(source) == "a.gguf"
    (tmp_path / "config.json").write_text("{}")
    assert checkpoints.only_gguf(source) == "a.gguf"
    (tmp_path / "b.gguf").touch()
    with pytest.raises(InvalidInput, match=r"2 GGUF files \(a.gguf, b.gguf\); say which"):
        checkpoints.only_gguf(source)
    (tmp_path / "model.safetensors").touch()
    assert checkpoints.only_gguf(source) is None
    assert checkpoints.only_gguf(ModelSource("gpt2", "openai-community/gpt2")) is None


def test_gguf_without_its_reader_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "a.gguf").touch()
    monkeypatch.setattr(loading.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"Reading a.gguf needs gguf.*\.\[gguf\]"):
        load_model(resolve(str(tmp_path)))


def test_the_digest_covers_every_shard_in_the_order_of_names(tmp_path):
    network = tiny("gpt2").network
    network.save_pretrained(tmp_path, max_shard_size="10KB")
    files = checkpoints.weight_files(tmp_path)
    assert [f.name for f in files] == sorted(f.name for f in tmp_path.glob("model-*.safetensors"))
    assert len(files) > 1
    expected = hashlib.sha256(b"".join(f.read_bytes() for f in files)).hexdigest()
    assert parts.weights_sha256(parts.parts_of(resolve(str(tmp_path))), None) == expected


# what is printed


def test_quietness_is_given_back(capfd):
    from transformers.utils import logging

    before = (
        logging.get_verbosity(),
        logging.is_progress_bar_enabled(),
        os.environ.get("DISABLE_SAFETENSORS_CONVERSION"),
    )
    with checkpoints.quietly(hide_stderr=True):
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
    code = "import sys, todacomm.models, todacomm.pooling, todacomm.checkpoints; print({'torch', 'transformers'} & set(sys.modules))"
    assert python(code) == "set()\n"


@pytest.mark.parametrize("module", ["loading", "extraction"])
def test_without_torch_the_install_command_is_named(module):
    code = f"""
import sys
sys.modules["torch"] = None
from todacomm.errors import MissingExtra
try:
    import todacomm.{module}
except MissingExtra as error:
    print(error)
"""
    assert "pip install '.[models]'" in python(code)
