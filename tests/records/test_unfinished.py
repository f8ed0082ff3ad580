"""What is unfinished: of one writer, never in the way of a user or of another process, and gone once its writer is."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from stored import profile_of, write_experiment
from todacomm.cli.terminal import ending
from todacomm.core.errors import CannotWrite, UnknownName
from todacomm.records.files.io import write_atomically
from todacomm.records.files.result_directories import check_name, check_new, in_part, new_directory, reserved, writable
from todacomm.records.files.unfinished import own_directory, sweep, unfinished
from todacomm.report.document.figure_parts import save
from todacomm.runs.locate import find

WRITER = """
import os, sys
from pathlib import Path
from todacomm.runs.locate import find
from todacomm.records.files.unfinished import own_directory, hold, unfinished
with own_directory(Path(sys.argv[1]) / "model_20260101_000000" / "runs" / "run_0") as part:
    (part / "manifest.json").write_text("{}")
    file = unfinished(Path(sys.argv[1]) / "report.html").open("xb")
    hold(file.fileno())
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def writer(tmp_path):
    """Another process that is in the middle of writing a run and a file."""
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdin=-1, stdout=-1, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def parts(directory):
    return sorted(path for path in directory.rglob("*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="nothing is swept without locks")
def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(tmp_path, writer):
    mine = tmp_path / "keep.part"
    mine.mkdir()
    (mine / "thesis.txt").write_text("mine")
    assert len(parts(tmp_path)) == 3
    writable(tmp_path)
    assert len(parts(tmp_path)) == 3, "it is alive"
    writer.kill()
    writer.wait()
    writable(tmp_path)
    assert parts(tmp_path) == [mine]
    assert (mine / "thesis.txt").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [mine], "and the directory that is empty now"


def test_a_directory_of_a_user_beside_a_result_stays(todacomm, tmp_path):
    np.save(tmp_path / "c.npy", np.random.default_rng(0).normal(size=(9, 3)))
    for name in ("keep.part", "keep.abc.part", f"keep.{'0' * 31}.part", f"{'0' * 32}.part"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "thesis.txt").write_text("mine")
    before = parts(tmp_path)
    assert todacomm("measure", "c.npy", "--resamples", 0, "--null-draws", 0, "--output", "keep")[0] == 0
    assert parts(tmp_path) == before
    assert (tmp_path / "keep" / "manifest.json").exists()


def test_of_two_writers_of_one_name_the_first_is_kept_whole_and_the_second_is_told(tmp_path):
    def late():
        with in_part(tmp_path / "out") as one:
            (one / "a").write_text("first")
            with in_part(tmp_path / "out") as other:
                assert other != one
                (other / "a").write_text("second")

    with pytest.raises(CannotWrite, match="another process has filled it"):
        late()
    assert (tmp_path / "out" / "a").read_text() == "second"
    assert not parts(tmp_path)


def test_a_reserved_name_is_filled_or_free_again(tmp_path):
    directory = new_directory(tmp_path, "some")
    with reserved(directory), in_part(directory) as part:
        (part / "a").touch()
    assert (directory / "a").exists()
    other = new_directory(tmp_path, "some")
    with pytest.raises(ZeroDivisionError), reserved(other), in_part(other):
        raise ZeroDivisionError
    assert not other.exists()


def test_many_may_look_whether_a_directory_can_be_written(tmp_path):
    outside = tmp_path / "outside"
    place = tmp_path / "place"
    place.mkdir()
    (place / ".todacomm_probe").symlink_to(outside)
    problems = []

    def look():
        try:
            for _ in range(50):
                writable(place)
        except CannotWrite as problem:
            problems.append(problem)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not problems
    assert not outside.exists()
    assert [path.name for path in place.iterdir()] == [".todacomm_probe"]


@pytest.mark.parametrize("name", ["x" * 256, "é" * 128, "a" * 240, "x\0y"])
def test_a_name_that_no_directory_can_have_is_refused_before_any_work(tmp_path, name):
    with pytest.raises(CannotWrite, match="too long|U\\+0000"):
        check_name(name)
    if len(os.fsencode(name)) > 255 or "\0" in name:
        with pytest.raises(CannotWrite):
            check_new(tmp_path / name)
        with pytest.raises(CannotWrite):
            write_atomically(tmp_path / name, "")
    with pytest.raises(CannotWrite):
        new_directory(tmp_path, name)


def test_a_long_name_that_a_file_can_have_is_written(tmp_path):
    path = tmp_path / ("é" * 120 + "x" * 15)
    assert write_atomically(path, "\udcff").read_bytes() == rb"\udcff"
    with in_part(tmp_path / ("y" * 255)) as part:
        (part / "a").touch()
    assert (tmp_path / ("y" * 255) / "a").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("measure", "c.npy", "--output", "x" * 256),
        ("ablate", "c.npy", "--output", "x" * 256),
        ("compare", "a", "b", "--output", "x" * 256),
        ("run", "--model", "tiny-preln-decoder", "--samples", 10, "--output", "x" * 256),
        ("run", "--model", "tiny-preln-decoder", "--samples", 10, "--dataset", "x" * 256 + ".txt"),
        ("show", "x" * 256),
        ("report", "x" * 256),
        ("measure", "x" * 256 + ".npy"),
        ("measure", "c.npy/x.npy"),
        ("run", "--config", "x" * 256 + ".yaml"),
        ("init", "x" * 256 + ".yaml"),
    ],
)
def test_a_name_that_is_too_long_is_a_message(todacomm, tmp_path, arguments):
    np.save(tmp_path / "c.npy", np.random.default_rng(0).normal(size=(30, 3)))
    code, _, err = todacomm(*arguments)
    assert code == 2
    assert err.lstrip().startswith("error: ")
    assert "Nobody foresaw" not in err


