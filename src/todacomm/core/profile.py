"""What was measured: one cloud, and all clouds along the layers of a model or the steps of a training run."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Literal, TypeVar

import numpy as np
from jaxtyping import Float

from todacomm.core.diagrams import Diagrams
from todacomm.core.errors import InvalidInput, MissingExtra, UnknownName
from todacomm.core.inference_types import Claims, Interval, NullTest, Number
from todacomm.core.point_cloud import Address, CloudFacts
from todacomm.core.recipe import Recipe
from todacomm.core.value_types import Missing, ReadOnly, by_value

T = TypeVar("T")


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
        Metric name such as ``"H1_max_lifetime"`` to its value; None where it is undefined. ``…_scaled`` is the same
        divided by the median distance.
    H1_max_lifetime_Z3 : float or None
        ``summary["H1_max_lifetime"]`` over Z/3 in place of Z/2. None without H1 or numba, in older records, and for
        hidden states of a network in training whose embedding has it.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> square = np.array([(0, 0), (0, 1), (1, 1), (1, 0)])
    >>> td.measure(square, resamples=0, null_draws=0).at("cloud").summary["H1_count"]
    1.0

    """

    address: Address
    recipe: Recipe
    facts: CloudFacts
    diagrams: Diagrams
    summary: Mapping[str, Number]
    H1_max_lifetime_Z3: Number = None

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

    @property
    def carries_conclusion(self) -> bool:
        """Whether there is a growth, and no doubt about it."""
        return self.growth is not None and not self.doubt


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What a model is, read from the model itself: ``kind`` is causal (no token sees those after it) or masked (each
    token sees all), ``norm_place`` pre-LN (a norm reads the stream before a sublayer), post-LN (after it), or other
    (only what a sublayer adds is normalised). ``probe`` is how it read a short text when it was loaded: whether it is
    causal, which texts may share a batch, and the changes that say so. ``adapter`` was merged into the weights;
    ``tokenizer_from`` is set where it is not the model's own.
    """

    name: str
    kind: Literal["causal", "masked"]
    norm_place: Literal["pre-LN", "post-LN", "other"]
    parameters: int
    blocks: int
    width: int
    revision: str
    weights_sha256: str
    adapter: str = ""
    tokenizer_from: str = ""
    probe: Mapping[str, Any] = field(default_factory=dict, hash=False)


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Profile:
    """Measurements along the layers of a model, or along the steps of a training run.

    ``profile["H0_total_persistence"]`` is an array along the layers, NaN where a number is undefined; `names` lists
    all names. `to_frame` gives a table, `at` one layer, `compare` sets several profiles side by side.

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
        span = f"{self.layers[0]} … {self.layers[-1]}"
        return f"Profile({self.model} on {self.data}: {len(self.measurements)} {self.along}s, {span})"

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
        """Every name that ``profile[name]`` takes: metrics, then cloud diagnostics."""
        return (*self.measurements[0].summary, *(f.name for f in fields(CloudFacts)))

    def __getitem__(self, name: str) -> Float[np.ndarray, " L"]:
        if name not in self.names:
            raise UnknownName("metric", name, self.names, hint=self._tested(name))
        if name in self.measurements[0].summary:
            found = [m.summary[name] for m in self.measurements]
        else:
            found = [getattr(m.facts, name) for m in self.measurements]
        return np.array([math.nan if x is None else x for x in found], dtype=np.float64)

    def _tested(self, name: str) -> str:
        """Say where a test is found; empty for a name that is none."""
        tests = self.claims.tests if self.claims else {}
        known = {test for layers in tests.values() for of in layers.values() for test in of}
        return f"It is a test: profile.test('{name}', layer='{self.layers[0]}')." if name in known else ""

    def at(self, layer: str) -> Measurement:
        """The measurement of one layer."""
        for measurement in self.measurements:
            if measurement.address.layer == layer:
                return measurement
        raise UnknownName("layer", layer, self.layers)

    def expansion(self, baseline: str | None = None) -> Expansion:
        """Return the expansion against a baseline; by default the first reliable one, else the first.

        Raises UnknownName for another baseline, InvalidInput for a profile without expansions.
        """
        if not self.expansions:
            raise InvalidInput(f"{self.model}: no expansion, which takes layers called layer_0, layer_1 …")
        if baseline is None:
            return next((e for e in self.expansions if e.carries_conclusion), self.expansions[0])
        found = {e.baseline: e for e in reversed(self.expansions)}
        if baseline not in found:
            raise UnknownName("baseline", baseline, found)
        return found[baseline]

    def test(self, name: str, *, layer: str, null: str = "gaussian") -> NullTest:
        """Return the test of one number of one layer against a null model.

        Raises InvalidInput for a profile without tests, UnknownName for a null, layer or number that was not tested.
        """
        tests = self._asked().tests
        if null not in tests:
            raise UnknownName("null model", null, tests)
        return _picked(tests[null], layer, name)

    def interval(self, name: str, *, layer: str) -> Interval | Missing:
        """Return the confidence interval of one number of one layer, or why it has none; raises as `test` does."""
        claims = self._asked()
        if layer in claims.missing:
            return Missing(claims.missing[layer])
        return _picked(claims.intervals, layer, name)

    def _asked(self) -> Claims:
        if self.claims is None:
            raise InvalidInput(
                f"{self.model}: neither intervals nor null tests were asked for; measure again with both"
            )
        return self.claims

    def rows(self) -> Iterator[dict[str, Any]]:
        """One flat row a layer, for tables and CSV."""
        for m in self.measurements:
            yield {**asdict(m.address), **m.summary, **asdict(m.facts), "doubt": m.facts.doubtful}

    def claimed_rows(self) -> Iterator[dict[str, Any]]:
        """One row a layer and number: its value, its interval, and its test against each null model."""
        tests = self.claims.tests if self.claims else {}
        for m in self.measurements:
            layer = m.address.layer
            intervals = self.claims.intervals.get(layer, {}) if self.claims else {}
            of_layer = {null: of.get(layer, {}) for null, of in tests.items()}
            for name in dict.fromkeys((*m.summary, *(name for of in of_layer.values() for name in of))):
                one = intervals.get(name)
                yield {
                    **asdict(m.address),
                    "number": name,
                    "value": m.summary.get(name),
                    "low": one and one.low,
                    "high": one and one.high,
                    **{key: found for null, of in of_layer.items() for key, found in _columns(null, of.get(name))},
                    "doubt": m.facts.doubtful,
                }

    def to_frame(self, *, tidy: bool = False) -> Any:
        """Return a pandas DataFrame of a row a layer or, ``tidy``, of a row a layer and number with what is claimed.

        A tidy one has ``low`` and ``high`` of the interval, and for each null model ``NULL_mean``, ``NULL_p``,
        ``NULL_p_adjusted``, ``NULL_p_family`` and ``NULL_found``. Needs the ``models`` extra.
        """
        try:
            import pandas as pd
        except ModuleNotFoundError:
            raise MissingExtra("pandas", "models", "Profile.to_frame()") from None
        return pd.DataFrame(list(self.claimed_rows())) if tidy else pd.DataFrame(list(self.rows())).set_index("layer")


OF_A_TEST = {"mean": "mean", "p": "p", "p_adjusted": "adjusted", "p_family": "family_wise", "found": "found"}


def _columns(null: str, test: NullTest | None) -> Iterator[tuple[str, Any]]:
    """Yield what a tidy table has of a test against one null model."""
    for column, name in OF_A_TEST.items():
        yield f"{null}_{column}", getattr(test, name) if test else None


def _picked(found: Mapping[str, Mapping[str, T]], layer: str, name: str) -> T:
    """Look up one number of one layer; UnknownName lists what there is."""
    if layer not in found:
        raise UnknownName("layer", layer, found)
    if name not in found[layer]:
        raise UnknownName("number", name, found[layer])
    return found[layer][name]
