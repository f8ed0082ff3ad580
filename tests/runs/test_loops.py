"""``todacomm loops``: of a run that keeps its activations, of arrays, and what is written."""

import csv
import json

import numpy as np
import pytest

from shapes import agreement
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.recipe import Recipe
from todacomm.core.types import Activations, Texts
from todacomm.profiles.from_arrays import measure
from todacomm.records.loops import read_loops_record
from todacomm.records.runs import Record, write_record
from todacomm.records.texts import TEXTS_RECORD, texts_to_keep
from todacomm.runs.loops.find_loops import find_loops, source_of_arrays, source_of_run, write_loops

N = 96
TRUTH = 2 * np.pi * np.random.default_rng(0).uniform(size=N)
WORDS = Texts("clock", tuple(f"{'w' * int(9 + 8 * np.cos(a))} <{i}>" for i, a in enumerate(TRUTH)), ("day",) * N)


def layers():
    """A circle, the same turned, and noise."""
    rng = np.random.default_rng(1)
    circle = np.pad(np.c_[np.cos(TRUTH), np.sin(TRUTH)], ((0, 0), (0, 4)))
    turned = circle @ np.linalg.qr(rng.normal(size=(6, 6)))[0]
    noise = 0.06 * rng.normal(size=(3, N, 6))
    return {"embedding": circle + noise[0], "layer_0": turned + noise[1], "layer_1": 5 * noise[2]}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run as it lies on disk."""
    directory = tmp_path_factory.mktemp("run") / "clock_tda_20260101_000000"
    place = directory / "runs" / "run_0"
    profile = measure(layers(), name="clock", recipe=Recipe(pooling="last"), resamples=0, null_draws=0)
    TEXTS_RECORD.write(place, texts_to_keep(WORDS, whole=True))
    write_record(place, Record(profile, {"command": "", "versions": {}}), Activations(layers(), "clock", WORDS, "last"))
    return directory


@pytest.fixture(scope="module")
def found(run):
    return find_loops(source_of_run(run), draws=39, top=5, number=1)


def test_the_loops_of_a_run_are_those_of_its_clouds_with_its_texts(found):
    assert [len(one) for one in found.layers] == [1, 1, 0]
    [one] = found.layers[0].coordinates
    assert agreement(one.angles, TRUTH) > 0.99
    assert one.texts == tuple(WORDS.items[row] for row in one.cycle)


def test_what_runs_around_the_loop_is_found_among_properties_of_the_texts(found):
    [around] = found.properties[0]
    by_name = {one.name: one for one in around}
    assert by_name["letters"].adjusted == 0.001
    assert by_name["letters"].strength > 0.9
    assert by_name["place in the corpus"].adjusted > 0.05
    assert found.properties[2] == ()


def test_a_loop_that_goes_on_in_the_next_layer_is_told(found):
    [one] = found.passages
    assert (one.layer, one.source, one.target, abs(one.winding)) == (0, 0, 0, 1)


def test_what_is_written_can_be_read_and_holds_every_angle(found, tmp_path):
    directory = write_loops(found, tmp_path, "todacomm loops clock")
    assert directory.name.startswith("loops_clock_")
    record = read_loops_record(directory)
    assert [len(layer.loops) for layer in record.layers] == [1, 1, 0]
    assert record.layers[0].loops[0].cycle == found.layers[0].coordinates[0].cycle
    assert record.layers[0].loops[0].properties == found.properties[0][0]
    assert record.layers[2].reasons == found.layers[2].reasons
    assert record.texts == WORDS.items
    assert record.layers[0].loops[0].angles == pytest.approx(found.layers[0].coordinates[0].angles)
    assert (record.passages, record.command) == (found.passages, "todacomm loops clock")
    with (directory / "angles.csv").open() as file:
        rows = list(csv.DictReader(file))
    angles = np.array([float(row["embedding/1"]) for row in rows])
    assert np.exp(1j * angles) == pytest.approx(np.exp(1j * found.layers[0].coordinates[0].angles), abs=1e-6)
    figures = sorted(path.name for path in (directory / "visualizations").iterdir())
    assert figures == [
        "loops_embedding_cycle_1.png",
        "loops_embedding_staircase.png",
        "loops_layer_0_cycle_1.png",
        "loops_layer_0_staircase.png",
        "loops_layer_1_staircase.png",
        "loops_ribbon.png",
    ]
    assert "2 loops at 2 of 3 layers" in (directory / "loops.md").read_text(encoding="utf-8")
    assert "<title>Loops of clock</title>" in (directory / "report.html").read_text(encoding="utf-8")


def test_layers_and_loops_can_be_chosen(run):
    assert list(source_of_run(run, ["layer_0"]).clouds) == ["layer_0"]
    assert [len(one) for one in find_loops(source_of_run(run, ["layer_0"]), draws=39, top=0).layers] == [0]
    with pytest.raises(UnknownName, match="'layer_7' is not a layer that todacomm knows"):
        source_of_run(run, ["layer_7"])


def test_arrays_have_no_texts_and_layers_of_other_sizes_are_not_followed():
    arrays = {"a": layers()["embedding"], "b": layers()["layer_0"][:80]}
    found = find_loops(source_of_arrays(arrays, "mine", Recipe()), draws=39, top=5)
    assert [len(one) for one in found.layers] == [1, 1]
    assert found.layers[0].coordinates[0].texts == ()
    assert {one.name for one in found.properties[0][0]} == {"place in the corpus", "norm of the activation"}
    assert found.passages == ()


def test_a_run_without_activations_and_several_runs_are_refused(run, tmp_path):
    profile = measure(layers(), name="bare", resamples=0, null_draws=0)
    write_record(tmp_path / "runs" / "run_0", Record(profile, {"command": "", "versions": {}}), None)
    with pytest.raises(InvalidInput, match="no activations lie beside the run of bare"):
        source_of_run(tmp_path)
    write_record(tmp_path / "runs" / "run_1", Record(profile, {"command": "", "versions": {}}), None)
    with pytest.raises(InvalidInput, match=r"holds 2 runs; .* one of them: .*run_0 \(arrays, pooling .*run_1"):
        source_of_run(tmp_path)


# The command


def test_the_command_prints_a_table_and_writes(todacomm, run):
    code, out, err = todacomm("loops", run, "--null-draws", "39", "--layer", "embedding", "--layer", "layer_1")
    assert code == 0, err
    assert "embedding" in out
    assert "letters 0.9" in " ".join(out.split())
    assert "layer_1: no loop stands out of" in out
    assert "Loops of clock on arrays, pooling last" in out
    code, out, err = todacomm("loops", run, "--null-draws", "39", "--layer", "layer_1")
    assert "No loop is shown at 1 layer; that is no evidence that there is none." in " ".join(out.split())
    assert "from–to / median" not in out
    assert "Report: " in out


def test_the_command_takes_an_array_and_prints_json(todacomm, tmp_path):
    np.save(tmp_path / "ring.npy", layers()["embedding"])
    code, out, _ = todacomm(
        "loops", "ring.npy", "--null-draws", "39", "--json", "--components", "none", "--scale", "median"
    )
    found = json.loads(out)
    assert code == 0
    assert found["recipe"]["scale"] == "median"
    assert len(found["layers"][0]["loops"]) == 1


def test_what_the_command_cannot_do_is_told(todacomm, tmp_path):
    np.save(tmp_path / "ring.npy", layers()["embedding"])
    said = todacomm("loops", "ring.npy", "--null-draws", "19")[2]
    assert "error: 19 null draws; expected at least 39" in said
    assert "is not a run that todacomm knows" in todacomm("loops", "nothing")[2]
