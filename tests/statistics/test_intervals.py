"""Splits, halves, and the intervals, ratios, differences and tests made from them."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from todacomm.clouds.prepare import prepare
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.inference_types import UNTRIED, IntervalRule
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.homology.engines import among, persistence, restriction, subsampler
from todacomm.homology.metrics import metric, metrics
from todacomm.profiles.measure import measure_prepared
from todacomm.statistics.intervals import (
    difference_interval,
    difference_test,
    interval,
    intervals,
    peak_shares,
    ratio_interval,
    relative_interval,
    rule_of,
    spread_of,
)
from todacomm.statistics.metrics_on_halves import Halves, halves_of, no_interval_reason
from todacomm.statistics.random_halves import refusal, splits

TOTAL = "H0_total_persistence"


def measured(points, recipe=None, *, cut=None, layer="layer_0"):
    recipe = recipe or Recipe()
    cloud = prepare(PointCloud(points, Address("m", "d", layer)), recipe)
    return halves_of(cloud, measure_prepared(cloud, recipe), cut or splits(len(cloud.points), 10))


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(5).normal(size=(60, 5))


@pytest.fixture(scope="module")
def halves(points):
    return measured(points)


# Splits


def test_halves_and_quarters_are_disjoint_and_of_the_sizes_they_say():
    cut = splits(43, 6)
    for (a, b), four in zip(cut.halves(), cut.quarters(), strict=True):
        assert len(a) == len(b) == cut.half == 21
        assert sorted([*a, *b]) == sorted(np.concatenate(four))
        assert len({*a, *b}) == 42
        assert {*four[0], *four[1]} == {*a}
        assert [len(q) for q in four] == [10, 11, 10, 11]


def test_the_arguments_alone_decide_the_splits():
    again, other, more = splits(40, 5, 1), splits(40, 5, 2), splits(40, 9, 1)
    assert np.array_equal(splits(40, 5, 1).parts, again.parts)
    assert not np.array_equal(again.parts, other.parts)
    assert again.drawn != other.drawn
    assert np.array_equal(more.parts[:5], again.parts)


def test_points_stand_in_each_part_equally_often():
    share = (splits(40, 2000).parts[:, :, None] == [0, 1, 2, 3]).mean(axis=0)
    assert np.abs(share - 0.25).max() < 0.05


@pytest.mark.parametrize("number", [4, 12])
def test_groups_stay_whole(number):
    groups = [f"article {i % number}" for i in range(80 + number)]
    cut = splits(len(groups), 8, groups=groups)
    label = np.array(groups)
    for a, b in cut.halves():
        assert not {*label[a]} & {*label[b]}
        assert len(a) == len(b) == cut.half
    if number == 12:
        assert all(not {*label[p]} & {*label[q]} for p, q, *_ in cut.quarters())
    assert cut.half >= 0.45 * len(groups)
    assert cut.groups == number
    assert len({tuple(part) for part in cut.parts.tolist()}) > 1


@pytest.mark.parametrize(
    ("groups", "why"),
    [(["a", "b", "c"] * 20, "3 groups are too few"), ([*"abcdefghij"] * 4 + ["a"] * 40, "44 of 80 points")],
)
def test_groups_that_cannot_be_drawn_are_refused(groups, why):
    assert why in refusal(groups)
    with pytest.raises(InvalidInput, match=why):
        splits(len(groups), 5, groups=groups)


@pytest.mark.parametrize("arguments", [(19, 50), (100, 1), (30, 5, 1, ["a"] * 29)])
def test_splits_that_make_no_sense_are_refused(arguments):
    with pytest.raises(InvalidInput, match="expected"):
        splits(*arguments)


# Halves


def test_halves_hold_what_each_half_measures_alone(points, halves):
    recipe, (a, b) = Recipe(components=None), next(splits(60, 10).halves())
    for side, chosen in enumerate((a, b)):
        cloud = prepare(PointCloud(points[chosen], Address("m", "d", "half")), recipe)
        alone = measure_prepared(cloud, recipe)
        expected = [*alone.summary.values(), alone.facts.scale, alone.summary[TOTAL]]
        assert halves.values[0, side] == pytest.approx(expected, rel=1e-5)
    assert halves.estimate("scale") == prepare(PointCloud(points, Address("m", "d", "x")), recipe).facts.scale


@pytest.mark.parametrize("scale", ["median", "rms"])
def test_where_the_recipe_divides_by_the_scale_each_half_is_divided_by_its_own(points, halves, scale):
    """Every number of a half is that of its points alone under the same recipe, whatever its unit."""
    recipe = Recipe(components=None, scale=scale)
    divided = measured(points, recipe)
    assert divided.of("tree_length") == pytest.approx(halves.of("tree_length"), rel=1e-5)
    assert divided.of("scale") == pytest.approx(halves.of("scale"), rel=1e-5)
    for side, chosen in enumerate(next(splits(60, 10).halves())):
        alone = measure_prepared(prepare(PointCloud(points[chosen], Address("m", "d", "half")), recipe), recipe)
        assert divided.values[0, side, :-2] == pytest.approx([*alone.summary.values()], rel=1e-5)


@pytest.mark.parametrize(("engine", "maxdim"), [("bitlink", 0), ("bitlink", 1), ("ripser", 1), ("redzed", 2)])
def test_a_subsample_has_the_diagrams_of_its_points_alone(points, engine, maxdim):
    condensed = prepare(PointCloud(points, Address("m", "d", "x")), Recipe()).condensed
    chosen = np.arange(0, 60, 2)
    found = subsampler(condensed, engine=engine, maxdim=maxdim, threshold=2.5)(chosen)
    alone = persistence(among(condensed, chosen), engine="ripser", maxdim=maxdim, threshold=2.5)
    assert found.maxdim == maxdim
    for ours, theirs in zip(found.finite, alone.finite, strict=True):
        assert ours == pytest.approx(theirs, rel=1e-6)
    assert np.array_equal(restriction(condensed)(chosen), among(condensed, chosen))
    assert np.array_equal(restriction(condensed.astype(float))(chosen), among(condensed, chosen))


def test_clouds_without_an_interval_are_refused(points):
    few = prepare(PointCloud(points, Address("m", "d", "x")), Recipe(landmarks=30))
    assert "no random sample" in no_interval_reason(few.facts)
    with pytest.raises(InvalidInput, match="no random sample"):
        halves_of(few, measure_prepared(few, Recipe()), splits(30, 5))
    with pytest.raises(InvalidInput, match="60 points, but 5 splits of 50"):
        measured(points, cut=splits(50, 5))
    with pytest.raises(UnknownName, match="H0_total_persistence"):
        measured(points).of("H0_totl_persistence")


# Intervals


def made(values, estimate, name=TOTAL, *, points=40, half=20, groups=0, effective=0.0, quarters=None):
    """Halves of one number, by hand."""
    values = np.asarray(values, dtype=float)
    stacked = np.stack([values, np.full(values.shape, 19.0)], axis=2)
    four = np.full((len(values), 4, 2), np.nan) if quarters is None else np.stack([quarters, quarters], axis=2)
    return Halves(
        (name, "H0_count"), np.array([estimate, 39.0]), stacked, four, points, half, groups, "by hand", effective
    )


@pytest.fixture
def values(rng):
    return 10 + rng.normal(size=(30, 2))


def sd_of(series, power):
    return math.sqrt(sum((a - b) ** 2 / 2 for a, b in series) / len(series) * 0.5**power)


def test_the_interval_of_a_total_is_the_formula_written_again(values):
    found = interval(TOTAL, made(values, 25.0), confidence=0.9)
    margin = student.ppf(0.95, 10) * sd_of(values * 25 / values.mean(), 1.0)
    assert (found.low, found.high) == pytest.approx((25 - margin, 25 + margin), rel=1e-12)
    assert (found.method, found.note, found.confidence) == ("split-half", "", 0.9)


def test_the_interval_of_h1_total_averages_two_variances(values):
    found = interval("H1_total_persistence", made(values, 25.0, "H1_total_persistence"))
    scaled = values * 25 / values.mean()
    variance = 0.5 * (np.mean((scaled[:, 0] - scaled[:, 1]) ** 2 / 2) + 2 * scaled.var(ddof=1)) / 2
    reach = 2.22813885 * math.sqrt(variance) / (2 * 5)  # on the square root
    assert (found.low, found.high) == pytest.approx(((5 - reach) ** 2, (5 + reach) ** 2))


def test_the_interval_of_a_count_scales_by_the_root(values):
    found = interval("H1_count", made(values, 25.0, "H1_count"))
    margin = student.ppf(0.975, 10) * sd_of(values * math.sqrt(25 / values.mean()), -0.5)
    assert (found.low, found.high) == (math.floor(25 - margin), math.ceil(25 + margin))


def test_the_interval_of_the_entropy_of_h0_is_made_on_its_deficit(values):
    entropies = math.log(19) - np.exp(0.3 * (values - 10))
    found = interval("H0_entropy", made(entropies, 3.5, "H0_entropy"))
    reach = student.ppf(0.975, 10) * sd_of(0.3 * values, 0.75)
    deficit = math.log(39) - 3.5
    assert found.low == pytest.approx(math.log(39) - deficit * math.exp(reach))
    assert found.high == pytest.approx(math.log(39) - deficit * math.exp(-reach))
    assert found.high < math.log(39)


def test_the_interval_of_the_longest_bar_of_h0_comes_from_quarters(rng):
    quarters = np.exp(rng.normal(size=(30, 4)))
    found = interval("H0_max_lifetime", made(np.ones((30, 2)), 5.0, "H0_max_lifetime", quarters=quarters))
    reach = student.ppf(0.975, 10) * sd_of(np.log(quarters).reshape(-1, 2), 0.0)
    assert (found.low, found.high) == pytest.approx((5 * math.exp(-reach), 5 * math.exp(reach)))
    assert found.method == "quarters, conservative"
    assert found.note == "one point decides it"


def test_every_interval_holds_its_estimate_and_keeps_its_bounds(halves):
    found = intervals(halves)
    assert set(found) == set(halves.names)
    for name, one in found.items():
        assert one.low <= one.estimate <= one.high, name
        assert one.low >= (1 if "ratio" in name else 0), name


def test_a_number_that_does_not_vary_has_an_interval_without_width(halves):
    one = interval("H0_count", halves)
    assert (one.low, one.estimate, one.high) == (59, 59, 59)
    flat = interval("H1_count", made(np.zeros((30, 2)), 0.0, "H1_count"))
    assert (flat.low, flat.high) == (0, 0)
    assert flat.note == "0 here and in every half: that other clouds have none is not shown"


@pytest.mark.parametrize(
    "name", ["H1_max_lifetime", "H1_total_persistence", "H1_count", "H1_mean_lifetime", "H1_entropy"]
)
@pytest.mark.parametrize("estimate", [0.0, 0.1])
def test_a_number_that_is_0_here_and_not_in_the_halves_has_no_interval_of_one_point(rng, name, estimate):
    """As for embeddings of few distinct points: 12 % coverage where one cloud in six has a bar of H1."""
    halves = 3.0 * (rng.random((50, 2)) < 0.3)
    found = interval(name, made(halves, estimate, name))
    assert found.low == 0
    assert found.high > 1
    assert difference_test(name, made(halves, estimate, name), made(halves[::-1], estimate + 0.2, name)) > 0.05


@pytest.mark.parametrize(("estimate", "spread"), [(38.0, 2.0), (39.0, 0.3), (36.0, 9.0), (1.0, 4.0)])
def test_the_interval_of_a_count_is_of_counts_that_there_can_be(values, estimate, spread):
    """40 points have 0 to 39 bars of H0: no interval of theirs begins below or ends above."""
    found = interval("H0_count", made(19 - spread * np.abs(values - 10), estimate, "H0_count"))
    assert 0 <= found.low <= estimate <= found.high <= 39
    assert found.low.is_integer()
    assert found.high.is_integer()


@pytest.mark.parametrize("name", ["H1_count", "H2_count"])
def test_a_count_of_other_bars_has_whole_ends_and_no_ceiling(values, name):
    found = interval(name, made(values, 300.0, name))
    assert found.low.is_integer()
    assert found.high > 300
    assert found.high.is_integer()


@pytest.mark.parametrize("factor", [1e-300, 1e-160, 1e160, 1e290])
@pytest.mark.parametrize("name", [TOTAL, "H1_total_persistence", "H0_max_lifetime", "H1_max_lifetime"])
def test_intervals_follow_the_unit_however_small_or_large(values, rng, name, factor):
    other, quarters = 10 + rng.normal(size=(30, 2)), 10 + rng.normal(size=(30, 4))
    usual, scaled = (
        [made(x * unit, e * unit, name, quarters=quarters * unit) for x, e in ((values, 25.0), (other, 29.0))]
        for unit in (1.0, factor)
    )
    for one, large in ((interval(name, usual[0]), interval(name, scaled[0])),):
        assert (large.low / factor, large.high / factor) == pytest.approx((one.low, one.high))
    for paired in (True, False):
        one, large = (difference_interval(name, *two, paired=paired) for two in (usual, scaled))
        assert (large.low / factor, large.high / factor) == pytest.approx((one.low, one.high))
        one, large = (ratio_interval(name, *two, paired=paired) for two in (usual, scaled))
        assert (large.low, large.high) == pytest.approx((one.low, one.high))
        assert difference_test(name, *scaled, paired=paired) == pytest.approx(
            difference_test(name, *usual, paired=paired)
        )


def test_the_level_of_confidence_decides_the_width(halves):
    wide, narrow = (interval(TOTAL, halves, confidence=c) for c in (0.95, 0.8))
    assert narrow.high - narrow.low < 0.7 * (wide.high - wide.low)
    for wrong in (0.0, 1.0, 95):
        with pytest.raises(InvalidInput, match="between 0 and 1"):
            interval(TOTAL, halves, confidence=wrong)


def test_a_cloud_seven_times_as_large_has_intervals_seven_times_as_large(points, halves):
    larger = intervals(measured(7 * points))
    for name, one in intervals(halves).items():
        metric = metrics.get(name[3:]) if name.startswith("H") and not name.endswith("_scaled") else None
        factor = 7 if name in ("scale", "tree_length") or (metric and metric.degree) else 1
        assert (larger[name].low, larger[name].high) == pytest.approx((factor * one.low, factor * one.high), rel=1e-4)


def test_an_undefined_number_has_no_interval_but_a_reason(values):
    broken = values.copy()
    broken[:10] = np.nan
    found = interval(TOTAL, made(broken, 25.0))
    assert (found.estimate, found.low, found.high) == (25.0, None, None)
    assert not found.defined
    assert found.note == "undefined on 10 of 30 pairs of halves"
    assert interval(TOTAL, made(values, math.nan)).note == "the number itself is undefined"
    few = values.copy()
    few[:2] = np.nan
    margin = interval(TOTAL, made(few, 25.0)).high - 25
    assert margin == pytest.approx(interval(TOTAL, made(few[2:], 25.0)).high - 25)
    assert "2 of 30 splits left out" in interval(TOTAL, made(few, 25.0)).note


def test_a_cloud_of_few_distinct_points_has_intervals_or_reasons():
    found = intervals(measured(np.repeat(np.eye(3), 20, axis=0)))
    for name, one in found.items():
        assert one.defined or one.note, name
    assert found["H0_entropy"].high - found["H0_entropy"].low == pytest.approx(0)
    assert found["H1_mean_lifetime"].estimate is None


def test_the_entropy_of_equal_lifetimes_has_no_interval():
    found = interval("H0_entropy", made(np.full((30, 2), math.log(19)), math.log(39), "H0_entropy"))
    assert (found.low, found.note) == (None, "all lifetimes are equal")


def test_few_groups_leave_few_degrees_of_freedom(values):
    free, grouped = interval(TOTAL, made(values, 25.0)), interval(TOTAL, made(values, 25.0, groups=5, effective=5.0))
    wider = student.ppf(0.975, 4) / student.ppf(0.975, 10)
    assert grouped.high - 25 == pytest.approx(wider * (free.high - 25))
    assert grouped.method == "split-half, whole groups"
    uneven = interval(TOTAL, made(values, 25.0, groups=11, effective=7.04))
    assert uneven.high - 25 == pytest.approx(student.ppf(0.975, 6.04) / student.ppf(0.975, 10) * (free.high - 25))


def test_groups_of_unequal_sizes_count_as_fewer():
    """Kish's formula, (Σ size)² / Σ size², for the articles of the first 500 lines of WikiText-2 and for equal ones."""
    sizes = [14, 57, 38, 54, 20, 18, 88, 56, 125, 19, 11]
    labels = [str(i) for i, size in enumerate(sizes) for _ in range(size)]
    assert splits(500, 2, groups=labels).effective == pytest.approx(500**2 / sum(size**2 for size in sizes))
    assert splits(60, 2, groups=[str(i % 12) for i in range(60)]).effective == pytest.approx(12)
    assert splits(60, 2).effective == 0


