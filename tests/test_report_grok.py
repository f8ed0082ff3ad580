"""Figures and report of an experiment of training, on directories that no network has trained: embeddings that turn into circles."""

import doctest
import math
import re
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from todacomm.files import to_json, write_arrays
from todacomm.fourier import PairTask, additive_characters, multiplicative_characters, places_of, plane
from todacomm.grok_store import WEIGHTS, read_course, write_about, write_done, write_observation
from todacomm.report import grok_clock_plots as clocks
from todacomm.report import grok_reading as reading
from todacomm.report.grok_animation import FRAMES, frame_steps, write_animation
from todacomm.report.grok_panels import write_drawings
from todacomm.report.grok_sections import write_grok_report
from todacomm.report.grok_signature_plots import ratio_ticks
from todacomm.signature import signature
from todacomm.watching import watch

P, WIDTH, EVERY, COUNT, TURN = 19, 8, 10, 20, 9
FREQUENCIES = (3, 5)
FOLLOWED = "embedding/sphere/H1_max_lifetime"
GROUP = additive_characters(P)
PAIRS = np.array([(a, b) for a in range(P) for b in range(P)])
TRAIN = np.arange(0, len(PAIRS), 3)
TASK = PairTask(GROUP, places_of(PAIRS, GROUP, 1), PAIRS.sum(axis=1) % P, TRAIN)


@dataclass(frozen=True)
class Seen:
    """A checkpoint of no network."""

    step: int
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    clouds: dict
    logits: np.ndarray
    pairs: PairTask | None
    weight_norm: float
    embedding_norm: float | None


def circles(rng, characters=GROUP, classes=P, frequencies=FREQUENCIES):
    """Rows whose members stand at the hours of these frequencies, in directions drawn at random."""
    directions = np.linalg.qr(rng.normal(size=(WIDTH, 2 * len(frequencies))))[0]
    rows = np.zeros((classes, WIDTH))
    rows[characters.members] = characters.waves(frequencies, characters.places) @ directions.T
    return rows


def checkpoint(i, rng, turned, rows, *, fourier=True, embedded=True):
    """A checkpoint ``turned`` (0 to 1) of the way from noise to circles; memorised from the third on."""
    logits = turned * 8 * np.eye(P)[TASK.labels] + 0.5 * rng.normal(size=(len(PAIRS), P))
    hidden = rng.normal(size=(40, 4)) * [1, 1, 1 - turned, 1 - turned] + 1
    clouds = {"embedding": rows.astype(np.float32)} if embedded else {}
    return Seen(
        step=i * EVERY,
        train_loss=2.0 if i < 3 else 0.05,
        train_accuracy=0.1 if i < 3 else 1.0,
        test_loss=4 - 3.9 * turned,
        test_accuracy=round(turned, 3),
        clouds={**clouds, "layer_0": hidden.astype(np.float32)},
        logits=logits.astype(np.float32),
        pairs=TASK if fourier else None,
        weight_norm=50 - 20 * turned,
        embedding_norm=10.0,
    )


def write_run(directory, name, kind, seed, *, grokked, count=COUNT, complaint="", **how):
    """The directory of a run as the laboratory leaves it."""
    fourier, embedded = how.get("fourier", True), how.get("embedded", True)
    place, rng = directory / "runs" / name, np.random.default_rng(seed + 100 * (kind != "run"))
    place.mkdir(parents=True)
    why = "" if fourier else "no characters diagonalise it"
    steps = EVERY * ((COUNT if complaint else count) - 1)
    about = {"name": name, "kind": kind, "seed": seed, "settings": {"network": "mlp", "steps": steps}}
    about |= {"model": f"mlp, seed {seed}", "data": f"add_p{P}, 0.3", "task": f"add mod {P}", "without_fourier": why}
    followed = FOLLOWED if embedded else "layer_0/sphere/H1_max_lifetime"
    about |= {"characters": {"of": "residue", "prime": P} if fourier else None, "followed": followed}
    write_about(place, {**about, "warnings": [f"{P} points are few"]})
    noise, ideal = rng.normal(size=(P, WIDTH)), circles(rng)
    for i in range(count):
        turned = 1 / (1 + math.exp(-(i - TURN) / 0.8)) if grokked else 0.0
        rows = (1 - turned) * noise + turned * ideal + 0.01 * rng.normal(size=noise.shape)
        seen = checkpoint(i, rng, turned, rows, fourier=fourier, embedded=embedded)
        write_observation(place, watch(seen, model=about["model"], data=about["data"]))
    if not complaint:
        first = np.concatenate([rng.normal(size=(12, WIDTH)), np.zeros((12, WIDTH))], axis=1)
        write_arrays(place / WEIGHTS, {"weight/embed.weight": ideal, "weight/layers.0.weight": first}, {})
    write_done(place, {"complaint": complaint, "seconds": 1.5})
    return {"name": name, "kind": kind, "seed": seed, "settings": about["settings"]}


