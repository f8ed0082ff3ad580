"""Tasks that end the process they run in, and a study that comes to a stand, for the tests of jobs.

As a program: ``killed.py STUDY [LAYER]`` runs a study file, and waits for ever at the layer that is named.
"""

import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

STANDING = """
import os
import threading
from pathlib import Path

from todacomm.runs import jobs
from todacomm.runs.experiment import read


def standing(*arguments, **settings):
    try:
        with Path({victim!r}).open("x") as file:
            file.write(str(os.getpid()))
    except FileExistsError:
        return read(*arguments, **settings)
    threading.Event().wait()


jobs.read = standing
"""


@dataclass(frozen=True)
class Once:
    """The square of a number; the process that gets ``bad`` is killed, the first time."""

    place: Path
    bad: int

    def __call__(self, number):
        mark = self.place / str(number)
        if number == self.bad and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number


@dataclass(frozen=True)
class Always:
    """The square of a number; the process that gets ``bad`` is killed."""

    bad: int

    def __call__(self, number):
        if number == self.bad:
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number


def slowly(number):
    """The number, after a while."""
    time.sleep(0.3)
    return number


def preload(victim):
    """A script for workers: the first of them to read texts writes its process id to ``victim`` and stands still."""
    script = victim.with_name("preload.py")
    script.write_text(STANDING.format(victim=str(victim)), encoding="utf-8")
    return script


def main(path, layer=None):
    """Run a study file without figures."""
    from todacomm.runs import jobs, run_study
    from todacomm.runs.config_files import load_study

    measure = jobs.measure_task

    def standing(task):
        if task.cloud.address.layer == layer:
            threading.Event().wait()
        return measure(task)

    jobs.measure_task = standing
    run_study.write_figures = lambda *_: []
    failures = run_study.execute(load_study(path)).failures
    sys.exit("\n".join(f"{name}: {failure.message}" for name, failure in failures.items()) or 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
