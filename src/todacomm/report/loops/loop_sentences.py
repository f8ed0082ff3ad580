"""Loops in sentences: at which layers, what runs around them, which go on, and why there are none elsewhere."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

from todacomm.cohomology.association import Association
from todacomm.cohomology.curve import arc_of
from todacomm.core.inference_types import ALPHA, at_most_alpha
from todacomm.records.loops import FoundLoop, LoopsOfLayer, LoopsRecord
from todacomm.report.document.style import cut
from todacomm.report.loops.chains import Chain, chains, followed
from todacomm.report.loops.texts_around import text_of
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.phrases import layer_list, listed, padded, plural

MOST_TOLD, TEXTS, LETTERS = 3, 3, 32
T = TypeVar("T")


def loop_sentences(record: LoopsRecord) -> list[str]:
    """What was found, in plain words, the answer first."""
    found = [(layer, i) for layer in record.layers for i in range(len(layer.loops))]
    if not found:
        return [none_at_all(record)]
    where = [layer for layer in record.layers if layer.loops]
    of = f"{len(where)} of {plural(len(record.layers), record.along)}: " if len(record.layers) > 1 else ""
    first = f"{plural(len(found), 'loop')} at {of}{layer_list([layer.layer for layer in where])}."
    return [first, *of_each(record), *([of_passages(record)] if followed(record) else [])]


def none_at_all(record: LoopsRecord) -> str:
    """No layer has a loop, and what that means."""
    where = f"any of {plural(len(record.layers), record.along)}" if len(record.layers) > 1 else record.layers[0].layer
    return f"No loop is shown at {where}. That is no evidence that there is none: {record.layers[0].reasons[0]}."


def of_each(record: LoopsRecord) -> Iterator[str]:
    """The surest loops, one sentence each."""
    found = [(layer, i) for layer in record.layers for i in range(len(layer.loops))]
    surest = sorted(found, key=lambda one: sureness(one[0].loops[one[1]]))
    for layer, i in surest[:MOST_TOLD]:
        yield of_loop(record, layer, i)
    if len(found) > MOST_TOLD:
        yield f"{plural(len(found) - MOST_TOLD, 'more loop')}: see the tables."


def sureness(one: FoundLoop) -> tuple[float, float]:
    """Loops in the order in which they are told: by their p-value, then by how long they live."""
    return (1.0 if one.p is None else one.p, -one.death / one.birth)


def of_loop(record: LoopsRecord, layer: LoopsOfLayer, i: int) -> str:
    """The size of a loop, what runs around it, and some texts on it."""
    one, unit = layer.loops[i], layer.median or 1.0
    tested = "untested" if one.p is None else f"p {p_text(one.p)}"
    ends = f"{padded(one.birth / unit, 2)} to {padded(one.death / unit, 2)} of the median distance"
    size = f"through {plural(len(one.cycle), 'point')} among {one.points:,}, from {ends} ({tested})"
    texts = ", ".join(f"“{cut(text_of(row, record.texts), LETTERS)}”" for row in spread(one.cycle, TEXTS))
    on_it = f" On it, in order: {texts}." if record.texts else ""
    return f"Loop {i + 1} of {layer.layer} runs {size}{crowding(one)}; {of_properties(one)}.{on_it}"


def crowding(one: FoundLoop) -> str:
    """That most points stand on a part of the loop, where the shortest arc with 90 % of them is half a turn or less."""
    arc = arc_of(one.angles)
    return f"; few go around it, for 90 % of them stand within {degrees(arc)}" if arc <= math.pi else ""


def degrees(arc: float) -> str:
    """An arc in degrees."""
    return f"{math.degrees(arc):.0f}°"


def spread(rows: Sequence[T], count: int) -> list[T]:
    """Some of a sequence, evenly."""
    return [rows[i * len(rows) // count] for i in range(count)] if len(rows) > count else list(rows)


def of_properties(one: FoundLoop) -> str:
    """What runs around a loop."""
    around = running(one)
    if not around:
        tested = sum(found.adjusted is not None for found in one.properties)
        return f"none of {plural(tested, 'property', 'properties')} runs around it" if tested else "nothing was tested"
    told = [f"{found.name} ({found.strength:.2f}, p {p_text(found.adjusted)})" for found in around[:MOST_TOLD]]
    return f"{listed(told)} {'runs' if len(told) == 1 else 'run'} around it"


def running(one: FoundLoop) -> list[Association]:
    """The properties that run around a loop, the surest first."""
    return [found for found in one.properties if found.adjusted is not None and at_most_alpha(found.adjusted)]


def of_passages(record: LoopsRecord) -> str:
    """Which loops go on through layers, and how far."""
    longer = sorted((chain for chain in chains(record) if chain.passages), key=lambda chain: -len(chain.nodes))
    if not longer:
        return f"No loop goes on in the next {record.along}."
    told = "; ".join(of_chain(record, chain) for chain in longer[:MOST_TOLD])
    more = f"; and {len(longer) - MOST_TOLD} more" if len(longer) > MOST_TOLD else ""
    go = "goes" if len(longer) == 1 else "go"
    return f"{plural(len(longer), 'loop')} {go} on through {record.along}s: {told}{more}."


def of_chain(record: LoopsRecord, chain: Chain) -> str:
    """From which layer to which a loop goes on."""
    (first, place), (last, _) = chain.nodes[0], chain.nodes[-1]
    layers = [record.layers[i].layer for i in (first, last)]
    return f"loop {place + 1} of {layers[0]} through {plural(len(chain.nodes), record.along)} up to {layers[1]}"


def reasons_of(record: LoopsRecord) -> list[str]:
    """Why layers have no loop, or why one was refused; layers of one reason together."""
    by_reason: dict[str, list[str]] = {}
    for layer in record.layers:
        for reason in layer.reasons:
            by_reason.setdefault(reason, []).append(layer.layer)
    return [f"{layer_list(layers)}: {reason}" for reason, layers in by_reason.items()]


TERMS = {
    "Loop": "points that are joined all around once those closer than a distance are joined, and not yet filled: a "
    "class of H1. It is born at the distance that closes the ring and dies at the distance that fills it.",
    "Offered": f"a loop that Gaussian clouds of the same covariance do not have (p at most {ALPHA}), and whose angle "
    "takes no step of half a turn.",
    "Angle": "where on the loop a point is, from 0° to 360°, found without labels by integer cohomology.",
    "Shortest cycle": "the points that go around the loop once, by the shortest way.",
    "Property": "a number, a category or an angle of each text that is held against the angle: strength 0 is nothing, "
    "1 all. p is by permuted texts, within articles where they are known; adjusted over all properties.",
    "Winding number": "how often the texts of a cycle go around a loop of the next layer: 1 or −1 where the loop goes "
    "on, 0 where it does not.",
}
