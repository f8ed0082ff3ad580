"""Texts in articles: every interval, growth, difference and p-value respects them or says why not."""

import json
from dataclasses import replace

import numpy as np
import pytest

import todacomm as td
from todacomm.comparison.compare import compare
from todacomm.comparison.differences import pair
from todacomm.core.types import Activations, Texts
from todacomm.models.datasets import describe_sample
from todacomm.records.inference import read_claims, write_claims
from todacomm.report.terminal.overview import value_text
from todacomm.report.words.expansion import factorisation
from todacomm.report.words.intervals_and_nulls import bracketed, group_sentences, growth_interval, interval_of

TOTAL, SHAPE = "H0_total_persistence", "H0_total_persistence_scaled"
N, ARTICLES = 72, 9


def layers_of(seed=1, *, apart=2.0, n=N, articles=ARTICLES):
    """An embedding and two blocks; the points of an article lie around its centre, which grows with depth."""
    rng = np.random.default_rng(seed)
    label = np.arange(n) % articles
    base, centres = rng.normal(size=(n, 5)), rng.normal(size=(2, articles, 5))
    base *= np.exp(0.3 * apart * rng.normal(size=articles))[label, None]
    blocks = {f"layer_{i}": (i + 2) * base + apart * centres[i][label] for i in (0, 1)}
    return {"embedding": base, **blocks}


def labels_of(n=N, articles=ARTICLES):
    return [f"article {i % articles}" for i in range(n)]


def measured(layers=None, groups=None, **settings):
    return td.measure(layers or layers_of(), groups=groups, **{"resamples": 40, "null_draws": 0, **settings})


@pytest.fixture(scope="module")
def grouped():
    return measured(groups=labels_of())


@pytest.fixture(scope="module")
def single():
    return measured()


# The interval


def test_where_groups_are_known_the_interval_is_of_whole_groups_and_that_of_single_points_lies_behind_it(
    grouped, single
):
    claims = grouped.claims
    assert (claims.groups, claims.ungrouped) == (ARTICLES, "")
    for row in claims.intervals.values():
        assert all(one.method.endswith("whole groups") for one in row.values())
    for layer, row in claims.one_by_one.items():
        for name, one in row.items():
            assert one == single.claims.intervals[layer][name]


def test_growths_and_their_intervals_respect_the_groups(grouped, single):
    for part, one in grouped.claims.growths["embedding"].items():
        assert one.method == "split-half, whole groups"
        narrow = single.claims.growths["embedding"][part]
        assert one.estimate == narrow.estimate
        assert (one.low, one.high) != (narrow.low, narrow.high)
    wide, narrow = (p.claims.growths["embedding"]["scale"] for p in (grouped, single))
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_what_is_printed_and_drawn_is_the_interval_of_whole_groups(grouped):
    m, growth = grouped.at("layer_1"), grouped.expansions[0].growth
    own, behind = grouped.claims.intervals["layer_1"][SHAPE], grouped.claims.one_by_one["layer_1"][SHAPE]
    assert bracketed(own) != bracketed(behind)
    assert value_text(m, grouped, SHAPE).endswith(bracketed(own))
    assert interval_of(m, grouped, SHAPE) == own
    assert grouped.claims.bounds(SHAPE, ["layer_1"]).tolist() == [[own.low, own.high]]
    scale = grouped.claims.growths["embedding"]["scale"]
    assert growth_interval(grouped, growth, "scale") == scale
    assert bracketed(scale) in factorisation(growth, grouped)
    assert compare([grouped]).rows[0].intervals["scale_growth"] == scale


def test_differences_and_their_p_values_respect_the_groups(grouped, single):
    """Two blocks of articles of one kind: points drawn one by one call them different, whole articles do not."""
    other = layers_of(2)
    by_group = pair(grouped, replace(measured(other, labels_of()), texts_sha256="b" * 64))
    one_by_one = pair(single, replace(measured(other), texts_sha256="b" * 64))
    assert by_group.how == one_by_one.how == "unpaired"
    wide, narrow = by_group.differences["scale"], one_by_one.differences["scale"]
    assert all("whole groups" in d.difference.method for d in wide)
    assert all(w.p > n.p for w, n in zip(wide, narrow, strict=True))
    assert all(by_group.growths[part].p >= one_by_one.growths[part].p for part in ("ratio", "scale"))


def test_paired_differences_respect_the_groups(grouped, single):
    layers = layers_of()
    stretched = np.exp(0.3 * np.random.default_rng(8).normal(size=ARTICLES))[np.arange(N) % ARTICLES, None]
    layers["layer_1"] = layers["layer_1"] * stretched
    wide, narrow = (pair(first, measured(layers, groups)) for first, groups in ((grouped, labels_of()), (single, None)))
    assert wide.how == narrow.how == "paired"
    for a, b in zip(wide.differences["scale"], narrow.differences["scale"], strict=True):
        assert a.difference.estimate == b.difference.estimate
    a, b = wide.differences["scale"][2], narrow.differences["scale"][2]
    assert a.difference.high - a.difference.low > 1.5 * (b.difference.high - b.difference.low)
    assert a.p > b.p


def test_points_without_a_group_effect_have_intervals_of_about_the_same_width():
    claims = measured(layers_of(5, apart=0.0, n=240, articles=24), labels_of(240, 24)).claims
    wide, narrow = (rows["embedding"][TOTAL] for rows in (claims.intervals, claims.one_by_one))
    assert 0.6 < (wide.high - wide.low) / (narrow.high - narrow.low) < 1.6


