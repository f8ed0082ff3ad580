"""Measure a network at one step of its training: Checkpoint → Observation."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from todacomm.clouds.intrinsic_dimension import local_dimension, two_nn
from todacomm.clouds.prepare import prepare
from todacomm.core.errors import InvalidCloud, UnknownName
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, Measurement, Number, PointCloud, Profile
from todacomm.core.value_types import by_value
from todacomm.homology.engines import cross_check
from todacomm.homology.metrics import max_lifetime
from todacomm.homology.rips import rips
from todacomm.profiles.measure import measure_prepared
from todacomm.training.fourier import (
    PairTask,
    coefficients,
    dominant,
    gini,
    participation_ratio,
    plane,
    progress,
    shares,
    top_share,
)

SPHERE = Recipe(scale="sphere", components=None)  # rows centred, then projected on the unit sphere: arXiv:2605.06352
RAW = Recipe(components=None)  # rows centred; the summary has every length over the median distance too
VIEWS = {"sphere": SPHERE, "raw": RAW}
PLANES = 5
CENTRES = 64  # neighbourhoods whose dimension is measured
KEPT = ("H0_total_persistence", "H0_max_lifetime", "H1_count", "H1_total_persistence", "H1_max_lifetime")
OVER_Z3 = "H1_max_lifetime_Z3"


@runtime_checkable
class CheckpointLike(Protocol):
    """What `watch` needs of a checkpoint; `todacomm.grokking.Checkpoint` is one."""

    @property
    def step(self) -> int: ...

    @property
    def train_loss(self) -> float: ...

    @property
    def train_accuracy(self) -> float: ...

    @property
    def test_loss(self) -> float: ...

    @property
    def test_accuracy(self) -> float: ...

    @property
    def clouds(self) -> Mapping[str, Float[np.ndarray, "n d"]]: ...

    @property
    def logits(self) -> Float[np.ndarray, "m c"]: ...

    @property
    def pairs(self) -> PairTask | None: ...

    @property
    def weight_norm(self) -> float: ...

    @property
    def embedding_norm(self) -> float | None: ...


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What one checkpoint of a training run shows: numbers, measurements and the embedding itself.

    Attributes
    ----------
    step : int
        Optimiser steps taken.
    numbers : mapping of str to float or None
        ``test_accuracy``, ``fourier_top5_share``, ``local_dimension`` and the like; topology as
        ``embedding/sphere/H1_max_lifetime`` (or ``raw``, before normalisation), ``…_scaled`` over the median distance.
    measurements : mapping of str to tuple of Measurement
        Of every cloud, by view: ``"sphere"`` and ``"raw"``.
    embedding : (c, d) array or None
        As trained.
    spectrum : (f,) array or None
        Share of the variance of the embedding at each frequency.
    frequencies : tuple of int
        The dominant ones.
    complaints : tuple of str
        Clouds that could not be measured, and why.

    Examples
    --------
    >>> import todacomm as td
    >>> task = td.grokking.Task(prime=7, train_fraction=0.5)
    >>> seen = next(td.grokking.watched(td.grokking.train(task, steps=10, every=10)))
    >>> seen.step, seen.embedding.shape
    (0, (7, 128))

    """

    step: int
    numbers: Mapping[str, Number]
    measurements: Mapping[str, tuple[Measurement, ...]]
    embedding: Float[np.ndarray, "c d"] | None
    spectrum: Float[np.ndarray, " f"] | None
    frequencies: tuple[int, ...]
    complaints: tuple[str, ...] = ()


