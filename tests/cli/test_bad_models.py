"""What the command line says of models that cannot be measured: one paragraph, exit code 2, nothing left behind."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub.errors import GatedRepoError
from safetensors.torch import load_file, save_file

from todacomm.models.names import resolve

DECODER = "tiny-preln-decoder"


def one_line(text):
    return " ".join(text.split())


@pytest.fixture
def copied(tmp_path):
    """A copy of a shipped model that a test may spoil."""
    return shutil.copytree(resolve(DECODER).location, tmp_path / "spoilt")


def assert_refused(outcome, *messages):
    code, out, err = outcome
    assert code == 2
    for message in messages:
        assert message in one_line(err)
    assert "Traceback" not in err
    assert not out
    assert not list(Path("experiments").glob("*")), "no half-written experiment"


def run(todacomm, *arguments):
    return todacomm("run", *arguments, "--samples", 10, "--pool", "mean", "--dataset", "wikitext2")


def test_a_hub_out_of_reach_names_the_model_and_what_works_offline(todacomm, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert_refused(run(todacomm, "--model", "gpt2"), "openai-community/gpt2", "todacomm run")


def test_a_gated_model_says_how_to_get_in(todacomm, monkeypatch):
    def gated(*_, **__):
        raise GatedRepoError.__new__(GatedRepoError)

    monkeypatch.setattr("transformers.utils.hub.hf_hub_download", gated)
    assert_refused(run(todacomm, "--model", "gemma2-2b"), "google/gemma-2-2b", "is gated", "hf auth login")


def test_a_directory_that_is_no_model_says_what_is_missing(todacomm, tmp_path):
    (tmp_path / "notes").mkdir()
    assert_refused(run(todacomm, "--hf-model", "./notes"), "notes", "config.json")


@pytest.mark.slow
def test_pickled_weights_are_refused_unless_asked_for(todacomm, copied):
    import torch

    torch.save(load_file(copied / "model.safetensors"), copied / "pytorch_model.bin")
    (copied / "model.safetensors").unlink()
    assert_refused(run(todacomm, "--hf-model", "./spoilt"), "pytorch_model.bin", "--allow-pickle")
    assert run(todacomm, "--hf-model", "./spoilt", "--allow-pickle", "--quiet")[0] == 0


def test_remote_code_never_runs_unasked(todacomm, copied, tmp_path):
    config = json.loads((copied / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "unheard", "auto_map": {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}}
    (copied / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (copied / "code.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n", encoding="utf-8")
    assert_refused(run(todacomm, "--hf-model", "./spoilt"), "--trust-remote-code")
    assert not (tmp_path / "ran").exists()


def test_nan_in_a_layer_says_which_and_how_many(todacomm, copied):
    weights = load_file(copied / "model.safetensors")
    name = next(n for n in weights if "layer.3" in n and n.endswith("output.dense.bias"))
    weights[name][:] = float("nan")
    save_file(weights, copied / "model.safetensors", metadata={"format": "pt"})
    assert_refused(run(todacomm, "--hf-model", "./spoilt"), "layer_3 of spoilt: 10 of 10 points hold NaN or infinity")


def test_a_number_of_layers_that_the_model_does_not_have(todacomm):
    assert_refused(run(todacomm, "--model", DECODER, "--num-layers", 12), "12", "6")


def test_a_layer_that_the_model_does_not_have(todacomm):
    assert_refused(
        run(todacomm, "--model", DECODER, "--layers", "embedding,layer_6"), "'layer_6' is not a layer", "layer_5"
    )


def test_fewer_than_three_texts(todacomm):
    assert_refused(todacomm("run", "--model", DECODER, "--samples", 2), "at least 3")


def test_empty_texts(todacomm, tmp_path):
    (tmp_path / "blank.txt").write_text("\n  \n\n", encoding="utf-8")
    assert_refused(todacomm("run", "--model", DECODER, "--dataset", "blank.txt"), "blank.txt")


@pytest.mark.usefixtures("no_figures")
def test_texts_longer_than_the_window_are_cut_and_counted(todacomm, tmp_path):
    lines = [f"number {i} " + "word " * (5 if i % 2 else 90) for i in range(10)]
    (tmp_path / "long.txt").write_text("\n".join(lines), encoding="utf-8")
    code, _, _ = todacomm(
        "run", "--model", DECODER, "--dataset", "long.txt", "--samples", 10, "--max-length", 40, "--quiet"
    )
    assert code == 0
    run_0 = next(Path("experiments").glob("*/runs/run_0"))
    assert json.loads((run_0 / "manifest.json").read_text(encoding="utf-8"))["extraction"]["truncated_texts"] == 5
    assert "5 of 10 texts (50%) were cut at 40 tokens." in (run_0 / "tda_interpretation.md").read_text(encoding="utf-8")


def test_texts_that_are_all_the_same(todacomm, tmp_path):
    (tmp_path / "same.txt").write_text("the same\n" * 8, encoding="utf-8")
    outcome = todacomm("run", "--model", DECODER, "--dataset", "same.txt", "--samples", 8, "--pool", "mean")
    assert_refused(outcome, "all 8 points are equal")


def test_a_study_file_with_a_mistyped_value_names_key_and_line(todacomm, tmp_path):
    (tmp_path / "study.yaml").write_text("models: [tiny-preln-decoder]\nsamples: many\n", encoding="utf-8")
    assert_refused(
        todacomm("run", "--config", "study.yaml"), "study.yaml, line 2: samples: expected a whole number, found 'many'"
    )
