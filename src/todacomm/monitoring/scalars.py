"""Hand numbers to TensorBoard, Weights & Biases, trackio, or anything that takes ``log(numbers, step=...)``."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from todacomm.core.errors import InvalidInput, MissingExtra
from todacomm.core.types import Number

SHOWN = (
    "H0_total_persistence_scaled",
    "H1_total_persistence_scaled",
    "H1_max_lifetime_scaled",
    "H1_screen",
    "scale",
    "relative_scale",
    "distinct_points",
    "participation_ratio",
)
PREFIX = "topology"


@dataclass(frozen=True, slots=True)
class Scalars:
    """Where the numbers of each measured step go besides the record, and which of them."""

    writer: Any = None
    run: Any = None
    names: Sequence[str] = SHOWN

    def send(self, step: int, layers: Mapping[str, Mapping[str, Number]]) -> None:
        """Send the numbers of a step under names such as ``topology/layer_3/H1_screen``."""
        found = dict(tagged(layers, self.names))
        if self.writer is not None:
            for tag, value in found.items():
                self.writer.add_scalar(tag, value, step)
        if self.run is not None and found:
            self.run.log(found, step=step)


def tagged(layers: Mapping[str, Mapping[str, Number]], names: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Every number that is defined, with its tag."""
    for layer, numbers in layers.items():
        yield from ((f"{PREFIX}/{layer}/{name}", value) for name in names if (value := numbers.get(name)) is not None)


def scalars_of(tensorboard: Any, log: Any, names: Sequence[str]) -> Scalars:
    """Check what was given: a writer or a directory for TensorBoard, an object with ``log``."""
    if log is not None and not callable(getattr(log, "log", None)):
        raise InvalidInput(
            f"log={type(log).__name__}: expected an object with log(numbers, step=...), such as what wandb.init() gives"
        )
    return Scalars(writer_of(tensorboard), log, tuple(names))


def writer_of(given: Any) -> Any:
    """The writer that was given, or one into a directory."""
    if given is None or callable(getattr(given, "add_scalar", None)):
        return given
    if not isinstance(given, str | Path):
        raise InvalidInput(f"tensorboard={type(given).__name__}: expected a SummaryWriter or a directory")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtra("tensorboard", "models", "tensorboard='DIR'") from None
    return SummaryWriter(str(given))
