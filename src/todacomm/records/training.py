"""Write and read a training run: one line a checkpoint, arrays beside it, and the state to resume from.

``records.jsonl`` is appended line by line and cut back to the last state on resuming, so that a resumed run has the
same bytes as an uninterrupted one. docs/format.md is the contract.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.core.errors import CannotWrite, InvalidRecord
from todacomm.core.inference_types import Number
from todacomm.core.types import Address, Profile
from todacomm.records.files.codec import Arrays, Format, Rest, arrays_of, decoded, plain
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import check_digest, digests_of, names_of, read_arrays, write_arrays, write_atomically
from todacomm.records.runs import LAYER_RECORD, layer_record, measurement_from
from todacomm.training.fourier import Characters, additive_characters, multiplicative_characters
from todacomm.training.observe import VIEWS, Course, Observation, course_of
from todacomm.training.turned_run import TurnedRun

SCHEMA = 1
RECORDS, STATE, ABOUT, DONE = "records.jsonl", "state.safetensors", "run.json", "finished.json"
WEIGHTS = "weights.safetensors"  # of the last step
TURNED = "turned.json"  # which loops of its embedding a run uses
THE_PLAN = "plan, settings and versions"
PLAN, SIGNATURE = "experiment.json", "signature.json"  # of all runs, beside them
AGAIN = f"give the same `todacomm grok` again, with {SIGNATURE} removed where there is one: what was stopped goes on"


@dataclass(frozen=True, slots=True, eq=False)
class CheckpointLine:
    """One checkpoint: its numbers, and view → layer → the row of the layer."""

    step: int
    numbers: Mapping[str, Number]
    frequencies: tuple[int, ...]
    complaints: tuple[str, ...]
    clouds: Mapping[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """The arrays of a checkpoint besides its bars: the embedding, and its spectrum where there is a Fourier basis."""

    embedding_rows: Float[np.ndarray, "c d"] | None = None
    spectrum: Float[np.ndarray, " f"] | None = None


@dataclass(frozen=True, slots=True)
class Cyclic:
    """The characters of a task: ``of`` residues or logarithms modulo ``prime``."""

    of: str
    prime: int


@dataclass(frozen=True, slots=True, eq=False)
class RunDescription:
    """What a run is; ``without_fourier`` says why there are no ``characters``."""

    name: str
    kind: str
    seed: int
    settings: Mapping[str, Any]
    model: str
    data: str
    followed: str
    characters: Cyclic | None
    without_fourier: str
    beside: Rest[Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class RunEnd:
    """How a run ended; empty until then."""

    complaint: str = ""
    seconds: float | None = None
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run as planned by its experiment; ``cell`` is that of a sweep, else empty."""

    cell: str
    name: str
    kind: str
    seed: int
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """All of ``experiment.json``."""

    base: Mapping[str, Any]
    runs: tuple[PlannedRun, ...]
    digest: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class TurnedRecord:
    """All of ``turned.json``: ``weights`` is the digest of those that were turned, ``seconds`` what it took."""

    found: TurnedRun
    placebos: int
    seed: int
    weights: str
    seconds: float
    versions: Mapping[str, Any] = field(default_factory=dict)


LINE_RECORD = Format(CheckpointLine, SCHEMA, AGAIN)
ABOUT_RECORD = Format(RunDescription, SCHEMA, AGAIN, ABOUT)
DONE_RECORD = Format(RunEnd, SCHEMA, AGAIN, DONE, sealed=True)
PLAN_RECORD = Format(Plan, SCHEMA, AGAIN, PLAN, sealed=True)
TURNED_RECORD = Format(TurnedRecord, SCHEMA, AGAIN, TURNED, sealed=True)


def write_observation(directory: Path, seen: Observation) -> None:
    """Write the arrays of one checkpoint, then its line."""
    arrays = {
        f"{m.address.layer}/{view}/{name}": bars
        for view, found in seen.measurements.items()
        for m in found
        for name, bars in m.diagrams.arrays().items()
    }
    arrays |= arrays_of(Checkpoint(seen.embedding, seen.spectrum))
    write_arrays(arrays_path(directory, seen.step), arrays, {"schema": SCHEMA, "step": seen.step})
    line = text_of(line_of(seen))
    try:
        with (directory / RECORDS).open("a", encoding="utf-8") as file:
            file.write(line)
    except OSError as problem:
        raise CannotWrite(f"cannot write {directory / RECORDS}: {problem.strerror}. Choose another place") from problem


def arrays_path(directory: Path, step: int) -> Path:
    """The path of the arrays of one checkpoint."""
    return directory / "checkpoints" / f"step_{step:08d}.safetensors"


def line_of(seen: Observation) -> CheckpointLine:
    """Convert a checkpoint to its line; null for NaN and infinity."""
    clouds = {view: {m.address.layer: layer_record(m) for m in found} for view, found in seen.measurements.items()}
    return CheckpointLine(seen.step, plain(seen.numbers, nulls=True), seen.frequencies, seen.complaints, clouds)


