"""Run and resume training with its controls, into a directory of records."""

import glob
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from todacomm.core.errors import InvalidInput, InvalidRecord, TodacommError, TooLarge, TrainingFailed
from todacomm.core.memory import format_bytes
from todacomm.core.parallel import LostTask, Number, in_processes
from todacomm.core.progress import Track, silent
from todacomm.core.versions import versions
from todacomm.records.disagreements import disagreements_kept
from todacomm.records.files.codec import plain
from todacomm.records.files.io import write_arrays
from todacomm.records.files.locks import alone_in
from todacomm.records.training import (
    ABOUT_RECORD,
    DONE,
    PLAN_RECORD,
    SIGNATURE,
    STATE,
    WEIGHTS,
    Cyclic,
    Plan,
    PlannedRun,
    RunDescription,
    RunEnd,
    check_files,
    cut_back,
    is_done,
    read_run,
    read_state,
    rows,
    sound_rows,
    write_done,
    write_observation,
    write_state,
)
from todacomm.runs.loops.write_turned import turn_generalised
from todacomm.runs.stability.stability_runs import follow_run
from todacomm.stability.stability import Copying
from todacomm.training.digit_images import Images
from todacomm.training.observe import Course, course_of
from todacomm.training.presets import Cell, RunPlan, Settings, cells_of, memory_of, plans_of, settings_of

if TYPE_CHECKING:
    from todacomm.training.run_settings import Measured, Training
    from todacomm.training.tasks import Task

SCHEMA = 1
SECONDS_BETWEEN_STATES = 5.0
CHECKED_EVERY = 10  # of so many checkpoints the reference engine computes one as well


@dataclass(frozen=True)
class Experiment:
    """The runs of one ``todacomm grok``: cells of a sweep (one nameless cell without), with seeds and controls."""

    base: Settings
    cells: tuple[Cell, ...]
    runs: tuple[tuple[Cell, tuple[RunPlan, ...]], ...]

    @property
    def plans(self) -> list[RunPlan]:
        """All runs in order."""
        return [plan for _, plans in self.runs for plan in plans]

    @property
    def planned(self) -> tuple[PlannedRun, ...]:
        """What decides, with ``base``, every byte of the records."""
        runs = [(cell.name, plan) for cell, plans in self.runs for plan in plans]
        return tuple(PlannedRun(cell, plan.name, plan.kind, plan.seed, plan.settings) for cell, plan in runs)

    @property
    def digest(self) -> str:
        """Equal for equal experiments."""
        record = {"schema": SCHEMA, "base": dict(self.base), "runs": plain(self.planned)}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


def experiment_of(
    preset: str,
    given: Settings,
    seeds: Sequence[int],
    *,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    controls: int = 2,
) -> Experiment:
    """Plan the runs and controls of every cell. Raises UnknownName and InvalidInput."""
    base, runs = settings_of(preset, given), []
    if controls < 1:
        raise InvalidInput(
            f"--controls {controls}: expected 1 or more of each kind; a signature without controls would say nothing"
        )
    for cell in cells_of(sweep or {}):
        settings = settings_of(preset, {**given, **cell.changed})
        prefix = f"{cell.name}/" if cell.name else ""
        runs.append((cell, tuple(plans_of(settings, seeds, controls=controls, prefix=prefix))))
    return Experiment(base, tuple(cell for cell, _ in runs), tuple(runs))


def check_memory(experiment: Experiment, *, limit: int | None, at_once: int) -> int:
    """The bytes that parallel runs will hold. Raises TooLarge before any work."""
    needed = sorted(((memory_of(plan.settings), plan) for plan in experiment.plans), key=lambda one: -one[0])
    total = sum(size for size, _ in needed[:at_once])
    if limit is not None and total > limit:
        worst = needed[0][1]
        raise TooLarge(
            f"{worst.name}: {at_once} runs at a time need about {format_bytes(total)}, and there are "
            f"{format_bytes(limit)}. Every pair has a row of {worst.settings['prime']} logits: choose a smaller "
            "--prime, fewer --test-pairs, or --jobs 1"
        )
    return total