def test_the_longest_bar_of_h0_is_taken_on_halves_where_groups_are_too_few_for_quarters(values):
    found = interval("H0_max_lifetime", made(values, 25.0, "H0_max_lifetime", groups=5, effective=5.0))
    reach = student.ppf(0.975, 4) * sd_of(np.log(values), 0.0)
    assert (found.low, found.high) == pytest.approx((25 * math.exp(-reach), 25 * math.exp(reach)))
    assert found.method == "split-half, whole groups"


@pytest.mark.parametrize(
    ("name", "alone", "whole"),
    [
        ("H1_max_lifetime", 0.25, 0.0),
        ("H1_death_birth_ratio_scaled", 0.5, 0.0),
        ("H2_prominence", 0.5, 0.0),
        (TOTAL, 1, 1),
    ],
)
def test_where_whole_groups_are_drawn_numbers_of_one_bar_shrink_less(values, name, alone, whole):
    """The variance exponent from halves to the whole on populations of groups: benchmarks/intervals.py."""
    wide, narrow = (
        spread_of(name, made(values, 25.0, name, groups=groups, effective=float(groups))).deviation
        for groups in (11, 0)
    )
    assert wide / narrow == pytest.approx(0.5 ** ((whole - alone) / 2))


def test_every_metric_has_a_rule_of_its_own(halves):
    assert [name for name in halves.names if "no simulation" in rule_of(name).note] == []
    assert rule_of("H2_total_persistence_scaled") == rule_of("H1_total_persistence")
    assert "no simulation" in rule_of("H1_of_somebody").note


