"""Where a point cloud comes from, and the order of layers along the depth of a model."""

import re
from dataclasses import dataclass
from functools import total_ordering


def layer_key(layer: str) -> tuple[int, int, str]:
    """The sort key along the depth of a model: embedding, layer_0 … layer_{L-1}, final, then anything else."""
    if number := re.fullmatch(r"layer_(\d+)", layer):
        return (1, int(number[1]), layer)
    return ({"embedding": 0, "final": 2}.get(layer, 3), 0, layer)


def is_block(layer: str) -> bool:
    """Whether the layer is the output of a block (``layer_i``), not the embedding and not the final norm."""
    return layer_key(layer)[0] == 1


@total_ordering
@dataclass(frozen=True, slots=True)
class Address:
    """Where a point cloud comes from: model, data, layer and, in a training run, step.

    It prints as a path and sorts by model, data, step and depth: ``embedding``, ``layer_0``, ``layer_1`` …, ``final``.

    Attributes
    ----------
    model, data, layer : str
        Names of the model, the dataset and the layer.
    step : int, optional
        Training step; None for a model that is not in training.

    Examples
    --------
    >>> import todacomm as td
    >>> str(td.Address("gpt2", "wikitext2", "layer_3"))
    'gpt2/wikitext2/layer_3'
    >>> sorted([td.Address("m", "t", "layer_10"), td.Address("m", "t", "layer_9")])[0].layer
    'layer_9'

    """

    model: str
    data: str
    layer: str
    step: int | None = None

    def __str__(self) -> str:
        parts = [self.model, self.data, self.layer]
        return "/".join(parts if self.step is None else [*parts, f"step_{self.step}"])

    def __lt__(self, other: "Address") -> bool:
        return self._key() < other._key()

    def _key(self) -> tuple[str, str, int, tuple[int, int, str]]:
        return (self.model, self.data, -1 if self.step is None else self.step, layer_key(self.layer))
