"""The charts of a probe: its words on their circle, how the answers turn, and both along the layers."""

from collections.abc import Sequence

from todacomm.circles.causal_test import Turned, turns_of
from todacomm.circles.probed import Probed
from todacomm.core.inference_types import ALPHA, at_most_alpha
from todacomm.report.document import style
from todacomm.report.document.chart import Axis, Chart, Panel, Rule, Series, depth_axis, exact, finite, table
from todacomm.report.document.drawings import Drawings
from todacomm.report.document.turns import colour_of, placebo_series, quarters
from todacomm.report.words.phrases import number

probe_drawings: Drawings[Probed] = Drawings("probe figure")
write_probe_figures = probe_drawings.write

BLUE, ORANGE, BLACK = style.PALETTE[0], style.PALETTE[1], style.PALETTE[6]
MOST_TICKS = 16  # names of layers under a chart


def chart(panel: Panel, header: Sequence[str], rows: Sequence[Sequence[str]], tall: float, *keys: Series) -> Chart:
    """A chart of one panel, which its registration names."""
    return Chart("", "", "", (panel,), table(header, rows), keys=keys, tall=tall)


@probe_drawings.chart(
    "words",
    title="The words on the plane of their order",
    caption="Each word is the mean of its last token over the templates, on the two directions that the order spans "
    "best, at the layer "
    "that is most a circle. A line joins the words in their order; dotted is the way from the last to the first. "
    "The plane is fitted to "
    "the order: judge by the p-value, not by the eye.",
)
def words(found: Probed) -> Chart:
    """The words, joined in their order."""
    xs, ys = zip(*found.plane, strict=True)
    names = found.probe.words
    way = Series((*xs, xs[0]), (*ys, ys[0]), colour=style.GREY, marker="", loose=True)
    looks = tuple((colour_of(turn), "o") for turn in turns_of(len(names)))
    marks = Series(xs, ys, colour=BLUE, dashes="", looks=looks, told=tuple((w,) for w in names), notes=names, size=1.3)
    reach = 1.3 * max(map(abs, (*xs, *ys))) or 1.0
    across, up = (Axis(f"direction {i}", limits=(-reach, reach)) for i in (1, 2))
    rows = [(w, exact(x), exact(y)) for w, x, y in zip(names, xs, ys, strict=True)]
    title = f"{found.model}, {found.layer}"
    return chart(Panel((way, marks), across, up, title=title, height=420, equal=True), ("word", "x", "y"), rows, 4.5)


@probe_drawings.chart(
    "order",
    title="Circle or line, layer by layer",
    caption="Correlation of the distances between the words with those on a circle, and on a line, of the same "
    "order. A filled mark is a "
    "circle: it exceeds every cut of that circle to a line by more than other orders of the words do "
    f"(p at most {ALPHA}, over all layers).",
)
def order(found: Probed) -> Chart:
    """Both correlations along the layers."""
    layers, orders = list(found.orders), list(found.orders.values())
    x = tuple(map(float, range(len(layers))))
    told = tuple(
        (layer, f"p of a circle {number(o.p_circle)}", f"wrap index {number(o.wrap)}")
        for layer, o in found.orders.items()
    )
    dull = tuple(o.shape != "circle" for o in orders)
    series = (
        Series(x, finite(o.circle for o in orders), "circle", BLUE, "o", hollow=dull, told=told),
        Series(x, finite(o.line for o in orders), "line", ORANGE, "s", told=told),
    )
    header = ("layer", "circle", "line", "above_line", "p_circle", "p_line", "wrap")
    rows = [
        (layer, *map(exact, (o.circle, o.line, o.above_line, o.p_circle, o.p_line, o.wrap)))
        for layer, o in found.orders.items()
    ]
    up = Axis("correlation", limits=(-0.6, 1.05))
    panel = Panel(series, depth_axis(layers, most=MOST_TICKS), up, rules=(Rule(0.0, "y"),), height=220)
    return chart(panel, header, rows, 2.6, *series)


@probe_drawings.chart(
    "turning",
    title="How far the answers turn",
    caption="At the layer of the verdict the angle of every word is turned by φ, all else stays; ψ is how far the "
    "mean answer turns. On "
    "the dotted line answers follow exactly. Placebos are displacements of the same length that do not follow the "
    "circle.",
)
def turning(found: Probed) -> Chart | None:
    """ψ against φ."""
    if found.asked is None:
        return None
    turned = found.asked.turned[found.asked.layer]
    by = tuple(turns_of(len(turned.psi)))
    drawn = placebo_series(turned.placebo_psi)
    line = Series(by, tuple(turned.direction * turn for turn in by), "as far as the angle", BLACK, "", dashes=":")
    told = tuple((f"φ {number(a)}", f"ψ {number(b)}") for a, b in zip(by, turned.psi, strict=True))
    loop = Series(by, turned.psi, "the circle", BLUE, "o", told=told)
    across = Axis("φ, turn of the angle", limits=(-0.2, by[-1] + 0.2), ticks=quarters(-0.2, by[-1] + 0.2))
    low, high = reach_of(turned, line)
    up = Axis("ψ, turn of the answer", limits=(low, high), ticks=quarters(low, high))
    rows = [(exact(a), exact(b)) for a, b in zip(by, turned.psi, strict=True)]
    panel = Panel(
        (drawn, line, loop), across, up, title=f"{found.asked.question.text}, {found.asked.layer}", height=320
    )
    return chart(panel, ("phi", "psi"), rows, 3.4, loop, line, *([drawn] if turned.placebo_psi else []))


def reach_of(turned: Turned, line: Series) -> tuple[float, float]:
    """The least and the largest turn that is drawn, with room."""
    known = [v for v in (*line.y, *turned.psi, *(v for psi in turned.placebo_psi for v in psi)) if v is not None]
    return min(known) - 0.3, max(known) + 0.3


@probe_drawings.chart(
    "turning_along",
    title="How closely the answers follow, layer by layer",
    caption="Alignment R of the answers with the turn: 1 where each follows exactly, 0 where none does. The full "
    "swap puts the state of "
    f"the other word in place. A filled mark lies beyond the placebos of all layers (p at most {ALPHA}).",
)
def along(found: Probed) -> Chart | None:
    """Alignment, full swap and placebos along the layers that were turned."""
    if found.asked is None:
        return None
    layers, each, p = list(found.asked.turned), list(found.asked.turned.values()), found.asked.p
    x = tuple(map(float, range(len(layers))))
    most = finite(max(one.placebos, default=float("nan")) for one in each)
    told = tuple((layer, f"p {number(p[layer])}") for layer in layers)
    hollow = tuple(not at_most_alpha(p[layer]) for layer in layers)
    series = (
        Series(x, tuple(one.swap for one in each), "full swap", ORANGE, "s"),
        Series(x, tuple(one.alignment for one in each), "the circle", BLUE, "o", told=told, hollow=hollow),
        Series(x, most, "largest placebo", style.GREY, "^"),
    )
    header = ("layer", "alignment", "full_swap", "largest_placebo", "p", "slope")
    rows = [
        (layer, *map(exact, (one.alignment, one.swap, top, p[layer], one.slope)))
        for layer, one, top in zip(layers, each, most, strict=True)
    ]
    panel = Panel(series, depth_axis(layers, most=MOST_TICKS), Axis("alignment R", limits=(0, 1.05)), height=220)
    return chart(panel, header, rows, 2.6, *series)
