"""Jobs: what would be done, who does it, and what happens when a worker, a scheduler or the program itself is killed."""

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
import todacomm as td
from todacomm import jobs, remote
from todacomm.errors import ClusterUnavailable, InvalidInput, MissingExtra
from todacomm.execution import execute
from todacomm.study import Study, dump_study
from todacomm.workers import Lost, Pool, in_threads, one_thread, pool

TESTS = str(Path(__file__).parent)
DECODER, ENCODER = "tiny-preln-decoder", "tiny-postln-encoder"
RECORDS = ("tda_summaries.json", "metrics.json", "diagrams.safetensors")
SMALL = Study(
    models=(DECODER, ENCODER), samples=12, pooling=("mean", "last"), layers=("embedding", "layer_1", "layer_4")
)


def one_line(text):
    return " ".join(text.split())


@pytest.fixture(autouse=True)
def no_figures(monkeypatch):
    """Figures are drawn by this process, whoever does the jobs."""
    monkeypatch.setattr("todacomm.execution.write_figures", lambda *_: [])


def records(outcome):
    """The bytes of every record of a study, or of experiments, by model, run and name."""
    assert not [failure.details for failure in getattr(outcome, "failures", {}).values()]
    return {
        (experiment.name.split("_tda_")[0], run.name, name): (run / name).read_bytes()
        for experiment in getattr(outcome, "experiments", outcome)
        for run in sorted((experiment / "runs").iterdir())
        for name in RECORDS
    }


def manifests(outcome):
    paths = (path for experiment in outcome.experiments for path in sorted(experiment.glob("runs/*/manifest.json")))
    return [json.loads(path.read_text(encoding="utf-8")) for path in paths]


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The records of the study as this process alone makes them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.execution.write_figures", lambda *_: [])
        return records(execute(SMALL.but(cache=False, output_dir=str(tmp_path_factory.mktemp("local")))))


# What would be done


def test_the_jobs_of_a_study_are_known_before_any_model_is_loaded(monkeypatch):
    monkeypatch.setattr("todacomm.loading.load_model", None)
    found = jobs.jobs_of(SMALL.but(datasets=("wikitext2", "squad")))
    assert [str(job) for job in found] == [
        f"{model}: {dataset}, pooling {pooling}"
        for model in (DECODER, ENCODER)
        for dataset in ("wikitext2", "squad")
        for pooling in ("mean", "last")
    ]
    assert {len(job.texts) for job in found} == {12}
    assert found[0].study.models == (DECODER,)
    assert found[0].study.layers == SMALL.layers
    assert jobs.jobs_of(SMALL.but(pooling=None))[0].pooling is None


# Threads


def test_threads_keep_the_order_and_give_back_the_threads_of_linear_algebra():
    from threadpoolctl import threadpool_info, threadpool_limits

    def threads(_=None):
        return {i["num_threads"] for i in threadpool_info() if i["user_api"] == "blas"}

    with threadpool_limits(2, user_api="blas"):
        assert threads() == {2}
        for number in (1, 3):
            assert list(in_threads(lambda i: (i, threads()), range(7), number=number)) == [(i, {1}) for i in range(7)]
            assert threads() == {2}
        with one_thread, one_thread:
            assert threads() == {1}
        assert threads() == {2}


