"""What runs around a loop: strengths by hand, p-values by permutation within articles, and refusals."""

import numpy as np
import pytest

from todacomm.cohomology.association import Periodic, associations, period_of, permuted, properties_of
from todacomm.core.errors import InvalidInput
from todacomm.core.types import Texts

RNG = np.random.default_rng(0)
ANGLE = 2 * np.pi * RNG.uniform(size=120)
NOISE = RNG.normal(size=120)


def one(values, angles=ANGLE, **more):
    [found] = associations(angles, {"it": values}, **more)
    return found


def regression(x, angles):
    """The share of the variance of x that a regression on cosine and sine explains."""
    design = np.c_[np.ones(len(x)), np.cos(angles), np.sin(angles)]
    rest = x - design @ np.linalg.lstsq(design, x, rcond=None)[0]
    return 1 - rest.var() / x.var()


@pytest.mark.parametrize("share", [0.0, 0.5, 3.0])
def test_the_strength_of_a_number_is_that_of_a_regression_on_cosine_and_sine(share):
    x = NOISE + share * np.cos(ANGLE - 1)
    assert one(x).strength == pytest.approx(regression(x, ANGLE))


def test_what_runs_around_is_found_and_what_does_not_is_not():
    runs = {
        "wave": np.sin(ANGLE - 2),
        "sector": [f"s{int(a)}" for a in ANGLE],
        "clock": Periodic(24 * ANGLE / 2 / np.pi, 24),
    }
    found = {a.name: a for a in associations(ANGLE, {**runs, "noise": NOISE, "coin": (NOISE > 0).tolist()})}
    assert {name: a.kind for name, a in found.items()} == {
        "wave": "number",
        "sector": "category",
        "clock": "angle",
        "noise": "number",
        "coin": "number",
    }
    assert [name for name, a in found.items() if a.adjusted == 0.001] == list(found)[:3]
    assert set(list(found)[:3]) == set(runs)
    assert found["wave"].strength == pytest.approx(1)
    assert found["clock"].strength == pytest.approx(1)
    assert found["sector"].strength > 0.85
    assert all(a.adjusted >= a.p for a in found.values())


def test_an_angle_that_runs_the_other_way_is_as_strong():
    assert one(Periodic(-ANGLE, 2 * np.pi)).strength == pytest.approx(1)
    assert one(Periodic(2 * ANGLE, 2 * np.pi)).strength < 0.3


def test_the_strength_of_a_category_is_the_share_between_its_values():
    label = (NOISE > 0).astype(int)
    points = np.c_[np.cos(ANGLE), np.sin(ANGLE)]
    within = sum(((points[label == k] - points[label == k].mean(axis=0)) ** 2).sum() for k in (0, 1))
    total = ((points - points.mean(axis=0)) ** 2).sum()
    assert one([f"{k}" for k in label]).strength == pytest.approx(1 - within / total)


def test_values_that_few_texts_have_count_as_one():
    each_its_own = [f"word {i}" for i in range(120)]
    found = one(each_its_own)
    assert (found.p, found.note) == (None, "all texts have the same value")
    two = ["a"] * 60 + each_its_own[:60]
    assert one(two).strength == pytest.approx(one(["a"] * 60 + ["rare"] * 60).strength)


def test_articles_that_lie_apart_on_a_loop_prove_nothing_of_what_is_the_same_in_each():
    article = np.repeat(np.arange(6), 20)
    angles = 2 * np.pi * article / 6 + 0.1 * RNG.normal(size=120)
    topic = np.cos(2 * np.pi * article / 6)
    assert one(topic, angles).p == 0.001
    assert one(topic, angles, groups=article).p == 1
    within = topic + 0.5 * (angles - 2 * np.pi * article / 6)
    assert one(within, angles, groups=article, draws=99).strength > 0.9


def test_a_permutation_leaves_each_text_in_its_article_and_is_the_same_again():
    article = np.array(list("abcab" * 8))
    orders = permuted(40, article.tolist(), 50, 1)
    assert orders[0].tolist() == list(range(40))
    assert (article[orders] == article).all()
    assert all(sorted(row) == list(range(40)) for row in orders.tolist())
    assert len({tuple(row) for row in orders.tolist()}) == 51
    assert np.array_equal(orders, permuted(40, article.tolist(), 50, 1))
    assert len({tuple(row) for row in permuted(5, None, 2000, 1).tolist()}) == 120


def test_under_no_association_a_twentieth_is_found_over_all_properties():
    rng = np.random.default_rng(5)
    found = 0
    for seed in range(200):
        angles = 2 * np.pi * rng.uniform(size=30)
        given = {
            "x": rng.normal(size=30),
            "y": rng.exponential(size=30) ** 2,
            "z": rng.choice(list("abc"), 30).tolist(),
        }
        found += associations(angles, given, draws=99, seed=seed)[0].adjusted <= 0.05
    assert 3 <= found <= 20  # 10 are expected


def test_points_without_an_angle_and_texts_without_a_value_take_no_part():
    angles = np.where(np.arange(120) < 20, np.nan, ANGLE)
    x = np.cos(ANGLE) + NOISE
    assert one(x, angles).strength == pytest.approx(regression(x[20:], ANGLE[20:]))
    some = np.where(np.arange(120) % 3 == 0, np.nan, x)
    known = np.isfinite(some)
    assert one(some).strength == pytest.approx(regression(x[known], ANGLE[known]))
    found = one(np.where(np.arange(120) < 5, x, np.nan))
    assert (found.p, found.note) == (None, "5 texts have a value; 6 or more are needed")