# One run


def run_name(plan: RunPlan) -> tuple[str, str]:
    """Model and data in the addresses of a run."""
    s = plan.settings
    what = "images" if s["task"] == "images" else s["task"] if s["task"] == "s5" else f"{s['task']}_p{s['prime']}"
    kind = "" if plan.kind == "run" else f", {plan.kind}"
    return f"{s['network']}, seed {plan.seed}{kind}", f"{what}, {s['train_fraction']:g}"


def perform(
    directory: Path, plan: RunPlan, *, device: str = "cpu", turn: bool = False, copying: Copying | None = None
) -> str:
    """Execute or resume one run; return a complaint, or nothing. With ``turn`` its loops are turned if it generalised.

    With ``copying`` perturbed copies of it, if it is no control, are followed in a training of their own. A loss that
    is not finite ends the run with what it has. One thread, so that one seed gives the same bytes.
    """
    import torch

    torch.set_num_threads(1)
    place = directory / "runs" / plan.name
    place.mkdir(parents=True, exist_ok=True)
    with alone_in(place, wait=True), disagreements_kept(place):  # a process whose parent was killed may still be at it
        complaint = _performed_alone(place, plan, device)
        if turn:
            turn_generalised(place)
    if copying is not None and plan.kind == "run" and not complaint:
        follow_run(place, plan, copying)
    return complaint


def _performed_alone(place: Path, plan: RunPlan, device: str) -> str:
    if is_done(place):
        with suppress(InvalidRecord):  # else it is made again
            done = read_run(place).done
            check_files(place, done)
            return done.complaint
        (place / DONE).unlink()
    model, data = run_name(plan)
    ABOUT_RECORD.write(place, about_of(plan, model, data))
    begun = time.perf_counter()
    complaint = ""
    try:
        _train(place, plan, device)
    except TrainingFailed as problem:
        complaint = str(problem)
    write_done(place, RunEnd(complaint, round(time.perf_counter() - begun, 2)))
    (place / STATE).unlink(missing_ok=True)
    return complaint


def about_of(plan: RunPlan, model: str, data: str) -> RunDescription:
    """Describe a run: the characters in which its task is diagonal, or why there are none, as figures need them."""
    task = plan.task
    characters = None if task.argument is None else Cyclic(task.argument[0], plan.settings["prime"])
    beside = {"task": str(task), "warnings": task.warnings}
    names = (plan.name, plan.kind, plan.seed, plan.settings)
    return RunDescription(*names, model, data, plan.followed, characters, task.without_fourier, beside)


def _train(place: Path, plan: RunPlan, device: str) -> None:
    from todacomm.training.observe import watch
    from todacomm.training.training_loop import Run, State

    model, data = run_name(plan)
    found = state_of(place, plan)
    run = Run(plan.task, plan.training, plan.measured, device=device, state=None if found is None else State(*found))
    cut_back(place, run.step if found else -1)
    number, written = sum(1 for _ in rows(place)) if found else 0, time.monotonic()
    for checkpoint in run:
        check = number % CHECKED_EVERY == 0
        write_observation(place, watch(checkpoint, model=model, data=data, check=check))
        number += 1
        if time.monotonic() - written > SECONDS_BETWEEN_STATES or run.step == plan.training.steps:
            write_state(place, run.step, run.state().tensors)
            written = time.monotonic()
    weights = {name: tensor for name, tensor in run.state().tensors.items() if name.startswith("weight/")}
    write_arrays(place / WEIGHTS, weights, {"schema": SCHEMA})


def state_of(place: Path, plan: RunPlan) -> tuple[int, dict[str, np.ndarray]] | None:
    """The last state of a run whose records reach up to it; None starts the run anew."""
    found = read_state(place)
    if found is None:
        return None
    wanted = [step for step in plan.training.checkpoints if step <= found[0]]
    return found if [row.step for row in sound_rows(place) if row.step <= found[0]] == wanted else None


