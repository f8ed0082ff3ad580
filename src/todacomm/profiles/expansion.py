"""Compute the expansion of a model and split it exactly: H0 ratio = scale ratio × shape ratio."""

from collections.abc import Callable, Sequence

from todacomm.clouds.distances import median
from todacomm.clouds.prepare import PreparedCloud, spanning_tree_length
from todacomm.core.recipe import FEWEST_POINTS
from todacomm.core.types import Expansion, Growth, Measurement, is_block

SHAPE = "H0_total_persistence_scaled"
Ready = Callable[[str], PreparedCloud | None]  # prepares the cloud of a layer when it is needed


def expansions_of(measurements: Sequence[Measurement], ready: Ready) -> tuple[Expansion, ...]:
    """Compute the expansion against two baselines: ``embedding`` and the first reliable layer.

    The H0 ratio is the largest H0 total over the blocks ``layer_0`` … ``layer_{L-1}``, divided by that of the
    baseline; ``final``, after the norm, does not count. Empty without a block.
    """
    layers = {m.address.layer: m for m in measurements}
    blocks = [m for m in measurements if is_block(m.address.layer)]
    if not blocks:
        return ()
    sound = next((layer for layer, m in layers.items() if layer != "final" and not m.facts.doubtful), None)
    return (
        expansion(layers.get("embedding"), "embedding", blocks, ready, missing="the embedding layer was not measured"),
        expansion(layers.get(sound or ""), sound or "", blocks, ready, missing="no layer has a sound cloud"),
    )


def expansion(
    baseline: Measurement | None,
    name: str,
    blocks: Sequence[Measurement],
    ready: Ready,
    *,
    missing: str,
) -> Expansion:
    """Compute the expansion from one baseline; a degenerate baseline gives the reason in place of numbers."""
    if baseline is None:
        return Expansion(name, None, None, None, reason=missing)
    if blocks == [baseline]:
        return Expansion(name, None, None, None, reason=f"no block but {name} was measured")
    if baseline.facts.undefined:
        return Expansion(name, None, None, None, reason=f"{name}: {baseline.facts.undefined}")
    if any(m.facts.points != baseline.facts.points for m in blocks):
        return Expansion(name, None, None, None, reason="the layers have different numbers of points")
    peak = max(blocks, key=total_of)
    if peak.facts.undefined:
        return Expansion(name, None, None, None, reason=f"{peak.address.layer}: {peak.facts.undefined}")
    shapeliest = max(blocks, key=shape_of)
    doubts = {m.address.layer: m.facts.doubtful for m in (baseline, peak) if m.facts.doubtful}
    return Expansion(
        baseline=name,
        growth=growth(baseline, peak),
        largest_shape=growth(baseline, shapeliest),
        matched=matched_growth(baseline, peak, ready),
        doubt="; ".join(f"{layer}: {doubt}" for layer, doubt in doubts.items()),
    )


def growth(baseline: Measurement, peak: Measurement) -> Growth:
    """Compute the growth between two measured layers on all of their points."""
    scale = peak.facts.scale / baseline.facts.scale
    shape = shape_of(peak) / shape_of(baseline)
    return Growth(baseline.address.layer, peak.address.layer, baseline.facts.points, scale * shape, scale, shape)


def shape_of(measurement: Measurement) -> float:
    """H0 total over the median distance; 0 where it is undefined."""
    return measurement.summary[SHAPE] or 0.0


def total_of(measurement: Measurement) -> float:
    """H0 total in activation units, also where the recipe normalised the distances."""
    return shape_of(measurement) * measurement.facts.scale


def matched_growth(baseline: Measurement, peak: Measurement, ready: Ready) -> Growth | None:
    """Compute the growth on one text for each unique baseline point, the same texts in both layers.

    None where both layers have equally many unique points, where fewer than three are left, without the clouds, and
    with landmarks, which are other texts in each layer.
    """
    if baseline.facts.distinct_points == peak.facts.distinct_points or baseline.facts.landmarks_of is not None:
        return None
    first, second = ready(baseline.address.layer), ready(peak.address.layer)
    if first is None or second is None:
        return None
    chosen = first.first_of_each_kind()
    below, above = first.restricted(chosen) * first.unit, second.restricted(chosen) * second.unit
    if len(chosen) < FEWEST_POINTS or not (median(below) > 0 and median(above) > 0):
        return None
    ratio = spanning_tree_length(above) / spanning_tree_length(below)
    scale = median(above) / median(below)
    return Growth(first.address.layer, second.address.layer, len(chosen), ratio, scale, ratio / scale)