def test_threads_pass_on_an_error():
    with pytest.raises(ZeroDivisionError):
        list(in_threads(lambda i: 1 // (i - 3), range(6), number=2))


def test_one_thread_or_many_give_equal_bytes(tmp_path, local):
    for number in (1, 3):
        study = SMALL.but(models=(DECODER,), pooling=("mean",), jobs=number, cache=False)
        found = records(execute(study.but(output_dir=str(tmp_path / str(number)))))
        assert found.items() <= local.items()
        assert len(found) == 3


def test_a_model_stays_in_the_process_for_the_jobs_of_one_model(tmp_path, monkeypatch):
    from todacomm import loading

    real, loads = loading.load_model, []

    def counted(source, **settings):
        loads.append(source.name)
        return real(source, **settings)

    monkeypatch.setattr(loading, "load_model", counted)
    execute(SMALL.but(cache=False, output_dir=str(tmp_path)))
    assert loads == [DECODER, ENCODER]
    assert not jobs._HELD


# Options that do not go together


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--backend", "dask"), "--backend dask needs --scheduler tcp://host:port"),
        (("--backend", "loky", "--scheduler", "tcp://a:1"), "--scheduler is dask's, and --backend loky has none"),
        (("--jobs", "3", "--scheduler", "tcp://a:1"), "--jobs 3: a scheduler knows its own workers"),
        (("--jobs", "0"), "--jobs 0: expected auto or a number of layers or processes at a time"),
        (("--backend", "dusk"), "backend: expected 'auto', 'threading', 'loky' or 'dask', found 'dusk'"),
        (("--scheduler", "none.json"), "there is no scheduler file none.json"),
    ],
)
def test_options_that_do_not_go_together_are_told_before_any_work(todacomm, arguments, message):
    code, _, err = todacomm("run", "--model", DECODER, "--samples", 10, *arguments)
    assert code == 2
    assert message in one_line(err)
    assert not list(Path("experiments").glob("*"))


def test_a_scheduler_needs_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with (
        pytest.raises(MissingExtra, match=r"--scheduler needs distributed.*\.\[cluster\]"),
        pool("auto", scheduler="tcp://127.0.0.1:1"),
    ):
        pass


def test_settings_of_other_processes_do_nothing_for_run():
    with pytest.raises(td.TodacommError, match="scheduler: run"):
        td.run(DECODER, scheduler="tcp://127.0.0.1:1")
    with pytest.raises(td.TodacommError, match="backend: run"):
        td.run(DECODER, backend="loky")


def test_a_worker_with_other_numbers_is_refused():
    place = remote.Place(None, None, {**remote.numbers_from(), "torch": "0.1", "numpy": "0.2"})
    answer = remote.read_there(jobs.jobs_of(SMALL)[0], place=place)
    assert "numpy" in answer.found.message
    assert f"torch {remote.numbers_from()['torch']} (expected 0.1)" in answer.found.message
    assert "install there what is installed here" in answer.found.message
    with pytest.raises(InvalidInput):
        place.check()


# Processes of this machine


@pytest.mark.slow
def test_processes_give_equal_bytes(tmp_path, local):
    found = execute(SMALL.but(backend="loky", jobs=2, output_dir=str(tmp_path)))
    assert records(found) == local
    assert [m["from_cache"]["activations"] for m in manifests(found)] == [False] * 4
    assert len(list(tmp_path.glob("*/runs/*/visualizations/*.png"))) == 4 * 5, "drawn by the processes"


@pytest.mark.slow
def test_without_a_cache_the_arrays_travel(tmp_path, local, cache_place):
    found = execute(SMALL.but(backend="loky", jobs=2, cache=False, output_dir=str(tmp_path)))
    assert records(found) == local
    assert not cache_place.exists()


@pytest.mark.slow
def test_a_job_that_fails_in_a_process_is_told_and_the_others_are_done(todacomm, tmp_path, local):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    arguments = ("--samples", 12, "--pool", "mean,last", "--layers", "embedding,layer_1,layer_4", "--jobs", 2)
    code, _, err = todacomm("run", "--models", f"./broken,{ENCODER}", *arguments, "--backend", "loky", "--quiet")
    assert code == 1
    assert one_line(err).count("failed: broken:") == 1
    (experiment,) = Path("experiments").glob(f"{ENCODER}*")
    for run in ("run_0", "run_1"):
        assert (experiment / "runs" / run / "tda_summaries.json").read_bytes() == local[
            ENCODER, run, "tda_summaries.json"
        ]
    (comparison,) = Path("experiments").glob("comparison_*/comparison.json")
    assert "Traceback" in json.loads(comparison.read_text(encoding="utf-8"))["failures"]["broken"]["details"]


