"""Execute or resume a training experiment: records of every run, signature, figures and reports."""

from dataclasses import dataclass
from pathlib import Path

from todacomm.core.errors import CannotWrite, ModelFailed
from todacomm.core.memory import format_bytes, limit_of
from todacomm.core.parallel import Number
from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.models.checkpoints.placement import device_of
from todacomm.records.files.locks import alone_in
from todacomm.records.files.result_directories import new_directory, writable
from todacomm.report.document.figure_formats import PNG, Figures
from todacomm.report.document.style import drawn_as
from todacomm.runs.training_results import ExperimentResults, concluded
from todacomm.runs.training_runs import Experiment, FinishedRun, check_memory, directory_of, perform_all
from todacomm.stability.stability import Copying
from todacomm.training.presets import Settings


@dataclass(frozen=True, slots=True)
class Means:
    """The means of an experiment: parallel runs, device, memory, progress, figures, turned loops and copies."""

    jobs: Number = "auto"
    device: str = "cpu"
    max_memory: str | None = None
    track: Track = silent
    say: Say = unsaid
    figures: Figures = PNG
    turn: bool = True
    copying: Copying | None = None


def execute_grok(
    experiment: Experiment,
    *,
    output_dir: str = "experiments",
    output: str | None = None,
    means: Means,
    command: str = "",
) -> ExperimentResults:
    """Execute every run of an experiment, or resume one, and write what they show.

    Raises TooLarge before any work, CannotWrite where another process runs the same experiment, ModelFailed where no
    run has anything to show.
    """
    from joblib import cpu_count

    device = device_of(means.device)
    at_once = min(cpu_count() if means.jobs == "auto" else means.jobs, len(experiment.plans))
    needed = check_memory(experiment, limit=limit_of(means.max_memory), at_once=at_once)
    place = writable(Path(output_dir))
    directory, resumed = directory_of(experiment, place, output or stem_of(experiment.base), new_directory)
    with alone_in(directory) as alone:
        if not alone:
            raise CannotWrite(
                f"another process is making this experiment in {directory}. "
                "Wait until it has ended, or give another --name"
            )
        means.say(
            f"{len(experiment.plans)} runs, {at_once} at a time, about {format_bytes(needed)} of memory"
            + (f"; going on with {directory}" if resumed else "")
        )
        for warning in dict.fromkeys(w for plan in experiment.plans[:1] for w in plan.task.warnings):
            means.say(f"note: {warning}")
        failures = _made(directory, experiment, means, at_once=at_once, device=device)
        means.say("figures and reports")
        with drawn_as(means.figures):
            return concluded(directory, failures, command=command)


def _made(directory: Path, experiment: Experiment, means: Means, *, at_once: int, device: str) -> dict[str, str]:
    """Execute every run, reporting each; return complaints by name. Raises ModelFailed where none succeeded."""
    done: list[FinishedRun] = []
    count = len(experiment.plans)
    runs = perform_all(
        directory, experiment.plans, number=at_once, device=device, turn=means.turn, copying=means.copying
    )
    for finished in means.track(runs, "training", count):
        done.append(finished)
        means.say(f"{finished.plan.name}: {finished.complaint or 'done'} ({len(done)} of {count})")
    if all(finished.failed for finished in done):
        raise ModelFailed(f"none of {count} runs came to an end; the first: {done[0].complaint}")
    return {finished.plan.name: finished.complaint for finished in done if finished.complaint}


def stem_of(settings: Settings) -> str:
    """``grok_<task>_p<prime>``."""
    task = settings["task"]
    return f"grok_{task}" if task in ("images", "s5") else f"grok_{task}_p{settings['prime']}"