def watch(seen: CheckpointLike, *, model: str, data: str, check: bool = False) -> Observation:
    """Measure a checkpoint. ``check`` compares the first cloud with the reference engine. Raises EngineDisagreement."""
    measurements: dict[str, list[Measurement]] = {view: [] for view in VIEWS}
    complaints: list[str] = []
    judged = "embedding" if "embedding" in seen.clouds else list(seen.clouds)[-1]  # in whose loop a network may grok
    for layer, points in seen.clouds.items():
        for view, recipe in VIEWS.items():
            try:
                cloud = prepare(PointCloud(points, Address(model, data, layer, seen.step)), recipe)
                measurements[view].append(measure_prepared(cloud, recipe, both_fields=layer == judged))
            except InvalidCloud as problem:  # a dead layer: noted, and the others are measured
                complaints.append(f"{view}: {problem}")
                continue
            if check and view == "sphere" and layer == next(iter(seen.clouds)):
                rng = np.random.default_rng(seen.step)
                cross_check(cloud.condensed, engine=recipe.engine, rng=rng, where=str(cloud.address))
    spectrum, frequencies, of_embedding = embedding_numbers(seen)
    topology = {
        f"{m.address.layer}/{view}/{name}": value
        for view, found in measurements.items()
        for m in found
        for name, value in m.summary.items()
        if name.removesuffix("_scaled") in KEPT
    }
    over_z3 = {
        f"{judged}/{view}/{OVER_Z3}": m.H1_max_lifetime_Z3
        for view, found in measurements.items()
        for m in found
        if m.address.layer == judged
    }
    return Observation(
        step=seen.step,
        numbers={**learning_numbers(seen), **of_embedding, **hidden_numbers(seen), **topology, **over_z3},
        measurements={view: tuple(found) for view, found in measurements.items()},
        embedding=seen.clouds.get("embedding"),
        spectrum=spectrum,
        frequencies=tuple(frequencies),
        complaints=tuple(complaints),
    )


def learning_numbers(seen: CheckpointLike) -> dict[str, Number]:
    """Losses in nats, accuracies, norms; with a Fourier basis also restricted and excluded loss and accuracy."""
    found: dict[str, Number] = {
        "train_loss": seen.train_loss,
        "train_accuracy": seen.train_accuracy,
        "test_loss": seen.test_loss,
        "test_accuracy": seen.test_accuracy,
        "weight_norm": seen.weight_norm,
        "embedding_norm": seen.embedding_norm,
    }
    if seen.pairs is not None:
        made = progress(seen.logits, seen.pairs)
        for name in ("restricted_loss", "restricted_accuracy", "excluded_loss", "excluded_accuracy"):
            found[name] = getattr(made, name)
    return found


def embedding_numbers(
    seen: CheckpointLike,
) -> tuple[Float[np.ndarray, " f"] | None, list[int], dict[str, Number]]:
    """The spectrum of the embedding, its dominant frequencies, how few hold it, and H1 of the plane of each."""
    if seen.pairs is None or "embedding" not in seen.clouds:
        return None, [], {}
    characters, rows = seen.pairs.characters, seen.clouds["embedding"]
    table = coefficients(rows, characters)
    spectrum = shares(table)
    strongest = dominant(spectrum, PLANES)
    found: dict[str, Number] = {
        "fourier_top5_share": top_share(spectrum),
        "fourier_participation_ratio": participation_ratio(spectrum),
        "fourier_gini": gini(spectrum),
    }
    for rank, frequency in enumerate(strongest, 1):
        bars = rips(plane(rows, characters, frequency, table))[1]
        found[f"plane_{rank}_H1_max_lifetime"] = max_lifetime.of(bars)
    return spectrum, strongest, found


def hidden_numbers(seen: CheckpointLike) -> dict[str, Number]:
    """Local dimension of the deepest hidden states and TwoNN dimension of the embedding; None where undefined."""
    deepest = [layer for layer in seen.clouds if layer != "embedding"][-1]
    found: dict[str, Number] = {"local_dimension": local_dimension(seen.clouds[deepest], centres=CENTRES)}
    if "embedding" in seen.clouds:
        try:
            found["embedding_dimension"] = two_nn(seen.clouds["embedding"])
        except InvalidCloud:  # ties, as on a clean circle
            found["embedding_dimension"] = None
    return found


