"""Read the rows of tables, ``.jsonl`` and ``.csv``, and make columns of what stands beside the texts.

Cells of a ``.csv`` file are numbers where all of their column are, or are empty; values of JSON are what they are.
"""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from todacomm.clouds.table_files import is_number
from todacomm.core.errors import InvalidTexts
from todacomm.core.types import Column, value_of

LONGEST = 200  # letters of a value; a column with a longer one holds texts
MOST = 100  # columns; of more, those that most rows have
SINGLE = (str, int, float, bool, type(None))


def json_rows(lines: Iterable[str], path: object, expected: str = "an object") -> Iterator[tuple[str, dict[str, Any]]]:
    """Parse each line that is not blank: where it stands, and its object. Raises InvalidTexts."""
    for i, line in enumerate(lines, 1):
        if line.strip():
            where = f"'{path}', line {i}"
            yield where, _json_object(line, where, expected)


def _json_object(line: str, where: str, expected: str) -> dict[str, Any]:
    try:
        row = json.loads(line, parse_int=float)  # an int of 5,000 digits would be refused
    except json.JSONDecodeError as error:
        raise InvalidTexts(
            f"{where}: not JSON ({error.msg}, column {error.colno}); expected one object a line"
        ) from None
    except RecursionError:
        raise InvalidTexts(f"{where}: brackets within brackets, too deep; expected one object a line") from None
    if not isinstance(row, dict):
        raise InvalidTexts(f"{where}: {kind_of(row)}; expected {expected}")
    return row


def kind_of(value: object) -> str:
    """What a value of JSON is, in words."""
    names = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


def csv_rows(content: str, path: object) -> tuple[list[str], list[dict[str, str]]]:
    """The header of a table with commas, and its rows that are not blank. Raises InvalidTexts."""
    reader = csv.reader(io.StringIO(content, newline=""))
    try:
        rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
    except csv.Error as problem:
        raise InvalidTexts(
            f"'{path}', line {reader.line_num}: {problem}; expected values separated by commas, long ones as .jsonl"
        ) from None
    if not rows:
        raise InvalidTexts(f"'{path}' is empty; expected names of columns in the first line, then one row a text")
    header = [name.strip() for name in rows[0][1]]
    if twice := next((name for name, number in Counter(header).items() if number > 1), None):
        raise InvalidTexts(f"'{path}': {header.count(twice)} columns are called '{twice}'; expected one of a name")
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise InvalidTexts(
                f"'{path}', line {line}: {len(row)} values; expected {len(header)}, as in the first line"
            )
    return header, [dict(zip(header, row, strict=True)) for _, row in rows[1:]]


def columns_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Column]:
    """The columns of some rows, None where a row lacks a value; without lists, objects and long texts."""
    often = Counter(name for row in rows for name in row)
    known = {name for name, _ in often.most_common(MOST)}
    found = {name: [row.get(name) for row in rows] for name in often if name in known and name}
    return {
        name: tuple(value_of(value, f"the column '{name}'") for value in values)
        for name, values in found.items()
        if all(map(is_short, values)) and any(value not in (None, "") for value in values)
    }


def is_short(value: Any) -> bool:
    """Whether a value is a number or a name, and no text, list or object."""
    return isinstance(value, SINGLE) and len(str(value)) <= LONGEST


def with_numbers(rows: Sequence[Mapping[str, str]]) -> list[dict[str, float | str | None]]:
    """The rows of a ``.csv`` file with numbers in those columns that hold nothing else, None for empty cells."""
    numbers = {name: all(is_number(row[name]) for row in rows) for name in (rows[0] if rows else ())}
    return [{name: valued(cell, number=numbers[name]) for name, cell in row.items()} for row in rows]


def valued(cell: str, *, number: bool) -> float | str | None:
    """The value of a cell."""
    word = cell.strip()
    return (float(word) if number else word) if word else None
