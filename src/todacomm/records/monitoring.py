"""Write and read what a `Monitor` saw of a training: ``monitor.json``, and a line a step, ``measurements.jsonl``."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from todacomm.core.errors import CannotWrite, InvalidRecord
from todacomm.core.recipe import Recipe
from todacomm.core.types import Number
from todacomm.profiles.trajectory import Moment, Trajectory
from todacomm.records.files.codec import Format, plain
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import write_atomically

SCHEMA = 1
MONITOR, LINES = "monitor.json", "measurements.jsonl"
AGAIN = "train again with a monitor, into a new directory"


@dataclass(frozen=True, slots=True, eq=False)
class Monitoring:
    """What was watched and how; ``summary`` counts, once the monitor was closed, what was measured and what was not.

    ``inputs_sha256`` is the digest of the texts or batches; empty where only arrays are watched.
    """

    name: str
    layers: tuple[str, ...]
    inputs: str
    inputs_sha256: str
    pooling: str
    recipe: Recipe
    every: int
    budget: float
    alerts: tuple[str, ...] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)

    def same_clouds(self, other: "Monitoring") -> bool:
        """Whether both watch the same clouds in the same way, so that their steps are of one record."""
        return all(
            getattr(self, name) == getattr(other, name) for name in ("layers", "inputs_sha256", "pooling", "recipe")
        )


@dataclass(frozen=True, slots=True, eq=False)
class MonitoredStep:
    """One step: the numbers of each layer, those of the whole model such as the loss, and what went wrong.

    ``probe_seconds`` were taken from the training, ``measure_seconds`` from the measuring process; ``missing`` says why
    there are no layers.
    """

    step: int
    layers: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)
    numbers: Mapping[str, Number] = field(default_factory=dict)
    probe_seconds: float = 0.0
    measure_seconds: float = 0.0
    complaints: tuple[str, ...] = ()
    alerts: tuple[str, ...] = ()
    missing: str = ""


MONITORING_RECORD = Format(Monitoring, SCHEMA, AGAIN, MONITOR)
STEP_RECORD = Format(MonitoredStep, SCHEMA, AGAIN)


@dataclass(frozen=True, slots=True, eq=False)
class Monitored:
    """The record of a monitor: what was watched, and what was seen at each step, in ascending order."""

    about: Monitoring
    steps: tuple[MonitoredStep, ...]

    @property
    def alerts(self) -> tuple[str, ...]:
        """Each alert of each step, in order."""
        return tuple(f"step {row.step:,}: {alert}" for row in self.steps for alert in row.alerts)

    @property
    def measured(self) -> tuple[MonitoredStep, ...]:
        """The steps that were measured."""
        return tuple(row for row in self.steps if row.layers)


def text_of(row: MonitoredStep) -> str:
    """Encode a step as a line; null for NaN and infinity."""
    return json.dumps({"schema": SCHEMA, **plain(row, nulls=True)}, ensure_ascii=False, allow_nan=False) + "\n"


def append_lines(directory: Path, rows: Iterable[MonitoredStep]) -> None:
    """Append steps, each on a line of its own also behind a line that was cut off. Raises CannotWrite."""
    path, text = directory / LINES, "".join(map(text_of, rows))
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write("" if ends_whole(path) else "\n")
            file.write(text)
    except OSError as problem:
        raise CannotWrite(f"cannot write {path}: {problem.strerror or problem}") from problem


def ends_whole(path: Path) -> bool:
    """Whether a file is empty or ends with the end of a line."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - 1))
        return not size or file.read() == b"\n"


def cut_back(directory: Path, step: int) -> None:
    """Drop the steps from ``step`` on, of a training that went on from an earlier one. Raises CannotWrite."""
    path = directory / LINES
    if not path.exists():
        return
    with suppress(InvalidRecord):  # what cannot be read is left as it is; later lines replace earlier ones
        kept = [row for row in read_steps(directory) if row.step < step]
        write_atomically(path, "".join(map(text_of, kept)))


def read_steps(directory: Path, attempt: Attempt = strictly) -> list[MonitoredStep]:
    """Read the steps in ascending order; the last of several lines of one step holds. Raises InvalidRecord.

    A line that was cut off by a full disk or the end of its process is passed over.
    """
    spot = Spot(directory / LINES, AGAIN)
    try:
        lines = (directory / LINES).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError) as problem:
        raise spot.unreadable(problem) from problem
    found: dict[int, MonitoredStep] = {}
    for number, text in enumerate(lines, 1):
        try:
            content = json.loads(text)
        except json.JSONDecodeError:
            continue
        place = Spot(f"{spot.file}, line {number}", AGAIN)
        row = attempt(f"line {number}", partial(STEP_RECORD.parsed, content, place))
        if row is not None:
            found[row.step] = row
    return [found[step] for step in sorted(found)]


def read_monitored(directory: Path, attempt: Attempt = strictly) -> Monitored:
    """Read the record of a monitor. Raises InvalidRecord."""
    return Monitored(MONITORING_RECORD.read(directory), tuple(read_steps(directory, attempt)))


def trajectory_of(found: Monitored) -> Trajectory:
    """The measured steps as a `Trajectory`. Raises InvalidRecord where no step was measured."""
    if not found.measured:
        why = next((row.missing for row in found.steps if row.missing), "no step was reached")
        raise InvalidRecord(f"the monitor of {found.about.name} has measured no step: {why}")
    return Trajectory.from_moments(found.about.name, map(moment_of, found.measured))


def moment_of(row: MonitoredStep) -> Moment:
    """What a line says of one step."""
    return Moment(row.step, row.layers, of_model=row.numbers, complaints=(*row.complaints, *row.alerts))