def test_a_metric_brings_its_rule_and_one_without_has_that_of_the_untried():
    own, above = IntervalRule(0.5, "log"), IntervalRule(0.25)
    added = [metric("own_rule", degree=1, label="own", rules=(own, above)), metric("no_rule", degree=0, label="none")]
    try:
        for register in added:
            register(lambda bars: float(len(bars)))
        assert rule_of("H0_own_rule") == rule_of("H0_own_rule_scaled") == own
        assert rule_of("H1_own_rule") == rule_of("H2_own_rule_scaled") == above
        assert rule_of("H1_no_rule") == UNTRIED
    finally:
        for name in ("own_rule", "no_rule"):
            metrics._entries.pop(name, None)


@pytest.mark.slow
def test_the_intervals_of_small_clouds_cover():
    clouds = np.random.default_rng(1).normal(size=(460, 40, 4))
    truth = np.mean([measured_total(cloud) for cloud in clouds[60:]])
    cut = splits(40, 20)
    found = [interval(TOTAL, measured(cloud, Recipe(maxdim=0), cut=cut)) for cloud in clouds[:60]]
    assert 0.85 <= np.mean([one.low <= truth <= one.high for one in found]) <= 1
    assert np.mean([one.high - one.low for one in found]) < 7 * np.std([one.estimate for one in found])


