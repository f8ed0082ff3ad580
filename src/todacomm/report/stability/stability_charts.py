"""Charts of stability: the exponent beside topology and accuracy, the spread, epsilon, sharpness, and recipes."""

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float64, Int64

from todacomm.core.types import Number
from todacomm.report.document import style
from todacomm.report.document.chart import Axis, Chart, Panel, Rule, Series, exact, finite, log_axis, table, ticked
from todacomm.report.document.drawings import Drawings
from todacomm.report.stability.stability_findings import StabilityFindings, finite_or_none, label_of
from todacomm.report.words.phrases import number
from todacomm.stability.association import CHANGES, change_of
from todacomm.stability.exponents import SATURATED, cumulated_exponents, local_exponents
from todacomm.stability.follow import STATE
from todacomm.stability.stability import ADAM_LIMIT, PRECONDITIONED, RENORMALISED, SGD_LIMIT, SHARPNESS, Stability

stability_drawings: Drawings[StabilityFindings] = Drawings("stability figure")
write_stability_figures = stability_drawings.write

BLUE, ORANGE, GREEN, RED, PURPLE = style.PALETTE[:5]
H1, H0 = "embedding/sphere/H1_max_lifetime", "embedding/sphere/H0_total_persistence"
UNIT, STEPS = "(per 1,000 steps)", 1000  # in which exponents are drawn
TICKS = (-30, -10, -3, -1, 0, 1, 3, 10, 30)
SMOOTHED = 5  # windows over which a local exponent is averaged


def scaled(value: Number) -> Number:
    """An exponent per 1,000 steps."""
    return None if value is None else STEPS * value


def steps_axis(found: Stability) -> Axis:
    """The axis of training steps, from 0."""
    last = int(found.ends[-1])
    return Axis("training step", limits=(-0.01 * last, 1.01 * last), most=9, whole=True)


@stability_drawings.chart(
    "exponent",
    title="The exponent beside shape and accuracy",
    caption="All panels share the steps. Local: the rate at which the distance of the copies grows over five windows; "
    "cumulated: the renormalised exponent, had the run ended there. The line is the median over copies, the band is "
    "their least and most. Above 0 small differences grow, below they shrink. Weights: in all weights; outputs: in the "
    "outputs for held-out inputs. H1 and H0 are of the rows of the embedding, centred and put on the unit sphere, in "
    "the unperturbed network.",
)
def exponent_chart(findings: StabilityFindings) -> Chart:
    """Local and cumulated exponents over topology and accuracy."""
    found = findings.chosen
    x = steps_axis(found)
    names = [name for name in (STATE, "function") if name in found.names]
    panels = [exponent_panel(found, name, x) for name in names]
    panels += [number_panel(found, x, told, which) for told, which in PANELS if any(found.has(n) for _, n in which)]
    rows = [*exponent_rows(found, names), *number_rows(found)]
    keys = panels[0].series
    return Chart("", "", "", tuple(panels), table(("number", "step", "value", "low", "high"), rows),
        keys=tuple(keys), heading=label_of(found), tall=1.35)  # fmt: skip


PANELS = (
    ("H1 max lifetime\nembedding", (("", H1),)),
    ("H0 total\nembedding", (("", H0),)),
    ("accuracy", (("test", "test_accuracy"), ("training", "train_accuracy"))),
)


def exponent_panel(found: Stability, name: str, x: Axis) -> Panel:
    """Local and cumulated exponent of one distance, with bands over copies."""
    label = "weights" if name == STATE else "outputs"
    series = tuple(
        banded(found.ends, values, told, colour)
        for told, colour, values in (
            ("local exponent", BLUE, smoothed(local_of(found, name))),
            ("cumulated exponent", ORANGE, cumulated_of(found, name)),
        )
    )
    return Panel(series, x, Axis(f"exponent, {label}\n{UNIT}"), rules=(Rule(0.0, "y"),), height=170)


def local_of(found: Stability, name: str) -> Float64[np.ndarray, "W k"]:
    """The exponent of each window, per 1,000 steps."""
    return STEPS * local_exponents(found.of(name, RENORMALISED), found.lengths)


def cumulated_of(found: Stability, name: str) -> Float64[np.ndarray, "W k"]:
    """The exponent had the run ended with each window, per 1,000 steps."""
    return STEPS * cumulated_exponents(found.of(name, RENORMALISED), found.lengths)


def smoothed(values: Float64[np.ndarray, "W k"]) -> Float64[np.ndarray, "W k"]:
    """The mean over each window and those around it."""
    reach = SMOOTHED // 2
    around = [values[max(0, i - reach) : i + reach + 1] for i in range(len(values))]
    return np.array([one.mean(axis=0) for one in around])


