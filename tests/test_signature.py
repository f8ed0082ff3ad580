"""Courses made by hand → milestones, band, verdict: the definitions, each at its border."""

import numpy as np
import pytest

from todacomm import signature as s
from todacomm.errors import InvalidInput, UnknownName
from todacomm.watching import Course

FOLLOWED = "embedding/sphere/H1_max_lifetime"
STEPS = tuple(range(0, 3001, 30))
X = np.array(STEPS)


def smooth(at, width=60):
    return 1 / (1 + np.exp(-np.clip((X - at) / width, -40, 40)))


def course(*, memorised=150, generalised=1500, rise=3.0, kind="run", seed=46, noise=0.002, **extra):
    rng = np.random.default_rng(seed)
    train = np.where(memorised is None, 0.5, smooth(-1000 if memorised is None else memorised, 10))
    test = np.zeros(len(X)) if generalised is None else smooth(generalised - 150, 30)
    late = smooth(1700 if generalised is None else generalised + 150)
    values = 0.08 * (1 + (rise - 1) * late) + rng.normal(0, noise, len(X))
    numbers = {
        "train_accuracy": np.asarray(train),
        "test_accuracy": test,
        FOLLOWED: values,
        "weight_norm": 100 - 60 * test,
        **extra,
    }
    return Course(f"{kind}_{seed}", STEPS, numbers, kind=kind, seed=seed)


def controls(rise=1.1, number=4):
    kinds = ["permuted labels", "no weight decay"]
    return [course(generalised=None, rise=rise + 0.03 * i, kind=kinds[i % 2], seed=46 + i) for i in range(number)]


def verdict(*runs, **how):
    return s.signature(list(runs), controls=controls(**how)).verdict


def test_a_loop_that_comes_with_grokking_is_the_signature():
    found = s.signature([course(seed=1), course(seed=2, generalised=1800)], controls=controls())
    assert found.verdict == s.PRESENT
    one = found.runs[0]
    assert one.milestones.grokked
    assert one.milestones.memorised_at < 300
    assert 1400 < one.milestones.generalised_at < 1600
    assert one.rise.ratio == pytest.approx(3, rel=0.05)
    assert one.rise.ratio > found.band.high > 1
    assert all(found.within)
    assert one.lag.steps > 0
    assert one.onset.low <= one.onset.step <= one.onset.high
    assert one.ranks[FOLLOWED].rho > 0.5
    assert "Signature present: 2 of 2 runs grokked." in found.sentences


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        ({"rise": 1.0}, s.NO_LOOP),
        ({"rise": 1.35}, s.NO_LOOP),
        ({"generalised": 340}, s.AT_ONCE),
        ({"generalised": None, "rise": 1}, s.ONLY),
        ({"memorised": None, "generalised": None}, s.NOTHING),
    ],
)
def test_each_verdict_is_given(run, expected):
    assert verdict(course(**run)) == expected


def test_verdicts_that_differ_are_counted():
    assert verdict(course(), course(rise=1, seed=5)) == (
        "mixed: 1 of 2 signature present, 1 of 2 grokked without a loop"
    )


def test_a_wide_band_takes_the_signature_away():
    wide = [course(generalised=None, rise=r, kind="permuted labels", seed=i) for i, r in enumerate((0.5, 1, 2.5, 3.5))]
    assert s.signature([course()], controls=wide).verdict == s.NO_LOOP


def test_nothing_is_said_without_controls():
    with pytest.raises(InvalidInput, match="1 runs and 1 controls"):
        s.signature([course()], controls=controls(number=1))
    with pytest.raises(InvalidInput, match="0 of 2 controls memorised without"):
        s.signature([course()], controls=[course(seed=8), course(seed=9)])


def test_three_in_a_row_are_needed():
    values = np.array([0.2, 0.99, 0.99, 0.9, 0.99, 1, 1, 0.5])
    assert s.first_of_three(values, 0.98) == 4
    assert s.first_of_three(values[:6], 0.98) is None


def test_dips_after_generalisation_are_counted():
    dipping = smooth(1350, 30)
    dipping[70:73] = [0.7, 0.6, 0.98]
    found = s.tell(course(test_accuracy=dipping), FOLLOWED).milestones
    assert (found.dips, found.deepest_dip) == (3, 0.6)


def test_the_plateau_ends_before_generalisation():
    run = course()
    span = s.plateau_of(run, s.milestones(run))
    assert STEPS[span.start] == s.milestones(run).memorised_at
    assert STEPS[span.stop - 1] <= 0.8 * s.milestones(run).generalised_at < STEPS[span.stop]
    control = course(generalised=None)
    span = s.plateau_of(control, s.milestones(control))
    assert span.stop == span.start + (len(control) - span.start) // 2


def test_the_band_is_students_prediction_interval():
    """Of log ratios 0 and log 4: mean log 2, deviation log 4 / √2, t = 12.706, √1.5."""
    band = s.band_of([1.0, 4.0])
    half = 12.7062 * np.log(4) / np.sqrt(2) * np.sqrt(1.5)
    assert np.log(band.low) == pytest.approx(np.log(2) - half, rel=1e-4)
    assert np.log(band.high) == pytest.approx(np.log(2) + half, rel=1e-4)


def test_baselines_that_move_as_well_are_named():
    found = s.signature([course()], controls=controls())
    assert any("norm of all weights" in sentence and "Cheaper numbers" in sentence for sentence in found.sentences)


def test_an_unknown_number_is_refused():
    with pytest.raises(UnknownName, match="number of this run"):
        s.signature([course()], controls=controls(), follow="embedding/sphere/H7")
