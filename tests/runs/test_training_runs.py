"""Training experiments on disk: same bytes for one seed, however often stopped; failures are reported."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import trained
from todacomm.core.errors import CannotWrite, InvalidRecord, TooLarge
from todacomm.records.files.locks import alone_in
from todacomm.records.training import (
    PLAN,
    arrays_path,
    characters_of,
    frequencies,
    planned_runs,
    read_checkpoint,
    read_profile,
    read_run,
    read_weights,
    rows,
    sound_rows,
    write_state,
)
from todacomm.runs import training_runs
from todacomm.runs.training_experiment import Means, execute_grok
from todacomm.training.presets import RunPlan, settings_of
from todacomm.training.verdict import VERDICTS


def content(directory):
    """Every file of the runs, without the seconds they took."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and path.name != training_runs.DONE
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    done = trained.make(directory)
    assert not any(finished.complaint for finished in done)
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["0", "3", "9.line", "20", "31.line", "17.state"])
def test_a_run_that_was_killed_goes_on_to_the_same_bytes(moment, whole, tmp_path):
    script = Path(trained.__file__)
    done = subprocess.run([sys.executable, script, tmp_path, moment], check=False, capture_output=True)
    assert done.returncode == -9, done.stderr.decode()
    trained.make(tmp_path)
    assert content(tmp_path) == content(whole)


@pytest.mark.slow
def test_processes_give_the_bytes_of_one(whole, tmp_path):
    made = trained.experiment()
    training_runs.write_plan(tmp_path, made)
    done = list(training_runs.perform_all(tmp_path, made.plans, number=2))
    assert {finished.plan.name for finished in done} == {plan.name for plan in made.plans}
    assert content(tmp_path) == content(whole)


def test_what_was_written_is_read_again(whole):
    directory = whole / "runs" / "seed_46"
    course = read_run(directory).course
    assert course.steps == tuple(range(0, 301, 20))
    assert (course.kind, course.seed) == ("run", 46)
    assert course["train_accuracy"][-1] > course["train_accuracy"][0]
    profile = read_profile(directory)
    assert profile.along == "step"
    assert [m.address.step for m in profile.measurements] == list(course.steps)
    np.testing.assert_array_equal(profile["H1_max_lifetime"], course["embedding/sphere/H1_max_lifetime"])
    assert read_checkpoint(directory, 300).embedding_rows.shape == (23, 16)
    np.testing.assert_array_equal(
        read_checkpoint(directory, 300).embedding_rows, read_weights(directory)["embed.weight"]
    )
    assert read_checkpoint(directory, 0).spectrum.sum() == pytest.approx(1)
    assert len(frequencies(directory)[300]) == 5
    assert characters_of(directory)[0].order == 23


def test_measured_is_what_measure_gives(whole):
    """Everything after the cloud is the same code."""
    import todacomm as td

    directory = whole / "runs" / "seed_46"
    rows_ = read_checkpoint(directory, 300).embedding_rows
    expected = td.measure(rows_, scale="sphere", components=None, resamples=0, null_draws=0)
    for name in ("H0_total_persistence", "H1_max_lifetime", "H1_count"):
        assert read_profile(directory)[name][-1] == expected[name][0]


def test_another_seed_is_another_run(whole):
    first, second = (content(whole / "runs" / f"seed_{seed}")["records.jsonl"] for seed in (46, 47))
    assert first != second


def test_a_record_of_a_newer_schema_is_refused(whole, tmp_path):
    (tmp_path / "records.jsonl").write_text('{"schema": 9}\n')
    with pytest.raises(InvalidRecord, match=r"line 1 has schema 9; this todacomm reads schema 1"):
        list(rows(tmp_path))
    with pytest.raises(InvalidRecord, match="is missing"):
        list(rows(tmp_path / "nothing"))
    (tmp_path / "records.jsonl").write_text('{"schema"\n')
    with pytest.raises(InvalidRecord, match="line 1 cannot be read"):
        list(rows(tmp_path))


def doubled(lines):
    return [line for line in lines for _ in range(2)]


def interleaved(lines):
    return [*lines[:6], *lines[4:]]


def swapped(lines):
    return [*lines[:3], lines[4], lines[3], *lines[5:]]


def fractional(lines):
    return [*lines[:5], lines[5].replace('"step": 100', '"step": 100.5'), *lines[6:]]


def cut(lines):
    return [*lines[:5], lines[5][:40] + "\n", *lines[6:]]


