"""What the page's slider moves over: numbers of every layer at every step, with intervals, onsets and H1 bars."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from todacomm.clouds.planes_and_clusters import evenly
from todacomm.report.document.rounding import all_rounded, rounded
from todacomm.report.tracking.numbers import WORDS, called, is_log, shown, spans_orders
from todacomm.report.tracking.read_track import TrackedSeries
from todacomm.report.tracking.track_charts import LOOP_TEST, about, onset_of, track_charts
from todacomm.report.tracking.track_sentences import largest_of
from todacomm.report.words.phrases import median_distance

MOST_STEPS = 200  # of a series on the page
MOST_BARS, BARS = 40, 200_000  # longest H1 bars of one cloud, and numbers of all bars of a page
READ_OFF = ("track_heat", "track_curves")  # the charts that the explorer lets be read off


def track_explorer(found: Sequence[TrackedSeries]) -> tuple[dict[str, Any], ...]:
    """The payload of the explorer of some series; none without a number that varies."""
    series = [series_of(one, bars_for(found)) for one in found if shown(one.trajectory)]
    names = [chart.name for one in found for chart in track_charts.of(one, *READ_OFF)]
    return ({"kind": "track", "heading": "Along the steps", "shows": names, "series": series},) if series else ()


def bars_for(found: Sequence[TrackedSeries]) -> int:
    """How many H1 bars of each cloud fit on the page."""
    clouds = sum(len(one.trajectory) * len(one.trajectory.layers) for one in found)
    return max(5, min(MOST_BARS, BARS // (2 * max(1, clouds))))


def series_of(one: TrackedSeries, bars: int) -> dict[str, Any]:
    """One series: steps, layers, and every number with its intervals; a table is steps × layers."""
    trajectory = one.trajectory
    places = [int(i) for i in evenly(len(trajectory), min(MOST_STEPS, len(trajectory)))]
    language = next((name for name in ("bits_per_byte", "masked_loss", "loss") if name in trajectory.of_model), "")
    return {
        "name": one.name,
        "first": first_of(one),
        "ordered": one.ordered,
        "steps": [trajectory.steps[i] for i in places],
        "of": len(trajectory),
        "labels": [trajectory.labels[i] for i in places],
        "log_steps": is_log(trajectory.steps),
        "layers": list(trajectory.layers),
        "numbers": [number_of(one, name, places) for name in shown(trajectory)],
        "doubtful": table_of(trajectory["doubtful"], places),
        "loop_p": table_of(trajectory.p_values[LOOP_TEST], places) if LOOP_TEST in trajectory.p_values else None,
        "language": {"label": called(language), "values": all_rounded(trajectory.of_model[language][places])}
        if language
        else None,
        "bars": [[bars_of(one, trajectory.steps[i], layer, bars) for layer in trajectory.layers] for i in places],
    }


def first_of(one: TrackedSeries) -> list[int]:
    """The places of the number and the layer that are shown first: those of the largest change."""
    number, layer = largest_of(one) or ("", "")
    names = shown(one.trajectory)
    return [names.index(number), one.trajectory.place(layer)] if number in names else [0, 0]


def number_of(one: TrackedSeries, name: str, places: Sequence[int]) -> dict[str, Any]:
    """One number as tables, with the onset of each layer."""
    trajectory = one.trajectory
    known = trajectory.intervals.get(name)
    found = [onset_of(one, name, layer) for layer in trajectory.layers]
    return {
        "key": name,
        "label": about(one, name),
        "how": WORDS[name].how,
        "log": spans_orders(trajectory[name]),
        "values": table_of(trajectory[name], places),
        "low": None if known is None else table_of(known[:, :, 0], places),
        "high": None if known is None else table_of(known[:, :, 1], places),
        "onsets": [[of.change.low, of.change.step, of.change.high] if of and of.change else None for of in found],
    }


def table_of(values: np.ndarray, places: Sequence[int]) -> list[list[float | None]]:
    """Rows of rounded numbers, one a step."""
    return [all_rounded(row) for row in values[list(places)]]


def bars_of(one: TrackedSeries, step: int, layer: str, most: int) -> list[list[Any]]:
    """The longest H1 bars of one cloud, over its median distance: births and deaths; none where no profile was kept."""
    profile = one.profiles.get(step)
    if profile is None or layer not in profile.layers:
        return []
    measurement = profile.at(layer)
    if len(measurement.diagrams.finite) < 2 or not measurement.facts.scale:
        return []
    bars = measurement.diagrams.finite[1]
    kept = np.argsort(bars[:, 0] - bars[:, 1], kind="stable")[:most]
    unit = median_distance(measurement)
    return [[rounded(float(birth) / unit), rounded(float(death) / unit)] for birth, death in bars[kept]]
