"""The chart of loops through layers: a ribbon for each, from where it is born to where it dies."""

from collections.abc import Iterator
from dataclasses import replace

from todacomm.records.loops import LoopsRecord
from todacomm.report.document import style
from todacomm.report.document.chart import Axis, Chart, Charts, Panel, Series, depth_axis, exact, table
from todacomm.report.document.style import cut
from todacomm.report.loops.chains import Chain, State, chains, followed, others
from todacomm.report.loops.texts_around import text_of
from todacomm.report.words.intervals_and_nulls import p_text
from todacomm.report.words.phrases import number

MOST_TICKS, ROW, TOLD = 16, 34, 3
MARKERS: dict[State, str] = {"goes on": "o", "is born": "^", "dies": "v", "is there alone": "D"}
COLOURS = style.PALETTE[:6]

ribbon_charts: Charts[LoopsRecord] = Charts("chart of loops through layers")


@ribbon_charts.register("loops_ribbon")
def ribbon_chart(record: LoopsRecord) -> Iterator[Chart]:
    """Each loop along the layers in which it goes on."""
    found = chains(record)
    if not found or not followed(record):
        return
    rows, layers = max(chain.row for chain in found) + 1, [layer.layer for layer in record.layers]
    at = {node: chain.row for chain in found for node in chain.nodes}
    keys = tuple(Series(label=state, colour=style.GREY, marker=marker, dashes="") for state, marker in MARKERS.items())
    also = Series(label="also goes around", colour=style.GREY, marker="", dashes=":")
    aside = [
        Series((one.layer, one.layer + 1), (at[one.layer, one.source], at[one.layer + 1, one.target]), also.label,
               also.colour, "", also.dashes)
        for one in others(record)
    ]  # fmt: skip
    series = (*aside, *(part for i, chain in enumerate(found) for part in ribbon(record, chain, COLOURS[i % 6])))
    up = Axis("", limits=(rows - 0.4, -0.6), ticks=(), named=True)
    across = replace(depth_axis(layers, most=MOST_TICKS), label=record.along)
    panel = Panel(series, across, up, height=ROW * rows + 30)
    yield Chart(
        "loops_ribbon",
        f"Loops through the {record.along}s",
        f"A ribbon is one loop: the points of its cycle go around a loop of the next {record.along} as well (winding "
        "number not 0, more surely than as many other points). It ends where that holds no more. The number "
        "on a ribbon is the winding number: 1 once around, −1 once the other way.",
        (panel,),
        table((record.along, "loop", "row", "state", "next_loop", "turns", "share", "p"), rows_of(record, found)),
        keys=(*keys, *((also,) if aside else ())),
        heading=f"{record.model} · {record.data}",
        tall=0.55 + 0.32 * rows,
    )


def ribbon(record: LoopsRecord, chain: Chain, colour: str) -> Iterator[Series]:
    """The band of a chain, its marks, and the winding number between two layers."""
    x, y = tuple(float(layer) for layer, _ in chain.nodes), (float(chain.row),) * len(chain.nodes)
    last = len(record.layers) - 1
    looks = tuple((colour, MARKERS[chain.state(i, last)]) for i in range(len(x)))
    told = tuple(told_at(record, chain, i) for i in range(len(x)))
    yield Series(x, y, colour=colour, marker="", width=6.0, strength=0.35)
    yield Series(x, y, colour=colour, dashes="", looks=looks, told=told, size=2.0)
    if chain.passages:
        middles = tuple(place + 0.5 for place in x[:-1])
        turns = tuple(f"{one.turns:+d}".replace("-", "−") for one in chain.passages)
        yield Series(middles, tuple(v - 0.3 for v in y[:-1]), colour=colour, marker="", dashes="", notes=turns)


def told_at(record: LoopsRecord, chain: Chain, i: int) -> tuple[str, ...]:
    """What the page tells of a loop at one of its layers."""
    layer, place = chain.nodes[i]
    found = record.layers[layer].loops[place]
    texts = " · ".join(cut(text_of(row, record.texts), 30) for row in found.cycle[:TOLD])
    said = [f"loop {place + 1} of {record.layers[layer].layer} {chain.state(i, len(record.layers) - 1)}", texts]
    if i < len(chain.passages):
        one = chain.passages[i]
        to = f"loop {one.target + 1} of {record.layers[layer + 1].layer}"
        said.append(
            f"winding number {one.turns} in {to} (share of the way {number(abs(one.share), 2)}, p {p_text(one.p)})"
        )
    return tuple(said)


def rows_of(record: LoopsRecord, found: list[Chain]) -> Iterator[tuple[str, ...]]:
    """Each loop at each layer, for download."""
    for chain in found:
        for i, (layer, place) in enumerate(chain.nodes):
            one = chain.passages[i] if i < len(chain.passages) else None
            on = (
                ("", "", "", "")
                if one is None
                else (str(one.target + 1), str(one.turns), exact(one.share), exact(one.p))
            )
            state = chain.state(i, len(record.layers) - 1)
            yield (record.layers[layer].layer, str(place + 1), str(chain.row), state, *on)
