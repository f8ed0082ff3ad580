"""Make output directories: check that one is writable, make a new one, fill one whole or not at all."""

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryFile

from todacomm.core.errors import CannotWrite
from todacomm.records.files.unfinished import own_directory, sweep_experiments

STAMP = "%Y%m%d_%H%M%S"
LONGEST_FILE_NAME = 255  # bytes, of the file systems that are in use


def writable(directory: Path) -> Path:
    """Make the directory where it is missing and sweep what dead processes left. Raises CannotWrite."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=directory):  # a new file, of a name that nobody else has
            pass
    except (OSError, ValueError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise CannotWrite(f"cannot write to {directory}: {reason}. Choose another place with --output-dir") from problem
    sweep_experiments(directory)
    return directory


def new_directory(parent: Path, stem: str) -> Path:
    """Make a new directory ``<stem>_<timestamp>``, never one that exists. Raises CannotWrite."""
    while True:
        directory = parent / f"{stem}_{datetime.now(UTC).astimezone():{STAMP}}"
        try:
            directory.mkdir(parents=True)
        except FileExistsError:
            time.sleep(0.2)
        except (OSError, ValueError) as problem:
            raise CannotWrite(f"cannot make {directory}: {getattr(problem, 'strerror', problem)}") from problem
        else:
            return directory


def check_name(stem: str, *, stamped: bool = True) -> None:
    """Raise CannotWrite, before any work, where a directory cannot have this name (with the time if ``stamped``)."""
    size = len(os.fsencode(f"{stem}_{datetime.now(UTC):{STAMP}}" if stamped else stem))
    if size > LONGEST_FILE_NAME:
        raise CannotWrite(
            f"'{stem[:40]}…' is too long for a directory name: {size} bytes{' with the time' if stamped else ''}, and "
            f"file systems take {LONGEST_FILE_NAME}. Give a shorter --name"
        )
    if "\0" in stem:
        raise CannotWrite(f"{stem!r} holds U+0000, which no name can; give another --name")


def check_new(directory: Path) -> None:
    """Raise CannotWrite unless nothing or an empty directory is there."""
    try:
        taken = directory.is_file() or (directory.is_dir() and any(directory.iterdir()))
    except (OSError, ValueError) as problem:
        raise CannotWrite(f"cannot write {directory}: {getattr(problem, 'strerror', problem)}") from problem
    if taken:
        raise CannotWrite(f"{directory} is not an empty directory; give --output a new one")
    check_name(directory.name, stamped=False)


@contextmanager
def in_part(directory: Path) -> Iterator[Path]:
    """Yield a place to write into that becomes ``directory`` on success and vanishes otherwise."""
    whole = directory.resolve()
    try:
        with own_directory(whole) as part:
            yield part
            part.replace(whole)
    except CannotWrite:
        raise
    except OSError as problem:
        filled = problem.errno in (errno.ENOTEMPTY, errno.EEXIST)
        reason = "another process has filled it meanwhile; give another name" if filled else problem.strerror or problem
        raise CannotWrite(f"cannot write {directory}: {reason}") from problem


@contextmanager
def reserved(directory: Path) -> Iterator[None]:
    """Hold a name by an empty directory; remove it in the end if it is still empty."""
    try:
        yield
    finally:
        with suppress(OSError):  # it is filled
            directory.rmdir()
