"""What was found, in one plain paragraph: the first words of the terminal, of Markdown and of the page.

Exact numbers stand in the sentences after it, which `todacomm.report.words.expansion` and `loops` give.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby

from todacomm.comparison.compare import Comparison, ModelRow
from todacomm.core.types import Growth, Number, Profile
from todacomm.report.words import phrases
from todacomm.report.words.expansion import directions
from todacomm.report.words.intervals_and_nulls import growth_interval, holds_one
from todacomm.report.words.loops import reliable
from todacomm.report.words.pairs import verdicts
from todacomm.report.words.phrases import SAME, layer_list, plural
from todacomm.statistics.loop_test import CENTROID_LOOP, LOOP

MOSTLY = 0.9  # of the logarithm of a ratio, from which one factor is said to make nearly all of it
NOT_SHOWN = "which does not show that there is none"


def finding(found: Profile | Comparison) -> str:
    """Say what was found in one plain paragraph: the words with which terminal, report and page begin.

    Of a profile: how far its points spread out along the layers, whether that is a change of size or of shape, and at
    which layers there are loops that noise does not explain. Of a comparison: which model spreads its points out most
    and which least, and by what they differ; of clouds that are no layers of a model, what sets each pair apart.

    Parameters
    ----------
    found : Profile or Comparison
        What `measure`, `run` or `compare` returned, or `load` read back.

    Returns
    -------
    str
        A paragraph without symbols; exact numbers stand in the record.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> angle = 2 * np.pi * np.arange(24) / 24
    >>> td.finding(td.measure(np.c_[np.cos(angle), np.sin(angle)], name="ring"))
    'ring is a cloud of 24 points. It has a loop that noise does not explain.'

    """
    return finding_of_comparison(found) if isinstance(found, Comparison) else finding_of_profile(found)


def finding_of_profile(profile: Profile) -> str:
    """State how far the cloud spreads along the layers, whether by size or shape, and whether it has loops."""
    leading = phrases.leading_expansion(profile)
    growth = leading.growth if leading else None
    if growth is not None and not phrases.single(profile):
        told = [spread_out(profile, growth), size_or_shape(profile, growth, leading.matched if leading else None)]
    else:
        told = [most_spread(profile)]
    return " ".join(filter(None, [*told, loops_found(profile)]))


def points(profile: Profile) -> str:
    """State the number of points, and what one is."""
    return f"the {phrases.counted(profile)}"


def spread_out(profile: Profile, growth: Growth) -> str:
    """State how much longer the tree that joins all points becomes from the baseline to the peak."""
    both = f"{growth.peak} than at {the(growth.baseline)}"
    if holds_one(growth_interval(profile, growth, "ratio")):
        return f"{profile.model} is not shown to spread {points(profile)} out further at {both}."
    if abs(growth.ratio - 1) <= SAME:
        return (
            f"{profile.model} spreads {points(profile)} out about as far at {growth.peak} as at {the(growth.baseline)}."
        )
    times = f"{few(growth.ratio)} times as far at {growth.peak} as at {the(growth.baseline)}"
    return f"{profile.model} spreads {points(profile)} out {times}."


def the(layer: str) -> str:
    """A layer in a sentence."""
    return "the embedding" if layer == "embedding" else layer


def few(ratio: float) -> str:
    """A ratio in two digits: 1.0, 27, 120."""
    return f"{ratio:.1f}" if 0.995 <= ratio < 9.95 else phrases.padded(float(f"{ratio:.2g}"), 2)


def size_or_shape(profile: Profile, growth: Growth, matched: Growth | None) -> str:
    """State whether size or shape makes the change, by the rules of the exact sentence."""
    if not min(growth.scale, growth.shape) > 0 or holds_one(growth_interval(profile, growth, "ratio")):
        return ""
    if matched is not None and directions(matched) != directions(growth):
        return f"Whether it changes in size or in shape depends on which texts coincide at {the(growth.baseline)}."
    size, shape = (holds_one(growth_interval(profile, growth, part)) for part in ("scale", "shape"))
    if size or shape:
        return shown_alone(growth, size=bool(size), shape=bool(shape))
    return by_parts(matched or growth)


def shown_alone(growth: Growth, *, size: bool, shape: bool) -> str:
    """The sentence where the interval of ``size`` or ``shape`` includes 1."""
    if size and shape:
        return "Neither its size nor its shape alone is shown to change."
    if size:
        return "The cloud changes in shape; a change of size is not shown."
    return f"The cloud gets {'larger' if growth.scale > 1 else 'smaller'}; a change of shape is not shown."


def by_parts(growth: Growth) -> str:
    """The sentence by directions and logarithms of the two factors."""
    of_size, of_shape = directions(growth)
    size, shape = math.log(growth.scale), math.log(growth.shape)
    if not of_size and not of_shape:
        return "Neither its size nor its shape changes by more than 5 %."
    if not of_shape:
        return "That is a change of size: the shape stays about the same."
    if not of_size:
        return "That is a change of shape: the size stays about the same."
    if of_size == of_shape:
        return f"{majority(size / (size + shape)).capitalize()}."
    wider, evener = "larger" if size > 0 else "smaller", "more" if shape > 0 else "less"
    return f"The cloud gets {wider}, and at equal size its points are spread out {evener} evenly."


def majority(part: float) -> str:
    """The share of size in a change where both factors act alike."""
    if part >= MOSTLY:
        return "nearly all of that is size"
    if part <= 1 - MOSTLY:
        return "nearly all of that is shape"
    return "more of that is size than shape" if part >= 0.5 else "more of that is shape than size"


def most_spread(profile: Profile) -> str:
    """Where the points are most spread out; what cannot be said of a profile of layers whose expansion is doubtful."""
    if phrases.single(profile):
        return f"{profile.model} is a cloud of {phrases.counted(profile)}."
    if profile.expansions and any(e.growth for e in profile.expansions):
        return f"How far {profile.model} spreads {points(profile)} out is left open: every baseline is doubtful."
    top = phrases.largest(phrases.sound(profile), phrases.H0_RAW)
    if top is None:
        return f"No {profile.along} of {profile.model} is reliable, so nothing is said of it."
    return f"{profile.model} spreads {points(profile)} out furthest at {phrases.position(profile, top)}."


def loops_found(profile: Profile) -> str:
    """At which reliable layers there are loops; empty where none was tested."""
    tests = reliable(profile, LOOP)
    found, among = (
        [layer for layer, test in reliable(profile, name).items() if test.found] for name in (LOOP, CENTROID_LOOP)
    )
    if not tests:
        return ""
    if not found and not among:
        return f"No loop stands out of noise, {NOT_SHOWN}."
    if phrases.single(profile):
        return f"{'It has' if found else 'Its centroids have'} a loop that noise does not explain."
    of_all = [f"Loops that noise does not explain are at {layer_list(found)}."] if found else []
    further = [layer for layer in among if layer not in found]
    only = "" if found else "Loops that noise does not explain are found "
    told = f"{only or 'Some are found '}among centroids alone at {layer_list(further)}."
    return " ".join([*of_all, *([told] if further else [])])


# Several profiles


def finding_of_comparison(comparison: Comparison) -> str:
    """Which model spreads its points out most and which least, and how they differ, for each data and pooling.

    Clouds that are no layers of a model have no expansion: of these what sets each pair apart is said.
    """
    if comparison.pairs and not any(row.baseline for row in comparison.rows):
        return " ".join(verdicts(comparison))
    return " ".join(finding_of_group(data, pooling, rows) for data, pooling, rows in groups(comparison))


def groups(comparison: Comparison) -> list[tuple[str, str, list[ModelRow]]]:
    """Rows that may be set side by side: of one dataset and one pooling, which are their names."""
    keyed = sorted(comparison.rows, key=lambda r: (r.data, r.pooling))
    found = groupby(keyed, key=lambda r: (r.data, r.pooling))
    return [(data, pooling, list(rows)) for (data, pooling), rows in found]


def sound_rows(rows: Iterable[ModelRow]) -> list[ModelRow]:
    """The rows that may carry a sentence."""
    return [r for r in rows if not r.doubt and r.expansion is not None and math.isfinite(r.expansion)]


def finding_of_group(data: str, pooling: str, rows: Sequence[ModelRow]) -> str:
    """The finding on the rows of one dataset and pooling."""
    where = f"On {data}" + ("" if pooling == "given" else f", pooling {pooling}")
    sound = sorted(sound_rows(rows), key=lambda r: r.expansion or 0.0)
    if len(sound) < 2:
        alone = f"only {sound[0].model} has a reliable expansion" if sound else "no model has a reliable expansion"
        return f"{where}, {alone}, so none is ranked above another."
    low, high = sound[0], sound[-1]
    return (
        f"{where}, {high.model} spreads the points out most ({few(high.expansion or 0.0)} times as far at "
        f"{high.peak_layer} as at {the(high.baseline)}) and {low.model} least ({few(low.expansion or 0.0)} times); "
        f"{difference(low, high)}."
    )


def difference(low: ModelRow, high: ModelRow) -> str:
    """Whether two expansions differ in size or in shape."""
    ratio, scale, shape = factors_between(low, high)
    if ratio <= 1 + SAME:
        return "the two are about the same"
    part = math.log(scale) / math.log(ratio) if scale > 0 and shape > 0 else math.nan
    if 0 <= part <= 1:
        return majority(part).replace("that", "the difference")
    return (
        f"{'size' if part > 1 else 'shape'} sets them apart, and {'shape' if part > 1 else 'size'} pulls the other way"
    )


def factors_between(low: ModelRow, high: ModelRow) -> tuple[float, float, float]:
    """How many times one expansion is the other, and so for its growths of scale and of shape."""
    ratio, scale, shape = (
        over(getattr(high, f), getattr(low, f)) for f in ("expansion", "scale_growth", "shape_growth")
    )
    return ratio, scale, shape


def over(above: Number, below: Number) -> float:
    """A ratio of two numbers that may be undefined."""
    return above / below if above is not None and below else math.nan


def take_home(comparisons: Sequence[Comparison]) -> str:
    """One sentence on a study: what the first of its comparisons found, of one data and pooling."""
    data, pooling, rows = groups(comparisons[0])[0]
    models = plural(len({row.model for row in rows}), "model")
    return f"What came out of {models}: {finding_of_group(data, pooling, rows)}"
