"""The cache: what is served without a model, what is not served, and what happens to damaged and unwritable entries."""

import json
import os
import shutil
import stat
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import todacomm as td
from todacomm import cache as caching
from todacomm import checkpoints, digests, jobs
from todacomm.cache import Cache, default_place, rows
from todacomm.digests import checkpoint_of, code_digest, measurement_key
from todacomm.engines import engines
from todacomm.execution import execute
from todacomm.kept import find_reading
from todacomm.metrics import metric, metrics
from todacomm.models import resolve
from todacomm.recipe import Recipe
from todacomm.store import read_experiment
from todacomm.study import Study

DECODER, ENCODER = "tiny-preln-decoder", "tiny-postln-encoder"
RECORDS = ("tda_summaries.json", "metrics.json", "diagrams.safetensors")


def one_line(text):
    return " ".join(text.split())


def study(**settings):
    return Study(**{"models": (DECODER,), "samples": 12, "pooling": ("mean",), **settings})


def run_0(outcome):
    return outcome.experiments[0] / "runs" / "run_0"


def manifest(run):
    return json.loads((run / "manifest.json").read_text(encoding="utf-8"))


def records(run):
    return {name: (run / name).read_bytes() for name in RECORDS}


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Most of the time of a small run is spent on figures, which the cache has no part in."""
    monkeypatch.setattr("todacomm.execution.write_figures", lambda *_: [])


def read(one):
    """The readings of a study, nothing measured or written but the cache."""
    return [jobs.reading_of(job, jobs.cache_of(one)) for job in jobs.jobs_of(one)]


@pytest.fixture
def forbidden(monkeypatch):
    """Make the loading of any model an error."""

    def forbid():
        def refuse(*_, **__):
            raise AssertionError("a model was loaded")

        monkeypatch.setattr("todacomm.loading.load_model", refuse)

    return forbid


@pytest.fixture
def loads(monkeypatch):
    """The names of the models that are loaded."""
    from todacomm import loading

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


# Entries


@pytest.fixture
def kept(tmp_path):
    cache = Cache(tmp_path / "cache")
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((0, 2))}
    assert cache.keep("activations", "ab12", {"z": 1, "a": [0.1, None]}, arrays)
    return cache


def test_an_entry_is_read_as_it_was_written_and_in_its_order(kept):
    facts, arrays = kept.get("activations", "ab12")
    assert list(facts) == ["schema", "z", "a", "digests"]
    assert facts["a"] == [0.1, None]
    np.testing.assert_array_equal(arrays["a"], np.arange(6).reshape(2, 3))
    assert arrays["a"].dtype == np.float32
    assert arrays["b"].shape == (0, 2)


def test_only_the_arrays_that_are_wanted_are_read_and_all_of_them_must_be_there(kept):
    assert list(kept.get("activations", "ab12", ("b",))[1]) == ["b"]
    assert kept.get("activations", "ab12", ("b", "c")) is None
    assert kept.get("activations", "ffff") is None
    assert kept.get("measurements", "ab12") is None
    assert kept.told() == ()


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip_a_bit_of_an_array(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def change_a_fact(path):
    content = path.read_bytes()
    assert content.count(b"0.1, null") == 1
    path.write_bytes(content.replace(b"0.1, null", b"0.2, null"))


def leave_it_empty(path):
    path.write_bytes(b"")


def put_another_file_there(path):
    save_file({"a": np.zeros(3)}, path)


@pytest.mark.parametrize(
    "damage", [truncate, flip_a_bit_of_an_array, change_a_fact, leave_it_empty, put_another_file_there]
)
def test_a_damaged_entry_is_removed_and_told(kept, damage):
    path = kept.path("activations", "ab12")
    damage(path)
    assert kept.get("activations", "ab12") is None
    assert not path.exists()
    (told,) = kept.told()
    assert told.startswith("a damaged entry of the cache was removed and is computed anew")
    assert str(path) in told


def test_a_cache_that_cannot_be_written_says_so_once(tmp_path):
    (tmp_path / "file").touch()
    cache = Cache(tmp_path / "file" / "cache")
    for key in ("ab12", "cd34"):
        assert not cache.keep("digests", key, {}, {})
    (told,) = cache.complaints
    assert f"the cache at {cache.root} cannot be written, the run goes on without it" in told
    assert cache.probe() is None


def test_entries_have_the_rights_that_new_files_have(kept, tmp_path):
    (tmp_path / "plain").touch()
    entry = kept.path("activations", "ab12")
    assert stat.S_IMODE(entry.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
    assert (kept.root / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")


def test_writers_of_one_key_never_show_half_an_entry(tmp_path):
    array = np.arange(20000, dtype=np.float64)

    def write(number):
        cache = Cache(tmp_path)
        for _ in range(20):
            cache.keep("activations", "ab12", {"number": number}, {"a": array})

    writers = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for writer in writers:
        writer.start()
    reader, seen = Cache(tmp_path), set()
    while any(writer.is_alive() for writer in writers):
        found = reader.get("activations", "ab12")
        if found:
            seen.add(found[0]["number"])
            assert len(found[1]["a"]) == 20000
    assert seen
    assert reader.told() == ()
    assert [path.name for path in tmp_path.glob("activations/ab/*")] == ["ab12.safetensors"]


@pytest.mark.parametrize(
    ("platform", "environment", "expected"),
    [
        ("linux", {"TODACOMM_CACHE": "/somewhere/else"}, "/somewhere/else"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/todacomm"),
        ("linux", {}, "/home/me/.cache/todacomm"),
        ("darwin", {"XDG_CACHE_HOME": "/xdg"}, "/home/me/Library/Caches/todacomm"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/todacomm/Cache"),
    ],
)
def test_the_place_is_the_one_that_was_named_or_that_of_the_system(monkeypatch, platform, environment, expected):
    for name in ("TODACOMM_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setattr(sys, "platform", platform)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert default_place() == Path(expected)


# Readings


def test_a_later_run_loads_no_model_and_gives_equal_bytes(tmp_path, forbidden):
    fresh = run_0(execute(study(cache=False, output_dir=str(tmp_path / "fresh"))))
    first = run_0(execute(study(output_dir=str(tmp_path / "first"))))
    forbidden()
    again = run_0(execute(study(output_dir=str(tmp_path / "again"))))
    assert records(fresh) == records(first) == records(again)
    before, after = manifest(first), manifest(again)
    assert before["from_cache"] == {"activations": False, "layers": []}
    assert after["from_cache"] == {"activations": True, "layers": after["layers"]}
    for key in ("card", "extraction", "texts", "device", "dtype", "notes", "cross_checked", "expansions"):
        assert after[key] == before[key], key
    assert not (fresh / "activations").exists()
    stored = load_file(next((again / "activations").iterdir()))
    assert set(stored) == set(after["layers"])


def test_fewer_layers_and_other_recipes_are_served(tmp_path, forbidden):
    execute(study(output_dir=str(tmp_path)))
    forbidden()
    fewer = execute(study(output_dir=str(tmp_path), layers=("layer_2", "final"), scale="median", components=5))
    assert fewer.profiles[0].layers == ("layer_2", "final")
    stored = load_file(next((run_0(fewer) / "activations").iterdir()))
    assert set(stored) == {"layer_2", "final"}
    assert (
        td.measure(stored, scale="median", components=5)["H1_count"].tolist() == fewer.profiles[0]["H1_count"].tolist()
    )


def test_a_served_reading_is_of_the_texts_that_were_chosen(tmp_path):
    lines = [f"word {i // 3}" + " and so on and on" * (i % 2) for i in range(30)]  # some twice, every other too short
    (tmp_path / "mixed.txt").write_text("\n".join(lines), encoding="utf-8")
    one = study(datasets=(str(tmp_path / "mixed.txt"),), samples=10, min_tokens=6, language=False)
    (first,), (served,) = read(one), read(one)
    assert not served.loaded
    assert served.activations.texts.items == first.activations.texts.items == tuple(lines[1:21:2])
    assert dict(served.activations.notes) == dict(first.activations.notes)


def test_layers_are_added_to_those_that_are_kept(tmp_path, loads, forbidden):
    for layers in (("layer_1",), ("layer_2", "final")):
        jobs.release()
        read(study(layers=layers))
    assert len(loads) == 2
    forbidden()
    (both,) = read(study(layers=("layer_2", "layer_1")))
    assert list(both.activations.layers) == ["layer_1", "layer_2"]
    (three,) = read(study(layers=("layer_1", "layer_2", "final")))
    np.testing.assert_array_equal(three.activations.layers["layer_1"], both.activations.layers["layer_1"])


def test_the_pooling_of_its_kind_is_the_same_as_its_name(tmp_path, forbidden):
    read(study(pooling=None))
    forbidden()
    (reading,) = read(study(pooling=("last",)))
    assert reading.activations.pooling == "last"


BASE = study(layers=("layer_1",), language=False)
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
    real = digests.installed
    monkeypatch.setattr(digests, "installed", lambda name: "9.9" if name == "transformers" else real(name))
    digests._versions.cache_clear()
    served = found_in(known, BASE)
    monkeypatch.undo()
    digests._versions.cache_clear()
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


@pytest.mark.parametrize("change", [change_the_weights, change_the_tokenizer])
def test_another_model_in_the_same_place_is_read(tmp_path, copied, loads, change):
    one = study(models=(str(copied),), layers=("layer_5",))
    (before,) = read(one)
    change(copied)
    (after,) = read(one)
    assert loads == ["copied", "copied"]
    assert not np.array_equal(before.activations.layers["layer_5"], after.activations.layers["layer_5"])


def test_the_same_model_under_another_name_is_served_under_that_name(tmp_path, copied, forbidden):
    execute(study(output_dir=str(tmp_path / "out")))
    forbidden()
    (profile,) = execute(study(models=(str(copied),), output_dir=str(tmp_path / "out"))).profiles
    assert profile.model == profile.card.name == "copied"


def test_weights_are_hashed_once(tmp_path, monkeypatch, copied):
    real, hashed = checkpoints.sha256_of, []

    def counted(paths):
        hashed.append([path.name for path in paths])
        return real(paths)

    monkeypatch.setattr(checkpoints, "sha256_of", counted)
    one = study(models=(str(copied),), layers=("layer_1",), pooling=("mean", "last"))
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


def test_a_wrong_number_of_layers_is_refused_also_when_the_model_was_read_before(tmp_path):
    execute(study(output_dir=str(tmp_path)))
    assert execute(study(output_dir=str(tmp_path), num_layers=6)).profiles
    with pytest.raises(td.TodacommError, match="--num-layers 7"):
        execute(study(output_dir=str(tmp_path), num_layers=7))
    with pytest.raises(td.TodacommError, match="'layer_6' is not a layer"):
        execute(study(output_dir=str(tmp_path), layers=("layer_6",)))


def test_a_damaged_entry_costs_its_computation_and_nothing_else(todacomm, tmp_path, cache_place):
    arguments = ("run", "--model", DECODER, "--samples", 12, "--pool", "mean", "--quiet", "--output-dir")
    todacomm(*arguments, "one")
    damaged = [*cache_place.glob("activations/*/*"), *list(cache_place.glob("measurements/*/*"))[:2]]
    for path in damaged:
        flip_a_bit_of_an_array(path)
    code, _, err = todacomm(*arguments, "two")
    assert code == 0
    assert one_line(err).count("warning: a damaged entry of the cache was removed") == 3
    one, two = (next(Path(place).glob("tiny*")) / "runs" / "run_0" for place in ("one", "two"))
    assert records(one) == records(two)
    assert manifest(two)["from_cache"]["activations"] is False
    assert len(manifest(two)["from_cache"]["layers"]) == 6
    assert todacomm(*arguments, "three")[2] == ""


def test_a_run_goes_on_without_a_cache_that_cannot_be_written(todacomm, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("TODACOMM_CACHE", str(tmp_path / "file" / "cache"))
    code, _, err = todacomm("run", "--model", DECODER, "--samples", 12, "--layers", "layer_1,layer_2", "--quiet")
    assert code == 0
    assert one_line(err).count("warning") == 1
    assert "cannot be written, the run goes on without it" in one_line(err)
    assert len(list(Path("experiments").rglob("activations/*.safetensors"))) == 1


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


def test_a_study_that_was_stopped_goes_on_at_the_layer_where_it_was(tmp_path, monkeypatch, measured):
    counted = jobs.measure_task

    def stopped(task):
        if task.cloud.address.layer == "layer_3":
            raise KeyboardInterrupt
        return counted(task)

    monkeypatch.setattr(jobs, "measure_task", stopped)
    with pytest.raises(KeyboardInterrupt):
        execute(study(output_dir=str(tmp_path), jobs=1))
    assert measured == ["embedding", "layer_0", "layer_1", "layer_2"]
    monkeypatch.setattr(jobs, "measure_task", counted)
    found = run_0(execute(study(output_dir=str(tmp_path), jobs=1)))
    assert measured[4:] == ["layer_3", "layer_4", "layer_5", "final"]
    assert manifest(found)["from_cache"]["layers"] == measured[:4]
    fresh = run_0(execute(study(output_dir=str(tmp_path / "fresh"), cache=False)))
    assert records(found) == records(fresh)


def test_arrays_are_measured_once(todacomm, tmp_path, rng, measured):
    np.savez("layers.npz", layer_0=rng.normal(size=(30, 4)), layer_1=rng.normal(size=(30, 4)))
    code, first, _ = todacomm("measure", "layers.npz", "--json")
    assert code == 0
    code, again, err = todacomm("measure", "layers.npz", "--json")
    assert (again, err) == (first, "")
    assert measured == ["layer_0", "layer_1"]
    _, _, err = todacomm("measure", "layers.npz")
    assert "2 of 2 layers were measured before" in err
    todacomm("measure", "layers.npz", "--no-cache", "--json")
    todacomm("measure", "layers.npz", "--scale", "median", "--json")
    assert len(measured) == 6


def test_a_layer_that_is_to_be_confirmed_is_measured_again_unless_it_was(tmp_path, measured, rng):
    layers = {f"layer_{i}": rng.normal(size=(20, 3)) for i in range(12)}
    cache, recipe = Cache(tmp_path), Recipe()

    def confirmed(names):
        from todacomm.measurement import measure_arrays

        given = {name: layers[name] for name in names}
        return measure_arrays(given, name="m", recipe=recipe, each=jobs.Remembering(cache))[1].layers

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
    real = digests._source
    monkeypatch.setattr(digests, "_source", lambda name: (real(name) or b"") + b"#" * (name == "metrics"))
    code_digest.cache_clear()
    changed = measurement_key("cloud", Recipe())
    monkeypatch.undo()
    code_digest.cache_clear()
    assert changed != before
    assert measurement_key("cloud", Recipe()) == before


def test_the_code_of_a_number_is_all_that_its_module_imports():
    assert {"measurement", "cloud", "engines", "metrics", "recipe"} <= set(digests._closure("measurement"))
    assert {"extraction", "pooling", "batching", "families", "language"} <= set(digests._closure("extraction"))
    assert not {"report", "cli", "execution"} & set(digests._closure("measurement"))


def test_a_metric_or_an_engine_of_others_is_known_by_its_file(tmp_path, monkeypatch):
    before = measurement_key("cloud", Recipe())
    added = metric("of_a_test", degree=0, label="one")(lambda bars: 1.0)
    try:
        with_metric = measurement_key("cloud", Recipe())
        assert with_metric != before
        monkeypatch.setattr(sys.modules[__name__], "__file__", str(tmp_path / "module.py"))
        (tmp_path / "module.py").write_text("one")
        digests._foreign.cache_clear()
        assert measurement_key("cloud", Recipe()) != with_metric
    finally:
        del metrics._entries[added.name]
        digests._foreign.cache_clear()
    assert measurement_key("cloud", Recipe()) == before
    assert all(engine.__module__.startswith("todacomm") for engine in engines.values())


def test_every_key_of_a_study_that_is_left_out_of_the_key_is_one():
    assert set(Study.model_fields) >= digests.NOT_READ


# todacomm cache


@pytest.mark.parametrize("command", ["ls", "du", "rm"])
def test_every_command_explains_itself(todacomm, command):
    code, out, _ = todacomm("cache", command, "--help")
    assert code == 0
    assert len(one_line(out)) > 80
    assert command in todacomm("cache", "--help")[1]


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A cache with two models in it, and the experiments that filled it."""
    place = tmp_path_factory.mktemp("once")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TODACOMM_CACHE", str(place / "cache"))
        patch.setattr("todacomm.execution.write_figures", lambda *_: [])
        for model, layers in ((DECODER, ("layer_1", "layer_2")), (ENCODER, ("layer_1",))):
            execute(study(models=(model,), layers=layers, output_dir=str(place / "experiments")))
    return place


