"""The frozen types between the stages. Axis names mean the same everywhere: n points, d features, m bars, L layers.

Texts ──► Activations ──► PointCloud ──► Diagrams ──► Measurement ──► Profile
"""

import hashlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from todacomm.core.diagrams import Bars as Bars  # noqa: PLC0414
from todacomm.core.diagrams import Diagrams as Diagrams  # noqa: PLC0414
from todacomm.core.errors import InvalidTexts
from todacomm.core.inference_types import Number as Number  # noqa: PLC0414
from todacomm.core.point_cloud import Address as Address  # noqa: PLC0414
from todacomm.core.point_cloud import CloudFacts as CloudFacts  # noqa: PLC0414
from todacomm.core.point_cloud import PointCloud as PointCloud  # noqa: PLC0414
from todacomm.core.point_cloud import Points as Points  # noqa: PLC0414
from todacomm.core.point_cloud import is_block as is_block  # noqa: PLC0414
from todacomm.core.point_cloud import layer_key as layer_key  # noqa: PLC0414
from todacomm.core.profile import Expansion as Expansion  # noqa: PLC0414
from todacomm.core.profile import Growth as Growth  # noqa: PLC0414
from todacomm.core.profile import Measurement as Measurement  # noqa: PLC0414
from todacomm.core.profile import ModelCard as ModelCard  # noqa: PLC0414
from todacomm.core.profile import Profile as Profile  # noqa: PLC0414
from todacomm.core.value_types import ReadOnly, by_value

Distances = Float[np.ndarray, "n n"]
Mask = Bool[np.ndarray, "b t"]
LARGEST = sys.float_info.max
PLACE = "place in the corpus"  # a column of texts that were drawn from it
Column = tuple[float | str | None, ...]  # of a table, a value a text; None where one is missing


@dataclass(frozen=True, slots=True)
class Texts:
    """A dataset of texts, identified by its content.

    `run` takes one as ``texts=``; equal texts in equal order have one `sha256`, by which comparisons know that two
    profiles are of the same texts. ``Texts(["…", "…"])`` gives a list without a name.

    Attributes
    ----------
    name : str
        How figures and records call the dataset.
    items : tuple of str
        The texts, in order.
    groups : tuple of str, optional
        The article, author or document of each text. Intervals and tests then draw whole groups.
    columns : mapping of str to tuple
        What else is known of each text, a number, a string or None: the other columns of a file. `associations` holds
        them against the angle of a loop. They are no part of the identity of the texts.

    Raises
    ------
    InvalidTexts
        Where an item is not a string, holds half a surrogate pair, or has no group while others have one; where a
        column has not one value a text, or another than a number or a string.

    Examples
    --------
    >>> import todacomm as td
    >>> td.Texts("lines", ["To be", "or not", "to be"], groups=["Hamlet", "Hamlet", "Hamlet"])
    Texts(lines: 3 texts, groups: 1)

    """

    name: str
    items: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None
    columns: Mapping[str, Column] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            object.__setattr__(self, "items", self.name)
            object.__setattr__(self, "name", "texts")
        object.__setattr__(self, "items", strings_of(self.items, f"{self.name}: text"))
        object.__setattr__(self, "columns", ReadOnly({name: self._column(name) for name in self.columns}))
        if self.groups is None:
            return
        object.__setattr__(self, "groups", strings_of(self.groups, f"{self.name}: group"))
        if len(self.groups) != len(self.items):
            raise InvalidTexts(
                f"{self.name}: {len(self.items)} texts but {len(self.groups)} group labels; expected one each"
            )

    def __repr__(self) -> str:
        groups = "" if self.groups is None else f", groups: {len(set(self.groups))}"
        return f"Texts({self.name}: {len(self.items)} texts{groups})"

    def __len__(self) -> int:
        return len(self.items)

    @property
    def sha256(self) -> str:
        """The digest of the texts in their order (a NUL after each)."""
        return hashlib.sha256(b"".join(item.encode() + b"\0" for item in self.items)).hexdigest()

    def take(self, indices: Sequence[int]) -> "Texts":
        """The texts at ``indices``, in that order, with their groups."""
        groups = None if self.groups is None else tuple(self.groups[i] for i in indices)
        columns = {name: tuple(values[i] for i in indices) for name, values in self.columns.items()}
        return Texts(self.name, tuple(self.items[i] for i in indices), groups, columns)

    def _column(self, name: str) -> Column:
        """A column, checked."""
        values, where = self.columns[name], f"{self.name}: the column '{name}'"
        if len(values) != len(self):
            raise InvalidTexts(f"{where} has {len(values)} values for {len(self)} texts; expected one each")
        return tuple(value_of(value, where) for value in values)


