"""A growth in words: its three numbers with their intervals, and whether it is one of scale or of shape."""

import math

from todacomm.report.claimed import bracketed, growth_interval, holds_one
from todacomm.report.reading import SAME, number, share, times
from todacomm.types import Growth, Profile


def factorisation(growth: Growth, profile: Profile | None = None) -> str:
    """The three numbers that are always given together, with their intervals where a profile has them."""
    ratio, scale, shape = (
        f"{number(getattr(growth, part))}{bracketed(growth_interval(profile, growth, part) if profile else None)}"
        for part in ("ratio", "scale", "shape")
    )
    return f"expansion {ratio} = scale growth {scale} × shape growth {shape}"


def which_factor(growth: Growth, profile: Profile | None = None) -> str:
    """Whether scale or shape makes the expansion: what their intervals leave open, else the sizes of their logarithms."""
    if not min(growth.scale, growth.shape) > 0:
        return ""
    return (unshown(growth, profile) if profile else "") or by_size(growth)


def unshown(growth: Growth, profile: Profile) -> str:
    """Which factor has an interval that holds 1; empty where neither has."""
    kept = {part: holds_one(growth_interval(profile, growth, part)) for part in ("scale", "shape")}
    if kept["scale"] and kept["shape"]:
        return "Neither the scale of the cloud nor its shape is shown to change: both intervals hold 1."
    if kept["shape"]:
        return "The change is one of scale; that the shape changes too is not shown, its interval holds 1."
    if kept["scale"]:
        return "The change is one of shape; that the scale changes too is not shown, its interval holds 1."
    return ""


def by_size(growth: Growth) -> str:
    """Which factor makes most of the change."""
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
