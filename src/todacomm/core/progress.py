"""Progress of long stages: a `Track` wraps an iterable with a bar, a `Say` takes a message."""

from collections.abc import Callable, Iterable
from typing import Any

Track = Callable[..., Iterable[Any]]  # (iterable, description, total) -> the same items, shown as they pass
Say = Callable[[str], None]  # takes a message


def silent(iterable: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:  # noqa: ARG001
    """The `Track` that shows nothing."""
    return iterable


def bars(iterable: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
    """The `Track` that shows a bar on standard error, which goes away at its end."""
    from rich.console import Console
    from rich.progress import track

    return track(iterable, description, total, console=Console(stderr=True), transient=True)


def shown(track: Track, *, progress: bool) -> Track:
    """The `Track` that a caller gave, or one with bars where ``progress`` is asked for."""
    return bars if progress and track is silent else track


def unsaid(_: str) -> None:
    """The `Say` that says nothing."""