def measured_total(cloud):
    prepared = prepare(PointCloud(cloud, Address("m", "d", "x")), Recipe(maxdim=0))
    return measure_prepared(prepared, Recipe(maxdim=0)).summary[TOTAL]


# Ratios and differences


def test_a_cloud_and_itself_do_not_differ(points, halves):
    for name in halves.names:
        one = difference_interval(name, halves, measured(points))
        if not one.defined:
            continue
        assert (one.estimate, one.low, one.high) == (0, 0, 0), name
        assert difference_test(name, halves, halves) == 1
        ratio = ratio_interval(name, halves, halves)
        assert (ratio.estimate, ratio.low, ratio.high) == pytest.approx((1, 1, 1), abs=1e-12)


def test_paired_ratios_and_differences_are_the_formulas_written_again(values, rng):
    other = values * 2 + 0.1 * rng.normal(size=values.shape)
    first, second = made(values, 25.0), made(other, 51.0)
    quantile = student.ppf(0.975, 10)
    ratio = ratio_interval(TOTAL, second, first)
    assert ratio.estimate == 51 / 25
    for end in (ratio.low, ratio.high):  # Fieller: at each end, second - end times first is just not 0
        gaps = other * 51 / other.mean() - end * values * 25 / values.mean()
        assert abs(51 - end * 25) == pytest.approx(quantile * sd_of(gaps, 1.0))
    beyond = relative_interval(TOTAL, first, second)
    assert (beyond.estimate, beyond.low, beyond.high) == pytest.approx((26 / 25, ratio.low - 1, ratio.high - 1))
    gaps = other * 51 / other.mean() - values * 25 / values.mean()
    found = difference_interval(TOTAL, first, second)
    assert (found.estimate, found.high) == pytest.approx((26, 26 + quantile * sd_of(gaps, 1.0)))


