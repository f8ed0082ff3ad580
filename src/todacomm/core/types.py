"""The frozen types between the stages. Axis names mean the same everywhere: n points, d features, m bars, L layers.

Texts ──► Activations ──► PointCloud ──► Diagrams ──► Measurement ──► Profile
"""

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float

from todacomm.core.addresses import Address as Address  # noqa: PLC0414  (for everybody, as the next four)
from todacomm.core.addresses import is_block as is_block  # noqa: PLC0414
from todacomm.core.addresses import layer_key as layer_key  # noqa: PLC0414
from todacomm.core.diagrams import Bars as Bars  # noqa: PLC0414
from todacomm.core.diagrams import Diagrams as Diagrams  # noqa: PLC0414
from todacomm.core.errors import InvalidInput, InvalidTexts, MissingExtra, UnknownName
from todacomm.core.inference_types import Claims
from todacomm.core.inference_types import Number as Number  # noqa: PLC0414
from todacomm.core.model_card import ModelCard as ModelCard  # noqa: PLC0414
from todacomm.core.point_cloud import CloudFacts as CloudFacts  # noqa: PLC0414
from todacomm.core.point_cloud import PointCloud as PointCloud  # noqa: PLC0414
from todacomm.core.point_cloud import Points as Points  # noqa: PLC0414
from todacomm.core.recipe import Recipe
from todacomm.core.value_types import ReadOnly, by_value

Distances = Float[np.ndarray, "n n"]
Mask = Bool[np.ndarray, "b t"]


@dataclass(frozen=True, slots=True)
class Texts:
    """A dataset of texts, identified by its content.

    `run` takes one as ``texts=``; equal texts in equal order have one `sha256`, by which later comparisons know that two
    profiles are of the same texts. ``Texts(["…", "…"])`` gives a list without a name.

    Attributes
    ----------
    name : str
        How figures and records call the dataset.
    items : tuple of str
        The texts, in order.
    groups : tuple of str, optional
        The article, author or document of each text. Intervals and tests then draw whole groups.

    Raises
    ------
    InvalidTexts
        Where an item is not a string, holds half a surrogate pair, or has no group while others have one.

    Examples
    --------
    >>> import todacomm as td
    >>> td.Texts("lines", ["To be", "or not", "to be"], groups=["Hamlet", "Hamlet", "Hamlet"])
    Texts(lines: 3 texts, groups: 1)

    """

    name: str
    items: tuple[str, ...] = ()
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            object.__setattr__(self, "items", self.name)
            object.__setattr__(self, "name", "texts")
        object.__setattr__(self, "items", strings_of(self.items, f"{self.name}: text"))
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
        return Texts(self.name, tuple(self.items[i] for i in indices), groups)


def strings_of(items: Any, what: str) -> tuple[str, ...]:
    """The strings of a list, or InvalidTexts that says which of them is none."""
    if isinstance(items, str | bytes) or not isinstance(items, Iterable):
        raise InvalidTexts(f"{what}s are {type(items).__name__}; expected a list of strings")
    found = tuple(items)
    for i, item in enumerate(found):
        if not isinstance(item, str):
            raise InvalidTexts(f"{what} {i} is {type(item).__name__}; expected a string")
        if not item.isascii() and re.search("[\ud800-\udfff]", item):
            raise InvalidTexts(f"{what} {i} holds half a surrogate pair, which is no character")
    return tuple(map(str, found))


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

    def __repr__(self) -> str:
        shape = next(iter(self.layers.values())).shape if self.layers else (0, 0)
        return f"Activations({self.model}, {self.texts.name}, {self.pooling}: {len(self.layers)} layers of {shape[0]} × {shape[1]})"

    def clouds(self) -> Iterator["PointCloud"]:
        """One cloud a layer, in the order of depth."""
        for layer in sorted(self.layers, key=layer_key):
            yield PointCloud(self.layers[layer], Address(self.model, self.texts.name, layer))


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """One cloud and all that was measured of it; a `Profile` holds one for each layer or step.

    Attributes
    ----------
    address : Address
        Where the cloud comes from.
    recipe : Recipe
        How it was prepared and measured.
    facts : CloudFacts
        Diagnostics of the cloud: number of points, of distinct points, median distance (``scale``), variance kept.
    diagrams : Diagrams
        Births and deaths, in the unit of the cloud.
    summary : mapping of str to float or None
        Metric name such as ``"H1_max_lifetime"`` to its value; None where it is undefined. A name that ends in ``_scaled`` is
        the same number divided by the median distance.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> square = np.array([(0, 0), (0, 1), (1, 1), (1, 0)])
    >>> td.measure(square, resamples=0, null_draws=0).at("array").summary["H1_count"]
    1.0

    """

    address: Address
    recipe: Recipe
    facts: CloudFacts
    diagrams: Diagrams
    summary: Mapping[str, Number]

    def __post_init__(self) -> None:
        object.__setattr__(self, "summary", ReadOnly(self.summary))

    def __repr__(self) -> str:
        return f"Measurement({self.address}: {self.facts.points} points; {self.diagrams!r})"


