"""Which run a name means, to `compare`, `show` and `report` alike."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import todacomm as td
from tiny_models import tiny
from todacomm.core.errors import InvalidRecord, UnknownName
from todacomm.core.types import ModelCard
from todacomm.records.runs import Record, stem_of, write_record
from todacomm.runs.locate import find


@pytest.fixture(scope="module")
def profile():
    rng = torch.Generator().manual_seed(0)
    points = torch.randn(8, 3, generator=rng).numpy()
    return td.measure({"embedding": points, "layer_0": 2 * points}, resamples=0, null_draws=0)


@pytest.fixture
def made(profile, tmp_path):
    """Write an experiment of one run under a name, with the digest of its texts and that of its weights."""

    def make(name, texts="t", weights="", data="cloud"):
        card = ModelCard("m", "causal", "pre-LN", 1, 1, 1, "", weights)
        whole = replace(profile, texts_sha256=texts, card=card)
        write_record(tmp_path / "experiments" / name / "runs" / "run_0", Record(whole, {"data": data}), None)
        return tmp_path / "experiments" / name

    return make


def names_of(names, tmp_path, **how):
    return [place.directory.name for place in find(names, tmp_path / "experiments", **how)]


@pytest.mark.parametrize("runs", [False, True])
def test_a_name_means_its_newest_experiment(made, tmp_path, runs):
    for name in ("gpt2_tda_20260101_120000", "gpt2_tda_20260102_090000", "my_gpt2_tda_20270101_000000"):
        made(name)
    made("mine_20260101_000000")
    made("microsoft--phi-1_5_tda_20260101_000000")
    assert names_of(["gpt2"], tmp_path, runs=runs) == ["gpt2_tda_20260102_090000"]
    assert names_of(["mine"], tmp_path, runs=runs) == ["mine_20260101_000000"]
    assert names_of(["microsoft/phi-1_5"], tmp_path, runs=runs) == ["microsoft--phi-1_5_tda_20260101_000000"]
    given = tmp_path / "experiments" / "mine_20260101_000000"
    (place,) = find([str(given)], tmp_path, runs=runs)
    assert (place.directory, place.said) == (given, "")
    assert stem_of(Path("my_gpt2_tda_20270101_000000")) == "my_gpt2_tda"
    with pytest.raises(UnknownName, match="'gtp2' is not a run.*Did you mean 'gpt2'"):
        find(["gtp2"], tmp_path / "experiments", runs=runs)


def test_what_is_not_finished_has_no_name(made, tmp_path):
    made("gpt2_tda_20260101_120000")
    for name in ("gpt2_tda_20260102_120000", "gpt2_tda_20260103_120000"):
        (tmp_path / "experiments" / name / "runs" / "run_0.part").mkdir(parents=True)
    assert names_of(["gpt2"], tmp_path) == names_of(["gpt2"], tmp_path, runs=True) == ["gpt2_tda_20260101_120000"]


def test_of_several_names_those_with_the_same_texts_are_taken_and_it_is_said(made, tmp_path):
    """A later run on 20 texts is a trap for who compares the newest of each."""
    made("base_tda_20260101_120000", "500")
    made("tuned_tda_20260102_120000", "500")
    made("base_tda_20260103_120000", "20")
    found = find(["base", "tuned"], tmp_path / "experiments")
    assert [p.directory.name for p in found] == ["base_tda_20260101_120000", "tuned_tda_20260102_120000"]
    assert found[0].said.endswith("base_tda_20260101_120000, of 2 runs the newest with the texts of the others")
    assert found[1].said.endswith("tuned is " + str(found[1].directory))
    assert names_of(["base"], tmp_path) == ["base_tda_20260103_120000"]
    made("tuned_tda_20260104_120000", "20")
    assert names_of(["base", "tuned"], tmp_path) == ["base_tda_20260103_120000", "tuned_tda_20260104_120000"]
    made("base_tda_20260105_120000", "other")
    assert names_of(["base", "tuned"], tmp_path) == ["base_tda_20260103_120000", "tuned_tda_20260104_120000"]


def test_where_no_texts_are_shared_the_newest_of_each_are_taken(made, tmp_path):
    made("a_tda_20260101_120000", "1")
    made("a_tda_20260102_120000", "2")
    made("b_tda_20260101_120000", "3")
    assert names_of(["a", "b"], tmp_path) == ["a_tda_20260102_120000", "b_tda_20260101_120000"]


def test_a_record_that_cannot_be_read_is_no_reason_to_fail_here(made, tmp_path):
    made("a_tda_20260101_120000", "1")
    (made("a_tda_20260102_120000", "1") / "runs" / "run_0" / "manifest.json").write_text("{")
    (made("a_tda_20260103_120000", "1") / "runs" / "run_0" / "manifest.json").write_text("[]")
    made("b_tda_20260101_120000", "1")
    assert names_of(["a", "b"], tmp_path) == ["a_tda_20260101_120000", "b_tda_20260101_120000"]
    assert names_of(["a"], tmp_path) == ["a_tda_20260103_120000"]


def test_a_comparison_takes_runs_alone(made, tmp_path):
    made("gpt2_tda_20260101_120000")
    other = tmp_path / "experiments" / "gpt2_20260201_000000"
    other.mkdir()
    (other / "comparison.json").write_text("{}")
    assert names_of(["gpt2"], tmp_path) == ["gpt2_20260201_000000"]
    assert names_of(["gpt2"], tmp_path, runs=True) == ["gpt2_tda_20260101_120000"]
    with pytest.raises(InvalidRecord, match="holds a comparison; expected runs of models"):
        find([str(other)], tmp_path, runs=True)


# directories of models


def save(directory, name="gpt2"):
    tiny(name).network.save_pretrained(directory)
    tiny(name).tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def models(tmp_path, monkeypatch):
    """Two models in base/ and tuned/, and the digests of their weights."""
    from todacomm.models.checkpoints.checkpoint_files import sha256_of

    monkeypatch.chdir(tmp_path)
    found = {name: save(tmp_path / name) for name in ("base", "tuned")}
    changed = type(tiny("gpt2").network)(tiny("gpt2").network.config)
    changed.save_pretrained(found["tuned"])
    return {name: sha256_of([place / "model.safetensors"]) for name, place in found.items()}


@pytest.mark.parametrize("given", ["base", "base/", "./base", "../{}/base"])
def test_a_directory_of_a_model_means_the_run_of_its_weights(made, models, tmp_path, given):
    made("base_tda_20260101_120000", weights=models["base"])
    made("base_tda_20260102_120000", weights="of before")
    made("tuned_tda_20260103_120000", weights=models["tuned"])
    for runs in (False, True):
        assert names_of([given.format(tmp_path.name)], tmp_path, runs=runs) == ["base_tda_20260101_120000"]
        assert names_of(["base/", "tuned/"], tmp_path, runs=runs)[1] == "tuned_tda_20260103_120000"


def test_a_run_under_another_name_is_found_by_its_weights(made, models, tmp_path):
    made("first_tda_20260101_120000", weights=models["base"])
    made("second_tda_20260101_120000", weights=models["tuned"])
    assert names_of(["base/", "tuned/"], tmp_path) == ["first_tda_20260101_120000", "second_tda_20260101_120000"]


def test_copies_of_a_model_are_told_apart_by_their_names(made, models, tmp_path):
    shutil.copytree(tmp_path / "base", tmp_path / "copy")
    made("copy_tda_20260101_120000", weights=models["base"])
    made("base_tda_20260102_120000", weights=models["base"])
    assert names_of(["base/", "copy/"], tmp_path) == ["base_tda_20260102_120000", "copy_tda_20260101_120000"]


def test_a_model_that_was_trained_again_has_no_run(made, models, tmp_path):
    made("base_tda_20260101_120000", weights="of before")
    with pytest.raises(
        InvalidRecord, match=r"(?s)no run under .*\(those called base there measured other weights\).*--hf-model base"
    ):
        find(["base/"], tmp_path / "experiments")
    with pytest.raises(InvalidRecord, match="is a model of whose weights, as they are now, there is no run under"):
        find(["tuned"], tmp_path / "experiments")


def test_a_directory_that_is_no_model_is_no_hindrance_to_a_name(made, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "gpt2").mkdir()
    made("gpt2_tda_20260101_120000")
    assert names_of(["gpt2"], tmp_path) == ["gpt2_tda_20260101_120000"]
    (tmp_path / "other").mkdir()
    with pytest.raises(InvalidRecord, match="other holds no records; expected a directory that"):
        find(["other"], tmp_path / "experiments")


@pytest.mark.slow
def test_the_gate_of_the_readme_works_as_written(todacomm, tmp_path):
    """`todacomm compare base/ tuned/ --fail-if …`, after both were run."""
    for name, family in (("base", "gpt2"), ("tuned", "llama")):
        save(tmp_path / name, family)
        (tmp_path / "texts.txt").write_text("\n".join(f"text number {i} {'and more ' * i}" for i in range(12)))
    common = ("--dataset", "texts.txt", "--pool", "mean", "--resamples", 0, "--null-draws", 0, "-q")
    for name in ("base/", "tuned/"):
        assert todacomm("run", "--hf-model", name, "--samples", 12, *common)[0] == 0
    assert todacomm("run", "--hf-model", "base/", "--samples", 6, *common)[0] == 0
    fired = todacomm("compare", "base/", "tuned/", "--fail-if", "shape_growth:rel>0.0001", "--json")
    assert fired[0] == 1
    assert "base/ is experiments/base_tda_" in fired[2]
    (stored,) = (tmp_path / "experiments").glob("comparison_*/comparison.json")
    compared = [
        (stored.parent / run / "manifest.json").resolve() for run in json.loads(stored.read_text())["experiments"]
    ]
    assert [json.loads(p.read_text())["texts"]["count"] for p in compared] == [12, 12]
    assert todacomm("compare", "base/", "tuned/", "--fail-if", "shape_growth:rel>9999", "-q")[0] == 0
    for command in ("show", "report"):
        code, _, err = todacomm(command, "base/", "tuned/")
        assert (code, str(compared[0].parent.parent.parent.relative_to(tmp_path)) in err) == (0, True), command
