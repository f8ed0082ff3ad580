"""What a document is made of: a few frozen pieces, one rendering to Markdown here and one to HTML in templates/."""

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, ClassVar, Literal

from todacomm.core.registry import Registry
from todacomm.core.types import Profile
from todacomm.records.files.damaged import Loss, loss_messages
from todacomm.report.document.chart import Chart

Context = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A few sentences; an answer and a warning are set apart from plain text."""

    kind: ClassVar[str] = "paragraph"
    text: str
    tone: Literal["plain", "answer", "warning"] = "plain"


@dataclass(frozen=True, slots=True)
class Bullets:
    """Sentences of equal rank."""

    kind: ClassVar[str] = "bullets"
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Terms:
    """Words and what they mean, one line each."""

    kind: ClassVar[str] = "terms"
    entries: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a header; the first ``words`` columns hold words, the others numbers.

    A page lets the rows of a ``sortable`` one be sorted by any column.
    """

    kind: ClassVar[str] = "table"
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1
    sortable: bool = False


@dataclass(frozen=True, slots=True)
class Code:
    """Something to type or to save, as it is."""

    kind: ClassVar[str] = "code"
    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """A figure on disk with its title and how to read it."""

    kind: ClassVar[str] = "picture"
    path: Path
    title: str
    caption: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """SVG of our own making that a page holds in itself, with what it shows in words: all that Markdown has of it."""

    kind: ClassVar[str] = "drawing"
    svg: str
    caption: str


Piece = Paragraph | Bullets | Terms | Table | Code | Picture | Drawing | Chart


@dataclass(frozen=True, slots=True)
class Part:
    """A titled part of a document; ``run`` is which of several runs it is of."""

    name: str
    title: str
    pieces: tuple[Piece, ...]
    run: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A title, a line beneath it, and parts."""

    title: str
    subtitle: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A registered part: its type of record, whether the short interpretation has it, whether it closes a document."""

    name: str
    title: str
    record: type
    brief: bool
    closing: bool
    write: Callable[[Any, Context], Iterable[Piece]]


sections: Registry[Section] = Registry("report section")


def section(
    name: str, *, title: str, record: type = Profile, brief: bool = True, closing: bool = False
) -> Callable[[Callable[[Any, Context], Iterable[Piece]]], Callable[[Any, Context], Iterable[Piece]]]:
    """Register a function of a record and a context that gives pieces.

    Parts stand in the order of registration, those that close a document after all others.
    """

    def enrol(write: Callable[[Any, Context], Iterable[Piece]]) -> Callable[[Any, Context], Iterable[Piece]]:
        sections.add(name, Section(name, title, record, brief, closing, write))
        return write

    return enrol


def parts_of(record: object, context: Context, *, brief: bool = False) -> tuple[Part, ...]:
    """The parts of a document on this record: the sections for its type that have something to say."""
    chosen = [s for s in sections.values() if isinstance(record, s.record) and (s.brief or not brief)]
    ordered = sorted(chosen, key=lambda s: s.closing)
    written = (Part(s.name, s.title, tuple(s.write(record, context))) for s in ordered)
    return tuple(part for part in written if part.pieces)


def together(labelled: Sequence[tuple[str, tuple[Part, ...]]]) -> tuple[Part, ...]:
    """The parts of several records in one document: the first of each in front, common ones once at the end."""
    if len(labelled) == 1:
        return labelled[0][1]
    everywhere = [part for part in labelled[0][1] if all(part in parts for _, parts in labelled)]
    own = [
        [
            replace(part, name=f"{part.name}-{i}", title=f"{label}: {part.title}", run=label)
            for part in parts
            if part not in everywhere
        ]
        for i, (label, parts) in enumerate(labelled)
    ]
    return (*(parts[0] for parts in own if parts), *(part for parts in own for part in parts[1:]), *everywhere)


LEFT_OUT = "left-out"  # the part that says what a damaged record leaves out


def with_losses(document: Document, losses: Sequence[Loss]) -> Document:
    """The document with a part, after the answers, on what is left out of it; as it is where nothing is."""
    if not losses:
        return document
    answers = len(list(takewhile(lambda part: kind_of(part) == kind_of(document.parts[0]), document.parts)))
    said = Paragraph(
        "Some records cannot be read; all else is shown. Sentences and tables speak of what is left.", "warning"
    )
    part = Part(LEFT_OUT, "What is left out", (said, Bullets(tuple(loss_messages(losses)))))
    return replace(document, parts=(*document.parts[:answers], part, *document.parts[answers:]))


def kind_of(part: Part) -> str:
    """The name of a part without the number that it has where there are several of its kind."""
    return re.sub(r"-\d+$", "", part.name)


def escaped(text: str) -> str:
    """Text that Markdown shows as it stands: no tags, no emphasis, no links, no table borders, no list or heading."""
    shielded = re.sub(r"([\\`*<>\[\]|])|(?<!\w)_|_(?!\w)", r"\\\g<0>", " ".join(text.split()))
    return re.sub(r"^(?:([#+-])|(\d+)([.)]))(?=\s|#|$)", r"\2\\\1\3", shielded)


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _table(table: Table) -> str:
    rule = ["---" if i < table.words else "---:" for i in range(len(table.header))]
    rows = [_row(map(escaped, row)) for row in table.rows]
    return "\n".join([_row(map(escaped, table.header)), _row(rule), *rows])


def _fenced(code: Code) -> str:
    fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", code.text)), default=0))
    return f"{fence}{code.language}\n{code.text.rstrip()}\n{fence}"


def _picture(picture: Picture, directory: Path) -> str:
    target = Path(os.path.relpath(picture.path, directory)).as_posix()
    return f"![{escaped(picture.title)}](<{target}>)\n\n{escaped(picture.caption)}"


def _paragraph(paragraph: Paragraph) -> str:
    text = escaped(paragraph.text)
    return {"plain": text, "answer": f"**{text}**", "warning": f"> **Note.** {text}"}[paragraph.tone]


def _markdown(piece: Piece, directory: Path) -> str:
    match piece:
        case Paragraph():
            text = _paragraph(piece)
        case Bullets():
            text = "\n".join(f"- {escaped(item)}" for item in piece.items)
        case Terms():
            text = "\n".join(f"- **{escaped(term)}**: {escaped(meaning)}" for term, meaning in piece.entries)
        case Table():
            text = _table(piece)
        case Code():
            text = _fenced(piece)
        case Picture():
            text = _picture(piece, directory)
        case Drawing():
            text = escaped(piece.caption)
        case Chart():  # of which Markdown has the figure, where one was written
            text = _picture(Picture(piece.picture, piece.title, piece.caption), directory) if piece.picture else ""
    return text


def to_markdown(document: Document, directory: Path) -> str:
    """The document as Markdown; links to figures are relative to ``directory``, where it will lie."""
    blocks: list[str] = [f"# {escaped(document.title)}", escaped(document.subtitle)]
    for part in document.parts:
        written = [text for piece in part.pieces if (text := _markdown(piece, directory))]
        blocks += [f"## {escaped(part.title)}", *written] if written else []
    return "\n\n".join(filter(None, blocks)) + "\n"


def picture_parts(paths: Sequence[Path], registered: Mapping[str, Any]) -> tuple[Picture, ...]:
    """Pictures of figure files, with the title and caption under which each figure is registered."""
    known = [(Path(path), registered[Path(path).stem]) for path in paths if Path(path).stem in registered]
    return tuple(Picture(path, drawing.title, drawing.caption) for path, drawing in known)
