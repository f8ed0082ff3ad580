"""What a probe has found out about a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from todacomm.circles.order import Order, Shape
from todacomm.circles.probes import Probe, Question
from todacomm.circles.turning import Turned, Verdict


@dataclass(frozen=True, slots=True)
class Asked:
    """What came of the question that the model answers best: the turn at each layer, and its p-value over all layers.

    ``layer`` is the one of the best alignment against its placebos, which the verdict is of.
    """

    question: Question
    turned: Mapping[str, Turned]
    p: Mapping[str, float]
    layer: str
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Probed:
    """A model under a probe: the order of its words at each layer, and whether its answers turn with them.

    ``plane`` is where each word lies at `layer`, on the two directions of the first harmonic of its order, and
    ``bar`` the birth and the death of the longest H1 bar there, if any. ``accuracy`` is the share of right answers to
    each question; ``asked`` is None where nothing was asked.
    """

    model: str
    probe: Probe
    orders: Mapping[str, Order]
    plane: tuple[tuple[float, float], ...]
    bar: tuple[float, float] | None
    accuracy: Mapping[str, float]
    asked: Asked | None
    notes: tuple[str, ...]

    @property
    def layer(self) -> str:
        """The layer whose words are most a circle rather than a line."""
        return roundest(self.orders)

    @property
    def shape(self) -> Shape:
        """*circle* where any layer is one, else *line* where any is, else *neither*; p-values are over all layers."""
        found = {one.shape for one in self.orders.values()}
        return next((shape for shape in get_args(Shape) if shape in found), "neither")


def roundest(orders: Mapping[str, Order]) -> str:
    """The layer whose words are most a circle rather than a line."""
    return max(orders, key=lambda layer: orders[layer].above_line)