def banded(steps: Int64[np.ndarray, " W"], values: Float64[np.ndarray, "W k"], label: str, colour: str) -> Series:
    """The median over copies, with the least and the most as a band; a gap where no copy has a number."""
    known = np.isfinite(values).any(axis=1)
    middle, low, high = (
        [float(f(row[np.isfinite(row)])) if has else None for row, has in zip(values, known, strict=True)]
        for f in (np.median, np.min, np.max)
    )
    return Series(
        tuple(map(float, steps)), tuple(middle), label, colour, "", low=tuple(low), high=tuple(high), shade=0.25
    )


def number_panel(found: Stability, x: Axis, label: str, which: Sequence[tuple[str, str]]) -> Panel:
    """Numbers of the unperturbed network."""
    dashes = ("-", ":")
    series = tuple(
        Series(tuple(map(float, found.steps)), finite(found.number(name)), told, GREEN, "", dashes=dashes[i])
        for i, (told, name) in enumerate(which)
        if found.has(name)
    )
    limits = (-0.04, 1.04) if label == "accuracy" else None
    title = "" if len(series) == 1 else "solid: test, dotted: training"
    return Panel(series, x, Axis(label, limits=limits), title=title, height=130)


def exponent_rows(found: Stability, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The numbers of the exponents, for download."""
    for name in names:
        for told, values in (("local", local_of(found, name)), ("cumulated", cumulated_of(found, name))):
            for step, row in zip(found.ends, values, strict=True):
                known = row[np.isfinite(row)]
                ends = (np.median(known), known.min(), known.max()) if len(known) else (None, None, None)
                yield f"{told} exponent, {name}", str(step), *map(exact, ends)


def number_rows(found: Stability) -> Iterator[tuple[str, ...]]:
    """The numbers of the unperturbed network, for download."""
    for name in [n for _, which in PANELS for _, n in which if found.has(n)]:
        for step, value in zip(found.steps, found.number(name), strict=True):
            yield name, str(step), exact(finite_or_none(value)), "", ""


@stability_drawings.chart(
    "spread",
    title="How far the free copies spread",
    caption="Distance of each free copy from the unperturbed network, never brought back, and the root mean square "
    "distance of their outputs. The dashed line is a tenth of the norm of the weights: beyond it copies are no longer "
    "close, and their spread says nothing of small differences.",
)
def spread_chart(findings: StabilityFindings) -> Chart:
    """Distances of the free copies."""
    found = findings.chosen
    steps = tuple(map(float, [found.start, *found.ends]))
    x, panels, rows = steps_axis(found), [], []
    limit = Series(steps, finite(SATURATED * found.weight_norms), "a tenth of the weight norm", style.GREY, "", "--")
    for name, label in ((STATE, "weights"), ("function", "outputs"), ("angle", "angle (radians)")):
        if name in found.names:
            apart = found.apart(name)
            lines = [
                Series(steps, finite(column), "free copy", BLUE, "", strength=0.8, width=0.8) for column in apart.T
            ]
            drawn = (*lines, limit) if name == STATE else tuple(lines)
            known = [v for one in drawn for v in one.y if v]
            y = log_axis(f"distance\n{label}", known) if known else Axis(f"distance\n{label}")
            panels.append(Panel(drawn, x, y, height=150))
            rows += [
                (name, str(i + 1), str(int(step)), exact(finite_or_none(value)))
                for i, column in enumerate(apart.T)
                for step, value in zip(steps, column, strict=True)
            ]
    keys = (panels[0].series[0], limit)
    return Chart("", "", "", tuple(panels), table(("distance", "copy", "step", "value"), rows),
        keys=keys, heading=label_of(found), tall=1.5)  # fmt: skip


@stability_drawings.chart(
    "epsilon",
    title="Does the exponent depend on how far the copies are moved?",
    caption="The renormalised exponent for perturbations of several lengths in one direction, relative to the norm of "
    "each parameter tensor. Where it is flat, differences are small enough to be followed linearly and large enough to "
    "stand above rounding.",
)
def epsilon_chart(findings: StabilityFindings) -> Chart | None:
    """The exponent against epsilon."""
    found = findings.chosen
    epsilons, each = zip(*found.scan(), strict=True)
    if len(epsilons) < 2:
        return None
    values, whole = tuple(map(scaled, each)), found.exponent()
    told = tuple((f"epsilon {e:g}", f"exponent {number(v)}") for e, v in zip(epsilons, values, strict=True))
    marks = Series(epsilons, values, "one copy each", BLUE, "o", told=told)
    main = Series((found.copying.epsilon,), (scaled(whole.value),), "all renormalised copies, 95 %", ORANGE, "s", "",
        low=(scaled(whole.low),), high=(scaled(whole.high),), reach="y")  # fmt: skip
    known = [v for v in (*values, scaled(whole.low), scaled(whole.high)) if v is not None]
    reach = max((abs(v) for v in known), default=1.0)
    x = Axis("epsilon", "log", (min(epsilons) / 1.6, max(epsilons) * 1.6), ticked(epsilons))
    y = Axis(f"exponent {UNIT}", limits=(min(0.0, *known) - 0.15 * reach, max(0.0, *known) + 0.15 * reach))
    rows = ((exact(e), exact(v)) for e, v in zip(epsilons, values, strict=True))
    panel = Panel((marks, main), x, y, rules=(Rule(0.0, "y"),), height=260)
    return Chart("", "", "", (panel,), table(("epsilon", "exponent"), rows),
        keys=(marks, main), heading=label_of(found), tall=2.4)  # fmt: skip


@stability_drawings.chart(
    "sharpness",
    title="Sharpness, and where training would become unstable",
    caption="The largest eigenvalue of the Hessian of the training loss, by power iteration. Above, as it is, with "
    "2/η, from which on plain gradient descent diverges. Below, as AdamW sees it, every direction divided by the "
    "root of its average square, with the value from which on Adam at a fixed preconditioner diverges: (2 + 2β₁) / "
    "((1 - β₁) η), which is 38/η for β₁ = 0.9 (Cohen et al. 2022).",
)
def sharpness_chart(findings: StabilityFindings) -> Chart | None:
    """Sharpness beside what optimisers bear."""
    found = findings.chosen
    if not found.has(SHARPNESS):
        return None
    eta, x = float(found.settings["learning_rate"]), steps_axis(found)
    steps = tuple(map(float, found.steps))
    panels, rows = [], []
    for name, label, limit in (
        (SHARPNESS, "sharpness", SGD_LIMIT / eta),
        (PRECONDITIONED, "sharpness\nas AdamW sees it", ADAM_LIMIT / eta),
    ):
        values = finite(found.number(name))
        line = Series(steps, values, "sharpness", BLUE, "")
        bound = Series(steps, (limit,) * len(steps), "largest that is stable", style.GREY, "", "--")
        known = [v for v in (*values, limit) if v is not None and v > 0]
        panels.append(Panel((line, bound), x, log_axis(label, known), height=170))
        rows += [(name, str(int(s)), exact(v), exact(limit)) for s, v in zip(steps, values, strict=True)]
    return Chart("", "", "", tuple(panels), table(("number", "step", "value", "largest_stable"), rows),
        keys=panels[0].series, heading=label_of(found), tall=1.7)  # fmt: skip


@stability_drawings.chart(
    "recipes",
    title="The exponent and the change of shape, over recipes",
    caption="One mark a run, at the exponent of its weights (linear up to 1, logarithmic beyond); runs of one recipe "
    "share a colour, transformers are squares and perceptrons circles. Change: the logarithm of the median of the "
    "last five checkpoints over that of the first five. The correlations stand in the table.",
)
def recipes_chart(findings: StabilityFindings) -> Chart | None:
    """Exponent against change, one panel for each number of topology."""
    if len(findings.recipes) < 2:
        return None
    panels, rows = [], []
    for told, name in CHANGES.items():
        series = tuple(recipe_series(findings, recipe, i, name) for i, recipe in enumerate(findings.recipes))
        xs, ys = ([v for one in series for v in getattr(one, along) if v is not None] for along in ("x", "y"))
        low, high = 1.3 * min(0.0, *xs, 0.0) - 0.3, 1.3 * max(0.0, *xs, 0.0) + 0.3
        ticks = ticked(at for at in TICKS if low <= at <= high)
        across = Axis(f"exponent {UNIT}", "bent", (low, high), ticks, bend=1.0)
        up = Axis(f"change of\n{told}", limits=around(ys))
        panels.append(Panel(series, across, up, rules=(Rule(0.0, "y"), Rule(0.0, "x")), height=260))
        rows += [
            (
                recipe,
                str(one.seed),
                told,
                exact(scaled(one.exponent().value)),
                exact(finite_or_none(change_of(one, name))),
            )
            for recipe, one in findings.runs
            if one.has(name)
        ]
    return Chart("", "", "", tuple(panels), table(("recipe", "seed", "number", "exponent", "change"), rows),
        keys=panels[0].series, columns=3, tall=2.6)  # fmt: skip


def around(values: Sequence[float]) -> tuple[float, float]:
    """The least and the largest of these and 0, with room."""
    low, high = min(0.0, *values, 0.0), max(0.0, *values, 0.0)
    room = 0.08 * (high - low) or 1.0
    return low - room, high + room


def recipe_series(findings: StabilityFindings, recipe: str, place: int, name: str) -> Series:
    """The runs of one recipe."""
    runs = [one for one in findings.of(recipe) if one.has(name)]
    network = str(runs[0].settings.get("network", "")) if runs else ""
    xs, ys = tuple(scaled(one.exponent().value) for one in runs), finite(change_of(one, name) for one in runs)
    told = tuple(
        (f"{recipe.replace('_', ' ')}, {network}, seed {one.seed}", f"exponent {number(x)}", f"change {number(y)}")
        for one, x, y in zip(runs, xs, ys, strict=True)
    )
    marker = "s" if network == "transformer" else "o"
    colour = style.PALETTE[place % len(style.PALETTE)]
    return Series(xs, ys, f"{recipe.replace('_', ' ')}, {network}", colour, marker, "", told=told)
