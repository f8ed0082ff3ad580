"""Read files of texts by suffix; a further ``.gz`` is unpacked.

A kind of file is added by one decorated function that yields the texts of an opened file, or a `Row` for each where
more is known of them; help and messages describe it by what it holds::

    @text_format(".ris", "one abstract a record")
    def ris(file: TextFile) -> Iterable[str]: ...
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from todacomm.core.errors import InvalidTexts
from todacomm.core.registry import Registry, broken_plugins
from todacomm.core.types import Texts
from todacomm.models.table_rows import columns_of, csv_rows, json_rows, kind_of, with_numbers

FIELD = "text"
PACKED = ".gz"


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file of texts: its path, its bytes (unpacked), and the field of each row to read."""

    path: Path
    raw: bytes
    field: str = FIELD

    @property
    def content(self) -> str:
        """Decode the file as UTF-8. Raises InvalidTexts where it is not."""
        if (other := _other_encoding(self.raw)) is not None:
            raise InvalidTexts(
                f"'{self.path}' is not UTF-8 but {other}; save the file as UTF-8: iconv -f {other} -t UTF-8"
            )
        try:
            return self.raw.decode("utf-8").removeprefix("\ufeff")
        except UnicodeDecodeError as error:
            line = 1 + self.raw.count(b"\n", 0, error.start)
            raise InvalidTexts(
                f"'{self.path}' is not UTF-8: byte 0x{self.raw[error.start]:02x} at offset {error.start} (line {line}) "
                "belongs to no character; save the file as UTF-8"
            ) from None

    @property
    def lines(self) -> list[str]:
        """The lines of a UTF-8 file, with any line ends."""
        return re.split(r"\r\n?|\n", self.content)


@dataclass(frozen=True, slots=True)
class Row:
    """A text, and the values ``beside`` it by the names of their columns."""

    text: str | None
    beside: Mapping[str, Any]