def text_of(line: CheckpointLine) -> str:
    """Encode a line as JSON."""
    return json.dumps(LINE_RECORD.row(line), ensure_ascii=False, allow_nan=False) + "\n"


def rows(directory: Path) -> Iterator[CheckpointLine]:
    """Read the checkpoints of a run, without an unfinished last line. InvalidRecord also where steps do not rise."""
    spot = Spot(directory / RECORDS, AGAIN)
    try:
        lines = (directory / RECORDS).read_text(encoding="utf-8").splitlines(keepends=True)
    except FileNotFoundError:
        raise spot.missing() from None
    except (OSError, UnicodeDecodeError) as problem:
        raise spot.unreadable(problem) from problem
    last = -1
    for number, text in enumerate(lines, 1):
        if not text.endswith("\n"):
            return
        remedy = f"{AGAIN}; the checkpoints to step {last} are sound" if last >= 0 else AGAIN
        line = line_from(text, Spot(f"{spot.file}, line {number}", remedy), after=last)
        last = line.step
        yield line


def line_from(text: str, spot: Spot, *, after: int) -> CheckpointLine:
    """Read a line, whose step must exceed ``after``. Raises InvalidRecord."""
    try:
        found = json.loads(text)
    except json.JSONDecodeError as problem:
        raise spot.unreadable(problem) from problem
    line = LINE_RECORD.parsed(found, spot)
    if line.step <= after:
        raise spot.at("step").wrong(line.step, f"a whole number above {after}, as steps rise")
    return line


def sound_rows(directory: Path) -> list[CheckpointLine]:
    """The checkpoints before the first line that is damaged, doubled or out of order."""
    found = []
    with suppress(InvalidRecord):
        for row in rows(directory):
            found.append(row)  # noqa: PERF402 - what was read before an error is kept
    return found


def cut_back(directory: Path, step: int) -> None:
    """Drop the checkpoints after ``step``, and all lines from the first damaged or unfinished one."""
    path = directory / RECORDS
    if path.exists():
        write_atomically(path, "".join(text_of(row) for row in sound_rows(directory) if row.step <= step))


def write_state(directory: Path, step: int, tensors: Mapping[str, np.ndarray]) -> None:
    """Write, atomically, all that the rest of the run depends on."""
    write_arrays(directory / STATE, {"step": np.array([step], dtype=np.int64), **tensors}, {"schema": SCHEMA})


def read_state(directory: Path) -> tuple[int, dict[str, np.ndarray]] | None:
    """Read step and tensors of the last state; None without a readable one. Scalars come back as arrays of one."""
    try:
        arrays = read_arrays(directory / STATE)
        step = int(arrays.pop("step")[0])
    except (InvalidRecord, KeyError):
        return None
    return step, {name: array.reshape(()) if name.endswith("/step") else array for name, array in arrays.items()}


def planned_runs(directory: Path, attempt: Attempt = strictly) -> dict[str, list[PlannedRun]]:
    """Cell → its planned runs; where ``attempt`` skips the plan, the runs that are there."""
    plans = attempt(THE_PLAN, lambda: PLAN_RECORD.read(directory).runs)
    if plans is None:
        there = sorted((directory / "runs").glob(f"**/{ABOUT}"))
        found = (attempt(path.parent.name, partial(plan_of, path.parent)) for path in there)
        plans = tuple(sorted((plan for plan in found if plan is not None), key=lambda plan: plan.kind != "run"))
    cells: dict[str, list[PlannedRun]] = {}
    for plan in plans:
        cells.setdefault(plan.cell, []).append(plan)
    return cells


def plan_of(run: Path) -> PlannedRun:
    """Read the plan of a run from its own record; the cell is in its name. Raises InvalidRecord."""
    about = ABOUT_RECORD.read(run)
    return PlannedRun(about.name.rpartition("/")[0], about.name, about.kind, about.seed, about.settings)


def write_done(directory: Path, done: RunEnd) -> None:
    """Write that the run is finished, its conclusion, and the digests of its records."""
    DONE_RECORD.write(directory, replace(done, files=digests_of(directory, written_files(directory))))


def written_files(directory: Path) -> list[Path]:
    """The records of a finished run."""
    named = (directory / name for name in (ABOUT, RECORDS, WEIGHTS))
    return [*(path for path in named if path.exists()), *sorted(directory.glob("checkpoints/*.safetensors"))]


def check_files(directory: Path, done: RunEnd) -> None:
    """Raise InvalidRecord where a file differs from the digest in ``done``."""
    for path in written_files(directory):
        check_digest(directory, path, done.files, AGAIN)


def read_done(directory: Path) -> RunEnd:
    """Read ``finished.json``; empty for an unfinished run. Raises InvalidRecord."""
    return DONE_RECORD.read(directory) if is_done(directory) else RunEnd()


def has_begun(directory: Path) -> bool:
    """Whether a run has written anything."""
    return (directory / ABOUT).exists() or (directory / RECORDS).exists()


def is_done(directory: Path) -> bool:
    """Whether a run was finished."""
    return (directory / DONE).exists()


def has_records(directory: Path) -> bool:
    """Whether a run has measured anything."""
    path = directory / RECORDS
    return path.exists() and path.stat().st_size > 0


