"""Kinds of files of arrays, by suffix: NumPy's and safetensors; tables are in `todacomm.clouds.table_files`.

A kind is added by one decorated function that opens a file, that is, reads its headers; a ValueError or an OSError
means that the file is damaged::

    @array_format(".mat", called="MATLAB arrays")
    def mat(path: Path) -> Opened: ...
"""

import json
import math
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.core.recipe import FEWEST_POINTS
from todacomm.core.registry import Registry

CLOUD = "cloud"  # the one array of a file that names none
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
    """The header of an array; ``kind`` is its type in NumPy's notation, empty for others."""

    shape: tuple[int, ...]
    kind: str
    spoken: str = ""

    @property
    def why_not(self) -> str:
        """Why the array is no point cloud; empty where it is one."""
        if not self.kind or np.dtype(self.kind).kind not in "fiub":
            return f"of type {self.spoken or self.kind}"
        small = len(self.shape) == 2 and (self.shape[0] < FEWEST_POINTS or self.shape[1] < 1)
        return f"of shape {self.shape}" if len(self.shape) != 2 or small else ""

    @property
    def memory(self) -> int:
        """Bytes while it is read and converted: as stored, plus as float32 or float64."""
        size = np.dtype(self.kind).itemsize
        return math.prod(self.shape) * (size if self.kind.endswith("f4") else size + 8)


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A file whose headers were read: the header of each array, and how to read some of them.

    ``left_out``: name → why this part can be no array.
    """

    held: Mapping[str, Held]
    read: Callable[[Sequence[str]], Iterable[tuple[str, np.ndarray]]]
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ArrayFormat:
    """A kind of file: its ``suffix``, how to open it, and its name in messages."""

    suffix: str
    opened: Callable[[Path], Opened]
    called: str


array_formats: Registry[ArrayFormat] = Registry("kind of array file")


def array_format(*suffixes: str, called: str) -> Callable[[Callable[[Path], Opened]], Callable[[Path], Opened]]:
    """Register a function that opens files of these suffixes."""

    def register(opened: Callable[[Path], Opened]) -> Callable[[Path], Opened]:
        for suffix in suffixes:
            array_formats.add(suffix, ArrayFormat(suffix, opened, called))
        return opened

    return register


# NumPy


@array_format(".npy", called="NumPy arrays")
def npy(path: Path) -> Opened:
    """Open a single array."""
    with path.open("rb") as file:
        held = {CLOUD: npy_header(file)}
    return Opened(held, lambda names: ((name, np.load(path, allow_pickle=False)) for name in names))


@array_format(".npz", called="NumPy arrays")
def npz(path: Path) -> Opened:
    """Open an archive of arrays."""

    def read(names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        with np.load(path, allow_pickle=False) as file:
            for name in names:
                yield name, file[name]

    return Opened(dict(npz_headers(path)), read)


def npy_header(file: Any) -> Held:
    """Read the header of a ``.npy`` file and nothing else."""
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):  # version 3 is for field names beyond Latin letters
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


# Safetensors


@array_format(".safetensors", called="safetensors with NumPy types")
def safetensors(path: Path) -> Opened:
    """Open tensors by name; bfloat16 becomes the float32 of equal value."""
    from safetensors import safe_open

    held = dict(safetensors_headers(path))

    def read(names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
        with safe_open(path, framework="numpy") as file:
            for name in names:
                brain = held[name].spoken == BRAIN
                yield name, brain_floats(path, name, held[name].shape) if brain else file.get_tensor(name)

    return Opened(held, read)


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


def brain_floats(path: Path, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Convert a bfloat16 tensor to float32, exactly: the same bits, then zeros."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        start, stop = json.loads(file.read(length))[name]["data_offsets"]
        file.seek(8 + length + start)
        halves = np.frombuffer(file.read(stop - start), dtype="<u2")
    return (halves.astype(np.uint32) << 16).view(np.float32).reshape(shape)
