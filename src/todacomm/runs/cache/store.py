"""A content-addressed store in one directory that any number of processes may read and write.

An entry is one safetensors file, ``<kind>/<first two digits of the key>/<key>.safetensors``; docs/format.md has the
layout. It is written aside and renamed, so it is whole or absent; reading compares its digests, and removes a damaged
entry as if it had never been.
"""

import hashlib
import json
import os
import sys
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from todacomm.core.errors import UnknownName

Kind = Literal["activations", "measurements", "claims", "models", "digests"]
KINDS: tuple[Kind, ...] = ("activations", "measurements", "claims", "models", "digests")
SCHEMA = 1
FEWEST_DIGITS = 4  # of an abbreviated key
PLACE = "TODACOMM_CACHE"
SUFFIX, METADATA, SEAL = ".safetensors", "todacomm", "sha256"
OF = "entry"  # kind and key of an entry, stored in it
TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Made by todacomm; see https://bford.info/cachedir/\n"
Content = tuple[dict[str, Any], dict[str, np.ndarray]]  # the facts of an entry, and its arrays by name


def default_place() -> Path:
    """``$TODACOMM_CACHE``, else ``todacomm`` in the user's cache directory."""
    if given := os.environ.get(PLACE):
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "todacomm" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "todacomm"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "todacomm"


