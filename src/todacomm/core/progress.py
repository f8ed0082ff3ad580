"""Progress of long stages: a `Track` wraps an iterable with a bar, a `Say` takes a message."""

from collections.abc import Callable, Iterable
from typing import Any

Track = Callable[..., Iterable[Any]]  # (iterable, description, total) -> the same items, shown as they pass
Say = Callable[[str], None]  # takes a message


def silent(iterable: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:  # noqa: ARG001
    """The `Track` that shows nothing."""
    return iterable


def unsaid(_: str) -> None:
    """The `Say` that says nothing."""
