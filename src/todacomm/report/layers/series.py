"""Arrays along the layers or steps of a profile, for figures and pages; NaN where undefined.

Loads no matplotlib, so that pages need none.
"""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from todacomm.core.inference_types import LoopBar, NullTest
from todacomm.core.types import Bars, Measurement, Number, Profile
from todacomm.homology.metrics import SCALED, metrics
from todacomm.report.document import style
from todacomm.report.document.chart import Axis, Data, Panel, Series, depth_axis, exact, finite, table
from todacomm.report.document.style import cut
from todacomm.report.words import phrases

Along = Float[np.ndarray, " L"]
STAR = "*"
SPREADS = 2  # standard deviations of the null that its band reaches to either side


def places(profile: Profile) -> Along:
    """The positions along the axis: layers by index, checkpoints by step."""
    count = len(profile.measurements)
    return np.array([a.step for a in profile.addresses] if profile.along == "step" else range(count), dtype=np.float64)


def defined_only(profile: Profile, values: Along) -> Along:
    """NaN where no ratio can stand on the cloud, so that it is left out of the line."""
    return np.where([bool(m.facts.undefined) for m in profile.measurements], np.nan, values)


def interval_ends(profile: Profile, name: str) -> tuple[Along, Along]:
    """The ends of the intervals of a number along the layers, NaN where there is none."""
    if profile.claims is None or not profile.claims.intervals:
        nothing = np.full(len(profile.measurements), np.nan)
        return nothing, nothing
    low, high = (defined_only(profile, ends) for ends in profile.claims.bounds(name, profile.layers).T)
    return low, high


def null_band(profile: Profile, name: str) -> tuple[Along, Along, Along]:
    """The mean of the draws of the Gaussian null along the layers, and its band; NaN where there is none.

    Of a scale-free number, those of the number itself over the median distance of the layer.
    """
    tests = tests_of(profile, name)
    unit = medians(profile) if name.endswith(SCALED) else 1.0
    mean, spread = (numbers(tests, part, len(profile.layers)) / unit for part in ("mean", "spread"))
    return mean, mean - SPREADS * spread, mean + SPREADS * spread


def tests_of(profile: Profile, name: str) -> list[NullTest | None]:
    """The tests of a metric, or of the metric behind a scaled twin, along the layers; empty without a null."""
    return profile.claims.tests_of(name.removesuffix(SCALED), profile.layers) if profile.claims else []


def medians(profile: Profile) -> Along:
    """The median distances along the layers, in the unit of the diagrams; NaN where there is none."""
    found = [np.nan if m.facts.undefined else phrases.median_distance(m) for m in profile.measurements]
    return np.array(found, dtype=np.float64)


def numbers(tests: list[NullTest | None], part: str, count: int) -> Along:
    """One field of the tests along the layers; NaN where there is none."""
    found = [getattr(test, part) if test else None for test in tests] or [None] * count
    return np.array(found, dtype=np.float64)


def growth_lines(profile: Profile, base: Measurement) -> dict[str, Along]:
    """H0 total, scale and H0 total / scale of every layer over those of ``base``, all before any rescaling.

    The first is the product of the others.
    """
    i = profile.measurements.index(base)
    scale, shape = (profile[name] / profile[name][i] for name in ("scale", phrases.H0_SHAPE))
    return {"H0 total (expansion)": scale * shape, "scale growth": scale, "shape growth": shape}


def standing_out(profile: Profile, measurement: Measurement) -> Sequence[LoopBar]:
    """The bars of H1 of a layer that no Gaussian cloud of its covariance has, loops or not."""
    return [bar for bar in candidates(profile, measurement) if not bar.centroids]


def candidates(profile: Profile, measurement: Measurement) -> Sequence[LoopBar]:
    """The candidate loops of a layer, of all points and of centroids."""
    return profile.claims.loops.get(measurement.address.layer, ()) if profile.claims else ()


def loops_of_centroids(profile: Profile, measurement: Measurement) -> Sequence[LoopBar]:
    """The bars of a layer's centroids that are loops."""
    return [bar for bar in candidates(profile, measurement) if bar.found and bar.centroids]


def loops_of(profile: Profile, measurement: Measurement) -> Sequence[LoopBar]:
    """The bars of a layer that are loops: they stand out of their group as well."""
    return [bar for bar in standing_out(profile, measurement) if bar.found]


def signal_bars(profile: Profile, measurement: Measurement) -> Bool[np.ndarray, " m"] | None:
    """The bars of H1 that are loops; None without a null."""
    if profile.claims is None or "gaussian" not in profile.claims.tests:
        return None
    found = {(bar.birth, bar.death) for bar in loops_of(profile, measurement)}
    return np.array([tuple(bar) in found for bar in measurement.diagrams.finite[1].tolist()], dtype=bool)


def longest(bars: Bars, most: int, always: Bool[np.ndarray, " m"] | None = None) -> Int[np.ndarray, " k"]:
    """Indices of the ``most`` longest bars (of equal ones the first) and of those to show ``always``, ascending."""
    chosen = np.argsort(bars[:, 0] - bars[:, 1], kind="stable")[:most]
    return np.union1d(chosen, np.flatnonzero(always)) if always is not None else np.sort(chosen)


# Words and axes