@pytest.mark.slow
def test_what_a_killed_process_had_in_hand_is_done_again(tmp_path):
    with pool("loky", number=2) as workers:
        assert dict(workers.each(killed.Once(tmp_path, 3), range(8))) == {i: i * i for i in range(8)}
    assert (tmp_path / "3").exists()


@pytest.mark.slow
def test_a_task_that_kills_every_process_is_lost_alone():
    with pool("loky", number=2) as workers:
        found = dict(workers.each(killed.Always(2), range(6)))
    assert isinstance(found.pop(2), Lost)
    assert found == {i: i * i for i in (0, 1, 3, 4, 5)}


@pytest.mark.slow
def test_a_lost_job_is_named_and_the_others_are_done(tmp_path, monkeypatch):
    each = Pool.each

    def losing(self, function, tasks):
        for place, found in each(self, function, tasks):
            yield place, Lost("killed by the system.") if getattr(tasks[place], "pooling", "") == "last" else found

    monkeypatch.setattr(Pool, "each", losing)
    found = execute(SMALL.but(models=(DECODER,), backend="loky", jobs=2, output_dir=str(tmp_path)))
    (failed,) = found.failures.items()
    assert failed[0] == f"{DECODER}: wikitext2, pooling last"
    assert failed[1].message.startswith("its worker was killed each time that it was tried (killed by the system).")
    assert [profile.recipe.pooling for profile in found.profiles] == ["mean"]


# A cluster


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
        until(file.is_file)
        command = dask("worker", "--scheduler-file", file, "--nthreads", 1, *options)
        started = [stack.enter_context(running(command, place)) for _ in range(workers)]
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            until(lambda: len(client.nthreads()) == workers)
        yield file, scheduler, started


def until(condition, seconds=180):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def address(file):
    return json.loads(file.read_text(encoding="utf-8"))["address"]


@pytest.mark.slow
def test_a_cluster_of_two_workers_gives_equal_bytes(tmp_path, local, cache_place):
    with cluster(tmp_path) as (file, _, _):
        found = execute(SMALL.but(scheduler=address(file), output_dir=str(tmp_path / "shared")))
        assert records(found) == local
        assert len(list(cache_place.glob("activations/*/*"))) == 4
        again = execute(SMALL.but(scheduler=str(file), scale="median", output_dir=str(tmp_path / "again")))
        assert all(m["from_cache"]["activations"] for m in manifests(again))
        apart = execute(SMALL.but(scheduler=str(file), cache=False, output_dir=str(tmp_path / "apart")))
        assert records(apart) == local


@pytest.mark.slow
def test_workers_that_do_not_see_the_cache_send_their_arrays(tmp_path, local, monkeypatch, cache_place):
    @contextlib.contextmanager
    def blind(*arguments, **settings):
        with pool(*arguments, **settings) as workers:
            assert workers.sees(str(tmp_path))
            assert not workers.sees(str(tmp_path / "nowhere"))
            yield replace(workers, sees=lambda _: False)

    monkeypatch.setattr("todacomm.execution.pool", blind)
    said = []
    with cluster(tmp_path) as (file, _, _):
        study = SMALL.but(scheduler=str(file), output_dir=str(tmp_path / "out"))
        assert records(execute(study, say=said.append)) == local
        assert "the workers do not see the cache: activations travel through this process" in said
        assert len(list(cache_place.glob("activations/*/*"))) == 4, "kept by this process instead"
        again = execute(study.but(output_dir=str(tmp_path / "again")))
    assert records(again) == local
    assert [m["from_cache"] for m in manifests(again)] == [{"activations": True, "layers": list(SMALL.layers)}] * 4


def written(path, **settings):
    """A study file."""
    path.write_text(dump_study(SMALL.but(**settings), version="test"), encoding="utf-8")
    return [sys.executable, killed.__file__, str(path)]


