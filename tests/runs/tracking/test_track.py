"""Whole tracks of tiny models: as single runs, resumed, repeated and broken checkpoints, the hub, bare weights."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import todacomm as td
from a_hub import served
from checkpoints import SETTINGS, bare, train, write_texts
from small_studies import RECORDS
from todacomm.models.names import resolve
from todacomm.records.runs import read_record
from todacomm.records.tracks import TRACK_RECORD
from todacomm.runs.config import Study
from todacomm.runs.run_study import execute
from todacomm.runs.tracking.identity import fetched, identity_of
from todacomm.runs.tracking.track import Asked, execute_track, plan_of_track

pytestmark = pytest.mark.slow
STEPS = (0, 2, 4, 6, 8, 10)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Six checkpoints, their tokenizer in the folder above; a texts file."""
    place = tmp_path_factory.mktemp("training")
    write_texts(place / "texts.txt")
    train(place / "run", STEPS, words_above=True)
    return place


@pytest.fixture
def study(place, tmp_path, no_figures):
    places = {"datasets": (str(place / "texts.txt"),), "output_dir": str(tmp_path / "out")}
    return Study(models=("x",), pooling=("mean",), **places, **SETTINGS)


def summaries(directory):
    return {
        run.name: {name: (run / name).read_bytes() for name in RECORDS} for run in sorted(directory.glob("runs/run_*"))
    }


def test_a_track_is_as_many_single_runs_byte_for_byte(place, study, tmp_path):
    made = execute_track(Asked((str(place / "run"),)), study)
    of_track = summaries(made.directory)
    assert len(of_track) == len(STEPS)
    for i, step in enumerate(STEPS):
        alone = study.but(
            models=(str(place / "run" / f"checkpoint-{step}"),), tokenizer=str(place / "run"), cache=False,
            output_dir=str(tmp_path / "alone"),
        )  # fmt: skip
        [single] = execute(alone).experiments
        assert summaries(single)["run_0"] == of_track[f"run_{i}"]
    record = TRACK_RECORD.read(made.directory)
    assert record.finished
    assert [(one.step, one.run) for one in record.checkpoints] == [(s, f"runs/run_{i}") for i, s in enumerate(STEPS)]
    trajectory = td.load(made.directory)
    assert trajectory.steps == STEPS
    assert trajectory["scale"].shape == (6, len(trajectory.layers))
    assert trajectory.of_model["bits_per_byte"].shape == (6,)


def test_identical_and_broken_checkpoints_are_told(todacomm, place, tmp_path, no_figures):
    folder = tmp_path / "some"
    for step in (0, 4, 8):
        shutil.copytree(place / "run" / f"checkpoint-{step}", folder / f"checkpoint-{step}")
    shutil.copytree(folder / "checkpoint-4", folder / "checkpoint-6")
    config = json.loads((folder / "checkpoint-6" / "config.json").read_text(encoding="utf-8"))
    (folder / "checkpoint-6" / "config.json").write_text(json.dumps({**config, "transformers_version": "0"}))
    (folder / "checkpoint-7").mkdir()
    (folder / "checkpoint-7" / "config.json").write_text('{"model_type":', encoding="utf-8")
    arguments = ["track", folder, "--tokenizer", place / "run", "--dataset", place / "texts.txt", "--pooling", "mean",
                 "--resamples", "20", "--null-draws", "0"]  # fmt: skip
    code, _, err = todacomm(*arguments)
    assert code == 1
    assert "checkpoint-7: " in err
    assert "is no JSON" in err
    [directory] = Path("experiments").glob("some_track_*")
    record = TRACK_RECORD.read(directory)
    told = {one.step: (one.run, one.same_as, bool(one.failure)) for one in record.checkpoints}
    assert told == {
        0: ("runs/run_0", "", False),
        4: ("runs/run_1", "", False),
        6: ("runs/run_1", "checkpoint-4", False),
        7: ("", "", True),
        8: ("runs/run_2", "", False),
    }
    page = (directory / "track.md").read_text(encoding="utf-8")
    assert "Checkpoints with the same weights, measured once: checkpoint-6 is checkpoint-4." in page
    assert todacomm("report", directory)[0] == 0
    assert (directory / "track.md").read_text(encoding="utf-8") == page
    parts = [fetched(resolve(str(folder / f"checkpoint-{step}"))) for step in (0, 4)]
    assert identity_of("same", parts[0]) == identity_of("same", parts[1]) != identity_of("other", parts[0])


