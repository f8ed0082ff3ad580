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
from jaxtyping import Bool, Float, Int

from todacomm.core.addresses import Address as Address  # noqa: PLC0414  (for everybody, as the next four)
from todacomm.core.addresses import is_block as is_block  # noqa: PLC0414
from todacomm.core.addresses import layer_key as layer_key  # noqa: PLC0414
from todacomm.core.array_input import NUMBERS, array_of
from todacomm.core.cloud_facts import CloudFacts as CloudFacts  # noqa: PLC0414
from todacomm.core.errors import InvalidCloud, InvalidInput, InvalidTexts, MissingExtra, UnknownName
from todacomm.core.inference_types import Claims
from todacomm.core.inference_types import Number as Number  # noqa: PLC0414
from todacomm.core.model_card import ModelCard as ModelCard  # noqa: PLC0414
from todacomm.core.recipe import FEWEST_POINTS, Recipe
from todacomm.core.value_types import ReadOnly, by_value, read_only

Points = Float[np.ndarray, "n d"]
Distances = Float[np.ndarray, "n n"]
Bars = Float[np.ndarray, "m 2"]
Mask = Bool[np.ndarray, "b t"]


@dataclass(frozen=True, slots=True)
class Texts:
    """A dataset, identified by its content; ``groups`` says which article each text is from, where that is known.

    ``Texts("poems", ["…", "…"])``, or a list alone: ``Texts(["…", "…"])``.
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
    """Layer to (n, d) float32, as they leave the network; nothing later imports torch."""

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
class PointCloud:
    """n points in d dimensions with an address; validated here once, read-only from here on.

    The view is read-only; the caller's array stays writable. float32 stays, narrower floats become it, all else float64.
    """

    points: Points
    address: Address

    def __post_init__(self) -> None:
        try:
            array = array_of(self.points)
        except InvalidInput as problem:
            raise InvalidCloud(f"{self.address}: {problem}") from problem
        if array.ndim != 2 or array.dtype.kind not in NUMBERS:
            raise InvalidCloud(
                f"{self.address}: expected numbers of shape (n points, d features), "
                f"found shape {array.shape} of type {array.dtype}"
            )
        if len(array) < FEWEST_POINTS or array.shape[1] < 1:
            raise InvalidCloud(
                f"{self.address}: {array.shape[0]} points in {array.shape[1]} dimensions; "
                f"a point cloud needs at least {FEWEST_POINTS} points and 1 dimension"
            )
        broken = int((~np.isfinite(array)).any(axis=1).sum())
        if broken:
            raise InvalidCloud(
                f"{self.address}: {broken} of {len(array)} points hold NaN or infinity; "
                "remove these rows, or find where they come from: a model in half precision overflows"
            )
        object.__setattr__(self, "points", read_only(array))

    def __len__(self) -> int:
        return len(self.points)

    def __repr__(self) -> str:
        return f"PointCloud({self.address}: {len(self.points)} points in {self.points.shape[1]} dimensions)"


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Diagrams:
    """Persistence diagrams over Z/2, in the diameter convention: births and deaths are distances between points.

    ``finite[k]`` holds the bars of dimension k, sorted by birth and death, without those of length zero; ``essential[k]``
    the births of the classes that never die. They stay apart, so that nobody invents a death.
    """

    finite: tuple[Float[np.ndarray, "_ 2"], ...]
    essential: tuple[Float[np.ndarray, " _"], ...]

    def __post_init__(self) -> None:
        for name in ("finite", "essential"):
            object.__setattr__(self, name, tuple(read_only(array) for array in getattr(self, name)))

    @classmethod
    def from_arrays(cls, arrays: Sequence[np.ndarray]) -> "Diagrams":
        """Split (m, 2) arrays, one a dimension, deaths of infinity marking the essential classes."""
        finite, essential = zip(*(parted(np.asarray(a, dtype=np.float64).reshape(-1, 2)) for a in arrays), strict=True)
        return cls(finite, essential)

    def __repr__(self) -> str:
        counts = (
            f"H{k}: {len(a)} finite, {len(e)} essential"
            for k, (a, e) in enumerate(zip(self.finite, self.essential, strict=True))
        )
        return f"Diagrams({'; '.join(counts)})"

    @property
    def maxdim(self) -> int:
        return len(self.finite) - 1

    def scaled(self, factor: float) -> "Diagrams":
        """The diagrams of the cloud with every distance multiplied by ``factor``."""
        return Diagrams(tuple(a * factor for a in self.finite), tuple(a * factor for a in self.essential))


def parted(bars: Float[np.ndarray, "m 2"]) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, " e"]]:
    """The bars of positive length that die, by birth and death, and the births of those that never do, ascending."""
    births, deaths = bars.T
    die = np.isfinite(deaths)
    finite = bars[die & (deaths > births)]
    return finite[by_birth_and_death(finite)], np.sort(births[~die])


def by_birth_and_death(bars: Float[np.ndarray, "m 2"]) -> Int[np.ndarray, " m"]:
    """The order of bars by birth and death; of bars that come by birth only those of one birth are sorted."""
    births, deaths = bars.T
    found, same = np.arange(len(bars)), births[1:] == births[:-1]
    if ((births[1:] > births[:-1]) | (same & (deaths[1:] >= deaths[:-1]))).all():
        return found
    if (births[1:] < births[:-1]).any():
        return np.lexsort((deaths, births))
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    found[tied] = tied[np.lexsort((deaths[tied], births[tied]))]
    return found


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Measurement:
    """One cloud measured: the atom that is stored. ``summary`` maps names such as ``H1_total_persistence`` to numbers."""

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
    """The expansion of a profile against one baseline.

    ``growth`` is None when the baseline is degenerate, then ``reason`` says why; a ``doubt`` marks a number that must not
    carry a sentence. ``largest_shape`` is the growth to the block with the most H0 total / scale. ``matched`` is the
    growth on one text for each distinct baseline point, the same texts in both layers, where the two differ.
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
    """Measurements along the layers of a model (or, later, the steps of a training run): one type for both.

    ``profile["H0_total_persistence"]`` is an array along the layers, NaN where a number is undefined. ``language`` holds
    loss, perplexity and the like of the same texts, ``notes`` what a reader of the numbers must know, ``card`` the model
    where there is one, ``texts_sha256`` the digest of the texts, ``claims`` the intervals and nulls where they were asked for.
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
