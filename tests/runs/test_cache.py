"""Cache entries and commands: damage, permissions, concurrent writers, listing, removal."""

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

from small_studies import DECODER, ENCODER, one_job, one_line
from todacomm.runs.cache import store as caching
from todacomm.runs.cache.store import Cache, default_place, rows
from todacomm.runs.run_study import execute

# Entries


@pytest.fixture
def kept(tmp_path):
    cache = Cache(tmp_path / "cache")
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros((0, 2))}
    assert cache.keep("activations", "ab12", {"z": 1, "a": [0.1, None]}, arrays)
    return cache


def test_an_entry_is_read_as_it_was_written_and_in_its_order(kept):
    facts, arrays = kept.get("activations", "ab12")
    assert list(facts) == ["schema", "entry", "z", "a", "digests"]
    assert facts["entry"] == "activations/ab12"
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


@pytest.mark.parametrize(("kind", "key"), [("activations", "ab99"), ("activations", "cd00"), ("measurements", "ab12")])
def test_an_entry_in_the_place_of_another_is_not_believed(kept, kind, key):
    place = kept.path(kind, key)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(kept.path("activations", "ab12"), place)
    assert kept.get(kind, key) is None
    assert "it is the entry activations/ab12" in " ".join(kept.told())
    assert not place.exists()
    assert kept.get("activations", "ab12") is not None


def test_an_entry_of_before_they_held_their_key_is_computed_anew_without_a_complaint(kept, monkeypatch):
    monkeypatch.setattr(caching, "OF", "nothing")
    assert kept.keep("activations", "ab12", {"z": 1}, {})
    monkeypatch.undo()
    assert kept.get("activations", "ab12") is None
    assert kept.told() == ()
    assert kept.path("activations", "ab12").exists()


def test_a_kill_after_the_activations_were_kept_costs_no_pass(tmp_path, monkeypatch):
    keep = Cache.keep

    def killed(cache, kind, *content):
        keep(cache, kind, *content)
        if kind == "activations":
            raise KeyboardInterrupt

    study = one_job(output_dir=str(tmp_path))
    monkeypatch.setattr("todacomm.runs.run_study.write_figures", lambda *_: [])
    with monkeypatch.context() as patch:
        patch.setattr(Cache, "keep", killed)
        with pytest.raises(KeyboardInterrupt):
            execute(study)
    said = []
    execute(study, say=said.append)
    assert any("activations loaded from cache" in line for line in said)


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
        patch.setattr("todacomm.runs.run_study.write_figures", lambda *_: [])
        for model, layers in ((DECODER, ("layer_1", "layer_2")), (ENCODER, ("layer_1",))):
            study = one_job(models=(model,), layers=layers, language=False, resamples=20)
            execute(study.but(output_dir=str(place / "experiments")))
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
        ("claims", DECODER, 2),
        ("activations", ENCODER, 1),
        ("measurements", ENCODER, 1),
        ("claims", ENCODER, 1),
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
    assert len(rows(filled)) == 6
    monkeypatch.setattr("typer.confirm", lambda question: "2 entries" in question)
    code, out, _ = todacomm("cache", "rm", row.key[:5])
    assert code == 0
    assert one_line(out).startswith("Removed 2 entries")
    assert len(rows(filled)) == 5


def test_rm_of_a_model_leaves_the_others(todacomm, filled):
    code, out, _ = todacomm("cache", "rm", "--model", DECODER, "--yes")
    assert code == 0
    assert one_line(out).startswith("Removed 4 entries")
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
    assert len(rows(filled)) == 5


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
    assert len(rows(filled)) == 6
