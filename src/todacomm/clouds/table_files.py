"""Read clouds from tables (``.csv``, ``.tsv``, ``.parquet``): numeric columns are features, a column of lists a layer.

Columns of text, and an index that only counts the rows, are left out and named.
"""

import array
import csv
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.clouds.array_formats import CLOUD, Held, Opened, array_format
from todacomm.core.errors import InvalidCloud, MissingExtra

INDEX = ("", "index", "Unnamed: 0", "__index_level_0__")  # names under which pandas writes its index
COUNTS = "an index that counts the rows"
BYTE_ORDER_MARK = "utf-8-sig"


class Table(ABC):
    """A table as its header, or a first pass, shows it."""

    shapes: Mapping[str, tuple[int, int]]
    left_out: Mapping[str, str]

    @abstractmethod
    def read(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Read the clouds of these names, as float64."""


def _of_table(table: Table) -> Opened:
    held = {name: Held(shape, "<f8") for name, shape in table.shapes.items()}
    return Opened(held, lambda names: table.read(names).items(), table.left_out)


@array_format(".csv", ".tsv", called="a table in UTF-8")
def separated(path: Path) -> Opened:
    """Open values separated by commas or tabs."""
    return _of_table(Separated(path))


@array_format(".parquet", called="Parquet")
def parquet(path: Path) -> Opened:
    """Open the columns of a Parquet file."""
    return _of_table(Parquet(path))


# Text


class Separated(Table):
    """Values separated by commas or tabs, read twice: to find numeric columns, then for the numbers."""

    def __init__(self, path: Path) -> None:
        self.path, self.delimiter = path, "\t" if path.suffix.lower() == ".tsv" else ","
        rows = self.rows()
        _, first = next(rows, (0, []))
        numbers, counts, n = [True] * len(first), [True] * len(first), 0
        for line, row in rows:
            if len(row) != len(first):
                raise InvalidCloud(
                    f"{path}, line {line}: {len(row)} values; expected {len(first)}, as in the first line"
                )
            numbers = [known and is_number(cell) for known, cell in zip(numbers, row, strict=True)]
            counts = [known and cell.strip() in (str(n), str(n + 1)) for known, cell in zip(counts, row, strict=True)]
            n += 1
        self.header = is_header(first, numbers)
        names = [cell.strip() for cell in first] if self.header else [f"column {i}" for i in range(len(first))]
        if not self.header:
            numbers, n = [known and is_number(cell) for known, cell in zip(numbers, first, strict=True)], n + 1
        index = {i for i, name in enumerate(names) if self.header and name in INDEX and counts[i] and n}
        self.columns = [i for i, known in enumerate(numbers) if known and n and i not in index]
        self.left_out = {names[i]: COUNTS if i in index else "text" for i in range(len(first)) if i not in self.columns}
        self.shapes = {CLOUD: (n, len(self.columns))}
        if not self.columns:
            raise InvalidCloud(
                f"{path} has no column of numbers; expected values separated by "
                f"{'commas' if self.delimiter == ',' else 'tabs'}, with a point for the decimals"
            )

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Each non-blank row with its line number."""
        try:
            with self.path.open(encoding=BYTE_ORDER_MARK, newline="") as file:
                reader = csv.reader(file, delimiter=self.delimiter)
                yield from ((reader.line_num, row) for row in reader if row and any(map(str.strip, row)))
        except (csv.Error, UnicodeDecodeError) as problem:
            raise InvalidCloud(f"{self.path} cannot be read as a table in UTF-8: {problem}") from problem

    def read(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        del names  # there is only one
        found = array.array("d")
        for i, (_, row) in enumerate(self.rows()):
            if i or not self.header:
                found.extend(float(row[k].strip() or "nan") for k in self.columns)
        return {CLOUD: np.array(found).reshape(-1, len(self.columns))}


def is_number(cell: str) -> bool:
    """Whether a value is a number, or missing."""
    try:
        float(cell.strip() or "nan")
    except ValueError:
        return False
    return True


def is_header(first: Sequence[str], numbers: Sequence[bool]) -> bool:
    """Whether the first row names the columns: in words, or 0, 1, 2 … as pandas does for arrays."""
    names = [cell.strip() for cell in first]
    counted = [name for name in names if name not in INDEX]
    if len(counted) > 1 and counted == [str(i) for i in range(len(counted))]:
        return True
    return any(known and not (cell and is_number(cell)) for known, cell in zip(numbers, names, strict=True))


# Parquet


class Parquet(Table):
    """A Parquet file: all numeric columns are one cloud, or each column of lists is one."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as library
        except ModuleNotFoundError:
            raise MissingExtra("pyarrow", "models", f"Reading {path.name}") from None
        except ImportError as problem:  # it is there, and too new for the NumPy beside it
            raise InvalidCloud(f"{path}: {problem}; install versions that fit, or save the array as .npy") from problem
        self.path = path
        try:
            self.file = library.ParquetFile(path)
        except (pa.ArrowException, OSError) as problem:
            raise InvalidCloud(f"{path} cannot be read as Parquet: {' '.join(str(problem).split())}") from problem
        fields, n = list(self.file.schema_arrow), self.file.metadata.num_rows
        self.lists = [f.name for f in fields if holds_lists(f.type)]
        self.scalars = [] if self.lists else [f.name for f in fields if is_numeric(f.type) and f.name not in INDEX]
        kept = {*self.lists, *self.scalars}
        self.left_out = {f.name: str(f.type) for f in fields if f.name not in kept}
        self.shapes = {name: (n, self.width(name)) for name in self.lists}
        if self.scalars:
            self.shapes = {CLOUD: (n, len(self.scalars))}
        if not self.shapes:
            raise InvalidCloud(f"{path} has no column of numbers; its columns: {', '.join(self.left_out) or 'none'}")

    def width(self, name: str) -> int:
        """The length of the lists of a column: all values over the rows."""
        leaf = next(
            i for i in range(self.file.metadata.num_columns) if self.file.schema.column(i).path.split(".")[0] == name
        )
        groups = range(self.file.metadata.num_row_groups)
        values = sum(self.file.metadata.row_group(g).column(leaf).num_values for g in groups)
        return int(values // max(self.file.metadata.num_rows, 1))

    def read(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        if self.scalars:
            table = self.file.read(columns=self.scalars)
            return {CLOUD: np.column_stack([as_floats(table[name]) for name in self.scalars])}
        return {name: self.read_lists(name) for name in names}

    def read_lists(self, name: str) -> np.ndarray:
        """Read a column of lists as rows; InvalidCloud where their lengths differ."""
        from pyarrow import compute

        column = self.file.read(columns=[name])[name]
        lengths = set(compute.list_value_length(column).to_pylist())
        if len(lengths) != 1 or None in lengths:
            raise InvalidCloud(
                f"{self.path}: the lists of the column {name} have several lengths; expected one for all"
            )
        return as_floats(compute.list_flatten(column)).reshape(len(column), -1)


def as_floats(column: Any) -> np.ndarray:
    """Convert a column to float64, NaN where a value is missing."""
    return np.asarray(column.to_numpy(), dtype=np.float64)


def is_numeric(kind: Any) -> bool:
    """Whether a column holds numbers."""
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))


def holds_lists(kind: Any) -> bool:
    """Whether a column holds lists of numbers."""
    from pyarrow import types

    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return bool(lists and is_numeric(kind.value_type))
