"""Files of texts → texts, by the suffix of the file; ``.gz`` after it is unpacked.

A kind of file is added by one decorated function, which gives the texts of an opened file; help texts and messages name
it by what it holds::

    @text_format(".ris", "one abstract a record")
    def ris(file: TextFile) -> Iterable[str]: ...
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from todacomm.core.errors import InvalidTexts
from todacomm.core.registry import Registry, broken_plugins
from todacomm.core.types import Texts

FIELD = "text"
PACKED = ".gz"


@dataclass(frozen=True, slots=True)
class TextFile:
    """A file of texts: where it is, its bytes (unpacked), and which field of each row is asked for."""

    path: Path
    raw: bytes
    field: str = FIELD

    @property
    def content(self) -> str:
        """The file as UTF-8. Raises InvalidTexts where it is not."""
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
        """The lines of a UTF-8 file, whichever way they end."""
        return re.split(r"\r\n?|\n", self.content)


Read = Callable[[TextFile], Iterable[str | None]]  # blank texts and None are dropped


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A kind of file: its ``suffix``, what it ``holds``, how it is ``read``, and whether its rows have ``fields``."""

    suffix: str
    holds: str
    read: Read
    fields: bool = False

    @property
    def path(self) -> str:
        """How a file of this kind is named on the command line."""
        return f"path{self.suffix}{'[:field]' if self.fields else ''}"

    @property
    def told(self) -> str:
        """The kind in a message."""
        return f"{self.path if self.fields else f'a {self.suffix} file'} with {self.holds}"


text_formats: Registry[TextFormat] = Registry("kind of text file")


def text_format(suffix: str, holds: str, *, fields: bool = False) -> Callable[[Read], TextFormat]:
    """Register a function that gives the texts of a file; with ``fields`` a source may be ``path.suffix:field``."""
    return lambda read: text_formats.add(suffix, TextFormat(suffix, holds, read, fields))


def paths() -> list[str]:
    """How files of our own kinds are named on the command line, no plugin being imported: for help texts."""
    return [text_formats[suffix].path for suffix in text_formats.ours]


def forms() -> str:
    """Every kind of file, for messages."""
    *most, last = (known.told for known in text_formats.values())
    return f"{', '.join(most)}, or {last}"


def suffix_of(path: Path) -> str:
    """The suffix of a file of texts, without that of a packed one."""
    return Path(path.stem if path.suffix.lower() == PACKED else path.name).suffix.lower()


def path_and_field(source: str) -> tuple[Path, str]:
    """``path.jsonl:field`` in its two parts, for every kind of file that has fields."""
    kinds = (
        "|".join(re.escape(known.suffix) for known in text_formats.values() if known.fields) if ":" in source else ""
    )
    split = kinds and re.fullmatch(rf"(?is)(.+(?:{kinds})(?:\{PACKED})?):(.+)", source)
    return (Path(split[1]), split[2]) if split else (Path(source), FIELD)


def read_texts(path: Path, field: str = FIELD) -> Texts:
    """The texts of a file, without blank ones. Raises InvalidTexts for a file that is damaged or of another kind."""
    if path.is_dir():
        raise InvalidTexts(f"'{path}' is a directory; expected {forms()}")
    kind, file = suffix_of(path), TextFile(path, _unpacked(path), field)
    if kind not in text_formats:
        told = " ".join([f"'{path}' is not a file of texts that todacomm reads; expected {forms()}", *broken_plugins()])
        raise InvalidTexts(told)
    name = Path(path.stem).stem if path.suffix.lower() == PACKED else path.stem
    return Texts(name, stripped(text_formats[kind].read(file)))


def stripped(rows: Iterable[str | None]) -> tuple[str, ...]:
    """The texts without white space at both ends; blank ones are left out."""
    return tuple(text for row in rows if row is not None and (text := row.strip()))


@text_format(".txt", "one text a line")
def txt(file: TextFile) -> Iterable[str]:
    """Every line is a text."""
    return file.lines


@text_format(".jsonl", "one JSON object a line", fields=True)
def jsonl(file: TextFile) -> Iterable[str]:
    """The field of each object."""
    rows = ((i, line) for i, line in enumerate(file.lines, 1) if line.strip())
    return (_json_text(line, file.field, f"'{file.path}', line {i}") for i, line in rows)


def _unpacked(path: Path) -> bytes:
    """The bytes of a file, of a ``.gz`` file those that are packed in it."""
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
    """UTF-16 or UTF-32 by its mark, or by the zeros beside each Latin letter; None for what may be UTF-8."""
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


def _json_text(line: str, field: str, where: str) -> str:
    """One line of a .jsonl file to its text."""
    try:
        row = json.loads(line, parse_int=float)  # of no use here, and an int of 5,000 digits is refused
    except json.JSONDecodeError as error:
        raise InvalidTexts(
            f"{where}: not JSON ({error.msg}, column {error.colno}); expected one object a line"
        ) from None
    except RecursionError:
        raise InvalidTexts(f"{where}: brackets within brackets, too deep; expected one object a line") from None
    if not isinstance(row, dict):
        raise InvalidTexts(f"{where}: {_kind(row)}; expected an object with the field '{field}'")
    if field not in row:
        there = ", ".join(row) or "none"
        raise InvalidTexts(f"{where}: there is no field '{field}'. Fields: {there}. Name one with path.jsonl:field")
    return _json_string(row[field], field, where)


def _json_string(value: object, field: str, where: str) -> str:
    if not isinstance(value, str):
        raise InvalidTexts(f"{where}: the field '{field}' holds {_kind(value)}; expected a string")
    if re.search("[\ud800-\udfff]", value):
        raise InvalidTexts(f"{where}: the field '{field}' holds half a surrogate pair, which is no character")
    return value


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