STOPPED = """
import os
from todacomm.runs.tracking import track
from todacomm.runs.config import Study

write, met = track.write_run, []


def stopping(*arguments):
    met.append(1)
    if len(met) == {after} + 1:
        os._exit(9)
    found = write(*arguments)
    if len(met) == {after} and {late}:
        os._exit(9)
    return found


track.write_run = stopping
track.execute_track(track.Asked(({source!r},)), Study(**{settings!r}), command="todacomm track")
"""


@pytest.mark.parametrize("late", [False, True], ids=["before a run", "between a run and the record"])
def test_a_killed_track_goes_on_to_the_same_bytes(place, study, tmp_path, late):
    settings = {key: value for key, value in dict(study).items() if key in {*SETTINGS, "models", "datasets", "pooling"}}
    source = str(place / "run")
    whole = execute_track(Asked((source,)), study.but(output_dir=str(tmp_path / "whole")), command="todacomm track")
    settings["output_dir"] = str(tmp_path / "killed")
    text = STOPPED.format(after=3, late=late, source=source, settings=settings)
    assert subprocess.run([sys.executable, "-c", text], check=False).returncode == 9
    [left] = (tmp_path / "killed").glob("run_track_*")
    before = TRACK_RECORD.read(left)
    assert not before.finished
    assert sum(bool(one.run) for one in before.checkpoints) == 3 - late
    again = execute_track(Asked((source,)), Study(**settings), command="todacomm track")
    assert again.directory == left
    assert summaries(left) == summaries(whole.directory)
    assert (left / "track.json").read_bytes() == (whole.directory / "track.json").read_bytes()
    assert execute_track(Asked((source,)), Study(**settings)).directory != left


def test_two_trainings_are_set_beside_each_other(place, study):
    other = train(place / "other", (0, 4, 8), seed=3, words_above=True)
    made = execute_track(Asked((str(place / "run"), f"{other}=second")), study)
    [parted] = made.found.parted
    assert (parted.first, parted.second, parted.how) == ("run", "second", "paired")
    assert parted.partings[0].steps == (0, 4, 8)
    assert [one.layer for one in parted.partings] == list(made.found.series[0].trajectory.layers)
    assert "run and second" in (made.directory / "track.md").read_text(encoding="utf-8")
    assert [one.name for one in td.load(made.directory)] == ["run", "second"]


def test_weights_alone_take_their_configuration(place, study, tmp_path):
    whole = train(tmp_path / "whole", (0, 4))
    weights, config = bare(whole, tmp_path / "weights")
    made = execute_track(Asked((str(weights),), config=config), study)
    of_files = summaries(made.directory)
    assert [one.location for one in made.found.record.checkpoints] == [str(weights)] * 2
    alone = execute_track(Asked((str(whole),)), study)
    assert summaries(alone.directory) == of_files
    manifest = read_record(made.directory / "runs" / "run_1").manifest
    assert "todacomm_track" not in json.dumps(manifest)


def test_a_track_is_planned_without_being_made(place, study, todacomm):
    found = plan_of_track(Asked((str(place / "run"),)), study)
    assert [job.model for job in found.jobs] == [f"checkpoint-{step}" for step in STEPS]
    assert found.jobs[0].seconds == found.jobs[5].seconds > 0
    code, out, _ = todacomm("plan", place / "run", "--dataset", place / "texts.txt", "--samples", "30", "--json")
    assert code == 0
    assert len(json.loads(out)["jobs"]) == 6
    assert not Path("experiments").exists()


def test_hub_revisions_are_taken_off_the_disk_again(place, tmp_path):
    """Through huggingface_hub itself, in a process of its own, from a server that speaks as the hub does."""
    with served({step: place / "run" / f"checkpoint-{step[4:]}" for step in ("step0", "step4")}, place / "run") as hub:
        environment = {
            **os.environ, "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
            "TODACOMM_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0",
        }  # fmt: skip
        command = [
            sys.executable, "-m", "todacomm", "track", "some/model", "--revisions", "all", "--keep", "none",
            "--dataset", str(place / "texts.txt"), "--pooling", "mean", "--resamples", "0", "--null-draws", "0",
        ]  # fmt: skip
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    [directory] = (tmp_path / "experiments").glob("model_track_*")
    record = TRACK_RECORD.read(directory)
    assert [(one.name, one.revision, one.run) for one in record.checkpoints] == [
        ("model@step0", "step0", "runs/run_0"),
        ("model@step4", "step4", "runs/run_1"),
    ]
    assert all(f"/some/model/resolve/{step}/model.safetensors" in hub.asked for step in ("step0", "step4"))
    assert "/api/models/some/model/refs" in hub.asked
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file() and path.stat().st_size > 10_000]
    assert left == []
