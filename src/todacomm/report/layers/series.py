"""What figures and pages draw of a profile, as arrays: numbers along the layers or the steps, NaN where there is none.

Loads no matplotlib, so that pages need none.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from todacomm.core.inference_types import LoopBar, NullTest
from todacomm.core.types import Bars, Measurement, Profile
from todacomm.homology.metrics import SCALED
from todacomm.report.words import phrases

Along = Float[np.ndarray, " L"]
LOG_RANGE = 50  # values that span more than this factor are drawn on a log axis
SPREADS = 2  # standard deviations of the null that its band reaches to either side


def places(profile: Profile) -> Along:
    """Where the measurements stand along the axis: layers one after the other, checkpoints at their steps."""
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
    """The tests of a number along the layers, of a scale-free one those of the number itself; empty where no null was drawn."""
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
    return profile.claims.loops.get(measurement.address.layer, ()) if profile.claims else ()


def loops_of(profile: Profile, measurement: Measurement) -> Sequence[LoopBar]:
    """The bars of a layer that are loops: they stand out of their group as well."""
    return [bar for bar in standing_out(profile, measurement) if bar.found]


def signal_bars(profile: Profile, measurement: Measurement) -> Bool[np.ndarray, " m"] | None:
    """Which bars of H1 are loops; None where no null was drawn."""
    if profile.claims is None or "gaussian" not in profile.claims.tests:
        return None
    found = {(bar.birth, bar.death) for bar in loops_of(profile, measurement)}
    return np.array([tuple(bar) in found for bar in measurement.diagrams.finite[1].tolist()], dtype=bool)


def longest(bars: Bars, most: int, always: Bool[np.ndarray, " m"] | None = None) -> Int[np.ndarray, " k"]:
    """The places of the ``most`` longest bars, ascending, and of those that are to be shown ``always``; of equal ones the first."""
    chosen = np.argsort(bars[:, 0] - bars[:, 1], kind="stable")[:most]
    return np.union1d(chosen, np.flatnonzero(always)) if always is not None else np.sort(chosen)
