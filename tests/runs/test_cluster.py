"""A real scheduler and real workers in processes, and what happens when one of them, or we, are killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

import killed
from small_studies import DECODER, SEVERAL, made_by_one_process, manifests, one_line, records
from todacomm.core.errors import ClusterUnavailable
from todacomm.core.parallel import LostTask, pool
from todacomm.runs.config_files import dump_study
from todacomm.runs.run_study import execute

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_figures")]  # of this process; workers draw theirs
TESTS = str(Path(__file__).parents[1])


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The records of the study as this process alone makes them."""
    with pytest.MonkeyPatch.context() as patch:
        return made_by_one_process(tmp_path_factory.mktemp("local"), patch)


@contextlib.contextmanager
def running(command, place, **environment):
    """A program that is ended with the test; it finds the modules of the tests."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([TESTS, os.environ.get("PYTHONPATH", "")]), **environment}
    with (place / "log.txt").open("a") as log:
        process = subprocess.Popen(command, cwd=place, stderr=log, stdout=log, env=env)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def dask(part, *options):
    return [sys.executable, "-m", f"distributed.cli.dask_{part}", "--no-dashboard", *map(str, options)]


@contextlib.contextmanager
def cluster(place, *, workers=2, options=()):
    """A scheduler and workers, each a process of its own; gives the scheduler's file and the processes."""
    from distributed import Client

    file = place / "scheduler.json"
    with contextlib.ExitStack() as stack:
        scheduler = stack.enter_context(
            running(dask("scheduler", "--port", 0, "--host", "127.0.0.1", "--scheduler-file", file), place)
        )
        until(file.is_file, scheduler)
        command = dask("worker", "--scheduler-file", file, "--nthreads", 1, *options)
        started = [stack.enter_context(running(command, place)) for _ in range(workers)]
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            until(lambda: len(client.nthreads()) == workers, scheduler, *started)
        yield file, scheduler, started


def until(condition, *processes):
    """Wait, however busy the machine is, for as long as those who bring it about are alive."""
    while not condition():
        assert all(process.poll() is None for process in processes), "it has ended before"
        time.sleep(0.05)


def address(file):
    return json.loads(file.read_text(encoding="utf-8"))["address"]


def test_a_cluster_of_two_workers_gives_equal_bytes(tmp_path, local, cache_place):
    with cluster(tmp_path) as (file, _, _):
        found = execute(SEVERAL.but(scheduler=address(file), output_dir=str(tmp_path / "shared")))
        assert records(found) == local
        assert len(list(cache_place.glob("activations/*/*"))) == 4
        again = execute(SEVERAL.but(scheduler=str(file), scale="median", output_dir=str(tmp_path / "again")))
        assert all(m["from_cache"]["activations"] for m in manifests(again))
        apart = execute(SEVERAL.but(scheduler=str(file), cache=False, output_dir=str(tmp_path / "apart")))
        assert records(apart) == local


def test_workers_that_do_not_see_the_cache_send_their_arrays(tmp_path, local, monkeypatch, cache_place):
    @contextlib.contextmanager
    def blind(*arguments, **settings):
        with pool(*arguments, **settings) as workers:
            assert workers.sees(str(tmp_path))
            assert not workers.sees(str(tmp_path / "nowhere"))
            yield replace(workers, sees=lambda _: False)

    monkeypatch.setattr("todacomm.runs.run_study.pool", blind)
    said = []
    with cluster(tmp_path) as (file, _, _):
        study = SEVERAL.but(scheduler=str(file), output_dir=str(tmp_path / "out"))
        assert records(execute(study, say=said.append)) == local
        assert "the workers do not see the cache: activations travel through this process" in said
        assert len(list(cache_place.glob("activations/*/*"))) == 4, "kept by this process instead"
        again = execute(study.but(output_dir=str(tmp_path / "again")))
    assert records(again) == local
    assert [m["from_cache"] for m in manifests(again)] == [{"activations": True, "layers": list(SEVERAL.layers)}] * 4


