"""Checkpoints as people have them: in shards, of a Trainer, without a tokenizer, of two names, mistyped, damaged."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import todacomm as td
from tiny_models import TEXTS, tiny
from todacomm.core.errors import InvalidInput, MissingExtra, ModelUnavailable, UnknownName, UnsafeModel
from todacomm.models.batching import longest
from todacomm.models.checkpoints import checkpoint_files
from todacomm.models.checkpoints.loading import load_model
from todacomm.models.names import resolve
from todacomm.runs.cache.keys import checkpoint_of
from todacomm.runs.cache.store import Cache
from todacomm.runs.config import Study
from todacomm.runs.jobs import jobs_of, one_by_one, sources_of

QUICK = {"resamples": 0, "null_draws": 0, "pooling": "mean"}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    directory = tmp_path_factory.mktemp("models") / "gpt2"
    tiny("gpt2").network.save_pretrained(directory)
    tiny("gpt2").tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def model(saved, tmp_path):
    """A saved model that a test may damage."""
    return Path(shutil.copytree(saved, tmp_path / "gpt2"))


@pytest.fixture
def sharded(tmp_path):
    tiny("gpt2").network.save_pretrained(tmp_path / "sharded", max_shard_size="20KB")
    tiny("gpt2").tokenizer.save_pretrained(tmp_path / "sharded")
    return tmp_path / "sharded"


def load(directory, **options):
    return load_model(resolve(str(directory)), device="cpu", **options)


def edit(path, change):
    found = json.loads(path.read_text())
    change(found)
    path.write_text(json.dumps(found))


# shards

INDEX = "model.safetensors.index.json"


def renamed(sharded, to):
    """The index with its first shard under another name."""

    def change(index):
        first = min(index["weight_map"].values())
        index["weight_map"] = {k: to if v == first else v for k, v in index["weight_map"].items()}

    edit(sharded / INDEX, change)


@pytest.mark.parametrize("name", ["shard.bin", "shard.pt", "shard", "deeper/shard.safetensors.bin"])
@pytest.mark.parametrize("allowed", [False, True])
def test_an_index_of_safetensors_that_names_another_file_is_never_read_as_a_pickle(sharded, name, allowed, monkeypatch):
    renamed(sharded, name)
    monkeypatch.setattr(torch, "load", lambda *_, **__: pytest.fail("a pickle was read"))
    with pytest.raises(UnsafeModel, match=rf"names {name} among its files, which is no safetensors file"):
        load(sharded, allow_pickle=allowed)


@pytest.mark.parametrize(
    "name",
    ["../model.safetensors", "/etc/model.safetensors", "a/../../m.safetensors", "..\\m.safetensors", "a\0.safetensors"],
)
@pytest.mark.parametrize("index", [INDEX, "pytorch_model.bin.index.json"])
def test_a_shard_outside_the_directory_is_refused(sharded, index, name):
    renamed(sharded, name)
    (sharded / INDEX).rename(sharded / index)
    with pytest.raises(UnsafeModel, match="lies outside its directory; only files beside it are read"):
        load(sharded, allow_pickle=True)


@pytest.mark.parametrize(
    "content", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}', "\x00", "[" * 9000]
)
def test_a_damaged_index_is_named(sharded, content):
    (sharded / INDEX).write_text(content)
    with pytest.raises(ModelUnavailable, match="model.safetensors.index.json"):
        load(sharded)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_what_git_leaves_in_place_of_a_large_file_is_told(model, name):
    (model / "model.safetensors").unlink()
    (model / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 548105171\n")
    with pytest.raises(ModelUnavailable, match=f"{name} is not the file but what Git LFS keeps .* git lfs pull"):
        load(model)


def test_a_shard_that_is_missing_is_named(sharded):
    first = checkpoint_files.weight_files(sharded)[0]
    first.unlink()
    with pytest.raises(ModelUnavailable, match=f"sharded .* cannot be loaded: .*{first.name}"):
        load(sharded)


def test_the_folder_of_a_trainer_names_its_checkpoints(model, tmp_path):
    """Also where it holds the configuration, but no weights."""
    for step in (500, 1000):
        shutil.copytree(model, tmp_path / "run" / f"checkpoint-{step}")
    with pytest.raises(
        ModelUnavailable, match=r"run is not a model: .* It holds 2 models: give one of them, as .*-500, .*-1000"
    ):
        load(tmp_path / "run")
    shutil.copy(model / "config.json", tmp_path / "run")
    with pytest.raises(
        ModelUnavailable, match="run: no weights at .* It holds 2 models: give one of them, as .*-500, .*-1000"
    ):
        load(tmp_path / "run")


def test_shards_make_the_same_model(sharded, saved):
    found, wanted = (td.run(str(d), texts=TEXTS, **QUICK) for d in (sharded, saved))
    assert list(found["H0_total_persistence"]) == list(wanted["H0_total_persistence"])


# what is in the identity


def test_a_file_that_the_configuration_names_is_read_and_in_the_digest(model, cache_place):
    (model / "model.safetensors").rename(model / "weights.safetensors")
    edit(model / "config.json", lambda config: config.update(transformers_weights="weights.safetensors"))
    first = checkpoint_of(resolve(str(model)), Cache(cache_place))
    assert (
        load(model).weights_sha256
        == first.weights_sha256
        == checkpoint_files.sha256_of([model / "weights.safetensors"])
    )
    edit(model / "config.json", lambda config: config.update(transformers_weights="../weights.safetensors"))
    with pytest.raises(UnsafeModel, match="outside its directory"):
        load(model)


def test_weights_of_the_same_size_and_time_are_told_apart(model, cache_place):
    weights = model / "model.safetensors"
    times = (weights.stat().st_atime_ns, weights.stat().st_mtime_ns)
    first = checkpoint_of(resolve(str(model)), Cache(cache_place))
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    os.utime(weights, ns=times)
    assert checkpoint_of(resolve(str(model)), Cache(cache_place)).content != first.content


def test_code_that_comes_with_a_model_may_read_any_of_its_files(model, cache_place):
    (model / "tables").mkdir()

    def content(**options):
        return checkpoint_of(resolve(str(model)), Cache(cache_place), **options).content

    plain, trusted = content(), content(remote_code=True)
    (model / "tables" / "extra.pt").write_bytes(b"1")
    assert (content() == plain, content(remote_code=True) == trusted) == (True, False)


def with_adapter(directory, base=""):
    """A LoRA beside a model, written by hand, so that PEFT is not needed."""
    from safetensors.numpy import save_file

    directory.mkdir(exist_ok=True)
    config = {
        "peft_type": "LORA",
        "base_model_name_or_path": base,
        "r": 2,
        "lora_alpha": 2,
        "target_modules": ["c_attn"],
    }
    (directory / "adapter_config.json").write_text(json.dumps(config))
    path = "base_model.model.transformer.h.0.attn.c_attn.lora"
    arrays = {f"{path}_A.weight": np.ones((2, 16), np.float32), f"{path}_B.weight": np.ones((48, 2), np.float32)}
    save_file(arrays, directory / "adapter_model.safetensors")
    return directory


@pytest.mark.parametrize("where", ["beside", "alone"])
def test_an_adapter_is_never_passed_over_where_peft_is_not_installed(model, where, tmp_path, monkeypatch, todacomm):
    directory = with_adapter(model) if where == "beside" else with_adapter(tmp_path / "tuned", str(model))
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"The adapter of \w+ at .* needs peft.* pip install '.\[adapters\]'"):
        load(directory)
    code, _, err = todacomm("run", "--hf-model", directory, "--samples", 12, "-q")
    assert (code, "pip install '.[adapters]'" in " ".join(err.split())) == (2, True)


def test_an_adapter_is_in_the_identity_where_peft_is_not_installed(model, cache_place, monkeypatch):
    plain = checkpoint_of(resolve(str(model)), Cache(cache_place))
    with_adapter(model)
    monkeypatch.setattr("todacomm.runs.cache.keys.installed", lambda name: None)
    found = checkpoint_of(resolve(str(model)), Cache(cache_place))
    assert (found.content == plain.content, found.weights_sha256 == plain.weights_sha256) == (False, False)


# weights that do not fit their configuration


def test_tensors_of_blocks_that_nobody_reads_are_named(model):
    """Of the 12 of a block transformers passes over one by itself, c_attn.bias."""
    edit(model / "config.json", lambda config: config.update(n_layer=2))
    with pytest.raises(
        ModelUnavailable,
        match=r"11 tensors in their blocks that GPT2LMHeadModel does not read \(the first is transformer.h.2",
    ):
        load(model)


@pytest.mark.parametrize("name", ["transformer.h.0.attn.c_attn.lora_A.weight", "h.1.attn.adapter.down.weight"])
def test_tensors_beside_those_of_a_block_are_named(model, name):
    from safetensors.torch import load_file, save_file

    weights = model / "model.safetensors"
    save_file({**load_file(weights), name: torch.zeros(2, 2)}, weights, {"format": "pt"})
    with pytest.raises(ModelUnavailable, match=f"1 tensors in their blocks .*the first is {name}"):
        load(model)


@pytest.mark.parametrize(
    "name",
    [
        "transformer.h.0.attn.bias",
        "transformer.h.0.attn.masked_bias",
        "transformer.h.1.attn.causal_mask",
        "score.weight",
        "v_head.summary.weight",
    ],
)
def test_buffers_and_other_heads_may_be_left_over(model, name):
    from safetensors.torch import load_file, save_file

    weights = model / "model.safetensors"
    save_file({**load_file(weights), name: torch.zeros(2, 2)}, weights, {"format": "pt"})
    assert load(model).blocks == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"vocab_size": 200},
            r"1 tensors of another shape .*\(the first is transformer.wte.weight: 300×16 in the weights, 200×16",
        ),
        ({"n_positions": 32}, r"transformer.wpe.weight: 64×16 in the weights, 32×16"),
        ({"n_embd": 32}, r"tensors of another shape than config.json gives"),
    ],
)
def test_tensors_of_another_shape_are_named_with_both(model, change, message):
    edit(model / "config.json", lambda config: config.update(change))
    with pytest.raises(ModelUnavailable, match=message):
        load(model)


# tokenizers


def without_tokenizer(directory):
    for path in directory.glob("tokenizer*"):
        path.unlink()
    return directory


def test_a_checkpoint_of_a_trainer_takes_the_tokenizer_that_is_given(model, saved, tmp_path):
    wanted = td.run(str(saved), texts=TEXTS, **QUICK)
    without_tokenizer(model)
    with pytest.raises(
        ModelUnavailable, match=r"gpt2: no tokenizer can be read at .*[^:]; give the one .*--tokenizer DIR"
    ):
        td.run(str(model), texts=TEXTS, **QUICK)
    found = td.run(str(model), texts=TEXTS, tokenizer=str(saved), **QUICK)
    assert list(found["H0_total_persistence"]) == list(wanted["H0_total_persistence"])
    assert (found.card.tokenizer_from, wanted.card.tokenizer_from) == (str(saved), "")
    held = td.run(str(model), texts=TEXTS, tokenizer=tiny("gpt2").tokenizer, **QUICK)
    assert list(held["H0_total_persistence"]) == list(wanted["H0_total_persistence"])


def test_another_tokenizer_is_another_model_for_the_cache(model, saved, tmp_path, cache_place):
    def content(**options):
        return checkpoint_of(resolve(str(model), **options), Cache(cache_place)).content

    tiny("bert").tokenizer.save_pretrained(tmp_path / "words")
    found = {content(), content(tokenizer=str(tmp_path / "words"))}
    edit(tmp_path / "words" / "tokenizer.json", lambda tokenizer: tokenizer.update(truncation=None, added_tokens=[]))
    assert len({*found, content(tokenizer=str(tmp_path / "words"))}) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
def test_the_option_reaches_runs_studies_and_records(model, saved, todacomm, tmp_path):
    without_tokenizer(model)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS.items))
    common = ("--dataset", "texts.txt", "--samples", "6", "--pool", "mean", "--resamples", "0", "--null-draws", "0")
    code, _, err = todacomm("run", "--hf-model", model, *common, "-q")
    assert (code, "--tokenizer DIR" in err) == (2, True)
    assert todacomm("plan", "--hf-model", model, "--tokenizer", saved, *common)[0] == 0
    assert todacomm("run", "--hf-model", model, "--tokenizer", saved, *common, "-q")[0] == 0
    (run,) = (tmp_path / "experiments").glob("*/runs/run_0")
    assert json.loads((run / "manifest.json").read_text())["card"]["tokenizer_from"] == str(saved)
    configuration = run.parent.parent / "experiment_config.yaml"
    assert Study(models=("x",)).tokenizer is None
    assert f"tokenizer: {saved}" in configuration.read_text()
    assert todacomm("run", "--config", configuration, "-q")[0] == 0


TOKENIZERS = {
    "of another version": lambda path: edit(path, lambda t: t.update(version="9.9", model={"type": "Telepathy"})),
    "no JSON": lambda path: path.write_text("{"),
    "a list": lambda path: path.write_text("[1]"),
    "empty": lambda path: path.write_text(""),
    "no vocabulary": lambda path: edit(path, lambda t: t["model"].update(vocab={}, merges=[])),
    "a regular expression that is none": lambda path: edit(
        path,
        lambda t: t.update(
            pre_tokenizer={"type": "Split", "pattern": {"Regex": "(((("}, "behavior": "Isolated", "invert": False}
        ),
    ),
}


@pytest.mark.parametrize("damage", TOKENIZERS)
def test_a_tokenizer_that_cannot_be_read_is_named(model, damage):
    TOKENIZERS[damage](model / "tokenizer.json")
    (model / "tokenizer_config.json").unlink()
    with pytest.raises(ModelUnavailable, match="gpt2: no tokenizer can be read at .*--tokenizer DIR"):
        load(model)


@pytest.mark.parametrize("window", [{"a": 1}, [], "x", None, 0, -1])
def test_a_window_of_a_tokenizer_that_is_none_is_passed_over(model, window):
    edit(model / "tokenizer_config.json", lambda config: config.update(model_max_length=window))
    assert longest(load(model), 30) == 30


@pytest.mark.slow
@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize("damage", ["of another version", "no JSON"])
def test_a_model_that_fails_leaves_those_after_it(model, saved, damage, tmp_path, todacomm):
    TOKENIZERS[damage](model / "tokenizer.json")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS.items))
    code, _, err = todacomm(
        "run", "--models", f"a={saved},b={model},c={saved}", "--dataset", "texts.txt", "--samples", 6, "--pool", "mean",
        "--resamples", 0, "--null-draws", 0, "-q",
    )  # fmt: skip
    assert (code, "failed: b:" in err.replace("\n", " "), "Traceback" in err) == (1, True, False)
    assert [p.name.split("_tda")[0] for p in sorted((tmp_path / "experiments").glob("*_tda_*"))] == ["a", "c"]


def test_a_tokenizer_whose_library_panics_fails_one_model_alone(model, saved, tmp_path, monkeypatch):
    """The library of tokenizers is written in Rust; where that panics, the error is no Exception."""
    slow = {"type": "Split", "pattern": {"Regex": "(?:(?:a+)+)+$|((a|aa)+)+b"}, "behavior": "Isolated", "invert": False}
    edit(model / "tokenizer.json", lambda t: t.update(pre_tokenizer=slow))
    (tmp_path / "texts.txt").write_text("\n".join([f"{'a' * 60} c", *TEXTS.items]))
    study = Study(
        models=(f"bad={model}", f"good={saved}"),
        datasets=(str(tmp_path / "texts.txt"),),
        samples=5,
        pooling=("mean",),
        resamples=0,
        null_draws=0,
    )
    found = [outcome for _, outcome in one_by_one(jobs_of(study), None)]
    assert "tokenizer" in found[0].message
    assert found[1].profile.model == "good"


# names


@pytest.mark.usefixtures("no_figures")
def test_two_checkpoints_of_one_name_have_names_given(saved, tmp_path, todacomm):
    for run in ("a", "b"):
        shutil.copytree(saved, tmp_path / "runs" / run / "checkpoint-500")
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS.items))
    common = ("--dataset", "texts.txt", "--samples", 6, "--pool", "mean", "--resamples", 0, "--null-draws", 0, "-q")
    code, _, err = todacomm("run", "--models", "runs/a/checkpoint-500,runs/b/checkpoint-500", *common)
    assert (code, "--models a=runs/a/checkpoint-500,b=runs/b/checkpoint-500" in " ".join(err.split())) == (2, True)
    assert todacomm("run", "--models", "base=runs/a/checkpoint-500,tuned=runs/b/checkpoint-500", *common)[0] == 0
    made = sorted(path.name for path in (tmp_path / "experiments").iterdir())
    assert [name.rsplit("_", 2)[0] for name in made] == ["base_tda", "comparison_base_vs_tuned", "tuned_tda"]


@pytest.mark.parametrize("given", [("a=gpt2", "a=bert"), ("gpt2", "gpt2=bert"), ("x=gpt2", "b=bert", "x=distilgpt2")])
def test_names_given_twice_are_refused_with_a_way_out(given):
    with pytest.raises(
        InvalidInput, match="are both called .*; give them names: --models a=openai-community/gpt2,b=google-bert"
    ):
        sources_of(Study(models=given))


@pytest.mark.parametrize(
    ("name", "alias", "location"),
    [
        ("base=gpt2", "base", "openai-community/gpt2"),
        ("my-gpt.2=openai-community/gpt2", "my-gpt.2", "openai-community/gpt2"),
        ("größe=tiny-preln-decoder", "größe", None),
        ("gpt2", "gpt2", "openai-community/gpt2"),
    ],
)
def test_a_name_may_stand_before_any_model(name, alias, location):
    found = resolve(name)
    assert (found.name, location in (None, found.location)) == (alias, True)


def test_a_directory_with_a_sign_of_equality_is_itself(saved, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(saved, tmp_path / "lr=0.1")
    shutil.copytree(saved, tmp_path / "runs" / "lr=0.1" / "last")
    assert resolve("lr=0.1").name == "lr=0.1"
    assert resolve("runs/lr=0.1/last").name == "last"
    assert resolve("low=runs/lr=0.1/last").name == "low"


@pytest.mark.parametrize("name", ["base=", "=gpt2", "a/b=c=d", "..=gpt2", "a b=gpt2", "base=nothing"])
def test_what_is_no_name_before_a_model_is_refused(name):
    with pytest.raises(UnknownName, match="is not a model that todacomm knows"):
        resolve(name)


def test_a_mistyped_directory_names_those_near_it(tmp_path, monkeypatch, todacomm):
    (tmp_path / "models" / "my-gpt2").mkdir(parents=True)
    code, _, err = todacomm("run", "--hf-model", "models/my gpt2")
    told = " ".join(err.split())
    assert (code, "There is no directory 'models/my gpt2'; near it: models/my-gpt2." in told) == (2, True)
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "name",
    [
        "a b/c",
        "owner/na me",
        "owner/ünïcode",
        "-owner/name",
        "owner/name-",
        "a/b--c",
        "a/b..c",
        f"a/{'x' * 120}",
        "~nobody/x",
    ],
)
def test_what_the_hub_cannot_have_is_no_name_of_a_model(name):
    with pytest.raises(UnknownName):
        resolve(name)


@pytest.mark.parametrize("name", ["", " ", "a\0b", "models/a\0b", "a\nb/c", "x=\x1b[31mred"])
def test_characters_that_cannot_be_printed_are_shown_as_what_they_are(name):
    with pytest.raises(InvalidInput, match="names no model: it is empty, or has characters") as caught:
        resolve(name)
    assert str(caught.value).isprintable()
    with pytest.raises(InvalidInput):
        resolve("gpt2", tokenizer=name)


@pytest.mark.parametrize("problem", [PermissionError(13, "Permission denied"), OSError(36, "File name too long")])
def test_a_directory_that_may_not_be_entered_is_named(monkeypatch, problem):
    def refused(*_, **__):
        raise problem

    monkeypatch.setattr(Path, "stat", refused)
    monkeypatch.setattr(Path, "is_dir", refused)
    with pytest.raises(ModelUnavailable, match=f"'/secret/model' cannot be looked at: {problem.strerror}"):
        resolve("/secret/model")


def test_a_directory_whose_files_may_not_be_read_is_named(model, monkeypatch):
    there = Path.is_file

    def refused(path, *more, **options):
        if path.is_relative_to(model):
            raise PermissionError(13, "Permission denied", str(path))
        return there(path, *more, **options)

    monkeypatch.setattr(Path, "is_file", refused)
    with pytest.raises(ModelUnavailable, match="gpt2 .* cannot be loaded: .*Permission denied"):
        load(model)


# what others say


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Couldn't read one of: \n(1) a file,\n(2) another", "Couldn't read one of: (1) a file, (2) another"),
        ("plain\nmore", "plain"),
        ("\n\n  deep", "deep"),
        ("ends:", "ends:"),
        ("", "ValueError"),
    ],
)
def test_a_message_of_others_is_not_cut_at_its_colon(message, told):
    assert checkpoint_files._sentence(ValueError(message)) == told


CONFIGURATIONS = [
    {"n_head": 0},
    {"n_head": 3},
    {"n_layer": None},
    {"n_embd": -16},
    {"activation_function": "telepathy"},
    {"vocab_size": "many"},
    {"model_type": ["gpt2"]},
    {"transformers_weights": 5},
]


@pytest.mark.parametrize("change", CONFIGURATIONS, ids=str)
def test_a_configuration_that_makes_no_model_is_an_error_of_ours(model, change):
    edit(model / "config.json", lambda config: config.update(change))
    with pytest.raises((ModelUnavailable, InvalidInput), match="gpt2"):
        load(model)
