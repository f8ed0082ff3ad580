"""The finding comes first, in the same words everywhere; each word follows from the record."""

import html
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Group

import todacomm as td
from report_profiles import a_profile, four, rendered
from shapes import circle
from todacomm.comparison.compare import compare
from todacomm.core.inference_types import Interval
from todacomm.core.types import Growth
from todacomm.report.comparison.comparison_sections import comparison_document
from todacomm.report.document.page import to_html
from todacomm.report.document.pieces import to_markdown
from todacomm.report.layers.layer_document import document
from todacomm.report.terminal.overview import overview_of_comparison, overview_of_profile
from todacomm.report.words.finding import (
    few,
    finding,
    finding_of_comparison,
    finding_of_group,
    groups,
    size_or_shape,
    take_home,
)


@pytest.fixture(scope="module")
def ringed():
    rng = np.random.default_rng(3)
    noise = rng.normal(size=(60, 6))
    ring = np.pad(6 * circle(60), ((0, 0), (0, 4))) + rng.normal(size=(60, 6)) / 2
    return td.measure({"embedding": noise, "layer_0": 3 * noise, "layer_1": ring}, resamples=20, null_draws=39)


def grown(profile, growth, **ends):
    """The profile with this growth against the embedding, and these ends of its intervals."""
    (first, *_) = profile.expansions
    known = {
        part: Interval(getattr(growth, part), *ends[part], 0.95, "split-half")
        for part in ("ratio", "scale", "shape")
        if part in ends
    }
    claims = replace(profile.claims, growths={growth.baseline: known})
    return replace(profile, expansions=(replace(first, growth=growth, matched=None, doubt=""),), claims=claims)


def test_terminal_markdown_and_page_begin_with_the_same_words(ringed, tmp_path):
    said, whole = finding(ringed), document(ringed, {})
    assert said.startswith("array spreads the 60 points out ")
    assert to_markdown(whole, tmp_path).split("## The answer\n\n")[1].startswith(f"**{said}**")
    assert html.escape(said, quote=False) in to_html(whole).split("</section>")[0]
    assert said in " ".join(rendered(Group(*overview_of_profile(ringed, 100))).split())


def test_a_comparison_begins_with_its_finding_everywhere(tmp_path):
    found = compare(four())
    said, whole = finding_of_comparison(found), comparison_document([("", found, {})])
    assert to_markdown(whole, tmp_path).split("## The answer\n\n")[1].startswith(f"**{said}**")
    assert html.escape(said, quote=False) in to_html(whole).split("</section>")[0]
    assert said in " ".join(rendered(Group(*overview_of_comparison(found, []))).split())


def test_ranks_and_layers_of_a_comparison_are_those_of_its_rows():
    found = compare(four())
    ranked = sorted(found.rows, key=lambda row: row.expansion)
    low, high = ranked[0], ranked[-1]
    said = finding_of_comparison(found)
    assert (
        f"{high.model} spreads the points out most ({few(high.expansion)} times as far at {high.peak_layer} as" in said
    )
    assert f"and {low.model} least ({few(low.expansion)} times)" in said
    assert take_home([found, compare(four("last"))]) == f"What came out of 4 models: {said}"
    assert take_home([found]).count(".") - few(high.expansion).count(".") - few(low.expansion).count(".") == 1


@pytest.mark.parametrize(
    ("scale", "shape", "said"),
    [
        ((1.0, 8.0), (1.0, 1.0), "nearly all of the difference is size"),
        ((1.0, 1.0), (1.0, 8.0), "nearly all of the difference is shape"),
        ((1.0, 4.0), (1.0, 2.0), "more of the difference is size than shape"),
        ((1.0, 8.0), (1.0, 0.5), "size sets them apart, and shape pulls the other way"),
        ((1.0, 0.5), (1.0, 8.0), "shape sets them apart, and size pulls the other way"),
        ((1.0, 1.01), (1.0, 1.01), "the two are about the same"),
    ],
)
def test_what_sets_two_models_apart_is_the_larger_factor(scale, shape, said):
    first, second = compare(four()[:2]).rows
    rows = [
        replace(row, scale_growth=scale[i], shape_growth=shape[i], expansion=scale[i] * shape[i], doubt="")
        for i, row in enumerate((first, second))
    ]
    assert finding_of_group("texts", "mean", rows).endswith(f"; {said}.")


@pytest.mark.parametrize(
    ("growth", "said"),
    [
        ((12.0, 12.0, 1.0), "That is a change of size: the shape stays about the same."),
        ((3.0, 1.0, 3.0), "That is a change of shape: the size stays about the same."),
        ((6.0, 5.9, 1.1), "Nearly all of that is size."),
        ((6.0, 4.0, 1.5), "More of that is size than shape."),
        ((6.0, 1.5, 4.0), "More of that is shape than size."),
        ((6.0, 12.0, 0.5), "The cloud gets larger, and at equal size its points are spread out less evenly."),
        ((0.5, 0.25, 2.0), "The cloud gets smaller, and at equal size its points are spread out more evenly."),
        ((1.0, 1.0, 1.0), "Neither its size nor its shape changes by more than 5 %."),
    ],
)
def test_size_and_shape_are_told_by_the_two_factors(ringed, growth, said):
    assert size_or_shape(ringed, Growth("embedding", "layer_0", 60, *growth), None) == said


def test_a_change_that_the_intervals_do_not_show_is_not_told_as_one(ringed):
    growth = Growth("embedding", "layer_0", 60, 3.0, 3.0, 1.0)
    clear, open_ = (2.0, 4.0), (0.5, 6.0)
    plain = grown(ringed, growth, ratio=clear, scale=clear, shape=open_)
    assert (
        "3.0 times as far at layer_0 as at the embedding. The cloud gets larger; a change of shape is not"
        in finding(plain)
    )
    unshown = grown(ringed, growth, ratio=open_, scale=clear, shape=open_)
    assert finding(unshown).startswith("array is not shown to spread the 60 points out further at layer_0 than")
    assert "The cloud" not in finding(unshown)


def test_loops_are_named_where_they_are_and_their_absence_is_no_evidence(ringed):
    assert finding(ringed).endswith("Loops that noise does not explain are at layer_1.")
    rest = tuple(m for m in ringed.measurements if m.address.layer != "layer_1")
    assert finding(replace(ringed, measurements=rest)).endswith("which does not show that there is none.")
    assert "loop" not in finding(replace(ringed, claims=None)).lower()


def test_clouds_without_blocks_are_told_without_an_embedding(ringed):
    alone = replace(ringed, measurements=ringed.measurements[2:], expansions=())
    assert finding(alone) == "array is a cloud of 60 points. It has a loop that noise does not explain."
    rng = np.random.default_rng(1)
    named = td.measure({"a": rng.normal(size=(40, 3)), "b": 9 * rng.normal(size=(40, 3))}, resamples=20, null_draws=0)
    assert finding(named) == "array spreads the 40 points out furthest at b."
    both = compare([named, replace(named)])
    assert td.finding(both) == "array and array are equal in every number at every layer."
    assert "mbedding" not in td.finding(both)


def test_a_doubtful_baseline_leaves_the_question_open():
    profile = a_profile(3, massive=("embedding", "layer_0", "layer_1", "layer_2", "final"))
    assert "is left open: every baseline is doubtful" in finding(profile)


def test_rows_of_different_data_are_never_ranked_together():
    found = compare([*four(), a_profile(3, n=20, data="squad", model="other")])
    assert [(data, len(rows)) for data, _, rows in groups(found)] == [("squad", 1), ("wikitext2", 4)]
    assert "only other has a reliable expansion" in finding_of_comparison(found)
