"""What a probe has found out about a model."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from todacomm.circles.causal_test import Turned, Verdict
from todacomm.circles.order import Order, Shape
from todacomm.circles.probes import Probe, Question


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
    """A model under a probe: how its words lie at each layer, and whether its answers turn with them.

    `todacomm.probe` and ``todacomm probe`` give one; `todacomm.load` reads it back.

    Attributes
    ----------
    model : str
        Its name.
    probe : Probe
        The words, sentences and questions.
    orders : mapping of str to Order
        Layer → correlations with a circle and a line, p-values over all layers, wrap index.
    plane : tuple of pairs of float
        Each word on the two directions of its order at `layer`, in the units of the states.
    bar : pair of float or None
        Birth and death of the longest H1 bar of the words there.
    accuracy : mapping of str to float
        The share of right answers to each question.
    asked : Asked or None
        What came of turning the circle under the question that is answered best.
    notes : tuple of str
        What a reader must know of how the words were read.

    Examples
    --------
    >>> import todacomm as td
    >>> td.probe("tiny-preln-decoder", "nouns", draws=99).asked is None
    True

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