def digest_of(content: object) -> str:
    """The SHA-256 of a JSON value with sorted keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True, allow_nan=False).encode()).hexdigest()


def array_digest(array: np.ndarray) -> str:
    """The SHA-256 of dtype, shape and bytes of an array."""
    head = f"{array.dtype.str} {array.shape}\0".encode()
    return hashlib.sha256(head + np.ascontiguousarray(array).tobytes()).hexdigest()


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """A file listed by `Cache.entries`, without its arrays.

    ``used`` is the time of last use in seconds since 1970; ``runs`` counts the runs that hard-link the file.
    """

    path: Path
    kind: Kind
    facts: Mapping[str, Any]
    size: int
    used: float
    runs: int

    @property
    def key(self) -> str:
        return self.path.stem


@dataclass(slots=True, eq=False)
class Cache:
    """The entries under ``root``. Missing space, permissions or damaged files raise nothing here.

    ``complaints`` are sentences on what was damaged or could not be written.
    """

    root: Path
    complaints: list[str] = field(default_factory=list)
    writable: bool = True

    def path(self, kind: Kind, key: str) -> Path:
        """The path of an entry, present or not."""
        return self.root / kind / key[:2] / f"{key}{SUFFIX}"

    def facts(self, kind: Kind, key: str) -> dict[str, Any] | None:
        """The metadata of an entry, if it is there."""
        found = self.get(kind, key, ())
        return None if found is None else found[0]

    def get(self, kind: Kind, key: str, names: Collection[str] | None = None) -> Content | None:
        """Read metadata and the arrays ``names`` (None: all) of an entry; None where it or one of them is missing.

        Sets the time of the file to now.
        """
        path = self.path(kind, key)
        try:
            found = _of(kind, key, _content(path, names))
        except FileNotFoundError:
            return None
        except OSError as problem:
            self._complain(f"the cache at {self.root} cannot be read: {problem.strerror or problem}")
            return None
        except DamagedEntry as problem:
            self._complain(f"a damaged entry of the cache was removed and is computed anew ({path}: {problem})")
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):  # the cache may be another user's
            os.utime(path)
        return found

    def keep(self, kind: Kind, key: str, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> bool:
        """Write or replace an entry; return whether that worked."""
        from safetensors import SafetensorError

        if not self.writable:
            return False
        path = self.path(kind, key)
        part = path.with_name(f"{path.name}.{uuid.uuid4().hex}.part")
        try:
            self._make(path.parent)
            _write(part, {OF: f"{kind}/{key}", **facts}, arrays)
            part.replace(path)
        except (OSError, SafetensorError) as problem:
            self.writable = False
            reason = getattr(problem, "strerror", None) or str(problem).removesuffix(f' at path "{part}"')
            self._complain(f"the cache at {self.root} cannot be written, the run goes on without it: {reason}")
            with suppress(OSError):
                part.unlink()
        return self.writable

    def probe(self) -> Path | None:
        """Make a file that proves to another process that it sees this cache; None where that fails."""
        path = self.root / "probes" / uuid.uuid4().hex
        try:
            self._make(path.parent)
            path.touch()
        except OSError:
            return None
        return path

    def paths(self, kind: Kind) -> list[Path]:
        """The files of one kind of entry."""
        return sorted((self.root / kind).glob(f"??/*{SUFFIX}"))

    def entries(self, *kinds: Kind) -> Iterator[Entry]:
        """The intact entries of these kinds (default: all), ordered by path."""
        for kind in kinds or KINDS:
            for path in self.paths(kind):
                with suppress(OSError, DamagedEntry):  # removed meanwhile, or damaged: whoever reads it will say so
                    facts = _facts(path)
                    stat = path.stat()
                    yield Entry(path, kind, facts, stat.st_size, stat.st_mtime, stat.st_nlink - 1)

    def unfinished(self) -> list[Path]:
        """Files left by killed writers; those of the last hour may still be in use."""
        found = [path for pattern in ("*.part", ".tmp*") for path in self.root.glob(f"*/??/{pattern}")]
        return [path for path in found if _age(path) > 3600]

    def rates(self) -> list[Path]:
        """The files in which `todacomm.runs.plan.calibration` keeps how fast this machine is."""
        return sorted(self.root.glob("calibration/*.json"))

    def told(self) -> tuple[str, ...]:
        """Return and clear the complaints."""
        found, self.complaints = tuple(dict.fromkeys(self.complaints)), []
        return found

    def _complain(self, sentence: str) -> None:
        self.complaints.append(sentence)

    def _make(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        tag = self.root / "CACHEDIR.TAG"  # backups pass over a directory that has it
        if not tag.exists():
            tag.write_text(TAG, encoding="ascii")


class DamagedEntry(Exception):
    """A cache file whose content is not what was written."""


def _of(kind: Kind, key: str, found: Content | None) -> Content | None:
    """Check that content belongs to this key; None also for entries of older versions, which do not say."""
    told = found[0].get(OF) if found else None
    if told is not None and told != f"{kind}/{key}":
        raise DamagedEntry(f"it is the entry {told}")
    return found if told is not None else None


def _content(path: Path, names: Collection[str] | None) -> Content | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as stored:
            facts = _unsealed(stored.metadata())
            wanted = stored.keys() if names is None else names
            if not set(wanted) <= set(stored.keys()):
                return None
            arrays = {name: stored.get_tensor(name) for name in wanted}
    except SafetensorError as problem:
        raise DamagedEntry(str(problem)) from problem
    for name, array in arrays.items():
        if array_digest(array) != facts["digests"].get(name):
            raise DamagedEntry(f"the array {name} has another digest")
    return facts, arrays


def _facts(path: Path) -> dict[str, Any]:
    found = _content(path, ())
    return found[0] if found else {}


def _sealed(facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, str]:
    digests = {name: array_digest(array) for name, array in arrays.items()}
    # the order of the keys is kept: records made of them are to be equal byte for byte
    text = json.dumps({"schema": SCHEMA, **facts, "digests": digests}, allow_nan=False)
    return {METADATA: text, SEAL: hashlib.sha256(text.encode()).hexdigest()}


def _unsealed(metadata: Mapping[str, str] | None) -> dict[str, Any]:
    found = metadata or {}
    text = found.get(METADATA, "")
    if hashlib.sha256(text.encode()).hexdigest() != found.get(SEAL):
        raise DamagedEntry("its facts have another digest")
    facts: dict[str, Any] = json.loads(text)
    return facts


def _write(part: Path, facts: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    from safetensors.numpy import save_file

    packed = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    part.touch()
    mode = part.stat().st_mode  # safetensors would make a file that its owner alone can read
    save_file(packed, part, metadata=_sealed(facts, packed))
    part.chmod(mode)


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


# What there is, and removing it


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A line of the cache listing: the activations of a job, or all its layers measured in one way."""

    key: str
    what: Kind
    model: str
    data: str
    pooling: str | None
    entries: tuple[Entry, ...]

    @property
    def layers(self) -> int:
        """The number of layers."""
        of_all = {"activations": "digests", "claims": "layers"}.get(self.what)
        return len(self.entries[0].facts[of_all]) if of_all else len(self.entries)

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.entries)

    @property
    def used(self) -> float:
        return max(entry.used for entry in self.entries)


