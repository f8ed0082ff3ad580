"""Claims of a profile: for every layer, reproducible, written and read, cached, refused with a reason."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

import todacomm as td
from shapes import circle
from small_studies import DECODER, one_job, records
from todacomm.core.errors import InvalidInput, InvalidRecord, UnknownName
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.parallel import in_threads
from todacomm.core.types import Activations
from todacomm.models.batching import choose, with_tokens_shuffled
from todacomm.models.checkpoints.loading import load_model
from todacomm.models.names import resolve
from todacomm.profiles.intervals_and_nulls import with_claims
from todacomm.records.inference import read_claims, write_claims
from todacomm.runs import experiment, jobs
from todacomm.runs.config import Study
from todacomm.runs.model_nulls import untrained
from todacomm.runs.run_study import execute

FEW = {"resamples": 20, "null_draws": 19}


@pytest.fixture(scope="module")
def layers():
    rng = np.random.default_rng(7)
    noise = rng.normal(size=(60, 8))
    ring = np.pad(6 * circle(60), ((0, 0), (0, 6))) + rng.normal(size=(60, 8)) / 2
    return {"embedding": noise, "layer_0": 2 * noise + rng.normal(size=(60, 8)) / 9, "layer_1": ring}


@pytest.fixture(scope="module")
def profile(layers):
    return td.measure(layers, **FEW)


def test_every_number_of_every_layer_has_an_interval_that_holds_it(profile):
    assert list(profile.claims.intervals) == list(profile.layers)
    for m in profile.measurements:
        found = profile.claims.intervals[m.address.layer]
        assert set(m.summary) < set(found)
        for name, value in m.summary.items():
            if found[name].defined:
                assert found[name].low <= value <= found[name].high, name
    assert sum(one.defined for one in found.values()) > 0.8 * len(found)


def test_the_growths_are_those_of_the_expansion_with_intervals(profile):
    growth = profile.expansions[0].growth
    found = profile.claims.growths["embedding"]
    assert found["ratio"].estimate == pytest.approx(growth.ratio, rel=1e-6)
    assert found["scale"].estimate == pytest.approx(growth.scale, rel=1e-6)
    assert found["shape"].estimate == pytest.approx(growth.shape, rel=1e-6)
    assert found["scale"].low < growth.scale < found["scale"].high
    assert sum(profile.claims.peaks.values()) == pytest.approx(1)


def test_the_ring_alone_is_a_loop(profile):
    tests = {layer: profile.claims.tests["gaussian"][layer]["H1_loop"].p for layer in profile.layers}
    assert tests["layer_1"] == 1 / 20
    assert min(tests["embedding"], tests["layer_0"]) > 0.05


def test_threads_and_one_after_the_other_make_the_same_claims(layers, profile):
    clouds = {layer: td.PointCloud(points, profile.at(layer).address) for layer, points in layers.items()}
    again = with_claims(
        replace(profile, claims=None),
        clouds.__getitem__,
        InferenceSettings(**FEW),
        spread=partial(in_threads, number=3),
    )
    assert again.claims.intervals == profile.claims.intervals
    assert again.claims.tests == profile.claims.tests


def test_claims_are_read_as_they_were_written(profile, tmp_path):
    write_claims(tmp_path, profile.claims)
    found = read_claims(tmp_path)
    for part in ("asked", "intervals", "one_by_one", "growths", "peaks", "tests", "loops", "missing", "ungrouped"):
        assert getattr(found, part) == getattr(profile.claims, part), part
    for layer, halves in profile.claims.halves.items():
        np.testing.assert_array_equal(found.halves[layer].values, halves.values)
        assert found.halves[layer].drawn == halves.drawn


def test_claims_of_schema_1_are_read_without_their_loop_test(profile, tmp_path):
    """It held a bar against its layer alone, and said beside each test whether it was decidable."""
    write_claims(tmp_path, profile.claims)
    path = tmp_path / "tda_claims.json"
    written = json.loads(path.read_text())
    for row in written["layers"].values():
        del row["loops"], row["one_by_one"]
        row["by_group"] = {}
        row["tests"]["gaussian"] = {
            name: {key: x for key, x in {**one, "decidable": True}.items() if key != "layers"}
            for name, one in row["tests"]["gaussian"].items()
        }
    path.write_text(json.dumps({**written, "schema": 1}))
    found = read_claims(tmp_path)
    assert found.loops == {}
    tests, before = found.tests["gaussian"]["layer_1"], dict(profile.claims.tests["gaussian"]["layer_1"])
    assert set(before) - set(tests) == {"H1_loop"}
    assert tests["H0_entropy"].p == before["H0_entropy"].p


def test_claims_whose_quarters_are_of_fewer_numbers_are_refused(profile, tmp_path):
    before = {layer: replace(one, quarters=one.quarters[:, :, :2]) for layer, one in profile.claims.halves.items()}
    write_claims(tmp_path, replace(profile.claims, halves=before))
    with pytest.raises(
        InvalidRecord,
        match=r"claims.safetensors: embedding/quarters is float64 of shape \(10, 4, 2\); "
        r"expected float64 of shape \(10, 4, \d+\)",
    ):
        read_claims(tmp_path)


def test_claims_of_another_schema_or_without_their_arrays_are_refused(profile, tmp_path):
    assert read_claims(tmp_path) is None
    write_claims(tmp_path, profile.claims)
    path = tmp_path / "tda_claims.json"
    written = path.read_text()
    path.write_text(json.dumps({**json.loads(written), "schema": 3}))
    with pytest.raises(InvalidRecord, match="has schema 3"):
        read_claims(tmp_path)
    path.write_text(written)
    (tmp_path / "claims.safetensors").unlink()
    with pytest.raises(InvalidRecord, match=r"claims\.safetensors"):
        read_claims(tmp_path)


def test_layers_of_different_numbers_of_points_have_claims_of_their_own(rng):
    given = {"a": rng.normal(size=(40, 4)), "b": rng.normal(size=(30, 4))}
    claims = td.measure(given, **FEW).claims
    assert set(claims.tests["gaussian"]) == {"a", "b"}
    assert claims.intervals["b"]["H0_count"].estimate == 29


def test_what_has_no_interval_or_null_says_why(rng):
    few = td.measure(rng.normal(size=(12, 3)), **FEW).claims
    assert few.missing == {"cloud": "12 points are too few, at least 20 are needed"}
    assert few.tests["gaussian"]["cloud"]["H1_loop"].p is not None
    marked = td.measure(rng.normal(size=(60, 3)), landmarks=30, **FEW).claims
    assert "landmarks" in marked.missing["cloud"]
    assert "landmarks" in marked.tests["gaussian"]["cloud"]["H0_total_persistence"].note


def test_nothing_is_claimed_where_nothing_is_asked(rng):
    assert td.measure(rng.normal(size=(30, 3)), resamples=0, null_draws=0).claims is None
    only = td.measure(rng.normal(size=(30, 3)), resamples=20, null_draws=0).claims
    assert only.tests == {}
    assert only.intervals
    assert td.measure(rng.normal(size=(30, 3)), resamples=0, null_draws=19).claims.intervals == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"confidence": 1.5}, "a confidence of 1.5"),
        ({"resamples": 7}, "7 resamples; expected an even number"),
        ({"resamples": -2}, "-2 resamples"),
        ({"null_draws": 3}, "3 null draws; expected at least 19"),
        ({"null_draws": -1}, "-1 null draws"),
        ({"null_runs": 1}, "1 runs of a null"),
    ],
)
def test_what_cannot_be_asked_is_refused(settings, message):
    with pytest.raises(InvalidInput, match=message):
        InferenceSettings(**settings)


def test_a_null_that_there_is_not_is_refused():
    with pytest.raises(UnknownName, match="Did you mean 'text'"):
        Study(models=(DECODER,), nulls=("texts",))


def test_a_study_says_which_key_is_wrong():
    from todacomm.core.errors import InvalidStudy

    with pytest.raises(InvalidStudy, match="resamples: 7 resamples"):
        Study(resamples=7)


# Out of the cache, and by models


@pytest.mark.slow
def test_claims_are_kept_and_found_again(tmp_path, monkeypatch):
    study = one_job(samples=24, resamples=20, layers=("layer_1", "layer_2"))
    first = execute(study.but(output_dir=str(tmp_path / "a")))
    monkeypatch.setattr(experiment, "with_claims", None)  # a call would fail
    again = execute(study.but(output_dir=str(tmp_path / "b")))
    assert records(first) == records(again)
    monkeypatch.undo()
    changed = []
    monkeypatch.setattr(jobs, "claimed", lambda result, *_, **__: changed.append(1) or result)
    execute(study.but(output_dir=str(tmp_path / "c"), resamples=30))
    assert changed == [1]


@pytest.fixture(scope="module")
def against_models(tmp_path_factory):
    settings = {"layers": ("layer_1", "layer_4"), "language": False, "cache": False, "null_draws": 0, "resamples": 0}
    study = one_job(**settings, samples=24, nulls=("text", "untrained"), null_runs=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.runs.run_study.write_figures", lambda *_: [])
        return execute(study.but(output_dir=str(tmp_path_factory.mktemp("nulls")))).profiles[0]


@pytest.mark.slow
def test_shuffled_tokens_and_untrained_models_are_nulls_with_effects(against_models):
    claims = against_models.claims
    assert set(claims.tests) == {"text", "untrained"}
    for null in claims.tests:
        for layer in against_models.layers:
            test = claims.tests[null][layer]["H0_total_persistence"]
            assert test.draws == 3
            assert test.smallest == 0.5  # two-sided, of three passes
            assert test.spread > 0
    effect = claims.tests["untrained"]["layer_4"]["H0_total_persistence"].effect
    assert abs(effect) > 3


def test_each_pass_of_a_model_null_has_an_expansion_of_its_own(against_models):
    (expansion,) = {e.baseline: e for e in against_models.expansions if e.growth}.values()
    assert expansion.baseline == "layer_1"
    for null in ("text", "untrained"):
        passes = against_models.claims.null_growths[null]["layer_1"]
        assert len(set(passes)) == len(passes) == 3
        for ratio, scale, shape in passes:
            assert ratio == pytest.approx(scale * shape)
    means = [
        against_models.claims.tests["untrained"][layer]["H0_total_persistence"].mean for layer in ("layer_1", "layer_4")
    ]
    ratios = [one[0] for one in against_models.claims.null_growths["untrained"]["layer_1"]]
    assert np.mean(ratios) == pytest.approx(means[1] / means[0], rel=0.05)


def test_shuffling_keeps_the_tokens_of_a_text_and_its_special_ones_in_place():
    model = load_model(resolve("tiny-postln-encoder"), device="cpu")
    chosen = choose(model, td.texts("wikitext2", 3), samples=3, min_tokens=1, max_length=64)
    shuffled = with_tokens_shuffled(chosen, 5)
    for before, after in zip(chosen.encoded, shuffled.encoded, strict=True):
        assert sorted(before.ids) == sorted(after.ids)
        assert (before.ids != after.ids).any()
        np.testing.assert_array_equal(before.ids[before.special], after.ids[before.special])
    again = with_tokens_shuffled(chosen, 5)
    np.testing.assert_array_equal(again.encoded[0].ids, shuffled.encoded[0].ids)


def test_untrained_models_are_drawn_by_the_seed_and_leave_the_random_state_alone():
    import torch

    model = load_model(resolve(DECODER), device="cpu")
    texts = Activations({"layer_1": np.zeros((1, 1), np.float32)}, DECODER, td.texts("wikitext2", 4), "mean")
    before = torch.random.get_rng_state()
    first, second = (list(untrained(model, texts, Study(null_runs=2, seed=s))) for s in (1, 2))
    assert torch.equal(before, torch.random.get_rng_state())
    np.testing.assert_array_equal(first[1].layers["layer_1"], second[0].layers["layer_1"])  # seed + run
    assert (first[0].layers["layer_1"] != first[1].layers["layer_1"]).any()
