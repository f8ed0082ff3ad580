"""What the page draws of an experiment of training: courses, null band, frames of one run, signature, sweep."""

import doctest
import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from grok_directories import COUNT, EVERY, FOLLOWED, FREQUENCIES, GROUP, P, judged, write_training
from todacomm.records.training import read_checkpoint, read_profile
from todacomm.report.document import page_renderer, rounding
from todacomm.report.document.page import to_html
from todacomm.report.document.pieces import Document, Paragraph, Part, Picture
from todacomm.report.training import frames as grok_frames
from todacomm.report.training import training_explorer
from todacomm.report.training.clock_plots import plane
from todacomm.report.training.frames import frames_of, thinned
from todacomm.report.training.read_experiment import moments, one_more, read_findings
from todacomm.report.training.signature_charts import grok_charts
from todacomm.report.training.training_document import MOST_BYTES, lightened
from todacomm.report.training.training_explorer import grok_explorers
from todacomm.training.fourier import multiplicative_characters
from todacomm.training.signature import PRESENT


@pytest.fixture(autouse=True, scope="module")
def quickly():
    """Few draws for intervals: they are not what is tested here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.statistics.changepoints.DRAWS", 5)
        yield


@pytest.fixture(scope="module")
def findings(tmp_path_factory, quickly):
    """Two runs that grok and two controls."""
    directory = tmp_path_factory.mktemp("grokked")
    rows = write_training(directory)
    return read_findings(directory, {"": judged(directory, rows)}, command="", problems={})


@pytest.fixture(scope="module")
def payload(findings):
    return grok_explorers(findings)[0]


@pytest.fixture(scope="module")
def swept(findings):
    """The same cell twice, under two names."""
    told = findings.shown
    cells = (replace(told, cell="decay=0,fraction=0.2"), replace(told, cell="decay=1,fraction=0.2", signature=None))
    return replace(findings, exhibits=cells)


def course(payload, label):
    return next(run for run in payload["runs"] if run["label"] == label)


# Courses


def test_the_payload_is_json_without_nan(payload):
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload


def test_every_course_has_its_numbers_at_its_steps_and_its_own_colour(findings, payload):
    runs = findings.shown.shown
    assert [run["label"] for run in payload["runs"]] == [run.label for run in (*runs, *findings.shown.beside)]
    for run in (*runs, *findings.shown.beside):
        drawn = course(payload, run.label)
        assert drawn["steps"] == list(run.course.steps)
        np.testing.assert_allclose(drawn["series"][FOLLOWED], run.course[FOLLOWED], rtol=1e-4)
        assert drawn["memorised"] == run.told.milestones.memorised_at
    colours = [run["colour"] for run in payload["runs"]]
    assert len(set(colours[:2])) == 2
    assert set(colours[2:]) == {training_explorer.CONTROL}
    assert course(payload, "seed 1")["generalised"] == runs[0].told.milestones.generalised_at


def test_every_line_of_every_panel_is_in_the_series_whatever_cloud_and_view(payload):
    for panel in payload["panels"]:
        assert panel["label"]
        assert panel["how"].endswith(".")
        for line in panel["lines"]:
            keys = [line["key"]]
            if panel["of_cloud"]:
                keys = [
                    f"{cloud['key']}/{view['key']}/{line['key']}{view['suffix']}"
                    for cloud in payload["clouds"]
                    for view in payload["views"]
                ]
            assert all(key in payload["runs"][0]["series"] for key in keys)
    assert [cloud["key"] for cloud in payload["clouds"]] == ["embedding", "layer_0"]
    assert sum(panel["of_cloud"] for panel in payload["panels"]) == 3
    assert {panel["label"] for panel in payload["panels"]} == {
        words.title for words in training_explorer.WORDS.values()
    }


def test_many_steps_are_thinned_with_both_ends_and_many_runs_have_a_median(findings):
    told = findings.shown
    many = replace(told, runs=told.runs[:1] * training_explorer.MEDIAN_FROM)
    cell = training_explorer.cell_of(many, most=6)
    assert all(len(run["steps"]) == 6 for run in cell["runs"])
    assert cell["runs"][0]["steps"][:: 6 - 1] == [0, EVERY * (COUNT - 1)]
    middle = cell["runs"][-1]
    assert middle["kind"] == "median"
    assert middle["series"][FOLLOWED] == cell["runs"][0]["series"][FOLLOWED]


def test_the_band_is_that_of_the_controls_and_of_one_more(findings, payload):
    ahead = one_more(findings.shown)
    signature = findings.shown.signature
    plateau = np.median([run.told.rise.plateau for run in findings.shown.runs])
    assert ahead == pytest.approx((plateau * signature.band.low, plateau * signature.band.high))
    assert payload["band"]["one_more"] == pytest.approx(ahead, rel=1e-4)
    assert payload["band"]["key"] == FOLLOWED
    assert len(payload["band"]["steps"]) == len(payload["band"]["low"]) == COUNT


# Frames


def test_the_frames_are_of_the_run_that_grokked_and_hold_its_moments(findings, payload):
    frames, run = payload["frames"], findings.shown.chosen
    assert frames["run"] == run.label == "seed 1"
    assert frames["steps"] == list(run.course.steps)
    assert [(m["step"], m["label"]) for m in frames["moments"]] == moments(run)


def test_bars_are_the_longest_first_and_the_longest_is_h1_max(findings, payload):
    frames, run = payload["frames"], findings.shown.chosen
    measured = read_profile(run.directory, "embedding").measurements
    for bars, m, longest in zip(frames["bars"], measured, run.course[FOLLOWED], strict=True):
        lifetimes = [death - birth for birth, death in bars]
        assert lifetimes == pytest.approx(sorted(lifetimes, reverse=True), abs=2e-4)
        assert len(bars) == len(m.diagrams.finite[1])
        assert (lifetimes[0] if lifetimes else 0) == pytest.approx(longest, abs=2e-4)
    assert [len(deaths) for deaths in frames["zero"]] == [P - 1] * COUNT
    totals = run.course["embedding/sphere/H0_total_persistence"]
    assert [sum(deaths) for deaths in frames["zero"]] == pytest.approx(totals, rel=1e-4)


def test_a_frame_with_very_many_bars_keeps_the_longest_and_counts_the_rest(findings, monkeypatch):
    monkeypatch.setattr(grok_frames, "MOST_BARS", 2)
    frames = frames_of(findings.shown)
    whole = [len(m.diagrams.finite[1]) for m in read_profile(findings.shown.chosen.directory, "embedding").measurements]
    assert max(whole) > 2
    assert [len(bars) for bars in frames["bars"]] == [min(2, n) for n in whole]
    assert frames["left_out"] == [max(0, n - 2) for n in whole]


def test_the_last_planes_are_clocks_of_the_frequencies_of_the_embedding(findings, payload):
    frames, run = payload["frames"], findings.shown.chosen
    assert {p["frequency"] for p in frames["planes"][:2]} == set(FREQUENCIES)
    first = frames["planes"][0]
    rows = read_checkpoint(run.directory, run.last_step).embedding_rows
    by_hand = plane(rows, GROUP, first["frequency"])
    np.testing.assert_allclose(np.column_stack([first["x"][-1], first["y"][-1]]), by_hand, atol=1e-4)
    joined = first["joined"]
    assert all((b - a) * first["frequency"] % P == 1 for a, b in pairwise(joined))
    assert first["order"][-1] > 0.99 > frames["chance"]
    assert first["loop"][-1] == pytest.approx(run.course["plane_1_H1_max_lifetime"][-1], rel=1e-4)
    assert frames["residues"] == list(range(P))
    assert not frames["logarithms"]
    assert len(set(frames["wheel"])) == P


def test_the_spectrum_of_a_frame_sums_to_one_and_peaks_at_the_planes(payload):
    frames = payload["frames"]
    assert np.sum(frames["spectrum"], axis=1) == pytest.approx(np.ones(COUNT), abs=1e-3)
    strongest = np.argsort(frames["spectrum"][-1])[::-1][:2] + 1
    assert set(strongest.tolist()) == set(FREQUENCIES)
    assert payload["spectra"][0]["run"] == frames["run"]
    assert payload["spectra"][0]["shares"] == frames["spectrum"]


def test_pairs_of_planes_turn_as_told_in_their_stride(payload):
    frames = payload["frames"]
    for pair in frames["pairs"]:
        k, other = (frames["planes"][i]["frequency"] for i in pair["planes"])
        turns = [min(pair["stride"] * f % P, -pair["stride"] * f % P) for f in (k, other)]
        assert pair["turns"] == turns
    assert len(frames["pairs"]) == 3


def test_residues_stand_by_their_logarithms_for_multiplication(findings):
    run = findings.shown.chosen
    made = grok_frames.circles_of(run, [run.last_step], (2,), multiplicative_characters(P))
    assert made["logarithms"]
    assert sorted(made["residues"]) == list(range(1, P))
    assert len(made["planes"][0]["joined"]) == P - 1


def test_frames_are_thinned_to_the_room_of_the_page_and_keep_every_moment(findings, monkeypatch):
    monkeypatch.setattr(grok_frames, "MOST_NUMBERS", 2000)
    frames = frames_of(findings.shown)
    assert len(frames["steps"]) < frames["of"] == COUNT
    assert {m["step"] for m in frames["moments"]} <= set(frames["steps"])
    assert len(frames["bars"]) == len(frames["planes"][0]["x"]) == len(frames["spectrum"]) == len(frames["steps"])


def test_thinning_keeps_the_ends_and_leaves_short_lists_alone():
    assert thinned([1, 2, 3], 3) == [1, 2, 3]
    assert thinned(list(range(101)), 11) == list(range(0, 101, 10))
    assert thinned(list(range(101)), 3, always=[7]) == [0, 7, 50, 100]


def test_a_task_without_characters_has_bars_and_says_why_there_is_no_clock(findings, monkeypatch):
    monkeypatch.setattr(grok_frames, "characters_of", lambda _: (None, "images have no cyclic structure"))
    monkeypatch.setattr(grok_frames, "spectra", lambda _: None)
    frames = frames_of(findings.shown)
    assert frames["planes"] == []
    assert frames["spectrum"] is None
    assert frames["why_not"] == "images have no cyclic structure"
    assert len(frames["bars"]) == COUNT


def test_a_run_with_damaged_arrays_has_curves_and_no_frames(findings):
    told = findings.shown
    damaged = replace(findings, exhibits=(replace(told, runs=tuple(replace(r, whole=False) for r in told.runs)),))
    explorers = grok_explorers(damaged)
    assert explorers[0]["frames"] is None
    assert explorers[0]["spectra"] == []
    assert "training_curves" in explorers[0]["shows"]
    assert "clock" not in explorers[0]["shows"]


# The verdict, and the page


def test_the_signature_has_every_ratio_and_verdict(findings, payload):
    told = payload["signature"]
    rows = [dict(zip(told["header"], row, strict=True)) for row in told["rows"]]
    assert [row["verdict"] for row in rows[:2]] == [PRESENT] * 2
    first = told["header"][5]
    for row, run in zip(rows, (*findings.shown.runs, *findings.shown.controls), strict=True):
        assert float(row[first]) == pytest.approx(run.told.rise.ratio, rel=1e-9)
        assert float(row[first]) == pytest.approx(float(row["after"]) / float(row["plateau"]), rel=1e-6)
    dots = next(trace for trace in told["traces"] if "marker" in trace)
    assert dots["marker"]["line"]["color"][:2] == [run["colour"] for run in payload["runs"][:2]]
    assert "paper" not in dots["marker"]["color"]  # both controls are part of the band
    assert told["header"][8::3] == ["Fourier share of five frequencies", "norm of all weights"]
    assert all(float(row[first]) > float(row[f"{first}: to"]) for row in rows[:2])


def test_without_a_signature_there_are_ratios_and_no_band(findings):
    alone = replace(findings.shown, signature=None, controls=(), problem="2 controls needed")
    told = training_explorer.cell_of(alone)["signature"]
    assert told["title"].endswith("not judged")
    assert "band" not in told["how"]
    assert len(told["header"]) == 5 + 3
    assert not told["layout"]["shapes"]
    assert training_explorer.band_of(alone, 10) is None


def test_no_checkpoint_no_explorer(findings):
    empty = replace(findings, exhibits=(replace(findings.shown, runs=(), controls=()),))
    assert grok_explorers(empty) == []


def test_other_cells_of_a_sweep_have_curves_and_the_shown_one_frames(swept):
    explorer = grok_explorers(swept)[0]
    assert explorer["cell"] == "decay=0, fraction=0.2"
    assert [cell["cell"] for cell in explorer["others"]] == ["decay=1, fraction=0.2"]
    assert explorer["frames"] is not None
    assert "frames" not in explorer["others"][0]
    assert explorer["others"][0]["verdict"] == "no verdict"


def test_the_chart_of_a_sweep_has_a_mark_for_each_run_and_a_table_of_the_same(swept):
    (chart,) = grok_charts.of(swept, "sweep")
    assert chart.name == "sweep"
    assert len(chart.data.rows) == 4
    marked = [trace for trace in page_renderer.drawn(chart)[0] if "hovertext" in trace]
    ratios = [run.told.rise.ratio for exhibit in swept.exhibits for run in exhibit.shown]
    assert [len(trace["x"]) for trace in marked[:2]] == [4, 4]
    assert marked[1]["x"] == pytest.approx(ratios, rel=1e-4)
    assert not list(grok_charts.of(replace(swept, exhibits=swept.exhibits[:1]), "sweep"))


def test_a_large_figure_that_the_page_does_not_draw_is_named_and_not_embedded(tmp_path):
    sizes = {"small.png": 10, "large.png": MOST_BYTES + 1, "clock.png": MOST_BYTES + 1}
    for name, size in sizes.items():
        (tmp_path / name).write_bytes(b"0" * size)
    pictures = tuple(Picture(tmp_path / name, f"The {name}", "how to read it") for name in sizes)
    light = lightened(Document("t", "s", (Part("p", "P", pictures),)), tmp_path, ("clock",))
    small, large, clock = light.parts[0].pieces
    assert (small, clock) == (pictures[0], pictures[2])
    assert large == Paragraph("The large.png: see large.png, which is too large for this page.")


def test_the_page_holds_the_payload_and_the_scripts(findings, payload):
    page = to_html(Document("Grokking", "", ()), [payload])
    assert "todacomm.explorers.grok" in page
    assert '"kind":"grok"' in page


def test_rounded_numbers_have_five_digits_and_null_for_what_is_undefined():
    assert rounding.rounded(math.pi * 1e-7) == 3.1416e-07
    assert rounding.rounded(123456.7) == 123460
    assert rounding.rounded(math.inf) is None
    assert rounding.all_rounded([np.float64(1.5), None, [math.nan]]) == [1.5, None, [None]]


@pytest.mark.parametrize("module", [training_explorer, grok_frames, rounding])
def test_the_examples_run(module):
    assert doctest.testmod(module).failed == 0
