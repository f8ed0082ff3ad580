"""Which runs of an experiment have their loops turned, and that it is done once."""

import shutil
from dataclasses import replace

import numpy as np
import pytest

from grok_directories import TURNED_LOOPS, write_run, write_turned
from todacomm.core.errors import InvalidRecord
from todacomm.records.files.io import write_arrays, write_atomically
from todacomm.records.training import DONE, TURNED, WEIGHTS, RunEnd, read_run, read_turned, write_done
from todacomm.runs import training_runs
from todacomm.runs.loops import turn_run
from todacomm.runs.loops import write_turned as turning
from todacomm.runs.training_experiment import Means, execute_grok
from todacomm.training.turned_run import TurnedRun


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    """A run that grokked and a control that did not."""
    directory = tmp_path_factory.mktemp("kept")
    write_run(directory, "seed_1", "run", 1, grokked=True, count=17)
    write_run(directory, "permuted_labels_1", "permuted labels", 1, grokked=False, count=4)
    return directory / "runs"


@pytest.fixture
def runs(kept, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(kept, tmp_path / "runs")


@pytest.fixture
def asked(monkeypatch):
    """The runs that were turned."""
    names = []

    def turned(directory, *, placebos, seed):
        names.append((directory.name, placebos, seed))
        return TurnedRun(directory.name, TURNED_LOOPS, ())

    monkeypatch.setattr(turn_run, "turn_run", turned)
    return names


def test_runs_that_generalised_are_turned_once_and_kept(runs, asked):
    made = turning.turn_generalised(runs / "seed_1")
    assert turning.turn_generalised(runs / "permuted_labels_1") is None
    assert not (runs / "permuted_labels_1" / TURNED).exists()
    again = turning.turn_generalised(runs / "seed_1")
    assert asked == [("seed_1", 99, 42)]
    assert again.found == made.found
    assert again.placebos == 99


def test_other_weights_are_turned_again(runs, asked):
    place = runs / "seed_1"
    turning.turn_generalised(place)
    write_arrays(place / WEIGHTS, {"weight/embed.weight": np.ones((3, 2))}, {})
    write_done(place, RunEnd("", 1.5))
    with pytest.raises(InvalidRecord, match=r"turned.json is of other weights than weights.safetensors. .* give the"):
        read_turned(place)
    turning.turn_generalised(place)
    assert len(asked) == 2
    assert read_turned(place) is not None


def test_a_damaged_record_is_made_again(runs, asked):
    place = runs / "seed_1"
    write_turned(place)
    write_atomically(place / TURNED, (place / TURNED).read_bytes()[:-9])
    turning.turn_generalised(place)
    assert len(asked) == 1
    assert read_turned(place).found.loops == TURNED_LOOPS


def test_a_run_without_an_end_or_frequencies_is_not_turned(runs, asked):
    place = runs / "seed_1"
    ran = read_run(place)
    assert turning.can_turn(ran)
    assert not turning.can_turn(replace(ran, done=RunEnd()))
    assert not turning.can_turn(replace(ran, done=RunEnd("the loss is NaN", 1.5)))
    assert not turning.can_turn(replace(ran, about=replace(ran.about, characters=None)))
    (place / DONE).unlink()
    assert turning.turn_generalised(place) is None
    assert asked == []


@pytest.mark.slow
@pytest.mark.parametrize("turn", [True, False])
def test_an_experiment_turns_unless_it_is_told_not_to(tmp_path, monkeypatch, turn):
    turned = []
    monkeypatch.setattr(training_runs, "turn_generalised", lambda place: turned.append(place.name))
    settings = {"prime": 13, "train_fraction": 0.5, "steps": 10, "every": 10, "points": 10}
    made = training_runs.experiment_of("quick", settings, [46], controls=1)
    means = Means(1, turn=turn)
    found = execute_grok(made, output_dir=str(tmp_path), means=means)
    names = sorted(plan.name for plan in made.plans)
    assert sorted(turned) == (names if turn else [])
    assert not found.failures
