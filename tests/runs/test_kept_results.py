"""What is kept of readings and measurements: what is served without a model, and what is computed anew."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import todacomm as td
from small_studies import DECODER, ENCODER, manifests, one_job, one_line, records
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.recipe import Recipe
from todacomm.homology.engines import engines
from todacomm.homology.metrics import metric, metrics
from todacomm.models.checkpoints import checkpoint_files
from todacomm.models.names import resolve
from todacomm.profiles.from_arrays import measure_arrays
from todacomm.records.runs import read_experiment
from todacomm.runs import jobs
from todacomm.runs.cache import keys
from todacomm.runs.cache.entries import find_reading
from todacomm.runs.cache.keys import checkpoint_of, code_digest, measurement_key
from todacomm.runs.cache.store import Cache
from todacomm.runs.run_study import execute

pytestmark = pytest.mark.usefixtures("no_figures")


def run_0(outcome):
    return outcome.experiments[0] / "runs" / "run_0"


def read(one):
    """The readings of a study, nothing measured or written but the cache."""
    return [jobs.reading_of(job, jobs.cache_of(one)) for job in jobs.jobs_of(one)]


@pytest.fixture
def forbidden(monkeypatch):
    """Make the loading of any model an error."""

    def forbid():
        def refuse(*_, **__):
            raise AssertionError("a model was loaded")

        monkeypatch.setattr("todacomm.models.checkpoints.loading.load_model", refuse)

    return forbid


@pytest.fixture
def loads(monkeypatch):
    """The names of the models that are loaded."""
    from todacomm.models.checkpoints import loading

    real, found = loading.load_model, []

    def counted(source, **settings):
        found.append(source.name)
        return real(source, **settings)

    monkeypatch.setattr(loading, "load_model", counted)
    return found


@pytest.fixture
def measured(monkeypatch):
    """The layers that are measured, not those that are remembered."""
    real, found = jobs.measure_task, []

    def counted(task):
        found.append(task.cloud.address.layer)
        return real(task)

    monkeypatch.setattr(jobs, "measure_task", counted)
    return found


# Readings


def test_a_later_run_loads_no_model_and_gives_equal_bytes(tmp_path, forbidden):
    fresh = execute(one_job(cache=False, output_dir=str(tmp_path / "fresh")))
    first = execute(one_job(output_dir=str(tmp_path / "first")))
    forbidden()
    again = execute(one_job(output_dir=str(tmp_path / "again")))
    assert records(fresh) == records(first) == records(again)
    (before,), (after,) = manifests(first), manifests(again)
    assert before["from_cache"] == {"activations": False, "layers": []}
    assert after["from_cache"] == {"activations": True, "layers": after["layers"]}
    for key in ("card", "extraction", "texts", "device", "dtype", "notes", "cross_checked", "expansions"):
        assert after[key] == before[key], key
    assert not (run_0(fresh) / "activations").exists()
    stored = load_file(next((run_0(again) / "activations").iterdir()))
    assert set(stored) == set(after["layers"])


def test_fewer_layers_and_other_recipes_are_served(tmp_path, forbidden):
    execute(one_job(output_dir=str(tmp_path)))
    forbidden()
    fewer = execute(one_job(output_dir=str(tmp_path), layers=("layer_2", "final"), scale="median", components=5))
    assert fewer.profiles[0].layers == ("layer_2", "final")
    stored = load_file(next((run_0(fewer) / "activations").iterdir()))
    assert set(stored) == {"layer_2", "final"}
    assert (
        td.measure(stored, scale="median", components=5)["H1_count"].tolist() == fewer.profiles[0]["H1_count"].tolist()
    )


def test_a_served_reading_is_of_the_texts_that_were_chosen(tmp_path):
    lines = [f"word {i // 3}" + " and so on and on" * (i % 2) for i in range(30)]  # some twice, every other too short
    rows = [json.dumps({"text": line, "row": i + 0.5}) for i, line in enumerate(lines)]
    (tmp_path / "mixed.jsonl").write_text("\n".join(rows), encoding="utf-8")
    one = one_job(datasets=(str(tmp_path / "mixed.jsonl"),), samples=10, min_tokens=6)
    (first,), (served,) = read(one), read(one)
    assert not served.loaded
    assert served.activations.texts.items == first.activations.texts.items == tuple(lines[1:21:2])
    assert served.activations.texts.columns == {"row": tuple(i + 0.5 for i in range(1, 21, 2))}
    assert dict(served.activations.notes) == dict(first.activations.notes)
    assert served.activations.tokens == first.activations.tokens
    assert len(set(served.activations.tokens.losses)) == len(set(lines[1:21:2]))


def test_layers_are_added_to_those_that_are_kept(tmp_path, loads, forbidden):
    for layers in (("layer_1",), ("layer_2", "final")):
        jobs.release()
        read(one_job(layers=layers))
    assert len(loads) == 2
    forbidden()
    (both,) = read(one_job(layers=("layer_2", "layer_1")))
    assert list(both.activations.layers) == ["layer_1", "layer_2"]
    (three,) = read(one_job(layers=("layer_1", "layer_2", "final")))
    np.testing.assert_array_equal(three.activations.layers["layer_1"], both.activations.layers["layer_1"])


def test_the_pooling_of_its_kind_is_the_same_as_its_name(tmp_path, forbidden):
    read(one_job(pooling=None))
    forbidden()
    (reading,) = read(one_job(pooling=("last",)))
    assert reading.activations.pooling == "last"


BASE = one_job(layers=("layer_1",), language=False)
DRAWN = {"masked": BASE.but(models=(ENCODER,), language=True), "tokens": BASE.but(pooling=("tokens",))}


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """A cache that has the readings of the studies above."""
    cache = Cache(tmp_path_factory.mktemp("known"))
    for one in (BASE, *DRAWN.values()):
        jobs.reading_of(*jobs.jobs_of(one), cache)
    return cache


def found_in(cache, one):
    """Whether the reading of a study is served."""
    (job,) = jobs.jobs_of(one)
    return find_reading(job, cache) is not None


@pytest.mark.parametrize(
    "change",
    [
        {"pooling": ("max",)},
        {"samples": 13},
        {"max_length": 100},
        {"min_tokens": 2},
        {"shuffle": True},
        {"site": "mlp"},
        {"language": True},
        {"batch_size": 3},
        {"dtype": "bfloat16"},
        {"device": "cpu"},
        {"datasets": ("squad",)},
        {"models": ("tiny-preln-encoder",)},
        {"trust_remote_code": True},
        {"layers": ("layer_2",)},
    ],
    ids=str,
)
def test_what_changes_a_number_is_computed_anew(known, change):
    assert found_in(known, BASE)
    assert not found_in(known, BASE.but(**change))


@pytest.mark.parametrize(
    "change", [{"seed": 1}, {"jobs": 1}, {"subsample": 5}, {"scale": "rms"}, {"allow_pickle": True}], ids=str
)
def test_what_changes_no_activation_is_served(known, change):
    assert found_in(known, BASE.but(**change))


@pytest.mark.parametrize("drawn", DRAWN)
def test_the_seed_counts_where_tokens_are_drawn_by_it(known, drawn):
    assert found_in(known, DRAWN[drawn])
    assert not found_in(known, DRAWN[drawn].but(seed=1))
    assert found_in(known, DRAWN[drawn].but(subsample=9)) == (drawn == "masked")


def test_another_version_of_a_library_is_another_key(known, monkeypatch):
    real = keys.installed
    monkeypatch.setattr(keys, "installed", lambda name: "9.9" if name == "transformers" else real(name))
    keys._versions.cache_clear()
    served = found_in(known, BASE)
    monkeypatch.undo()
    keys._versions.cache_clear()
    assert not served
    assert found_in(known, BASE)


@pytest.fixture
def copied(tmp_path):
    """A copy of a shipped model that a test may change."""
    return shutil.copytree(resolve(DECODER).location, tmp_path / "copied")


def change_the_weights(directory):
    weights = load_file(directory / "model.safetensors")
    name = next(n for n in weights if "layer.3" in n and n.endswith("output.dense.bias"))
    weights[name][0] += 1
    save_file(weights, directory / "model.safetensors", metadata={"format": "pt"})


def change_the_tokenizer(directory):
    path = directory / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_max_length": 20}), encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("change", [change_the_weights, change_the_tokenizer])
def test_another_model_in_the_same_place_is_read(tmp_path, copied, loads, change):
    one = one_job(models=(str(copied),), layers=("layer_5",))
    (before,) = read(one)
    change(copied)
    (after,) = read(one)
    assert loads == ["copied", "copied"]
    assert not np.array_equal(before.activations.layers["layer_5"], after.activations.layers["layer_5"])


def test_the_same_model_under_another_name_is_served_under_that_name(tmp_path, copied, forbidden):
    execute(one_job(output_dir=str(tmp_path / "out")))
    forbidden()
    (profile,) = execute(one_job(models=(str(copied),), output_dir=str(tmp_path / "out"))).profiles
    assert profile.model == profile.card.name == "copied"


def test_weights_are_hashed_once(tmp_path, monkeypatch, copied):
    real, hashed = checkpoint_files.sha256_of, []

    def counted(paths):
        hashed.append([path.name for path in paths])
        return real(paths)

    monkeypatch.setattr(checkpoint_files, "sha256_of", counted)
    one = one_job(models=(str(copied),), layers=("layer_1",), pooling=("mean", "last"))
    first, _ = read(one)
    jobs.release()
    read(one.but(max_length=50))
    assert hashed == [["model.safetensors"]]
    os.utime(copied / "model.safetensors", ns=(1, 1))
    assert read(one)[0].card.weights_sha256 == first.card.weights_sha256
    assert len(hashed) == 2


def test_code_from_another_repository_cannot_be_known(tmp_path, copied):
    cache, source = Cache(tmp_path / "cache"), resolve(str(copied))
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "other/repo--code.Model"}}))
    assert checkpoint_of(source, cache) is not None
    assert checkpoint_of(source, cache, remote_code=True) is None


def test_a_model_whose_weights_are_not_there_has_no_key(tmp_path, copied):
    (copied / "model.safetensors").unlink()
    assert checkpoint_of(resolve(str(copied)), Cache(tmp_path / "cache")) is None


@pytest.mark.slow
def test_a_wrong_number_of_layers_is_refused_also_when_the_model_was_read_before(tmp_path):
    execute(one_job(output_dir=str(tmp_path)))
    assert execute(one_job(output_dir=str(tmp_path), num_layers=6)).profiles
    with pytest.raises(td.TodacommError, match="--num-layers 7"):
        execute(one_job(output_dir=str(tmp_path), num_layers=7))
    with pytest.raises(td.TodacommError, match="'layer_6' is not a layer"):
        execute(one_job(output_dir=str(tmp_path), layers=("layer_6",)))


@pytest.mark.slow
def test_a_damaged_entry_costs_its_computation_and_nothing_else(todacomm, tmp_path, cache_place):
    arguments = ("run", "--model", DECODER, "--samples", 12, "--pool", "mean", "--quiet", "--output-dir")
    todacomm(*arguments, "one")
    damaged = [*cache_place.glob("activations/*/*"), *list(cache_place.glob("measurements/*/*"))[:2]]
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    code, _, err = todacomm(*arguments, "two")
    assert code == 0
    assert one_line(err).count("warning: a damaged entry of the cache was removed") == 3
    one, two = (list(Path(place).glob("tiny*")) for place in ("one", "two"))
    assert records(one) == records(two)
    found = json.loads((two[0] / "runs" / "run_0" / "manifest.json").read_text(encoding="utf-8"))["from_cache"]
    assert found["activations"] is False
    assert len(found["layers"]) == 6
    assert todacomm(*arguments, "three")[2] == ""


@pytest.mark.slow
def test_a_run_goes_on_without_a_cache_that_cannot_be_written(todacomm, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TODACOMM_CACHE", str(tmp_path / "file" / "cache"))
    code, _, err = todacomm("run", "--model", DECODER, "--samples", 12, "--layers", "layer_1,layer_2", "--quiet")
    assert code == 0
    assert one_line(err).count("warning") == 1
    assert "cannot be written, the run goes on without it" in one_line(err)
    assert len(list(Path("experiments").rglob("activations/*.safetensors"))) == 1


@pytest.mark.slow
def test_no_cache_neither_reads_nor_writes(todacomm, tmp_path, cache_place, loads):
    arguments = ("run", "--model", DECODER, "--samples", 12, "--layers", "layer_1", "--quiet")
    assert todacomm(*arguments, "--no-cache")[0] == 0
    assert not cache_place.exists()
    for _ in range(2):
        assert todacomm(*arguments)[0] == 0
    assert todacomm(*arguments, "--no-cache")[0] == 0
    assert len(loads) == 3
    assert todacomm("measure", "cloud.npy", "--no-cache")[0] == 2


# Measurements


@pytest.mark.slow
def test_a_study_that_was_stopped_goes_on_at_the_layer_where_it_was(tmp_path, monkeypatch, measured):
    counted = jobs.measure_task

    def stopped(task):
        if task.cloud.address.layer == "layer_3":
            raise KeyboardInterrupt
        return counted(task)

    monkeypatch.setattr(jobs, "measure_task", stopped)
    with pytest.raises(KeyboardInterrupt):
        execute(one_job(output_dir=str(tmp_path), jobs=1))
    assert measured == ["embedding", "layer_0", "layer_1", "layer_2"]
    monkeypatch.setattr(jobs, "measure_task", counted)
    found = execute(one_job(output_dir=str(tmp_path), jobs=1))
    assert measured[4:] == ["layer_3", "layer_4", "layer_5", "final"]
    assert manifests(found)[0]["from_cache"]["layers"] == measured[:4]
    fresh = execute(one_job(output_dir=str(tmp_path / "fresh"), cache=False))
    assert records(found) == records(fresh)


@pytest.mark.slow
def test_arrays_are_measured_once(todacomm, tmp_path, rng, measured):
    np.savez("layers.npz", layer_0=rng.normal(size=(30, 4)), layer_1=rng.normal(size=(30, 4)))
    code, first, _ = todacomm("measure", "layers.npz", "--json")
    assert code == 0
    code, again, err = todacomm("measure", "layers.npz", "--json")
    assert (again, err) == (first, "")
    assert measured == ["layer_0", "layer_1"]
    _, _, err = todacomm("measure", "layers.npz")
    assert "2 of 2 layers loaded from cache" in err
    todacomm("measure", "layers.npz", "--no-cache", "--json")
    todacomm("measure", "layers.npz", "--scale", "median", "--json")
    assert len(measured) == 6


def test_a_layer_that_is_to_be_confirmed_is_measured_again_unless_it_was(tmp_path, measured, rng):
    layers = {f"layer_{i}": rng.normal(size=(20, 3)) for i in range(12)}
    cache, recipe = Cache(tmp_path), Recipe()

    def confirmed(names):
        given = {name: layers[name] for name in names}
        return measure_arrays(
            given,
            name="m",
            recipe=recipe,
            asked=InferenceSettings(resamples=0, null_draws=0),
            each=jobs.CachedEach(cache),
        )[1].layers

    drawn = confirmed(layers)
    assert len(drawn) == 2
    (other, *_) = (name for name in layers if name not in drawn)
    assert confirmed([other]) == (other,)
    assert measured[12:] == [other]
    assert set(confirmed(layers)) == {*drawn, other}
    assert len(measured) == 13


def test_a_change_of_the_code_is_a_change_of_the_key(monkeypatch):
    before = measurement_key("cloud", Recipe())
    assert measurement_key("cloud", Recipe()) == before
    assert measurement_key("cloud", Recipe(seed=1)) != before
    real = keys._source
    monkeypatch.setattr(keys, "_source", lambda name: (real(name) or b"") + b"#" * (name == "homology.metrics"))
    code_digest.cache_clear()
    changed = measurement_key("cloud", Recipe())
    monkeypatch.undo()
    code_digest.cache_clear()
    assert changed != before
    assert measurement_key("cloud", Recipe()) == before


def test_the_code_of_a_number_is_all_that_its_module_imports():
    assert {
        "profiles.measure",
        "clouds.prepare",
        "homology.engines",
        "homology.bitlink.edges",
        "homology.metrics",
        "core.recipe",
    } <= set(keys._closure("profiles.measure"))
    assert {
        "models.extraction",
        "models.pooling",
        "models.batching",
        "models.architecture.blocks_and_norms",
        "models.perplexity",
    } <= set(keys._closure("models.extraction"))
    assert not [
        name for name in keys._closure("profiles.measure") if name.startswith(("report", "cli", "runs", "models"))
    ]


def test_a_metric_or_an_engine_of_others_is_known_by_its_file(tmp_path, monkeypatch):
    before = measurement_key("cloud", Recipe())
    added = metric("of_a_test", degree=0, label="one")(lambda bars: 1.0)
    try:
        with_metric = measurement_key("cloud", Recipe())
        assert with_metric != before
        monkeypatch.setattr(sys.modules[__name__], "__file__", str(tmp_path / "module.py"))
        (tmp_path / "module.py").write_text("one")
        keys._foreign.cache_clear()
        assert measurement_key("cloud", Recipe()) != with_metric
    finally:
        del metrics._entries[added.name]
        keys._foreign.cache_clear()
    assert measurement_key("cloud", Recipe()) == before
    assert all(engine.compute.__module__.startswith("todacomm") for engine in engines.values())


def test_the_key_of_a_measurement_has_the_versions_of_the_libraries_of_its_engine_alone(monkeypatch):
    def keys_with(changed):
        monkeypatch.setattr(keys, "_versions", lambda names: {name: name == changed for name in names})
        return {name: measurement_key("cloud", Recipe(engine=name)) for name in engines}

    before = keys_with("")
    for name, engine in engines.items():
        for library in engine.libraries:
            assert keys_with(library)[name] != before[name]
    assert keys_with("ripser")["redzed"] == before["redzed"]


def test_an_entry_that_vanishes_while_runs_are_compared_is_no_matter(tmp_path, cache_place):
    found = execute(one_job(output_dir=str(tmp_path)))
    shutil.rmtree(cache_place)
    assert read_experiment(found.experiments[0])[0].profile.layers == found.profiles[0].layers
    assert load_file(next((run_0(found) / "activations").iterdir()))
