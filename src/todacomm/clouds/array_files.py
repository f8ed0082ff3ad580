"""Files of arrays → layers: NumPy, safetensors, and tables; pickles are never read.

What a file holds is known from its headers, so that what is no cloud is left out, and what is too large refused, before it is read.
"""

import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.clouds import table_files
from todacomm.core.errors import InvalidCloud, TooLarge, UnknownName
from todacomm.core.memory import resident, spoken
from todacomm.core.recipe import FEWEST_POINTS

TABLES = (".csv", ".tsv", ".parquet")
ENDINGS = (".npy", ".npz", ".safetensors", *TABLES)
BROKEN = (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError)
BRAIN = "BF16"  # the upper half of float32: NumPy has no such type
OF_SAFETENSORS = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    BRAIN: "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "<i1",
}
OF_SAFETENSORS |= {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1", "BOOL": "?"}


@dataclass(frozen=True, slots=True)
class Held:
    """What the header of an array says of it; ``kind`` is its type as NumPy writes it, empty for one that NumPy has not."""

    shape: tuple[int, ...]
    kind: str
    spoken: str = ""

    @property
    def why_not(self) -> str:
        """Why it is no point cloud; empty where it is one."""
        if not self.kind or np.dtype(self.kind).kind not in "fiub":
            return f"of type {self.spoken or self.kind}"
        small = len(self.shape) == 2 and (self.shape[0] < FEWEST_POINTS or self.shape[1] < 1)
        return f"of shape {self.shape}" if len(self.shape) != 2 or small else ""

    @property
    def memory(self) -> int:
        """The bytes that it takes, read and as the numbers that are measured: float32, else float64."""
        size = np.dtype(self.kind).itemsize
        return math.prod(self.shape) * (size if self.kind.endswith("f4") else size + 8)


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """The clouds of a file by name, and of its other arrays why they are none."""

    layers: dict[str, np.ndarray]
    left_out: Mapping[str, str]

    def told(self, path: Path) -> str:
        """What was left out, as a sentence; empty for nothing."""
        if not self.left_out:
            return ""
        listed = "; ".join(f"{name} ({why})" for name, why in self.left_out.items())
        return f"Left out of {path.name}, for a cloud is numbers of shape (n points, d features): {listed}."


def read_layers(path: Path, *, only: str | None = None) -> dict[str, np.ndarray]:
    """The clouds of a file by name, all or ``only`` one; a file that holds one array has one layer, called ``cloud``.

    Raises InvalidCloud for a file that is missing, damaged, of another kind, or that holds pickled objects.
    """
    return read_clouds(path, names=() if only is None else (only,)).layers


def read_clouds(path: Path, *, names: Sequence[str] = (), limit: int | None = None) -> Found:
    """The clouds of a file, all or those of ``names``, and what was left out.

    Raises TooLarge, before anything is unpacked, for what would take the process beyond ``limit`` bytes; UnknownName and InvalidCloud for
    a name that is no array, or no cloud.
    """
    if not path.is_file():
        raise InvalidCloud(f"{path} is not a file; expected {', '.join(ENDINGS)} with arrays of shape (n, d)")
    ending = path.suffix.lower()
    if ending not in ENDINGS:
        raise UnknownName("kind of array file", path.suffix or path.name, ENDINGS)
    if ending in TABLES:
        table = table_files.opened(path)
        held = {name: Held(shape, "<f8") for name, shape in table.shapes.items()}
        refuse_large(path, held, limit)
        found = Found(table.read(chosen(path, held, names)), table.left_out)
    else:
        try:
            found = _read(path, ending, names, limit)
        except (InvalidCloud, UnknownName, TooLarge):
            raise
        except BROKEN as problem:
            raise InvalidCloud(f"{path} cannot be read as {_called(ending)}: {problem}") from problem
    if not found.layers:
        reasons = f": {'; '.join(f'{name} is {why}' for name, why in found.left_out.items())}" if found.left_out else ""
        raise InvalidCloud(f"{path} holds no arrays of shape (n points, d features){reasons}; expected at least one")
    return found


def _called(ending: str) -> str:
    return "safetensors with NumPy types" if ending == ".safetensors" else "NumPy arrays"


def _read(path: Path, ending: str, names: Sequence[str], limit: int | None) -> Found:
    if ending == ".npy":
        with path.open("rb") as file:
            held = {"cloud": npy_header(file)}
        unknown(path, held, names)
        refuse_large(path, held, limit)
        return Found({"cloud": np.load(path, allow_pickle=False)}, {})
    held = dict(safetensors_headers(path) if ending == ".safetensors" else npz_headers(path))
    wanted = chosen(path, held, names)
    refuse_large(path, {name: held[name] for name in wanted}, limit)
    layers = dict(read_safetensors(path, wanted, held) if ending == ".safetensors" else read_npz(path, wanted))
    return Found(layers, {} if names else {name: one.why_not for name, one in held.items() if one.why_not})


def chosen(path: Path, held: Mapping[str, Held], names: Sequence[str]) -> list[str]:
    """The names asked for, or those of all clouds."""
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
        f"{path}: its arrays take {spoken(sum(sizes.values()))} of memory ({largest} of shape {held[largest].shape} "
        f"{spoken(sizes[largest])}) beside the {spoken(resident())} of the program, {spoken(limit)} may be used. "
        "Measure some of them (--layers), keep fewer points in the file, or allow more with --max-memory"
    )


# NumPy


def npy_header(file: Any) -> Held:
    """What the header of a ``.npy`` file says; nothing behind it is read."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # the third is for names of fields beyond Latin letters
        return Held((), "", "structured array")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    spoken_as = "Python objects" if dtype.hasobject else "text" if dtype.kind in "US" else str(dtype)
    return Held(shape, dtype.str if dtype.names is None else "", spoken_as)


def npz_headers(path: Path) -> Iterator[tuple[str, Held]]:
    """Name → header of each array of a ``.npz`` file."""
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if not entry.filename.endswith(".npy"):
                yield entry.filename, Held((), "", "no array")
                continue
            with archive.open(entry) as file:
                yield entry.filename.removesuffix(".npy"), npy_header(file)


def read_npz(path: Path, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays of these names."""
    with np.load(path, allow_pickle=False) as file:
        for name in names:
            yield name, file[name]


# Safetensors


def safetensors_headers(path: Path) -> Iterator[tuple[str, Held]]:
    """Name → header of each tensor."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():  # noqa: SIM118 - not a mapping
                part = file.get_slice(name)
                kind = part.get_dtype()
                yield name, Held(tuple(part.get_shape()), OF_SAFETENSORS.get(kind, ""), kind)
    except SafetensorError as problem:
        raise ValueError(str(problem)) from problem


def read_safetensors(path: Path, names: Sequence[str], held: Mapping[str, Held]) -> Iterator[tuple[str, np.ndarray]]:
    """The tensors of these names; bfloat16 as the float32 that has the same value."""
    from safetensors import safe_open

    with safe_open(path, framework="numpy") as file:
        for name in names:
            yield (
                name,
                brain_floats(path, name, held[name].shape) if held[name].spoken == BRAIN else file.get_tensor(name),
            )


def brain_floats(path: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """A bfloat16 tensor as float32, exactly: the same bits, and as many zeros."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        start, stop = json.loads(file.read(length))[name]["data_offsets"]
        file.seek(8 + length + start)
        halves = np.frombuffer(file.read(stop - start), dtype="<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(shape)
