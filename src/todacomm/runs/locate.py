"""Identify output directories and resolve names to them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from todacomm.ablation.judge import Ablation
from todacomm.circles.probed import Probed
from todacomm.comparison.compare import Comparison
from todacomm.core.errors import InvalidRecord, UnknownName
from todacomm.core.types import Profile
from todacomm.models.checkpoints.checkpoint_files import OF_A_MODEL
from todacomm.models.names import resolve
from todacomm.profiles.trajectory import Trajectory
from todacomm.records.ablations import ABLATION, ABLATION_RECORD
from todacomm.records.comparisons import COMPARISON
from todacomm.records.files.damaged import Salvage, loss_messages
from todacomm.records.loops import LOOPS, LoopsRecord, read_loops_record
from todacomm.records.monitoring import MONITOR, read_monitored, trajectory_of
from todacomm.records.probes import PROBE, PROBE_RECORD
from todacomm.records.runs import (
    MANIFEST_RECORD,
    Manifest,
    Record,
    gone,
    is_run,
    read_runs,
    runs_of,
    safe,
    stamp_of,
    stem_of,
)
from todacomm.records.stability import PLAN as STABILITY_STUDY
from todacomm.records.stability import STABILITY_PLAN, has_stability, read_stability
from todacomm.records.tracks import TRACK
from todacomm.records.training import ABOUT, PLAN, RECORDS, SIGNATURE, planned_runs, read_run
from todacomm.report.tracking.read_track import read_track
from todacomm.runs.cache.keys import checkpoint_of
from todacomm.runs.cache.store import Cache, default_place
from todacomm.stability.stability import Stability
from todacomm.training.observe import Course

Kind = Literal["runs", "comparison", "ablation", "training", "probe", "loops", "stability", "track", "monitor"]
WANTED = (
    "a directory that `todacomm run`, `compare`, `ablate`, `grok`, `stability`, `track`, `probe`, `loops`, "
    "`measure --output` or td.Monitor has written"
)
OF_ONE_FILE: Mapping[str, Kind] = {
    COMPARISON: "comparison",
    ABLATION: "ablation",
    TRACK: "track",
    PROBE: "probe",
    LOOPS: "loops",
    MONITOR: "monitor",
    STABILITY_STUDY: "stability",
}


def kind_of(directory: Path) -> Kind | None:
    """What a directory holds, intact or damaged; None if todacomm did not write it."""
    for file, kind in OF_ONE_FILE.items():
        if (directory / file).exists():
            return kind
    if any((directory / name).exists() for name in (PLAN, SIGNATURE)) or any((directory / "runs").glob(f"**/{ABOUT}")):
        return "training"
    return "runs" if is_run(directory) or runs_of(directory) else None


@dataclass(frozen=True, slots=True)
class Place:
    """An output directory and its kind; ``said`` says which of several candidates was taken."""

    directory: Path
    kind: Kind
    said: str = ""


def find(names: Sequence[str], output_dir: Path, *, runs: bool = False) -> list[Place]:
    """Resolve names: an output directory, the directory of a model that was run, or a name under ``output_dir``.

    Among several candidates, prefer those with the same texts for all names, else the newest; ``runs`` accepts only
    runs of models. Raises UnknownName for an unknown name, InvalidRecord for an unfinished or foreign directory.
    """
    found = [_candidates(name, output_dir, runs=runs) for name in names]
    chosen = _alike(found)
    return [
        Place(one, kind_of(one) or "runs", _said(name, one, several))
        for name, one, several in zip(names, chosen, found, strict=True)
    ]


def _candidates(name: str, output_dir: Path, *, runs: bool) -> list[Path]:
    """The candidate directories of a name, newest first."""
    given = Path(name)
    kind = kind_of(given)
    if given.suffix == ".part":
        raise InvalidRecord(f"{given} is unfinished: what ends in .part was stopped while it was written")
    if kind == "runs" or (kind and not runs):
        return [given]
    if kind:
        raise InvalidRecord(f"{given} holds a {kind}; expected runs of models, as `todacomm run` makes them")
    if any((given / file).exists() for file in (ABOUT, RECORDS)):
        raise InvalidRecord(
            f"{given} is one run of an experiment of training, which says nothing without its controls; "
            f"give the directory of the experiment, that in which runs/ lies"
        )
    whole = (p for p in output_dir.glob("*_*") if p.is_dir() and p.suffix != ".part")
    known = sorted((p for p in whole if kind_of(p) and not (runs and kind_of(p) != "runs")), key=stamp_of, reverse=True)
    if given.is_dir() and any(next(given.glob(file), None) for file in OF_A_MODEL):
        return _of_model(given, known, output_dir)
    wanted = safe(given.name if given.is_dir() else name)
    found = [p for p in known if stem_of(p) in (wanted, f"{wanted}_tda")]
    if not found and given.is_dir():
        raise InvalidRecord(f"{given} holds no records; expected {WANTED}")
    if not found:
        hint = f"Looked in {output_dir}; `todacomm run --model {name}` makes one, a directory may be given too."
        raise UnknownName("run", name, dict.fromkeys(stem_of(p).removesuffix("_tda") for p in known), hint=hint)
    return found


def _of_model(given: Path, known: Sequence[Path], output_dir: Path) -> list[Path]:
    """The experiments that measured the weights in a model's directory, those named like it first."""
    checkpoint = checkpoint_of(resolve(str(given)), Cache(default_place()))
    found = [
        p
        for p in known
        if checkpoint and any(m.card and m.card.weights_sha256 == checkpoint.weights_sha256 for m in _manifests(p))
    ]
    called = [p for p in known if stem_of(p) in (given.resolve().name, f"{given.resolve().name}_tda")]
    if not found:
        others = f" (those called {given.resolve().name} there measured other weights)" if called else ""
        raise InvalidRecord(
            f"{given} is a model of whose weights, as they are now, there is no run under {output_dir}{others}; "
            f"make one: todacomm run --hf-model {given}"
        )
    return [p for p in found if p in called] or found