@pytest.mark.parametrize(
    ("damage", "sound"), [(doubled, 0), (interleaved, 100), (swapped, 80), (fractional, 80), (cut, 80)]
)
def test_records_that_are_not_sound_are_refused_and_say_up_to_where_they_are(damage, sound, whole, tmp_path):
    place = tmp_path / "seed_46"
    shutil.copytree(whole / "runs" / "seed_46", place)
    lines = (place / "records.jsonl").read_text().splitlines(keepends=True)
    (place / "records.jsonl").write_text("".join(damage(lines)))
    with pytest.raises(InvalidRecord, match=rf"the same `todacomm grok`.*checkpoints to step {sound} are sound"):
        read_run(place)
    assert [row.step for row in sound_rows(place)][-1] == sound


@pytest.mark.parametrize("damage", [doubled, interleaved, cut])
def test_a_finished_run_whose_records_are_not_sound_is_made_again_to_the_same_bytes(damage, whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "runs" / "seed_46" / "records.jsonl"
    path.write_text("".join(damage(path.read_text().splitlines(keepends=True))))
    trained.make(tmp_path)
    assert content(tmp_path) == content(whole)


def another_number(directory):
    path = directory / "records.jsonl"
    path.write_text(path.read_text().replace('"train_loss": ', '"train_loss": 1', 1))


def another_bar(directory):
    path = directory / "checkpoints" / "step_00000300.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def another_seed(directory):
    path = directory / "run.json"
    path.write_text(path.read_text().replace('"seed": 46', '"seed": 45', 1))


def another_end(directory):
    path = directory / "finished.json"
    path.write_text(path.read_text().replace('"complaint": ""', '"complaint": "no"', 1))


@pytest.mark.parametrize("change", [another_number, another_bar, another_seed, another_end])
def test_a_finished_run_that_was_changed_is_not_shown_and_is_made_again(change, whole, tmp_path):
    shutil.copytree(whole, tmp_path, dirs_exist_ok=True)
    place = tmp_path / "runs" / "seed_46"
    change(place)
    with pytest.raises(InvalidRecord, match="is not as it was written"):
        (read_run(place).course, read_profile(place))
    trained.make(tmp_path)
    assert content(tmp_path) == content(whole)
    read_run(place)


def test_a_run_goes_on_from_a_state_only_where_every_checkpoint_up_to_it_is_there(whole, tmp_path):
    plan = trained.experiment().plans[0]
    place = tmp_path / "seed_46"
    shutil.copytree(whole / "runs" / "seed_46", place)
    assert training_runs.state_of(place, plan) is None
    write_state(place, 100, {"weight/embed.weight": np.ones((2, 2))})
    assert training_runs.state_of(place, plan)[0] == 100
    lines = (place / "records.jsonl").read_text().splitlines(keepends=True)
    for damage in (doubled, swapped, cut):
        (place / "records.jsonl").write_text("".join(damage(lines)))
        assert training_runs.state_of(place, plan) is None
    (place / "records.jsonl").write_text("".join(lines[:3] + lines[4:]))
    assert training_runs.state_of(place, plan) is None
    (place / "records.jsonl").write_text("".join(interleaved(lines)))  # sound up to the state
    assert training_runs.state_of(place, plan)[0] == 100
    (place / "state.safetensors").write_bytes(b"no state")
    assert training_runs.state_of(place, plan) is None


def new(parent, stem):
    directory = parent / f"{stem}_20260101_000000"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"schema": 1}', '{"schema": 9, "digest": 1}', None])
def test_a_damaged_plan_in_another_directory_blocks_no_experiment(damaged, tmp_path):
    other = tmp_path / "grok_add_p23_20250101_000000"
    other.mkdir()
    if damaged is None:
        (other / PLAN).mkdir()
    else:
        (other / PLAN).write_text(damaged)
    (tmp_path / "grok_add_p23_20250101_000001").write_text("a file of that name")
    made = trained.experiment()
    first, resumed = training_runs.directory_of(made, tmp_path, "grok_add_p23", new)
    assert not resumed
    assert training_runs.directory_of(made, tmp_path, "grok_add_p23", new) == (first, True)


def test_a_name_with_brackets_is_found_again(tmp_path):
    made = trained.experiment()
    first, _ = training_runs.directory_of(made, tmp_path, "mine[1]", new)
    assert training_runs.directory_of(made, tmp_path, "mine[1]", new) == (first, True)