@pytest.fixture
def filled(once, cache_place):
    shutil.copytree(once / "cache", cache_place)
    return Cache(cache_place)


def test_ls_shows_what_is_kept(todacomm, filled):
    code, out, _ = todacomm("cache", "ls")
    assert code == 0
    for part in ("activations", "measurements", DECODER, ENCODER, "wikitext2", "mean", "kB", "ago"):
        assert part in out
    listed = json.loads(todacomm("cache", "ls", "--json")[1])
    assert {(row["what"], row["model"], row["layers"]) for row in listed} == {
        ("activations", DECODER, 2),
        ("measurements", DECODER, 2),
        ("activations", ENCODER, 1),
        ("measurements", ENCODER, 1),
    }
    assert (
        todacomm("cache", "ls", "--csv")[1].splitlines()[0] == "key,what,model,dataset,pooling,layers,bytes,last_used"
    )


def test_du_adds_up(todacomm, filled):
    code, out, _ = todacomm("cache", "du", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["activations"]["files"] == 2
    assert found["measurements"]["files"] == 3
    total = sum(found[kind]["bytes"] for kind in caching.KINDS)
    assert total == sum(path.stat().st_size for path in filled.root.rglob("*.safetensors"))
    assert "activations" in todacomm("cache", "du")[1]


def test_rm_of_a_key_asks_and_says_what_was_freed(todacomm, filled, monkeypatch):
    (row, *rest) = (row for row in rows(filled) if row.what == "measurements" and row.model == DECODER)
    assert not rest
    monkeypatch.setattr("typer.confirm", lambda _: False)
    assert "Nothing was removed" in todacomm("cache", "rm", row.key)[1]
    assert len(rows(filled)) == 4
    monkeypatch.setattr("typer.confirm", lambda question: "2 entries" in question)
    code, out, _ = todacomm("cache", "rm", row.key[:5])
    assert code == 0
    assert one_line(out).startswith("Removed 2 entries")
    assert len(rows(filled)) == 3


def test_rm_of_a_model_leaves_the_others(todacomm, filled):
    code, out, _ = todacomm("cache", "rm", "--model", DECODER, "--yes")
    assert code == 0
    assert one_line(out).startswith("Removed 3 entries")
    assert {row.model for row in rows(filled)} == {ENCODER}


def test_rm_leaves_the_activations_of_the_runs(todacomm, filled, once):
    (kept,) = once.glob(f"experiments/{ENCODER}*/runs/run_0/activations/*")
    assert kept.stat().st_nlink == 2, "a run holds a hard link of the entry"
    (row,) = (row for row in rows(filled) if row.what == "activations" and row.model == ENCODER)
    row.entries[0].path.unlink()
    os.link(kept, row.entries[0].path)
    _, out, _ = todacomm("cache", "rm", row.key, "--yes")
    assert "0 B freed;" in one_line(out)
    assert "stay on the disk, as runs hold them" in one_line(out)
    assert list(load_file(kept)) == ["layer_1"]


def test_rm_of_what_is_old_leaves_what_was_used(todacomm, filled):
    path = next(filled.root.glob("activations/*/*"))
    os.utime(path, (0, 0))
    code, _, _ = todacomm("cache", "rm", "--older-than", "30d", "--yes")
    assert code == 0
    assert not path.exists()
    assert len(rows(filled)) == 3


def test_rm_of_all_leaves_nothing_not_even_what_was_never_finished(todacomm, filled):
    part = filled.root / "activations" / "ab" / "ab12.safetensors.1.part"
    part.parent.mkdir(exist_ok=True)
    part.touch()
    os.utime(part, (0, 0))
    assert todacomm("cache", "rm", "--all", "--yes")[0] == 0
    assert not [path for path in filled.root.rglob("*") if path.is_file() and path.name != "CACHEDIR.TAG"]
    assert "is empty" in todacomm("cache", "ls")[1]
    assert "nothing of that" in todacomm("cache", "rm", "--all", "--yes")[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("rm",), "nothing was named: give keys of todacomm cache ls, --model, --older-than or --all"),
        (("rm", "zzzzz", "--yes"), "'zzzzz' is not a key in the cache that todacomm knows."),
        (("rm", "--model", "tiny-preln-decodr", "--yes"), f"Did you mean '{DECODER}'?"),
        (("rm", "--older-than", "soon", "--yes"), "--older-than soon: expected a number and a unit, such as 90m"),
        (("rm", "--all", "--model", DECODER), "--all removes everything: leave out the keys, --model and --older-than"),
    ],
)
def test_what_rm_does_not_understand_removes_nothing(todacomm, filled, arguments, message):
    code, _, err = todacomm("cache", *arguments)
    assert code == 2
    assert message in one_line(err)
    assert len(rows(filled)) == 4


def test_an_entry_that_vanishes_while_runs_are_compared_is_no_matter(tmp_path, cache_place):
    found = execute(study(output_dir=str(tmp_path)))
    shutil.rmtree(cache_place)
    assert read_experiment(found.experiments[0])[0].profile.layers == found.profiles[0].layers
    assert load_file(next((run_0(found) / "activations").iterdir()))
