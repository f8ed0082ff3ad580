"""Loops in words and table cells: where there are any, through how many points, in which group, and at what distance.

The verdict is made once, in `todacomm.statistics.loop_test`; terminal, reports, pages and figures all ask here.
"""

from collections.abc import Sequence

from todacomm.core.inference_types import LoopBar, NullTest
from todacomm.core.types import Measurement, Profile
from todacomm.report.layers.series import loops_of, loops_of_centroids, standing_out
from todacomm.report.words import phrases
from todacomm.report.words.intervals_and_nulls import p_text, the_test
from todacomm.report.words.phrases import layer_list, padded, plural
from todacomm.statistics.loop_power import over_median, smallest_radius
from todacomm.statistics.loop_test import CENTROID_LOOP, LOOP

MOST_TOLD = 3
RULE = (
    "larger, in death / birth and beside the other bars, than in Gaussian clouds with the covariance of its layer, and "
    "than in Gaussian and evenly filled ones of its own group of points"
)
NO_EVIDENCE = "That is no evidence that there is none."


def loop_tests_of(profile: Profile, name: str = LOOP) -> dict[str, NullTest]:
    """Layer → its loop test, of all points or of centroids, for every layer that has one with a p-value."""
    found = {m.address.layer: the_test(m, profile, name) for m in profile.measurements}
    return {layer: test for layer, test in found.items() if test is not None and test.p is not None}


def loop_sentences(profile: Profile) -> list[str]:
    """Report loops: at which reliable layers, how large, and what was tested; empty without tests."""
    tests = loop_tests_of(profile)
    if not tests:
        return []
    doubtful = [layer for layer in tests if profile.at(layer).facts.doubtful]
    known = {layer: test for layer, test in tests.items() if layer not in doubtful}
    said = [in_found(profile, known) or in_none(profile, known)] if known else []
    if aside := [layer for layer in known if not known[layer].found and standing_out(profile, profile.at(layer))]:
        said.append(in_groups(profile, aside))
    said += filter(None, [among_centroids(profile), smallest_seen(profile)])
    if doubtful:
        said.append(in_doubtful(profile, {layer: tests[layer] for layer in doubtful}))
    return said


def in_found(profile: Profile, tests: dict[str, NullTest]) -> str:
    """The layers with loops, and the loops that stand out most; empty where there is none."""
    found = {layer: test for layer, test in tests.items() if test.found}
    if not found:
        return ""
    bars = [(bar, layer) for layer in found for bar in loops_of(profile, profile.at(layer))]
    loops = "Loops" if len(bars) > 1 else "Loop"
    return (
        f"{loops} at {layer_list(list(found))} ({over(tests)}): {the_best(profile, bars)}. "
        f"A loop is a bar of H1 that is {RULE}."
    )


def the_best(profile: Profile, bars: Sequence[tuple[LoopBar, str]]) -> str:
    """The loops with the smallest p-values, each with its layer where there are several."""
    best = sorted(bars, key=lambda x: x[0].p)
    where = "at {} " if len({layer for _, layer in bars}) > 1 else ""
    told = "; ".join(
        f"{where.format(layer)}{size(profile, bar)} (p {p_text(bar.p)})" for bar, layer in best[:MOST_TOLD]
    )
    return told + (f"; and {len(best) - MOST_TOLD} more" if len(best) > MOST_TOLD else "")


def among_centroids(profile: Profile) -> str:
    """The loops among centroids of the reliable layers; empty where these were not tested."""
    tests = reliable(profile, CENTROID_LOOP)
    if not tests:
        return ""
    found = [layer for layer, test in tests.items() if test.found]
    where = f"Among the centroids of {phrases.noun(profile)}s that lie together, where noise is less,"
    if not found:
        return f"{where} no loop is shown (smallest p {p_text(smallest_p(tests))}, {over(tests)})."
    bars = [(bar, layer) for layer in found for bar in loops_of_centroids(profile, profile.at(layer))]
    loops = "loops are" if len(bars) > 1 else "a loop is"
    return f"{where} {loops} at {layer_list(found)} ({over(tests)}): {the_best(profile, bars)}."