def _manifests(directory: Path) -> list[Manifest]:
    """The manifests of the readable runs of a directory."""
    found = []
    for run in runs_of(directory):
        with suppress(InvalidRecord):
            found.append(MANIFEST_RECORD.read(run))
    return found


def _alike(candidates: Sequence[Sequence[Path]]) -> list[Path]:
    """Choose a candidate of each name: with equal texts and recipe, else with equal texts, else the newest."""
    if any(len(several) > 1 for several in candidates) and len(candidates) > 1:
        for keys in (lambda m: (m.texts_sha256, m.data, m.recipe_digest), lambda m: (m.texts_sha256, m.data)):
            having = [{p: set(map(keys, _manifests(p))) for p in several} for several in candidates]
            shared = set.intersection(*(set().union(*marks.values()) for marks in having))
            sets = [[next(p for p, marks in of_one.items() if key in marks) for of_one in having] for key in shared]
            if sets:
                return max(sets, key=lambda chosen: sorted(map(stamp_of, chosen)))
    return [several[0] for several in candidates]


def _said(name: str, one: Path, several: Sequence[Path]) -> str:
    if one == Path(name):
        return ""
    if len(several) == 1:
        return f"{name} is {one}"
    which = "the newest" if one == several[0] else "the newest with the texts of the others"
    return f"{name} is {one}, of {len(several)} runs {which}"


def legible_runs(directory: Path, salvage: Salvage) -> dict[Path, Record]:
    """Read the readable runs of an experiment; note damaged and missing ones.

    Raises NothingLegible where there is none.
    """
    found = read_runs(directory, salvage)
    for run in gone(directory):
        salvage.lose(run.name, f"{run} is missing")
    salvage.need(found, directory)
    return found


# Read again


def load(directory: str | Path, *, output_dir: str | Path = "experiments") -> Any:
    """Read back what todacomm has written into a directory, checked against its digests.

    A run of a model gives its profile, so that it can be compared, drawn and tested again without the model.

    Parameters
    ----------
    directory : str or Path
        A directory written by `todacomm run`, `measure --output`, `compare`, `ablate`, `grok`, `stability`, `track` or
        `probe`, or by a `Monitor`; or a name, whose newest directory is read.
    output_dir : str or Path, default "experiments"
        Where names are looked for.

    Returns
    -------
    Profile, Comparison, Ablation, Course, Stability, Trajectory or Probed, or a tuple of them
        A `Profile` for each run; a `Comparison` for each group of runs, computed again from these; the `Ablation`; a
        `Course` for each training run and control; a `Stability` for each run whose copies were followed; a
        `Trajectory` for each series of a track, and of a monitor. A single one is not in a tuple.

    Raises
    ------
    InvalidRecord
        For a directory that holds no records, and for a record that is missing, damaged or of a newer schema.
    UnknownName
        For a name of which there is nothing.

    Examples
    --------
    >>> import tempfile
    >>> import todacomm as td
    >>> with tempfile.TemporaryDirectory() as empty:
    ...     td.load(empty)
    Traceback (most recent call last):
    ...
    todacomm.core.errors.InvalidRecord: ... holds no records; expected ...

    """
    [place] = find([str(directory)], Path(output_dir))
    found = READERS[place.kind](place.directory)
    return found[0] if len(found) == 1 else tuple(found)


def _profiles(directory: Path) -> list[Profile]:
    return [record.profile for record in read_runs(directory).values()]


def _comparisons(directory: Path) -> list[Comparison]:
    from todacomm.runs.rebuild_reports import Runs, compared_again

    salvage = Salvage()
    found = compared_again(directory, Runs(salvage), salvage)
    if salvage.losses:
        raise InvalidRecord("\n".join([f"{directory} cannot be made again in full", *loss_messages(salvage.losses)]))
    return list(found.values())


def _ablations(directory: Path) -> list[Ablation]:
    return [ABLATION_RECORD.read(directory).ablation]


def _courses(directory: Path) -> list[Course]:
    runs = [directory / "runs" / plan.name for plans in planned_runs(directory).values() for plan in plans]
    found = {run: read_run(run).course for run in runs}
    if empty := [str(run) for run, course in found.items() if course is None]:
        raise InvalidRecord(f"no checkpoint in {', '.join(empty)}; give the same `todacomm grok` again")
    return [course for course in found.values() if course is not None]


def _probes(directory: Path) -> list[Probed]:
    return [PROBE_RECORD.read(directory).found]


def _loops(directory: Path) -> list[LoopsRecord]:
    return [read_loops_record(directory)]


def _stabilities(directory: Path) -> list[Stability]:
    places = [directory / "runs" / planned.name for planned in STABILITY_PLAN.read(directory).runs]
    found = [read_stability(place).found for place in places if has_stability(place)]
    if not found:
        raise InvalidRecord(f"no finished run in {directory}; give the same `todacomm stability` again")
    return found


def _trajectories(directory: Path) -> list[Trajectory]:
    return [one.trajectory for one in read_track(directory).series]


def _monitored(directory: Path) -> list[Trajectory]:
    return [trajectory_of(read_monitored(directory))]


READERS: Mapping[Kind, Callable[[Path], Sequence[Any]]] = {
    "runs": _profiles,
    "comparison": _comparisons,
    "ablation": _ablations,
    "training": _courses,
    "probe": _probes,
    "loops": _loops,
    "stability": _stabilities,
    "track": _trajectories,
    "monitor": _monitored,
}
