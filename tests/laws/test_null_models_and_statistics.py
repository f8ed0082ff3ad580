"""What every registered null model and statistic must obey, those of plugins as well."""

from dataclasses import replace

import numpy as np
import pytest

import todacomm as td
from todacomm.ablation import claims
from todacomm.core.errors import InvalidInput
from todacomm.core.recipe import Recipe
from todacomm.statistics.layer_statistics import Against, Outcome, statistic, statistics
from todacomm.statistics.null_models import null_models

DRAWN = sorted(name for name, null in null_models.items() if null.draw)
DRAWS = 19
null_kinds = pytest.mark.parametrize("null", DRAWN)
statistic_kinds = pytest.mark.parametrize("name", sorted(statistics))


def clouds(seed=1, **layers):
    rng = np.random.default_rng(seed)
    return {"layer_0": rng.normal(size=(36, 4)), "layer_1": rng.normal(size=(36, 3)), **layers}


def drawn_tests(layers, **settings):
    return td.measure(layers, resamples=0, null_draws=DRAWS, nulls=DRAWN, components=None, **settings).claims.tests


@pytest.fixture(scope="module")
def tests():
    return drawn_tests(clouds())


def of_statistic(tests, name):
    return {null: [row[name] for row in found.values()] for null, found in tests.items() if name in found["layer_0"]}


@null_kinds
def test_a_draw_has_the_shape_of_its_layers_and_is_decided_by_the_generator(null):
    layers = [points.copy() for points in clouds().values()]
    first, again, other = (null_models[null].draw(layers, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert [np.shape(points) for points in first] == [(36, 4), (36, 3)]
    assert all(map(np.array_equal, first, again))
    assert not all(map(np.array_equal, first, other))
    assert all(map(np.array_equal, layers, clouds().values())), "the layers stay as they were"


@null_kinds
def test_a_null_model_has_a_sentence_that_completes_another(null):
    assert null_models[null].sentence
    assert not null_models[null].sentence.endswith(".")


@statistic_kinds
def test_every_layer_has_a_test_under_the_name_of_the_statistic_with_possible_p_values(tests, name):
    found = of_statistic(tests, name)
    assert set(found) == set(statistics[name].nulls or ("gaussian", *DRAWN))
    for null, row in found.items():
        assert {(test.metric, test.null, test.draws) for test in row} == {(name, null, DRAWS)}
        for test in row:
            assert test.smallest <= test.p <= test.family_wise <= 1


@statistic_kinds
def test_a_layer_without_a_null_has_no_p_value_and_says_why(name):
    for row in of_statistic(drawn_tests(clouds(layer_2=np.repeat(np.eye(2, 3), 18, axis=0))), name).values():
        assert [test.p is None for test in row] == [False, False, True]
        assert row[2].note


@statistic_kinds
def test_the_seed_decides_a_test_and_a_statistic_of_clouds_that_differ_differs(tests, name):
    assert of_statistic(drawn_tests(clouds()), name) == of_statistic(tests, name)
    assert of_statistic(drawn_tests(clouds(seed=2)), name) != of_statistic(tests, name)


@statistic_kinds
def test_a_statistic_is_left_out_without_the_metrics_that_it_needs_and_claims_know_of_it(name):
    assert name in claims.tests_of(Recipe())
    flat = drawn_tests(clouds(), maxdim=0)
    known = {test for found in flat.values() for test in found["layer_0"]}
    assert (name in known) == (set(statistics[name].needs) <= known) == (name in claims.tests_of(Recipe(maxdim=0)))


@pytest.fixture
def of_a_test():
    """Register a statistic for one test."""
    added = []

    def register(name, **options):
        added.append(name)
        return statistic(name, head=name, **options)

    yield register
    for name in added:
        statistics._entries.pop(name, None)


def test_a_function_of_metrics_is_tested_as_a_metric_is(of_a_test):
    """The count of bars of H1 by another name: every number of its test is that of the metric."""

    @of_a_test("H1_bars", needs=("H1_count",))
    def bars(given: Against) -> Outcome:
        return given.tested(given.of("H1_count"))

    for found in drawn_tests(clouds(layer_2=np.repeat(np.eye(2, 3), 18, axis=0))).values():
        for row in found.values():
            ours, metric = row["H1_bars"], row["H1_count"]
            assert replace(ours, metric="H1_count") == metric


def test_a_statistic_that_gives_too_few_tests_is_refused(of_a_test):
    of_a_test("H1_none", needs=())(lambda _: Outcome(()))
    with pytest.raises(InvalidInput, match="the statistic 'H1_none' gave 0 tests; expected 2, one a layer"):
        drawn_tests(clouds())
