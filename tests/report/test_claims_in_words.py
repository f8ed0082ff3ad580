"""Sentences and marks for intervals and nulls: loops and growths by their tests, bands, stars, rings."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import todacomm as td
from report_profiles import a_profile
from shapes import circle
from todacomm.comparison.compare import Comparison
from todacomm.core.inference_types import Interval
from todacomm.core.types import Profile
from todacomm.report.document.pieces import sections, to_markdown
from todacomm.report.layers.all_figures import drawings, write_figures
from todacomm.report.layers.layer_document import document, interpretation
from todacomm.report.layers.series import signal_bars
from todacomm.report.words.expansion import which_factor
from todacomm.report.words.intervals_and_nulls import bracketed, digits_of, growth_interval, peak_sentence
from todacomm.report.words.loops import loop_cell, loop_sentence, loop_sentences


@pytest.fixture(scope="module")
def claimed():
    """Noise twice, of one shape, and a ring."""
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(80, 6))
    ring = np.pad(6 * circle(80), ((0, 0), (0, 4))) + rng.normal(size=(80, 6)) / 2
    layers = {"embedding": noise, "layer_0": 3 * noise + 0.01 * rng.normal(size=(80, 6)), "layer_1": 0.1 * ring}
    return td.measure(layers, resamples=40, null_draws=39)


def without(profile, *layers):
    """The profile without some layers."""
    return replace(profile, measurements=tuple(m for m in profile.measurements if m.address.layer not in layers))


def test_the_ring_is_called_a_loop_with_its_size_and_noise_is_not(claimed):
    (bar,) = (bar for bar in claimed.claims.loops["layer_1"] if not bar.centroids)
    said = " ".join(loop_sentences(claimed))
    assert said.startswith(
        f"Loop at layer_1 (family-wise over 3 layers): one through {len(bar.cycle)} of all 80 points, from "
    )
    assert f"{bar.birth / bar.median:.2g} to {bar.death / bar.median:.2g} of the median distance (p 0.025)" in said
    assert "embedding" not in said
    said = loop_sentences(without(claimed, "layer_1"))[0]
    assert said.startswith("No loop is shown at any of 2 reliable layers")
    assert said.endswith("family-wise over 3 layers). That is no evidence that there is none.")
    assert "what noise gives" not in said


def test_the_p_that_is_printed_is_the_one_that_decided(claimed):
    test = claimed.claims.tests["gaussian"]["layer_1"]["H1_loop"]
    for p, found in ((0.05, True), (0.051, False)):
        bars = tuple(replace(bar, p_layer=p) for bar in claimed.claims.loops["layer_1"])
        tests = {**claimed.claims.tests["gaussian"]}
        tests["layer_1"] = {**tests["layer_1"], "H1_loop": replace(test, adjusted=0.001, family_wise=p)}
        other = replace(claimed, claims=replace(claimed.claims, tests={"gaussian": tests}, loops={"layer_1": bars}))
        sentence, row = loop_sentence(other, other.at("layer_1")), loop_cell(other, other.at("layer_1"))
        assert sentence.startswith("Loop: " if found else "No loop is shown")
        assert f"p {p:.2g}" in sentence
        assert row == f"{p:.2g} · 0.025"
        starred = [x for x in drawings["against_noise"].draw(other).axes[3].lines if x.get_marker() == "*"]
        assert len(starred) == found
        text = to_markdown(document(other, {}), Path())
        assert text.count("Single points show no loop") == (0 if found else 2)


def test_a_test_that_was_made_is_never_denied(claimed):
    """A doubtful layer carries no verdict, and its p-value stands in the record: the report says both."""
    (only,) = without(claimed, "embedding", "layer_0").measurements
    doubtful = replace(only, facts=replace(only.facts, largest_variance_share=0.6, dimension=100))
    assert doubtful.facts.doubtful
    alone = replace(claimed, measurements=(doubtful,), expansions=())
    text = to_markdown(document(alone, {}), Path())
    assert "has not been tested" not in text
    assert f"layer_1 (p 0.025; {doubtful.facts.doubtful})" in text


def test_bars_of_a_tight_group_are_told_apart_from_loops():
    rng = np.random.default_rng(5)
    points = rng.standard_normal((150, 20))
    points[:50] = np.pad(0.1 * rng.standard_normal((50, 2)), ((0, 0), (0, 18)))
    found = td.measure(points, resamples=0, null_draws=39)
    assert found.claims.loops["cloud"]
    assert not found.claims.tests["gaussian"]["cloud"]["H1_loop"].found
    said = " ".join(loop_sentences(found))
    assert "No loop is shown here" in said
    assert "bars of H1 stand out of the layer, but not out of the group of " in said
    assert not signal_bars(found, found.measurements[0]).any()


def test_without_a_null_h1_is_no_evidence(claimed):
    bare = replace(claimed, claims=None)
    assert loop_sentences(bare) == []
    assert "H1 has not been tested against a null model" in interpretation(bare)
    assert "has not been tested" not in interpretation(claimed)
    assert "Intervals" not in interpretation(bare)


def test_a_null_model_of_another_version_is_shown_under_its_name(claimed):
    tests = {**claimed.claims.tests, "seasons": claimed.claims.tests["gaussian"]}
    text = to_markdown(document(replace(claimed, claims=replace(claimed.claims, tests=tests)), {}), Path())
    assert "Each layer is tested against the null model seasons (39 draws)" in text


def test_a_growth_whose_interval_holds_one_is_not_claimed(claimed):
    growth = claimed.expansions[0].growth
    assert growth.peak == "layer_0"
    assert (
        which_factor(growth, claimed)
        == "The change is one of scale; the shape does not change significantly (its interval includes 1)."
    )
    ratio, scale, shape = (claimed.claims.growths["embedding"][part] for part in ("ratio", "scale", "shape"))
    wide = replace(scale, low=0.5, high=9.0)
    same = replace(
        claimed, claims=replace(claimed.claims, growths={"embedding": {"ratio": ratio, "scale": wide, "shape": shape}})
    )
    assert "Neither scale nor shape changes significantly" in which_factor(growth, same)
    thin = replace(shape, low=1.1, high=1.2)
    other = replace(
        claimed, claims=replace(claimed.claims, growths={"embedding": {"ratio": ratio, "scale": wide, "shape": thin}})
    )
    assert "one of shape; the scale does not change significantly" in which_factor(growth, other)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (23.578, 27.325, " [23.6, 27.3]"),
        (1.8311, 1.9963, " [1.83, 2.00]"),
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


def test_one_correction_decides(claimed):
    test = claimed.claims.tests["gaussian"]["layer_1"]["H1_loop"]
    assert replace(test, adjusted=0.2, family_wise=0.04).found
    assert not replace(test, adjusted=0.04, family_wise=0.2).found
    assert not replace(test, family_wise=None).found
    assert replace(test, family_wise=10 / 200).found


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


def test_every_document_begins_with_its_answer():
    """Parts stand in the order in which modules are imported: none may slip in before the answer."""
    import todacomm.report.render  # noqa: F401 - registers every section

    for record, first in ((Profile, "answer"), (Comparison, "comparison")):
        assert next(s.name for s in sections.values() if s.record is record) == first


@pytest.mark.parametrize(("draws", "open_", "enough"), [(19, True, 39), (25, True, 39), (39, False, None)])
def test_what_so_few_draws_cannot_decide_is_not_denied(draws, open_, enough):
    rng = np.random.default_rng(0)
    layers = {f"layer_{i}": rng.normal(size=(60, 10)) for i in range(3)}
    centres = 10 * rng.normal(size=(5, 10))
    layers["layer_1"] = centres[rng.integers(5, size=60)] + rng.normal(size=(60, 10)) / 10
    profile = td.measure(layers, resamples=0, null_draws=draws)
    said = " ".join(interpretation(profile).split())
    assert (f"Not decidable with {draws} draws (no p-value can be below" in said) is open_
    assert ("H0 total is nowhere shown to differ" in said) is False
    assert bool(re.search(r"H0 total is [^.]*smaller at layer_1", said)) is not open_
    if enough:
        assert f"{enough} would do)" in said


def test_a_ratio_whose_interval_holds_one_is_not_said_to_change():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=(60, 5))
    profile = td.measure({"embedding": noise, "layer_0": 0.93 * rng.normal(size=(60, 5))}, resamples=40, null_draws=0)
    interval = growth_interval(profile, profile.expansions[0].growth, "ratio")
    said = " ".join(interpretation(profile).split())
    assert interval.low < 1 < interval.high
    assert "is not shown to change" in said
    assert "shrinks" not in said


def test_one_block_alone_expands_from_nothing():
    profile = td.measure({"layer_0": np.random.default_rng(0).normal(size=(30, 4))}, resamples=0, null_draws=0)
    assert [e.growth for e in profile.expansions] == [None, None]
    assert "no block but layer_0 was measured" in profile.expansions[1].reason
