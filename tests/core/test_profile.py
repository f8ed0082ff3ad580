"""A profile answers by name: one test, one interval, one expansion; or says what there is."""

import numpy as np
import pytest

import todacomm as td
from todacomm.core.errors import InvalidInput, UnknownName


@pytest.fixture(scope="module")
def profile():
    rng = np.random.default_rng(0)
    layers = {
        "embedding": rng.normal(size=(60, 5)),
        "layer_0": 3 * rng.normal(size=(60, 5)),
        "layer_1": rng.normal(size=(60, 5)),
    }
    return td.measure(layers, resamples=40, null_draws=19)


def test_what_is_asked_for_is_what_the_claims_hold(profile):
    for layer in profile.layers:
        for name in ("H0_entropy", "H1_max_lifetime"):
            assert profile.test(name, layer=layer) is profile.claims.tests["gaussian"][layer][name]
            assert profile.interval(name, layer=layer) is profile.claims.intervals[layer][name]
            assert (
                profile.interval(name, layer=layer).low
                <= profile.at(layer).summary[name]
                <= profile.interval(name, layer=layer).high
            )


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda p: p.test("H1_lop", layer="layer_0"), "H1_loop"),
        (lambda p: p.test("H1_loop", layer="layer_9"), "layer_1"),
        (lambda p: p.test("H1_loop", layer="layer_0", null="text"), "gaussian"),
        (lambda p: p.interval("H1_max", layer="layer_0"), "H1_max_lifetime"),
        (lambda p: p.expansion("final"), "embedding"),
    ],
)
def test_what_is_not_there_is_named_with_what_is(profile, ask, message):
    with pytest.raises(UnknownName, match=message):
        ask(profile)


def test_a_layer_that_cannot_be_halved_gives_the_reason_in_place_of_an_interval():
    small = td.measure(np.random.default_rng(0).normal(size=(12, 3)), null_draws=0)
    found = small.interval("H1_count", layer="cloud")
    assert found == td.Missing("12 points are too few, at least 20 are needed")
    with pytest.raises(UnknownName):
        small.interval("H1_count", layer="layer_0")


def test_without_claims_it_is_said_that_none_were_asked_for():
    bare = td.measure(np.random.default_rng(0).normal(size=(20, 3)), resamples=0, null_draws=0)
    with pytest.raises((InvalidInput, UnknownName)):
        bare.interval("H1_max_lifetime", layer="cloud")
    with pytest.raises(InvalidInput, match="no expansion"):
        bare.expansion()


def test_the_expansion_is_that_of_its_baseline_and_by_default_one_that_carries_a_conclusion(profile):
    assert profile.expansion("embedding").baseline == "embedding"
    assert profile.expansion().carries_conclusion
    copies = np.repeat(np.random.default_rng(1).normal(size=(20, 5)), 3, axis=0)
    doubtful = td.measure(
        {
            "embedding": copies,
            "layer_0": profile["scale"][1] * np.random.default_rng(2).normal(size=(60, 5)),
            "layer_1": np.random.default_rng(3).normal(size=(60, 5)),
        },
        resamples=0,
        null_draws=0,
    )
    assert doubtful.expansion("embedding").doubt
    assert doubtful.expansion() is doubtful.expansions[1]
