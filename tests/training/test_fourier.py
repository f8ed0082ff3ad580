"""The Fourier basis, its golden values, and a network that is known in closed form."""

import numpy as np
import pytest

from todacomm import rips
from todacomm.core.errors import InvalidInput
from todacomm.training.fourier import (
    PairTask,
    additive_characters,
    coefficients,
    cross_entropies,
    dominant,
    gini,
    loss_and_accuracy,
    multiplicative_characters,
    participation_ratio,
    places_of,
    plane,
    power_spectrum,
    primitive_root,
    progress,
    top_share,
)
from todacomm.training.tasks import Task

P = 113


def ideal(frequencies, p=P):
    """The embedding of p residues by cosine and sine of each frequency, rows of norm 1."""
    waves = additive_characters(p).waves(frequencies, np.arange(p))
    return waves / np.sqrt(len(frequencies))


def test_one_frequency_is_one_loop():
    """p points in equal steps on the unit circle: born at their step, dead at the triangle. Adamaszek and Adams 2017,
    https://doi.org/10.2140/pjm.2017.290.1; for p = 113 the triangle has sides of 38, 38 and 37 steps.
    """
    (loop,) = rips(ideal([7]))[1]
    np.testing.assert_allclose(loop, [2 * np.sin(np.pi / P), 2 * np.sin(38 * np.pi / P)], rtol=1e-6)


# The longest lifetimes of H1 by ripser.py 0.6.15 (maxdim 1, Z/2) of `ideal` embeddings, p = 113: one loop a frequency,
# of like size
OF_RIPSER = {
    (7, 19): [0.96798354, 0.80435044],
    (16, 29, 31): [0.46110761, 0.38899726, 0.34046316],
    (16, 25, 29, 37): [0.3625778, 0.31981099, 0.28706604, 0.11963195],
    (16, 25, 29, 31, 37): [0.44296509, 0.28481489, 0.2699914, 0.14524931],
}


@pytest.mark.parametrize("frequencies", OF_RIPSER)
def test_several_frequencies_are_several_loops(frequencies):
    expected = OF_RIPSER[frequencies]
    bars = rips(ideal(frequencies))[1]
    found = np.sort(bars[:, 1] - bars[:, 0])[::-1]
    np.testing.assert_allclose(found[: len(expected)], expected, rtol=1e-6)


def test_power_and_coefficients_hold_all_variance(rng):
    rows = rng.normal(size=(P, 20))
    for characters in (additive_characters(P), multiplicative_characters(P)):
        found = coefficients(rows, characters)
        members = rows[characters.members]
        assert (found**2).sum() == pytest.approx(((members - members.mean(0)) ** 2).sum() / characters.order)
        assert power_spectrum(rows, characters).sum() == pytest.approx(1)


@pytest.mark.parametrize("make", [additive_characters, multiplicative_characters])
def test_the_spectrum_of_waves_is_where_they_are(make):
    characters = make(P)
    rows = np.zeros((P, 4))
    rows[characters.members] = characters.waves([5, 9], characters.places) * [2, 2, 1, 1]
    spectrum = power_spectrum(rows, characters)
    assert dominant(spectrum, 2) == [5, 9]
    assert spectrum[4] == pytest.approx(0.8)
    assert top_share(spectrum, 2) == pytest.approx(1)
    assert participation_ratio(spectrum) == pytest.approx(1 / (0.8**2 + 0.2**2))


def test_gini_is_zero_for_equal_powers_and_near_one_for_one():
    assert gini(np.ones(50)) == pytest.approx(0)
    assert gini(np.eye(50)[3]) == pytest.approx(1 - 1 / 50)
    assert gini(np.zeros(5)) == 0


def test_the_plane_of_a_frequency_is_the_circle_whatever_its_rotation(rng):
    turn = np.linalg.qr(rng.normal(size=(30, 4)))[0]
    rows = (ideal([5, 11]) @ turn.T).astype(np.float32) + 3
    found = plane(rows, additive_characters(P), 11)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-4)
    angles = np.unwrap(np.arctan2(found[:, 1], found[:, 0]))
    np.testing.assert_allclose(np.abs(np.diff(angles)), 2 * np.pi * 11 / P, rtol=1e-3)


def test_the_plane_of_a_line_and_of_one_point_is_finite():
    characters = additive_characters(7)
    flat = np.cos(2 * np.pi * np.arange(7) / 7)[:, None]
    assert np.isfinite(plane(flat, characters, 1)).all()
    assert not plane(np.ones((7, 3)), characters, 1).any()


def test_a_primitive_root_gives_all_residues():
    for p in (3, 7, 97, 113):
        root = primitive_root(p)
        assert sorted(pow(root, j, p) for j in range(p - 1)) == list(range(1, p))
    assert primitive_root(113) == 3
    with pytest.raises(InvalidInput, match="not prime"):
        primitive_root(12)


# Progress


def task_of(operation, p=P, fraction=0.3):
    task = Task(operation, p, fraction)
    return task, PairTask(task.characters, places_of(task.pairs, task.characters, task.sign), task.labels, task.train)


