"""Null models beside the Gaussian one, each a decorated function that makes one draw of every layer:

    @null_model("columns", "clouds whose features are shuffled among the points, each feature by itself")
    def columns(layers: Sequence[Points], rng: np.random.Generator) -> Sequence[Points]: ...

``todacomm run --nulls columns`` and ``td.measure(…, nulls=["columns"])`` then test every number against it, and records, tables and reports
carry it under that name. A draw is prepared by the recipe as the layers were, the projection included, so that the test is exact where
the rows of a cloud are exchangeable with those of a draw.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from todacomm.clouds.duplicates import told_apart
from todacomm.clouds.prepare import PreparedCloud, subsample
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.recipe import Recipe
from todacomm.core.registry import Registry
from todacomm.core.types import Address, PointCloud, Points
from todacomm.statistics.gaussian_null import Values, numbers_of, prepared_again, tested_names, without_null

Draw = Callable[[Sequence[Points], np.random.Generator], Sequence[Points]]
STREAM = 3  # keeps these random numbers apart from others of the same seed


@dataclass(frozen=True, slots=True)
class NullModel:
    """A null model: its ``name``, what a draw is in the words of a ``sentence``, and how one is drawn.

    ``draw`` takes the points of all layers, rows the same texts, and a random generator, and gives as many points of each; None where a draw
    takes a forward pass (`todacomm.runs.model_nulls`) or is a rotation (`todacomm.statistics.gaussian_null`).
    """

    name: str
    sentence: str
    draw: Draw | None = None


null_models: Registry[NullModel] = Registry("null model")


def null_model(name: str, sentence: str) -> Callable[[Draw], NullModel]:
    """Register a function that makes one draw; ``sentence`` completes "each layer is tested against …"."""
    return lambda draw: null_models.add(name, NullModel(name, sentence, draw))


null_models.add("gaussian", NullModel("gaussian", "Gaussian clouds with exactly the covariance of the layer"))
null_models.add("text", NullModel("text", "the same model on texts whose tokens were shuffled"))
null_models.add("untrained", NullModel("untrained", "the same architecture before any training"))


def checked_nulls(names: Sequence[str], *, of_points: bool = False) -> tuple[str, ...]:
    """The names of null models beside the Gaussian one. Raises UnknownName, and with ``of_points`` InvalidInput for one that needs a model."""
    for name in names:
        if name == "gaussian" or name not in null_models:
            known = [known for known in null_models if known != "gaussian"]
            hint = "The Gaussian one is always drawn: --null-draws 0 leaves it out."
            raise UnknownName("null model", name, known, hint=hint)
        if of_points and null_models[name].draw is None:
            drawn = ", ".join(null.name for null in null_models.values() if null.draw)
            raise InvalidInput(f"the null model '{name}' takes a model that reads texts; of arrays there are: {drawn}")
    return tuple(names)


@null_model("columns", "clouds whose features are shuffled among the points, each feature by itself")
def columns(layers: Sequence[Points], rng: np.random.Generator) -> Sequence[Points]:
    """Each feature keeps its values and loses its relation to the others.

    Feature j of every layer is shuffled by the same permutation, so that a feature stays with itself along a residual stream. The test is
    exact where features are independent of one another, whatever their distributions are.
    """
    n, widest = len(layers[0]), max(points.shape[1] for points in layers)
    orders = rng.permuted(np.tile(np.arange(n), (widest, 1)), axis=1).T
    return [np.take_along_axis(points, orders[:, : points.shape[1]], axis=0) for points in layers]


# Draws of one profile


@dataclass(frozen=True, slots=True, eq=False)
class GivenLayers:
    """The layers of a profile as they came, of those rows that are no copies in all layers; ``reasons`` say which have no null."""

    addresses: tuple[Address, ...]
    points: tuple[Points, ...]
    reasons: tuple[str, ...]


def given_layers(raw: Sequence[PointCloud], ready: Sequence[PreparedCloud], recipe: Recipe) -> GivenLayers:
    """Layers of equally many points, ready for `null_values`; ``ready`` are the same clouds prepared by the recipe."""
    rows = told_apart([cloud.kinds for cloud in ready])
    return GivenLayers(
        tuple(cloud.address for cloud in ready),
        tuple(subsample(cloud.points, recipe)[rows] for cloud in raw),
        tuple(without_null(cloud) for cloud in ready),
    )


def null_values(layers: GivenLayers, null: NullModel, recipe: Recipe, draws: Iterable[int]) -> Values:
    """The numbers of each draw of each layer, (draws, layers, `tested_names`); NaN where one is undefined or a layer has no null.

    The same for the same seed and number of a draw. Raises InvalidInput for draws of another number of layers or points.
    """
    names = tested_names(recipe)
    return np.array([[*_of_draw(layers, null, recipe, number, names)] for number in draws])


def _of_draw(
    layers: GivenLayers, null: NullModel, recipe: Recipe, number: int, names: Sequence[str]
) -> Iterable[list[float]]:
    """One draw of every layer, measured."""
    for address, points, reason in zip(
        layers.addresses, _drawn(layers, null, recipe.seed, number), layers.reasons, strict=True
    ):
        if reason:
            yield [np.nan] * len(names)
        else:
            yield numbers_of(prepared_again(points, recipe, address), recipe, names)


def _drawn(layers: GivenLayers, null: NullModel, seed: int, number: int) -> Sequence[Points]:
    """One draw of every layer."""
    if null.draw is None:
        raise InvalidInput(f"the null model '{null.name}' is not drawn from points")
    rng = np.random.default_rng([seed, STREAM, zlib.crc32(null.name.encode()), number])
    found = null.draw(layers.points, rng)
    if [len(points) for points in found] != [len(points) for points in layers.points]:
        raise InvalidInput(
            f"the null model '{null.name}' gave {[len(points) for points in found]} points; expected "
            f"{[len(points) for points in layers.points]}, as many as each layer has"
        )
    return found