# Groups that cannot be drawn


@pytest.mark.parametrize(
    ("groups", "why"),
    [
        (None, "the texts carry no groups"),
        (["a", "b", "c"] * 24, "3 groups are too few, at least 4 are needed"),
        (["a"] * 72, "1 groups are too few"),
        (["a"] * 30 + [f"b{i}" for i in range(42)], "one group holds 30 of 72 points, more than a third"),
    ],
)
def test_where_groups_cannot_be_drawn_the_interval_of_single_points_stays_and_the_reason_is_said(groups, why, single):
    found = measured(groups=groups)
    assert found.claims.intervals == single.claims.intervals
    assert (found.claims.groups, found.claims.one_by_one) == (0, {})
    assert why in found.claims.ungrouped
    assert group_sentences(found) == [
        f"Intervals take texts as independent, whole groups are not drawn: {found.claims.ungrouped}."
    ]


@pytest.mark.parametrize("size", [20, 24, 40])
def test_a_subsample_is_judged_by_the_groups_of_its_own_points(size):
    """Nine articles, of which a subsample may take too few, or too many points of one: that is no error."""
    labels = ["long"] * 24 + [f"article {i % 8}" for i in range(48)]
    found = measured(groups=labels, subsample=size)
    assert found.claims.intervals["layer_1"][TOTAL].defined
    assert bool(found.claims.groups) == (not found.claims.ungrouped)


def test_four_groups_have_no_quarters_and_every_number_its_interval_nevertheless():
    found = measured(groups=labels_of(N, 4)).claims
    assert found.groups == 4
    assert all(one.defined for one in found.intervals["layer_1"].values())
    assert found.intervals["layer_1"]["H0_max_lifetime"].method == "split-half, whole groups"


# What is said


def test_the_sentence_on_intervals_says_that_articles_are_drawn_and_how_many(grouped):
    (said,) = group_sentences(grouped)
    assert "halves are of whole articles, here of 9" in said
    assert "Texts drawn one by one would give other widths (times, median over layers: scale 0." in said


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (
            td.texts("wikitext2", 500),
            "The texts are the first 500 of the 2,891 of wikitext2, from 11 of its 60 articles",
        ),
        (td.texts("squad", 100), "The texts are the first 100 of the 646 of squad, from 3 of its"),
        (td.texts("wikitext2", 500, shuffle=True), "The texts are 500 of the 2,891 of wikitext2, from 5"),
        (td.texts("wikitext2"), "The texts are all 2,891 of wikitext2, from its 60 articles"),
        (Texts("mine", ("a", "b", "c"), ("x", "x", "y")), "The texts are from 2 groups"),
        (Texts("wikitext2", ("a", "b", "c"), ("x", "x", "y")), "The texts are from 2 groups"),
    ],
)
def test_the_note_says_which_texts_were_taken_and_from_how_many_articles(texts, told):
    assert describe_sample(texts).startswith(told)
    assert "not independent of one another" in describe_sample(texts)
    assert ("--shuffle" in describe_sample(texts)) == ("first" in told)


def test_texts_that_are_each_alone_have_no_note():
    assert describe_sample(Texts("mine", ("a", "b"))) == ""
    assert describe_sample(Texts("mine", ("a", "b"), ("x", "y"))) == ""


def test_activations_bring_the_groups_of_their_texts():
    texts = Texts("lines", tuple(f"line {i}" for i in range(N)), tuple(labels_of()))
    given = {layer: points.astype(np.float32) for layer, points in layers_of().items()}
    assert measured(Activations(given, "m", texts, "mean")).claims.groups == ARTICLES
    assert measured(Activations(given, "m", texts, "tokens")).claims.groups == 0


# Records


def test_the_record_holds_both_and_is_read_as_it_was_written(grouped, tmp_path):
    write_claims(tmp_path, grouped.claims)
    record = json.loads((tmp_path / "tda_claims.json").read_text())
    assert record["schema"] == 2
    assert record["halves"]["layer_1"]["effective"] == ARTICLES
    assert "by_group" not in record["layers"]["layer_1"]
    found = read_claims(tmp_path)
    for part in ("intervals", "one_by_one", "growths", "peaks", "ungrouped", "groups"):
        assert getattr(found, part) == getattr(grouped.claims, part), part


def test_records_of_the_first_schema_stay_readable(grouped, single, tmp_path):
    """They hold halves of single points, and the intervals of whole groups beside those of points."""
    write_claims(tmp_path, single.claims)
    path = tmp_path / "tda_claims.json"
    record = json.loads(path.read_text())
    write_claims(tmp_path / "grouped", grouped.claims)
    beside = json.loads((tmp_path / "grouped" / "tda_claims.json").read_text())["layers"]
    for layer, row in record["layers"].items():
        row.pop("one_by_one")
        row["by_group"] = beside[layer]["intervals"]
    for row in record["halves"].values():
        row.pop("effective")
    path.write_text(json.dumps({**record, "schema": 1, "ungrouped": ""}))
    found = read_claims(tmp_path)
    assert found.intervals == grouped.claims.intervals
    assert found.one_by_one == single.claims.intervals
    assert found.growths == single.claims.growths
    assert "an earlier todacomm made this run: run it again" in group_sentences(replace(single, claims=found))[0]