def test_only_what_has_finished_a_run_has_a_name(tmp_path):
    def meant(name):
        return find([name], tmp_path)[0].directory.name

    write_experiment(tmp_path / "a_tda_20260101_000000", [profile_of("a", 0)])
    assert meant("a") == "a_tda_20260101_000000"
    later = tmp_path / "a_tda_20260102_000000" / "runs"
    later.mkdir(parents=True)
    (later / f"run_0.{'0' * 32}.part").mkdir()
    assert meant("a") == "a_tda_20260101_000000"
    (tmp_path / "b_tda_20260101_000000" / "runs").mkdir(parents=True)
    with pytest.raises(UnknownName):
        meant("b")


def test_a_figure_that_cannot_be_drawn_leaves_the_one_before(tmp_path, monkeypatch):
    path = save(Figure(figsize=(1, 1)), tmp_path / "a.png")
    before = path.read_bytes()

    def broken(figure, target, **_):
        target.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Figure, "savefig", broken)
    with pytest.raises(KeyboardInterrupt):
        save(Figure(figsize=(1, 1)), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_written_is_on_the_disk_before_it_has_its_name(tmp_path, monkeypatch):
    synced, replace = [], Path.replace
    monkeypatch.setattr("os.fsync", lambda number: synced.append(os.fstat(number).st_size))
    monkeypatch.setattr(Path, "replace", lambda part, path: (synced.append(path.name), replace(part, path)))
    write_atomically(tmp_path / "a", "four")
    assert synced == [4, "a"]


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGINT", 130)])
def test_signals_that_end_a_program_take_the_path_of_ctrl_c(tmp_path, capsys, name, code):
    before = signal.getsignal(getattr(signal, name))

    def work(_):
        with own_directory(tmp_path / "out") as part:
            (part / "a").touch()
            signal.raise_signal(getattr(signal, name))
        raise AssertionError("the signal did not come")

    assert ending.exit_code(work, []) == code
    assert "interrupted: what was finished stays" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert signal.getsignal(getattr(signal, name)) is before


def test_a_signal_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
    try:
        assert ending.exit_code(lambda _: signal.raise_signal(signal.SIGHUP), []) == 0
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_link_that_looks_like_ours_is_left_alone(tmp_path):
    target = tmp_path / "thesis"
    target.mkdir()
    (target / "text").touch()
    link = unfinished(tmp_path / "out")
    link.symlink_to(target)
    sweep(tmp_path.glob("*.part"))
    assert (link / "text").exists()