def rows(cache: Cache) -> list[Row]:
    """List what users asked for, last used first."""
    groups: dict[tuple[str, ...], list[Entry]] = {}
    for entry in cache.entries("activations", "measurements", "claims"):
        groups.setdefault(_group(entry), []).append(entry)
    found = [_row(entries) for entries in groups.values()]
    return sorted(found, key=lambda row: row.used, reverse=True)


def _group(entry: Entry) -> tuple[str, ...]:
    """What the entries of one row share."""
    if entry.kind == "activations":
        return (entry.key,)
    return (entry.kind, *(str(entry.facts[name]) for name in ("model", "data", "pooling", "recipe")))


def _row(entries: Sequence[Entry]) -> Row:
    first = entries[0]
    key = first.key if first.kind == "activations" else digest_of(_group(first))
    facts = first.facts
    return Row(key[:12], first.kind, facts["model"], facts["data"], facts["pooling"], tuple(entries))


@dataclass(frozen=True, slots=True)
class Usage:
    """Files of one kind: number, bytes, and those that runs hard-link."""

    files: int
    bytes: int
    in_runs: int


def usage(cache: Cache) -> dict[str, Usage]:
    """The size of each kind of entry, and of what killed writers left."""
    paths: dict[str, list[Path]] = {kind: cache.paths(kind) for kind in KINDS}
    return {kind: _usage(found) for kind, found in {**paths, "unfinished": cache.unfinished()}.items()}


def _usage(paths: Sequence[Path]) -> Usage:
    found = []
    for path in paths:
        with suppress(OSError):  # removed meanwhile
            found.append(path.stat())
    return Usage(len(found), sum(s.st_size for s in found), sum(s.st_size for s in found if s.st_nlink > 1))


@dataclass(frozen=True, slots=True, eq=False)
class Removal:
    """Entries to remove, and files that are removed silently with them."""

    entries: tuple[Entry, ...]
    rest: tuple[Path, ...]

    @property
    def bytes(self) -> int:
        return sum(entry.size for entry in self.entries)


def matching(
    cache: Cache, *, keys: Sequence[str] | None = None, model: str | None = None, before: float | None = None
) -> Removal:
    """Select rows by key (or its beginning), model, and last use before a time; all without a condition.

    Raises UnknownName, with a suggestion, for a key or model without a row.
    """
    found = rows(cache)
    if model is not None and model not in {row.model for row in found}:
        raise UnknownName("model in the cache", model, dict.fromkeys(row.model for row in found))
    chosen = [row for row in found if model in (None, row.model)]
    if keys:
        chosen = [row for key in dict.fromkeys(keys) for row in _of_key(key, chosen)]
    whole = not keys and model is None
    old = [entry for row in chosen for entry in row.entries if before is None or entry.used < before]
    rest = [entry.path for entry in cache.entries("models", "digests") if before is None or entry.used < before]
    rest += [path for path in cache.rates() if before is None or path.stat().st_mtime < before]
    return Removal(tuple(old), tuple([*rest, *cache.unfinished()] if whole else []))


def _of_key(key: str, found: Sequence[Row]) -> list[Row]:
    chosen = [row for row in found if row.key.startswith(key.lower())] if len(key) >= FEWEST_DIGITS else []
    if len(chosen) != 1:
        raise UnknownName(
            "key in the cache", key, [row.key for row in found], hint="todacomm cache ls shows what each is."
        )
    return chosen


def remove(removal: Removal) -> int:
    """Remove entries; return the bytes freed, without those that runs still hold."""
    freed = 0
    for entry in removal.entries:
        with suppress(OSError):  # another process may have been first
            entry.path.unlink()
            freed += entry.size if not entry.runs else 0
    for path in removal.rest:
        with suppress(OSError):
            path.unlink()
    return freed
