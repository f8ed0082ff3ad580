"""Several profiles: which are alike, whether families lie together, topology against language."""

from dataclasses import replace

import numpy as np
import pytest

from report_profiles import a_profile
from todacomm import measure
from todacomm.comparison.clustering import GRID, correlations, distances_of, likeness, on_grid
from todacomm.comparison.compare import How, compare
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.types import ModelCard
from todacomm.statistics.permutations import spearman

NAME = "H0_total_persistence_scaled"


def card(name, kind="causal", place="pre-LN"):
    return ModelCard(name, kind, place, 1, 3, 6, "", "")


def profiles_of(count=6):
    """Two families: clouds of few dimensions, and of many."""
    found = []
    for i in range(count):
        rng = np.random.default_rng(i % 3)
        layers = {"embedding": rng.normal(size=(30, 8))}
        layers |= {f"layer_{k}": rng.normal(size=(30, 2 if i < count // 2 else 8)) for k in range(3)}
        name = f"m{i}"
        measured = measure(layers, name=name, resamples=0, null_draws=0)
        found.append(replace(measured, card=card(name, "causal" if i < count // 2 else "masked")))
    return found


@pytest.fixture(scope="module")
def profiles():
    return profiles_of()


def test_a_curve_on_the_grid_is_that_of_the_layers_between_which_it_lies():
    profile = a_profile(2, n=12, card=replace(card("x"), blocks=2))
    found = on_grid(profile, NAME)
    assert len(found) == GRID
    values = profile[NAME]
    assert found[[0, 5, 10]] == pytest.approx(values[:3])
    assert found[1] == pytest.approx(0.8 * values[0] + 0.2 * values[1])


def test_an_undefined_end_takes_the_number_of_the_nearest_layer():
    profile = a_profile(2, n=12, distinct=1, card=replace(card("x"), blocks=2))
    assert on_grid(profile, NAME)[0] == profile[NAME][1]


def test_distances_are_root_mean_squares_in_standard_deviations(profiles):
    curves = np.array([[on_grid(p, n) for n in (NAME, "H0_entropy")] for p in profiles])
    units = curves / curves.std(axis=(0, 2), keepdims=True)
    expected = np.sqrt(((units[1] - units[4]) ** 2).mean())
    assert distances_of(profiles, (NAME, "H0_entropy"))[1, 4] == pytest.approx(expected)


def test_two_families_are_two_branches_and_lie_together(profiles):
    found = likeness(profiles)
    assert {frozenset(found.order[:3]), frozenset(found.order[3:])} == {frozenset({0, 1, 2}), frozenset({3, 4, 5})}
    kind, place = found.families
    assert (kind.factor, kind.labels) == ("kind", ("causal",) * 3 + ("masked",) * 3)
    assert kind.within < kind.between
    assert kind.test.p == kind.test.smallest == pytest.approx(2 / 20)
    assert place.test is None
    assert place.note == "it takes two groups, and two models in one of them"


def test_average_linkage_joins_at_the_mean_distance(profiles):
    found = likeness(profiles[:3])
    i, j = (int(x) for x in found.tree[0, :2])
    k = 3 - i - j
    assert found.tree[0, 2] == pytest.approx(found.distances[i, j])
    assert found.tree[1, 2] == pytest.approx((found.distances[i, k] + found.distances[j, k]) / 2)


def test_two_models_have_no_tree(profiles):
    assert likeness(profiles[:2]) is None


def test_groups_may_be_given_and_leave_models_out(profiles):
    found = likeness(profiles, groups={"x": ["m0", "m1"], "y": ["m3", "m4"]})
    assert found.families[0].labels == ("x", "x", "", "y", "y", "")
    assert found.families[0].test.arrangements == 6


def test_groups_that_name_what_is_not_compared_are_refused(profiles):
    with pytest.raises(UnknownName, match="'m9' is not a model of this comparison"):
        likeness(profiles, groups={"x": ["m9"]})
    with pytest.raises(InvalidInput, match="m0 is in the groups x and y"):
        likeness(profiles, groups={"x": ["m0"], "y": ["m0"]})


def test_spearman_over_models_is_refused_below_five_and_within_a_kind():
    bits = [1.0, 1.1, 1.2, 1.3, 1.4, 2.0, None]
    kinds = ["causal"] * 5 + ["masked"] * 2
    values = [5.0, 4.0, 3.0, 2.0, 1.0, 9.0, 9.0]
    causal, masked = correlations([f"m{i}" for i in range(7)], kinds, bits, {"expansion": values})
    assert (causal.models, causal.test.statistic) == (5, pytest.approx(-1))
    assert causal.adjusted == causal.test.p == pytest.approx(2 / 120)
    assert masked.test is None
    assert masked.note == "1 models; with fewer than 5 no order of ranks is unlikely enough"


def test_spearman_takes_one_row_a_model_and_leaves_undefined_ones_out():
    bits, values = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 3.0, 2.0, None, 5.0, 4.0]
    names = [f"m{i}" for i in range(6)]
    found = correlations(names, ["causal"] * 6, bits, {"expansion": values})[0]
    expected = spearman(np.array([1.0, 3, 2, 5, 4]), np.array([1.0, 2, 3, 5, 6]))
    assert (found.models, found.test) == (5, expected)
    twice = correlations(["m0", *names[1:5], "m0"], ["causal"] * 6, bits, {"expansion": bits})[0]
    assert twice.note == "a model stands in several rows, which are not independent"
    assert correlations(names, ["causal"] * 6, bits, {"expansion": [1.0] * 6})[0].note == "one side is the same for all"


def test_a_comparison_holds_the_pairs_that_were_asked_for(profiles):
    names = [pair.name for pair in compare(profiles[:3]).pairs]
    assert names == ["m0 and m1", "m0 and m2"]
    assert [p.name for p in compare(profiles[:3], how=How("m1")).pairs] == ["m1 and m0", "m1 and m2"]
    assert [p.name for p in compare(profiles[:3], how=How("all")).pairs] == ["m0 and m1", "m0 and m2", "m1 and m2"]
    with pytest.raises(UnknownName, match="'m7' is not a model of this comparison"):
        compare(profiles[:3], how=How("m7"))