def test_an_angle_that_no_text_varies_is_refused():
    with pytest.raises(
        InvalidInput, match="120 points with an angle, 1 of them different: an angle that no text varies"
    ):
        one(NOISE, np.full(120, 1.5))
    with pytest.raises(InvalidInput, match="0 points with an angle"):
        one(NOISE, np.full(120, np.nan))


def test_what_is_not_one_value_a_text_is_refused():
    with pytest.raises(InvalidInput, match="it: 119 values for 120 texts; expected one a text"):
        one(NOISE[1:])
    with pytest.raises(InvalidInput, match="the groups: 3 values for 120 texts"):
        one(NOISE, groups=["a", "b", "c"])
    with pytest.raises(InvalidInput, match="no property of the texts was given"):
        associations(ANGLE, {})


def test_a_property_that_all_texts_share_has_no_p_value_and_stands_last():
    found = associations(ANGLE, {"same": [1.0] * 120, "noise": NOISE})
    assert [a.name for a in found] == ["noise", "same"]
    assert (found[1].strength, found[1].p, found[1].adjusted) == (0.0, None, None)


def test_properties_of_texts_are_those_that_can_be_read_off_them():
    found = properties_of(["The End.", "It is 1984", "", "is THE End."])
    assert found["letters"] == [8, 10, 0, 11]
    assert found["words"] == [2, 3, 0, 3]
    assert found["last word"] == ["End.", "1984", "", "End."]
    assert found["how usual the last word is"] == pytest.approx([np.log(2), 0, 0, np.log(2)])
    assert found["share of digits"] == [0, 0.4, 0, 0]
    assert found["share of capitals"] == pytest.approx([2 / 8, 0.1, 0, 4 / 11])
    assert found["share of punctuation"] == pytest.approx([1 / 8, 0, 0, 1 / 11])


def test_a_name_declares_a_period():
    periods = {"hour%24": 24, "day of the week%7": 7, "phase%6.28": 6.28, "share%": None, "%24": None, "a%0": None}
    assert {name: period_of(name) for name in periods} == periods
    hours = 24 * ANGLE / (2 * np.pi)
    [found] = associations(ANGLE, {"hour%24": hours.tolist()}, draws=19)
    assert (found.name, found.kind, found.strength) == ("hour%24", "angle", pytest.approx(1))
    [named] = associations(ANGLE, {"hour%24": ["noon"] * 120}, draws=19)
    assert (named.p, named.note) == (None, "not all values are numbers, as a period of 24 needs")
    with pytest.raises(InvalidInput, match="a period of 0; expected a number above 0"):
        Periodic([1.0], 0)


def test_what_no_value_is_known_of_takes_no_part_in_numbers_names_and_angles():
    every_third = np.arange(120) % 3 == 0
    sectors = [None if gap else f"s{int(a)}" for a, gap in zip(ANGLE, every_third, strict=True)]
    waves = [None if gap else float(np.cos(a)) for a, gap in zip(ANGLE, every_third, strict=True)]
    clock = [None if gap else float(a) for a, gap in zip(ANGLE, every_third, strict=True)]
    there = [value for value in sectors if value is not None]
    assert one(sectors).strength == pytest.approx(one(there, ANGLE[~every_third]).strength)
    assert (one(waves).kind, one(waves).strength) == ("number", pytest.approx(1))
    assert one(Periodic(clock, 2 * np.pi)).strength == pytest.approx(1)


def test_the_article_is_held_against_all_texts_and_the_rest_within_articles():
    article = np.repeat(list("abcdef"), 20)
    angles = 2 * np.pi * np.repeat(np.arange(6), 20) / 6 + 0.1 * RNG.normal(size=120)
    topic = {"topic": np.cos(angles.round()), "article": article}
    found = {a.name: a for a in associations(angles, topic, groups=article)}
    assert (found["article"].p, found["article"].adjusted) == (0.001, 0.001)
    assert found["article"].strength > 0.95
    assert {a.name: a for a in associations(angles, topic, groups=article, across=())}["article"].p == 1


def test_texts_bring_their_properties_articles_and_columns():
    words = [("w" * int(9 + 8 * np.cos(a)), "moss" if np.sin(a) > 0 else "fern") for a in ANGLE]
    columns = {"plant": [plant for _, plant in words], "letters": RNG.normal(size=120).tolist()}
    texts = Texts("clock", [text for text, _ in words], ("day",) * 60 + ("night",) * 60, columns)
    found = {a.name: a for a in associations(ANGLE, {"hour%24": 24 * ANGLE / 2 / np.pi}, texts=texts)}
    assert found["hour%24"].adjusted == found["letters"].adjusted == found["plant"].adjusted == 0.001
    assert (found["letters"].kind, found["letters (column)"].adjusted > 0.05) == ("number", True)
    assert found["article"].p > 0.01
    assert "letters" in {a.name for a in associations(ANGLE, texts=[text for text, _ in words], draws=19)}
