"""Write and read ``track.json``: the checkpoints of a track, the run of each, and what was found along the steps."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from todacomm.core.errors import InvalidInput
from todacomm.records.files.codec import Format

TRACK = "track.json"
UNORDERED = "models"  # the series of models that are no steps of one training, such as fine-tunes of one base


@dataclass(frozen=True, slots=True)
class TrackedCheckpoint:
    """One checkpoint of a track, and what became of it.

    ``step`` is its number, or its place among models without numbers; ``location`` and ``revision`` say where it is,
    ``weights`` the file of a state dict without a configuration. ``identity`` is the digest of
    weights, configuration and tokenizer. ``run`` is its directory, empty until it is measured;
    ``same_as`` names an earlier checkpoint with the same weights, whose run it shares; ``failure`` says why it has no
    run.
    """

    series: str
    step: int
    name: str
    label: str
    location: str
    revision: str | None = None
    weights: str = ""
    run: str = ""
    same_as: str = ""
    weights_sha256: str = ""
    identity: str = ""
    failure: str = ""
    details: str = ""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TrackRecord:
    """All of ``track.json``.

    ``digest`` is of what was asked for, by which a stopped track is found again; ``finished`` says that every
    checkpoint was measured or failed, and that ``onsets``, ``partings`` and ``loops`` are there for other readers.
    """

    command: str
    digest: str
    study: Mapping[str, Any]
    checkpoints: tuple[TrackedCheckpoint, ...]
    finished: bool = False
    onsets: tuple[Mapping[str, Any], ...] = ()
    partings: tuple[Mapping[str, Any], ...] = ()
    loops: tuple[Mapping[str, Any], ...] = ()
    versions: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [one.name for one in self.checkpoints]
        if not names or len(set(names)) < len(names):
            raise InvalidInput("expected one checkpoint or more, each of a name of its own")

    @property
    def series(self) -> tuple[str, ...]:
        """The series, in their order."""
        return tuple(dict.fromkeys(one.series for one in self.checkpoints))

    def of(self, series: str) -> tuple[TrackedCheckpoint, ...]:
        """The checkpoints of one series by step."""
        return tuple(sorted((one for one in self.checkpoints if one.series == series), key=lambda one: one.step))

    @property
    def failures(self) -> dict[str, str]:
        """Checkpoint → why it has no run."""
        return {one.name: one.failure for one in self.checkpoints if one.failure}


TRACK_RECORD = Format(TrackRecord, 1, "give the same `todacomm track` again", TRACK, sealed=True)
