"""One run, checkpoint by checkpoint, for the page: bars, planes of the final frequencies, spectrum, pairs of waves."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.colors import to_hex

from todacomm.clouds.planes_and_clusters import evenly
from todacomm.core.types import Measurement
from todacomm.records.training import characters_of, frequencies, read_checkpoint, read_profile
from todacomm.report.document.rounding import all_rounded, rounded
from todacomm.report.training.clock_plots import (
    AROUND,
    MOST_CLOCKS,
    OF_PAIRS,
    Clock,
    around,
    clocks_at,
    elements,
    order_by_chance,
    slowest,
)
from todacomm.report.training.curve_plots import spectra
from todacomm.report.training.read_experiment import Exhibit, Trained, moments
from todacomm.training.fourier import Characters

MOST_FRAMES = 120
MOST_NUMBERS = 320_000  # of all frames: about 2.5 MB of the page
MOST_BARS = 600  # of a frame, the longest


def frames_of(exhibit: Exhibit) -> dict[str, Any] | None:
    """The frames of the run that is shown, with the moments to jump to; None where no run left all of its checkpoints.

    ``bars`` are those of H1 of the followed cloud, longest first, ``zero`` the deaths of its H0; ``planes`` (`Clock`)
    are those of the strongest frequencies at the last checkpoint, or empty for the reason ``why_not``.
    """
    run = exhibit.chosen
    if run is None or run.course is None or not run.whole:
        return None
    view = exhibit.followed.split("/")[1]
    measurements = read_profile(run.directory, exhibit.layer, view).measurements
    measured = {m.address.step: m for m in measurements if m.address.step is not None}
    characters, why_not = characters_of(run.directory)
    chosen = frequencies(run.directory).get(run.last_step, ())[:MOST_CLOCKS] if characters else ()
    steps = kept_steps(run, most_frames(measured, len(chosen), characters))
    made = {
        "run": run.label,
        "view": view,
        "steps": steps,
        "of": len(run.course),
        "moments": [{"step": step, "label": word} for step, word in moments(run)],
        **bars_of(steps, measured),
        "spectrum": spectrum_of(run, steps),
        "planes": [],
        "why_not": why_not,
    }
    return made | (circles_of(run, steps, chosen, characters) if characters and chosen else {})


def most_frames(measured: Mapping[int, Measurement], planes: int, characters: Characters | None) -> int:
    """The number of frames that fit on the page."""
    bars = max((2 * min(len(m.diagrams.finite[1]), MOST_BARS) + m.facts.points for m in measured.values()), default=0)
    order = characters.order if characters else 0
    return int(min(MOST_FRAMES, max(2, MOST_NUMBERS // (bars + 2 * planes * order + order // 2 or 1))))


def kept_steps(run: Trained, most: int) -> list[int]:
    """The steps of a run, at most about ``most`` of them, spread evenly; its moments are always among them."""
    steps = list(run.course.steps) if run.course else []
    return thinned(steps, most, always=[step for step, _ in moments(run)])


def thinned(steps: Sequence[int], most: int, always: Sequence[int] = ()) -> list[int]:
    """At most ``most`` evenly spaced steps with both ends, and those requested.

    >>> thinned(range(0, 100, 10), 4, always=[40])
    [0, 30, 40, 60, 90]
    """
    if len(steps) <= most:
        return list(steps)
    return sorted({*(steps[i] for i in evenly(len(steps), most)), *always})


# Bars


def bars_of(steps: Sequence[int], measured: Mapping[int, Measurement]) -> dict[str, Any]:
    """H0 and H1 of the followed cloud at each step; empty where a cloud could not be measured."""
    found = [measured.get(step) for step in steps]
    loops = [longest_first(m.diagrams.finite[1]) if m else np.empty((0, 2)) for m in found]
    return {
        "bars": [all_rounded(bars[:MOST_BARS]) for bars in loops],
        "left_out": [max(0, len(bars) - MOST_BARS) for bars in loops],
        "essential": [all_rounded(m.diagrams.essential[1]) if m else [] for m in found],
        "zero": [all_rounded(m.diagrams.finite[0][:, 1]) if m else [] for m in found],
    }


def longest_first(bars: Float[np.ndarray, "m 2"]) -> Float[np.ndarray, "m 2"]:
    """Bars by their lifetime."""
    return bars[np.argsort(bars[:, 0] - bars[:, 1], kind="stable")]


def spectrum_of(run: Trained, steps: Sequence[int]) -> list[Any] | None:
    """The shares of all frequencies at each step; None for a task without a Fourier basis."""
    found = spectra(run)
    if found is None:
        return None
    known = dict(zip(found[0], found[1].T, strict=True))
    return [all_rounded(known[step]) if step in known else None for step in steps]


# Circles


def circles_of(run: Trained, steps: Sequence[int], chosen: tuple[int, ...], characters: Characters) -> dict[str, Any]:
    """The planes of these frequencies at each step, with colours, lines and names, and pairs of their cosines."""
    seen = [clocks_at(run, step, chosen, characters) for step in steps]
    if not all(seen):
        return {"why_not": "the network has no embedding that could be laid on circles"}
    rows = read_checkpoint(run.directory, run.last_step).embedding_rows
    width = 0 if rows is None else rows.shape[1]
    return {
        "planes": [plane_record(run, [clocks[i] for clocks in seen], steps, characters) for i in range(len(chosen))],
        "residues": elements(characters).tolist(),
        "logarithms": bool((characters.members[np.argsort(characters.places)] != np.arange(characters.order)).any()),
        "wheel": [to_hex(AROUND(hour / characters.order)) for hour in range(characters.order)],
        "chance": rounded(order_by_chance(characters.order, width)),
        "pairs": [pair_record(characters.order, *pair) for pair in combinations(enumerate(chosen[:OF_PAIRS]), 2)],
    }


def plane_record(run: Trained, clocks: Sequence[Clock], steps: Sequence[int], characters: Characters) -> dict[str, Any]:
    """One plane along the steps; ``joined`` are the places in the order in which the angle advances."""
    frequency = clocks[0].frequency
    return {
        "frequency": frequency,
        "share": all_rounded([one.share for one in clocks]),
        "order": all_rounded([one.order for one in clocks]),
        "loop": loops_along(run, frequency, steps),
        "joined": around(characters.order, frequency).tolist(),
        "x": [all_rounded(one.points[:, 0]) for one in clocks],
        "y": [all_rounded(one.points[:, 1]) for one in clocks],
    }


def loops_along(run: Trained, frequency: int, steps: Sequence[int]) -> list[float | None]:
    """H1 max of the plane of a frequency, at the steps where it was among the strongest and so was measured."""
    if run.course is None:
        return []
    ranks = {
        step: found.index(frequency) + 1 for step, found in frequencies(run.directory).items() if frequency in found
    }
    place = {step: i for i, step in enumerate(run.course.steps)}
    return [
        rounded(float(run.course[f"plane_{ranks[step]}_H1_max_lifetime"][place[step]])) if step in ranks else None
        for step in steps
    ]


def pair_record(order: int, one: tuple[int, int], other: tuple[int, int]) -> dict[str, Any]:
    """Two planes by index, the stride at which both turn slowest, and how often they then turn."""
    stride, first, second = slowest(order, one[1], other[1])
    return {"planes": [one[0], other[0]], "stride": stride, "turns": [first, second]}
