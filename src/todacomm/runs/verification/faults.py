"""A fault: the file, and what was found where something else follows from the rest."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from todacomm.core.errors import TodacommError
from todacomm.records.files.damaged import Salvage
from todacomm.records.files.fault_messages import brief
from todacomm.records.files.io import digests_of

CLOSE = 1e-6  # relative: sums of float32 bars depend on their order
BROKEN = (TodacommError, ArithmeticError, LookupError, ValueError)  # what does not hold together has no answer
MOST = 20  # faults that are told of one file


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong: the ``file``, relative to the directory, and ``what``: field, value, and what was expected."""

    file: str
    what: str

    def __str__(self) -> str:
        return f"{self.file}: {self.what}"


def guarded(file: str, check: Callable[[], Iterable[Fault]]) -> Iterator[Fault]:
    """The faults that a check finds; where it cannot be made, that is one."""
    try:
        yield from check()
    except BROKEN as problem:
        yield Fault(file, str(problem) or repr(problem))


def lost(salvage: Salvage, file: str) -> Iterator[Fault]:
    """What could not be read."""
    for loss in salvage.losses:
        yield Fault(file, loss.why)


@dataclass(frozen=True, slots=True)
class Derived:
    """How a stored value is held against one that was derived again, and ``why`` that one is right."""

    file: str
    why: str
    close: float
    more: bool  # stored objects may have further keys

    def faults(self, stored: Any, again: Any, field: str) -> Iterator[Fault]:
        """Every place in which they differ."""
        if isinstance(stored, Mapping) and isinstance(again, Mapping):
            yield from self._of_keys(stored, again, field)
        elif isinstance(stored, list | tuple) and isinstance(again, list | tuple) and len(stored) == len(again):
            for i, (one, other) in enumerate(zip(stored, again, strict=True)):
                yield from self.faults(one, other, below(field, i))
        elif not alike(stored, again, self.close):
            found, expected = brief(stored), brief(again)
            yield Fault(self.file, f"{field or 'it'} is {found}; expected {expected}, by {self.why}")

    def _of_keys(self, stored: Mapping[str, Any], again: Mapping[str, Any], field: str) -> Iterator[Fault]:
        for key in [*again, *(key for key in stored if key not in again and not self.more)]:
            if key in stored and key in again:
                yield from self.faults(stored[key], again[key], below(field, key))
            else:
                told = "is missing" if key in again else "does not belong there"
                yield Fault(self.file, f"{below(field, key)} {told}, by {self.why}")


def unlike(
    file: str, stored: Any, again: Any, why: str, *, field: str = "", close: float = CLOSE, more: bool = False
) -> Iterator[Fault]:
    """Hold what is stored against what follows ``again`` from the rest: numbers to ``close``, all else exactly."""
    return islice(Derived(file, why, close, more).faults(stored, again, field), MOST)


def below(field: str, key: object) -> str:
    """The path of a key."""
    return f"{field}.{key}" if field else str(key)


def alike(a: Any, b: Any, close: float = CLOSE) -> bool:
    """Whether two single values are the same; numbers up to ``close``."""
    numbers = all(isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b))
    if not numbers:
        return bool(type(a) is type(b) and a == b)
    return bool(a == b or (math.isnan(a) and math.isnan(b)) or abs(a - b) <= close * max(abs(a), abs(b)))


# Files


def changed_files(directory: Path, digests: Mapping[str, str], file: str) -> Iterator[Fault]:
    """The files of a list that are missing, or have another digest."""
    for name, digest in digests.items():
        path = directory / name
        if not path.is_file():
            yield Fault(name, f"is missing; {file} lists it")
        elif digests_of(directory, [path])[name] != digest:
            yield Fault(name, f"has another SHA-256 than {file} says: it was changed after it was written")


def strangers(directory: Path, known: Iterable[str], listed: Iterable[str] = ()) -> Iterator[Fault]:
    """Files that belong to no record: ``known`` are patterns below the directory, ``listed`` names."""
    ours = {path for pattern in known for path in directory.glob(pattern)} | {directory / name for name in listed}
    for path in sorted(directory.rglob("*")):
        if not path.is_file() or path in ours:
            continue
        name = path.relative_to(directory).as_posix()
        if ".part" in path.suffix or any(part.endswith(".part") for part in path.parts):
            yield Fault(name, "is unfinished: it was stopped while it was written; the next start removes it")
        elif path.match("engines_differ_*.safetensors"):
            yield Fault(name, "holds two diagrams of one cloud that differ: an engine is wrong")
        else:
            yield Fault(name, "is none of todacomm's files")
