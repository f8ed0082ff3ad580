"""One whole study of two shipped models and two poolings: all that it writes."""

import json
from dataclasses import replace
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

pytestmark = pytest.mark.slow


def explorers(page):
    """The data of the explorers of a page."""
    text = page.read_text(encoding="utf-8")
    data = text.split('<script type="application/json" id="page-data">')[1].split("</script>")[0]
    return json.loads(data)["explorers"]


def pooled(profile, model, pooling):
    return renamed(
        replace(
            profile,
            measurements=tuple(replace(m, recipe=replace(m.recipe, pooling=pooling)) for m in profile.measurements),
        ),
        model,
    )


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


def test_one_seed_gives_equal_bytes(experiment, tmp_path):
    study = load_study(experiment / "experiment_config.yaml").but(output_dir=str(tmp_path))
    again = execute(study).experiments[0]
    for name in ("tda_summaries.json", "metrics.json", "diagrams.safetensors"):
        for run in ("run_0", "run_1"):
            assert (experiment / "runs" / run / name).read_bytes() == (again / "runs" / run / name).read_bytes(), name


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
