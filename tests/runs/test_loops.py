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
from todacomm.records.loops import LOOPS_RECORD
from todacomm.records.runs import Record, write_record
from todacomm.records.texts import TEXTS_RECORD, texts_to_keep
from todacomm.report.document.matplotlib_renderer import figure_of
from todacomm.report.document.page_renderer import page_of
from todacomm.report.loops.loop_charts import LayerLoops, colour_of, loop_charts
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
    record = LOOPS_RECORD.read(directory)
    assert [len(layer.loops) for layer in record.layers] == [1, 1, 0]
    assert record.layers[0].loops[0].cycle == found.layers[0].coordinates[0].cycle
    assert record.layers[0].loops[0].properties == found.properties[0][0]
    assert record.layers[2].reasons == found.layers[2].reasons
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
    ]


def test_charts_show_the_same_numbers_as_figure_page_and_table(found):
    [staircase, cycle] = loop_charts.of(LayerLoops(found.layers[0], layers()["embedding"], WORDS.items))
    scales, betti = found.layers[0].staircase.T
    assert [float(row[0]) for row in staircase.data.rows] == pytest.approx(scales.tolist())
    stairs = staircase.panels[0].series[0]
    at = np.searchsorted(stairs.x, scales[3] / found.layers[0].median * (1 + 1e-9)) - 1
    assert stairs.y[at] in (betti[2], betti[3])
    [one] = found.layers[0].coordinates
    points, path = cycle.panels[0].series
    assert np.hypot(points.x, points.y).mean() == pytest.approx(1, abs=0.05)
    around = np.arctan2(points.y, points.x)
    assert np.abs(np.angle(np.exp(1j * (around - one.angles)))).mean() < 0.05
    assert path.x[0] == path.x[-1]
    assert len(path.x) == len(one.cycle) + 1
    assert points.told[0][1] == WORDS.items[0]
    for chart in (staircase, cycle):
        assert figure_of(chart).axes
        assert len(page_of(chart)["traces"]) >= len(chart.panels[0].series)


def test_colours_go_around_once():
    assert colour_of(0.0) == colour_of(2 * np.pi)
    assert len({colour_of(a) for a in 2 * np.pi * np.arange(24) / 24}) == 24


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
    with pytest.raises(InvalidInput, match="holds 2 runs; give the directory of one of them"):
        source_of_run(tmp_path)


# The command


def test_the_command_prints_a_table_and_writes(todacomm, run):
    code, out, err = todacomm("loops", run, "--null-draws", "39", "--layer", "embedding", "--layer", "layer_1")
    assert code == 0, err
    assert "embedding" in out
    assert "letters (" in out
    assert "layer_1: no loop stands out of" in out
    assert "Written to: " in out


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
