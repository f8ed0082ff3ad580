"""Numbers of every layer of a model at every step of its training: one array of steps × layers for each number."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

import numpy as np
from jaxtyping import Float64

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.types import CloudFacts, Number, Profile, layer_key
from todacomm.core.value_types import ReadOnly, by_value, read_only

Ends = tuple[Number, Number]
LANGUAGE = ("loss", "masked_loss", "perplexity", "pseudo_perplexity", "bits_per_byte", "accuracy")
FACTS = tuple(f.name for f in fields(CloudFacts))


@dataclass(frozen=True, slots=True, eq=False)
class Moment:
    """What is known of a model at one step: the row from which `Trajectory.from_moments` builds its arrays.

    ``numbers``, ``intervals`` and ``p_values`` are by layer, then by name; ``of_model`` belongs to no layer, such as a
    loss. ``complaints`` say what could not be measured, ``label`` how figures call the step.
    """

    step: int
    numbers: Mapping[str, Mapping[str, Number]]
    intervals: Mapping[str, Mapping[str, Ends]] = field(default_factory=dict)
    p_values: Mapping[str, Mapping[str, Number]] = field(default_factory=dict)
    of_model: Mapping[str, Number] = field(default_factory=dict)
    complaints: tuple[str, ...] = ()
    label: str = ""


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Trajectory:
    """Numbers of each layer at each step of a training run, with intervals and p-values where they are known.

    ``trajectory["H0_total_persistence_scaled"]`` is an array of T steps × L layers, NaN where a number is undefined.
    The checkpoints of a language model, a training loop that is watched and the fine-tunes of one base give one each;
    figures and onsets are made from it alone.

    Attributes
    ----------
    name : str
        How figures and sentences call the run.
    steps : tuple of int
        T optimiser steps, ascending; for models without an order, such as fine-tunes, their positions.
    layers : tuple of str
        L layers, by depth.
    numbers : mapping of str to (T, L) float64 array
        Metrics and cloud diagnostics, in the units of a `Measurement`; NaN where undefined.
    intervals : mapping of str to (T, L, 2) float64 array
        Low and high end of the confidence interval of a number; NaN where there is none.
    p_values : mapping of str to (T, L) float64 array
        By null model and statistic, as ``"gaussian/H1_loop"``: family-wise over the layers of one step.
    of_model : mapping of str to (T,) float64 array
        What belongs to no layer: ``"loss"`` in nats a token, ``"bits_per_byte"``.
    complaints : mapping of int to tuple of str
        Step to what could not be measured there, or deserves doubt, and why.
    labels : tuple of str
        How figures call each step; the steps themselves by default.

    Raises
    ------
    InvalidInput
        Without a step or a layer, for steps that do not ascend, and for arrays of another shape.
    UnknownName
        From ``trajectory[name]``, `at` and `interval` for a number or a layer that is not there.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> clouds = np.random.default_rng(0).normal(size=(3, 30, 4))
    >>> profiles = [td.measure({"layer_0": cloud}, resamples=0, null_draws=0) for cloud in clouds]
    >>> trajectory = td.Trajectory.from_profiles("mine", dict(zip((0, 100, 200), profiles)))
    >>> trajectory
    Trajectory(mine: 3 steps, 0 … 200; 1 layers)
    >>> trajectory.at("H1_count", "layer_0").shape
    (3,)

    """

    name: str
    steps: tuple[int, ...]
    layers: tuple[str, ...]
    numbers: Mapping[str, Float64[np.ndarray, "T L"]]
    intervals: Mapping[str, Float64[np.ndarray, "T L 2"]] = field(default_factory=dict)
    p_values: Mapping[str, Float64[np.ndarray, "T L"]] = field(default_factory=dict)
    of_model: Mapping[str, Float64[np.ndarray, " T"]] = field(default_factory=dict)
    complaints: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    labels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.steps or not self.layers:
            raise InvalidInput(f"{self.name}: a trajectory needs at least one step and one layer; one of them is empty")
        if any(a >= b for a, b in zip(self.steps, self.steps[1:], strict=False)):
            raise InvalidInput(f"{self.name}: steps {listed(self.steps)}; expected each once, in ascending order")
        object.__setattr__(self, "labels", self.labels or tuple(map(str, self.steps)))
        if len(self.labels) != len(self.steps):
            raise InvalidInput(f"{self.name}: {len(self.labels)} labels of {len(self.steps)} steps; expected one each")
        grid = (len(self.steps), len(self.layers))
        for what, shape in (("numbers", grid), ("intervals", (*grid, 2)), ("p_values", grid), ("of_model", grid[:1])):
            object.__setattr__(self, what, self._checked(what, shape))
        object.__setattr__(self, "complaints", dict(self.complaints))

    def _checked(self, what: str, shape: tuple[int, ...]) -> ReadOnly:
        """Arrays of one kind, read-only. Raises InvalidInput for another shape."""
        found = {name: np.asarray(array, dtype=np.float64) for name, array in getattr(self, what).items()}
        for name, array in found.items():
            if array.shape != shape:
                raise InvalidInput(f"{self.name}: {what} '{name}' of shape {array.shape}; expected {shape}")
        return ReadOnly({name: read_only(array) for name, array in found.items()})

    def __repr__(self) -> str:
        span = f"{self.labels[0]} … {self.labels[-1]}"
        return f"Trajectory({self.name}: {len(self.steps)} steps, {span}; {len(self.layers)} layers)"

    def __len__(self) -> int:
        return len(self.steps)

    def __contains__(self, name: str) -> bool:
        return name in self.numbers

    def __getitem__(self, name: str) -> Float64[np.ndarray, "T L"]:
        return picked(self.numbers, "number of this trajectory", name)

    def at(self, name: str, layer: str) -> Float64[np.ndarray, " T"]:
        """One number of one layer along the steps."""
        return np.asarray(self[name][:, self.place(layer)])

    def interval(self, name: str, layer: str) -> Float64[np.ndarray, "T 2"]:
        """The ends of the interval of one number of one layer along the steps; NaN where there is none."""
        known = self.intervals.get(name)
        if known is None:
            return np.full((*self[name].shape[:1], 2), np.nan)
        return np.asarray(known[:, self.place(layer)])

    def place(self, layer: str) -> int:
        """The column of a layer."""
        if layer not in self.layers:
            raise UnknownName("layer", layer, self.layers)
        return self.layers.index(layer)

    @classmethod
    def from_moments(cls, name: str, moments: Iterable[Moment]) -> "Trajectory":
        """Build the arrays from what is known at each step; a layer that a step lacks is NaN there."""
        rows = sorted(moments, key=lambda moment: moment.step)
        layers = tuple(sorted({layer for row in rows for layer in row.numbers}, key=layer_key))
        return cls(
            name,
            tuple(row.step for row in rows),
            layers,
            gridded([row.numbers for row in rows], layers),
            gridded_ends([row.intervals for row in rows], layers),
            gridded([row.p_values for row in rows], layers),
            along_steps([row.of_model for row in rows]),
            {row.step: row.complaints for row in rows if row.complaints},
            tuple(row.label or str(row.step) for row in rows),
        )

    @classmethod
    def from_profiles(
        cls, name: str, profiles: Mapping[int, Profile], labels: Mapping[int, str] | None = None
    ) -> "Trajectory":
        """Build a trajectory from the profile of each step; ``labels`` are names of steps."""
        shown = labels or {}
        return cls.from_moments(name, [moment_of(step, one, shown.get(step, "")) for step, one in profiles.items()])


def moment_of(step: int, profile: Profile, label: str = "") -> Moment:
    """What a profile says of one step: metrics, cloud diagnostics, intervals, p-values, loss, and flagged layers."""
    flagged = {m.address.layer: m.facts.doubtful for m in profile.measurements if m.facts.doubtful}
    return Moment(
        step,
        {m.address.layer: {**m.summary, **facts_of(m.facts)} for m in profile.measurements},
        intervals_of(profile),
        p_values_of(profile),
        {key: value for key in LANGUAGE if (value := (profile.language or {}).get(key)) is not None},
        tuple(f"{layer}: {doubt}" for layer, doubt in flagged.items()),
        label,
    )


def facts_of(facts: CloudFacts) -> dict[str, Number]:
    """The cloud diagnostics of a layer as numbers; ``doubtful`` is 1 for a flagged layer, else 0."""
    return {**{name: getattr(facts, name) for name in FACTS}, "doubtful": float(bool(facts.doubtful))}


def intervals_of(profile: Profile) -> dict[str, dict[str, Ends]]:
    """The ends of the intervals of a profile, by layer and number."""
    found = profile.claims.intervals if profile.claims else {}
    return {layer: {name: (one.low, one.high) for name, one in rows.items()} for layer, rows in found.items()}


def p_values_of(profile: Profile) -> dict[str, dict[str, Number]]:
    """The p-values of a profile by layer, as ``null/statistic``: family-wise over its layers."""
    tests = profile.claims.tests if profile.claims else {}
    return {
        layer: {
            f"{null}/{name}": one.family_wise
            for null, layers in tests.items()
            for name, one in layers.get(layer, {}).items()
        }
        for layer in profile.layers
    }


def gridded(rows: list[Mapping[str, Mapping[str, Number]]], layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """An array of steps × layers for each name, NaN where a row lacks it."""
    names = dict.fromkeys(name for row in rows for numbers in row.values() for name in numbers)
    return {
        name: np.array([[number(row.get(layer, {}).get(name)) for layer in layers] for row in rows], dtype=np.float64)
        for name in names
    }


def gridded_ends(rows: list[Mapping[str, Mapping[str, Ends]]], layers: tuple[str, ...]) -> dict[str, np.ndarray]:
    """An array of steps × layers × low and high for each name, NaN where a row lacks it."""
    lows, highs = (
        gridded([{layer: {k: v[end] for k, v in of.items()} for layer, of in row.items()} for row in rows], layers)
        for end in (0, 1)
    )
    return {name: np.stack([lows[name], highs[name]], axis=-1) for name in lows}


def along_steps(rows: list[Mapping[str, Number]]) -> dict[str, np.ndarray]:
    """An array along the steps for each name, NaN where a row lacks it."""
    names = dict.fromkeys(name for row in rows for name in row)
    return {name: np.array([number(row.get(name)) for row in rows], dtype=np.float64) for name in names}


def number(value: Number) -> float:
    """The number; NaN for None."""
    return math.nan if value is None else float(value)


def picked(found: Mapping[str, np.ndarray], kind: str, name: str) -> np.ndarray:
    """Look up an array. Raises UnknownName, which lists what there is."""
    if name not in found:
        raise UnknownName(kind, name, found)
    return found[name]


def listed(steps: tuple[int, ...]) -> str:
    """Name the first steps in a sentence."""
    return ", ".join(map(str, steps[:6])) + (" …" if len(steps) > 6 else "")
