"""Where two files that are kept by equality.py differ: paths of JSON, names of tensors, lines and columns."""

import csv
import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from itertools import zip_longest
from pathlib import Path
from typing import Any

CONTEXT, SHOWN = 15, 60  # characters before the place where two texts part, and in all


def differences(name: str, first: str, second: str) -> Iterator[str]:
    """Where two texts of a file differ, as its kind says it: paths of JSON, names of tensors, lines."""
    suffix = Path(name).suffix
    if suffix in {".json", ".html", ".safetensors"}:
        yield from in_json(json.loads(first), json.loads(second))
    elif suffix in {".jsonl", ".csv"}:
        yield from in_rows(first, second, suffix)
    else:
        yield from in_texts(first.splitlines(), second.splitlines())


def in_rows(first: str, second: str, suffix: str) -> Iterator[str]:
    """Where lines differ: in JSONL the paths within, in CSV the columns."""
    heads = next(csv.reader(first.splitlines()), []) if suffix == ".csv" else []
    for number, (a, b) in enumerate(zip_longest(first.splitlines(), second.splitlines()), 1):
        if a == b:
            continue
        if a is None or b is None:
            yield f"line {number} is {'new' if a is None else 'missing'}"
        elif suffix == ".jsonl":
            yield from (f"line {number}: {told}" for told in in_json(json.loads(a), json.loads(b)))
        else:
            yield f"line {number}: {columns(heads, a, b)}"


def columns(heads: Sequence[str], a: str, b: str) -> str:
    """The columns of two lines of CSV that differ; lines of other texts as they are."""
    pairs = list(zip_longest(*(next(csv.reader([line]), []) for line in (a, b)))) if heads else []
    if len(pairs) != len(heads) or not heads:
        return change(a, b)
    return ", ".join(f"{head}: {change(x, y)}" for head, (x, y) in zip(heads, pairs, strict=True) if x != y)


def in_json(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """Paths at which two values differ; 1, 1.0 and true are three values."""
    if isinstance(first, dict) and isinstance(second, dict):
        yield from (f"{joined(path, key)} is missing" for key in first if key not in second)
        yield from (f"{joined(path, key)} is new" for key in second if key not in first)
        for key in first:
            if key in second:
                yield from in_json(first[key], second[key], joined(path, key))
        if set(first) == set(second) and list(first) != list(second):
            yield f"{path or 'the top'}: the keys stand in another order"
    elif isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second) and all(isinstance(value, str) for value in (*first, *second)):
            yield from in_texts(first, second, path)
            return
        if len(first) != len(second):
            yield f"{path or 'the top'}: {len(first)} entries → {len(second)}"
        for i, pair in enumerate(zip(first, second, strict=False)):
            yield from in_json(*pair, joined(path, i))
    elif json.dumps(first) != json.dumps(second):
        yield f"{path or 'the top'}: {change(*(json.dumps(value, ensure_ascii=False) for value in (first, second)))}"


def in_texts(first: Sequence[str], second: Sequence[str], path: str = "") -> Iterator[str]:
    """Lines of prose that differ, by their number in the first text, whatever was put in before them."""
    for how, start, end, other, stop in SequenceMatcher(None, first, second, autojunk=False).get_opcodes():
        if how != "equal":
            told = change(" / ".join(first[start:end]), " / ".join(second[other:stop]))
            yield f"{path} line {start + 1}: {told}".lstrip()


def joined(path: str, key: object) -> str:
    """The path of what stands under a key."""
    return f"{path}.{key}" if path else str(key)


def change(old: str | None, new: str | None) -> str:
    """Two texts, from a little before the place where they part; long ones are cut."""
    old, new = old or "", new or ""
    parting = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), 0)
    return " → ".join(excerpt(text, max(0, parting - CONTEXT)) or "nothing" for text in (old, new))


def excerpt(text: str, start: int) -> str:
    """The part of a text that is shown: all of a short one."""
    if len(text) <= SHOWN:
        return text
    return f"{'…' if start else ''}{text[start : start + SHOWN]}{'…' if start + SHOWN < len(text) else ''}"