def write_cell(directory, cell="", *, grokked=True, **how):
    prefix = f"{cell}/" if cell else ""
    rows = [write_run(directory, f"{prefix}seed_{s}", "run", s, grokked=grokked, **how) for s in (1, 2)]
    rows += [
        write_run(directory, f"{prefix}{kind.replace(' ', '_')}_1", kind, s, grokked=False, **how)
        for s, kind in enumerate(("permuted labels", "no weight decay"), 1)
    ]
    return [{"cell": cell, **row} for row in rows]


def write_plan(directory, rows):
    plan = {"schema": 1, "base": {"task": "add", "prime": P}, "runs": rows, "versions": {"todacomm": "1"}}
    (directory / "experiment.json").write_text(to_json(plan))


def judged(directory, rows):
    """The signature of runs that are all on disk."""
    courses = [read_course(directory / "runs" / row["name"]) for row in rows]
    return signature(
        [c for c in courses if c.kind == "run"], controls=[c for c in courses if c.kind != "run"], follow=FOLLOWED
    )


@pytest.fixture(autouse=True, scope="module")
def quickly():
    """Few draws for intervals, and coarse pictures: neither is what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.changepoints.DRAWS", 20)
        patch.setattr("todacomm.report.style.DPI", 60)
        yield


@pytest.fixture(scope="module")
def grokked(tmp_path_factory, quickly):
    """A directory with two runs that grok and two controls, reported."""
    directory = tmp_path_factory.mktemp("grokked")
    rows = write_cell(directory)
    write_plan(directory, rows)
    written = write_grok_report(directory, {"": judged(directory, rows)}, command="todacomm grok --prime 19")
    return directory, rows, written


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


def test_final_clocks_are_those_of_the_dominant_frequencies(grokked):
    directory, *_ = grokked
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


def test_a_run_that_groks_gets_every_figure(grokked):
    _, _, written = grokked
    names = {path.name for path in written}
    figures = "training_curves persistence_moments spectrum_over_time local_dimension clock lissajous lissajous_neurons signature"
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
    found = ratio_ticks(low, high)
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


def test_frames_are_thinned_but_keep_start_end_and_the_turn(grokked):
    directory, rows, _ = grokked
    run = findings_of(directory, {"": judged(directory, rows)}).shown.chosen
    long = replace(run.course, steps=tuple(range(0, 20_000, 100)))
    told = replace(run.told, milestones=replace(run.told.milestones, generalised_at=5000))
    steps = frame_steps(replace(run, course=long, told=told))
    assert len(steps) <= FRAMES
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 19_900)
    assert sum(step <= 6250 for step in steps) > 0.7 * len(steps)


def test_the_report_gives_verdict_tables_captions_and_limits(grokked):
    directory, *_ = grokked
    text = (directory / "reports" / "report.md").read_text()
    assert text.startswith("# Grokking: signature present")
    for words in (
        "2 of 2 runs grokked",
        "todacomm grok --prime 19",
        "2301.05217",
        "Topology is not shown to predict",
        "19 points are few",
    ):
        assert words in text
    table = [
        line.split(" | ") for line in text.splitlines() if line.startswith(("| seed", "| permuted", "| no weight"))
    ]
    assert [row[8] for row in table[:2]] == ["above", "above"]
    assert [row[1] for row in table[:4]] == [*["signature present"] * 2, *["memorised only"] * 2]
    assert re.fullmatch(r"[\d,]+ \([\d,]+ to [\d,]+\)", table[4][1])  # onsets are of runs that generalised
    assert len(table) == 6
    assert "Fourier share of five frequencies" in text
    assert "raw" in text
    for link in re.findall(r"\]\(<(.*?)>\)", text):
        assert (directory / "reports" / link).exists()
    page = (directory / "reports" / "report.html").read_text()
    assert page.count('<img src="data:image/') == 1  # the neurons; the page draws all else
    assert '"kind":"grok"' in page


def test_the_range_of_the_controls_is_in_units_of_their_plateaus(grokked):
    directory, rows, _ = grokked
    exhibit = findings_of(directory, {"": judged(directory, rows)}).shown
    steps, low, high = reading.null_range(exhibit)
    assert steps == list(range(0, EVERY * COUNT, EVERY))
    plateau = np.median([run.told.rise.plateau for run in exhibit.runs])
    by_hand = np.array([c.course[FOLLOWED] / c.told.rise.plateau for c in exhibit.controls]) * plateau
    np.testing.assert_allclose([low, high], [by_hand.min(axis=0), by_hand.max(axis=0)])
    assert high[-1] < exhibit.runs[0].course[FOLLOWED][-1]


def test_moments_are_start_plateau_generalised_and_end(grokked):
    directory, *_ = grokked
    run = findings_of(directory).shown.chosen
    words = [word for _, word in reading.moments(run)]
    assert words == ["start", "middle of the plateau", "generalised", "end"]
    steps = [step for step, _ in reading.moments(run)]
    assert run.told.milestones.memorised_at <= steps[1] <= 0.8 * steps[2]


@pytest.mark.slow
def test_a_task_without_characters_has_no_clock_and_the_report_says_why(tmp_path):
    rows = write_cell(tmp_path, fourier=False, count=10)
    write_plan(tmp_path, rows)
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
    rows = write_cell(tmp_path, fourier=False, embedded=False, count=10)
    write_plan(tmp_path, rows)
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
