"""What a study of stability has shown, from its records: findings, summary, figures and report. Loads no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from todacomm.core.errors import InvalidRecord
from todacomm.records.files.codec import plain
from todacomm.records.files.damaged import Attempt, Salvage, strictly
from todacomm.records.stability import (
    STABILITY_PLAN,
    STABILITY_SUMMARY,
    StabilitySummary,
    has_stability,
    read_stability,
)
from todacomm.report.stability.stability_findings import StabilityFindings, over_seeds
from todacomm.report.stability.stability_sections import write_stability_report
from todacomm.stability.association import CHANGES, associations, change_of
from todacomm.stability.stability import Stability


@dataclass(frozen=True, slots=True, eq=False)
class StabilityResults:
    """What a study has shown, and where it is."""

    directory: Path
    findings: StabilityFindings


def concluded(directory: Path, failures: Mapping[str, str]) -> StabilityResults:
    """Write report and summary from the records of a study; the summary last."""
    findings = read_findings(directory, failures)
    report(directory, findings)
    STABILITY_SUMMARY.write(directory, summary_of(findings))
    return StabilityResults(directory, findings)


def summary_of(findings: StabilityFindings) -> StabilitySummary:
    """Build the summary of a study."""
    rows = tuple(summary_row(recipe, one) for recipe, one in findings.runs)
    associated = tuple(plain(one, nulls=True) for one in findings.associations)
    recipes = {recipe: over_seeds(findings.of(recipe)) for recipe in findings.recipes}
    return StabilitySummary(rows, plain(recipes, nulls=True), associated, findings.failures)


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
