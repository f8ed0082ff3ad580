"""The speed of this machine: whatever disturbs a timing, minutes are not announced as hours."""

import time

import pytest

from todacomm.core.progress import silent
from todacomm.core.recipe import Recipe
from todacomm.runs.plan import calibration
from todacomm.runs.plan.calibration import Rates, best, growing, seconds_of
from todacomm.runs.plan.plan import CLAIMS, JobPlan, Plan, Stage
from todacomm.runs.plan.remaining_time import Correcting


@pytest.mark.parametrize("disturbed", [(), (0,), (1,), (2,), (0, 1), (1, 2)])
def test_a_timing_that_was_disturbed_does_not_count(disturbed):
    """A clock of which one or two of three calls take a thousand times as long."""
    now, calls = [0.0], []

    def work():
        now[0] += 1000.0 if len(calls) in disturbed else 1.0
        calls.append(1)

    assert best(work, lambda: now[0]) == 1.0


@pytest.mark.parametrize(("exponent", "n"), [(2.0, 5000), (1.5, 3000), (4.0, 500), (2.0, 64), (2.0, 20)])
def test_what_is_too_large_to_try_is_extrapolated(exponent, n, monkeypatch):
    sizes = []
    monkeypatch.setattr(calibration, "PATIENCE", 0.01)

    def seconds(size):
        sizes.append(size)
        return 1e-4 * (size / 64) ** exponent

    found, tried = growing(seconds, n, steepest=5.0)
    assert found == pytest.approx(1e-4 * (n / 64) ** exponent, rel=1e-6)
    assert max(sizes) == tried <= n


def test_a_size_that_took_unlike_the_others_is_not_extrapolated_beyond_the_steepest():
    found, tried = growing(lambda size: 1.0 if size > 100 else 1e-6, 256, steepest=2.4)
    assert tried == 128
    assert found == pytest.approx(2**2.4)


@pytest.mark.parametrize("part", ["cloud", "reference", "splits", "draw", "frame"])
@pytest.mark.parametrize("recipe", [Recipe(), Recipe(scale="sphere"), Recipe(landmarks=20, subsample=100)])
def test_each_part_of_a_measurement_can_be_tried(part, recipe, monkeypatch):
    monkeypatch.setattr(calibration, "_KNOWN", {})
    ticks = iter(range(10_000))
    rates = Rates(None, lambda: float(next(ticks)))
    assert seconds_of(part, 64, 6, recipe, rates) == 1.0, "one call, between two readings of the clock"


def test_time_is_that_of_the_thread_so_that_other_processes_do_not_count():
    assert Rates(None).clock is time.thread_time
    assert Rates(None).wall is time.perf_counter
    other = Rates(None, time.process_time)
    assert other.wall is other.clock, "who gives a clock means it"


def test_what_was_wrong_is_measured_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "_KNOWN", {})
    rates = Rates(tmp_path)
    assert rates.of("key", lambda: 1) == 1
    rates.forget()
    assert Rates(tmp_path).of("key", lambda: 2) == 2


# The first part of a stage


def corrected(planned, took, description="null draws", *, parts=10, at_once=1, measured=0):
    """What is said of a stage of one job, each part of which takes so long."""
    said, forgotten, now = [], [], [0.0]

    def slow():
        for i in range(parts):
            now[0] += took
            yield i

    stage = "homology" if description == "persistent homology" else CLAIMS
    jobs = (JobPlan("m", "d", stages=(Stage(stage, planned),), measured=measured),)
    track = Correcting(silent, jobs, at_once, said.append, lambda: forgotten.append(1), clock=lambda: now[0])
    if stage == CLAIMS:
        assert list(track([1], "persistent homology", 1)) == [1]
    assert list(track(slow(), description, parts)) == list(range(parts))
    assert len(forgotten) == len(said)
    return said


def test_a_plan_that_was_wrong_is_corrected_once_a_part_is_done():
    assert corrected(43_200.0, 37.5) == [f"{CLAIMS}: about 6.2 min, not 12 h as planned"]
    assert corrected(10.0, 60.0, "persistent homology") == ["homology: about 10 min, not 10 s as planned"]
    assert corrected(10.0, 60.0, at_once=5) == [f"{CLAIMS}: about 120 s, not 10 s as planned"]
    assert corrected(10.0, 60.0, "intervals") == [f"{CLAIMS}: about 10 min, not 10 s as planned"]


@pytest.mark.parametrize(("measured", "loaded"), [(0, 1), (3, 0)])
def test_loading_the_engine_is_no_part_of_the_first_layer(measured, loaded):
    now, said, calls = [0.0], [], []

    def ready():
        calls.append(now.append(now.pop() + 300))

    def layers():
        for i in range(5):
            now[0] += 1.0
            yield i

    jobs = (JobPlan("m", "d", stages=(Stage("homology", 5.0),), measured=measured),)
    track = Correcting(silent, jobs, 1, said.append, lambda: None, clock=lambda: now[0], ready=ready)
    assert list(track(layers(), "persistent homology", 5)) == list(range(5))
    assert (len(calls), said) == (loaded, []), "layers out of the cache need no engine"


def test_nothing_is_said_where_it_was_about_right_or_is_over_soon():
    assert not corrected(400.0, 37.5)
    assert not corrected(0.1, 1.0)
    assert not corrected(400.0, 0.1, "intervals"), "the draws are still to come"
    assert not corrected(400.0, 0.1, "something else")
    assert not corrected(10.0, 60.0, "persistent homology", measured=3), "some come out of the cache"


# The line


NOT_HERE = JobPlan("gpt2", "wikitext2", problem="its files are not on this machine")
HERE = JobPlan("m", "d", stages=(Stage("load", 2.0), Stage("homology", 4.0)))


def plan(*jobs):
    return Plan(jobs, base=2**20, limit=None, at_once=1)


def test_the_line_of_a_plan_says_what_is_not_known():
    assert plan(NOT_HERE).line() == "how long it takes is not known: gpt2: its files are not on this machine"
    assert plan(NOT_HERE, NOT_HERE).line().startswith("how long it takes is not known")
    found = plan(HERE, NOT_HERE).line()
    assert found == (
        "about 6 s: homology 4 s, load 2 s; 1 MiB of memory; 1 of 2 jobs are not counted, as gpt2: its files are not "
        "on this machine"
    )
    assert plan(JobPlan("m", "d")).line() == "about 0 s; 1 MiB of memory"
    assert plan().line() == "about 0 s; 1 MiB of memory"
    assert ": ;" not in "".join(plan(*jobs).line() for jobs in [(NOT_HERE,), (HERE,), (), (HERE, NOT_HERE)])
