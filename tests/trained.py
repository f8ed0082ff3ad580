"""A small experiment of training, for the tests of the laboratory.

As a program: ``trained.py DIRECTORY MOMENT`` makes its runs, and is killed (-9) at that moment: before the n-th
checkpoint is written, between its arrays and its line (``n.line``), or before the n-th state (``n.state``).
"""

import os
import signal
import sys
from pathlib import Path

SETTINGS = {
    "prime": 23, "train_fraction": 0.5, "width": 16, "hidden": 32, "layers": 2, "steps": 300, "batch": 64, "every": 20,
    "points": 40, "test_pairs": 100, "learning_rate": 1e-2,
}  # fmt: skip


def experiment(seeds=(46, 47), controls=1, **given):
    from todacomm.runs.training_runs import experiment_of

    return experiment_of("quick", {**SETTINGS, **given}, list(seeds), controls=controls)


def make(directory):
    from todacomm.runs import training_runs

    training_runs.SECONDS_BETWEEN_STATES = 0.0
    directory.mkdir(parents=True, exist_ok=True)
    made = experiment()
    training_runs.write_plan(directory, made)
    return list(training_runs.perform_all(directory, made.plans, number=1))


def main(directory, moment):
    from todacomm.records import training
    from todacomm.runs import training_runs

    number, _, where = moment.partition(".")
    left = [int(number)]

    def killing(function):
        def before(*arguments):
            left[0] -= 1
            if left[0] < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments)

        return before

    if where == "line":
        training.line_of = killing(training.line_of)
    elif where == "state":
        training_runs.write_state = killing(training_runs.write_state)
    else:
        training_runs.write_observation = killing(training_runs.write_observation)
    make(Path(directory))


if __name__ == "__main__":
    main(*sys.argv[1:])
