"""What the page shows of one layer: bars with those that are signal, the cloud in two planes, its clusters."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from todacomm.clouds.planes_and_clusters import Views
from todacomm.core.types import Measurement, Profile
from todacomm.report.document import style
from todacomm.report.document.rounding import all_rounded, rounded
from todacomm.report.layers.series import longest, signal_bars
from todacomm.report.words import phrases
from todacomm.report.words.loops import loop_sentence

WIDTH = 2000  # steps across a plane that can be told apart: more digits of a place are not sent
GAUSSIAN_RANGE = (
    "ranges of up to about 0.1"  # 100 points in ten dimensions or more; of 500 up to 0.03: docs/decisions/020
)


@dataclass(frozen=True, slots=True)
class Shown:
    """At most how many points and bars of a layer, and letters of a text, are shown."""

    points: int
    bars: int
    letters: int


def details_of(profile: Profile, views: Mapping[str, Views], shown: Shown) -> list[dict[str, Any]]:
    """One entry a layer, in the order of depth."""
    return [
        {**bars_data(profile, m, shown.bars), **cloud_data(profile, m, views.get(m.address.layer))}
        for m in profile.measurements
    ]


# Bars


def bars_data(profile: Profile, measurement: Measurement, most: int) -> dict[str, Any]:
    """The diagrams of a layer, which bars of H1 are signal, and the test for loops in words."""
    diagrams = measurement.diagrams
    loops = signal_bars(profile, measurement)
    kept = [longest(bars, most, loops if k == 1 else None) for k, bars in enumerate(diagrams.finite)]
    return {
        "bars": [all_rounded(bars[i]) for bars, i in zip(diagrams.finite, kept, strict=True)],
        "essential": [all_rounded(births) for births in diagrams.essential],
        "left_out": [len(bars) - len(i) for bars, i in zip(diagrams.finite, kept, strict=True)],
        "significant": significant(profile, measurement, kept),
        "loop": loop_sentence(profile, measurement),
        "median": rounded(phrases.median_distance(measurement)),
    }


def significant(profile: Profile, measurement: Measurement, kept: list[Int[np.ndarray, " _"]]) -> list[int]:
    """The places, among the bars of H1 that are sent, of those that Gaussian clouds do not have."""
    chosen = signal_bars(profile, measurement)
    return [] if chosen is None else [int(i) for i in np.flatnonzero(chosen[kept[1]])]


# The cloud


def cloud_data(profile: Profile, measurement: Measurement, views: Views | None) -> dict[str, Any]:
    """The planes of a layer, which texts its points are, and their clusters; empty where there is no cloud."""
    if views is None:
        return {"views": [], "rows": [], "clusters": [], "clusters_note": ""}
    return {
        "views": planes(measurement, views),
        "rows": [int(row) for row in views.rows],
        "clusters": [int(label) for label in views.labels],
        "clusters_note": clusters_note(profile, measurement, views),
    }


def planes(measurement: Measurement, views: Views) -> list[dict[str, Any]]:
    """Both planes, each with what it keeps of the cloud."""
    facts = measurement.facts
    part = "" if facts.variance_kept > 0.9995 else f" of the {facts.components} components measured"
    held = f"they hold {phrases.share(views.variance, 0)} of the variance{part}"
    of = part_shown(measurement, views)
    return [
        plane("components", "first two principal components", views.components, f"{held}{of}"),
        plane("mds", "multidimensional scaling of the distances used", views.scaled, f"stress {views.stress:.2f}{of}"),
    ]


def plane(name: str, label: str, points: Float[np.ndarray, "v 2"], note: str) -> dict[str, Any]:
    """One plane; places are rounded to what can be seen."""
    step = 10.0 ** np.floor(np.log10(np.ptp(points, axis=0).max() / WIDTH)) if points.any() else 1.0
    x, y = (all_rounded(np.round(column / step) * step) for column in points.T)
    return {"name": name, "label": label, "x": x, "y": y, "note": note}


def part_shown(measurement: Measurement, views: Views) -> str:
    """Say of how many points those shown are; empty for all."""
    n, facts = len(views.clusters.labels), measurement.facts
    which = f"{n:,} landmarks" if facts.landmarks_of is not None else f"{n:,} points"
    fewer = [f"{len(views.rows):,} of {which} are shown, evenly spaced"] if len(views.rows) < n else []
    whole = [f"{which} stand for {facts.landmarks_of:,}"] if facts.landmarks_of is not None else []
    return "".join(f"; {told}" for told in (*fewer, *whole))


def clusters_note(profile: Profile, measurement: Measurement, views: Views) -> str:
    """What the clusters are, over which distances they are as many, and how wide that is in noise."""
    found, n = views.clusters, len(views.clusters.labels)
    large = f"clusters of {found.fewest} points or more"
    if found.count < 2:
        return f"At no distance are there two {large}."
    width = (found.until - found.since) / phrases.median_distance(measurement)
    since, until = (phrases.number(x, 3) for x in (found.since, found.until))
    alone = int((found.labels < 0).sum())
    return (
        f"{found.count} {large}, as many at each distance from {since} to {until} ({style.distance_unit(profile)}): a "
        f"range of {phrases.number(width, 2)} of the median distance. Gaussian clouds have clusters too, over "
        f"{GAUSSIAN_RANGE}. {phrases.plural(alone, 'point')} of {n:,} in none."
    )
