"""How long stages show that they are alive: a `Track` wraps an iterable; the command line gives one with a bar."""

from collections.abc import Callable, Iterable
from typing import Any

Track = Callable[..., Iterable[Any]]  # (iterable, description, total) -> the same items, shown as they pass


def silent(iterable: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:  # noqa: ARG001
    """The `Track` that shows nothing."""
    return iterable