@dataclass(frozen=True, slots=True, eq=False)
class StoredRun:
    """A run as stored: what it is, its trajectory (None without a checkpoint), and how it ended."""

    about: RunDescription
    course: Course | None
    done: RunEnd


def read_run(directory: Path) -> StoredRun:
    """Read the run in ``directory``. Raises InvalidRecord, which names the file."""
    about, done = ABOUT_RECORD.read(directory), read_done(directory)
    check_digest(directory, directory / ABOUT, done.files, AGAIN)
    return StoredRun(about, course_from(directory, about, done), done)


def course_from(directory: Path, about: RunDescription, done: RunEnd) -> Course | None:
    """Read the trajectory of a run; None where it has none and says why."""
    spot, ended = Spot(directory / RECORDS, AGAIN), is_done(directory) and not done.complaint
    if not has_records(directory):
        if ended:
            raise spot.fault("is missing or empty; expected checkpoints, as the run came to its end")
        return None
    seen = [(row.step, row.numbers) for row in rows(directory)]
    steps = decoded(int, about.settings.get("steps"), Spot(directory / ABOUT, AGAIN, ("settings", "steps")))
    if ended and (not seen or seen[-1][0] < steps):
        where = f"after step {seen[-1][0]}" if seen else "before the first checkpoint"
        raise spot.fault(f"is cut off {where}; expected {steps} steps, as the run came to its end")
    check_digest(directory, directory / RECORDS, done.files, AGAIN)
    known = {"kind": about.kind, "seed": about.seed, "settings": about.settings, "complaint": done.complaint}
    return course_of(seen, name=about.name, **known)


def has_arrays(directory: Path, course: Course) -> bool:
    """Check that the arrays of every checkpoint exist, by their headers. Raises InvalidRecord."""
    return all(names_of(arrays_path(directory, step), schema=SCHEMA, remedy=AGAIN) for step in course.steps)


def check_weights(directory: Path, course: Course) -> None:
    """Check the weights that a finished run leaves."""
    if is_done(directory) and not course.complaint:
        names_of(directory / WEIGHTS, remedy=AGAIN)


def characters_of(directory: Path) -> tuple[Characters | None, str]:
    """Read the characters of the task of a run, or why there are none. Raises InvalidRecord."""
    about = ABOUT_RECORD.read(directory)
    if about.characters is None:
        return None, about.without_fourier
    make = additive_characters if about.characters.of == "residue" else multiplicative_characters
    return make(about.characters.prime), ""


def frequencies(directory: Path) -> dict[int, tuple[int, ...]]:
    """The dominant frequencies of the embedding at each step, strongest first."""
    return {row.step: row.frequencies for row in rows(directory)}


def read_weights(directory: Path) -> dict[str, np.ndarray]:
    """Read the weights of the last step by parameter name (``embed.weight``, ``layers.0.weight`` …)."""
    check_digest(directory, directory / WEIGHTS, read_done(directory).files, AGAIN)
    found = read_arrays(directory / WEIGHTS, remedy=AGAIN)
    return {name.removeprefix("weight/"): array for name, array in found.items()}


def read_profile(directory: Path, layer: str = "embedding", view: str = "sphere") -> Profile:
    """Read one layer of a run along its steps, with every diagram."""
    about, recipe, done = ABOUT_RECORD.read(directory), VIEWS[view], read_done(directory)
    found = []
    for row in rows(directory):
        if layer in (layers := row.clouds.get(view, {})):
            address = Address(about.model, about.data, layer, row.step)
            arrays = checkpoint_arrays(directory, row.step, done)
            measured = LAYER_RECORD.parsed(
                layers[layer], Spot(f"{directory / RECORDS}, step {row.step}, {layer}", AGAIN)
            )
            found.append(measurement_from(address, recipe, measured, arrays, f"{layer}/{view}/"))
    return Profile(tuple(found), along="step")


def read_checkpoint(directory: Path, step: int) -> Checkpoint:
    """Read the arrays of one step besides the bars. Raises InvalidRecord."""
    arrays = checkpoint_arrays(directory, step, read_done(directory))
    return decoded(Checkpoint, {}, arrays.spot, arrays)


def checkpoint_arrays(directory: Path, step: int, done: RunEnd) -> Arrays:
    """Open the arrays of one checkpoint of a run that ended with ``done``. Raises InvalidRecord."""
    path = arrays_path(directory, step)
    check_digest(directory, path, done.files, AGAIN)
    return Arrays.read(path, None, AGAIN)


def read_turned(directory: Path) -> TurnedRecord | None:
    """Read the loops of a run that were turned; None where none were. Raises InvalidRecord, also for other weights."""
    if not (directory / TURNED).exists():
        return None
    found = TURNED_RECORD.read(directory)
    if found.weights != digest_of_weights(directory):
        raise Spot(directory / TURNED, AGAIN).fault(f"is of other weights than {WEIGHTS}")
    return found


def digest_of_weights(directory: Path) -> str:
    """The digest of the weights that a finished run left; empty of none."""
    return read_done(directory).files.get(WEIGHTS, "")
