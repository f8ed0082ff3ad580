"""``td.load``: what was written is what is read back, whatever kind of directory it is."""

import numpy as np
import pytest

import todacomm as td
from grok_directories import FOLLOWED, write_training
from todacomm.ablation.judge import Ablation
from todacomm.core.errors import InvalidRecord


@pytest.fixture
def measured(todacomm, tmp_path, rng, no_figures):
    """Two measured files of two layers and their comparison."""
    for name in ("one", "two"):
        points = rng.normal(size=(30, 4))
        np.savez(tmp_path / f"{name}.npz", embedding=points, layer_0=2 * points)
        todacomm("measure", f"{name}.npz", "--output", name, "--null-draws", "19", "--resamples", "40", "-q")
    return tmp_path


def test_a_profile_is_read_back_with_its_claims(measured):
    with np.load(measured / "one.npz") as arrays:
        fresh = td.measure(dict(arrays), name="one", null_draws=19, resamples=40)
    found = td.load(measured / "one")
    assert isinstance(found, td.Profile)
    assert found.layers == ("embedding", "layer_0")
    for name in fresh.measurements[0].summary:
        np.testing.assert_array_equal(found[name], fresh[name])
    assert found.test("H1_loop", layer="layer_0") == fresh.test("H1_loop", layer="layer_0")
    assert found.interval("H0_entropy", layer="layer_0") == fresh.interval("H0_entropy", layer="layer_0")


def test_a_comparison_is_made_again_of_the_runs_that_it_names(measured, todacomm):
    todacomm("compare", "one", "two")
    [place] = measured.glob("experiments/comparison_*")
    found = td.load(place)
    assert isinstance(found, td.Comparison)
    assert [row.model for row in found.rows] == ["one", "two"]
    (measured / "two" / "tda_summaries.json").unlink()
    with pytest.raises(InvalidRecord, match="two"):
        td.load(place)


def test_an_ablation_is_read_back(measured, todacomm):
    todacomm("ablate", "one.npz", "--components", "2,4", "--null-draws", "19")
    [place] = measured.glob("experiments/ablation_*")
    assert isinstance(td.load(place), Ablation)


def test_training_runs_are_read_back_with_their_controls(tmp_path):
    write_training(tmp_path)
    found = td.load(tmp_path)
    assert {course.kind == "run" for course in found} == {True, False}
    assert all(isinstance(course, td.grokking.Course) for course in found)
    controls = [course for course in found if course.kind != "run"]
    runs = [course for course in found if course.kind == "run"]
    assert td.grokking.signature(runs, controls=controls, follow=FOLLOWED).verdict


@pytest.mark.parametrize("make", [lambda p: p.mkdir(), lambda p: None])
def test_what_holds_no_records_is_refused(tmp_path, make):
    make(tmp_path / "nothing")
    with pytest.raises(td.TodacommError):
        td.load(tmp_path / "nothing")
