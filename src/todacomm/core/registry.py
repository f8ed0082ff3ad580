"""The mechanism behind every extension point: names mapped to functions, filled by a decorator."""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from todacomm.core.errors import FOREIGN, InvalidInput, UnknownName

T = TypeVar("T")
PLUGINS = "todacomm.plugins"  # the entry-point group of third parties; each entry is a module that registers


log = logging.getLogger("todacomm")
_HERE = threading.local()  # whether this thread imports plugins at the moment


class Registry(Mapping[str, T]):
    """Names to entries of one kind; a name that is unknown raises `UnknownName` with a suggestion.

    Plugins are imported when the registry is iterated or a name is unknown, so that looking up a known name is free
    of them.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def add(self, name: str, entry: T) -> T:
        """Register ``entry`` under ``name``; a name can be taken once."""
        if name in self._entries:
            raise InvalidInput(f"two entries for the {self.kind} '{name}': a name is registered once")
        self._entries[name] = entry
        return entry

    def register(self, name: str) -> Callable[[T], T]:
        """The decorator form of `add`."""
        return lambda entry: self.add(name, entry)

    def __getitem__(self, name: str) -> T:
        if name not in self:
            raise UnknownName(self.kind, name, self._entries, hint=" ".join(broken_plugins()))
        return self._entries[name]

    def __contains__(self, name: object) -> bool:
        if name not in self._entries:
            load_plugins()
        return name in self._entries

    @property
    def ours(self) -> tuple[str, ...]:
        """The names registered so far, without importing plugins: for help texts."""
        return tuple(self._entries)

    def __iter__(self) -> Iterator[str]:
        with_plugins()
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        with_plugins()
        return len(self._entries)


@cache
def load_plugins() -> Mapping[str, str]:
    """Import every module of the entry-point group, once; return name → fault, empty where there is none."""
    _HERE.importing = True
    try:
        return {entry.name: _fault_of(entry) for entry in entry_points(group=PLUGINS)}
    finally:
        _HERE.importing = False


def with_plugins() -> None:
    """Import the plugins, unless one is being imported; warn of broken ones."""
    if not getattr(_HERE, "importing", False):
        warn_of_broken()


@cache
def warn_of_broken() -> None:
    """Warn once of each plugin that could not be imported."""
    for sentence in broken_plugins():
        log.warning(sentence)


def _fault_of(entry: EntryPoint) -> str:
    try:
        entry.load()
    except FOREIGN as problem:
        return f"{type(problem).__name__}: {problem}"
    return ""


def broken_plugins() -> list[str]:
    """A sentence for each plugin that could not be imported."""
    found = load_plugins().items()
    return [
        f"The plugin '{name}' cannot be imported, so what it adds is not known ({fault})."
        for name, fault in found
        if fault
    ]
