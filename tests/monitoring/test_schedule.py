"""When a training is measured, and what that may cost."""

import pytest

from todacomm.core.errors import InvalidInput
from todacomm.monitoring.schedule import Schedule, steps_between


@pytest.mark.parametrize(
    ("every", "total", "steps"), [(7, None, 7), ("7", None, 7), ("1%", 3000, 30), ("2.5%", 1000, 25), ("1%", 20, 1)]
)
def test_steps_between_are_a_number_or_a_share(every, total, steps):
    assert steps_between(every, total) == steps


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "often", "0%", "101%", "x%"])
def test_what_is_neither_is_refused(every):
    with pytest.raises(InvalidInput, match="expected"):
        steps_between(every, 100)


def test_a_share_of_an_unknown_number_of_steps_is_refused_with_the_way_out():
    with pytest.raises(InvalidInput, match="total_steps="):
        steps_between("1%", None)


def due_steps(schedule, steps, seconds, cost):
    """The steps that are measured where each takes ``seconds`` and a measurement ``cost``."""
    now, found = 100.0, []
    for step in steps:
        now += seconds
        if schedule.due(step, now):
            schedule.spent += cost
            schedule.typical = cost
            now += cost
            found.append(step)
    return found, schedule.share(now)


def test_multiples_the_first_and_the_last_step_are_due():
    found, _ = due_steps(Schedule(10, 1.0, total_steps=33), range(3, 34), seconds=1.0, cost=0.0)
    assert found == [3, 10, 20, 30, 33]


def test_a_multiple_that_is_jumped_over_is_due_once():
    found, _ = due_steps(Schedule(10, 1.0), [0, 7, 14, 14, 14, 21, 28, 35], seconds=1.0, cost=0.0)
    assert found == [0, 14, 21, 35]


@pytest.mark.parametrize("cost", [0.1, 0.5, 3.0])
def test_measuring_takes_no_more_than_its_share_and_says_what_it_left_out(cost):
    schedule = Schedule(1, 0.05)
    found, share = due_steps(schedule, range(2000), seconds=0.1, cost=cost)
    assert 0.04 < share <= 0.05
    assert len(found) < 2000
    assert schedule.skipped
    assert "5.0% of the training time" in schedule.told(300.0)
    assert schedule.told(300.0) == ""


def test_a_budget_of_one_skips_nothing():
    found, _ = due_steps(Schedule(1, 1), range(50), seconds=0.1, cost=3.0)
    assert found == list(range(50))


def test_a_budget_that_is_no_share_is_refused():
    with pytest.raises(InvalidInput, match="budget=5"):
        Schedule(1, 5)
