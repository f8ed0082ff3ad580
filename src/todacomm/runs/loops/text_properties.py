"""What is held against the angles of loops: properties of the texts of a run, and columns of a file of the user.

A column of numbers is a number, one of few whole numbers or of names a category, and one that is called ``hour%24`` an
angle that goes around after 24.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from todacomm.cohomology.association import ARTICLE, numbers_of, period_of, properties_of_texts, usual, with_more
from todacomm.core.errors import InvalidInput
from todacomm.core.types import Column, Texts, TokenFacts
from todacomm.models.table_rows import columns_of, csv_rows, json_rows, with_numbers
from todacomm.models.text_files import FIELD, TextFile, suffix_of, unpacked
from todacomm.records.texts import KeptTexts

FEW = 12  # different whole numbers are names: of classes, of months
SHOWN = 40  # letters of a text in a message


def properties_of_run(texts: KeptTexts) -> dict[str, Any]:
    """Name to values of all that a run keeps of its texts, one value a text."""
    found: dict[str, Any] = {} if texts.items is None else properties_of_texts(Texts(texts.name, texts.items))
    found |= {} if texts.groups is None else {ARTICLE: tuple(map(str, texts.groups))}
    found |= {} if texts.tokens is None else of_tokens(texts.tokens)
    return with_more(found, of_columns(texts.columns or {}))


def of_tokens(tokens: TokenFacts) -> dict[str, Any]:
    """What was kept of the tokens of each text."""
    found: dict[str, Any] = {"tokens": tokens.counts, "how usual the last token is": usual(tokens.occurrences)}
    found |= {} if tokens.last is None else {"last token": tuple(map(str, tokens.last))}
    return found | ({} if tokens.losses is None else {"loss": tokens.losses})


def of_columns(columns: Mapping[str, Column]) -> dict[str, Column]:
    """The columns with few whole numbers as names."""
    return {name: values if period_of(name) else few_as_names(values) for name, values in columns.items()}


def few_as_names(values: Column) -> Column:
    """Whole numbers as names where there are few different ones."""
    known = {value for value in values if value is not None}
    few = len(known) <= FEW and all(isinstance(value, float) and value.is_integer() for value in known)
    return tuple(value if value is None else f"{value:g}" for value in values) if few else values


# A file of the user


def read_properties(path: Path, n: int, texts: Sequence[str] = ()) -> dict[str, Column]:
    """Read the columns of a ``.csv`` or ``.jsonl`` file, one row for each of ``n`` points in their order.

    A column ``text`` is held against the ``texts``, which shows rows in another order. Raises InvalidInput for another
    number of rows, for other texts, and for a column without numbers whose name declares a period.
    """
    rows = rows_of(path)
    if len(rows) != n:
        raise InvalidInput(
            f"'{path}' has {len(rows)} rows for {n} points; expected one row a point, in the order of the "
            f"{'texts of the run (texts.json)' if texts else 'points'}"
        )
    check_texts(path, rows, texts)
    columns = columns_of([{name: row[name] for name in row if name != FIELD} for row in rows])
    if not columns:
        raise InvalidInput(f"'{path}' has no column of numbers or names; expected one at least, besides '{FIELD}'")
    for name, values in columns.items():
        check_period(path, name, values)
    return of_columns(columns)


def rows_of(path: Path) -> list[Mapping[str, Any]]:
    """The rows of a file."""
    kind = suffix_of(path)
    if kind not in (".csv", ".jsonl"):
        raise InvalidInput(f"'{path}' holds no properties; expected a .csv or .jsonl file, one row a text")
    file = TextFile(path, unpacked(path))
    if kind == ".csv":
        return [*with_numbers(csv_rows(file.content, path)[1])]
    return [row for _, row in json_rows(file.lines, path)]


def check_texts(path: Path, rows: Sequence[Mapping[str, Any]], texts: Sequence[str]) -> None:
    """Raise InvalidInput where a row is of another text than that in its place."""
    for i, (row, text) in enumerate(zip(rows, texts, strict=False)):
        own = row.get(FIELD)
        if own is not None and str(own).strip() != text.strip():
            raise InvalidInput(
                f"'{path}', row {i + 1}: its text is '{str(own).strip()[:SHOWN]}', and text {i + 1} of the run is "
                f"'{text.strip()[:SHOWN]}'; expected the rows in the order of the texts of the run (texts.json)"
            )


def check_period(path: Path, name: str, values: Column) -> None:
    """Raise InvalidInput for a declared period of what are no numbers."""
    if period_of(name) and numbers_of(values) is None:
        wrong = next(value for value in values if isinstance(value, str))
        raise InvalidInput(
            f"'{path}': the column '{name}' repeats after {period_of(name):g} and holds '{wrong}'; expected numbers"
        )
