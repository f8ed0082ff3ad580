"""Read a track from its records: a trajectory for each series, onsets, when two series part, loops along the steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from pathlib import Path

from todacomm.comparison.partings import Parted, partings
from todacomm.core.types import Profile
from todacomm.profiles.onsets import LayerOnset, onsets
from todacomm.profiles.trajectory import Trajectory
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.loops import LOOPS, LoopsRecord, read_loops_record
from todacomm.records.runs import read_record
from todacomm.records.tracks import TRACK_RECORD, UNORDERED, TrackRecord

OF_LOOPS = "loops"  # the directory of the loops of each series, in that of the track


@dataclass(frozen=True, slots=True, eq=False)
class TrackedSeries:
    """One series of checkpoints: its trajectory, the onset of each layer's change, its loops.

    ``profiles`` are by step; ``same`` says which checkpoints have the weights of an earlier one.
    """

    trajectory: Trajectory
    profiles: Mapping[int, Profile]
    onsets: tuple[LayerOnset, ...]
    same: Mapping[str, str] = field(default_factory=dict)
    loops: LoopsRecord | None = None

    @property
    def name(self) -> str:
        """How the series is called."""
        return self.trajectory.name

    @property
    def repeated(self) -> set[int]:
        """The steps whose weights are those of an earlier one."""
        shown = zip(self.trajectory.steps, self.trajectory.labels, strict=True)
        return {step for step, label in shown if label in self.same}

    @property
    def ordered(self) -> bool:
        """Whether its checkpoints are steps of a training, and not models side by side."""
        return self.name != UNORDERED


@dataclass(frozen=True, slots=True, eq=False)
class TrackFindings:
    """All that a report shows of a track."""

    record: TrackRecord
    series: tuple[TrackedSeries, ...]
    parted: tuple[Parted, ...] = ()

    @property
    def title(self) -> str:
        """The names of the series."""
        return ", ".join(one.name for one in self.series)


def read_track(directory: Path, attempt: Attempt = strictly) -> TrackFindings:
    """Read the runs of a track and find what moves along the steps; ``attempt`` may skip a run that cannot be read.

    Raises InvalidRecord where the record of the track cannot be read.
    """
    record = TRACK_RECORD.read(directory)
    profiles = profiles_of(directory, record, attempt)
    found = [series_of(directory, record, name, profiles, attempt) for name in record.series]
    series = tuple(one for one in found if one is not None)
    pairs = combinations([one for one in series if one.ordered], 2)
    parted = tuple(partings((a.name, b.name), (a.profiles, b.profiles)) for a, b in pairs)
    return TrackFindings(record, series, parted)


def profiles_of(directory: Path, record: TrackRecord, attempt: Attempt) -> dict[str, Profile]:
    """Run → its profile, for the runs that can be read."""
    runs = dict.fromkeys(one.run for one in record.checkpoints if one.run)
    found = {run: attempt(run, partial(read_record, directory / run, attempt)) for run in runs}
    return {run: one.profile for run, one in found.items() if one is not None}


def series_of(
    directory: Path, record: TrackRecord, name: str, profiles: Mapping[str, Profile], attempt: Attempt
) -> TrackedSeries | None:
    """One series, from the checkpoints that have a run; None where none has."""
    there = [one for one in record.of(name) if one.run in profiles]
    if not there:
        return None
    of_steps = {one.step: profiles[one.run] for one in there}
    trajectory = Trajectory.from_profiles(name, of_steps, {one.step: one.label for one in there})
    same = {one.label: one.same_as for one in there if one.same_as}
    found = TrackedSeries(trajectory, of_steps, (), same, loops_of(directory, name, attempt))
    return replace(found, onsets=onsets(trajectory)) if found.ordered else found


def with_loops(directory: Path, found: TrackFindings) -> TrackFindings:
    """The findings with the loops that have been written since."""
    return replace(
        found, series=tuple(replace(one, loops=loops_of(directory, one.name, strictly)) for one in found.series)
    )


def loops_of(directory: Path, name: str, attempt: Attempt) -> LoopsRecord | None:
    """The loops of a series; None where none were sought."""
    place = directory / OF_LOOPS / name
    return attempt(f"loops of {name}", partial(read_loops_record, place)) if (place / LOOPS).exists() else None
