"""Write and read the texts of a run, or only their lengths: ``texts.json``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from todacomm.core.errors import InvalidTexts
from todacomm.core.types import Column, Texts, TokenFacts
from todacomm.core.value_types import Missing
from todacomm.records.files.codec import Format
from todacomm.records.files.io import RUN_AGAIN
from todacomm.records.runs import TEXTS as TEXTS  # noqa: PLC0414 - the file that this module is about
from todacomm.records.runs import check_file

LEFT_OUT = "left out (--no-texts)"
NONE_KEPT = Missing("this run keeps no texts")


@dataclass(frozen=True, slots=True)
class KeptTexts:
    """The texts of a run in the order of its points: ``lengths`` in characters, ``groups`` by number.

    ``items``, ``group_names`` and ``columns``, the other columns of the file that they stand in, are None with
    ``--no-texts``; ``groups`` and ``tokens`` also where none are known.
    """

    name: str
    sha256: str
    lengths: tuple[int, ...]
    groups: tuple[int, ...] | None
    group_names: tuple[str, ...] | None
    items: tuple[str, ...] | None
    tokens: TokenFacts | None = None
    columns: Mapping[str, Column] | None = None

    def __post_init__(self) -> None:
        items, names, groups = self.items, self.group_names, self.groups
        if any(of_each is not None and len(of_each) != len(self) for of_each in (groups, items)):
            raise InvalidTexts("as many lengths, groups and items are expected")
        if any(len(of_each) != len(self) for of_each in self.beside()):
            raise InvalidTexts("as many lengths and values of tokens and columns are expected")
        if items is not None and Texts(self.name, items).sha256 != self.sha256:
            raise InvalidTexts("the texts are not those of their sha256")
        if items is not None and self.lengths != tuple(map(len, items)):
            raise InvalidTexts("the lengths are not those of the texts")
        if names is not None and not all(0 <= group < len(names) for group in groups or ()):
            raise InvalidTexts("a group has no name")

    def __len__(self) -> int:
        return len(self.lengths)

    def beside(self) -> Iterator[Sequence[Any]]:
        """Everything else that has one value a text."""
        found = self.tokens
        of_tokens = (found.counts, found.last, found.occurrences, found.losses) if found else ()
        yield from (values for values in of_tokens if values is not None)
        yield from (self.columns or {}).values()


TEXTS_RECORD = Format(KeptTexts, 1, RUN_AGAIN, TEXTS)


def texts_to_keep(texts: Texts, tokens: TokenFacts | None = None, *, whole: bool) -> KeptTexts:
    """Select what a run keeps of its texts: neither texts, last tokens, columns nor names of groups unless
    ``whole``.
    """
    names = tuple(dict.fromkeys(texts.groups or ()))
    place = {name: i for i, name in enumerate(names)}
    return KeptTexts(
        texts.name,
        texts.sha256,
        tuple(map(len, texts.items)),
        None if texts.groups is None else tuple(place[group] for group in texts.groups),
        names if whole and texts.groups is not None else None,
        texts.items if whole else None,
        tokens if whole or tokens is None else replace(tokens, last=None),
        texts.columns if whole and texts.columns else None,
    )


def read_texts(run: Path) -> KeptTexts | Missing:
    """Read the texts of a run, or why there are none. Raises InvalidRecord."""
    if not (run / TEXTS).exists():
        return NONE_KEPT
    texts = TEXTS_RECORD.read(run)
    check_file(run, run / TEXTS)
    return texts
