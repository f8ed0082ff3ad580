"""How long stages show that they are alive, and tell what they do: the command line gives a `Track` with a bar, and a `Say`."""

from collections.abc import Callable, Iterable
from typing import Any

Track = Callable[..., Iterable[Any]]  # (iterable, description, total) -> the same items, shown as they pass
Say = Callable[[str], None]  # takes a sentence for whoever waits


def silent(iterable: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:  # noqa: ARG001
    """The `Track` that shows nothing."""
    return iterable


def unsaid(_: str) -> None:
    """The `Say` that says nothing."""
