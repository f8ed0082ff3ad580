"""Read layers from files of arrays: NumPy, safetensors, and tables; pickles are never read.

Headers show what a file holds, so that what is no cloud is left out, and what is too large refused, before reading.
"""

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from todacomm.clouds import table_files  # noqa: F401 - registers the tables
from todacomm.clouds.array_formats import Held, array_formats
from todacomm.core.errors import InvalidCloud, TodacommError, TooLarge, UnknownName
from todacomm.core.memory import format_bytes, resident
from todacomm.core.recipe import FEWEST_POINTS

BROKEN = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)


def suffixes() -> str:
    """The suffixes of our own kinds of files, without importing plugins: for help texts."""
    *most, last = array_formats.ours
    return f"{', '.join(most)} or {last}"


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The clouds of a file by name, and why its other arrays are none."""

    layers: dict[str, np.ndarray]
    left_out: Mapping[str, str]

    def told(self, path: Path) -> str:
        """Say what was left out; empty for nothing."""
        if not self.left_out:
            return ""
        listed = "; ".join(f"{name} ({why})" for name, why in self.left_out.items())
        return f"Left out of {path.name}, for a cloud is numbers of shape (n points, d features): {listed}."


def read_layers(path: Path, *, only: str | None = None) -> dict[str, np.ndarray]:
    """Read the clouds of a file by name, all or ``only`` one; a single array is the layer ``cloud``.

    Raises InvalidCloud for a file that is missing, damaged, of another kind, or that holds pickled objects.
    """
    return read_clouds(path, names=() if only is None else (only,)).layers


def read_clouds(path: Path, *, names: Sequence[str] = (), limit: int | None = None) -> Found:
    """Read the clouds of a file, all or those of ``names``, and say what was left out.

    Raises TooLarge, before anything is unpacked, for what would take the process beyond ``limit`` bytes; UnknownName
    and InvalidCloud for a name that is no array, or no cloud.
    """
    if not path.is_file():
        raise InvalidCloud(f"{path} is not a file; expected {', '.join(array_formats)} with arrays of shape (n, d)")
    kind = path.suffix.lower()
    if kind not in array_formats:
        raise UnknownName("kind of array file", path.suffix or path.name, array_formats)
    try:
        found = _read(path, kind, names, limit)
    except TodacommError:
        raise
    except BROKEN as problem:
        raise InvalidCloud(f"{path} cannot be read as {array_formats[kind].called}: {problem}") from problem
    if not found.layers:
        reasons = f": {'; '.join(f'{name} is {why}' for name, why in found.left_out.items())}" if found.left_out else ""
        raise InvalidCloud(
            f"{path} holds no arrays of shape (n points, d features), n at least {FEWEST_POINTS}{reasons}; "
            "expected at least one"
        )
    return found


def _read(path: Path, kind: str, names: Sequence[str], limit: int | None) -> Found:
    opened = array_formats[kind].opened(path)
    wanted = chosen(path, opened.held, names)
    refuse_large(path, {name: opened.held[name] for name in wanted}, limit)
    no_clouds = {} if names else {name: one.why_not for name, one in opened.held.items() if one.why_not}
    return Found(dict(opened.read(wanted)), {**opened.left_out, **no_clouds})


def chosen(path: Path, held: Mapping[str, Held], names: Sequence[str]) -> list[str]:
    """The requested names, or those of all clouds."""
    unknown(path, held, names)
    for name in names:
        if held[name].why_not:
            raise InvalidCloud(
                f"{name} of {path} is {held[name].why_not}; expected numbers of shape (n points, d features)"
            )
    return list(names) or [name for name, one in held.items() if not one.why_not]


def unknown(path: Path, held: Mapping[str, Held], names: Sequence[str]) -> None:
    """Raise UnknownName for a name that is no array of the file."""
    for name in names:
        if name not in held:
            raise UnknownName("layer", name, held, hint=f"Of {path}.")


def refuse_large(path: Path, held: Mapping[str, Held], limit: int | None) -> None:
    """Raise TooLarge where reading the arrays would take this process beyond ``limit``."""
    sizes = {name: one.memory for name, one in held.items() if one.kind and not np.dtype(one.kind).hasobject}
    if limit is None or resident() + sum(sizes.values()) <= limit:
        return
    largest = max(sizes, key=lambda name: sizes[name])
    raise TooLarge(
        f"{path}: its arrays take {format_bytes(sum(sizes.values()))} of memory ({largest} of shape "
        f"{held[largest].shape} {format_bytes(sizes[largest])}) beside the {format_bytes(resident())} of the program, "
        f"{format_bytes(limit)} may be used. Measure some of them (--layers), keep fewer points in the file, or allow "
        "more with --max-memory"
    )
