"""Find the loops of a cloud without labels, held against noise: ``td.loops``."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Unpack

import numpy as np

from todacomm.cohomology.centres import MANY
from todacomm.cohomology.evidence import TESTS, Evidence, bars_among, evidence
from todacomm.cohomology.fit import fit_of
from todacomm.cohomology.groups import held_against_groups
from todacomm.cohomology.offers import Offer, offers_of
from todacomm.cohomology.record import LoopCoordinate, Loops
from todacomm.cohomology.scales import staircase
from todacomm.cohomology.scene import Scene, scene_of
from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import ALPHA, InferenceSettings
from todacomm.core.recipe import Recipe, RecipeSettings, with_keywords
from todacomm.core.threads import one_thread
from todacomm.core.types import Address, PointCloud, Texts

FEWEST = 6  # distinct points; a loop has four at least, and its noise some
NULL_DRAWS, FEWEST_DRAWS = 99, round(TESTS / ALPHA) - 1


@with_keywords(RecipeSettings, asdict(Recipe()))
@one_thread
def loops(
    data: np.ndarray | PointCloud,
    texts: Sequence[str] | None = None,
    *,
    name: str = "array",
    recipe: Recipe | None = None,
    null_draws: int = NULL_DRAWS,
    **settings: Unpack[RecipeSettings],
) -> Loops:
    """Find the loops of a cloud without labels, and give each an angle, a cycle of points and the texts on it.

    At the scales where bars live that stand out of noise, integer cohomology gives classes, their harmonic forms give
    angles, and the closed curves that the points lie on sharpen them. What Gaussian clouds of the same covariance
    have as well is not offered.

    Parameters
    ----------
    data : (n, d) array or PointCloud
        The points. Lists, tables and tensors are accepted.
    texts : sequence of str, optional
        What each point is of; those on a cycle are given in its order.
    name : str, default "array"
        What stands for an array in messages.
    recipe : Recipe, optional
        How the cloud is prepared, as for `todacomm.measure`; or give its fields as ``settings``.
    null_draws : int, default 99
        Rotations of the cloud that bars and plateaus are held against; fewer are made where nothing can pass any
        more. 0 offers what there is at the widest plateau and in the most prominent bar, without a test.
    **settings
        Fields of `Recipe`: ``loops(array, scale="sphere", components=None)``.

    Returns
    -------
    Loops
        ``coordinates``, each with ``angles`` and ``angle(points)``; empty, with ``reasons``, where there is none.

    Raises
    ------
    InvalidInput
        For distances in place of points, for landmarks, for texts that are not one a point, and for a recipe beside
        settings.
    InvalidCloud
        For NaN, infinity and fewer than three points.

    Examples
    --------
    >>> import numpy as np
    >>> angle = 2 * np.pi * np.arange(24) / 24
    >>> [found] = loops(np.c_[np.cos(angle), np.sin(angle)]).coordinates
    >>> found.angle(np.array([[0.0, 2.0]])).round(2)
    array([1.57])

    References
    ----------
    de Silva, Morozov and Vejdemo-Johansson 2011, https://doi.org/10.1007/s00454-011-9344-x

    """
    if recipe is not None and settings:
        raise InvalidInput(f"give a recipe or its settings, not both; found both, settings {', '.join(settings)}")
    chosen = checked_recipe(recipe or Recipe(**settings))
    cloud = data if isinstance(data, PointCloud) else PointCloud(data, Address(name, "arrays", "cloud"))
    return loops_of(cloud, checked_texts(texts, len(cloud)), chosen, checked_draws(null_draws))


def checked_draws(null_draws: int) -> int:
    """The number of draws, with which a loop can be found."""
    if 0 < InferenceSettings(null_draws=null_draws).null_draws < FEWEST_DRAWS:
        raise InvalidInput(
            f"{null_draws} null draws; expected at least {FEWEST_DRAWS}, with which {ALPHA} is the least p-value of "
            f"{TESTS} tests, or 0 for no null"
        )
    return null_draws


def checked_recipe(recipe: Recipe) -> Recipe:
    """The recipe, or an InvalidInput where loops cannot be found under it."""
    if recipe.distance == "precomputed":
        raise InvalidInput("distances were given, and the angle of a loop is one of points: give the points themselves")
    if recipe.landmarks is not None:
        raise InvalidInput(
            f"{recipe.landmarks} landmarks; of more than {MANY} points, centres stand for the cloud: "
            "leave landmarks out"
        )
    return recipe


def checked_texts(texts: Any, n: int) -> tuple[str, ...]:
    """The texts, one a point; none where none were given."""
    if texts is None:
        return ()
    found = (
        texts if isinstance(texts, Texts) else Texts("texts", (texts,) if isinstance(texts, str) else tuple(texts))
    ).items
    if len(found) != n:
        raise InvalidInput(f"{len(found)} texts for {n} points; expected a list of one text a point, in the same order")
    return found


def loops_of(cloud: PointCloud, texts: tuple[str, ...], recipe: Recipe, draws: int) -> Loops:
    """`loops` of a cloud, its recipe and its texts checked."""
    scene = scene_of(cloud, recipe)
    if (m := len(scene.points)) < FEWEST:
        few = f"{m} distinct points; a loop is looked for among {FEWEST} or more"
        return told(scene, Evidence(np.empty((0, 2)), np.empty(0), 1.0, 0), [], [few], texts)
    found = evidence(bars_among(scene.centres), scene.draw, seed=recipe.seed, draws=draws)
    offers, reasons = offers_of(scene.distances, found)
    if found.draws:
        offers, more = held_against_groups(scene, offers, seed=recipe.seed, draws=draws)
        reasons += more
    return told(scene, found, offers, reasons, texts)


def told(scene: Scene, found: Evidence, offers: list[Offer], reasons: list[str], texts: tuple[str, ...]) -> Loops:
    """The record of what was offered, the most significant loop first."""
    coordinates = [one for offer in offers for one in coordinates_of(offer, scene, found, texts)]
    coordinates.sort(key=lambda one: (1.0 if one.p is None else one.p, -one.ratio))
    scales, betti = staircase(found.bars)
    return Loops(
        scene.cloud.address,
        tuple(coordinates),
        tuple(reasons if coordinates or reasons else [nothing(found)]),
        np.column_stack([scales, betti.astype(np.float64)]),
        scene.median,
        len(scene.centres),
        found.of_plateau if found.draws else None,
    )


def nothing(found: Evidence) -> str:
    """Why nothing was offered where no class was refused."""
    if not len(found.bars):
        return "no cycle is ever open: H1 has no bar"
    if not found.draws:
        return "β₁ is nowhere between 1 and 14"
    return (
        f"no loop stands out of {found.draws} Gaussian clouds of the same covariance at {ALPHA}: "
        f"p {found.of_bars.min():.2g} for the most prominent bar, {found.of_plateau:.2g} for the widest plateau of β₁"
    )


def coordinates_of(offer: Offer, scene: Scene, found: Evidence, texts: tuple[str, ...]) -> list[LoopCoordinate]:
    """A coordinate for each loop of an offer, with one fit for all of them."""
    classes, edges = [loop.of for loop in offer.loops], scene.near(offer.plateau.middle)
    fit = fit_of(scene.frame, scene.points, scene.centres, classes, edges)
    angles = fit.angles(scene.cloud.points)
    rows = [tuple(dict.fromkeys(map(scene.row_of, loop.of.cycle.tolist()))) for loop in offer.loops]
    return [
        LoopCoordinate(
            angles=angles[:, column],
            scale=offer.plateau.middle,
            birth=loop.of.birth,
            death=loop.death,
            betti=offer.betti,
            torsion=offer.torsion,
            cycle=rows[column],
            texts=tuple(texts[row] for row in rows[column]) if texts else (),
            points=len(scene.around(int(loop.of.cycle[0]), offer.plateau.middle)),
            step=loop.of.step,
            p=loop.p if found.draws else None,
            fit=fit,
            column=column,
        )
        for column, loop in enumerate(offer.loops)
    ]
