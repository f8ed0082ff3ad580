"""Unfinished files and directories: locked while their writer lives, and swept once it is dead.

Their names end in 32 hexadecimal digits and ``.part``, unlike any file of a user. The system releases the lock of a
process that ended, however it did.
"""

import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # on Windows nothing is swept
    fcntl = None  # type: ignore[assignment]

PART = ".part"
OURS = re.compile(r".*\.[0-9a-f]{32}\.part")
STAMPED = "*_[0-9]*_[0-9]*"  # directories that `todacomm.runs.run_study.new_directory` makes
KEPT_CHARACTERS = 50  # of a name, as file systems take 255 bytes


def unfinished(path: Path) -> Path:
    """A new temporary name beside a path."""
    return path.with_name(f"{path.name[:KEPT_CHARACTERS]}.{uuid.uuid4().hex}{PART}")


def hold(number: int) -> bool:
    """Lock an open file or directory until this process closes it; False where it cannot be locked."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


@contextmanager
def own_directory(path: Path) -> Iterator[Path]:
    """Yield a new directory beside ``path``, for this process alone; removed in the end unless renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path.parent.glob(f"{glob_safe(path.name[:KEPT_CHARACTERS])}.*{PART}"))
    part, number = _made(path)
    try:
        yield part
    finally:
        shutil.rmtree(part, ignore_errors=True)
        if number is not None:
            os.close(number)


def _made(path: Path) -> tuple[Path, int | None]:
    """Make and lock the directory; retry where it was swept before it was locked."""
    while True:
        part = unfinished(path)
        part.mkdir()
        if fcntl is None:
            return part, None
        with suppress(OSError):
            number = os.open(part, os.O_RDONLY)
            if hold(number) or part.exists():
                return part, number
            os.close(number)


def sweep(paths: Iterator[Path]) -> None:
    """Remove those of these files and directories that are ours and unlocked."""
    for path in list(paths):
        if OURS.fullmatch(path.name) and not path.is_symlink() and is_left(path):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def is_left(path: Path) -> bool:
    """Whether no process has a file or a directory locked."""
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        return hold(number)
    finally:
        os.close(number)


def sweep_experiments(directory: Path) -> None:
    """Remove what dead processes left in a directory of experiments: unfinished parts, then what is empty."""
    sweep(directory.glob(f"*{PART}"))
    for experiment in directory.glob(STAMPED):
        if experiment.is_dir() and not experiment.is_symlink():
            for pattern in (f"*{PART}", f"*/*{PART}", f"*/*/*{PART}"):
                sweep(experiment.glob(pattern))
            for empty in (experiment / "runs", experiment):
                with suppress(OSError):  # it is not
                    empty.rmdir()


def glob_safe(name: str) -> str:
    """Escape brackets and stars in a name."""
    return re.sub(r"([*?[])", r"[\1]", name)
