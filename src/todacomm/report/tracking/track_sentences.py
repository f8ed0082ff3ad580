"""What is said of a track: which layer changes first, when two series part, which checkpoints are one."""

import math
from collections.abc import Iterator

from todacomm.comparison.partings import Parted
from todacomm.core.inference_types import at_most_alpha
from todacomm.report.loops.chains import chains
from todacomm.report.tracking.numbers import called
from todacomm.report.tracking.parting_charts import layer_of
from todacomm.report.tracking.read_track import TrackedSeries, TrackFindings
from todacomm.report.tracking.track_charts import LOOP_TEST
from todacomm.report.words.phrases import layer_list, listed, number, plural
from todacomm.statistics.changepoints import FEWEST_OF_A_CHANGE, Change

LEADING = ("H0_total_persistence_scaled", "distinct_points", "scale")  # of whose onsets the first sentence speaks


def sentences(found: TrackFindings) -> Iterator[str]:
    """The answer: one sentence a series, then partings and loops."""
    for one in found.series:
        yield from of_series(one, named=len(found.series) > 1)
    for parted in found.parted:
        yield told_of_parting(parted)
    for one in found.series:
        yield from told_of_loops(one, f"{one.name}: a" if len(found.series) > 1 else "A")


def of_series(one: TrackedSeries, *, named: bool) -> Iterator[str]:
    """Which layer changes first, and whether the model still learned."""
    who = f"{one.name}: " if named else ""
    count = plural(len(one.trajectory), "checkpoint" if one.ordered else "model")
    if not one.ordered:
        yield f"{who}{count} side by side, in the order in which they were given; no onset is sought in that order."
        return
    if len(one.trajectory) < FEWEST_OF_A_CHANGE:
        yield f"{who}{count}; the onset of a change takes at least {FEWEST_OF_A_CHANGE}."
        return
    changed = [name for name in LEADING if any(of.found and of.number == name for of in one.onsets)]
    if not changed:
        yield f"{who}no layer shows a change of its shape or size over {count}."
    for name in sorted(changed, key=lambda name: -largest(one, name)):
        yield begun(who, told_of_onsets(one, name))
    if told := told_of_language(one):
        yield begun(who, told)


def begun(who: str, told: str) -> str:
    """A sentence behind the name of its series, or with a capital."""
    return who + told if who else f"{told[:1].upper()}{told[1:]}"


def told_of_onsets(one: TrackedSeries, name: str) -> str:
    """The largest change of a number with its onset, at how many layers it changes, and where first."""
    of = [found for found in one.onsets if found.number == name]
    known = [(found.layer, found.change) for found in of if found.found and found.change is not None]
    layer, change = max(known, key=lambda pair: size_of(pair[1]))
    way = "rises" if change.after > change.before else "falls"
    told = (
        f"{called(name)} {way} most at {layer}, from {number(change.before, 3)} to {number(change.after, 3)}: that "
        f"begins after step {change.low:,} and by step {change.high:,} (95 % interval)"
    )
    first, earliest = min(known, key=lambda pair: (pair[1].step, pair[1].high))
    others = f"; it changes at {len(known)} of {plural(len(of), 'layer')}" if len(known) > 1 else ""
    ends = f"after step {earliest.low:,}, by step {earliest.high:,}"
    before = f", first at {first} ({ends})" if earliest.high <= change.low else ""
    return f"{told}{others}{before}."


def largest(one: TrackedSeries, name: str) -> float:
    """The size of the largest change of a number."""
    return max(size_of(found.change) for found in one.onsets if found.found and found.change and found.number == name)


def size_of(change: Change) -> float:
    """How large a change is: the logarithm of its ratio, or for levels not positive its share of the larger."""
    low, high = sorted((abs(change.before), abs(change.after)))
    if min(change.before, change.after) > 0:
        return math.log(high / low)
    return abs(change.after - change.before) / high if high else 0.0


def largest_of(one: TrackedSeries) -> tuple[str, str] | None:
    """The number and the layer of the largest change of shape or size; None without one."""
    known = [(found, found.change) for found in one.onsets if found.found and found.change and found.number in LEADING]
    best = max(known, key=lambda pair: size_of(pair[1]), default=None)
    return None if best is None else (best[0].number, best[0].layer)


def told_of_language(one: TrackedSeries) -> str:
    """Bits per byte, or the loss, at the first and the last checkpoint."""
    labels = {"bits_per_byte": "bits per byte", "masked_loss": "the loss in nats", "loss": "the loss in nats"}
    known = next((name for name in labels if name in one.trajectory.of_model), None)
    if known is None:
        return ""
    first, *_, last = one.trajectory.of_model[known].tolist()
    way = "fall" if last < first else "rise"
    verb = way if known == "bits_per_byte" else f"{way}s"
    return f"{labels[known]} on the same texts {verb} from {number(first, 3)} to {number(last, 3)}."


def told_of_parting(of: Parted) -> str:
    """When two series part."""
    both = f"{of.first} and {of.second}"
    if of.refused:
        return f"{both} are not compared: {of.refused}."
    good = [(one.for_good, one) for one in of.partings if one.for_good is not None]
    if not good:
        ever = [one for one in of.partings if one.first is not None]
        some = f"; they differ at some step at {plural(len(ever), 'layer')}, but not at the last" if ever else ""
        return f"No layer of {both} parts for good in {called(of.number)}{some}."
    step, first = min(good, key=lambda pair: pair[0])
    how = "paired by text" if of.how == "paired" else "unpaired"
    differing = sum(one.first is not None for one in of.partings)
    return (
        f"{both} part in {called(of.number)} first at {layer_of(first)}: from step {step:,} on they differ at every "
        f"checkpoint ({how}, p adjusted over {plural(len(first.steps), 'step')} and "
        f"{plural(len(of.partings), 'layer')}). They differ at some step at {plural(differing, 'layer')}, and to the "
        f"end at {len(good)}."
    )


def told_of_loops(one: TrackedSeries, begin: str) -> Iterator[str]:
    """At which steps loops are shown, and whether one goes on."""
    p = one.trajectory.p_values.get(LOOP_TEST)
    if p is not None:
        layers = [name for name, column in zip(one.trajectory.layers, p.T.tolist(), strict=True)
                  if any(at_most_alpha(value) for value in column)]  # fmt: skip
        steps = sum(any(at_most_alpha(value) for value in row) for row in p.tolist())
        if layers:
            yield (
                f"{begin} loop is shown at {plural(steps, 'step')} of {len(one.trajectory)}, at "
                f"{layer_list(layers)} (family-wise over the layers of a step, not over steps)."
            )
    if one.loops is not None:
        longest = max(chains(one.loops), key=lambda chain: len(chain.nodes), default=None)
        if longest is not None and len(longest.nodes) > 1:
            first, last = (
                one.loops.layers[place].layer.removeprefix("step_") for place in (longest.begin, longest.end)
            )
            yield f"{begin} loop of {one.loops.data} goes on from step {first} to step {last}."


def warnings_of(found: TrackFindings) -> Iterator[str]:
    """Checkpoints that failed."""
    for name, why in found.record.failures.items():
        yield f"Not measured: {why if why.startswith(name) else f'{name}: {why}'}"


def repeats_of(found: TrackFindings) -> Iterator[str]:
    """Checkpoints that are the same model."""
    for one in found.series:
        if one.same:
            pairs = listed([f"{label} is {first}" for label, first in one.same.items()])
            yield f"Checkpoints with the same weights, measured once: {pairs}."