def test_unpaired_differences_add_their_variances(values, rng):
    first, second = made(values, 25.0), made(20 + rng.normal(size=values.shape), 27.0)
    a, b = (sd_of(h.of(TOTAL) * h.estimate(TOTAL) / h.of(TOTAL).mean(), 1.0) for h in (first, second))
    freedom = (a**2 + b**2) ** 2 / ((a**4 + b**4) / 10)
    found = difference_interval(TOTAL, first, second, paired=False)
    assert found.high - 2 == pytest.approx(student.ppf(0.975, freedom) * math.hypot(a, b))
    p = difference_test(TOTAL, first, second, paired=False)
    assert p == pytest.approx(2 * student.sf(2 / math.hypot(a, b), freedom))
    ratio = ratio_interval(TOTAL, second, first, paired=False)
    for end in (ratio.low, ratio.high):
        assert abs(27 - end * 25) == pytest.approx(student.ppf(0.975, freedom) * math.hypot(b, end * a))


def quartered(rng, estimate=3.0, *, at_half=1.0, at_quarter=1.5):
    """H1 entropies on halves and quarters that deviate by so much."""
    halves, quarters = (5 + deviation * rng.normal(size=(30, k)) for k, deviation in ((2, at_half), (4, at_quarter)))
    return made(halves, estimate, "H1_entropy", quarters=quarters)


