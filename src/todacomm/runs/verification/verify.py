"""`verify`: whether what todacomm has written holds together."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from todacomm.core.errors import InvalidRecord
from todacomm.core.parallel import one_thread
from todacomm.records.ablations import ABLATION
from todacomm.records.comparisons import COMPARISON
from todacomm.records.files.damaged import Salvage
from todacomm.records.loops import ANGLES, ARRAYS, LOOPS
from todacomm.records.monitoring import LINES, MONITOR, read_monitored, trajectory_of
from todacomm.records.probes import PROBE, PROBE_RECORD
from todacomm.records.runs import gone, runs_of
from todacomm.records.stability import PLAN as STABILITY_STUDY
from todacomm.records.stability import SUMMARY
from todacomm.records.tracks import TRACK
from todacomm.records.training import PLAN, SIGNATURE
from todacomm.runs.locate import WANTED, Kind, kind_of
from todacomm.runs.rebuild_reports import CONFIGURATION, report_again
from todacomm.runs.verification.faults import Fault, guarded, lost, strangers
from todacomm.runs.verification.of_runs import faults_of_run
from todacomm.runs.verification.of_studies import (
    faults_of_ablation,
    faults_of_comparison,
    faults_of_loops,
    faults_of_stability,
    faults_of_track,
    faults_of_training,
)

MADE = ("*.md", "*.html", "visualizations/**/*", "reports/*", "runs/run_*/**/*")  # of the records, or of runs
RECORDS_OF: Mapping[Kind, tuple[str, ...]] = {
    "runs": (CONFIGURATION,),
    "comparison": (COMPARISON,),
    "ablation": (ABLATION, "ablation.csv"),
    "training": (PLAN, SIGNATURE, "runs/**/*"),
    "probe": (PROBE,),
    "loops": (LOOPS, ARRAYS, ANGLES),
    "stability": (STABILITY_STUDY, SUMMARY, "runs/**/*"),
    "track": (TRACK, CONFIGURATION, "loops/**/*"),
    "monitor": (MONITOR, LINES),
}
PAGES = (".md", ".html")


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found in one directory: its ``kind``, and each fault; none where everything holds together.

    Examples
    --------
    >>> Verification("experiments/mine", "runs", ()).sound
    True

    """

    directory: str
    kind: str
    faults: tuple[Fault, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults


def verify(directory: str | Path, *, reports: bool = True, clouds: bool = True) -> Verification:
    """Check that everything in a directory of todacomm follows from what it should follow from.

    Digests and seals find accidents. Beside them every number is derived again from what it is of: metrics from bars,
    intervals from half-samples, adjusted p-values from p-values, growths from summaries, comparisons and signatures
    from the runs, pages from the records. So a record that was changed together with its digests is found too.

    Parameters
    ----------
    directory : str or Path
        Written by `todacomm run`, `measure --output`, `compare`, `ablate`, `grok`, `stability`, `track`, `loops`,
        `probe` or a `Monitor`.
    reports : bool, default True
        Make the pages again, in a temporary place, and compare them with those that are there.
    clouds : bool, default True
        Measure the layers of runs again where their activations lie beside them.

    Returns
    -------
    Verification
        Its ``faults`` say file, field, what was found and what was expected.

    Raises
    ------
    InvalidRecord
        For a directory that holds nothing of todacomm.

    Examples
    --------
    >>> import todacomm as td
    >>> td.verify("experiments")
    Traceback (most recent call last):
    ...
    todacomm.core.errors.InvalidRecord: experiments holds no records; expected ...

    """
    place = Path(directory)
    kind = kind_of(place)
    if kind is None:
        raise InvalidRecord(f"{place} holds no records; expected {WANTED}")
    with one_thread:
        found = list(faults_of(place, kind, clouds=clouds))
        if reports and not found:  # of damaged records there is no page
            found += guarded(".", partial(faults_of_pages, place, kind))
    return Verification(str(place), kind, tuple(dict.fromkeys(found)))


def faults_of(place: Path, kind: Kind, *, clouds: bool) -> Iterator[Fault]:
    """Every fault of the records of a directory."""
    if kind in ("runs", "track"):
        yield from faults_of_runs(place, clouds=clouds)
    if place not in runs_of(place):
        yield from strangers(place, [*MADE, *RECORDS_OF[kind]])
    checks: Mapping[Kind, Callable[[Path], Iterator[Fault]]] = {
        "comparison": faults_of_comparison,
        "ablation": faults_of_ablation,
        "training": faults_of_training,
        "loops": faults_of_loops,
        "stability": faults_of_stability,
        "track": faults_of_track,
        "probe": faults_of_probe,
        "monitor": faults_of_monitor,
    }
    if kind in checks:
        yield from guarded(RECORDS_OF[kind][0], partial(checks[kind], place))


def faults_of_runs(place: Path, *, clouds: bool) -> Iterator[Fault]:
    """Every fault of every run of an experiment, or of the one run in ``place``."""
    for run in gone(place):
        yield Fault(run.relative_to(place).as_posix(), "is missing between others")
    for run in runs_of(place):
        name = "" if run == place else f"{run.relative_to(place).as_posix()}/"
        for fault in faults_of_run(run, clouds=clouds, drawn=("reports/*",)):
            yield Fault(f"{name}{fault.file}", fault.what)


def faults_of_probe(place: Path) -> Iterator[Fault]:
    """That the record of a probe can be read, and is as it was written."""
    PROBE_RECORD.read(place)
    yield from ()


def faults_of_monitor(place: Path) -> Iterator[Fault]:
    """That the lines of a monitor can be read, and make a trajectory."""
    salvage = Salvage()
    trajectory_of(read_monitored(place, salvage))
    yield from lost(salvage, LINES)


def faults_of_pages(place: Path, kind: Kind) -> Iterator[Fault]:
    """Pages that are not those of the records."""
    with TemporaryDirectory(prefix="todacomm_verify_") as scratch:
        copy = beside(place, Path(scratch))
        before = {path: path.read_bytes() for path in copy.rglob("*") if path.suffix in PAGES}
        salvage = Salvage()
        report_again(copy, kind, salvage)
        yield from lost(salvage, ".")
        for path, content in before.items():
            if path.read_bytes() != content:
                name = path.relative_to(copy).as_posix()
                yield Fault(
                    name, "is not the page that this todacomm makes of the records: todacomm report makes it again"
                )


def beside(place: Path, scratch: Path) -> Path:
    """A copy of a directory from which the directories beside it are reached as from the original."""
    whole = place.resolve()
    for other in whole.parent.iterdir():
        if other != whole:
            (scratch / other.name).symlink_to(other)
    return Path(shutil.copytree(whole, scratch / whole.name))
