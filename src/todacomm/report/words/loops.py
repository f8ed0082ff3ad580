"""Loops in words and table cells: where there are any, through how many points, in which group, and at what distance.

The verdict is made once, in `todacomm.statistics.loop_test`; terminal, reports, pages and figures all ask here.
"""

from collections.abc import Sequence

from todacomm.core.inference_types import LoopBar, NullTest
from todacomm.core.types import Measurement, Profile
from todacomm.report.layers.series import loops_of, standing_out
from todacomm.report.words import phrases
from todacomm.report.words.intervals_and_nulls import p_text, the_test
from todacomm.report.words.phrases import layer_list, padded, plural
from todacomm.statistics.loop_test import LOOP

MOST_TOLD = 3
RULE = (
    "larger, in death / birth and beside the other bars, than in Gaussian clouds with the covariance of its layer, and "
    "than in Gaussian and evenly filled ones of its own group of points"
)
NO_EVIDENCE = "That is no evidence that there is none."


def tests_of_loops(profile: Profile) -> dict[str, NullTest]:
    """Layer → its loop test, for every layer that has one with a p-value."""
    found = {m.address.layer: the_test(m, profile, LOOP) for m in profile.measurements}
    return {layer: test for layer, test in found.items() if test is not None and test.p is not None}


def loop_sentences(profile: Profile) -> list[str]:
    """Report loops: at which reliable layers, how large, and what was tested; empty without tests."""
    tests = tests_of_loops(profile)
    if not tests:
        return []
    doubtful = [layer for layer in tests if profile.at(layer).facts.doubtful]
    known = {layer: test for layer, test in tests.items() if layer not in doubtful}
    said = [in_found(profile, known) or in_none(profile, known)] if known else []
    if aside := [layer for layer in known if not known[layer].found and standing_out(profile, profile.at(layer))]:
        said.append(in_groups(profile, aside))
    if doubtful:
        said.append(in_doubtful(profile, {layer: tests[layer] for layer in doubtful}))
    return said


def in_found(profile: Profile, tests: dict[str, NullTest]) -> str:
    """The layers with loops, and the loops that stand out most; empty where there is none."""
    found = {layer: test for layer, test in tests.items() if test.found}
    if not found:
        return ""
    best = sorted(
        ((bar, layer) for layer in found for bar in loops_of(profile, profile.at(layer))), key=lambda x: x[0].p
    )
    where = "at {} " if len(found) > 1 else ""
    told = "; ".join(
        f"{where.format(layer)}{size(profile, bar)} (p {p_text(bar.p)})" for bar, layer in best[:MOST_TOLD]
    )
    more = f"; and {len(best) - MOST_TOLD} more" if len(best) > MOST_TOLD else ""
    loops = "Loops" if len(best) > 1 else "Loop"
    return f"{loops} at {layer_list(list(found))} ({over(tests)}): {told}{more}. A loop is a bar of H1 that is {RULE}."


def in_none(profile: Profile, tests: dict[str, NullTest]) -> str:
    """State that no loop is shown, with the smallest p-value."""
    least = min(test.family_wise for test in tests.values() if test.family_wise is not None)
    where = "here" if phrases.single(profile) else f"at any of {plural(len(tests), 'reliable layer')}"
    return (
        f"No loop is shown {where}: no bar of H1 is {RULE} (smallest p {p_text(least)}, {over(tests)}). {NO_EVIDENCE}"
    )


def over(tests: dict[str, NullTest]) -> str:
    """Over how many layers the p-values hold."""
    layers = max(test.layers for test in tests.values())
    return f"family-wise over {plural(layers, 'layer')}" if layers > 1 else "one layer"


def in_groups(profile: Profile, layers: Sequence[str]) -> str:
    """The layers at which bars stand out of the layer, and not out of their group."""
    sizes = sorted({len(bar.group) for layer in layers for bar in standing_out(profile, profile.at(layer))})
    told = f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    return (
        f"At {layer_list(list(layers))} bars of H1 stand out of the layer, but not out of the group of {told} of "
        f"{phrases.counted(profile)} that they lie in: a tight or evenly filled group has such bars without a loop."
    )


def in_doubtful(profile: Profile, tests: dict[str, NullTest]) -> str:
    """The tests of doubtful layers, with the doubt: they carry no verdict."""
    first = list(tests.items())[:MOST_TOLD]
    told = ", ".join(
        f"{layer} (p {p_text(test.family_wise)}; {profile.at(layer).facts.doubtful})" for layer, test in first
    )
    more = f" and {len(tests) - MOST_TOLD} more" if len(tests) > MOST_TOLD else ""
    return f"Tested for loops too, but doubtful as clouds, so without a verdict: {told}{more}."


def loop_sentence(profile: Profile, m: Measurement) -> str:
    """Report the loop test of one layer; empty without a test."""
    test = tests_of_loops(profile).get(m.address.layer)
    if test is None:
        return ""
    tests = {m.address.layer: test}
    if m.facts.doubtful:
        return in_doubtful(profile, tests)
    if test.found:
        bars = loops_of(profile, m)
        more = f"; and {len(bars) - MOST_TOLD} more" if len(bars) > MOST_TOLD else ""
        told = "; ".join(f"{size(profile, bar)} (p {p_text(bar.p)}, {over(tests)})" for bar in bars[:MOST_TOLD])
        return f"Loop: {told}{more}."
    if standing_out(profile, m):
        return (
            f"No loop is shown. {in_groups(profile, [m.address.layer])} (p {p_text(test.family_wise)}, {over(tests)})."
        )
    return f"No loop is shown (p {p_text(test.family_wise)}, {over(tests)}). {NO_EVIDENCE}"


def size(profile: Profile, bar: LoopBar) -> str:
    """Through how many points a loop runs, in which group, and from what distance to what."""
    around, group, whole = len(bar.cycle), len(bar.group), profile.measurements[0].facts.points
    kind = phrases.noun(profile)
    through = (
        f"{around} of all {plural(whole, kind)}"
        if group == whole
        else f"{plural(around, kind)} inside a group of {group:,} of {whole:,}"
    )
    return f"one through {through}, from {distances(bar)} of the median distance"


def distances(bar: LoopBar) -> str:
    """Birth and death over the median distance."""
    return f"{padded(bar.birth / bar.median, 2)} to {padded(bar.death / bar.median, 2)}"


def loop_cell(profile: Profile, m: Measurement) -> str:
    """The p-value of a layer in a table, with the size of its best loop: points around it / points of its group."""
    test = the_test(m, profile, LOOP)
    if test is None or test.family_wise is None:
        return "–"
    best = loops_of(profile, m)[:1]
    return p_text(test.family_wise) + "".join(f": {len(bar.cycle)} in {len(bar.group)}" for bar in best)