@dataclass(frozen=True, slots=True)
class Growth:
    """H0 total persistence of ``peak`` over that of ``baseline`` and its exact factors: ratio = scale × shape.

    ``scale`` is the ratio of the median pairwise distances, ``shape`` that of H0 total / scale, on ``points`` texts.
    """

    baseline: str
    peak: str
    points: int
    ratio: float
    scale: float
    shape: float


@dataclass(frozen=True, slots=True)
class Expansion:
    """How much larger the largest block is than one baseline layer, and whether scale or shape grew.

    The H0 ratio (H0 total persistence of the peak over that of the baseline) is the product of the scale ratio (of the
    median pairwise distances) and the shape ratio (of H0 total persistence / median distance).

    Attributes
    ----------
    baseline : str
        The layer that others are divided by.
    growth : Growth or None
        ``ratio``, ``scale`` and ``shape`` from the baseline to the block with the largest H0 total persistence, named
        ``peak``. None where the baseline is degenerate.
    largest_shape : Growth or None
        The same to the block with the largest shape ratio.
    matched : Growth or None
        The growth on one text for each distinct baseline point, where the baseline holds duplicates.
    reason : str
        Why there is no growth; empty otherwise.
    doubt : str
        Why no conclusion should rest on the number; empty otherwise.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> cloud = np.random.default_rng(0).normal(size=(30, 5))
    >>> layers = {"embedding": cloud, "layer_0": 3 * cloud}
    >>> round(td.measure(layers, resamples=0, null_draws=0).expansions[0].growth.ratio, 3)
    3.0

    """

    baseline: str
    growth: Growth | None
    largest_shape: Growth | None
    matched: Growth | None
    reason: str = ""
    doubt: str = ""


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Measurements along the layers of a model, or along the steps of a training run.

    ``profile["H0_total_persistence"]`` is an array along the layers, NaN where a number is undefined; `names` lists all that
    it accepts. `to_frame` gives a table, `at` one layer, `compare` sets several profiles side by side.

    Attributes
    ----------
    measurements : tuple of Measurement
        One a layer or step, sorted by depth or step.
    along : {"layer", "step"}
        What the measurements follow.
    expansions : tuple of Expansion
        Growth of H0 against the embedding, and against the first reliable layer.
    language : mapping of str to Any, optional
        Loss, perplexity and bits per byte on the same texts.
    notes : tuple of str
        What a reader of the numbers must know.
    card : ModelCard, optional
        Architecture, size, revision and digest of the model.
    texts_sha256 : str
        Digest of the texts.
    claims : Claims, optional
        Confidence intervals and null tests, where they were asked for.

    Raises
    ------
    InvalidInput
        Without a measurement.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> angle = 2 * np.pi * np.arange(24) / 24
    >>> profile = td.measure({"ring": np.c_[np.cos(angle), np.sin(angle)]}, resamples=0, null_draws=0)
    >>> profile["H1_count"]
    array([1.])
    >>> profile.layers
    ('ring',)

    """

    measurements: tuple[Measurement, ...]
    along: Literal["layer", "step"] = "layer"
    expansions: tuple[Expansion, ...] = ()
    language: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    card: ModelCard | None = None
    texts_sha256: str = ""
    claims: Claims | None = None

    def __post_init__(self) -> None:
        if not self.measurements:
            raise InvalidInput("a profile needs at least one measurement; none was given")
        object.__setattr__(self, "measurements", tuple(sorted(self.measurements, key=lambda m: m.address)))

    def __repr__(self) -> str:
        return f"Profile({self.model} on {self.data}: {len(self.measurements)} {self.along}s, {self.layers[0]} … {self.layers[-1]})"

    @property
    def addresses(self) -> tuple[Address, ...]:
        return tuple(m.address for m in self.measurements)

    @property
    def model(self) -> str:
        return self.measurements[0].address.model

    @property
    def data(self) -> str:
        return self.measurements[0].address.data

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(m.address.layer for m in self.measurements)

    @property
    def recipe(self) -> Recipe:
        return self.measurements[0].recipe

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that ``profile[name]`` takes: the metrics, then the facts of the clouds."""
        return (*self.measurements[0].summary, *(f.name for f in fields(CloudFacts)))

    def __getitem__(self, name: str) -> Float[np.ndarray, " L"]:
        if name not in self.names:
            raise UnknownName("metric", name, self.names)
        if name in self.measurements[0].summary:
            found = [m.summary[name] for m in self.measurements]
        else:
            found = [getattr(m.facts, name) for m in self.measurements]
        return np.array([math.nan if x is None else x for x in found], dtype=np.float64)

    def at(self, layer: str) -> Measurement:
        """The measurement of one layer."""
        for measurement in self.measurements:
            if measurement.address.layer == layer:
                return measurement
        raise UnknownName("layer", layer, self.layers)

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat row a layer, ready for a table or a CSV file."""
        for m in self.measurements:
            yield {**asdict(m.address), **m.summary, **asdict(m.facts), "doubt": m.facts.doubtful}

    def to_frame(self) -> Any:
        """The rows as a pandas DataFrame indexed by layer; needs pandas, which the ``models`` extra brings."""
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MissingExtra("pandas", "models", "Profile.to_frame()") from None
        return pd.DataFrame(list(self.rows())).set_index("layer")
