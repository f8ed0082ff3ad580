"""Write the record of a monitor while a training goes on: what cannot be written waits, each trouble is told once."""

import inspect
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from todacomm.core.errors import CannotWrite, InvalidInput
from todacomm.records.files.result_directories import writable
from todacomm.records.monitoring import (
    MONITOR,
    MONITORING_RECORD,
    MonitoredStep,
    Monitoring,
    append_lines,
    cut_back,
)

KEPT_LINES = 1000  # that could not be written yet
OURS = "todacomm."


class MonitorWarning(UserWarning):
    """What a monitor could not do, told once for each kind of trouble; the training goes on."""


class TopologyAlert(UserWarning):
    """A rule of a monitor fired."""


@dataclass(slots=True)
class Recorder:
    """The record in a directory; ``waiting`` are lines that could not be written yet."""

    directory: Path
    about: Monitoring
    waiting: list[MonitoredStep] = field(default_factory=list)
    warned: set[str] = field(default_factory=set)
    counts: dict[str, int] = field(default_factory=lambda: {"measured": 0, "missing": 0, "lost": 0})

    def __post_init__(self) -> None:
        """Make the directory. Raises CannotWrite, and InvalidInput where it holds the record of other clouds."""
        writable(self.directory)
        if (self.directory / MONITOR).exists() and not MONITORING_RECORD.read(self.directory).same_clouds(self.about):
            raise InvalidInput(
                f"{self.directory} holds the record of other layers, texts or settings; give directory= a new one"
            )
        MONITORING_RECORD.write(self.directory, self.about)

    def begin(self, step: int) -> None:
        """Drop what an earlier training recorded from this step on: this one goes on from before it."""
        try:
            cut_back(self.directory, step)
            MONITORING_RECORD.write(self.directory, self.about)
        except CannotWrite as problem:
            self.warn("write", f"{problem}; the training goes on, and later measurements are tried again")

    def add(self, row: MonitoredStep) -> None:
        """Append a step, with those that wait; where that fails they wait for the next."""
        self.counts["measured" if row.layers else "missing"] += 1
        self.waiting.append(row)
        self._write()

    def _write(self) -> None:
        try:
            append_lines(self.directory, self.waiting)
        except CannotWrite as problem:
            self.counts["lost"] += max(0, len(self.waiting) - KEPT_LINES)
            self.waiting = [self._marked(row, str(problem)) for row in self.waiting[-KEPT_LINES:]]
            self.warn("write", f"{problem}; the training goes on, and the lines wait until they can be written")
        else:
            self.waiting = []

    @staticmethod
    def _marked(row: MonitoredStep, problem: str) -> MonitoredStep:
        """A line that was written late says so, once."""
        late = f"written late: {problem}"
        return row if late in row.complaints else replace(row, complaints=(*row.complaints, late))

    def close(self, summary: Mapping[str, Any]) -> None:
        """Write what waits, and the summary."""
        if self.waiting:
            self._write()
        lost = self.counts["lost"] + len(self.waiting)
        self.about = replace(self.about, summary={**self.counts, "lost": lost, **summary})
        try:
            MONITORING_RECORD.write(self.directory, self.about)
        except CannotWrite as problem:
            self.warn("close", f"{problem}; {lost} lines of {self.directory} are lost")

    def warn(self, kind: str, message: str) -> None:
        """Warn once of each kind of trouble."""
        if kind not in self.warned:
            self.warned.add(kind)
            warnings.warn(message, MonitorWarning, stacklevel=outside())


def outside() -> int:
    """How many frames up the training loop is, which a warning points at."""
    frame, level = inspect.currentframe(), 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith(OURS):
        frame, level = frame.f_back, level + 1
    return level
