"""Courses made by hand → milestones, band, verdict: the definitions, each at its border."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.training import signature as s
from todacomm.training.observe import Course

FOLLOWED = "embedding/sphere/H1_max_lifetime"
STEPS = tuple(range(0, 3001, 30))
X = np.array(STEPS)


@pytest.fixture(autouse=True, scope="module")
def quickly():
    """Few draws for intervals: what is tested here is far from their ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.statistics.changepoints.DRAWS", 40)
        yield


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


def wide():
    """Controls that rise themselves: a band that ends beyond every loop."""
    return [course(generalised=None, rise=r, kind="permuted labels", seed=i) for i, r in enumerate((0.5, 1, 2.5, 3.5))]


def test_a_wide_band_takes_the_signature_away_and_denies_no_loop():
    found = s.signature([course(), course(rise=1.0, seed=3)], controls=wide())
    assert [one.verdict for one in found.runs] == [s.UNDECIDED, s.NO_LOOP]
    assert "within a band of" in found.runs[0].because


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


# Planted courses: accuracies and H1 max in closed form, one for each verdict


def accuracy(level, at=1300.0, width=60.0):
    """Test accuracy that climbs to a level and stays."""
    return level * smooth(at, width)


def planted(**numbers):
    """A run that memorises at once, and whose other numbers are these."""
    numbers = {
        "train_accuracy": smooth(60, 10),
        "test_accuracy": smooth(1350, 30),
        FOLLOWED: 0.08 + 0.16 * smooth(1650),
        **numbers,
    }
    return Course("run_46", STEPS, {"weight_norm": 100 - 60 * smooth(1350, 30), **numbers}, seed=46)


def told(run, *, beside=None):
    return s.signature([run], controls=controls() if beside is None else beside).runs[0]


