"""Compute signature, figures and reports from the records of a training experiment, without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from todacomm.core.errors import InvalidInput
from todacomm.records.files.codec import Format, plain
from todacomm.records.files.damaged import Attempt, Salvage, strictly
from todacomm.records.training import AGAIN, SIGNATURE, PlannedRun, StoredRun, has_begun, planned_runs, read_run
from todacomm.report.training.read_experiment import Findings, read_findings
from todacomm.report.training.training_document import write_grok_report
from todacomm.report.words.phrases import share
from todacomm.training.milestones import GENERALISED, LOW, MEMORISED, PLATEAU_END
from todacomm.training.signature import Signature, signature, tell
from todacomm.training.verdict import LAG, LEVEL, RULES, RunSummary


@dataclass(frozen=True, slots=True, eq=False)
class ExperimentResults:
    """Results of an experiment: a signature for each cell (a nameless one without a sweep), or why there is none.

    ``told`` summarises runs and controls of cells without a signature.
    """

    directory: Path
    signatures: Mapping[str, Signature]
    problems: Mapping[str, str]
    failures: Mapping[str, str]
    told: Mapping[str, tuple[RunSummary, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class SignatureRecord:
    """All of ``signature.json``."""

    command: str
    cells: Mapping[str, Any]
    problems: Mapping[str, str]
    without_signature: Mapping[str, Any]
    failures: Mapping[str, str]


SIGNATURE_RECORD = Format(SignatureRecord, 1, AGAIN, SIGNATURE, sealed=True)


def concluded(directory: Path, failures: Mapping[str, str], *, command: str = "") -> ExperimentResults:
    """Write signature, figures and reports from the records of a directory; signature.json last."""
    signatures, problems = judged(directory)
    write_grok_report(directory, signatures, problems, command=command)
    told = told_without(directory, problems)
    SIGNATURE_RECORD.write(directory, record_of(signatures, problems, told, failures, command))
    return ExperimentResults(directory, signatures, problems, failures, told)


def told_without(directory: Path, problems: Mapping[str, str]) -> dict[str, tuple[RunSummary, ...]]:
    """Summaries of the runs and controls of the cells without a signature."""
    return {cell: told_of(directory, plans) for cell, plans in planned_runs(directory).items() if cell in problems}


def record_again(directory: Path, stored: SignatureRecord) -> SignatureRecord:
    """What `concluded` would write now of the same command. Raises InvalidRecord."""
    signatures, problems = judged(directory)
    return record_of(signatures, problems, told_without(directory, problems), stored.failures, stored.command)


def record_of(
    signatures: Mapping[str, Signature],
    problems: Mapping[str, str],
    told: Mapping[str, tuple[RunSummary, ...]],
    failures: Mapping[str, str],
    command: str,
) -> SignatureRecord:
    """Build the record of an experiment."""
    cells = {cell: signature_record(found) for cell, found in signatures.items()}
    return SignatureRecord(command, cells, problems, plain(told, nulls=True), failures)


def judged(directory: Path, attempt: Attempt = strictly) -> tuple[dict[str, Signature], dict[str, str]]:
    """Cell → its signature, or why there is none; ``attempt`` may skip a run. Raises InvalidRecord."""
    signatures: dict[str, Signature] = {}
    problems: dict[str, str] = {}
    for cell, plans in planned_runs(directory, attempt).items():
        try:
            signatures[cell] = signature_of(directory, plans, attempt)
        except InvalidInput as problem:
            problems[cell] = str(problem)
    return signatures, problems


def reread(directory: Path, salvage: Salvage) -> tuple[ExperimentResults, str]:
    """Recompute what the records show, without writing; return also the command. Skip and note what is damaged.

    Raises NothingLegible where no run has a readable checkpoint.
    """
    stored = salvage("command and failures", lambda: SIGNATURE_RECORD.read(directory)) or SignatureRecord(
        "", {}, {}, {}, {}
    )
    signatures, problems = judged(directory, salvage)
    places = {
        plan.name: directory / "runs" / plan.name for of in planned_runs(directory, salvage).values() for plan in of
    }
    for name, place in places.items():
        if not has_begun(place) and name not in stored.failures:
            salvage.lose(name, f"{place} is missing")
    lost = {loss.what for loss in salvage.losses}
    salvage.need([name for name, place in places.items() if has_begun(place) and name not in lost], directory)
    return ExperimentResults(directory, signatures, problems, stored.failures), stored.command


def findings_of(directory: Path, salvage: Salvage) -> Findings:
    """Collect all that reports show of an experiment; note what is damaged. Raises InvalidRecord as `reread`."""
    found, command = reread(directory, salvage)
    return read_findings(directory, found.signatures, command=command, problems=found.problems, attempt=salvage)


def signature_of(directory: Path, plans: Sequence[PlannedRun], attempt: Attempt = strictly) -> Signature:
    """The signature of one cell from its runs with a checkpoint. Raises InvalidInput where there are too few."""
    left = left_of(directory, plans, attempt)
    courses = [ran.course for ran in left if ran.course is not None]
    runs = [course for course in courses if course.kind == "run"]
    controls = [course for course in courses if course.kind != "run"]
    return signature(runs, controls=controls, follow=followed(left))


def told_of(directory: Path, plans: Sequence[PlannedRun], attempt: Attempt = strictly) -> tuple[RunSummary, ...]:
    """Summarise every run and control of one cell without a null band."""
    left = left_of(directory, plans, attempt)
    follow = followed(left)
    return tuple(tell(ran.course, follow) for ran in left if ran.course is not None and follow in ran.course)


def left_of(directory: Path, plans: Sequence[PlannedRun], attempt: Attempt = strictly) -> list[StoredRun]:
    """The runs of one cell that left a checkpoint."""
    places = {plan.name: directory / "runs" / plan.name for plan in plans}
    found = [attempt(name, partial(read_run, place)) for name, place in places.items() if has_begun(place)]
    return [ran for ran in found if ran is not None and ran.course is not None]


def followed(ran: Sequence[StoredRun]) -> str:
    """The number whose rise is the signature, as the runs have it; empty without runs."""
    return next((one.about.followed for one in ran), "")


def signature_record(found: Signature) -> dict[str, Any]:
    """Convert a signature to JSON, with the definitions that it rests on."""
    return {**plain(found, nulls=True), "definitions": DEFINITIONS}


DEFINITIONS: dict[str, Any] = {
    "memorised_at": "step of the first of three consecutive evaluations on the whole training set with an accuracy of "
    f"{share(MEMORISED, 0)} or more",
    "generalised_at": "step of the first of three consecutive evaluations on the test set with an accuracy of "
    f"{share(GENERALISED, 0)} or more",
    "grokked": "generalised_at is twice memorised_at or more, and test accuracy at memorised_at is below "
    f"{share(LOW, 0)}",
    "plateau": f"median of the followed number from memorised_at to {PLATEAU_END:g} × generalised_at; of a run that "
    "does not generalise, over the first half after memorised_at",
    "after": "median of the followed number over the last five checkpoints",
    "band": f"{share(LEVEL, 0)} prediction interval for the ratio after / plateau of one more control (Student's t of "
    "the log ratios of the controls that memorised only)",
    "lag": f"{LAG}; positive: topology is later",
    "verdicts": RULES,
}
