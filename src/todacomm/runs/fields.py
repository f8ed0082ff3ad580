"""Declare fields of a study: the kind of value, the help sentence, and what the field bears on."""

import reprlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from todacomm.core.errors import UnknownName
from todacomm.core.registry import Registry

NONE = "none"  # how a missing value is written
# What a field bears on
CHOICE = "choice"  # which models, texts and layers
LOADING = "loading"  # how a model is loaded
READING = "reading"  # the forward pass: the key of activations
MEASURING = "measuring"  # the recipe of the clouds: the key of measurements
INFERENCE = "inference"  # intervals and nulls: with the recipe, their key
MACHINE = "machine"  # where and how fast
STUDY = "study"  # several models or many jobs: no effect in `todacomm.run`
OUTPUT = "output"  # what is written, and where


class WrongKind(ValueError):
    """A value of the wrong kind."""

    def __init__(self, expected: str, value: object) -> None:
        self.expected = expected
        quote = expected == "a string" and isinstance(value, int | float)
        super().__init__(f"expected {expected}, found {shown(value)}{'; put it in quotes' if quote else ''}")


def shown(value: object) -> str:
    """Format a value as in YAML."""
    if value is None or isinstance(value, bool):
        return "nothing" if value is None else str(value).lower()
    return reprlib.repr(list(value) if isinstance(value, tuple) else value)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: its check, its form on the command line, and how to parse it there.

    ``check`` returns the value as a study holds it, or raises ValueError or UnknownName. ``typed`` parses a word, or
    raises ValueError for one that stays a word. ``choices`` complete the word; a ``switch`` is on or off.
    """

    check: Callable[[Any], Any]
    shape: str
    typed: Callable[[str], Any] = str
    choices: tuple[str, ...] = ()
    switch: bool = False

    def read(self, word: str) -> Any:
        """Parse a word of the command line, unchecked."""
        try:
            return self.typed(word)
        except ValueError:
            return word

    def then(self, check: Callable[[Any], Any], *, shape: str = "") -> "Kind":
        """Add a check to this kind."""
        return Kind(lambda value: check(self.check(value)), shape or self.shape, self.typed, self.choices, self.switch)


@dataclass(frozen=True, slots=True)
class Option:
    """One field of a study: a key of its YAML and an option of the command line.

    ``single`` are options for one value of a field that takes several, each with its form and help; ``old`` are former
    names, accepted without a warning.
    """

    default: Any
    help: str
    kind: Kind
    panel: str
    bears_on: frozenset[str]
    single: Mapping[str, tuple[str, str]]
    old: tuple[str, ...]


def option(
    default: Any,
    kind: Kind,
    sentence: str,
    panel: str,
    *bears_on: str,
    single: Mapping[str, tuple[str, str]] | None = None,
    old: Iterable[str] = (),
) -> Any:
    """Declare a field of a study."""
    told = Option(default, sentence, kind, panel, frozenset(bears_on), single or {}, tuple(old))
    return field(default=default, metadata={"option": told})


# Kinds of values


def _whole(word: str) -> int:
    if not word.removeprefix("-").isdecimal():
        raise ValueError(word)
    return int(word)


def whole(least: int, most: int | None = None, *, shape: str = "N") -> Kind:
    """A whole number."""

    def check(value: Any) -> int:
        if type(value) is not int:
            raise WrongKind("a whole number", value)
        if value < least:
            raise WrongKind(f"at least {least}", value)
        if most is not None and value > most:
            raise WrongKind(f"at most {most}", value)
        return value

    return Kind(check, shape, _whole)


def _number(value: Any) -> float:
    if type(value) not in (int, float):
        raise WrongKind("a valid number", value)
    return float(value)


def _switch(value: Any) -> bool:
    if type(value) is not bool:
        raise WrongKind("true or false", value)
    return value


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongKind("a string", value)
    return value


number = Kind(_number, "0…1", float)
switch = Kind(_switch, "", switch=True)
string = Kind(_string, "TEXT")


def named(kind: str, known: Collection[str]) -> Kind:
    """One of the known names. Others raise UnknownName."""

    def check(value: Any) -> str:
        if _string(value) not in known:
            raise UnknownName(kind, value, known)
        return str(value)

    shown = known.ours if isinstance(known, Registry) else tuple(known)
    return Kind(check, "|".join(shown), choices=shown)


def one_of(*words: str) -> Kind:
    """One of a few words."""

    def check(value: Any) -> Any:
        if value not in words:
            *most, last = map(repr, words)
            raise WrongKind(f"{', '.join(most)}{' or ' if most else ''}{last}", value)
        return value

    return Kind(check, "|".join(words), choices=words)


def maybe(kind: Kind) -> Kind:
    """A value, or none."""

    def check(value: Any) -> Any:
        return None if value is None or value == NONE else kind.check(value)

    shape = kind.shape if kind.choices and NONE in kind.choices else f"{kind.shape}|{NONE}"
    return Kind(check, shape, kind.typed, kind.choices)


def word_or(word: str, kind: Kind) -> Kind:
    """A fixed word, or a value of another kind."""

    def check(value: Any) -> Any:
        try:
            return word if value == word else kind.check(value)
        except WrongKind as problem:
            raise WrongKind(f"'{word}' or {problem.expected}", value) from None

    return Kind(check, f"{word}|{kind.shape}", kind.typed, (word, *kind.choices))


def listed(value: Any) -> Any:
    """Convert a comma list or a YAML list to a tuple; leave anything else."""
    if isinstance(value, str):
        return tuple(part for piece in value.split(",") if (part := piece.strip()))
    return tuple(value) if isinstance(value, list) else value


def names(kind: Kind = string, *, shape: str = "A,B,…") -> Kind:
    """One name or more, each once."""

    def check(value: Any) -> tuple[str, ...]:
        found = listed(value)
        if not isinstance(found, tuple):
            raise WrongKind("a list", value)
        words = tuple(map(_string, found))
        if not words or not all(word.strip() for word in words):
            raise ValueError("expected one name or more, found an empty " + ("name" if words else "list"))
        twice = next((word for word in words if words.count(word) > 1), None)
        if twice is not None:
            raise ValueError(f"'{twice}' stands twice")
        return tuple(map(kind.check, words))

    return Kind(check, shape if kind is string else ",".join(kind.choices), choices=kind.choices)
