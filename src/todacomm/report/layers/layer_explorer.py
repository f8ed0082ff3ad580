"""Build the explorer of a page along the layers from profiles, their clouds and texts, ready for JSON.

Numbers have five significant digits; undefined ones are None. Of large clouds and diagrams a part is shown, marked so.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.clouds.planes_and_clusters import MOST_POINTS, Views, views_of
from todacomm.clouds.prepare import prepare
from todacomm.comparison.diagram_tests import Clouds
from todacomm.comparison.differences import depth_of, relative_depth
from todacomm.comparison.layer_distances import LayerDistances, layer_distances
from todacomm.core.parallel import one_thread
from todacomm.core.types import Profile
from todacomm.core.value_types import Missing
from todacomm.homology.metrics import SCALED, Metric, names_of
from todacomm.records.texts import LEFT_OUT, KeptTexts
from todacomm.report.document import style
from todacomm.report.document.rounding import all_rounded, rounded
from todacomm.report.layers.layer_explorer_details import Shown, details_of
from todacomm.report.layers.series import defined_only, growth_lines, null_band
from todacomm.report.words import phrases
from todacomm.statistics.loop_test import LOOP, PROMINENCE

Along = Float[np.ndarray, " L"]
Numbers = list[float | int | None]
FEWEST_POINTS, FEWEST_BARS, FEWEST_LETTERS = 100, 200, 60  # however many layers and texts there are
MOST_BARS, MOST_LETTERS = 2000, 280
ROOM = {"points": 60_000, "bars": 100_000, "letters": 600_000}  # on a page: 2 MB, 2 MB and 0.6 MB of data at most
OF_TOKENS = "each point is a token, and of which text is not kept"
OTHERS = "the texts beside the run are not those that were measured"


@dataclass(frozen=True, slots=True, eq=False)
class LayerViews:
    """What is computed of a profile for its page: layer → its `Views`, or in ``no_views`` why there are none."""

    views: Mapping[str, Views]
    no_views: str
    distances: tuple[LayerDistances, ...]


Look = Callable[[Profile, Clouds | Missing, int], LayerViews]


def look(profile: Profile, clouds: Clouds | Missing, most: int) -> LayerViews:
    """Prepare every layer as it was measured and look at ``most`` of its points; one cloud in memory at a time."""
    apart = layer_distances(profile)
    if isinstance(clouds, Missing):
        return LayerViews({}, clouds.reason, apart)
    recipe = profile.recipe
    with one_thread:  # as they were measured, and so that equal records give equal pages
        found = {
            layer: views_of(prepare(clouds(layer), recipe), distance=recipe.distance, most=most)
            for layer in profile.layers
        }
    return LayerViews(found, "", apart)


@dataclass(slots=True, eq=False)
class Looks:
    """`look` that remembers what it has found of each profile: pages are written again as runs come in."""

    known: dict[tuple[int, int], tuple[Profile, LayerViews]] = field(default_factory=dict)

    def __call__(self, profile: Profile, clouds: Clouds | Missing, most: int) -> LayerViews:
        key = (id(profile), most)
        if key not in self.known:
            self.known[key] = profile, look(profile, clouds, most)  # the profile is held, so that no other has its id
        return self.known[key][1]


def layers_explorer(
    profiles: Sequence[Profile],
    clouds: Sequence[Clouds | Missing],
    texts: Sequence[KeptTexts | Missing],
    labels: Sequence[str],
    *,
    heading: str = "",
    look: Look = look,
) -> dict[str, Any]:
    """The data of one explorer over several profiles, which may be of different models and data.

    Of each profile: its ``clouds`` by layer and its ``texts``, or why there are none; its label. Colours follow the
    palette in the order of the profiles.
    """
    layers = sum(len(p.measurements) for p in profiles)
    points, bars = (
        share_of(ROOM[what], layers, fewest, most)
        for what, fewest, most in (("points", FEWEST_POINTS, MOST_POINTS), ("bars", FEWEST_BARS, MOST_BARS))
    )
    letters = share_of(ROOM["letters"], sum(map(count_of, texts)), FEWEST_LETTERS, MOST_LETTERS)
    metrics = names_of(max(p.recipe.maxdim for p in profiles))
    told = [
        {
            "id": f"p{i}",
            "label": label,
            "colour": style.PALETTE[i % len(style.PALETTE)],
            **profile_data(profile, look(profile, own, points), Shown(points, bars, letters), known),
        }
        for i, (profile, own, known, label) in enumerate(zip(profiles, clouds, texts, labels, strict=True))
    ]
    return {
        "kind": "layers",
        "shows": shows(told),
        **({"heading": heading} if heading else {}),
        "along": profiles[0].along,
        "metrics": [metric_of(name, k, entry) for name, (k, entry) in metrics.items()],
        "profiles": told,
    }


def shows(profiles: Sequence[Mapping[str, Any]]) -> list[str]:
    """The figures of a profile that the explorer replaces: those that it shows in full for every profile."""
    whole = all(not any(detail["left_out"]) for p in profiles for detail in p["details"])
    shown = {
        "tda_summary": True,
        "layer_persistence": True,
        "scale_shape": all(p["growth"] for p in profiles),
        "against_noise": all(p["null"] for p in profiles),
        "betti_curves": whole,
        "persistence_diagrams": whole,
    }
    return [name for name, is_shown in shown.items() if is_shown]


def share_of(room: int, among: int, fewest: int, most: int) -> int:
    """The share of a page's room for each of several profiles."""
    return min(most, max(fewest, room // max(among, 1)))


def count_of(texts: KeptTexts | Missing) -> int:
    """The number of texts to show."""
    return 0 if isinstance(texts, Missing) or texts.items is None else len(texts)


def metric_of(name: str, dimension: int, entry: Metric) -> dict[str, Any]:
    """A number that can be chosen, and the name of its twin over the median distance."""
    return {
        "key": name,
        "label": f"H{dimension} {entry.label}",
        "dimension": dimension,
        "degree": entry.degree,
        "scaled": f"{name}{SCALED}" if entry.degree else None,
        "integer": entry.name == "count",
    }


# One profile


def profile_data(profile: Profile, looked: LayerViews, shown: Shown, texts: KeptTexts | Missing) -> dict[str, Any]:
    """Everything of one profile but its name and colour."""
    names = [name for name in profile.measurements[0].summary if name in profile.names]
    claims = profile.claims
    ends = {name: claims.bounds(name, profile.layers) for name in names} if claims and claims.intervals else {}
    known = texts_of(profile, texts)
    return {
        "data": profile.data,
        "pooling": profile.recipe.pooling or "given",
        "points": profile.measurements[0].facts.points,
        "layers": phrases.positions(profile),
        "short": [style.short(layer) for layer in phrases.positions(profile)],
        "places": places_of(profile),
        "unit": style.distance_unit(profile),
        "values": {name: along(profile, profile[name]) for name in names},
        **{
            side: {name: along(profile, both[:, i]) for name, both in ends.items() if not np.isnan(both).all()}
            for i, side in enumerate(("low", "high"))
        },
        "confidence": claims.asked.confidence if claims and claims.intervals else None,
        "null": nulls_of(profile, names),
        "growth": growth_of(profile),
        "strip": strip_of(profile),
        "details": details_of(profile, looked.views, shown),
        "no_views": looked.no_views,
        "distances": [distances_of(found) for found in looked.distances],
        "texts": texts_data(known, looked.views, shown.letters),
    }


def along(profile: Profile, values: Along) -> Numbers:
    """Numbers along the layers as the page has them: none where no ratio can stand on the cloud."""
    return all_rounded(defined_only(profile, values))


def places_of(profile: Profile) -> Numbers:
    """Relative depth, 0 for the embedding and 1 for the last layer; order for steps and layers of other names."""
    depths = np.array([relative_depth(layer, depth_of(profile)) for layer in profile.layers])
    if profile.along == "step" or np.isnan(depths).any():
        depths = np.arange(len(depths)) / max(len(depths) - 1, 1)
    return all_rounded(depths / max(depths.max(), 1))


def nulls_of(profile: Profile, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The band of the Gaussian null, and the p-values of each layer, for every number that was tested.

    The scaled twin has the band of the metric over the median distance of the layer, not of the draws, so that the test
    is the same in both units. That of prominence is the test for loops, as in the figure against noise.
    """
    if profile.claims is None or "gaussian" not in profile.claims.tests:
        return {}
    scales = np.array([phrases.median_distance(m) or np.nan for m in profile.measurements])
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        raw = name.removesuffix(SCALED)
        tests = profile.claims.tests_of(LOOP if raw == PROMINENCE else raw, profile.layers)
        if not any(tests):
            continue
        band = (end / (scales if name != raw else 1.0) for end in null_band(profile, raw))
        found[name] = {part: along(profile, end) for part, end in zip(("mean", "low", "high"), band, strict=True)}
        for part in ("p", "adjusted", "family_wise"):
            found[name][part] = [rounded(getattr(test, part)) if test else None for test in tests]
    return found


def growth_of(profile: Profile) -> dict[str, Any] | None:
    """Expansion and its two factors against the baseline; None where no layer is defined."""
    base = phrases.baseline(profile)
    if base is None:
        return None
    lines = growth_lines(profile, base).values()
    parts = zip(("total", "scale", "shape"), lines, strict=True)
    return {"baseline": phrases.position(profile, base), **{name: along(profile, line) for name, line in parts}}


def strip_of(profile: Profile) -> dict[str, Any]:
    """The diagnostics of each cloud."""
    facts = [m.facts for m in profile.measurements]
    return {
        "variance_kept": [rounded(f.variance_kept) for f in facts],
        "distinct": [f.distinct_points for f in facts],
        "points": [f.points for f in facts],
        "doubt": [f.doubtful for f in facts],
        "note": [f.note for f in facts],
    }


def distances_of(found: LayerDistances) -> dict[str, Any]:
    """Layer × layer in one dimension, and what exactly it is."""
    cut = (
        f"; of the {found.matched} longest bars of each, at most {phrases.number(found.error, 2)} from that of all"
        if found.matched
        else ""
    )
    label = f"Wasserstein distance (degree 2) between H{found.dimension} diagrams, each over its median distance{cut}"
    return {"dimension": found.dimension, "label": label, "values": all_rounded(found.values)}


# Texts


def texts_of(profile: Profile, texts: KeptTexts | Missing) -> KeptTexts | Missing:
    """The texts that the points of a profile are, or why they cannot be shown."""
    if profile.recipe.pooling == "tokens":
        return Missing(OF_TOKENS)
    other = not isinstance(texts, Missing) and profile.texts_sha256 not in ("", texts.sha256)
    return Missing(OTHERS) if other else texts


def texts_data(texts: KeptTexts | Missing, views: Mapping[str, Views], letters: int) -> dict[str, Any]:
    """Lengths and groups of all texts; the beginning of those that are shown in some layer, the others empty."""
    if isinstance(texts, Missing):
        return {"count": 0, "length": None, "group": None, "groups": None, "items": None, "why_not": texts.reason}
    shown = {int(row) for found in views.values() for row in found.rows}
    items = texts.items
    return {
        "count": len(texts),
        "length": list(texts.lengths),
        "group": None if texts.groups is None else list(texts.groups),
        "groups": None if texts.group_names is None else list(texts.group_names),
        "items": items and [snippet(item, letters) if i in shown else "" for i, item in enumerate(items)],
        "why_not": "" if items else LEFT_OUT,
    }


def snippet(text: str, letters: int) -> str:
    """The beginning of a text in one line."""
    line = " ".join(text.split())
    return line if len(line) <= letters else f"{line[: letters - 1]}…"