def course(
    task: "Task | Images",
    training: "Training | None" = None,
    measured: "Measured | None" = None,
    *,
    kind: str = "run",
    track: Track = silent,
    **settings: Any,
) -> Course:
    """Train one network in memory, measure each of its checkpoints, and keep only the numbers.

    Parameters
    ----------
    task : Task or Images
        What is learned.
    training : Training, optional
        How; the defaults of `Training` otherwise.
    measured : Measured, optional
        What is looked at.
    kind : str, default "run"
        What the run is to `signature`: ``"run"``, or the kind of control.
    track : callable, optional
        Wraps an iterable with a progress bar.
    **settings
        Fields of `Training` that replace those of ``training``, such as ``seed``, ``steps`` or ``weight_decay``.

    Returns
    -------
    Course
        One array a number, along the steps.

    Raises
    ------
    TrainingFailed
        When a loss is not finite.

    Examples
    --------
    >>> import todacomm as td
    >>> task = td.grokking.Task(prime=7, train_fraction=0.5)
    >>> td.grokking.course(task, steps=10, every=5).steps
    (0, 5, 10)

    """
    from todacomm.training.observe import watched
    from todacomm.training.run_settings import Training, trained_with
    from todacomm.training.training_loop import train

    chosen = trained_with(training or Training(), settings)
    seen = track(train(task, chosen, measured), "training", len(chosen.checkpoints))
    rows_ = [(o.step, o.numbers) for o in watched(seen, model=chosen.network, data=str(task))]
    return course_of(rows_, name=f"{kind}, seed {chosen.seed}", kind=kind, seed=chosen.seed)


# All runs


def directory_of(
    experiment: Experiment, output_dir: Path, stem: str, new: Callable[[Path, str], Path]
) -> tuple[Path, bool]:
    """Find the stopped experiment to resume (the same, without a signature), or make a new directory."""
    for found in sorted(output_dir.glob(f"{glob.escape(stem)}_*_*")):
        if digest_in(found) == experiment.digest and not (found / SIGNATURE).exists():
            return found, True
    directory = new(output_dir, stem)
    write_plan(directory, experiment)
    return directory, False


def digest_in(directory: Path) -> str | None:
    """The digest of the experiment in a directory; None where it cannot be read."""
    try:
        return PLAN_RECORD.read(directory).digest
    except InvalidRecord:
        return None


def write_plan(directory: Path, experiment: Experiment) -> None:
    """Write ``experiment.json``: what is to be done."""
    PLAN_RECORD.write(directory, Plan(experiment.base, experiment.planned, experiment.digest, versions()))


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """One ended run and its complaint; ``failed`` where it has nothing to show."""

    plan: RunPlan
    complaint: str
    failed: bool = False


def perform_all(
    directory: Path,
    plans: Sequence[RunPlan],
    *,
    number: Number = "auto",
    device: str = "cpu",
    turn: bool = False,
    copying: Copying | None = None,
) -> Iterator[FinishedRun]:
    """Execute the runs, some at a time in processes, with what `perform` does beside; yield them as they end."""
    _load_images(plans)
    act = partial(_performed, partial(perform, directory, device=device, turn=turn, copying=copying))
    yield from (_outcome(plan, found) for plan, found in in_processes(act, plans, number=number))


def _load_images(plans: Sequence[RunPlan]) -> None:
    """Load the images once, so that an unreachable hub is reported before any run."""
    for plan in plans:
        if plan.settings["task"] == "images":
            _ = plan.task.inputs
            return


def _performed(act: Callable[[RunPlan], str], plan: RunPlan) -> tuple[str, bool]:
    try:
        return act(plan), False
    except TodacommError as problem:  # of one run: the others go on
        return str(problem), True


def _outcome(plan: RunPlan, found: tuple[str, bool] | LostTask) -> FinishedRun:
    if isinstance(found, LostTask):
        return FinishedRun(plan, f"its process was killed: {found.reason}", failed=True)
    return FinishedRun(plan, *found)
