"""Null models beside the Gaussian one; each is a decorated function that draws every layer once::

    @null_model("columns", "clouds whose features are shuffled among the points, each feature by itself")
    def columns(layers: Sequence[Points], rng: np.random.Generator) -> Sequence[Points]: ...

``todacomm run --nulls columns`` and ``td.measure(…, nulls=["columns"])`` then test every metric against it; records,
tables and reports use that name. A draw is prepared by the recipe like the layers, projection included, so the test is
exact where the rows of a cloud are exchangeable with those of a draw.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from todacomm.clouds.duplicates import unique_rows
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
    """A null model: its ``name``, a draw in words (``sentence``), and how to draw.

    ``draw`` takes the points of all layers, rows the same texts, and a random generator, and returns as many points of
    each; None where a draw takes a forward pass (`todacomm.runs.model_nulls`) or is a rotation
    (`todacomm.statistics.gaussian_null`).
    """

    name: str
    sentence: str
    draw: Draw | None = None


null_models: Registry[NullModel] = Registry("null model")


def null_model(name: str, sentence: str) -> Callable[[Draw], NullModel]:
    """Register a function that draws once; ``sentence`` completes "each layer is tested against …"."""
    return lambda draw: null_models.add(name, NullModel(name, sentence, draw))


null_models.add("gaussian", NullModel("gaussian", "Gaussian clouds with exactly the covariance of the layer"))
null_models.add("text", NullModel("text", "the same model on texts whose tokens were shuffled"))
null_models.add("untrained", NullModel("untrained", "the same architecture before any training"))


def checked_nulls(names: Sequence[str], *, of_points: bool = False) -> tuple[str, ...]:
    """Check names of null models. Raises UnknownName; with ``of_points`` InvalidInput for one that needs a model."""
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
    """Shuffle each feature among the points, which destroys its relation to others.

    Feature j of every layer takes the same permutation, so that it stays aligned along a residual stream. Exact where
    features are independent, whatever their distributions.
    """
    n, widest = len(layers[0]), max(points.shape[1] for points in layers)
    orders = rng.permuted(np.tile(np.arange(n), (widest, 1)), axis=1).T
    return [np.take_along_axis(points, orders[:, : points.shape[1]], axis=0) for points in layers]


# Draws of one profile


@dataclass(frozen=True, slots=True, eq=False)
class GivenLayers:
    """The raw layers of a profile, without rows that are copies in all; ``reasons`` say which have no null."""

    addresses: tuple[Address, ...]
    points: tuple[Points, ...]
    reasons: tuple[str, ...]


def given_layers(raw: Sequence[PointCloud], ready: Sequence[PreparedCloud], recipe: Recipe) -> GivenLayers:
    """Prepare layers of equally many points for `null_values`; ``ready`` are the same clouds after the recipe."""
    rows = unique_rows([cloud.kinds for cloud in ready])
    return GivenLayers(
        tuple(cloud.address for cloud in ready),
        tuple(subsample(cloud.points, recipe)[rows] for cloud in raw),
        tuple(without_null(cloud) for cloud in ready),
    )


def null_values(layers: GivenLayers, null: NullModel, recipe: Recipe, draws: Iterable[int]) -> Values:
    """The metrics of each draw of each layer, (draws, layers, `tested_names`); NaN where undefined or without a null.

    Decided by seed and number of a draw. Raises InvalidInput for draws with another number of layers or points.
    """
    names = tested_names(recipe)
    return np.array([[*_of_draw(layers, null, recipe, number, names)] for number in draws])


def _of_draw(
    layers: GivenLayers, null: NullModel, recipe: Recipe, number: int, names: Sequence[str]
) -> Iterable[list[float]]:
    """Draw every layer once and measure."""
    for address, points, reason in zip(
        layers.addresses, _drawn(layers, null, recipe.seed, number), layers.reasons, strict=True
    ):
        if reason:
            yield [np.nan] * len(names)
        else:
            yield numbers_of(prepared_again(points, recipe, address).condensed, recipe, names)


def _drawn(layers: GivenLayers, null: NullModel, seed: int, number: int) -> Sequence[Points]:
    """Draw every layer once."""
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
