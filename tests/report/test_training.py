"""Figures and report of training, from synthetic directories: embeddings that turn into circles."""

import doctest
import re
import shutil
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from grok_directories import (
    COUNT,
    EVERY,
    FOLLOWED,
    FREQUENCIES,
    GROUP,
    WIDTH,
    P,
    circles,
    judged,
    write_cell,
    write_plan,
    write_run,
    write_training,
)
from todacomm.report.document.pieces import Paragraph
from todacomm.report.training import clock_plots as clocks
from todacomm.report.training import read_experiment as reading
from todacomm.report.training.animation import FRAMES, frame_steps, write_animation
from todacomm.report.training.signature_charts import ratio_axis
from todacomm.report.training.tables import after_over_fields, over_fields, runs
from todacomm.report.training.training_document import write_grok_report
from todacomm.report.training.training_figure_parts import write_drawings
from todacomm.report.words.phrases import padded
from todacomm.training.fourier import multiplicative_characters, plane

OVER_Z3 = f"{FOLLOWED}_Z3"


@pytest.fixture(autouse=True, scope="module")
def quickly():
    """Few draws for intervals, and coarse pictures: neither is what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.statistics.changepoints.DRAWS", 20)
        patch.setattr("todacomm.report.document.style.DPI", 60)
        yield


@pytest.fixture(scope="module")
def cell(tmp_path_factory, quickly):
    """A directory with two runs that grok and two controls, and its rows."""
    directory = tmp_path_factory.mktemp("cell")
    rows = write_training(directory)
    return directory, rows


@pytest.fixture(scope="module")
def grokked(cell):
    """The same, reported."""
    directory, rows = cell
    return (
        directory,
        rows,
        write_grok_report(directory, {"": judged(directory, rows)}, command="todacomm grok --prime 19"),
    )


@pytest.fixture(scope="module")
def told(tmp_path_factory, cell):
    """The text of its report, without figures."""
    _, rows = cell
    directory = tmp_path_factory.mktemp("told") / "cell"
    shutil.copytree(cell[0], directory)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.report.training.all_figures.write_grok_figures", lambda *_: [])
        write_grok_report(directory, {"": judged(directory, rows)}, command="todacomm grok --prime 19")
    return (directory / "reports" / "report.md").read_text()


def findings_of(directory, signatures=None):
    return reading.read_findings(directory, signatures or {}, command="", problems={})


# The clock


@pytest.mark.parametrize("frequency", [1, 3, 8])
def test_residues_of_an_ideal_embedding_follow_each_other_around_the_circle(frequency):
    rows = circles(np.random.default_rng(0), frequencies=(frequency, 2))
    points = plane(rows, GROUP, frequency)
    assert clocks.in_order(points, frequency) == pytest.approx(1, abs=1e-9)
    sequence = clocks.around(P, frequency)
    assert set(np.diff(sequence) % P) == {pow(frequency, -1, P)}  # a, a + 1/k, a + 2/k …
    angles = np.unwrap(np.arctan2(points[sequence, 1], points[sequence, 0]))
    np.testing.assert_allclose(np.diff(angles), 2 * np.pi / P, atol=1e-9)


def test_order_is_lost_where_residues_are_shuffled_and_chance_is_known():
    rng = np.random.default_rng(1)
    rows = circles(rng)[rng.permutation(P)]
    found = clocks.in_order(plane(rows, GROUP, 3), 3)
    assert found < 0.95
    assert clocks.in_order(np.random.default_rng(2).normal(size=(2000, 2)), 3) < 0.06
    few, many = clocks.order_by_chance(P, 4), clocks.order_by_chance(P, 64)
    assert few < many < 1  # a plane is chosen among more directions
    assert clocks.order_by_chance(113, 128) == pytest.approx(0.76, abs=0.03)


def test_the_clock_of_a_product_goes_by_logarithms():
    group = multiplicative_characters(P)
    named = clocks.elements(group)
    assert named[0] == 1
    assert (
        len(set(named[1:] * np.array([pow(int(g), -1, P) for g in named[:-1]]) % P)) == 1
    )  # each the root times the last
    rows = circles(np.random.default_rng(3), group)
    assert clocks.in_order(plane(rows, group, 5), 5) == pytest.approx(1, abs=1e-9)


def test_final_clocks_are_those_of_the_dominant_frequencies(cell):
    directory, _ = cell
    run = findings_of(directory).shown.chosen
    found, characters, chance = clocks.final_clocks(run)
    assert {c.frequency for c in found[:2]} == set(FREQUENCIES)
    assert sum(c.share for c in found[:2]) > 0.95
    assert all(c.order > 0.99 > chance and c.loop > 1.2 for c in found[:2])
    assert characters.order == P


def test_lissajous_strides_are_the_slowest():
    for first, second in ((3, 5), (7, 9), (2, 4)):
        stride, m, n = clocks.slowest(P, first, second)
        turns = [[clocks.folded(s * k, P) for k in (first, second)] for s in range(1, P)]
        assert max(m, n) == min(map(max, turns))
        places = np.arange(P) * stride
        np.testing.assert_allclose(
            np.cos(2 * np.pi * m * np.arange(P) / P), np.cos(2 * np.pi * first * places / P), atol=1e-9
        )


def test_neurons_are_told_by_their_frequency_and_paired_a_quarter_apart():
    hours = 2 * np.pi * np.outer(np.arange(P), [3, 3, 3, 5]) / P
    rng = np.random.default_rng(0)
    given = np.column_stack([np.cos(hours + np.array([0, 0.2, np.pi / 2, 1])), rng.normal(size=P), np.zeros(P)])
    found = clocks.neurons_of(given, GROUP)
    assert sorted(n.number for n in found) == [0, 1, 2, 3, 4]  # the dead one has no wave
    assert {n.number: n.frequency for n in found[:4]} == {0: 3, 1: 3, 2: 3, 3: 5}
    assert all(n.share == pytest.approx(1) for n in found[:4])
    assert found[4].number == 4
    assert found[4].share < 0.7
    same = next(pair for pair in clocks.neuron_pairs(found) if pair[0].frequency == pair[1].frequency == 3)
    assert {same[0].number, same[1].number} in ({0, 2}, {1, 2})
    radius = same[0].wave ** 2 + same[1].wave ** 2
    assert np.ptp(radius) < 1


def test_the_first_layer_is_found_in_every_network_of_tokens():
    rng = np.random.default_rng(0)
    table, up = rng.normal(size=(5, 4)), rng.normal(size=(4, 6))
    expected = table @ up
    for weights in (
        {"embed.weight": table, "layers.0.weight": np.concatenate([up.T, rng.normal(size=(6, 4))], axis=1)},
        {"embed.weight": table, "layers.0.linear1.weight": up.T},
        {"embed.weight": table, "up": up},
    ):
        np.testing.assert_allclose(clocks.first_layer(weights), expected)
    assert clocks.first_layer({"layers.0.weight": up}) is None  # pixels


# Figures and report


@pytest.mark.slow
def test_a_run_that_groks_gets_every_figure(grokked):
    _, _, written = grokked
    names = {path.name for path in written}
    figures = "training_curves persistence_moments spectrum_over_time local_dimension "
    figures += "clock lissajous lissajous_neurons signature"
    assert names == {*(f"{name}.png" for name in figures.split()), "embedding.gif", "report.md", "report.html"}
    for path in written:
        if path.suffix == ".png":
            with Image.open(path) as picture:
                assert np.asarray(picture.convert("L")).std() > 5, path.name


@pytest.mark.parametrize(
    ("low", "high"),
    [(0.87, 1.15), (0.9, 1.25), (0.6, 1.3), (0.5, 2.9), (0.3, 1.3), (0.95, 8), (0.07, 18.7), (1e-4, 1e7)],
)
def test_an_axis_of_ratios_has_three_to_five_ticks_and_one_among_them(low, high):
    found = [at for at, _ in ratio_axis("", [1.15 * low, high / 1.15]).ticks]
    assert 3 <= len(found) <= 5
    assert 1.0 in found
    assert low <= min(found) < max(found) <= high
    assert found == sorted(set(found))


def test_names_on_a_clock_do_not_touch_where_residues_are_in_no_order():
    """Of an embedding at random, on a small panel; and none is left out where the residues stand in order."""
    for rows, least in ((np.random.default_rng(4).normal(size=(P, WIDTH)), 4), (circles(np.random.default_rng(0)), 12)):
        points = plane(rows, GROUP, 3)
        figure = Figure(figsize=(2.4, 2.4), dpi=200)
        axes = figure.add_axes((0, 0, 1, 1))
        clocks.draw_clock(axes, clocks.Clock(3, points, 0.5, 0.5), GROUP)
        figure.canvas.draw()
        boxes = [text.get_window_extent() for text in axes.texts]
        assert len(boxes) >= least
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        at = axes.transData.transform(points)
        assert not any(box.contains(*xy) for box in boxes for xy in at)


@pytest.mark.slow
def test_the_animation_loops_moves_and_stays_small(grokked):
    directory, *_ = grokked
    path = directory / "visualizations" / "embedding.gif"
    assert path.stat().st_size < 3_000_000
    frames = []
    with Image.open(path) as picture:
        assert picture.n_frames == COUNT <= FRAMES
        assert picture.size[0] == 700
        assert picture.info["loop"] == 0
        for i in (0, COUNT - 1):
            picture.seek(i)
            frames.append(np.asarray(picture.convert("RGB")).astype(int))
    assert frames[0][1, 1].tolist() == [255, 255, 255]
    moved = np.abs(frames[0] - frames[1]).sum(axis=2) > 60
    assert moved[:300].any(axis=0).sum() > 200  # the circles
    assert moved[300:].any(axis=0).sum() > 5  # the mark on the curves


def test_frames_are_thinned_but_keep_start_end_and_the_turn(cell):
    directory, rows = cell
    run = findings_of(directory, {"": judged(directory, rows)}).shown.chosen
    long = replace(run.course, steps=tuple(range(0, 20_000, 100)))
    told = replace(run.told, milestones=replace(run.told.milestones, generalised_at=5000))
    steps = frame_steps(replace(run, course=long, told=told))
    assert len(steps) <= FRAMES
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 19_900)
    assert sum(step <= 6250 for step in steps) > 0.7 * len(steps)


def test_the_report_gives_verdict_tables_captions_and_limits(told):
    assert told.startswith("# Grokking: signature present")
    for words in (
        "2 of 2 runs grokked",
        "todacomm grok --prime 19",
        "2301.05217",
        "Topology is not shown to predict",
        "19 points are few",
    ):
        assert words in told
    table = [
        line.split(" | ") for line in told.splitlines() if line.startswith(("| seed", "| permuted", "| no weight"))
    ]
    assert [row[8] for row in table[:2]] == ["above", "above"]
    assert [row[1] for row in table[:4]] == [*["signature present"] * 2, *["memorised only"] * 2]
    assert re.fullmatch(r"[\d,]+ \([\d,]+ to [\d,]+\)", table[4][1])  # onsets are of runs that generalised
    assert len(table) == 6
    assert "Fourier share of five frequencies" in told
    assert "raw" in told


@pytest.mark.slow
def test_the_report_shows_its_figures(grokked):
    directory, *_ = grokked
    text = (directory / "reports" / "report.md").read_text()
    for link in re.findall(r"\]\(<(.*?)>\)", text):
        assert (directory / "reports" / link).exists()
    page = (directory / "reports" / "report.html").read_text()
    assert page.count('<img src="data:image/') == 1  # the neurons; the page draws all else
    assert '"kind":"grok"' in page


def over_z3(findings, times):
    """The same, the followed number of the runs over Z/3 so many times that over Z/2, one after the other."""
    [exhibit] = findings.exhibits
    runs = tuple(
        replace(run, course=replace(run.course, numbers={**run.course.numbers, OVER_Z3: factor * run.course[FOLLOWED]}))
        for run, factor in zip(exhibit.runs, times, strict=True)
    )
    return replace(findings, exhibits=(replace(exhibit, runs=runs),))


def test_runs_whose_loop_depends_on_the_field_are_told(cell):
    directory, rows = cell
    findings = findings_of(directory, {"": judged(directory, rows)})
    assert over_fields(over_z3(findings, (1.0, 0.96))) == ""
    said = over_fields(over_z3(findings, (1.0, 2.0)))
    after = findings.shown.runs[1].told.rise.after
    assert said.startswith(
        "H1 max of the embedding, unit sphere, median of the last 5 checkpoints, depends on the field"
    )
    assert f"({padded(after, 3)} over Z/2 and {padded(2 * after, 3)} over Z/3 in seed 2): some cycle" in said
    assert "seed 1" not in said
    assert Paragraph(said, "warning") in list(runs(over_z3(findings, (1.0, 2.0)), {}))
    [older] = over_z3(findings, (1.0, 1.0)).exhibits
    names = [name for name in older.runs[0].course.numbers if name != OVER_Z3]
    course = replace(older.runs[0].course, numbers={name: older.runs[0].course[name] for name in names})
    assert after_over_fields(replace(older.runs[0], course=course), FOLLOWED) == (None, None)


def test_the_range_of_the_controls_is_in_units_of_their_plateaus(cell):
    directory, rows = cell
    exhibit = findings_of(directory, {"": judged(directory, rows)}).shown
    steps, low, high = reading.null_range(exhibit)
    assert steps == list(range(0, EVERY * COUNT, EVERY))
    plateau = np.median([run.told.rise.plateau for run in exhibit.runs])
    by_hand = np.array([c.course[FOLLOWED] / c.told.rise.plateau for c in exhibit.controls]) * plateau
    np.testing.assert_allclose([low, high], [by_hand.min(axis=0), by_hand.max(axis=0)])
    assert high[-1] < exhibit.runs[0].course[FOLLOWED][-1]


def test_moments_are_start_plateau_generalised_and_end(cell):
    directory, _ = cell
    run = findings_of(directory).shown.chosen
    words = [word for _, word in reading.moments(run)]
    assert words == ["start", "middle of the plateau", "generalised", "end"]
    steps = [step for step, _ in reading.moments(run)]
    assert run.told.milestones.memorised_at <= steps[1] <= 0.8 * steps[2]


@pytest.mark.slow
def test_a_task_without_characters_has_no_clock_and_the_report_says_why(tmp_path):
    write_training(tmp_path, fourier=False, count=10)
    names = {path.name for path in write_grok_report(tmp_path, {}, {"": "2 controls needed"}, command="x")}
    assert names == {
        "training_curves.png",
        "persistence_moments.png",
        "local_dimension.png",
        "report.md",
        "report.html",
    }
    text = (tmp_path / "reports" / "report.md").read_text()
    assert "No clock, no spectrum, no Lissajous figures, no animation: no characters diagonalise it." in text
    assert "no verdict. 2 controls needed" in text


@pytest.mark.slow
def test_a_task_without_an_embedding_is_followed_in_its_deepest_layer(tmp_path):
    write_training(tmp_path, fourier=False, embedded=False, count=10)
    write_grok_report(tmp_path, {}, {"": "too short"}, command="x")
    assert "H1 max of layer 0, unit sphere" in (tmp_path / "reports" / "report.md").read_text()


@pytest.mark.slow
def test_runs_that_broke_off_are_told_and_drawn_as_far_as_they_came(tmp_path):
    one = write_run(
        tmp_path, "seed_1", "run", 1, grokked=True, count=1, complaint="the loss is no finite number by step 10"
    )
    two = write_run(tmp_path, "seed_2", "run", 2, grokked=False, count=5, complaint="stopped")
    lost = {"name": "seed_3", "kind": "run", "seed": 3, "settings": {}}
    write_plan(tmp_path, [{"cell": "", **row} for row in (one, two, lost)])
    written = write_grok_report(tmp_path, {}, {"": "no controls"}, command="x")
    assert {"training_curves.png", "clock.png"} <= {path.name for path in written}
    assert "lissajous_neurons.png" not in {path.name for path in written}
    text = (tmp_path / "reports" / "report.md").read_text()
    for words in (
        "seed_1: the loss is no finite number by step 10.",
        f"seed_3: {reading.LEFT_NOTHING}.",
        "left no weights",
    ):
        assert words in text


def test_no_run_at_all_still_gives_a_report(tmp_path):
    write_plan(tmp_path, [{"cell": "", "name": "seed_3", "kind": "run", "seed": 3, "settings": {}}])
    written = write_grok_report(tmp_path, {}, command="x")
    assert [path.name for path in written] == ["report.md", "report.html"]
    assert "there is nothing to draw" in written[0].read_text()


@pytest.mark.slow
def test_a_sweep_gets_a_row_and_curves_for_each_cell(tmp_path):
    first, second = "weight_decay=0.1,prime=19", "weight_decay=0,prime=19"
    rows = {c: write_cell(tmp_path, c, grokked=c == first, fourier=False) for c in (second, first)}
    write_plan(tmp_path, [row for cell in rows.values() for row in cell])
    found = {first: judged(tmp_path, rows[first])}
    written = write_grok_report(tmp_path, found, {second: "nothing to compare"}, command="x")
    places = {str(path.relative_to(tmp_path)) for path in written}
    expected = {"sweep.png", "signature.png", f"{second}/training_curves.png"}
    assert {f"visualizations/{name}" for name in expected} <= places
    assert findings_of(tmp_path, found).shown.cell == first
    text = (tmp_path / "reports" / "report.md").read_text()
    assert text.index("| weight") == text.index("| weight_decay=0, prime=19 | memorised only | 0 of 2 | –")
    assert "| weight_decay=0.1, prime=19 | signature present | 2 of 2 |" in text


@pytest.mark.slow
def test_figures_are_the_same_bytes_twice(grokked, tmp_path):
    directory, rows, written = grokked
    shown = findings_of(directory, {"": judged(directory, rows)}).shown
    again = [*write_drawings(shown, tmp_path, ["clock"]), write_animation(shown, tmp_path / "embedding.gif")]
    before = {path.name: path.read_bytes() for path in written}
    assert all(path.read_bytes() == before[path.name] for path in again)


def test_examples_in_docstrings_hold():
    for module in (clocks, reading):
        found = doctest.testmod(module)
        assert found.attempted
        assert not found.failed
