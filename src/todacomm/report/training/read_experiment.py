"""Read the directory of a training experiment for its report: runs beside controls, in the cells of a sweep."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.records.files.codec import plain
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.stability import has_stability, read_stability
from todacomm.records.training import (
    PLAN_RECORD,
    THE_PLAN,
    Plan,
    PlannedRun,
    TurnedRecord,
    check_weights,
    has_arrays,
    has_begun,
    planned_runs,
    read_run,
    read_turned,
)
from todacomm.report.words.phrases import number
from todacomm.stability.stability import Stability
from todacomm.training.milestones import plateau_of
from todacomm.training.observe import Course
from todacomm.training.signature import RunSummary, Signature, overall, tell
from todacomm.training.verdict import JUDGED, is_null

LEFT_NOTHING, UNREADABLE = "it left no checkpoint", "its records cannot be read"


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """One run or control: what it is, its numbers along the steps, and what was told of it.

    ``course`` is None without a checkpoint, ``told`` also where the followed number was never defined. ``seconds`` is
    None for an unfinished run; ``whole``: the diagrams and embeddings of every checkpoint are there. ``turned`` is
    what came of turning its loops, ``stability`` how copies moved beside it; None where that was not done.
    """

    name: str
    kind: str
    seed: int
    directory: Path
    about: Mapping[str, Any]
    course: Course | None
    told: RunSummary | None
    seconds: float | None
    complaint: str
    whole: bool = True
    turned: TurnedRecord | None = None
    stability: Stability | None = None

    @property
    def is_run(self) -> bool:
        """Whether it is a run, and no control."""
        return self.kind == "run"

    @property
    def label(self) -> str:
        """The name of the run in figures and tables."""
        return f"seed {self.seed}" if self.is_run else f"{self.kind}, seed {self.seed}"

    @property
    def last_step(self) -> int:
        """The step of its last checkpoint; 0 for none."""
        return self.course.steps[-1] if self.course is not None else 0

    def has(self, name: str) -> bool:
        """Whether a number was defined at any of its checkpoints."""
        return self.course is not None and name in self.course and bool(np.isfinite(self.course[name]).any())


@dataclass(frozen=True, eq=False)
class Exhibit:
    """The runs and controls of one cell, and the verdict on them; ``problem`` says why there is none."""

    cell: str
    runs: tuple[Trained, ...]
    controls: tuple[Trained, ...]
    signature: Signature | None
    problem: str = ""

    @cached_property
    def shown(self) -> tuple[Trained, ...]:
        """The runs with at least one checkpoint."""
        return tuple(run for run in self.runs if run.course is not None)

    @cached_property
    def beside(self) -> tuple[Trained, ...]:
        """The controls with at least one checkpoint."""
        return tuple(run for run in self.controls if run.course is not None)

    @cached_property
    def chosen(self) -> Trained | None:
        """The run that figures of one run show: of those with every diagram the first that grokked, else the first."""
        found = [run for run in self.shown if run.whole] or self.shown
        grokked = [run for run in found if run.told and run.told.milestones.grokked]
        return next(iter([*grokked, *found]), None)

    @property
    def about(self) -> Mapping[str, Any]:
        """The description of the first run."""
        return self.runs[0].about if self.runs else {}

    @property
    def followed(self) -> str:
        """The number whose rise is the signature."""
        return self.signature.followed if self.signature else str(self.about.get("followed", ""))

    @property
    def layer(self) -> str:
        """The layer of the followed number."""
        return self.followed.split("/")[0]

    @property
    def verdict(self) -> str:
        """The verdict; without a null band that of runs that need none, such as unstable ones."""
        if self.signature:
            return self.signature.verdict
        found = [run.told.verdict for run in self.runs if run.told]
        return "no verdict" if not found or set(found) & set(JUDGED) else overall(found)

    @property
    def without_fourier(self) -> str:
        """Why the task has no Fourier basis; empty where it has one."""
        return (
            ""
            if self.about.get("characters")
            else str(self.about.get("without_fourier") or "the task has no Fourier basis")
        )


@dataclass(frozen=True, eq=False)
class Findings:
    """All that the report tells of one experiment."""

    directory: Path
    exhibits: tuple[Exhibit, ...]
    plan: Plan
    command: str

    @cached_property
    def trained(self) -> list[Trained]:
        """Every run and control of every cell."""
        return [run for exhibit in self.exhibits for run in (*exhibit.runs, *exhibit.controls)]

    @property
    def swept(self) -> bool:
        """Whether there are several cells."""
        return len(self.exhibits) > 1

    @cached_property
    def shown(self) -> Exhibit:
        """The cell that is drawn in full: the first with a signature, else the first that grokked, else the first."""
        present = [e for e in self.exhibits if e.signature and "signature present" in e.signature.verdict]
        grokked = [e for e in self.exhibits if any(run.told and run.told.milestones.grokked for run in e.runs)]
        return next(iter([*present, *grokked, *self.exhibits]))

    @property
    def verdict(self) -> str:
        """One verdict for all runs of all cells."""
        judged = [e for e in self.exhibits if e.verdict != "no verdict"]
        found = [run.told.verdict for e in judged for run in e.runs if run.told]
        return overall(found) if found else "no verdict"


def read_findings(
    directory: Path,
    signatures: Mapping[str, Signature],
    *,
    command: str,
    problems: Mapping[str, str],
    attempt: Attempt = strictly,
) -> Findings:
    """Read what an experiment left. Raises InvalidRecord; ``attempt`` may do without a run, and without the plan."""
    cells = {
        cell: [read_trained(directory, plan, signatures.get(cell), attempt) for plan in plans]
        for cell, plans in planned_runs(directory, attempt).items()
    }
    exhibits = tuple(
        Exhibit(
            cell,
            tuple(run for run in found if run.is_run),
            tuple(run for run in found if not run.is_run),
            signatures.get(cell),
            problems.get(cell, ""),
        )
        for cell, found in cells.items()
    )
    plan = attempt(THE_PLAN, lambda: PLAN_RECORD.read(directory)) or Plan({}, ())
    return Findings(directory, exhibits, plan, command)


def read_trained(directory: Path, plan: PlannedRun, judged: Signature | None, attempt: Attempt = strictly) -> Trained:
    """One run of a plan, with what its signature tells of it, else what it tells of itself."""
    place = directory / "runs" / plan.name
    begun = has_begun(place)
    ran = attempt(plan.name, lambda: read_run(place)) if begun else None
    if ran is None:
        why = UNREADABLE if begun else LEFT_NOTHING
        return Trained(plan.name, plan.kind, plan.seed, place, asdict(plan), None, None, None, why)
    course, complaint = ran.course, ran.done.complaint
    return Trained(
        name=plan.name,
        kind=plan.kind,
        seed=plan.seed,
        directory=place,
        about=plain(ran.about),
        course=course,
        told=told_of(course, ran.about.followed, judged),
        seconds=ran.done.seconds,
        complaint=complaint if course is not None else complaint or LEFT_NOTHING,
        whole=course is None or is_whole(place, course, plan, attempt),
        turned=attempt(f"turned loops of {plan.name}", lambda: read_turned(place)),
        stability=attempt(
            f"copies of {plan.name}", lambda: read_stability(place).found if has_stability(place) else None
        ),
    )


def is_whole(place: Path, course: Course, plan: PlannedRun, attempt: Attempt) -> bool:
    """Whether the diagrams and embeddings of a run are there; of controls neither they nor weights are drawn."""
    if plan.kind != "run":
        return True
    attempt(f"weights of {plan.name}", lambda: check_weights(place, course))
    return attempt(f"diagrams and embeddings of {plan.name}", lambda: has_arrays(place, course)) or False


def told_of(course: Course | None, followed: str, judged: Signature | None) -> RunSummary | None:
    """What a signature has of a course by its name; without one, what the course tells without a null band."""
    if course is None:
        return None
    found = (told for told in (*judged.runs, *judged.controls) if told.name == course.name) if judged else ()
    first = next(iter(found), None)
    if first is not None:
        return first
    return tell(course, followed) if followed in course else None


# Numbers of several runs together


def middle(runs: tuple[Trained, ...], name: str) -> tuple[list[int], Float[np.ndarray, " T"]]:
    """The median of a number over runs, at every step that at least half of them have."""
    values: dict[int, list[float]] = {}
    for run in runs:
        if run.course is not None and run.has(name):
            for step, value in zip(run.course.steps, run.course[name], strict=True):
                values.setdefault(step, []).append(float(value))
    known = {step: [x for x in found if np.isfinite(x)] for step, found in values.items()}
    steps = sorted(step for step, found in known.items() if 2 * len(found) >= len(runs))
    return steps, np.array([np.median(known[step]) for step in steps])


def null_range(exhibit: Exhibit) -> tuple[list[int], Float[np.ndarray, " T"], Float[np.ndarray, " T"]] | None:
    """The least and the most of the controls at each step that all have, each over its own plateau, times the median
    plateau of the runs. None without plateaus.
    """
    plateaus = [run.told.rise.plateau for run in exhibit.shown if run.told and run.told.rise]
    controls = [
        (c.course, c.told.rise.plateau)
        for c in exhibit.beside
        if c.course is not None and c.told and c.told.rise and is_null(c.told)
    ]
    if not plateaus or len(controls) < 2:
        return None
    shared = set(controls[0][0].steps).intersection(*(course.steps for course, _ in controls))
    rows = np.array(
        [course[exhibit.followed][[step in shared for step in course.steps]] / plateau for course, plateau in controls]
    )
    steps = [step for i, step in enumerate(sorted(shared)) if np.isfinite(rows[:, i]).all()]
    rows = rows[:, np.isfinite(rows).all(axis=0)] * float(np.median(plateaus))
    return steps, rows.min(axis=0), rows.max(axis=0)


def one_more(exhibit: Exhibit) -> tuple[float, float] | None:
    """The range of the followed number in one more control after the median plateau of the runs.

    None without a null band or plateaus.
    """
    plateaus = [run.told.rise.plateau for run in exhibit.shown if run.told and run.told.rise]
    if exhibit.signature is None or not plateaus:
        return None
    plateau, band = float(np.median(plateaus)), exhibit.signature.band
    return plateau * band.low, plateau * band.high


def moments(run: Trained) -> list[tuple[int, str]]:
    """Four named steps of a run: start, middle of the plateau, generalised, end; fewer where they coincide."""
    if run.course is None:
        return []
    steps, told = run.course.steps, run.told
    span = plateau_of(run.course, told.milestones) if told else None
    generalised = told.milestones.generalised_at if told else None
    found = {steps[0]: "start", steps[-1]: "end"}
    if span is not None:
        found.setdefault(steps[(span.start + span.stop - 1) // 2], "middle of the plateau")
    if generalised is not None:
        found.setdefault(generalised, "generalised")
    for third in (1, 2):
        if len(found) < 4 and (span is None or generalised is None):
            found.setdefault(steps[third * (len(steps) - 1) // 3], f"{third}/3 of the run")
    return sorted(found.items())


def spoken_step(step: int | None) -> str:
    """A step with its thousands grouped, or a dash."""
    return "–" if step is None else f"{step:,}"


def named(name: str) -> str:
    """A number of a course in words: ``embedding/raw/H1_max_lifetime`` → H1 max of the embedding, raw.

    >>> named("embedding/sphere/H1_max_lifetime"), named("fourier_top5_share")
    ('H1 max of the embedding, unit sphere', 'Fourier share of five frequencies')
    """
    if name in WORDS:
        return WORDS[name]
    layer, _, rest = name.partition("/")
    view, _, metric = rest.partition("/")
    place = "the embedding" if layer == "embedding" else layer.replace("_", " ")
    return (
        f"{METRICS.get(metric, metric.replace('_', ' '))} of {place}, {VIEW_WORDS.get(view, view)}" if metric else name
    )


METRICS = {
    "H1_max_lifetime": "H1 max",
    "H1_max_lifetime_Z3": "H1 max over Z/3",
    "H1_total_persistence": "H1 total",
    "H0_max_lifetime": "H0 max",
    "H0_total_persistence": "H0 total",
}
VIEW_WORDS = {"sphere": "unit sphere", "raw": "raw"}
WORDS = {
    "fourier_top5_share": "Fourier share of five frequencies",
    "fourier_gini": "Gini index of the spectrum",
    "weight_norm": "norm of all weights",
    "restricted_loss": "restricted loss",
    "excluded_loss": "excluded loss",
    "local_dimension": "local dimension of hidden states",
    "test_accuracy": "test accuracy",
}


def ratio_of(value: float | None) -> str:
    """A ratio for a table."""
    return "–" if value is None else number(value, 3)