# Along the steps


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """The training trajectory of one run: numbers along its steps, NaN where undefined, as ``course["test_accuracy"]``.

    Attributes
    ----------
    name : str
        How sentences call the run.
    steps : tuple of int
        T checkpoints, ascending.
    numbers : mapping of str to (T,) float64 arrays
        Losses and accuracies, norms, Fourier numbers, and topology as ``"embedding/sphere/H1_max_lifetime"``.
    kind : str
        ``"run"``, or the kind of control (``"permuted labels"``, ``"no weight decay"``).
    seed : int
        Of the run.
    settings : mapping of str to Any, optional
        Of the training.
    complaint : str
        Why the run ended early; empty otherwise.

    Raises
    ------
    UnknownName
        From ``course[name]`` for a number that the run does not have.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> td.grokking.Course("mine", (0, 10), {"test_accuracy": np.array([0.1, 1.0])})["test_accuracy"]
    array([0.1, 1. ])

    """

    name: str
    steps: tuple[int, ...]
    numbers: Mapping[str, Float[np.ndarray, " T"]]
    kind: str = "run"
    seed: int = 0
    settings: Mapping[str, Any] | None = None
    complaint: str = ""

    def __getitem__(self, name: str) -> Float[np.ndarray, " T"]:
        if name not in self.numbers:
            raise UnknownName("number of this run", name, self.numbers)
        return self.numbers[name]

    def __contains__(self, name: str) -> bool:
        return name in self.numbers

    def __len__(self) -> int:
        return len(self.steps)


def course_of(rows: Iterable[tuple[int, Mapping[str, Number]]], *, name: str, **about: Any) -> Course:
    """Build a trajectory from steps and their numbers."""
    kept = list(rows)
    names = dict.fromkeys(key for _, numbers in kept for key in numbers)
    arrays = {
        key: np.array([np.nan if (x := numbers.get(key)) is None else x for _, numbers in kept], dtype=np.float64)
        for key in names
    }
    return Course(name, tuple(step for step, _ in kept), arrays, **about)


def profile_along(observations: Iterable[Observation], layer: str, view: str = "sphere") -> Profile:
    """One layer of a training run as a `Profile` along the steps.

    Everything that takes a profile along layers takes this one too: `plots`, `compare`, tables.

    Parameters
    ----------
    observations : iterable of Observation
        What `watched` yields.
    layer : str
        ``"embedding"`` or ``"layer_i"``.
    view : {"sphere", "raw"}, default "sphere"
        Normalised to the sphere, or as it is.

    Returns
    -------
    Profile
        With ``along="step"``.

    Raises
    ------
    InvalidInput
        Where no observation has that layer.

    Examples
    --------
    >>> import todacomm as td
    >>> task = td.grokking.Task(prime=7, train_fraction=0.5)
    >>> seen = td.grokking.watched(td.grokking.train(task, steps=10, every=10))
    >>> len(td.grokking.profile_along(seen, "embedding").measurements)
    2

    """
    found = tuple(m for o in observations for m in o.measurements[view] if m.address.layer == layer)
    return Profile(found, along="step")


def watched(checkpoints: Iterable[CheckpointLike], *, model: str = "run", data: str = "task") -> Iterator[Observation]:
    """Measure checkpoints as they come: topology of every cloud, Fourier numbers of the embedding, learning numbers.

    Each cloud is measured twice, with all its dimensions: normalised to the sphere, and as it is. Both are centred.

    Parameters
    ----------
    checkpoints : iterable of Checkpoint
        What `train` yields, or objects with the same fields from a training loop of your own.
    model, data : str
        Names in the addresses of the clouds.

    Yields
    ------
    Observation
        One a checkpoint.

    Examples
    --------
    >>> import todacomm as td
    >>> task = td.grokking.Task(prime=7, train_fraction=0.5)
    >>> seen = td.grokking.watched(td.grokking.train(task, steps=10, every=10))
    >>> [round(o.numbers["test_accuracy"], 1) >= 0 for o in seen]
    [True, True]

    """
    for seen in checkpoints:
        yield watch(seen, model=model, data=data)
