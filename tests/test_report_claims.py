"""What is said and drawn of intervals and nulls: loops and growths by their tests, bands, stars, rings, and silence without them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import todacomm as td
from report_profiles import a_profile
from shapes import circle
from todacomm.claims import Interval
from todacomm.report.claimed import bracketed, digits_of, found_by, loop_sentences, peak_sentence
from todacomm.report.growths import which_factor
from todacomm.report.panels import drawings
from todacomm.report.pieces import to_markdown
from todacomm.report.plots import write_figures
from todacomm.report.reading import sound
from todacomm.report.sections import document, interpretation


@pytest.fixture(scope="module")
def claimed():
    """Noise twice, of one shape, and a ring."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(80, 6))
    ring = np.pad(6 * circle(80), ((0, 0), (0, 4))) + rng.normal(size=(80, 6)) / 2
    layers = {"embedding": noise, "layer_0": 3 * noise + 0.01 * rng.normal(size=(80, 6)), "layer_1": 0.1 * ring}
    return td.measure(layers, resamples=40, null_draws=39)


def test_the_ring_is_called_a_loop_and_noise_is_not(claimed):
    said = " ".join(loop_sentences(claimed, sound(claimed)))
    assert "at layer_1 a bar of H1" in said
    assert "embedding" not in said
    noise = replace(claimed, measurements=claimed.measurements[:2])
    assert "No loop is shown: at none of 2 sound layers" in loop_sentences(noise, sound(noise))[0]


def test_what_the_draws_cannot_decide_is_said(claimed):
    tests = dict(claimed.claims.tests["gaussian"]["layer_1"])
    tests["H1_loop"] = replace(tests["H1_loop"], adjusted=0.2, family_wise=0.2, decidable=False)
    gaussian = {**claimed.claims.tests["gaussian"], "layer_1": tests}
    unsure = replace(claimed, claims=replace(claimed.claims, tests={"gaussian": gaussian}))
    said = " ".join(loop_sentences(unsure, sound(unsure)))
    assert "Not decidable with 39 draws: layer_1" in said


def test_without_a_null_h1_is_no_evidence(claimed):
    bare = replace(claimed, claims=None)
    assert loop_sentences(bare, sound(bare)) == []
    assert "H1 has not been tested against a null model" in interpretation(bare)
    assert "has not been tested" not in interpretation(claimed)
    assert "Intervals" not in interpretation(bare)


def test_a_growth_whose_interval_holds_one_is_not_claimed(claimed):
    growth = claimed.expansions[0].growth
    assert growth.peak == "layer_0"
    assert (
        which_factor(growth, claimed)
        == "The change is one of scale; that the shape changes too is not shown, its interval holds 1."
    )
    ratio, scale, shape = (claimed.claims.growths["embedding"][part] for part in ("ratio", "scale", "shape"))
    wide = replace(scale, low=0.5, high=9.0)
    same = replace(
        claimed, claims=replace(claimed.claims, growths={"embedding": {"ratio": ratio, "scale": wide, "shape": shape}})
    )
    assert "Neither the scale of the cloud nor its shape is shown to change" in which_factor(growth, same)
    thin = replace(shape, low=1.1, high=1.2)
    other = replace(
        claimed, claims=replace(claimed.claims, growths={"embedding": {"ratio": ratio, "scale": wide, "shape": thin}})
    )
    assert "one of shape; that the scale changes too is not shown" in which_factor(growth, other)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (23.578, 27.325, " [23.6, 27.3]"),
        (1.8311, 1.9963, " [1.83, 2]"),
        (0.0, 0.0, " [0, 0]"),
        (1467.0, 1717.1, " [1,467, 1,717]"),
        (-0.5, 250.0, " [-0.5, 250]"),
    ],
)
def test_ends_have_as_many_digits_as_their_width_allows(low, high, text):
    assert bracketed(Interval(low, low, high, 0.95, "split-half")) == text


def test_no_interval_is_nothing_in_the_text():
    assert bracketed(None) == bracketed(Interval(1.0, None, None, 0.95, "split-half", "undefined")) == ""
    assert digits_of(0.0, 0.0) == 4


def test_a_test_is_found_by_either_adjustment(claimed):
    test = claimed.claims.tests["gaussian"]["layer_1"]["H1_loop"]
    assert found_by(replace(test, adjusted=0.2, family_wise=0.04))
    assert found_by(replace(test, adjusted=0.04, family_wise=0.2))
    assert not found_by(replace(test, adjusted=0.2, family_wise=None))
    assert not found_by(None)


def test_a_peak_that_other_halves_would_move_is_said(claimed):
    moved = replace(claimed, claims=replace(claimed.claims, peaks={"layer_1": 0.6, "layer_0": 0.4}))
    assert "it is layer_1 in 60 %, layer_0 in 40 %" in peak_sentence(moved)
    assert peak_sentence(replace(claimed, claims=replace(claimed.claims, peaks={"layer_1": 1.0}))) == ""


def test_the_report_has_the_intervals_and_the_effects_of_each_layer(claimed):
    text = to_markdown(document(claimed, {}), Path())
    assert "Intervals, layer by layer" in text
    assert "Against noise, layer by layer" in text
    row = next(line for line in text.splitlines() if line.startswith("| layer_1") and "sd; p" in line)
    assert row.count(" sd; p ") >= 4


def test_stars_and_rings_mark_what_differs(claimed, tmp_path):
    panels = drawings["against_noise"].draw(claimed).axes
    starred = [[line for line in axes.lines if line.get_marker() == "*"] for axes in panels]
    assert starred[3][0].get_xdata().tolist() == [2]  # loops: layer_1 alone
    diagrams = drawings["persistence_diagrams"].draw(claimed).axes
    rings = [sum(len(c.get_offsets()) for c in axes.collections if not len(c.get_facecolor())) for axes in diagrams[:3]]
    assert rings == [0, 0, 1]
    assert "against_noise" in {path.stem for path in write_figures(claimed, tmp_path)}


def test_bands_lie_around_the_lines(claimed):
    panel = drawings["tda_summary"].draw(claimed).axes[1]
    band = panel.collections[0].get_paths()[0].vertices
    low, high = claimed.claims.bounds("H0_total_persistence", claimed.layers).T
    assert band[:, 1].min() == pytest.approx(low.min())
    assert band[:, 1].max() == pytest.approx(high.max())


def test_without_claims_nothing_is_drawn_of_them():
    panels = drawings["tda_summary"].draw(a_profile(3)).axes
    assert not any(
        np.isfinite(path.vertices).all() and len(path.vertices)
        for axes in panels
        for c in axes.collections
        for path in c.get_paths()
    )
