"""An engine that is wrong stops every command that measures, and leaves what shows it."""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import trained
from small_studies import one_line
from todacomm.core.errors import EngineDisagreement
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address
from todacomm.homology.engines import DEFAULT, REFERENCE, engines, persistence
from todacomm.records.disagreements import disagreements_kept
from todacomm.records.files.io import read_arrays
from todacomm.runs.distributed import LayerTask, Place, measure_there, numbers_from
from todacomm.runs.jobs import Failure
from todacomm.runs.training_runs import perform
from todacomm.zoo import __file__ as shipped

pytestmark = pytest.mark.usefixtures("no_figures", "wrong")
MODEL = "tiny-preln-decoder"
FEW = ("--samples", "12", "--pooling", "mean", "--resamples", "0", "--null-draws", "0", "--layers", "layer_1")


@pytest.fixture
def wrong(monkeypatch):
    """Every bar of our engine is a thousandth too long."""
    ours = engines[DEFAULT]

    def longer(condensed, *, maxdim, threshold):
        return ours.compute(condensed, maxdim=maxdim, threshold=threshold).scaled(1.001)

    monkeypatch.setitem(engines._entries, DEFAULT, replace(ours, compute=longer))


def sent(found):
    """What arrives in another process."""
    return pickle.loads(pickle.dumps(found))  # noqa: S301 - our own


def evidence(directory):
    """The arrays of the one file; each diagram is that of its engine, of the distances beside it."""
    (path,) = directory.glob("**/engines_differ_*.safetensors")
    arrays = read_arrays(path, schema=1)
    for side, name in (("found", DEFAULT), ("reference", REFERENCE)):
        diagrams = persistence(arrays["distances"], engine=name)
        for k in (0, 1):
            np.testing.assert_array_equal(arrays[f"{side}/H{k}"], diagrams.finite[k])
            np.testing.assert_array_equal(arrays[f"{side}/H{k}_essential"], diagrams.essential[k])
    assert not np.array_equal(arrays["found/H0"], arrays["reference/H0"])
    return path


def test_a_run_of_one_model_and_of_several_stops(todacomm, tmp_path):
    for models in (MODEL, f"{MODEL},tiny-postln-encoder"):
        shutil.rmtree(tmp_path / "experiments", ignore_errors=True)
        code, _, err = todacomm("run", "--models", models, *FEW)
        assert code != 0
        assert "layer_1: two engines differ in dimension 0" in one_line(err)
        assert not list(tmp_path.glob("experiments/*/runs/*"))
        if models == MODEL:
            assert evidence(tmp_path).name in err
        else:
            assert len(list(tmp_path.glob("experiments/engines_differ_*"))) == 2


def test_a_worker_sends_what_it_found(rng, tmp_path):
    address = Address("model", "texts", "layer_1")
    task = LayerTask({"layer_1": rng.normal(size=(30, 4))}, address, Recipe(), check=True)
    answer = measure_there(task, place=Place(None, None, numbers_from()))
    found = sent(answer.found)
    assert isinstance(found, Failure)
    told = found.kept_in(tmp_path).message
    assert evidence(tmp_path).name in told


def test_a_track_stops_at_each_checkpoint(todacomm, tmp_path):
    shutil.copytree(Path(shipped).parent / MODEL, tmp_path / "run" / "checkpoint-1")
    code, _, err = todacomm("track", tmp_path / "run", *FEW)
    assert code != 0
    assert "two engines differ" in err
    evidence(tmp_path)


def test_a_training_stops(tmp_path):
    plan = trained.experiment().plans[0]
    with pytest.raises(EngineDisagreement, match="two engines differ"):
        perform(tmp_path, plan)
    assert evidence(tmp_path).parent == tmp_path / "runs" / plan.name


@pytest.mark.parametrize("command", ["measure", "measure --output measured", "ablate --points all"])
def test_arrays_are_not_measured(todacomm, tmp_path, rng, command):
    np.save(tmp_path / "cloud.npy", rng.normal(size=(30, 4)))
    name, *options = command.split()
    code, _, err = todacomm(name, "cloud.npy", *options)
    assert code != 0
    assert evidence(tmp_path).name in err
    assert not (tmp_path / "measured").exists()


def test_the_error_travels_between_processes_with_its_arrays(tmp_path):
    problem = EngineDisagreement("two engines differ.", {"found/H0": np.ones((1, 2))})
    again = sent(problem)
    np.testing.assert_array_equal(again.arrays["found/H0"], problem.arrays["found/H0"])
    told = r"differ: its distances and both diagrams are in .*engines_differ_"
    with pytest.raises(EngineDisagreement, match=told), disagreements_kept(tmp_path):
        raise again
    (tmp_path / "file").write_text("")
    lost = r"differ\. Its diagrams are lost: cannot write"
    with pytest.raises(EngineDisagreement, match=lost), disagreements_kept(tmp_path / "file"):
        raise again