@pytest.mark.slow
def test_a_killed_worker_costs_its_job_and_not_the_study(tmp_path, local):
    victim = tmp_path / "victim"
    with cluster(tmp_path, options=("--no-nanny", "--preload", killed.preload(victim))) as (file, _, workers):
        command = written(tmp_path / "study.yaml", scheduler=str(file), output_dir=str(tmp_path / "out"))
        with running(command, tmp_path) as study:
            until(lambda: victim.is_file() and victim.read_text())
            worker = next(worker for worker in workers if worker.pid == int(victim.read_text()))
            worker.kill()
            assert study.wait(300) == 0
    assert records(sorted((tmp_path / "out").glob("tiny*"))) == local


@pytest.mark.slow
def test_a_task_that_kills_every_worker_is_lost_alone_on_a_cluster_too(tmp_path):
    for number in (2, 1):
        place = tmp_path / str(number)
        place.mkdir()
        with cluster(place, workers=number) as (file, _, _), pool("dask", scheduler=str(file)) as workers:
            found = dict(workers.each(killed.Always(1), range(4)))
        assert isinstance(found.pop(1), Lost)
        assert found == {0: 0, 2: 4, 3: 9}


@pytest.mark.slow
def test_a_scheduler_that_is_lost_is_told(tmp_path):
    with cluster(tmp_path) as (file, scheduler, _), pool("dask", scheduler=str(file)) as workers:
        arrived = workers.each(killed.slowly, range(100))
        next(arrived)
        scheduler.send_signal(signal.SIGKILL)
        with pytest.raises(ClusterUnavailable, match="was lost. What was finished is kept: run again to go on"):
            list(arrived)


@pytest.mark.slow
def test_a_scheduler_without_workers_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("todacomm.workers.FIRST_WORKER", 1)
    with cluster(tmp_path, workers=0) as (file, _, _):
        begun = time.monotonic()
        with (
            pytest.raises(ClusterUnavailable, match="has no workers. Start some: dask worker"),
            pool("auto", scheduler=str(file)),
        ):
            pass
        assert time.monotonic() - begun < 20


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer_is_told_within_seconds(tmp_path):
    command = ["run", "--model", DECODER, "--samples", "10", "--scheduler", "tcp://127.0.0.1:1"]
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "todacomm", *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no scheduler answers at tcp://127.0.0.1:1" in one_line(done.stderr)
    assert "Traceback" not in done.stderr
    assert time.monotonic() - begun < 30


# The program itself


@pytest.mark.slow
def test_a_study_that_was_killed_goes_on_at_the_layer_where_it_was(tmp_path, cache_place, local):
    def kept():
        return {path: path.stat().st_ino for path in cache_place.glob("measurements/*/*.safetensors")}

    settings = {"models": (DECODER,), "jobs": 1, "output_dir": str(tmp_path / "out")}
    with running([*written(tmp_path / "study.yaml", **settings), "layer_4"], tmp_path) as study:
        until(lambda: len(kept()) == 2)
        study.kill()
    finished = kept()
    assert len(finished) == 2
    assert not list(tmp_path.glob("out/*/runs/*"))
    found = execute(SMALL.but(**settings))
    assert records(found) == {key: value for key, value in local.items() if key[0] == DECODER}
    assert [m["from_cache"] for m in manifests(found)] == [
        {"activations": True, "layers": ["embedding", "layer_1"]},
        {"activations": False, "layers": []},
    ]
    assert kept().items() >= finished.items(), "an entry that is written again is another file"


@pytest.mark.slow
def test_processes_end_with_the_program_that_started_them(tmp_path, cache_place):
    import psutil

    command = written(tmp_path / "study.yaml", backend="loky", jobs=2, output_dir=str(tmp_path / "out"))
    with running(command, tmp_path) as study:
        until(lambda: list(cache_place.glob("activations/*/*")))
        children = psutil.Process(study.pid).children(recursive=True)
        assert len(children) >= 2
        study.kill()
        until(lambda: not any(child.is_running() for child in children), seconds=20)
