"""The texts of a finished run, or no more than their lengths: ``texts.json`` beside its records."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from todacomm.core.errors import InvalidRecord
from todacomm.core.types import Texts
from todacomm.records.io import check_schema, read_json, to_json, write_atomically
from todacomm.records.runs import TEXTS as TEXTS  # noqa: PLC0414 - the file is told of here
from todacomm.records.runs import check_file

T = TypeVar("T")

SCHEMA = 1
LEFT_OUT, NONE_KEPT = "left out (--no-texts)", "this run keeps no texts"


@dataclass(frozen=True, slots=True)
class KeptTexts:
    """The texts of a run in the order of its points: ``lengths`` in characters, ``groups`` by number.

    ``items`` and ``names``, those of the groups, are None where they were left out; ``groups`` too where none are known.
    """

    name: str
    sha256: str
    lengths: tuple[int, ...]
    groups: tuple[int, ...] | None
    names: tuple[str, ...] | None
    items: tuple[str, ...] | None

    def __len__(self) -> int:
        return len(self.lengths)


def kept(texts: Texts, *, whole: bool) -> KeptTexts:
    """What a run keeps of its texts; unless ``whole``, neither a text nor the name of a group."""
    names = tuple(dict.fromkeys(texts.groups or ()))
    place = {name: i for i, name in enumerate(names)}
    return KeptTexts(
        texts.name,
        texts.sha256,
        tuple(map(len, texts.items)),
        None if texts.groups is None else tuple(place[group] for group in texts.groups),
        names if whole and texts.groups is not None else None,
        texts.items if whole else None,
    )


def write_texts(directory: Path, texts: KeptTexts) -> Path:
    """Write ``texts.json`` of a run."""
    record = {
        "schema": SCHEMA,
        "name": texts.name,
        "sha256": texts.sha256,
        "lengths": texts.lengths,
        "groups": texts.groups,
        "group_names": texts.names,
        "items": texts.items,
    }
    return write_atomically(directory / TEXTS, to_json(record))


def read_texts(run: Path) -> KeptTexts | str:
    """The texts of a run, or why there are none. Raises InvalidRecord for a file that is damaged or of a newer schema."""
    path = run / TEXTS
    if not path.exists():
        return NONE_KEPT
    found = read_json(path)
    check_schema(path, found, SCHEMA)
    try:
        texts = texts_from(found)
    except (KeyError, TypeError, ValueError) as problem:
        raise InvalidRecord(f"{path} is not what todacomm writes ({problem}); run the model again") from problem
    check_file(run, path)
    return texts


def texts_from(found: Mapping[str, Any]) -> KeptTexts:
    """What `write_texts` wrote. Raises KeyError, TypeError or ValueError for what it did not."""
    names = None if found["group_names"] is None else listed(found, "group_names", str)
    groups = None if found["groups"] is None else listed(found, "groups", int)
    items = None if found["items"] is None else listed(found, "items", str)
    texts = KeptTexts(str(found["name"]), str(found["sha256"]), listed(found, "lengths", int), groups, names, items)
    if any(of_each is not None and len(of_each) != len(texts) for of_each in (groups, items)):
        raise ValueError("as many lengths, groups and items are expected")
    if items is not None and Texts(texts.name, items).sha256 != texts.sha256:
        raise ValueError("the texts are not those of their sha256")
    if items is not None and texts.lengths != tuple(map(len, items)):
        raise ValueError("the lengths are not those of the texts")
    if names is not None and not all(0 <= group < len(names) for group in groups or ()):
        raise ValueError("a group without a name")
    return texts


def listed(found: Mapping[str, Any], key: str, kind: type[T]) -> tuple[T, ...]:
    """A list of the record, all of one type."""
    values = found[key]
    if not isinstance(values, list) or not all(isinstance(value, kind) for value in values):
        raise TypeError(f"{key}: expected a list of {kind.__name__}")
    return tuple(values)
