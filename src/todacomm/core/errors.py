"""What can go wrong, as a tree; each message says what was wrong, where, what was expected and what to do.

TodacommError
├── UnknownName        a name that no registry, layer or preset knows; suggests a neighbour and lists the rest
├── InvalidInput       an option, an array or a text that cannot be measured as it is
│   ├── InvalidCloud   not finite, fewer than three points, all points equal, or not an array of n rows
│   ├── InvalidTexts   too few texts, an unreadable dataset, a missing field
│   ├── InvalidStudy   a study file with an unknown or mistyped key
│   └── TooLarge       what does not fit into the memory there is
├── ModelUnavailable   a hub that cannot be reached, a gated model, a directory that is not a model
├── UnsafeModel        a pickle weight file or remote code that was not asked for
├── ModelFailed        a model that stopped with an error of another library, such as memory that ran out
├── TrainingFailed     a training whose loss is no finite number any more
├── ClusterUnavailable a scheduler that cannot be reached, was lost, or has no workers
├── MissingExtra       an optional dependency that is not installed
├── EngineDisagreement two engines gave different diagrams of one cloud
├── InvalidRecord      a stored run that is missing, damaged or of a newer schema
│   └── NothingLegible a directory of which no record can be read
└── CannotWrite        an output directory that cannot be made or written
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

FOREIGN = (  # what third-party code raises where it is broken; all of Python's own errors
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    ReferenceError,
    RuntimeError,
    SyntaxError,
    SystemError,
    SystemExit,
    TypeError,
    ValueError,
    Warning,
)


class TodacommError(Exception):
    """The base class of every error that todacomm raises on purpose.

    Each message says what was wrong, where, what was expected and what to do. Catch this class to tell a mistake in
    an option, a text, a model or a record from a fault in the program; the command line ends with exit code 2.

    Examples
    --------
    >>> import todacomm as td
    >>> try:
    ...     td.rips([[1.0, float("nan")]])
    ... except td.TodacommError as error:
    ...     print(type(error).__name__)
    InvalidInput

    """

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the message with its attributes, so that a process can report why it failed."""
        return _raised, (type(self), self.args, vars(self))


def _raised(kind: type[TodacommError], arguments: tuple[Any, ...], beside: dict[str, Any]) -> TodacommError:
    """Rebuild an error from its pickle."""
    error = kind.__new__(kind, *arguments)
    vars(error).update(beside)
    return error


class UnknownName(TodacommError, LookupError):
    """A name that is not registered; ``key`` is the study option whose value it is."""

    key = ""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        self.kind, self.name, self.known = kind, name, tuple(known)
        article = "an" if kind[:1].lower() in "aeiou" else "a"
        near = difflib.get_close_matches(name.lower(), [k.lower() for k in self.known], n=1, cutoff=0.5)
        meant = next((k for k in self.known if near and k.lower() == near[0]), "")
        suggestion = f" Did you mean '{meant}'?" if meant else ""
        listed = ", ".join(self.known) or "none"
        super().__init__(
            f"'{name}' is not {article} {kind} that todacomm knows.{suggestion} Known: {listed}."
            f"{' ' if hint else ''}{hint}"
        )


class InvalidInput(TodacommError, ValueError):
    """An option, an array or a text that cannot be measured as it is."""


class InvalidCloud(InvalidInput):
    """An array that is no point cloud."""


class InvalidTexts(InvalidInput):
    """A dataset that does not give the texts asked for."""


class InvalidStudy(InvalidInput):
    """A study file with an unknown or mistyped key."""


class TooLarge(InvalidInput):
    """A computation that does not fit into memory, refused before it starts."""


class ModelUnavailable(TodacommError):
    """A model that cannot be loaded."""


class ModelFailed(TodacommError):
    """A model that stopped with an error of another library while it was measured."""


class TrainingFailed(TodacommError):
    """A training whose loss is no finite number any more."""


class ClusterUnavailable(TodacommError):
    """A scheduler that cannot be reached, was lost while it worked, or has no workers."""


class UnsafeModel(TodacommError):
    """A model whose loading would run code that was not asked for."""


class MissingExtra(TodacommError, ImportError):
    """An optional dependency that is not installed."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(
            f"{purpose} needs {package}, which is not installed here. "
            f"Install it from your clone with: pip install '.[{extra}]'"
        )


class EngineDisagreement(TodacommError):
    """Two engines gave different diagrams of the same distances; ``arrays`` holds both diagrams and the distances."""

    def __init__(self, message: str, arrays: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.arrays = dict(arrays or {})


class InvalidRecord(TodacommError):
    """A stored run that cannot be read."""


class NothingLegible(InvalidRecord):
    """A directory of which no record can be read; the message lists the fault of each."""


class CannotWrite(TodacommError, OSError):
    """An output directory that cannot be made or written."""


OUT_OF_MEMORY = ("out of memory", "can't allocate", "cannot allocate", "failed to allocate", "not enough memory")


def ran_out(problem: BaseException) -> bool:
    """Whether an error means that memory ran out; torch raises RuntimeError for it."""
    return isinstance(problem, MemoryError) or any(sign in str(problem).lower() for sign in OUT_OF_MEMORY)