def smallest_seen(profile: Profile) -> str:
    """The smallest circle that the test of centroids would find at the reliable layers; empty where it is not known."""
    radii = {layer: radius for layer in reliable(profile, CENTROID_LOOP) if (radius := radius_seen(profile.at(layer)))}
    if not radii:
        return ""
    low, high = (padded(end(radii.values()), 2) for end in (min, max))
    least = low if low == high else f"{low} to {high}, by {profile.along},"
    return (
        f"A circle that all {phrases.noun(profile)}s lie on would be found among centroids nine times in ten if its "
        f"radius were at least {least} of the median distance."
    )


def radius_seen(m: Measurement) -> float | None:
    """The radius of the smallest circle that the test of centroids would find, over the median distance."""
    dimensions = m.facts.participation_ratio
    radius = dimensions and smallest_radius(m.facts.distinct_points, dimensions)
    return over_median(radius, dimensions) if radius and dimensions else None


def smallest_p(tests: dict[str, NullTest]) -> float:
    """The smallest p-value of some layers, of several the family-wise."""
    return min(test.family_wise for test in tests.values() if test.family_wise is not None)


def reliable(profile: Profile, name: str) -> dict[str, NullTest]:
    """Layer → its loop test, for the reliable layers."""
    return {layer: test for layer, test in loop_tests_of(profile, name).items() if not profile.at(layer).facts.doubtful}


def in_none(profile: Profile, tests: dict[str, NullTest]) -> str:
    """State that no loop is shown, with the smallest p-value."""
    where = "here" if phrases.single(profile) else f"at any of {plural(len(tests), 'reliable layer')}"
    p = f"smallest p {p_text(smallest_p(tests))}, {over(tests)}"
    if any(test.found for test in reliable(profile, CENTROID_LOOP).values()):
        return f"Single {phrases.noun(profile)}s show no loop {where}: no bar of H1 is {RULE} ({p})."
    return f"No loop is shown {where}: no bar of H1 is {RULE} ({p}). {NO_EVIDENCE}"


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
    """Report the loop tests of one layer, of all points and of centroids; empty without a test."""
    return " ".join(filter(None, [loop_of_points(profile, m), loop_of_centroids(profile, m)]))


def loop_of_centroids(profile: Profile, m: Measurement) -> str:
    """The loop test of the centroids of one layer; empty for a doubtful one, or without a test."""
    test = reliable(profile, CENTROID_LOOP).get(m.address.layer)
    if test is None:
        return ""
    bars = [(bar, m.address.layer) for bar in loops_of_centroids(profile, m)]
    p = f"p {p_text(test.family_wise)}, {over({m.address.layer: test})}"
    return f"Among centroids: {the_best(profile, bars)}." if bars else f"Among centroids no loop is shown ({p})."


def loop_of_points(profile: Profile, m: Measurement) -> str:
    """The loop test of all points of one layer; empty without a test."""
    test = loop_tests_of(profile).get(m.address.layer)
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
    through = f"{around} of {bar.centroids} centroids" if bar.centroids else plural(around, kind)
    if group < whole:
        through += f" inside a group of {group:,} of {whole:,}" + (f" {kind}s" if bar.centroids else "")
    elif not bar.centroids:
        through = f"{around} of all {plural(whole, kind)}"
    return f"one through {through}, from {distances(bar)} of the median distance"


def distances(bar: LoopBar) -> str:
    """Birth and death over the median distance."""
    return f"{padded(bar.birth / bar.median, 2)} to {padded(bar.death / bar.median, 2)}"


def loop_cell(profile: Profile, m: Measurement) -> str:
    """The p-values of a layer in a table: of all points, then of centroids."""
    test, centroids = (the_test(m, profile, name) for name in (LOOP, CENTROID_LOOP))
    if test is None or test.family_wise is None:
        return "–"
    known = [one.family_wise for one in (test, centroids) if one is not None and one.family_wise is not None]
    return " · ".join(map(p_text, known))
