"""Small studies on the shipped models: what is written, what fails, what is the same twice."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import load_file
from scipy.cluster.hierarchy import linkage

import todacomm as td
from todacomm.clouds.prepare import prepare
from todacomm.comparison.compare import compare, groups_of, renamed
from todacomm.core.types import PointCloud
from todacomm.records.runs import read_experiment
from todacomm.report.words.pairs import verdict
from todacomm.runs.config import Study
from todacomm.runs.config_files import load_study
from todacomm.runs.run_study import compared, execute, write_compared

ENCODER, DECODER = "tiny-postln-encoder", "tiny-preln-decoder"
FIGURES = {
    "tda_summary.png",
    "layer_persistence.png",
    "betti_curves.png",
    "persistence_diagrams.png",
    "scale_shape.png",
    "against_noise.png",
}


def one_line(text):
    return " ".join(text.split())


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    directory = tmp_path_factory.mktemp("study")
    study = Study(
        models=(DECODER, ENCODER), samples=12, pooling=("mean", "last"), null_draws=19, output_dir=str(directory)
    )
    return execute(study, command="todacomm run")


@pytest.fixture(scope="module")
def experiment(outcome):
    return outcome.experiments[0]


def test_the_tree_is_whole(experiment):
    assert experiment.name.startswith("tiny-preln-decoder_tda_")
    assert {p.name for p in experiment.iterdir()} == {"experiment_config.yaml", "runs", "reports"}
    assert {p.name for p in (experiment / "reports").iterdir()} == {"experiment_report.md", "report.html"}
    for number in (0, 1):
        run = experiment / "runs" / f"run_{number}"
        assert {p.name for p in run.iterdir()} == {
            "tda_summaries.json",
            "metrics.json",
            "diagrams.safetensors",
            "activations",
            "manifest.json",
            "tda_interpretation.md",
            "tda_claims.json",
            "claims.safetensors",
            "texts.json",
            "visualizations",
        }
        assert {p.name for p in (run / "visualizations").iterdir()} == FIGURES
        assert not list(experiment.rglob("*.part"))


def test_the_report_speaks_of_every_run(experiment):
    report = (experiment / "reports" / "experiment_report.md").read_text(encoding="utf-8")
    assert "pooling mean" in report
    assert "pooling last" in report
    assert report.startswith("# tiny-preln-decoder")
    for figure in FIGURES:
        assert f"../runs/run_0/visualizations/{figure}" in report
        assert f"../runs/run_1/visualizations/{figure}" in report


def test_the_configuration_runs_again(experiment):
    study = load_study(experiment / "experiment_config.yaml")
    assert study.models == (DECODER,)
    assert study.pooling == ("mean", "last")
    assert yaml.safe_load((experiment / "experiment_config.yaml").read_text(encoding="utf-8"))["samples"] == 12


def test_the_stored_activations_give_the_stored_numbers(experiment):
    run = experiment / "runs" / "run_0"
    layers = load_file(next((run / "activations").iterdir()))
    stored = json.loads((run / "tda_summaries.json").read_text(encoding="utf-8"))
    assert list(stored) == ["embedding", *(f"layer_{i}" for i in range(6)), "final"]
    again = td.measure(layers)
    for layer, row in stored.items():
        assert row["points"] == 12
        measured = again.at(layer)
        assert row["H1_total_persistence"] == measured.summary["H1_total_persistence"]
        ready = prepare(PointCloud(layers[layer], measured.address), measured.recipe)
        tree = linkage(ready.condensed, "single")[:, 2].sum()
        assert row["H0_total_persistence"] == pytest.approx(tree, rel=1e-5)


def test_post_norm_models_have_no_final_layer(outcome):
    layers = json.loads((outcome.experiments[1] / "runs" / "run_0" / "tda_summaries.json").read_text(encoding="utf-8"))
    assert "final" not in layers
    assert "layer_5" in layers


def test_the_manifest_says_how_it_was_made(experiment):
    manifest = json.loads((experiment / "runs" / "run_0" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["schema"] == 1
    assert manifest["card"]["kind"] == "causal"
    assert manifest["card"]["norm_place"] == "pre-LN"
    assert manifest["card"]["blocks"] == 6
    assert len(manifest["card"]["weights_sha256"]) == 64
    assert manifest["texts"] == {"name": "wikitext2", "count": 12, "sha256": td.texts("wikitext2", 12).sha256}
    assert manifest["recipe"]["pooling"] == "mean"
    assert manifest["cross_checked"]
    assert manifest["versions"]["todacomm"] == td.__version__
    assert manifest["seconds"]["extraction"] > 0


def test_language_metrics_are_those_of_the_kind(outcome):
    decoder, encoder = (
        json.loads((e / "runs/run_0/metrics.json").read_text(encoding="utf-8")) for e in outcome.experiments
    )
    assert decoder["perplexity"] == pytest.approx(np.exp(decoder["loss"]))
    assert 0 < decoder["bits_per_byte"] < 8
    assert encoder["masked_loss"] > 0
    assert encoder["loss"] is None


def test_the_comparison_sets_like_beside_like(outcome):
    record = json.loads((outcome.comparison / "comparison.json").read_text(encoding="utf-8"))
    assert set(record["groups"]) == {"wikitext2_mean", "wikitext2_last"}
    for group in record["groups"].values():
        assert [row["model"] for row in group["rows"]] == [DECODER, ENCODER]
        assert not any("poolings" in warning for warning in group["warnings"])
    assert {p.name for p in outcome.comparison.iterdir()} >= {"comparison.md", "report.html", "comparison.json"}
    assert len(list(outcome.comparison.rglob("comparison_expansion.png"))) == 2


def test_the_comparison_names_its_runs_in_the_order_of_its_rows(outcome):
    record = json.loads((outcome.comparison / "comparison.json").read_text(encoding="utf-8"))
    rows = [row for group in record["groups"].values() for row in group["rows"]]
    runs = [(outcome.comparison / place).resolve() for place in record["experiments"]]
    manifests = [json.loads((run / "manifest.json").read_text(encoding="utf-8")) for run in runs]
    found = [(m["model"], m["data"], m["recipe"]["pooling"]) for m in manifests]
    assert found == [(row["model"], row["data"], row["pooling"]) for row in rows]
    assert len(set(runs)) == len(rows) == 4
    assert not any(Path(place).is_absolute() for place in record["experiments"])


def explorers(page):
    """The data of the explorers of a page."""
    text = page.read_text(encoding="utf-8")
    data = text.split('<script type="application/json" id="page-data">')[1].split("</script>")[0]
    return json.loads(data)["explorers"]


def test_pages_hold_an_explorer_over_all_runs_of_a_model_and_one_for_each_group(outcome, experiment):
    (one,) = explorers(experiment / "reports" / "report.html")
    assert [p["label"] for p in one["profiles"]] == ["wikitext2, pooling mean", "wikitext2, pooling last"]
    several = explorers(outcome.comparison / "report.html")
    assert [[p["label"] for p in e["profiles"]] for e in several] == [[DECODER, ENCODER]] * 2
    assert [e["heading"] for e in several] == [f"Along the layers: wikitext2, pooling {p}" for p in ("mean", "last")]
    for profile in (p for e in (one, *several) for p in e["profiles"]):
        assert profile["no_views"] == ""
        assert all(len(detail["views"]) == 2 for detail in profile["details"])
        assert profile["texts"]["count"] == len(profile["texts"]["items"]) == 12


@pytest.mark.slow
def test_poolings_by_kind_are_compared_with_a_warning(outcome, todacomm, tmp_path):
    experiments = []
    for model in (DECODER, ENCODER):
        study = Study(models=(model,), samples=12, null_draws=0, output_dir=str(tmp_path), language=False)
        experiments += execute(study).experiments
    code, out, _ = todacomm("compare", *experiments, "--output-dir", tmp_path, "--json")
    assert code == 0
    groups = json.loads(out)["groups"]
    assert list(groups) == ["wikitext2"]
    assert "Different poolings are compared" in groups["wikitext2"]["warnings"][0]


@pytest.mark.usefixtures("no_figures")
def test_compare_takes_names_and_comma_lists(outcome, todacomm):
    code, out, _ = todacomm(
        "compare", f"{DECODER},{ENCODER}", "--output-dir", outcome.experiments[0].parent, "--output", "mine"
    )
    assert code == 0
    assert DECODER in one_line(out)
    assert list(outcome.experiments[0].parent.glob("comparison_mine_*"))


@pytest.mark.slow
def test_one_seed_gives_equal_bytes(experiment, tmp_path):
    study = load_study(experiment / "experiment_config.yaml").but(output_dir=str(tmp_path))
    again = execute(study).experiments[0]
    for name in ("tda_summaries.json", "metrics.json", "diagrams.safetensors"):
        for run in ("run_0", "run_1"):
            assert (experiment / "runs" / run / name).read_bytes() == (again / "runs" / run / name).read_bytes(), name


@pytest.mark.usefixtures("no_figures")
def test_a_failed_model_of_several_is_reported_and_the_others_finish(todacomm, tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    code, out, err = todacomm("run", "--models", f"./broken,{ENCODER}", "--samples", 12, "--pool", "mean")
    assert code == 1
    assert ENCODER in out
    assert "failed: broken" in one_line(err)
    comparison = next(Path("experiments").glob("comparison_*"))
    record = json.loads((comparison / "comparison.json").read_text(encoding="utf-8"))
    assert "broken" in record["failures"]
    assert "Traceback" in record["failures"]["broken"]["details"]
    assert "broken" in (comparison / "comparison.md").read_text(encoding="utf-8")
    assert not list(Path("experiments").glob("broken*"))


def failing(monkeypatch, second):
    """Let the second reading of a study end in an error."""
    from todacomm.runs import jobs

    real, calls = jobs.read, []

    def once(*arguments, **settings):
        calls.append(settings["pooling"])
        if len(calls) == 2:
            raise second
        return real(*arguments, **settings)

    monkeypatch.setattr(jobs, "read", once)


@pytest.mark.slow
def test_an_error_of_another_library_is_told_and_the_other_jobs_are_done(monkeypatch, todacomm):
    failing(monkeypatch, RuntimeError("not enough memory"))
    code, _, err = todacomm(
        "run", "--model", DECODER, "--pool", "mean,last,max", "--samples", 10, "--layers", "layer_5", "--quiet"
    )
    assert code == 1
    assert f"failed: {DECODER}: wikitext2, pooling last: RuntimeError: not enough memory" in one_line(err)
    (experiment,) = Path("experiments").glob("*")
    assert [record.profile.recipe.pooling for record in read_experiment(experiment)] == ["mean", "max"]
    assert "Traceback" not in err


@pytest.mark.usefixtures("no_figures")
def test_a_fault_of_ours_is_not_taken_for_a_failed_job(monkeypatch, tmp_path):
    failing(monkeypatch, KeyError("a mistake"))
    study = Study(models=(DECODER,), samples=10, layers=("layer_5",), pooling=("mean", "last"), null_draws=19)
    with pytest.raises(KeyError, match="a mistake"):
        execute(study.but(output_dir=str(tmp_path)))
    assert len(read_experiment(next(tmp_path.iterdir()))) == 1


def test_a_report_that_cannot_be_written_does_not_take_the_run_with_it(tmp_path, monkeypatch):
    from todacomm.runs import run_study as execution

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(execution, "write_experiment_reports", full)
    study = Study(models=(DECODER,), samples=10, layers=("layer_5",), pooling=("mean",), output_dir=str(tmp_path))
    with pytest.raises(td.TodacommError, match="No space left"):
        execute(study)
    assert len(read_experiment(next(tmp_path.iterdir()))) == 1


@pytest.mark.slow
def test_two_runs_of_one_model_are_compared_under_their_own_names(outcome, todacomm, tmp_path):
    other = execute(
        Study(models=(DECODER,), samples=12, pooling=("mean",), scale="rms", output_dir=str(tmp_path), language=False)
    )
    first, second = (e / "runs" / "run_0" for e in (outcome.experiments[0], other.experiments[0]))
    code, out, err = todacomm("compare", first, second, "--output-dir", tmp_path, "--json")
    assert err == ""
    assert code == 0
    (group,) = json.loads(out)["groups"].values()
    assert [row["model"] for row in group["rows"]] == [str(first), str(second)]
    assert any("Different scales" in warning for warning in group["warnings"])


def test_models_of_long_names_are_compared_in_a_directory_of_a_short_one(outcome, tmp_path):
    profiles = [renamed(profile, 200 * letter) for profile, letter in zip(outcome.profiles[:2], "ab", strict=True)]
    found = write_compared(compared(profiles), tmp_path, name=None, run_of=lambda _: outcome.experiments[0])
    assert found.name.startswith("comparison_2_models_")


def test_the_same_run_twice_is_no_comparison(outcome, todacomm):
    code, _, err = todacomm("compare", outcome.experiments[0], outcome.experiments[0])
    assert code == 2
    assert "the same run is given twice" in one_line(err)


def test_settings_that_would_change_nothing_are_refused():
    texts = td.texts("wikitext2", 10)
    with pytest.raises(td.TodacommError, match=r"output_dir: run\(\) measures one model"):
        td.run(DECODER, texts=texts, output_dir="here")
    with pytest.raises(td.TodacommError, match="samples: all of the texts given are measured"):
        td.run(DECODER, texts=texts, samples=5)
    with pytest.raises(td.TodacommError, match="device: the model is loaded already"):
        td.run(object(), tokenizer=object(), texts=texts, device="cpu")


@pytest.mark.slow
def test_two_datasets_are_two_runs(todacomm):
    code, _, _ = todacomm(
        "run",
        "--model",
        DECODER,
        "--datasets",
        "wikitext2,squad",
        "--samples",
        10,
        "--layers",
        "embedding,layer_5",
        "--quiet",
    )
    assert code == 0
    experiment = next(Path("experiments").glob("tiny*"))
    assert [record.profile.data for record in read_experiment(experiment)] == ["wikitext2", "squad"]
    assert read_experiment(experiment)[0].profile.layers == ("embedding", "layer_5")


def test_two_datasets_of_one_name_are_refused(todacomm, tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "texts.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    code, _, err = todacomm("run", "--model", DECODER, "--datasets", "a/texts.txt,b/texts.txt", "--samples", 3)
    assert code == 2
    assert "are both called 'texts'" in one_line(err)


@pytest.mark.usefixtures("no_figures")
def test_sublayers_and_tokens_can_be_measured(tmp_path):
    texts = td.texts("wikitext2", 12)
    mlp = td.run(DECODER, texts=texts, site="mlp", language=False)
    assert mlp.layers == tuple(f"layer_{i}" for i in range(6))
    tokens = td.run(DECODER, texts=texts, pooling="tokens", subsample=40, language=False)
    assert tokens["points"].tolist() == [40] * 8
    assert any("Each point is one token" in note for note in tokens.notes)


@pytest.mark.usefixtures("no_figures")
def test_run_takes_a_model_that_the_caller_holds():
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from todacomm.models.names import resolve

    directory = resolve("tiny-postln-decoder").location
    held = AutoModelForCausalLM.from_pretrained(directory).float()
    tokenizer = AutoTokenizer.from_pretrained(directory)
    texts = td.texts("wikitext2", 12)
    ours, named = td.run(held, tokenizer=tokenizer, texts=texts), td.run("tiny-postln-decoder", texts=texts)
    np.testing.assert_allclose(ours["H0_total_persistence"], named["H0_total_persistence"], rtol=1e-5)


WORDS = ["The river is wide.", "A bridge of stone", "Rain", "Winter came early", "They sang all night"]


def test_run_takes_a_list_of_texts():
    whole = td.run(DECODER, texts=td.Texts("texts", tuple(WORDS)), layers="layer_2", language=False, resamples=0)
    for given in (WORDS, tuple(WORDS), (text for text in WORDS), np.array(WORDS), td.Texts(WORDS)):
        assert td.run(DECODER, texts=given, layers="layer_2", language=False, resamples=0) == whole
    assert (whole.data, whole["points"].tolist()) == ("texts", [5])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([*WORDS, ""], "texts: 5 of 6 texts have .* 6 were asked for, which is all of them: text 5 is empty. Leave"),
        ([*WORDS[:2], "", *WORDS, ""], "7 of 9 texts have .*: text 2 is empty"),
        ([*WORDS, None], "text 5 is NoneType; expected a string"),
        ([b"bytes", *WORDS], "text 0 is bytes; expected a string"),
        (["half \ud800", *WORDS], "text 0 holds half a surrogate pair"),
        (7, "texts are int; expected a list of strings"),
    ],
)
def test_a_text_that_cannot_be_measured_is_named(texts, message):
    with pytest.raises(td.TodacommError, match=message):
        td.run(DECODER, texts=texts, layers="layer_2", language=False)


def test_a_path_of_a_file_of_texts_is_one(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("\n".join(WORDS), encoding="utf-8")
    found = td.run(DECODER, texts=path, samples=5, layers="layer_2", language=False, resamples=0, null_draws=0)
    assert found.data == "own"


def pooled(profile, model, pooling):
    return renamed(
        replace(
            profile,
            measurements=tuple(replace(m, recipe=replace(m.recipe, pooling=pooling)) for m in profile.measurements),
        ),
        model,
    )


@pytest.mark.parametrize(
    ("given", "groups"),
    [
        ("a:mean a:last b:mean b:last", {"mean": "a b", "last": "a b"}),
        ("a:last a:mean b:mean", {"mean": "a b", "last": "a"}),
        ("a:last b:mean", {"": "a b"}),
        ("a:last a:mean b:mean b:cls", {"mean": "a b", "": "a b"}),
        ("a:last b:cls c:last", {"last": "a c", "cls": "b"}),
        ("a:mean a:last b:max b:cls c:mean", {"mean": "a c", "": "a b b"}),
        ("a:mean", {"mean": "a"}),
        ("a:mean a:last", {"mean": "a", "last": "a"}),
    ],
)
def test_a_pooling_that_several_models_have_is_compared_by_itself(outcome, given, groups):
    """Mean beside mean, whatever else was measured; what is left over is beside one another, and named."""
    profiles = [pooled(outcome.profiles[0], *one.split(":")) for one in given.split()]
    found = {name.removeprefix("wikitext2").strip("_"): group for name, group in groups_of(profiles).items()}
    assert {name: " ".join(p.model for p in group) for name, group in found.items()} == groups
    assert sum(map(len, found.values())) == len(profiles)


def test_two_poolings_side_by_side_are_named(outcome):
    a, b = (pooled(outcome.profiles[0], name, pooling) for name, pooling in (("a", "last"), ("b", "mean")))
    found = compare([a, b])
    (both,) = found.pairs
    assert both.name == "a (pooling last) and b (pooling mean)"
    assert "a (pooling last) and b (pooling mean): the clouds are of different things." in both.notes
    assert "Different poolings are compared" in found.warnings[0]
    assert "a (pooling last)" in verdict(both, found.apart[0])
    alike = compare([a, pooled(a, "b", "last")]).pairs[0]
    assert (alike.name, "different things" in " ".join(alike.notes)) == ("a and b", False)


@pytest.mark.slow
def test_an_interrupt_leaves_what_was_finished_and_nothing_half(tmp_path):
    poolings = ["mean", "last", "max", "cls"]
    command = [
        sys.executable,
        "-m",
        "todacomm",
        "run",
        "--model",
        DECODER,
        "--pool",
        ",".join(poolings),
        "--samples",
        "400",
    ]
    heard = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs are started deaf to it
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heard) as running:  # noqa: PLW1509
        while not list(tmp_path.glob("experiments/*/runs/run_0/manifest.json")):
            assert running.poll() is None, "it has ended before"
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        _, err = running.communicate()
    assert running.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    records = read_experiment(next(tmp_path.glob("experiments/*")))
    assert 1 <= len(records) < len(poolings)
    assert [record.profile.recipe.pooling for record in records] == poolings[: len(records)]
    assert not list(tmp_path.rglob("*.part"))


@pytest.mark.usefixtures("no_figures")
def test_texts_that_are_too_short_are_passed_over_and_the_next_ones_taken(tmp_path):
    path = tmp_path / "mixed.txt"
    path.write_text("\n".join(f"word {i}" + " and so on and on" * (i % 2) for i in range(20)), encoding="utf-8")
    study = Study(models=(DECODER,), datasets=(str(path),), samples=10, min_tokens=6, pooling=("mean",), language=False)
    (profile,) = execute(study.but(output_dir=str(tmp_path / "out"), layers=("layer_5",))).profiles
    assert profile["points"].tolist() == [10]
    assert any("10 texts had too few tokens" in note for note in profile.notes)
    with pytest.raises(td.TodacommError, match="20"):
        execute(study.but(samples=21, output_dir=str(tmp_path / "out")))