def written(path, **settings):
    """A study file."""
    path.write_text(dump_study(SEVERAL.but(**settings), version="test"), encoding="utf-8")
    return [sys.executable, killed.__file__, str(path)]


def test_a_killed_worker_costs_its_job_and_not_the_study(tmp_path, local):
    victim = tmp_path / "victim"
    with cluster(tmp_path, options=("--no-nanny", "--preload", killed.preload(victim))) as (file, _, workers):
        command = written(tmp_path / "study.yaml", scheduler=str(file), output_dir=str(tmp_path / "out"))
        with running(command, tmp_path) as study:
            until(lambda: victim.is_file() and victim.read_text(), study)
            worker = next(worker for worker in workers if worker.pid == int(victim.read_text()))
            worker.kill()
            assert study.wait() == 0
    assert records(sorted((tmp_path / "out").glob("tiny*"))) == local


def test_a_task_that_kills_every_worker_is_lost_alone_on_a_cluster_too(tmp_path):
    for number in (2, 1):
        place = tmp_path / str(number)
        place.mkdir()
        with cluster(place, workers=number) as (file, _, _), pool("dask", scheduler=str(file)) as workers:
            found = dict(workers.each(killed.Always(1), range(4)))
        assert isinstance(found.pop(1), LostTask)
        assert found == {0: 0, 2: 4, 3: 9}


def test_a_scheduler_that_is_lost_is_told(tmp_path):
    with cluster(tmp_path) as (file, scheduler, _), pool("dask", scheduler=str(file)) as workers:
        arrived = workers.each(killed.slowly, range(100))
        next(arrived)
        scheduler.send_signal(signal.SIGKILL)
        with pytest.raises(ClusterUnavailable, match="was lost. What was finished is kept: run again to go on"):
            list(arrived)


def test_a_scheduler_without_workers_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("todacomm.core.parallel.FIRST_WORKER", 1)
    with (
        cluster(tmp_path, workers=0) as (file, _, _),
        pytest.raises(ClusterUnavailable, match="has no workers. Start some: dask worker"),
        pool("auto", scheduler=str(file)),
    ):
        pass


def test_a_scheduler_that_does_not_answer_is_told(tmp_path):
    command = ["run", "--model", DECODER, "--samples", "10", "--scheduler", "tcp://127.0.0.1:1"]
    done = subprocess.run(
        [sys.executable, "-m", "todacomm", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no scheduler answers at tcp://127.0.0.1:1" in one_line(done.stderr)
    assert "Traceback" not in done.stderr


# The program itself


def test_a_study_that_was_killed_goes_on_at_the_layer_where_it_was(tmp_path, cache_place, local):
    def kept():
        return {path: path.stat().st_ino for path in cache_place.glob("measurements/*/*.safetensors")}

    settings = {"models": (DECODER,), "jobs": 1, "output_dir": str(tmp_path / "out")}
    with running([*written(tmp_path / "study.yaml", **settings), "layer_4"], tmp_path) as study:
        until(lambda: len(kept()) == 2, study)
        study.kill()
    finished = kept()
    assert len(finished) == 2
    assert not list(tmp_path.glob("out/*/runs/*"))
    found = execute(SEVERAL.but(**settings))
    assert records(found) == {key: value for key, value in local.items() if key[0] == DECODER}
    assert [m["from_cache"] for m in manifests(found)] == [
        {"activations": True, "layers": ["embedding", "layer_1"]},
        {"activations": False, "layers": []},
    ]
    assert kept().items() >= finished.items(), "an entry that is written again is another file"


def test_processes_end_with_the_program_that_started_them(tmp_path, cache_place):
    import psutil

    command = written(tmp_path / "study.yaml", backend="loky", jobs=2, output_dir=str(tmp_path / "out"))
    with running(command, tmp_path) as study:
        until(lambda: list(cache_place.glob("activations/*/*")), study)
        children = psutil.Process(study.pid).children(recursive=True)
        assert len(children) >= 2
        study.kill()
        until(lambda: not any(child.is_running() for child in children))
