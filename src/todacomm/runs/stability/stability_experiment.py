"""Execute or resume a study of stability, and write what its runs show: summary, figures, report."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from todacomm.core.errors import CannotWrite, InvalidRecord, ModelFailed
from todacomm.core.parallel import Number
from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.records.files.codec import plain
from todacomm.records.files.damaged import Attempt, Salvage, strictly
from todacomm.records.files.locks import alone_in
from todacomm.records.files.result_directories import check_name, new_directory, writable
from todacomm.records.stability import (
    STABILITY_PLAN,
    STABILITY_SUMMARY,
    StabilitySummary,
    has_stability,
    read_stability,
)
from todacomm.report.document.figure_formats import PNG, Figures
from todacomm.report.document.style import drawn_as
from todacomm.report.stability.stability_findings import StabilityFindings, over_seeds
from todacomm.report.stability.stability_sections import write_stability_report
from todacomm.runs.stability.stability_runs import StabilityStudy, directory_of, perform_all
from todacomm.stability.association import CHANGES, associations, change_of
from todacomm.stability.stability import Stability


@dataclass(frozen=True, slots=True)
class StabilityMeans:
    """Runs at a time, progress, and figures."""

    jobs: Number = "auto"
    track: Track = silent
    say: Say = unsaid
    figures: Figures = PNG


@dataclass(frozen=True, slots=True, eq=False)
class StabilityResults:
    """What a study has shown, and where it is."""

    directory: Path
    findings: StabilityFindings


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


def concluded(directory: Path, failures: Mapping[str, str]) -> StabilityResults:
    """Write report and summary from the records of a study; the summary last."""
    findings = read_findings(directory, failures)
    report(directory, findings)
    rows = tuple(summary_row(recipe, one) for recipe, one in findings.runs)
    associated = tuple(plain(one, nulls=True) for one in findings.associations)
    recipes = {recipe: over_seeds(findings.of(recipe)) for recipe in findings.recipes}
    summary = StabilitySummary(rows, plain(recipes, nulls=True), associated, failures)
    STABILITY_SUMMARY.write(directory, summary)
    return StabilityResults(directory, findings)


def read_findings(directory: Path, failures: Mapping[str, str], attempt: Attempt = strictly) -> StabilityFindings:
    """The finished runs of a study, and what follows from them. Raises InvalidRecord where there is none."""
    plan = STABILITY_PLAN.read(directory)
    runs = []
    for planned in plan.runs:
        place = directory / "runs" / planned.name
        if has_stability(place) and (record := attempt(planned.name, partial(read_stability, place))) is not None:
            runs.append((planned.recipe, record.found))
    if not runs:
        raise InvalidRecord(f"{directory} holds no finished run; give the same `todacomm stability` again")
    several = len({recipe for recipe, _ in runs}) > 1
    return StabilityFindings(tuple(runs), tuple(associations(runs)) if several else (), failures)


def report(directory: Path, findings: StabilityFindings, salvage: Salvage | None = None) -> Path:
    """Write figures and report; return the page."""
    plan = STABILITY_PLAN.read(directory)
    told = {name: str(value) for name, value in asdict(plan.copying).items()}
    context = {
        "command": plan.command,
        "provenance": {**{name.replace("_", " "): value for name, value in told.items()}, "digest": plan.digest},
        "versions": {name: str(found) for name, found in plan.versions.items() if found},
    }
    return write_stability_report(directory, findings, context, salvage.losses if salvage else ())[-1]


def reread(directory: Path, salvage: Salvage) -> StabilityFindings:
    """Read a study again, without what is damaged, which is noted."""
    stored = salvage("failures", partial(STABILITY_SUMMARY.read, directory)) or StabilitySummary(())
    return read_findings(directory, stored.failures, salvage)


def summary_row(recipe: str, found: Stability) -> dict[str, Any]:
    """The exponents of a run, its settings, and what happened to its shape."""
    names = [name for name in ("weights", "function", "angle") if name in found.names]
    row = {
        "recipe": recipe,
        "seed": found.seed,
        "settings": dict(found.settings),
        "exponents": {name: found.exponent(name) for name in names},
        "raw": {name: found.raw(name) for name in names},
        "missing_for_random_start": found.missing,
        "saturated_at": found.saturated,
        "scan": [list(pair) for pair in found.scan()],
        "flat": found.flat(),
        "changes": {told: change_of(found, name) for told, name in CHANGES.items() if found.has(name)},
        "complaints": found.complaints,
    }
    return dict(plain(row, nulls=True))


def stem_of(study: StabilityStudy) -> str:
    """``stability_<task>_p<prime>``."""
    settings = study.runs[0].settings
    task = settings["task"]
    return f"stability_{task}" if task in ("images", "s5") else f"stability_{task}_p{settings['prime']}"
