"""Jobs: what would be done, and who does it: this process, its threads, other processes of this machine."""

import json
import shutil
import sys
from concurrent.futures import BrokenExecutor
from pathlib import Path

import pytest

import killed
import todacomm as td
from small_studies import DECODER, ENCODER, SEVERAL, made_by_one_process, manifests, one_line, records
from todacomm.core.errors import InvalidInput, MissingExtra
from todacomm.core.parallel import LostTask, Pool, in_threads, one_thread, pool
from todacomm.records.runs import summaries, to_json
from todacomm.runs import distributed, jobs
from todacomm.runs.cache.store import Cache
from todacomm.runs.run_study import execute

pytestmark = pytest.mark.usefixtures("no_figures")


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The records of the study as this process alone makes them."""
    with pytest.MonkeyPatch.context() as patch:
        return made_by_one_process(tmp_path_factory.mktemp("local"), patch)


# What would be done


def test_the_jobs_of_a_study_are_known_before_any_model_is_loaded(monkeypatch):
    monkeypatch.setattr("todacomm.models.checkpoints.loading.load_model", None)
    found = jobs.jobs_of(SEVERAL.but(datasets=("wikitext2", "squad")))
    assert [str(job) for job in found] == [
        f"{model}: {dataset}, pooling {pooling}"
        for model in (DECODER, ENCODER)
        for dataset in ("wikitext2", "squad")
        for pooling in ("mean", "last")
    ]
    assert {len(job.texts) for job in found} == {20}
    assert found[0].study.models == (DECODER,)
    assert found[0].study.layers == SEVERAL.layers
    assert jobs.jobs_of(SEVERAL.but(pooling=None))[0].pooling is None


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


@pytest.mark.slow
def test_one_thread_or_many_give_equal_bytes(tmp_path, local):
    for number in (1, 3):
        study = SEVERAL.but(models=(DECODER,), pooling=("mean",), jobs=number, cache=False)
        found = records(execute(study.but(output_dir=str(tmp_path / str(number)))))
        assert found.items() <= local.items()
        assert len(found) == 5


@pytest.mark.slow
def test_a_model_stays_in_the_process_for_the_jobs_of_one_model(tmp_path, monkeypatch):
    from todacomm.models.checkpoints import loading

    real, loads = loading.load_model, []

    def counted(source, **settings):
        loads.append(source.name)
        return real(source, **settings)

    monkeypatch.setattr(loading, "load_model", counted)
    execute(SEVERAL.but(cache=False, output_dir=str(tmp_path)))
    assert loads == [DECODER, ENCODER]
    assert not jobs._HELD


# Options that do not go together


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--backend", "dask"), "--backend dask needs --scheduler tcp://host:port"),
        (("--backend", "loky", "--scheduler", "tcp://a:1"), "--scheduler is dask's, and --backend loky has none"),
        (("--jobs", "3", "--scheduler", "tcp://a:1"), "--jobs 3: a scheduler knows its own workers"),
        (("--jobs", "0"), "jobs: expected 'auto' or at least 1, found 0"),
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
    place = distributed.Place(None, None, {**distributed.numbers_from(), "torch": "0.1", "numpy": "0.2"})
    answer = distributed.read_there(jobs.jobs_of(SEVERAL)[0], place=place)
    assert "numpy" in answer.found.message
    assert f"torch {distributed.numbers_from()['torch']} (expected 0.1)" in answer.found.message
    assert "install there what is installed here" in answer.found.message
    with pytest.raises(InvalidInput):
        place.check()


@pytest.mark.slow
@pytest.mark.parametrize("loss", [shutil.rmtree, lambda place: [truncate(path) for path in place.glob("*/*")]])
def test_activations_that_vanish_or_are_damaged_on_the_way_are_read_again(monkeypatch, cache_place, local, loss):
    measured, windows = distributed.Window.measured, []

    def losing(self, runs):
        windows.append(len(runs))
        if len(windows) == 1:
            loss(cache_place / "activations")
        return measured(self, runs)

    monkeypatch.setattr(distributed.Window, "measured", losing)
    one = Pool(1, lambda: "threading", lambda _: True, lambda function: function(), (BrokenExecutor,))
    cache = Cache(cache_place)
    wanted = jobs.jobs_of(SEVERAL.but(models=(DECODER,), pooling=("mean",)))
    ((_, found),) = distributed.by_pool(wanted, cache, one, draw=lambda _: {})
    assert windows == [1, 1]
    assert to_json(summaries(found.profile)).encode() == local[DECODER, "run_0", "tda_summaries.json"]
    assert found.figures == {}
    assert not list(cache_place.glob("probes/*"))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-1])


# Processes of this machine


@pytest.mark.slow
def test_processes_give_equal_bytes(tmp_path, local):
    found = execute(SEVERAL.but(backend="loky", jobs=2, output_dir=str(tmp_path)))
    assert records(found) == local
    assert [m["from_cache"]["activations"] for m in manifests(found)] == [False] * 4
    assert len(list(tmp_path.glob("*/runs/*/visualizations/*.png"))) == 4 * 6, "drawn by the processes"


@pytest.mark.slow
def test_without_a_cache_the_arrays_travel(tmp_path, local, cache_place):
    found = execute(SEVERAL.but(backend="loky", jobs=2, cache=False, output_dir=str(tmp_path)))
    assert records(found) == local
    assert not cache_place.exists()


@pytest.mark.slow
def test_a_job_that_fails_in_a_process_is_told_and_the_others_are_done(todacomm, tmp_path, local):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text('{"model_type": "gpt2"}', encoding="utf-8")
    arguments = ("--samples", 20, "--pool", "mean,last", "--layers", "embedding,layer_1,layer_4", "--jobs", 2)
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
    assert isinstance(found.pop(2), LostTask)
    assert found == {i: i * i for i in (0, 1, 3, 4, 5)}


@pytest.mark.slow
def test_a_lost_job_is_named_and_the_others_are_done(tmp_path, monkeypatch):
    each = Pool.each

    def losing(self, function, tasks):
        for place, found in each(self, function, tasks):
            yield place, LostTask("killed by the system.") if getattr(tasks[place], "pooling", "") == "last" else found

    monkeypatch.setattr(Pool, "each", losing)
    found = execute(SEVERAL.but(models=(DECODER,), backend="loky", jobs=2, output_dir=str(tmp_path)))
    (failed,) = found.failures.items()
    assert failed[0] == f"{DECODER}: wikitext2, pooling last"
    assert failed[1].message.startswith("its worker was killed each time that it was tried (killed by the system).")
    assert [profile.recipe.pooling for profile in found.profiles] == ["mean"]
