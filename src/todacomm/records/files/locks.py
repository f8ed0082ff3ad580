"""A lock for one process at a time, released by the system when the process ends, however it ends."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from todacomm.core.errors import CannotWrite

LOCK = ".lock"
WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)  # of some network file systems


@contextmanager
def alone_in(directory: Path, *, wait: bool = False) -> Iterator[bool]:
    """Whether this process has the directory for itself until the end of the block; ``wait`` waits for it.

    A killed process leaves an empty file that locks nobody out. File systems without locks keep nobody out. Raises
    CannotWrite.
    """
    path = directory / LOCK
    try:
        handle = _opened(path, wait=wait)
    except OSError as problem:
        raise CannotWrite(f"cannot write {path}: {problem.strerror}. Choose another place") from problem
    try:
        yield handle is not None
    finally:
        if handle is not None:
            with suppress(OSError):  # Windows removes no file that is open
                path.unlink()
            os.close(handle)


def _opened(path: Path, *, wait: bool) -> int | None:
    """The lock's handle, opened anew where it was removed while this process waited; None where another has it."""
    while True:
        with ExitStack() as closing:  # also at an interrupt while it waits
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
            closing.callback(os.close, handle)
            if not _locked(handle, wait=wait):
                return None
            if _is(path, handle):
                closing.pop_all()
                return handle


def _is(path: Path, handle: int) -> bool:
    """Whether the file at ``path`` is the open one."""
    try:
        return os.path.samestat(path.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


if sys.platform == "win32":

    def _locked(handle: int, *, wait: bool) -> bool:
        import msvcrt
        import time

        while True:
            try:
                msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            except OSError:
                if not wait:
                    return False
                time.sleep(0.2)
            else:
                return True

else:

    def _locked(handle: int, *, wait: bool) -> bool:
        import fcntl

        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError as problem:
            if problem.errno not in WITHOUT_LOCKS:
                raise
        return True
