"""Circle, line or neither: planted words, and the exactness of the test."""

import numpy as np
import pytest

from todacomm.circles.order import Order, contrasts, means_of_words, order_test, orders_of
from todacomm.core.errors import InvalidInput

WORDS = 12


def planted(kind: str, rng, *, words: int = WORDS, noise: float = 0.2, d: int = 30):
    places = np.arange(words)
    if kind == "circle":
        angles = 2 * np.pi * places / words
        flat = 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    elif kind == "line":
        flat = np.stack([places, 0 * places], axis=1)
    elif kind == "arc":  # a line that bends to half a circle
        angles = np.pi * places / (words - 1)
        flat = np.stack([3 * np.cos(angles), 3 * np.sin(angles)], axis=1)
    else:
        flat = np.zeros((words, 2))
    return flat @ np.linalg.qr(rng.normal(size=(d, 2)))[0].T + noise * rng.normal(size=(words, d))


def found(means, *, draws: int = 999) -> Order:
    return order_test({"layer_0": means}, draws=draws, rng=np.random.default_rng(0))["layer_0"]


@pytest.mark.parametrize("words", [6, 7, 8, 12, 24])
def test_a_circle_and_a_line_are_told_apart(words):
    rng = np.random.default_rng(words)
    assert found(planted("circle", rng, words=words)).shape == "circle"
    assert found(planted("line", rng, words=words)).shape == "line"


def test_a_line_that_bends_is_no_circle():
    rng = np.random.default_rng(1)
    assert all(found(planted("arc", rng)).shape != "circle" for _ in range(10))


def test_a_circle_named_from_another_word_on_is_the_same_circle():
    means = planted("circle", np.random.default_rng(2), words=7)
    turned = found(np.roll(means, 3, axis=0))
    assert turned.above_line == pytest.approx(found(means).above_line)
    assert turned.p_circle == found(means).p_circle
    assert found(means[::-1]).above_line == pytest.approx(found(means).above_line)


def test_words_without_an_order_are_called_a_circle_in_a_twentieth_of_cases_at_most():
    rng = np.random.default_rng(3)
    shapes = [found(planted("none", rng), draws=199) for _ in range(400)]
    assert np.mean([one.p_circle <= 0.05 for one in shapes]) <= 0.075
    assert np.mean([one.p_line <= 0.05 for one in shapes]) <= 0.075
    assert 0.4 < np.mean([one.p_circle <= 0.5 for one in shapes]) < 0.6


def test_the_p_value_is_of_the_largest_layer():
    rng = np.random.default_rng(4)
    layers = {f"layer_{i}": planted("circle" if i == 3 else "none", rng) for i in range(20)}
    told = order_test(layers, draws=999, rng=np.random.default_rng(0))
    assert told["layer_3"].shape == "circle"
    alone = order_test({"layer_7": layers["layer_7"]}, draws=999, rng=np.random.default_rng(0))["layer_7"]
    assert told["layer_7"].p_circle >= alone.p_circle


def test_seven_words_have_360_cyclic_orders():
    orders = orders_of(7, 1, np.random.default_rng(0))
    distances = np.linalg.norm(np.diff(np.random.default_rng(5).normal(size=(2, 7, 7, 3)), axis=0)[0], axis=-1)
    distances = distances + distances.T
    listed = np.concatenate([contrasts(distances, np.arange(7)[None]), contrasts(distances, orders)])[:, 0]
    assert len(listed) == 720
    assert len(np.unique(listed.round(9))) == 360


def test_a_wrap_index_is_0_on_a_circle_and_1_or_more_on_a_line():
    rng = np.random.default_rng(6)
    assert abs(found(planted("circle", rng, noise=0.0)).wrap) < 1e-9
    assert found(planted("line", rng, noise=0.0)).wrap > 1


def test_a_massive_feature_decides_nothing():
    rng = np.random.default_rng(7)
    means = planted("circle", rng)
    means[:, 0] = 1e4 * rng.normal(size=WORDS)
    assert found(means).shape == "circle"


def test_templates_are_centred():
    rng = np.random.default_rng(8)
    words, shifts = planted("circle", rng, noise=0.0), 100 * rng.normal(size=(5, 1, 30))
    assert means_of_words(words[None] + shifts) == pytest.approx(words - words.mean(axis=0))


def test_fewer_than_six_words_are_refused():
    with pytest.raises(InvalidInput, match="5 words have too few orders to decide anything; expected 6 or more"):
        found(np.zeros((5, 3)))


def test_words_at_one_point_are_neither():
    assert found(np.ones((WORDS, 4))).shape == "neither"