FINAL_NOTE = "final: after the last norm, shown but no part of peaks and ratios"
MOST_MARKERS = 24  # along the steps of a training


def heading(profile: Profile) -> str:
    """The heading of a figure: model, data, pooling, number of points."""
    return f"{cut(profile.model, 48)} · {where(profile)} · n = {profile.measurements[0].facts.points}"


def where(profile: Profile) -> str:
    """On which data, and pooled how where it was."""
    pooled = f" · pooling {cut(profile.recipe.pooling, 24)}" if profile.recipe.pooling else ""
    return f"{cut(profile.data, 36)}{pooled}"


OF_CLOUDS = {  # facts of a cloud → what an axis calls them, and whether they are distances before any rescaling
    "points": ("points", False),
    "dimension": ("dimensions of the activations", False),
    "components": ("components kept", False),
    "variance_kept": ("variance kept (share)", False),
    "distinct_points": ("distinct points", False),
    "scale": ("median distance", True),
    "rms_distance": ("root mean square distance", True),
    "largest_variance_share": ("share of the variance\nin one dimension", False),
    "norm": ("median norm\n(activation units)", False),
    "landmarks_of": ("points of the cloud", False),
    "covering_radius": ("covering radius", True),
    "bar_error": ("error of the ends of bars", True),
    "participation_ratio": ("participation ratio\n(dimensions)", False),
    "second_variance_share": ("share of the variance\nin the next dimension", False),
}


def axis_label(profile: Profile, key: str) -> str:
    """The axis label of a metric, with its unit."""
    found = re.fullmatch(r"H(\d)_(\w+)", key)
    if found is None:
        label, distance = OF_CLOUDS[key]
        return f"{label}\n({style.raw_distance_unit(profile)})" if distance else label
    dimension, name = found.groups()
    entry = metrics[name.removesuffix(SCALED)]
    unit = f"({style.distance_unit(profile)})" if entry.degree else ""
    return f"H{dimension} {entry.label}\n{'/ median distance' if name.endswith(SCALED) else unit}".strip()


def legend_lines(profile: Profile) -> list[str]:
    """Explain hollow markers, gaps and ``final`` for the small print."""
    hollow = [line.replace("○ doubtful", "hollow ○ doubtful", 1) for line in phrases.mark_lines(profile)]
    shown = [line.replace("× undefined", "not drawn, undefined", 1) for line in hollow]
    return [*shown, FINAL_NOTE if after_norm(profile) else "", band_line(profile)]


def band_line(profile: Profile) -> str:
    """Explain the bands; empty without any."""
    claims = profile.claims
    return f"bands: {claims.asked.confidence:.0%} intervals (split-half)" if claims and claims.intervals else ""


def after_norm(profile: Profile) -> bool:
    """Whether the last layer is that after the final norm, which is no step of the way."""
    return profile.along == "layer" and profile.layers[-1] == "final" and len(profile.layers) > 1


def layer_axis(profile: Profile, *, most: int) -> Axis:
    """The layers, their names thinned to about ``most``; along the training, a linear axis of steps."""
    at = places(profile)
    if profile.along == "step":
        room = 0.02 * float(np.ptp(at)) or 0.5
        return Axis("training step", limits=(at[0] - room, at[-1] + room), most=max(2, most // 2), whole=True)
    return depth_axis(phrases.positions(profile), most=most)


def along(profile: Profile, values: Along, what: str, name: str = "", **look: Any) -> Series:
    """One line along the layers: hollow where doubtful, a gap where undefined; ``name`` is that of its intervals."""
    y = finite(defined_only(profile, values))
    low, high = map(finite, interval_ends(profile, name)) if name else ((), ())
    count = len(y)
    return Series(
        finite(places(profile)),
        y,
        hollow=tuple(bool(m.facts.doubtful) for m in profile.measurements),
        low=low,
        high=high,
        told=tuple(told_at(profile, i, what, value) for i, value in enumerate(y)),
        every=-(-count // MOST_MARKERS) if profile.along == "step" else 1,
        loose=after_norm(profile),
        **look,
    )


def told_at(profile: Profile, i: int, what: str, value: Number) -> tuple[str, ...]:
    """The hover text of a mark."""
    doubt = profile.measurements[i].facts.doubtful
    return (phrases.positions(profile)[i], f"{what}: {phrases.number(value)}", f"doubtful: {doubt}" if doubt else "")


def drawn_rows(profile: Profile, panels: Sequence[Panel]) -> Data:
    """The numbers of panels along the layers: every line, with its intervals; the null is called noise."""
    names = dict(zip(finite(places(profile)), phrases.positions(profile), strict=True))
    rows = [
        (
            words_of(panel),
            one.label or ("noise" if one.colour == style.GREY else ""),
            names[x],
            *map(exact, (y, *ends)),
            "doubtful" if hollow else "",
        )
        for panel in panels
        for one in panel.series
        if one.marker != STAR
        for x, y, ends, hollow in zip(one.x, one.y, one.ends, one.hollow or (False,) * len(one.x), strict=True)
    ]
    return table(("number", "line", profile.along, "value", "low", "high", "doubtful"), rows)


def words_of(panel: Panel) -> str:
    """Describe a panel in one line."""
    return panel.y.label.replace("\n", " ")