def strings_of(items: Any, what: str) -> tuple[str, ...]:
    """Check that all items are strings; InvalidTexts names the first that is none."""
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise InvalidTexts(f"{what}s are {type(items).__name__}; expected a list of strings")
    found = tuple(items)
    for i, item in enumerate(found):
        if not isinstance(item, str):
            raise InvalidTexts(f"{what} {i} is {type(item).__name__}; expected a string")
        if not item.isascii() and re.search("[\ud800-\udfff]", item):
            raise InvalidTexts(f"{what} {i} holds half a surrogate pair, which is no character")
    return tuple(map(str, found))


def value_of(value: Any, where: str) -> float | str | None:
    """A value of a column: a finite number, a string, or None for what is missing."""
    if value is None or isinstance(value, str):
        return value and str(value).encode(errors="replace").decode()  # without halves of surrogate pairs
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, int | float | np.integer | np.floating):
        return float(value) if -LARGEST <= value <= LARGEST else None  # neither NaN nor infinity
    raise InvalidTexts(f"{where} holds {type(value).__name__}; expected numbers, strings and None")


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What a model read of each text: how many content tokens, and ``last``, the id of the last of them.

    ``occurrences`` is how often that token stands in all texts, ``losses`` the mean nats of the tokens that were
    predicted in each text, None where none was; None in all where no language metrics were asked for.
    """

    counts: tuple[int, ...]
    last: tuple[int, ...] | None
    occurrences: tuple[int, ...]
    losses: tuple[float | None, ...] | None

    def __len__(self) -> int:
        return len(self.counts)


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Activations:
    """The activations of a model on texts: one array a layer, one row a text.

    `activations` returns it and `measure` takes it. No later step needs torch. Layers that are called ``embedding``,
    ``layer_0`` … and ``final`` are sorted by depth, all others by name.

    Attributes
    ----------
    layers : mapping of str to (n, d) float32 arrays
        Layer name to points; n is the number of texts (or tokens), d the width of the layer.
    model : str
        The name of the model.
    texts : Texts
        What was read.
    pooling : str
        How the tokens of a text became one point: ``"mean"``, ``"last"``, ``"cls"``, ``"max"`` or ``"tokens"``.
    notes : mapping of str to Any
        What was noticed while the texts were read.
    tokens : TokenFacts, optional
        How many tokens of each text were read, which was the last, and the loss on it.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> texts = td.Texts(["one", "two", "three"])
    >>> td.Activations({"layer_0": np.eye(3, dtype=np.float32)}, "mine", texts, "mean")
    Activations(mine, texts, mean: 1 layers of 3 × 3)

    """

    layers: Mapping[str, Points]
    model: str
    texts: Texts
    pooling: str
    notes: Mapping[str, Any] = field(default_factory=dict)
    tokens: TokenFacts | None = None

    def __repr__(self) -> str:
        shape = next(iter(self.layers.values())).shape if self.layers else (0, 0)
        size = f"{len(self.layers)} layers of {shape[0]} × {shape[1]}"
        return f"Activations({self.model}, {self.texts.name}, {self.pooling}: {size})"

    def clouds(self) -> Iterator["PointCloud"]:
        """One cloud a layer, in the order of depth."""
        for layer in sorted(self.layers, key=layer_key):
            yield PointCloud(self.layers[layer], Address(self.model, self.texts.name, layer))