def test_the_power_of_an_unpaired_difference_is_measured_from_quarters_to_halves(rng):
    first, second = quartered(rng), quartered(rng, 3.7)
    half = sum(((h.of("H1_entropy")[:, 0] - h.of("H1_entropy")[:, 1]) ** 2 / 2).mean() for h in (first, second))
    quarter = sum(h.quarters_of("H1_entropy").var(axis=1, ddof=1).mean() for h in (first, second))
    assert 0.5 < math.log2(quarter / half) < 1.5
    deviation = math.sqrt(half * half / quarter)
    found = difference_interval("H1_entropy", first, second, paired=False)
    assert found.high - found.estimate == pytest.approx(student.ppf(0.975, 20) * deviation)
    assert found.method == "halves and quarters"
    p = difference_test("H1_entropy", first, second, paired=False)
    assert p == pytest.approx(2 * student.sf(0.7 / deviation, 20))


def test_a_measured_power_has_a_limit_and_needs_quarters(rng):
    steep = [quartered(rng, at_quarter=9.0) for _ in range(2)]
    half = sum(((h.of("H1_entropy")[:, 0] - h.of("H1_entropy")[:, 1]) ** 2 / 2).mean() for h in steep)
    found = difference_interval("H1_entropy", *steep, paired=False)
    assert found.high == pytest.approx(student.ppf(0.975, 20) * math.sqrt(half * 0.5**1.5))
    without = [made(h.of("H1_entropy"), 3.0, "H1_entropy") for h in steep]
    assert difference_interval("H1_entropy", *without, paired=False).method == "split-half"
    flat = [made(np.full((30, 2), 5.0), e, "H1_entropy", quarters=np.full((30, 4), 5.0)) for e in (3.0, 4.0)]
    assert difference_test("H1_entropy", *flat, paired=False) is None


def test_an_unpaired_interval_excludes_0_exactly_where_its_p_is_below_the_level(rng):
    below = []
    for shift in np.linspace(0, 6, 25):
        first, second = quartered(rng), quartered(rng, 3 + shift)
        one = difference_interval("H1_entropy", first, second, paired=False)
        below.append(difference_test("H1_entropy", first, second, paired=False) < 0.05)
        assert (one.low > 0) == below[-1]
    assert 0 < sum(below) < 25


def test_the_interval_of_a_difference_excludes_0_exactly_where_p_is_below_the_level(rng, values):
    for shift in np.linspace(0, 3, 13):
        first, second = made(values, 25.0), made(10 + rng.normal(size=(30, 2)), 25.0 + shift)
        one, p = difference_interval(TOTAL, first, second), difference_test(TOTAL, first, second)
        assert (one.low > 0) == (p < 0.05)


