"""The speed of this machine: whatever disturbs a timing, minutes are not announced as hours."""

import time

import pytest

from todacomm.core.progress import silent
from todacomm.core.recipe import Recipe
from todacomm.runs.plan import machine_rates
from todacomm.runs.plan.machine_rates import Rates, best, capped, claim_rate, cloud_rate, growing, of_cloud
from todacomm.runs.plan.plan import CLAIMS, JobPlan, Plan, Stage
from todacomm.runs.plan.remaining_time import Correcting


class Disturbed:
    """Seconds that grow with the square; of each three timings one or two take a thousand times as long."""

    def __init__(self, disturbed):
        self.disturbed, self.calls = disturbed, 0

    def __call__(self, size):
        self.calls += 1
        return 1e-7 * size**2 * (1000 if self.calls % 3 in self.disturbed else 1)


@pytest.mark.parametrize("disturbed", [(), (0,), (1,), (2,), (0, 1), (1, 2)])
@pytest.mark.parametrize("n", [64, 500, 3000, 20_000])
def test_a_timing_that_was_disturbed_does_not_count(disturbed, n):
    found, tried = growing(Disturbed(disturbed), n, steepest=2.4)
    assert found == pytest.approx(1e-7 * n**2)
    assert tried <= n


def test_the_best_of_three_counts():
    seconds = iter([3.0, 1.0, 2.0, 0.5])
    assert best(lambda: next(seconds)) == 1.0
    assert next(seconds) == 0.5


def test_time_is_that_of_the_thread_so_that_other_processes_do_not_count():
    assert Rates(None).clock is time.thread_time
    assert Rates(None).wall is time.perf_counter
    other = Rates(None, time.process_time)
    assert other.wall is other.clock, "who gives a clock means it"


@pytest.fixture
def known(monkeypatch):
    """Rates of a machine twice as slow as that of the constants, where every timing but the yardstick was disturbed."""
    monkeypatch.setattr(machine_rates, "_KNOWN", {})
    rates = Rates(None)
    rates.of("yardstick", lambda: 2 * machine_rates.YARD)
    monkeypatch.setattr(machine_rates, "_cloud_rate", lambda *_: machine_rates.CloudRate(1e4, 0.1, 64))
    monkeypatch.setattr(machine_rates, "_claim_rate", lambda *_: machine_rates.ClaimRate(1.26, 1.26, 1.26))
    return rates


@pytest.mark.parametrize(("n", "d", "layers"), [(500, 64, 7), (500, 768, 14), (100, 8, 3), (2000, 384, 7)])
def test_what_is_far_beyond_the_yardstick_is_cut(known, n, d, layers):
    """100 resamples and 199 draws of a first study; undisturbed 4 to 200 seconds of this machine."""
    recipe = Recipe()
    rate = claim_rate(n, d, layers, recipe, known)
    whole = layers * (100 * rate.half + 199 * rate.draw) + 199 * rate.frame
    undisturbed = layers * 299 * of_cloud(n, d, recipe)
    assert whole < 25 * undisturbed + 199 * 1.26
    assert cloud_rate(n, d, recipe, known).seconds == 5 * 2 * of_cloud(n, d, recipe)


def test_a_timing_within_reason_is_believed_and_other_engines_are_not_known(known):
    assert capped(0.01, 0.02, known) == 0.01
    assert capped(9.0, of_cloud(500, 64, Recipe(engine="ripser")), known) == 9.0
    assert capped(9.0, of_cloud(5000, 64, Recipe(landmarks=500)), known) == 9.0


def test_what_was_wrong_is_measured_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(machine_rates, "_KNOWN", {})
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