def test_an_experiment_that_another_process_makes_is_refused(tmp_path):
    made = trained.experiment()
    directory, _ = training_runs.directory_of(made, tmp_path, "grok_add_p23", new)
    with (
        alone_in(directory),
        pytest.raises(CannotWrite, match=f"another process is making.*{directory.name}.*--name"),
    ):
        execute_grok(made, output_dir=str(tmp_path), means=Means(jobs=1))
    assert not (directory / "runs").exists()


def test_an_experiment_that_was_stopped_is_found_again(tmp_path):
    made = trained.experiment()
    first, resumed = training_runs.directory_of(made, tmp_path, "grok_add_p23", new)
    assert not resumed
    assert training_runs.directory_of(made, tmp_path, "grok_add_p23", new) == (first, True)
    (first / training_runs.SIGNATURE).write_text("{}")
    with pytest.raises(FileExistsError):  # a new one is made, of the same name in this test
        training_runs.directory_of(made, tmp_path, "grok_add_p23", new)


def test_a_loss_that_is_not_finite_keeps_what_was_measured(tmp_path):
    made = trained.experiment(seeds=(46,), learning_rate=1e30, warm_up=0)
    (done, *_) = training_runs.perform_all(tmp_path, made.plans, number=1)
    assert "no finite number any more by step 20" in done.complaint
    assert not done.failed
    assert read_run(tmp_path / "runs" / "seed_46").course.steps == (0,)
    assert training_runs.perform(tmp_path, made.plans[0]) == done.complaint  # finished: not made again


def test_what_does_not_fit_is_refused_before_the_start():
    made = trained.experiment(prime=9973, test_pairs=None)
    with pytest.raises(
        TooLarge, match="seed_46: 1 runs at a time need about .* TiB, and there are 4.0 GiB.*9973 logits"
    ):
        training_runs.check_memory(made, limit=2**32, at_once=1)
    assert training_runs.check_memory(trained.experiment(), limit=2**32, at_once=2) < 2**27


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peaks begin anew on Linux alone")
def test_the_estimate_of_memory_holds(tmp_path):
    """Measured in a process of its own, of a run whose logits and states are most of what it holds."""
    settings = settings_of("quick", {"prime": 197, "steps": 10, "every": 10, "test_pairs": None, "hidden": 512})
    script = f"""
import sys
sys.path.insert(0, {str(Path(trained.__file__).parent)!r})
from todacomm.training.presets import RunPlan
from todacomm.runs import training_runs as laboratory; from todacomm.core import memory
import trained
from pathlib import Path
settings = {{**trained.experiment().base, "steps": 10, "every": 10}}
laboratory.perform(Path({str(tmp_path)!r}), RunPlan("small", "run", 46, settings))
before = memory.resident()
Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew: compiling took more
laboratory.perform(Path({str(tmp_path)!r}), RunPlan("large", "run", 46, {settings!r}))
print(memory.peak() - before)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    from todacomm.training.presets import memory_of

    taken, expected = int(done.stdout.split()[-1]), memory_of(settings)
    assert 0.5 < taken / expected < 1.2


def test_the_plan_is_read_again(whole):
    (cell,) = planned_runs(whole).values()
    assert [RunPlan(run.name, run.kind, run.seed, run.settings) for run in cell] == trained.experiment().plans
    record = json.loads((whole / PLAN).read_text())
    assert record["digest"] == trained.experiment().digest


def test_arrays_of_a_checkpoint_hold_every_diagram(whole):
    from todacomm.records.files.io import read_arrays

    names = set(read_arrays(arrays_path(whole / "runs" / "seed_46", 20)))
    assert {"embedding/sphere/H1", "embedding/raw/H0", "layer_1/sphere/H1", "embedding_rows", "spectrum"} <= names


@pytest.mark.slow
def test_the_library_gives_a_course_and_its_signature(whole):
    from todacomm import grokking

    shape = grokking.Shape(width=16, hidden=32, layers=2)
    task = grokking.Task(prime=23, train_fraction=0.5)
    training = grokking.Training(shape=shape, steps=300, batch=64, every=20, learning_rate=1e-2)
    found = grokking.course(task, training, grokking.Measured(40, 100, 46))
    expected = read_run(whole / "runs" / "seed_46").course
    for name in ("test_accuracy", "embedding/sphere/H1_max_lifetime", "local_dimension"):
        np.testing.assert_array_equal(found[name], expected[name])
    controls = [grokking.course(task, training, kind="control", weight_decay=0.0, seed=seed) for seed in (1, 2)]
    signed = grokking.signature([found], controls=controls)
    assert signed.verdict in VERDICTS
    assert signed.band.controls == 2
