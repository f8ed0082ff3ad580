"""One answer: terminal, report, figures and comparison give the same first number and decision."""

import re
from dataclasses import replace

import numpy as np
import pytest

import todacomm as td
from report_profiles import a_profile
from todacomm.cli.terminal.tables import growth_lines
from todacomm.comparison.compare import compare
from todacomm.core.recipe import Recipe
from todacomm.records.inference import read_claims, write_claims
from todacomm.report.comparison.all_charts import comparison_charts
from todacomm.report.comparison.comparison_sections import answer as answer_of_comparison
from todacomm.report.comparison.comparison_sections import loops
from todacomm.report.document.matplotlib_renderer import figure_of
from todacomm.report.document.pieces import to_markdown
from todacomm.report.layers.all_figures import drawings
from todacomm.report.layers.layer_document import document
from todacomm.report.layers.topology_sections import answer
from todacomm.report.words.expansion import null_sentences, which_factor
from todacomm.report.words.intervals_and_nulls import bracketed
from todacomm.report.words.loops import loop_sentences
from todacomm.report.words.phrases import expansions_in_order, padded

N = 60


def spread_out(distinct, *, n=N, apart=1.0, seed=2):
    """An embedding of so many distinct points, and two blocks 3 and 5 times as large, duplicates ``apart``."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(distinct, 6))[np.arange(n) % distinct]
    noise = apart * rng.normal(size=(n, 6))
    return {"embedding": points, "layer_0": 3 * points + noise, "layer_1": 5 * points + noise}


def measured(layers, **settings):
    return td.measure(layers, **{"resamples": 20, "null_draws": 0, **settings})


def told(profile):
    return " ".join(piece.text for piece in answer(profile, {}))


# One expansion


@pytest.mark.parametrize("distinct", [10, 25, 60])
def test_terminal_report_and_comparison_begin_with_the_same_expansion(distinct):
    """25 of 60 distinct points make the embedding doubtful: the expansion from the first sound layer leads."""
    profile = measured(spread_out(distinct))
    sound = next(e for e in profile.expansions if not e.doubt)
    first, *behind = growth_lines(profile)
    assert first.startswith(f"expansion {sound.growth.baseline} → {sound.growth.peak}: {padded(sound.growth.ratio, 3)}")
    assert f"expansion {padded(sound.growth.ratio)}" in told(profile)
    row = compare([profile]).rows[0]
    assert (row.baseline, row.expansion) == (sound.growth.baseline, sound.growth.ratio)
    assert f"expansion {padded(row.expansion)}" in list(answer_of_comparison(compare([profile]), {}))[1].text
    assert [("doubtful" in line, "embedding" in line) for line in behind] == [(True, True)] * (distinct < 30)


def test_the_table_of_expansions_begins_with_the_one_of_the_answer():
    text = to_markdown(document(measured(spread_out(25)), {}), None)
    rows = [line for line in text.splitlines() if "peak of H0 total" in line]
    assert rows[0].startswith("| layer_0")
    assert rows[1].startswith("| embedding")


def test_where_none_is_sound_a_doubtful_baseline_stands_behind_one_that_is_not():
    profile = a_profile(3, distinct=10, massive=("layer_2",))
    assert [e.baseline for e in expansions_in_order(profile)] == ["layer_0", "embedding"]
    assert growth_lines(profile)[0].startswith("expansion layer_0 → layer_2")
    assert compare([profile]).rows[0].baseline == "layer_0"


def test_where_none_is_defined_the_reasons_are_printed():
    profile = a_profile(2, distinct=1)
    unmeasured = replace(
        profile, expansions=tuple(replace(e, growth=None, reason="nothing") for e in profile.expansions)
    )
    assert all("undefined (nothing)" in line for line in growth_lines(unmeasured))


# Scale or shape


def test_a_split_that_follows_the_duplicates_of_the_baseline_is_not_claimed():
    """32 of 60 points are distinct, just above the threshold; later layers separate the equal ones."""
    profile = measured(spread_out(32, apart=3.0))
    leading = next(e for e in profile.expansions if not e.doubt)
    assert leading.baseline == "embedding"
    assert leading.growth.shape > 1.5
    assert abs(np.log(leading.matched.shape)) < 0.4
    said = which_factor(leading.growth, profile, replace(leading.matched, shape=1.0))
    assert said.startswith(
        "Whether that is scale or shape is left open, for it follows the duplicates of embedding: on 32 texts"
    )
    assert "is scale and the rest shape" not in said


@pytest.mark.parametrize(("shape", "share"), [(1.2, "90 %"), (1.6, "77 %"), (3.0, "59 %")])
def test_where_both_tell_of_the_same_factors_matched_texts_give_the_share(shape, share):
    leading = measured(spread_out(32, apart=3.0)).expansions[0]
    matched = replace(leading.matched, scale=5.0, shape=shape)
    assert which_factor(leading.growth, None, matched) == (
        f"Of this change, {share} (in logarithms) is scale and the rest shape."
    )


def test_without_duplicates_the_split_is_that_of_all_points():
    leading = measured(spread_out(60, apart=3.0)).expansions[0]
    assert leading.matched is None
    assert which_factor(leading.growth, None, leading.matched) == which_factor(leading.growth)


def test_the_report_takes_the_matched_texts():
    profile = measured(spread_out(32, apart=3.0))
    leading = profile.expansions[0]
    assert which_factor(leading.growth, profile, leading.matched) in told(profile)


# Before training


def with_passes(profile, null, rows, baseline="embedding"):
    return replace(profile, claims=replace(profile.claims, null_growths={null: {baseline: rows}}))


@pytest.mark.parametrize(
    ("null", "rows", "says"),
    [
        ("untrained", ((3.0, 3.2, 0.94), (3.4, 3.5, 0.97), (3.2, 3.3, 0.96)),
            ("Before any training, with 3 draws of random weights, this architecture expands 3 to 3.4 times from "
            "embedding (scale growth 3.2 to 3.5 × shape growth 0.94 to 0.97): ")),
        ("untrained", ((90.0, 90.0, 1.0), None),
            ("with 1 draw of random weights, this architecture expands 90 times from embedding (scale growth 90 × "
            "shape growth 1): no less than this model does.")),
        ("untrained", ((0.9, 0.9, 1.0), (1.02, 1.02, 1.0)),
            "expands 0.9 to 1.02 times from embedding (scale growth 0.9 to 1.02 × shape growth 1)."),
        ("text", ((2.0, 2.0, 1.0), (2.0, 2.0, 1.0)),
            "On texts whose tokens are in random order (2 draws), the model expands 2 times from embedding"),
    ],
)  # fmt: skip
def test_what_of_an_expansion_is_there_without_training_is_said(null, rows, says):
    profile = with_passes(measured(spread_out(60)), null, rows)
    (sentence,) = null_sentences(profile, profile.expansions[0].growth)
    assert says in sentence
    assert sentence in told(profile)
    assert sentence in growth_lines(profile)


def test_the_share_that_is_there_before_training_is_one_of_logarithms():
    profile = with_passes(measured(spread_out(60)), "untrained", ((3.0, 3.0, 1.0),) * 3)
    growth = profile.expansions[0].growth
    (sentence,) = null_sentences(profile, growth)
    percent = round(100 * np.log(3) / np.log(growth.ratio))
    assert sentence.endswith(f": {percent} % of the expansion, in logarithms, is there already.")


def test_without_such_a_null_nothing_is_said_of_it():
    profile = measured(spread_out(60))
    growth = profile.expansions[0].growth
    assert null_sentences(profile, growth) == null_sentences(replace(profile, claims=None), growth) == []
    assert null_sentences(with_passes(profile, "untrained", (None, None)), growth) == []


def test_the_growths_of_nulls_are_read_as_they_were_written(tmp_path):
    claims = with_passes(measured(spread_out(60)), "untrained", ((3.0, 3.2, 0.94), None)).claims
    write_claims(tmp_path, claims)
    assert read_claims(tmp_path).null_growths == claims.null_growths


# Figures


def test_figures_of_two_poolings_have_two_headings():
    """Two runs of one model on one dataset differ in nothing else."""
    profiles = [a_profile(3, recipe=Recipe(pooling=pooling, components=6)) for pooling in ("mean", "last")]
    for name in ("tda_summary", "scale_shape", "persistence_diagrams"):
        headings = [drawings[name].draw(p).get_suptitle() for p in profiles]
        assert [re.search("pooling (mean|last)", h)[1] for h in headings] == ["mean", "last"], name
    assert "pooling" not in drawings["tda_summary"].draw(measured(spread_out(60))).get_suptitle()


def expansions_of(profile):
    (chart,) = comparison_charts.of(compare([profile]), "comparison_expansion")
    return figure_of(chart)


def test_the_figure_of_expansions_has_the_intervals_and_says_where_they_are_of():
    profile = measured(spread_out(60))
    drawn = expansions_of(profile)
    for panel, part in zip(drawn.axes, ("ratio", "scale", "shape"), strict=False):
        ends = profile.claims.growths["embedding"][part]
        lines = [list(line.get_xdata()) for line in panel.lines if line.get_marker() in ("", "None")]
        assert [ends.low, ends.high] in lines
        assert [ends.estimate] in [list(line.get_xdata()) for line in panel.lines]
        assert panel.get_xlim()[0] < ends.low < ends.high < panel.get_xlim()[1]
    assert "95 % intervals" in drawn.get_supxlabel().replace("\n", " ")
    assert "On arrays." in drawn.get_supxlabel()
    bare = expansions_of(replace(profile, claims=None))
    assert "intervals" not in bare.get_supxlabel()


# Loops


def test_a_comparison_says_of_loops_what_the_run_says():
    profile = td.measure(spread_out(60), resamples=0, null_draws=19)
    said = loop_sentences(profile)
    assert said
    assert loops(profile).endswith(": " + " ".join(said))


def test_no_interval_is_printed_where_there_is_none():
    assert bracketed(None) == ""
