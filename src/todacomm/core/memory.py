"""Memory: sizes as text, what is available, what this process holds."""

import os
import re
import sys
from contextlib import suppress
from pathlib import Path

from todacomm.core.errors import InvalidInput

STEPS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}
FORM = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(I?)B?", re.IGNORECASE)
SHARE = 0.9  # of the available memory is used unless told otherwise


def size_of(text: str) -> int:
    """Parse ``4GiB``, ``500 MB`` or a plain number: K, M, G, T are powers of 1000, Ki, Mi, Gi, Ti of 1024.

    >>> size_of("4GiB"), size_of("1.5 MB"), size_of("2048")
    (4294967296, 1500000, 2048)
    """
    found = FORM.fullmatch(text.strip())
    size = found and round(float(found[1]) * (1024 if found[3] else 1000) ** STEPS[found[2].upper()])
    if not size:
        raise InvalidInput(f"--max-memory {text}: expected a size such as 4GiB, 4GB, 500MiB or 500MB")
    return size


def format_bytes(size: float) -> str:
    """Format a size with its unit, in powers of 1024.

    >>> spoken(1.3 * 2**30), spoken(300 * 2**20), spoken(2000)
    ('1.3 GiB', '300 MiB', '2 KiB')
    """
    for unit, power in (("TiB", 40), ("GiB", 30)):
        if size >= 2**power:
            return f"{size / 2**power:.1f} {unit}"
    return f"{size / 2**20:.0f} MiB" if size >= 2**20 else f"{size / 2**10:.0f} KiB"


def default_limit() -> int | None:
    """Return the default memory limit: nine tenths of what is available and held; None where unknown."""
    left = [size for size in (_machine(), _group()) if size is not None]
    return round(SHARE * (min(left) + resident())) if left else None


def resident() -> int:
    """Bytes of memory that this process holds; their peak where the system reports no more."""
    with suppress(OSError, StopIteration):
        return _kibibytes("/proc/self/status", "VmRSS")
    return peak() or 0


def peak() -> int | None:
    """Peak memory of this process; None where unknown."""
    with suppress(OSError, StopIteration):
        return _kibibytes("/proc/self/status", "VmHWM")
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024


def _kibibytes(path: str, name: str) -> int:
    lines = Path(path).read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def _machine() -> int | None:
    """Available memory of the machine."""
    with suppress(OSError, StopIteration):
        return _kibibytes("/proc/meminfo", "MemAvailable")
    with suppress(AttributeError, ValueError, OSError):  # not on Windows; macOS knows its pages, not the free ones
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") - resident()
    return None


def _group() -> int | None:
    """Available memory of the control group: the least of the group and those above it."""
    left = [size for directory in _directories() if (size := _left(directory)) is not None]
    return min(left) if left else None


def _directories() -> list[Path]:
    root = Path("/sys/fs/cgroup")
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::"):
                inner = root / line[3:].strip().lstrip("/")
                return [path for path in (inner, *inner.parents) if path.is_relative_to(root)]
    return []


def _left(directory: Path) -> int | None:
    """Limit minus use, without what the kernel can drop."""
    try:
        most = (directory / "memory.max").read_text(encoding="ascii").strip()
        used = int((directory / "memory.current").read_text(encoding="ascii"))
        lines = (directory / "memory.stat").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    dropped = sum(int(line.split()[1]) for line in lines if line.startswith("inactive_file "))
    return None if most == "max" else int(most) - used + dropped


def limit_of(given: str | None) -> int | None:
    """The memory limit in bytes."""
    return default_limit() if given is None else size_of(given)
