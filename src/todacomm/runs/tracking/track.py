"""Measure every checkpoint of some series, one in memory at a time; a stopped track goes on where it was."""

import glob
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from tempfile import gettempdir
from typing import Any

from todacomm.core._version import __version__
from todacomm.core.errors import CannotWrite, InvalidInput, InvalidRecord, ModelFailed
from todacomm.core.progress import Say, Track, silent, unsaid
from todacomm.core.types import Texts
from todacomm.core.versions import versions
from todacomm.models.names import ModelSource
from todacomm.records.files.io import write_atomically
from todacomm.records.files.locks import alone_in
from todacomm.records.files.result_directories import new_directory, writable
from todacomm.records.files.unfinished import own_directory
from todacomm.records.runs import MANIFEST_RECORD
from todacomm.records.tracks import TRACK, TRACK_RECORD, TrackedCheckpoint, TrackRecord
from todacomm.report.tracking.read_track import TrackFindings
from todacomm.runs.cache.store import Cache, digest_of
from todacomm.runs.config import OPTIONS, Study
from todacomm.runs.config_files import dump_study
from todacomm.runs.experiment import Job, load_texts
from todacomm.runs.fields import MACHINE, OUTPUT, STUDY
from todacomm.runs.jobs import FAILURES, Failure, cache_of, failure, here, release
from todacomm.runs.plan.plan import Plan
from todacomm.runs.run_study import StudyWriter, write_run
from todacomm.runs.tracking.along_steps import concluded
from todacomm.runs.tracking.identity import discarded, fetched, identity_of, on_disk, weights_of
from todacomm.runs.tracking.loops_of_track import AUTO
from todacomm.runs.tracking.plan_track import fitted_to
from todacomm.runs.tracking.sources import checkpoints_of
from todacomm.runs.tracking.staging import checked_config, staged, tokenizer_above

