"""Registered figures of anything, with titles and captions; most are described as a chart, some draw themselves."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial, wraps
from pathlib import Path
from typing import Generic, TypeVar

from matplotlib.figure import Figure

from todacomm.core.registry import Registry
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.report.document import style
from todacomm.report.document.chart import Chart
from todacomm.report.document.figure_parts import save
from todacomm.report.document.matplotlib_renderer import figure_of
from todacomm.report.document.pieces import Picture

T = TypeVar("T")
Draw = Callable[[T], Figure | None]
Describe = Callable[[T], Chart | None]


@dataclass(frozen=True, slots=True)
class Drawn(Generic[T]):
    """A figure: its file name, its title and how to read it; of nothing to show there is none.

    ``describe`` gives it as a chart, and is None of one that draws itself. Of one cloud alone only those
    ``of_one_cloud`` have something to show; those ``of_a_null`` need the draws of one.
    """

    name: str
    title: str
    caption: str
    draw: Draw[T]
    describe: Describe[T] | None = None
    of_one_cloud: bool = False
    of_a_null: bool = False


class Drawings(Registry[Drawn[T]]):
    """The figures of one kind of record."""

    def figure(
        self, name: str, *, title: str, caption: str, of_one_cloud: bool = False, of_a_null: bool = False
    ) -> Callable[[Draw[T]], Draw[T]]:
        """Register a function of a record that draws a figure, in our style wherever it is called."""

        def enrol(function: Draw[T]) -> Draw[T]:
            @wraps(function)
            def draw(record: T) -> Figure | None:
                with style.styled():
                    return function(record)

            self.add(name, Drawn(name, title, caption, draw, None, of_one_cloud, of_a_null))
            return draw

        return enrol

    def chart(
        self, name: str, *, title: str, caption: str, of_one_cloud: bool = False, of_a_null: bool = False
    ) -> Callable[[Describe[T]], Describe[T]]:
        """Register a function of a record that gives a chart, which is named here."""

        def enrol(function: Describe[T]) -> Describe[T]:
            @wraps(function)
            def describe(record: T) -> Chart | None:
                found = function(record)
                return None if found is None else replace(found, name=name, title=title, caption=caption)

            def draw(record: T) -> Figure | None:
                found = describe(record)
                return None if found is None else figure_of(found)

            self.add(name, Drawn(name, title, caption, draw, describe, of_one_cloud, of_a_null))
            return describe

        return enrol

    def shown(self, record: T, figures: Sequence[Path]) -> Iterator[Chart | Picture]:
        """The charts of a record with their figures, and the pictures of figures that are no chart."""
        known = {path.stem: path for path in figures}
        for name, drawn in self.items():
            chart = drawn.describe(record) if drawn.describe else None
            if chart:
                yield replace(chart, picture=known.get(name))
            elif name in known:
                yield Picture(known[name], drawn.title, drawn.caption)

    def write(
        self, record: T, directory: Path, names: Sequence[str] | None = None, attempt: Attempt = strictly
    ) -> list[Path]:
        """Every figure that has something to show, as PNG; ``names`` chooses, ``attempt`` may do without any."""
        chosen = (d for d in self.values() if names is None or d.name in names)
        drawn = ((d.name, attempt(f"figure {d.name}", partial(d.draw, record))) for d in chosen)
        return [save(one, Path(directory) / f"{name}.png") for name, one in drawn if one is not None]
