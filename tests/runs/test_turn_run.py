"""Loops of a training run: found without labels where residues lie on circles, named, and turned."""

import json

import numpy as np
import pytest

import todacomm as td
from todacomm.cohomology.offers import classes_at_plateaus
from todacomm.core.errors import InvalidInput
from todacomm.core.types import Address, PointCloud
from todacomm.records.training import read_checkpoint, rows
from todacomm.runs.loops.loops_along_steps import source_of_steps
from todacomm.runs.loops.turn_run import MOST_PLANES, SPHERE, inverse_of, loops_found, network_of, turn_run
from todacomm.runs.training_runs import experiment_of, perform
from todacomm.training.fourier import additive_characters, power_spectrum


def embedded(frequencies, order=59, noise=0.02, d=24):
    """Residues on the circles of some frequencies."""
    rng = np.random.default_rng(0)
    waves = additive_characters(order).waves(frequencies, np.arange(order))
    basis = np.linalg.qr(rng.normal(size=(d, waves.shape[1])))[0].T
    return waves @ basis + noise * rng.normal(size=(order, d))


@pytest.mark.parametrize("frequencies", [(7,), (3, 11, 20)])
def test_loops_without_labels_are_the_frequencies_of_the_embedding(frequencies):
    cloud = PointCloud(embedded(frequencies), Address("m", "d", "embedding"))
    found = loops_found(cloud, additive_characters(59))
    assert found
    names = [name.frequency for name, _ in found]
    assert len(set(names)) == len(names)
    assert all(name.correlation > 0.99 for name, _ in found)
    if len(frequencies) == 1:
        assert names == [7]


def test_points_without_a_loop_have_no_wide_plateau():
    rng = np.random.default_rng(1)
    cloud = PointCloud(rng.normal(size=(113, 128)), Address("m", "d", "embedding"))
    assert classes_at_plateaus(cloud, SPHERE) == []


def test_a_loop_visits_the_residues_by_the_inverse_of_its_frequency():
    characters = additive_characters(59)
    assert inverse_of(7, characters) == 17  # 7 × 17 = 2 × 59 + 1
    assert inverse_of(52, characters) == 17, "the same loop the other way round"
    assert inverse_of(6, additive_characters(12)) is None


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that is far too short to learn anything."""
    place = tmp_path_factory.mktemp("runs")
    settings = {"prime": 13, "train_fraction": 0.5, "steps": 20, "points": 20}
    plan = experiment_of("quick", settings, [46], controls=1).plans[0]
    assert perform(place, plan) == ""
    return next(place.rglob("weights.safetensors")).parent


def test_a_run_that_has_learnt_nothing_decides_nothing(run):
    found = turn_run(run, placebos=19)
    assert found.run == "seed_46"
    assert 1 <= sum(not loop.found for loop in found.loops) <= MOST_PLANES
    assert {loop.verdict for loop in found.loops} == {"not decidable"}
    assert found.moved == ()
    task, network = network_of(run)
    spectrum = power_spectrum(network.embed.weight.detach().double().numpy(), task.characters)
    for loop in found.loops:
        assert loop.share == pytest.approx(spectrum[loop.name.frequency - 1])
        assert loop.turned.accuracy < 0.7
    assert td.grokking.turn_run(run, placebos=19) == found


def test_a_task_without_frequencies_is_refused(tmp_path):
    plan = experiment_of("quick", {"task": "quadratic", "prime": 13, "steps": 10}, [46], controls=1).plans[0]
    assert perform(tmp_path, plan) == ""
    place = next(tmp_path.rglob("weights.safetensors")).parent
    with pytest.raises(InvalidInput, match="no operation of a group"):
        turn_run(place)


def test_the_command_prints_what_was_turned(run, todacomm):
    code, out, _ = todacomm("loops", run, "--null-draws", "19")
    assert code == 0
    assert "Loops of the embedding of seed_46" in out
    first = turn_run(run, placebos=19).loops[0]
    row = next(line for line in out.splitlines() if f" {first.name.frequency} " in line)
    assert "spectrum" in row
    assert "not decidable" in row
    code, out, _ = todacomm("loops", run, "--null-draws", "19", "--json")
    assert json.loads(out)["loops"][0]["name"]["frequency"] == first.name.frequency


def test_the_checkpoints_of_a_run_are_clouds_evenly_spaced_from_the_first_to_the_last(run):
    steps = [line.step for line in rows(run)]
    source = source_of_steps(run, 3)
    assert list(source.clouds) == [f"step_{step}" for step in (steps[0], steps[len(steps) // 2], steps[-1])]
    kept = read_checkpoint(run, steps[-1]).embedding_rows
    np.testing.assert_array_equal(source.clouds[f"step_{steps[-1]}"].points, kept)
    assert list(source_of_steps(run, 10**6).clouds) == [f"step_{step}" for step in steps]


def test_loops_are_followed_along_the_steps_of_a_run(run, todacomm, tmp_path):
    code, out, err = todacomm("loops", run, "--steps", "3", "--null-draws", "39", "--output-dir", tmp_path)
    assert (code, "No loop is shown at 3 steps" in out) == (0, True), err
    told = next(tmp_path.glob("loops_*/loops.md")).read_text(encoding="utf-8")
    assert "No loop is shown at any of 3 steps" in told
    assert "layer" not in told.split("##")[1]


@pytest.mark.parametrize(("given", "said"), [("1", "expected at least 2 checkpoints"), ("3", "is neither; expected")])
def test_steps_of_what_has_none_are_refused(run, todacomm, tmp_path, given, said):
    place = run if given == "1" else tmp_path
    code, _, err = todacomm("loops", place, "--steps", given)
    assert code != 0
    assert said in " ".join(err.split())


@pytest.mark.slow
def test_a_network_of_pixels_has_no_loops_to_follow(tmp_path):
    plan = experiment_of("images", {"steps": 10, "points": 20}, [46], controls=1).plans[0]
    assert perform(tmp_path, plan) == ""
    with pytest.raises(InvalidInput, match="no embedding of its checkpoints"):
        source_of_steps(next(tmp_path.rglob("weights.safetensors")).parent, 2)