FALLING = np.where(X > 2700, 0.17, 1.0) * smooth(60, 10)
FLAT = np.full(len(X), 0.08)
PLANTED = {
    "grokked with a loop": ({}, s.PRESENT, ""),
    "a loop half of the plateau later": ({FOLLOWED: 0.08 + 0.16 * smooth(1900)}, s.PRESENT, ""),
    "grokked without a loop": ({FOLLOWED: FLAT}, s.NO_LOOP, ""),
    "grokked and the loop shrank": ({FOLLOWED: 0.08 - 0.04 * smooth(1500)}, s.NO_LOOP, ""),
    "memorised only": ({"test_accuracy": np.full(len(X), 0.017)}, s.ONLY, ""),
    "a quarter for good": ({"test_accuracy": accuracy(0.25)}, s.PARTLY_GENERALISED, "test accuracy 0.25 at the end"),
    "a quarter from the start": ({"test_accuracy": np.full(len(X), 0.25)}, s.PARTLY_GENERALISED, "0.25"),
    "0.62 for good": ({"test_accuracy": accuracy(0.62)}, s.PARTLY_GENERALISED, "test accuracy 0.62 at the end"),
    "0.97 for good": ({"test_accuracy": accuracy(0.97)}, s.PARTLY_GENERALISED, "0.97"),
    "0.12 for good": ({"test_accuracy": accuracy(0.12)}, s.PARTLY_GENERALISED, "0.12"),
    "0.618 and rising": ({"test_accuracy": 0.618 * X / 3000}, s.RISING, "test accuracy 0.62 at the end"),
    "0.21 and rising": ({"test_accuracy": 0.21 * np.clip(X - 1500, 0, None) / 1500}, s.RISING, "0.21"),
    "turning at its end": ({"test_accuracy": smooth(3100, 60)}, s.RISING, "test accuracy 0.16"),
    "fell to 0.17": ({"train_accuracy": FALLING, "test_accuracy": np.full(len(X), 0.017)}, s.UNSTABLE,
        "train accuracy 0.17"),
    "fell at the last checkpoint": ({"train_accuracy": np.where(X == 3000, 0.17, 1.0)}, s.UNSTABLE, "0.17 at the end"),
    "up and down": ({"train_accuracy": np.where(np.arange(len(X)) % 4 == 3, 0.5, 1.0)}, s.UNSTABLE,
        "25 % of the checkpoints"),
    "half of it, then nothing": ({"train_accuracy": 0.6 * (smooth(300) - smooth(2000))}, s.UNSTABLE, "0.60 before"),
    "back to 0.1": ({"test_accuracy": smooth(1350, 30) - 0.9 * smooth(2400, 30)}, s.FELL_BACK, "test accuracy 0.10"),
    "back at the last checkpoint": ({"test_accuracy": np.where(X == 3000, 0.1, smooth(1350, 30))}, s.FELL_BACK, "0.10"),
    "back to 0.93": ({"test_accuracy": smooth(1350, 30) - 0.07 * smooth(2400, 30)}, s.FELL_BACK, "0.93"),
    "one dip long before the end": ({"test_accuracy": np.where(X == 2400, 0.24, smooth(1350, 30))}, s.PRESENT, ""),
    "fast learning": ({"test_accuracy": smooth(90, 20), FOLLOWED: 0.08 + 0.16 * smooth(300)}, s.AT_ONCE, ""),
    "both at once, the last errors late": ({"test_accuracy": 0.9 * smooth(60, 10) + 0.1 * smooth(900)}, s.AT_ONCE, ""),
    "generalised by another half before it memorised": ({"test_accuracy": 0.6 * smooth(30, 10) + 0.4 * smooth(900)},
        s.AT_ONCE, ""),
    "a rise long after": ({"test_accuracy": smooth(450, 20), FOLLOWED: 0.08 + 0.16 * smooth(2550, 20)}, s.LATE,
        "from step 2,5"),
    "a rise that went": ({FOLLOWED: 0.08 + 0.16 * (smooth(1600) - smooth(2300))}, s.UNDECIDED, "did not last"),
    "ended early": ({"test_accuracy": smooth(2500, 20), FOLLOWED: FLAT}, s.UNDECIDED, "it ended at step 3,000"),
    "no plateau": ({"train_accuracy": smooth(600, 10), "test_accuracy": smooth(1300, 10),
        FOLLOWED: np.where(X < 1800, 0, 0.2)}, s.UNDECIDED, "0 on its plateau"),
    "nothing learned": ({"train_accuracy": np.full(len(X), 0.3), "test_accuracy": np.full(len(X), 0.017)}, s.NOTHING,
        "0.3"),
    "still memorising": ({"train_accuracy": 0.9 * X / 3000, "test_accuracy": np.full(len(X), 0.017)}, s.RISING,
        "train accuracy"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLANTED)
def test_planted_courses_have_their_verdicts(case):
    numbers, verdict, because = PLANTED[case]
    found = told(planted(**numbers))
    assert (found.verdict, because in found.because) == (verdict, True), found.said
    assert found.verdict in s.RULES


@pytest.mark.parametrize("case", PLANTED)
def test_noise_of_an_evaluation_changes_no_verdict(case, rng):
    """A thousand test inputs: ±0.004 at chance, ±0.015 at a half; H1 max to 2 %."""
    numbers, verdict, _ = PLANTED[case]
    exact = planted(**numbers)
    test = np.clip(exact["test_accuracy"], 0, 1)
    noisy = {
        **exact.numbers,
        "test_accuracy": rng.binomial(1000, test) / 1000,
        FOLLOWED: exact[FOLLOWED] * rng.normal(1, 0.02, len(X)),
    }
    assert told(planted(**noisy)).verdict == verdict


def test_a_loss_that_was_not_finite_is_unstable_training():
    from dataclasses import replace

    assert told(replace(planted(), complaint="the loss is no finite number")).verdict == s.UNSTABLE


def test_few_controls_deny_no_loop_and_may_show_one():
    """Two controls make a band of t with one degree of freedom: 0.07 to 18 for ratios like those of real ones."""
    two = [
        course(generalised=None, rise=r, kind="permuted labels", seed=i, noise=0) for i, r in enumerate((0.95, 1.25))
    ]
    found = s.signature([planted(), planted(**{FOLLOWED: FLAT})], controls=two)
    assert found.band.high > 10
    assert [one.verdict for one in found.runs] == [s.UNDECIDED] * 2
    assert all("2 controls make a band" in one.because for one in found.runs)
    alike = [course(generalised=None, rise=1.0, kind="permuted labels", seed=i, noise=1e-5) for i in range(2)]
    assert told(planted(), beside=alike).verdict == s.PRESENT


@pytest.mark.parametrize(
    "spoilt",
    [
        {"test_accuracy": accuracy(0.25)},
        {"test_accuracy": 0.4 * X / 3000},
        {"train_accuracy": FALLING},
        {"test_accuracy": smooth(1350, 30)},
        {"test_accuracy": smooth(1350, 30) - 0.9 * smooth(2400, 30)},
    ],
    ids=["partly", "rising", "unstable", "grokked", "fell back"],
)
def test_the_null_band_is_of_controls_that_memorised_only(spoilt):
    """A control that learned something has what the band should not have: here ten times its plateau."""
    bad = course(generalised=None, kind="no weight decay", seed=9, **{FOLLOWED: 0.08 + 0.72 * smooth(1600), **spoilt})
    found = s.signature([planted()], controls=[*controls(), bad])
    assert found.band == s.signature([planted()], controls=controls()).band
    assert found.verdict == s.PRESENT


def test_chance_is_taken_from_the_task():
    """One of ten images right is guessing; one of ten answers mod 113 is not."""
    from dataclasses import replace

    run = planted(test_accuracy=accuracy(0.15))
    assert told(run).verdict == s.PARTLY_GENERALISED
    assert told(replace(run, settings={"task": "images"})).verdict == s.ONLY
    assert told(replace(run, settings={"task": "add", "prime": 113})).verdict == s.PARTLY_GENERALISED
    assert told(replace(run, settings={"task": "add", "prime": 11})).verdict == s.ONLY


def test_numbers_behind_verdicts_are_said():
    found = s.signature([planted(test_accuracy=0.618 * X / 3000), planted()], controls=controls())
    assert found.verdict == "mixed: 1 of 2 signature present, 1 of 2 still rising"
    assert "Still rising: seed 46, test accuracy 0.62 at the end." in found.sentences


# Which is first


def spread_of(found):
    return " ".join(found.sentences)


@pytest.mark.parametrize("shift", [-900, -600, 0, 300, 600, 900, 1500])
def test_a_lag_has_the_sign_and_size_of_the_shift(shift):
    """Up to half of the run and in both directions."""
    run = planted(test_accuracy=smooth(1200, 30), **{FOLLOWED: 0.08 + 0.16 * smooth(1200 + shift, 30)})
    found = s.tell(run, FOLLOWED)
    assert abs(found.lag.steps - shift) <= 30
    assert found.lag.low <= found.lag.steps <= found.lag.high


def test_lags_that_disagree_are_not_averaged():
    """−300 and +195 are no lead of 52."""
    runs = [planted(**{FOLLOWED: 0.08 + 0.16 * smooth(1350 + shift, 30)}) for shift in (-300, 210)]
    text = spread_of(s.signature(runs, controls=controls()))
    assert (
        "H1 max moves after test accuracy in 1 of 2 runs (by 210 steps), before test accuracy in 1 of 2 runs (by 300 "
        "steps)" in text
    )
    assert "leads" not in text
    assert " it by" not in text


def test_where_nothing_correlates_there_is_no_lag_and_onsets_are_compared(rng):
    slow = 0.08 + 0.16 * np.clip((X - 1800) / 1200, 0, 1) + rng.normal(0, 0.004, len(X))
    found = s.signature([planted(**{FOLLOWED: slow})], controls=controls())
    assert found.runs[0].lag is None
    text = spread_of(found)
    assert "In 1 of 1 runs the changes of H1 max and of test accuracy correlate too little for a lag." in text
    assert "By its onset there, H1 max begins after test accuracy in 1 of 1 runs" in text


@pytest.mark.parametrize(("norm_at", "earlier"), [(600, False), (1350, False), (2600, True)])
def test_no_earlier_sign_is_said_of_onsets_alone(norm_at, earlier):
    """The norm falls before the loop, with accuracy, or long after the loop: only then the loop is the earlier sign."""
    run = planted(weight_norm=100 - 60 * smooth(norm_at, 30))
    text = spread_of(s.signature([run], controls=controls()))
    assert "Cheaper numbers leave their own null band as well" in text
    assert ("no earlier sign" in text) is not earlier
    assert ("H1 max begins before the norm of all weights" in text) is earlier


def test_the_rules_of_the_verdicts_are_in_the_documents():
    text = (Path(__file__).parents[2] / "docs" / "grokking.md").read_text(encoding="utf-8")
    for verdict, rule in s.RULES.items():
        assert f"| {verdict} | {rule} |" in text


def test_an_unknown_number_is_refused():
    with pytest.raises(UnknownName, match="number of this run"):
        s.signature([course()], controls=controls(), follow="embedding/sphere/H7")


def test_a_signature_comes_back_from_a_pickle_as_it_was():
    found = s.signature([course(seed=1), course(seed=2, generalised=1800)], controls=controls())
    assert pickle.loads(pickle.dumps(found)) == copy.deepcopy(found) == found  # noqa: S301
