"""A growth in words: its three numbers with their intervals, and whether it is one of scale or of shape."""

import math
from collections.abc import Sequence

from todacomm.core.inference_types import GrowthFactors
from todacomm.core.types import Growth, Profile
from todacomm.report.words.intervals_and_nulls import bracketed, growth_interval, holds_one
from todacomm.report.words.phrases import SAME, number, padded, plural, share, times


def factorisation(growth: Growth, profile: Profile | None = None) -> str:
    """The three numbers that are always given together, with their intervals where a profile has them."""
    ratio, scale, shape = (
        f"{padded(getattr(growth, part))}{bracketed(growth_interval(profile, growth, part) if profile else None)}"
        for part in ("ratio", "scale", "shape")
    )
    return f"expansion {ratio} = scale growth {scale} × shape growth {shape}"


def which_factor(growth: Growth, profile: Profile | None = None, matched: Growth | None = None) -> str:
    """Whether scale or shape makes the expansion: what their intervals leave open, else the sizes of their logarithms.

    Where the baseline has duplicates, ``matched`` is the growth on one text for each unique point. It decides; where
    the two name different factors, neither is claimed.
    """
    if not min(growth.scale, growth.shape) > 0:
        return ""
    if matched is not None and directions(matched) != directions(growth):
        return (
            f"Whether that is scale or shape is left open, for it follows the duplicates of {growth.baseline}: on "
            f"{plural(matched.points, 'text')}, one for each of its distinct points, it is {factorisation(matched)}."
        )
    return (unshown(growth, profile) if profile else "") or by_size(matched or growth)


def directions(growth: Growth) -> tuple[int, ...]:
    """The directions of scale and shape: 1 growth, -1 shrinkage, 0 about the same."""
    logs = (math.log(x) if x > 0 else -math.inf for x in (growth.scale, growth.shape))
    return tuple(0 if abs(x) <= math.log(1 + SAME) else 1 if x > 0 else -1 for x in logs)


def changed(growth: Growth, profile: Profile) -> str:
    """State how H0 total changes, or that no change is significant."""
    if holds_one(growth_interval(profile, growth, "ratio")):
        return f"is not shown to change ({number(growth.ratio, 3)} times; the interval includes 1)"
    return times(growth.ratio)


def unshown(growth: Growth, profile: Profile) -> str:
    """State which factors do not change significantly; empty where both do."""
    kept = {part: holds_one(growth_interval(profile, growth, part)) for part in ("scale", "shape")}
    if kept["scale"] and kept["shape"]:
        return "Neither scale nor shape changes significantly (both intervals include 1)."
    if kept["shape"]:
        return "The change is one of scale; the shape does not change significantly (its interval includes 1)."
    if kept["scale"]:
        return "The change is one of shape; the scale does not change significantly (its interval includes 1)."
    return ""


def by_size(growth: Growth) -> str:
    """State which factor makes most of the change."""
    scale, shape, same = math.log(growth.scale), math.log(growth.shape), math.log(1 + SAME)
    if max(abs(scale), abs(shape)) <= same:
        return "Neither the scale of the cloud nor its shape changes by more than 5 %."
    if abs(shape) <= same:
        return "The change is one of scale: at equal median distance the total stays about the same."
    if abs(scale) <= same:
        return "The change is one of shape: the median distance stays about the same."
    if scale * shape > 0:
        return f"Of this change, {share(scale / (scale + shape), 0)} (in logarithms) is scale and the rest shape."
    return (
        f"The two factors pull apart: the scale {times(growth.scale)}, the total at equal scale {times(growth.shape)}."
    )


# Without training, without order

NULL_PASSES = {
    "untrained": "Before any training, with {0} of random weights, this architecture",
    "text": "On texts whose tokens are in random order ({0}), the model",
}


def null_sentences(profile: Profile, growth: Growth) -> list[str]:
    """How much of an expansion there is without training, or without the order of tokens; none without such nulls."""
    found = profile.claims.null_growths if profile.claims else {}
    return [
        null_sentence(NULL_PASSES.get(null, f"Under the null {null} ({{0}}) the model"), growth, known)
        for null, row in found.items()
        if (known := [one for one in row.get(growth.baseline, ()) if one])
    ]


def null_sentence(begin: str, growth: Growth, passes: Sequence[GrowthFactors]) -> str:
    """The range of the expansion over the passes of a null, and what share of the model's own it is."""
    ratio, scale, shape = (spanned(column) for column in zip(*passes, strict=True))
    told = (
        f"{begin.format(plural(len(passes), 'draw'))} expands {ratio} times from {growth.baseline} (scale growth "
        f"{scale} × shape growth {shape})"
    )
    middle = sorted(one[0] for one in passes)[len(passes) // 2]
    if min(middle, growth.ratio) <= 1 + SAME:
        return f"{told}."
    if middle >= growth.ratio:
        return f"{told}: no less than this model does."
    return (
        f"{told}: {share(math.log(middle) / math.log(growth.ratio), 0)} of the expansion, in logarithms, is there "
        "already."
    )


def spanned(values: Sequence[float]) -> str:
    """From the least to the largest value; one number where they are the same."""
    least, most = (number(f(values), 3) for f in (min, max))
    return least if least == most else f"{least} to {most}"