OF_NO_NUMBER = {STUDY, OUTPUT, MACHINE}  # what bears on these alone changes no number


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be tracked: sources, which revisions, a configuration for bare weights, and what stays on the disk."""

    sources: tuple[str, ...]
    revisions: str | None = None
    config: Path | None = None
    keep: str = "all"
    loops: str = AUTO

    def __post_init__(self) -> None:
        if self.keep not in ("all", "none"):
            raise InvalidInput(f"--keep {self.keep}; expected all, or none to keep one hub revision on disk at a time")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """The checkpoints of a track and the job of each, in one order."""

    checkpoints: tuple[TrackedCheckpoint, ...]
    jobs: tuple[Job, ...]


@contextmanager
def prepared(asked: Asked, study: Study, given: Texts | None = None) -> Iterator[Prepared]:
    """Find the checkpoints, and a job for each, while their links are there; loads only the texts.

    Raises InvalidInput and the like for sources that hold no checkpoint, and for several datasets or poolings.
    """
    refuse_several(study)
    config = checked_config(asked.config)
    found = checkpoints_of(asked.sources, select=asked.revisions, bare=config is not None)
    texts = load_texts(study, study.datasets[0]) if given is None else given
    with own_directory(Path(gettempdir()) / "todacomm_track") as place:
        loaded = staged(found, config, place)
        jobs = [job_of(one, tokenizer_above(own, one), texts, study) for own, one in zip(found, loaded, strict=True)]
        yield Prepared(found, tuple(jobs))


def refuse_several(study: Study) -> None:
    """Raise InvalidInput where a track would have several runs a checkpoint."""
    for key, values in (("datasets", study.datasets), ("pooling", study.pooling or ())):
        if len(values) > 1:
            raise InvalidInput(
                f"a track measures each checkpoint once, found {len(values)} {key}: {', '.join(values)}; give one"
            )


def job_of(one: TrackedCheckpoint, tokenizer: str | None, texts: Texts, study: Study) -> Job:
    """The job of one checkpoint, as `todacomm run` makes it of this model alone."""
    words = study.tokenizer or tokenizer
    source = ModelSource(one.name, one.location, one.revision, words)
    own = study.but(models=(f"{one.name}={one.location}",), revision=one.revision, tokenizer=words)
    return Job(source, study.datasets[0], study.pooling[0] if study.pooling else None, texts, own)


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """What a track wrote, and what was found."""

    directory: Path
    found: TrackFindings


def execute_track(
    asked: Asked, study: Study, *, command: str = "", track: Track = silent, say: Say = unsaid, warn: Say = unsaid
) -> Tracked:
    """Measure each checkpoint, and write its run as `todacomm run` does; then what moves along the steps.

    A checkpoint with the weights of an earlier one is not measured again. One that fails is recorded and the others go
    on. Raises ModelFailed where none could be measured, CannotWrite where another process makes the same track.
    """
    with prepared(asked, study) as found:
        cache = cache_of(study)
        jobs, plan = fitted_to(found.jobs, cache)
        for sentence in (plan.line(), *(f"to fit into memory: {change}" for change in plan.changes)):
            say(sentence)
        directory, record = directory_of(found, study, command)
        with alone_in(directory) as alone:
            if not alone:
                raise CannotWrite(
                    f"another process is making this track in {directory}. Wait until it has ended, or give another "
                    "--name"
                )
            written = Writer(directory, record, StudyWriter(study, jobs, directory, cache, command, say, plan))
            written.go(jobs, asked.keep, cache, track=track, say=say, warn=warn)
            return Tracked(directory, concluded(directory, loops=asked.loops, track=track, say=say))


def plan_of_track(asked: Asked, study: Study, *, calibrate: bool = False) -> Plan:
    """The plan of a track as it would be made, one job a checkpoint; TooLarge where it would be refused."""
    with prepared(asked, study) as found:
        cache = cache_of(study)
        return fitted_to(found.jobs, cache, calibrate=calibrate)[1]


def directory_of(found: Prepared, study: Study, command: str) -> tuple[Path, TrackRecord]:
    """The directory of the same track that was stopped, with its record; else a new one, with what is to be done."""
    parent, stem = writable(Path(study.output_dir)), stem_of(found, study)
    record = TrackRecord(
        command=command,
        digest=digest_of(asked_for(found, study)),
        study=asked_for(found, study)["study"],
        checkpoints=found.checkpoints,
        versions=versions(),
    )
    for there in sorted(parent.glob(f"{glob.escape(stem)}_*_*")):
        known = known_in(there)
        if known is not None and known.digest == record.digest and not known.finished:
            return there, known
    directory = new_directory(parent, stem)
    TRACK_RECORD.write(directory, record)
    write_atomically(directory / "experiment_config.yaml", dump_study(study, version=__version__))
    return directory, record


def asked_for(found: Prepared, study: Study) -> dict[str, Any]:
    """What decides the numbers of a track: checkpoints, texts and settings."""
    keys = [key for key, told in OPTIONS.items() if key != "revision" and told.bears_on - OF_NO_NUMBER]
    kept = {key: list(v) if isinstance(v := getattr(study, key), tuple) else v for key in keys if key != "models"}
    texts = {"name": found.jobs[0].texts.name, "sha256": found.jobs[0].texts.sha256}
    places = [[one.name, one.location, one.revision, one.weights] for one in found.checkpoints]
    return {"study": {**kept, "datasets": list(study.datasets)}, "texts": texts, "checkpoints": places}


def known_in(directory: Path) -> TrackRecord | None:
    """The record of a track in a directory; None where it cannot be read."""
    try:
        return TRACK_RECORD.read(directory) if (directory / TRACK).exists() else None
    except InvalidRecord:
        return None


def stem_of(found: Prepared, study: Study) -> str:
    """``--name``, or ``<series>_track``."""
    series = list(dict.fromkeys(one.series for one in found.checkpoints))
    return study.name or f"{'_and_'.join(series) if len(series) < 4 else f'{len(series)}_series'}_track"


@dataclass(slots=True, eq=False)
class Writer:
    """The record of a track while its checkpoints are measured; it is written after each of them."""

    directory: Path
    record: TrackRecord
    study: StudyWriter
    identities: dict[str, TrackedCheckpoint] = field(default_factory=dict)

    def go(self, jobs: Sequence[Job], keep: str, cache: Cache | None, *, track: Track, say: Say, warn: Say) -> None:
        """Measure what is not measured yet. Raises ModelFailed where no checkpoint could be."""
        try:
            for i, job in enumerate(jobs):
                say(f"{i + 1} of {len(jobs)}: {job.source.name}")
                self.note(i, self.done(i, job, keep, cache, track=track, say=say))
                for complaint in cache.told() if cache else ():
                    warn(complaint)
        finally:
            release()
        if not any(one.run for one in self.record.checkpoints):
            first = self.record.checkpoints[0]
            raise ModelFailed(f"none of {len(jobs)} checkpoints could be measured; {first.name}: {first.failure}")

    def done(self, i: int, job: Job, keep: str, cache: Cache | None, *, track: Track, say: Say) -> TrackedCheckpoint:
        """One checkpoint, measured, or with the reason why it is not."""
        one = self.record.checkpoints[i]
        if one.run and (self.directory / one.run).is_dir():  # before this track was stopped
            self.identities.setdefault(one.identity, one)
            return one
        bare = replace(one, run="", same_as="", failure="", details="")
        passing = keep == "none" and one.revision is not None and not on_disk(job.source)
        try:
            return self.measured(bare, job, cache, track=track, say=say)
        except FAILURES as problem:
            found = told_of(failure(problem).kept_in(self.directory), job, one)
            say(f"{one.name} failed: {found.message}")
            return replace(bare, failure=found.message, details=found.details)
        finally:
            if passing:
                discarded(job.source)

    def measured(
        self, one: TrackedCheckpoint, job: Job, cache: Cache | None, *, track: Track, say: Say
    ) -> TrackedCheckpoint:
        """A checkpoint with its run: that of an earlier one with the same weights, one that is there, or a new one."""
        parts = fetched(job.source)
        weights = weights_of(job.source, parts, cache)
        one = replace(one, weights_sha256=weights, identity=identity_of(weights, parts))
        met = self.identities.get(one.identity)
        if met is not None:
            say(f"{one.name} has the weights of {met.name}, which are measured")
            return replace(one, run=met.run, same_as=met.name)
        run = self.next_run(one)
        if not (self.directory / run).is_dir():
            write_run(self.directory / run, here(job, cache, track=track, say=say), job, self.study)
        found = replace(one, run=run)
        if one.identity:
            self.identities[one.identity] = found
        return found

    def next_run(self, one: TrackedCheckpoint) -> str:
        """The first run that is of no other checkpoint: one that this checkpoint left when it was stopped, or new."""
        taken = {other.run for other in self.record.checkpoints if other.name != one.name and not other.same_as}
        runs = (f"runs/run_{number}" for number in count())
        return next(run for run in runs if run not in taken and self.is_free(run, one.name))

    def is_free(self, run: str, name: str) -> bool:
        """Whether nothing lies in the directory of a run, or the run of this checkpoint."""
        place = self.directory / run
        return not place.is_dir() or MANIFEST_RECORD.read(place).model == name

    def note(self, i: int, one: TrackedCheckpoint) -> None:
        """Write what became of a checkpoint."""
        found = list(self.record.checkpoints)
        found[i] = one
        self.record = replace(self.record, checkpoints=tuple(found))
        TRACK_RECORD.write(self.directory, self.record)


def told_of(found: Failure, job: Job, one: TrackedCheckpoint) -> Failure:
    """A failure that names the checkpoint where it is, and not the links by which it was loaded."""
    place = one.weights or one.location
    return replace(
        found,
        message=found.message.replace(job.source.location, place),
        details=found.details.replace(job.source.location, place),
    )