Read = Callable[[TextFile], Iterable[str | Row | None]]  # blank texts and None are dropped


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A kind of file: its ``suffix``, what it ``holds``, its ``read`` function, and whether rows have ``fields``."""

    suffix: str
    holds: str
    read: Read
    fields: bool = False

    @property
    def path(self) -> str:
        """The form of such a file on the command line."""
        return f"path{self.suffix}{'[:field]' if self.fields else ''}"

    @property
    def told(self) -> str:
        """The kind of file in a message."""
        return f"{self.path if self.fields else f'a {self.suffix} file'} with {self.holds}"


text_formats: Registry[TextFormat] = Registry("kind of text file")


def text_format(suffix: str, holds: str, *, fields: bool = False) -> Callable[[Read], TextFormat]:
    """Register a function that yields the texts of a file; with ``fields`` a source may be ``path.suffix:field``."""
    return lambda read: text_formats.add(suffix, TextFormat(suffix, holds, read, fields))


def paths() -> list[str]:
    """The forms of our own kinds of files on the command line, without importing plugins: for help texts."""
    return [text_formats[suffix].path for suffix in text_formats.ours]


def forms() -> str:
    """All kinds of files, for messages."""
    *most, last = (known.told for known in text_formats.values())
    return f"{', '.join(most)}, or {last}"


def suffix_of(path: Path) -> str:
    """The suffix of a file of texts, without that of a packed one."""
    return Path(path.stem if path.suffix.lower() == PACKED else path.name).suffix.lower()


def path_and_field(source: str) -> tuple[Path, str]:
    """Split ``path.jsonl:field``, for every kind of file with fields."""
    kinds = (
        "|".join(re.escape(known.suffix) for known in text_formats.values() if known.fields) if ":" in source else ""
    )
    split = kinds and re.fullmatch(rf"(?is)(.+(?:{kinds})(?:\{PACKED})?):(.+)", source)
    return (Path(split[1]), split[2]) if split else (Path(source), FIELD)


def read_texts(path: Path, field: str = FIELD) -> Texts:
    """Read the texts of a file, without blank ones, and the columns beside them.

    Raises InvalidTexts for a damaged or unknown file.
    """
    if path.is_dir():
        raise InvalidTexts(f"'{path}' is a directory; expected {forms()}")
    kind, file = suffix_of(path), TextFile(path, unpacked(path), field)
    if kind not in text_formats:
        told = " ".join([f"'{path}' is not a file of texts that todacomm reads; expected {forms()}", *broken_plugins()])
        raise InvalidTexts(told)
    name = Path(path.stem).stem if path.suffix.lower() == PACKED else path.stem
    rows = stripped_rows(text_formats[kind].read(file))
    return Texts(name, tuple(row.text or "" for row in rows), columns=columns_of([row.beside for row in rows]))


def stripped_rows(rows: Iterable[str | Row | None]) -> list[Row]:
    """Strip texts and drop blank ones, with what stands beside them."""
    found = (row if isinstance(row, Row) else Row(row, {}) for row in rows)
    return [replace(row, text=text) for row in found if row.text is not None and (text := row.text.strip())]


def stripped(rows: Iterable[str | None]) -> tuple[str, ...]:
    """Strip texts and drop blank ones."""
    return tuple(text for row in rows if row is not None and (text := row.strip()))


@text_format(".txt", "one text a line")
def txt(file: TextFile) -> Iterable[str]:
    """Yield each line."""
    return file.lines


@text_format(".jsonl", "one JSON object a line", fields=True)
def jsonl(file: TextFile) -> Iterable[Row]:
    """Yield the field of each object, and the others beside it."""
    expected = f"an object with the field '{file.field}'"
    return (_json_row(row, file.field, where) for where, row in json_rows(file.lines, file.path, expected))


@text_format(".csv", "a header and one text a row", fields=True)
def csv(file: TextFile) -> Iterable[Row]:
    """Yield the column of each row, and the others beside it."""
    header, rows = csv_rows(file.content, file.path)
    if file.field not in header:
        raise InvalidTexts(
            f"'{file.path}': there is no column '{file.field}'. Columns: {', '.join(header)}. "
            "Name one with path.csv:column"
        )
    texts = [row.pop(file.field) for row in rows]
    return (Row(text, beside) for text, beside in zip(texts, with_numbers(rows), strict=True))


def unpacked(path: Path) -> bytes:
    """Read the bytes of a file, unpacked if it is a ``.gz``."""
    try:
        return path.read_bytes() if path.suffix.lower() != PACKED else _from_gzip(path)
    except OSError as error:
        raise InvalidTexts(f"'{path}' cannot be read: {error.strerror or error}") from error


def _from_gzip(path: Path) -> bytes:
    import gzip
    import zlib

    try:
        with gzip.open(path) as file:
            return file.read()
    except (EOFError, zlib.error) as error:
        raise InvalidTexts(f"'{path}' is damaged: {error}") from error


def _other_encoding(raw: bytes) -> str | None:
    """Guess UTF-16 or UTF-32 by the byte order mark or zero bytes; None for what may be UTF-8."""
    marks = {b"\xff\xfe\0\0": "UTF-32", b"\0\0\xfe\xff": "UTF-32", b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}
    for mark, name in marks.items():
        if raw.startswith(mark):
            return name
    head = raw[:4096]
    zeros = [head[i::4].count(0) for i in range(4)]
    quarter = len(head) / 4
    if sum(zeros) <= 0.2 * len(head):
        return None
    if zeros[2] + zeros[3] > 1.8 * quarter or zeros[0] + zeros[1] > 1.8 * quarter:
        return "UTF-32LE" if zeros[3] > zeros[0] else "UTF-32BE"
    return "UTF-16LE" if zeros[1] + zeros[3] > zeros[0] + zeros[2] else "UTF-16BE"


def _json_row(row: Mapping[str, Any], field: str, where: str) -> Row:
    """The text of an object, and what stands beside it."""
    if field not in row:
        there = ", ".join(row) or "none"
        raise InvalidTexts(f"{where}: there is no field '{field}'. Fields: {there}. Name one with path.jsonl:field")
    return Row(_json_string(row[field], field, where), {name: row[name] for name in row if name != field})


def _json_string(value: object, field: str, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidTexts(f"{where}: the field '{field}' holds {kind_of(value)}; expected a string")
    if re.search("[\ud800-\udfff]", value):
        raise InvalidTexts(f"{where}: the field '{field}' holds half a surrogate pair, which is no character")
    return value
