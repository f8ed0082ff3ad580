"""What lies in a directory that todacomm has written, and which directory a name means."""

from pathlib import Path
from typing import Literal

from todacomm.ablation_store import ABLATION
from todacomm.comparison_store import COMPARISON
from todacomm.errors import InvalidRecord
from todacomm.grok_store import ABOUT, PLAN, RECORDS, SIGNATURE
from todacomm.salvage import Salvage
from todacomm.store import Record, gone, is_run, newest, read_runs, runs_of

Kind = Literal["runs", "comparison", "ablation", "training"]
WANTED = "a directory that `todacomm run`, `compare`, `ablate`, `grok` or `measure --output` has written"


def kind_of(directory: Path) -> Kind | None:
    """What a directory holds, whole or damaged; None where it is nothing of ours."""
    if (directory / COMPARISON).exists():
        return "comparison"
    if (directory / ABLATION).exists():
        return "ablation"
    if any((directory / name).exists() for name in (PLAN, SIGNATURE)) or any((directory / "runs").glob(f"**/{ABOUT}")):
        return "training"
    return "runs" if is_run(directory) or runs_of(directory) else None


def find(name: str, output_dir: Path) -> tuple[Path, Kind]:
    """The directory that ``name`` means, and what it holds: a path, or the newest of that name under ``output_dir``.

    Raises UnknownName for a name that there is not, InvalidRecord for a directory that is none of ours or unfinished.
    """
    given = Path(name)
    if not given.is_dir():
        known = [p for p in output_dir.glob("*_*") if p.is_dir() and p.suffix != ".part" and kind_of(p)]
        given = newest(name, known, "run", hint=f"Looked in {output_dir}; a directory may be given too.")
    kind = kind_of(given)
    if given.suffix == ".part":
        raise InvalidRecord(f"{given} is unfinished: what ends in .part was stopped while it was written")
    if kind is None and any((given / name).exists() for name in (ABOUT, RECORDS)):
        raise InvalidRecord(
            f"{given} is one run of an experiment of training, which says nothing without its controls; "
            f"give the directory of the experiment, that in which runs/ lies"
        )
    if kind is None:
        raise InvalidRecord(f"{given} holds no records; expected {WANTED}")
    return given, kind


def legible_runs(directory: Path, salvage: Salvage) -> dict[Path, Record]:
    """The runs of an experiment that can be read, by their directories; the others, and those missing between, are noted.

    Raises NothingLegible where there is none.
    """
    found = read_runs(directory, salvage)
    for run in gone(directory):
        salvage.lose(run.name, f"{run} is missing")
    salvage.need(found, directory)
    return found
