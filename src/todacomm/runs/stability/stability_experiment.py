"""Execute or resume a study of stability, and write what its runs show: summary, figures, report."""

from dataclasses import dataclass
from pathlib import Path

from todacomm.core.errors import CannotWrite, ModelFailed
from todacomm.core.parallel import Number
from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.records.files.locks import alone_in
from todacomm.records.files.result_directories import check_name, new_directory, writable
from todacomm.report.document.figure_formats import PNG, Figures
from todacomm.report.document.style import drawn_as
from todacomm.runs.stability.stability_results import StabilityResults, concluded
from todacomm.runs.stability.stability_runs import StabilityStudy, directory_of, perform_all


@dataclass(frozen=True, slots=True)
class StabilityMeans:
    """Runs at a time, progress, and figures."""

    jobs: Number = "auto"
    track: Track = silent
    say: Say = unsaid
    figures: Figures = PNG


def execute_stability(
    study: StabilityStudy, *, output_dir: str, output: str | None, means: StabilityMeans, command: str = ""
) -> StabilityResults:
    """Follow every run of a study, or resume one, and write what they show.

    Raises CannotWrite where another process does the same study, ModelFailed where no run came to an end.
    """
    from joblib import cpu_count

    stem = output or stem_of(study)
    check_name(stem)
    directory, resumed = directory_of(study, writable(Path(output_dir)), stem, new_directory, command=command)
    with alone_in(directory) as alone:
        if not alone:
            raise CannotWrite(
                f"another process is making this study in {directory}. Wait until it has ended, or give another --name"
            )
        at_once = min(cpu_count() if means.jobs == "auto" else means.jobs, len(study.runs))
        networks = 1 + len(study.copying.roles)
        means.say(
            f"{len(study.runs)} runs of {networks} networks, {at_once} at a time"
            + (f"; going on with {directory}" if resumed else "")
        )
        failures = followed(directory, study, means, at_once)
        means.say("figures and report")
        with drawn_as(means.figures):
            return concluded(directory, failures)


def followed(directory: Path, study: StabilityStudy, means: StabilityMeans, at_once: int) -> dict[str, str]:
    """Follow every run, reporting each; why some failed. Raises ModelFailed where all did."""
    failures: dict[str, str] = {}
    done = 0
    for planned, problem in means.track(perform_all(directory, study, number=at_once), "copies", len(study.runs)):
        done += 1
        means.say(f"{planned.name}: {problem or 'done'} ({done} of {len(study.runs)})")
        if problem:
            failures[planned.name] = problem
    if len(failures) == len(study.runs):
        raise ModelFailed(f"none of {done} runs came to an end; the first: {next(iter(failures.values()))}")
    return failures


def stem_of(study: StabilityStudy) -> str:
    """``stability_<task>_p<prime>``."""
    settings = study.runs[0].settings
    task = settings["task"]
    return f"stability_{task}" if task in ("images", "s5") else f"stability_{task}_p{settings['prime']}"