@pytest.mark.parametrize("paired", [True, False])
@pytest.mark.parametrize("name", [TOTAL, "H1_total_persistence", "H1_entropy", "H0_entropy", "H1_max_lifetime"])
def test_difference_ratio_and_p_agree_on_whether_there_is_a_difference(rng, name, paired):
    """Two intervals of one difference agree: 0 is in one where 1 is in the other, and where p is above the level."""
    said = []
    for shift in np.linspace(-0.6, 0.6, 41):
        values, quarters = 3 + 0.1 * rng.normal(size=(2, 30, 2)), 3 + 0.15 * rng.normal(size=(2, 30, 4))
        first, second = (
            made(values[i] - 0.3, 3.2 + i * shift, name, quarters=quarters[i] - 0.3, points=400, half=200)
            for i in (0, 1)
        )
        p = difference_test(name, first, second, paired=paired)
        gap, beyond = (f(name, first, second, paired=paired) for f in (difference_interval, relative_interval))
        found = [p < 0.05, not gap.low <= 0 <= gap.high, not beyond.low <= 0 <= beyond.high]
        assert len(set(found)) == 1
        said.append(found[0])
    assert 0 < sum(said) < 41


def test_a_ratio_to_what_may_be_0_has_no_interval_but_a_reason(rng):
    unsure = made(1 + 2 * rng.normal(size=(30, 2)), 1.0)
    found = ratio_interval(TOTAL, made(10 + rng.normal(size=(30, 2)), 25.0), unsure)
    assert (found.estimate, found.low, found.note) == (25.0, None, "the number below may be 0 as well")


def test_pairing_removes_what_two_layers_share(points):
    base, other = measured(points), measured(3 * points + 0.01 * np.sin(points))
    paired, unpaired = (ratio_interval("tree_length", other, base, paired=p) for p in (True, False))
    assert paired.high - paired.low < 0.1 * (unpaired.high - unpaired.low)


@pytest.mark.slow
def test_the_unpaired_test_of_clouds_of_one_population_holds_its_level():
    """The rule of the intervals tells 0.3 % of these pairs apart."""
    rng, cut = np.random.default_rng(3), splits(60, 20)
    found = [measured(rng.normal(size=(60, 5)), Recipe(maxdim=0), cut=cut) for _ in range(100)]
    pairs = [(a, b) for lag in (1, 11, 23) for a, b in zip(found, found[lag:] + found[:lag], strict=True)]
    assert 0.02 < np.mean([difference_test("H0_max_lifetime", *pair, paired=False) < 0.05 for pair in pairs]) < 0.08


def test_other_splits_cannot_be_paired(points, halves):
    other = measured(points, cut=splits(60, 10, seed=1))
    for compare in (difference_interval, difference_test, ratio_interval, relative_interval):
        with pytest.raises(InvalidInput, match="same splits"):
            compare(TOTAL, halves, other)
    assert difference_interval(TOTAL, halves, other, paired=False).defined


def test_differences_without_a_p_value_say_so(values):
    constant = [made(np.full((30, 2), x / 2), x) for x in (20.0, 25.0)]
    assert difference_test(TOTAL, *constant) is None
    assert difference_interval(TOTAL, *constant).low == 5
    assert difference_test(TOTAL, made(values * np.nan, 25.0), made(values, 25.0)) is None
    gone = ratio_interval(TOTAL, made(values, 25.0), made(np.zeros((30, 2)), 0.0))
    assert (gone.estimate, gone.low, gone.note) == (None, None, "the number below is 0")
    assert ratio_interval(TOTAL, made(values, 25.0), made(np.zeros((30, 2)), 0.0), paired=False).low is None


def test_the_shares_of_the_peak(values):
    longer = values.copy()
    longer[:3] += 10
    longer[3:] -= 10
    layers = {
        "embedding": made(values + 99, 99.0, "tree_length"),
        "layer_0": made(values, 25.0, "tree_length"),
        "layer_1": made(longer, 25.0, "tree_length"),
    }
    assert peak_shares(layers) == pytest.approx({"layer_0": 0.9, "layer_1": 0.1})
    with pytest.raises(InvalidInput, match="same splits"):
        peak_shares({**layers, "layer_2": replace(layers["layer_0"], drawn="otherwise")})
    assert peak_shares({"embedding": layers["embedding"]}) == {}
