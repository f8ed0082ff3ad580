"""Registered figures of anything: their files, titles and captions, drawn in our style wherever they are called."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

from matplotlib.figure import Figure

from todacomm.core.registry import Registry
from todacomm.records.damaged import Attempt, strictly
from todacomm.report.document import style
from todacomm.report.document.figure_parts import save

T = TypeVar("T")
Draw = Callable[[T], Figure | None]


@dataclass(frozen=True, slots=True)
class Drawn(Generic[T]):
    """A figure: its file name, its title and how to read it; it draws nothing where there is nothing to show."""

    name: str
    title: str
    caption: str
    draw: Draw[T]


class Drawings(Registry[Drawn[T]]):
    """The figures of one kind of record."""

    def figure(self, name: str, *, title: str, caption: str) -> Callable[[Draw[T]], Draw[T]]:
        """Register a function of a record under the name of its file."""

        def enrol(function: Draw[T]) -> Draw[T]:
            def draw(record: T) -> Figure | None:
                with style.styled():
                    return function(record)

            self.add(name, Drawn(name, title, caption, draw))
            return draw

        return enrol

    def write(
        self, record: T, directory: Path, names: Sequence[str] | None = None, attempt: Attempt = strictly
    ) -> list[Path]:
        """Every figure that has something to show, as PNG; ``names`` chooses among them, ``attempt`` may do without any."""
        chosen = (d for d in self.values() if names is None or d.name in names)
        drawn = ((d.name, attempt(f"figure {d.name}", partial(d.draw, record))) for d in chosen)
        return [save(one, Path(directory) / f"{name}.png") for name, one in drawn if one is not None]