def gromov(task, p, phases=3):
    """Logits of the network of Gromov 2023, https://arxiv.org/abs/2301.02679: quadratic activation, one layer, known
    weights.

    Hidden unit (k, f, g) is (cos(w_k a + f) + cos(w_k b + g))², read out by cos(w_k c + f + g), for all frequencies k.
    Phases f, g on a grid of three each, in place of random ones, cancel exactly what theirs cancel for infinite width.
    """
    grid = 2 * np.pi * np.arange(phases) / phases
    k, f, g = (x.ravel() for x in np.meshgrid(np.arange(1, (p - 1) // 2 + 1), grid, grid, indexing="ij"))
    w = 2 * np.pi * k / p
    a, b = task.pairs.T[:, :, None]
    hidden = (np.cos(w * a + f) + np.cos(w * b + g)) ** 2
    return hidden @ np.cos(w[:, None] * np.arange(p) + (f + g)[:, None]) * 4 / (p * phases**2)


def test_the_closed_form_of_gromov_adds_and_needs_its_frequencies():
    task, pairs = task_of("add")
    logits = 6 * gromov(task, P)
    loss, accuracy = loss_and_accuracy(logits, task.labels)
    assert accuracy == 1
    assert loss > 0.1  # so that the next line compares something
    found = progress(logits, pairs, range(1, (P - 1) // 2 + 1))
    assert found.restricted_loss == pytest.approx(loss, abs=1e-6)
    assert found.restricted_accuracy == 1
    assert found.excluded_loss >= np.log(P) - 0.1
    few = progress(logits, pairs, [1, 2])
    assert few.restricted_loss > loss + 0.1
    assert few.excluded_loss < found.excluded_loss


@pytest.mark.parametrize("operation", ["add", "sub", "mul", "div"])
def test_the_waves_of_each_group_restrict_and_exclude(operation):
    """Logits that are waves of the right argument: restriction loses nothing, exclusion leaves nothing."""
    task, pairs = task_of(operation, 23)
    inside = pairs.places >= 0
    place = np.full(23, -1)
    place[pairs.characters.members] = pairs.characters.places
    logits = np.full((len(task.pairs), 23), -9.0)
    waves = pairs.characters.waves([3, 5], pairs.places[inside])
    answers = pairs.characters.waves([3, 5], place[pairs.characters.members])
    logits[np.ix_(inside, pairs.characters.members)] = 4 * waves @ answers.T
    found = progress(logits, pairs)
    assert set(found.frequencies) >= {3, 5}
    assert (found.restricted_accuracy, found.excluded_accuracy < 0.4) == (1, True)
    assert found.restricted_loss == pytest.approx(loss_and_accuracy(logits[inside], task.labels[inside])[0], abs=1e-6)


def test_a_part_of_the_pairs_gives_the_projection_by_least_squares(rng):
    task, pairs = task_of("add")
    logits = 6 * gromov(task, P)
    some = np.sort(rng.choice(len(logits), 4000, replace=False))
    part = PairTask(pairs.characters, pairs.places[some], pairs.labels[some], np.arange(1000))
    whole, found = progress(logits, pairs, [1, 2, 3]), progress(logits[some], part, [1, 2, 3])
    assert found.restricted_loss == pytest.approx(whole.restricted_loss, abs=0.01)


# Losses


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gap", [0.0, 1.0, 12.0, 18.0, 40.0, 90.0, 700.0, -30.0])
def test_the_loss_of_an_answer_that_is_ahead_by_a_gap_keeps_its_digits(gap, dtype):
    """Six wrong classes, each ``gap`` below the right one: log(1 + 6 exp(−gap)), whatever is added to all logits."""
    logits = np.full((3, 7), -gap, dtype=dtype)
    labels = np.array([0, 3, 6])
    logits[np.arange(3), labels] = 0
    expected = np.log1p(6 * np.exp(-gap))
    for level in (0, 32, -1024):
        np.testing.assert_allclose(cross_entropies(logits + dtype(level), labels), expected, rtol=1e-9)
        assert loss_and_accuracy(logits + dtype(level), labels)[0] == pytest.approx(expected, rel=1e-9, abs=0)


def test_losses_are_those_of_the_definition_and_of_many_rows_at_once(rng):
    logits, labels = rng.normal(size=(9000, 11)) * 5, rng.integers(0, 11, 9000)
    expected = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(9000), labels]
    np.testing.assert_allclose(cross_entropies(logits, labels), expected, rtol=1e-6, atol=1e-12)
    assert loss_and_accuracy(logits, labels)[0] == pytest.approx(expected.mean())


def test_a_restricted_loss_keeps_its_digits_as_well():
    """Logits that are one high wave of the answer; the reference sums over the wrong classes by hand."""
    task, pairs = task_of("add", 23)
    for height in (10.0, 40.0, 120.0):
        ahead = height * np.cos(2 * np.pi * np.arange(23) / 23)
        logits = ahead[(pairs.labels[:, None] - np.arange(23)) % 23]
        expected = np.log1p(np.exp(ahead[1:] - ahead[0]).sum())
        found = progress(logits, pairs, [1])
        assert found.restricted_loss == pytest.approx(expected, rel=1e-6, abs=0)
        assert loss_and_accuracy(logits, task.labels)[0] == pytest.approx(expected, rel=1e-9, abs=0)


def test_logits_that_are_not_finite_have_a_loss_that_is_not():
    logits = np.array([[np.inf, 0.0, 0.0], [np.nan, 0.0, 0.0]])
    assert np.isnan(cross_entropies(logits, np.array([0, 1]))).all()
