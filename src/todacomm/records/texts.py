"""Write and read the texts of a run, or only their lengths: ``texts.json``."""

from dataclasses import dataclass
from pathlib import Path

from todacomm.core.errors import InvalidTexts
from todacomm.core.types import Texts
from todacomm.core.value_types import Missing
from todacomm.records.codec import Format
from todacomm.records.io import RUN_AGAIN
from todacomm.records.runs import TEXTS as TEXTS  # noqa: PLC0414 - the file that this module is about
from todacomm.records.runs import check_file

LEFT_OUT = "left out (--no-texts)"
NONE_KEPT = Missing("this run keeps no texts")


@dataclass(frozen=True, slots=True)
class KeptTexts:
    """The texts of a run in the order of its points: ``lengths`` in characters, ``groups`` by number.

    ``items`` and ``group_names`` are None with ``--no-texts``; ``groups`` also where none are known.
    """

    name: str
    sha256: str
    lengths: tuple[int, ...]
    groups: tuple[int, ...] | None
    group_names: tuple[str, ...] | None
    items: tuple[str, ...] | None

    def __post_init__(self) -> None:
        items, names, groups = self.items, self.group_names, self.groups
        if any(of_each is not None and len(of_each) != len(self) for of_each in (groups, items)):
            raise InvalidTexts("as many lengths, groups and items are expected")
        if items is not None and Texts(self.name, items).sha256 != self.sha256:
            raise InvalidTexts("the texts are not those of their sha256")
        if items is not None and self.lengths != tuple(map(len, items)):
            raise InvalidTexts("the lengths are not those of the texts")
        if names is not None and not all(0 <= group < len(names) for group in groups or ()):
            raise InvalidTexts("a group has no name")

    def __len__(self) -> int:
        return len(self.lengths)


TEXTS_RECORD = Format(KeptTexts, 1, RUN_AGAIN, TEXTS)


def texts_to_keep(texts: Texts, *, whole: bool) -> KeptTexts:
    """Select what a run keeps of its texts: neither texts nor names of groups unless ``whole``."""
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


def read_texts(run: Path) -> KeptTexts | Missing:
    """Read the texts of a run, or why there are none. Raises InvalidRecord."""
    if not (run / TEXTS).exists():
        return NONE_KEPT
    texts = TEXTS_RECORD.read(run)
    check_file(run, run / TEXTS)
    return texts
