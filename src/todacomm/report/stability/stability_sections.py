"""What is said of stability: sentences, tables of runs, groups and correlations; the page and its Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from todacomm.core.types import Number
from todacomm.records.files.damaged import Loss
from todacomm.report.document.chart import Chart
from todacomm.report.document.pieces import (
    Bullets,
    Context,
    Document,
    Paragraph,
    Piece,
    Table,
    Terms,
    parts_of,
    section,
    with_losses,
)
from todacomm.report.layers import layer_document  # registered first: its closing sections serve every record
from todacomm.report.stability.stability_findings import StabilityFindings, label_of, last_accuracy, over_seeds
from todacomm.report.words.phrases import listed, number, plural, share
from todacomm.stability.association import CHANGES, Association, change_of
from todacomm.stability.exponents import SATURATED, Exponent
from todacomm.stability.follow import STATE
from todacomm.stability.stability import Stability

__all__ = ["HEAD", "layer_document", "row_of", "sentences", "write_stability_report"]

LEAST_MATCHED = 0.95  # of the distance that is left after matching, below which units have changed places


def write_stability_report(
    directory: Path, findings: StabilityFindings, context: Context, losses: Sequence[Loss] = ()
) -> list[Path]:
    """``stability.md``, ``report.html`` and ``visualizations/``."""
    from todacomm.report.render import write_document
    from todacomm.report.stability.stability_charts import write_stability_figures

    figures = write_stability_figures(findings, directory / "visualizations")
    parts = parts_of(findings, {**context, "figures": figures})
    return write_document(with_losses(Document(*titles(findings), parts), losses), directory, "stability.md")


def titles(findings: StabilityFindings) -> tuple[str, str]:
    """The title and the line beneath it."""
    first = findings.runs[0][1]
    copies = f"{first.copying.copies} copies a run"
    if len(findings.recipes) > 1:
        runs = f"{plural(len(findings.runs), 'run')} of {plural(len(findings.recipes), 'recipe')}"
        return "Stability of training over recipes", f"{runs}, {copies}"
    return f"Stability of training: {label_of(first).rpartition(', seed')[0]}", (
        f"{plural(len(findings.runs), 'run')}, {copies}"
    )


# Sentences


def sentences(found: Stability) -> list[str]:
    """What copies of one run have shown, in plain words."""
    told = [told_of_exponent(found), told_of_outputs(found), told_of_raw(found), told_of_epsilon(found)]
    return [sentence for sentence in (*told, told_of_units(found)) if sentence]


def told_of_exponent(found: Stability) -> str:
    """Do small differences of the weights grow or shrink?"""
    one = found.exponent()
    if one.value is None:
        return f"{label_of(found)}: no exponent; {one.reason}."
    verb = "grow" if (one.low or 0) > 0 else "shrink" if (one.high or 0) < 0 else "neither clearly grow nor shrink"
    return (
        f"{label_of(found)}: small differences of the weights {verb}; exponent {with_interval(one)} per 1,000 steps"
        f"{in_words(one.value)}, renormalised every {plural(found.copying.every, 'step')}."
    )


def in_words(value: float) -> str:
    """An exponent as the steps in which a distance doubles or halves."""
    if not value:
        return ""
    steps = np.log(2) / abs(value)
    return f" ({'twice' if value > 0 else 'half'} as far after {number(steps, 2)} steps)"


def told_of_outputs(found: Stability) -> str:
    """The exponent in function space."""
    if "function" not in found.names or (one := found.exponent("function")).value is None:
        return ""
    return f"In the outputs for held-out inputs it is {with_interval(one)} per 1,000 steps{in_words(one.value)}."


def told_of_raw(found: Stability) -> str:
    """The raw exponent, its bias, and saturation."""
    raw = found.raw()
    if raw.value is None:
        return f"Of the copies that ran free there is no exponent: {raw.reason}."
    said = (
        f"The raw exponent of free copies, ln(last / first) / T, is {with_interval(raw)} per 1,000 steps; for a "
        f"random start in {found.parameters:,} weights it is too low by up to ln(N) / 2T, here "
        f"{number(1000 * found.missing, 2)}."
    )
    if found.saturated is not None:
        said += (
            f" They saturate: by step {found.saturated:,} they are further apart than {share(SATURATED, 0)} of the norm"
            " of the weights, so that the raw exponent is no rate of small differences."
        )
    return said


def told_of_epsilon(found: Stability) -> str:
    """The range of epsilons over which the exponent is the same."""
    flat = found.flat()
    if flat is None or len(found.scan()) < 2:
        return ""
    low, high = flat
    tried = [e for e, _ in found.scan()]
    if (low, high) == (min(tried), max(tried)):
        return f"It is the same for perturbations from {low:g} to {high:g} of the norm of each tensor."
    each = listed([f"{signed(value)} at {epsilon:g}" for epsilon, value in found.scan()])
    where = f"from {low:g} to {high:g} only" if low < high else f"at {low:g} alone"
    return f"It depends on the length of the perturbation: {each} of the norm of each tensor; it is flat {where}."


def told_of_units(found: Stability) -> str:
    """Whether copies differ by a permutation of hidden units."""
    if not found.matched:
        return ""
    least = min(one.share for one in found.matched)
    if least >= LEAST_MATCHED:
        return "No free copy differs from the unperturbed network by a permutation of hidden units."
    return (
        f"After hidden units are matched, {share(least, 0)} of the distance is left in the copy where most is "
        "gained: the rest is a permutation of units, which changes no output."
    )


def with_interval(one: Exponent) -> str:
    """An exponent with its interval over copies."""
    if one.value is None:
        return "undefined"
    ends = "" if one.low is None or one.high is None else f" [{signed(one.low)}, {signed(one.high)}]"
    return f"{signed(one.value)}{ends}"


def signed(value: Number) -> str:
    """A rate per 1,000 steps, with its sign and three digits."""
    return "undefined" if value is None or not np.isfinite(value) else f"{1000 * value:+#.3g}".removesuffix(".")


# Sections


@section("stability", title="Do small differences grow?", record=StabilityFindings)
def answer(findings: StabilityFindings, _: Context) -> Iterator[Piece]:
    """The sentences on the chosen run, and what became of the others."""
    first, *rest = sentences(findings.chosen)
    yield Paragraph(first, "answer")
    yield Bullets(tuple(rest))
    if len(findings.recipes) > 1:
        yield Paragraph(told_over_recipes(findings), "answer")
    elif len(findings.runs) > 1:
        yield Paragraph(told_over_seeds(findings), "answer")
    for complaint in findings.chosen.complaints:
        yield Paragraph(complaint, "warning")
    for name, problem in findings.failures.items():
        yield Paragraph(f"{name} failed: {problem}", "warning")


def told_over_seeds(findings: StabilityFindings) -> str:
    """The exponent of one recipe over its seeds, and how much they differ."""
    runs = [one for _, one in findings.runs]
    weights, outputs = (over_seeds(runs, name) for name in (STATE, "function"))
    known = [value for value in weights.copies if value is not None]
    ends = f", from {signed(min(known))} to {signed(max(known))}" if known else ""
    beside = "" if outputs.value is None else f"; in the outputs {with_interval(outputs)}"
    return f"Over {plural(len(runs), 'seed')} it is {with_interval(weights)}{ends}{beside} (median, 95 % of the mean)."


def told_over_recipes(findings: StabilityFindings) -> str:
    """How many recipes are stable, and the correlation that is asked for first."""
    values = [one.exponent().value for _, one in findings.runs]
    grows = sum(value is not None and value > 0 for value in values)
    said = f"Over {plural(len(findings.recipes), 'recipe')} the exponent is above 0 in {grows} of {len(values)} runs."
    asked = next((one for one in findings.associations if not one.given and one.rho is not None), None)
    return said if asked is None else f"{said} {told_of_association(asked)}"


def told_of_association(one: Association) -> str:
    """A rank correlation in a sentence."""
    return (
        f"The {one.x} goes with the {one.y} by ρ = {two(one.rho)} [{two(one.low)}, {two(one.high)}] over {one.n} runs "
        f"taken as independent, [{two(one.low_recipes)}, {two(one.high_recipes)}] with whole recipes drawn"
        f"{'' if one.p is None else f' (p = {number(one.p, 2)})'}."
    )


def two(value: Number) -> str:
    """A correlation."""
    return "–" if value is None else f"{value:+.2f}"


@section("stability-figures", title="Figures", record=StabilityFindings, brief=False)
def figures(findings: StabilityFindings, context: Context) -> Iterator[Piece]:
    """Every chart of the chosen run, and that over recipes."""
    yield from charts_of(findings, context)


def charts_of(findings: StabilityFindings, context: Context, names: Sequence[str] = ()) -> Iterator[Piece]:
    """The charts of these names, or all, with their figures."""
    from todacomm.report.stability.stability_charts import stability_drawings  # loads matplotlib

    for piece in stability_drawings.shown(findings, context.get("figures", ())):
        if isinstance(piece, Chart) and (not names or piece.name in names):
            yield piece


HEAD = (
    "Run",
    "Exponent, weights",
    "Outputs",
    "Angle",
    "Raw",
    "Saturated at",
    "Test accuracy",
    "Change of H1 max",
    "Same from–to ε",
)


@section("stability-runs", title="Runs", record=StabilityFindings, brief=False)
def runs(findings: StabilityFindings, _: Context) -> Iterator[Piece]:
    """A row a run, then one a recipe."""
    several = len(findings.recipes) > 1
    if several:
        yield Table(RECIPE, tuple(recipe_row(findings, recipe) for recipe in findings.recipes), 2, sortable=True)
    head = ("Recipe", *HEAD) if several else HEAD
    rows = tuple(
        ((recipe.replace("_", " "), *row_of(one)) if several else row_of(one)) for recipe, one in findings.runs
    )
    yield Table(head, rows, 2 if several else 1, sortable=True)
    yield Paragraph(
        "Exponents are per 1,000 steps, with 95 % intervals over copies; raw ones are of free copies. Copies that "
        "are brought back turn to the same direction, so that intervals over them are narrower than those over seeds."
    )


RECIPE = ("Recipe", "Network", "Learning rate", "Weight decay", "Width", "Hidden", "Batch", "Trained on",
    "Exponent over seeds")  # fmt: skip


def recipe_row(findings: StabilityFindings, recipe: str) -> tuple[str, ...]:
    """The settings of a recipe, and its exponents from the least to the largest."""
    runs = findings.of(recipe)
    s = runs[0].settings
    ends = with_interval(over_seeds(runs))
    numbers = (f"{s['learning_rate']:g}", f"{s['weight_decay']:g}", *(str(s[k]) for k in ("width", "hidden")))
    batch = "all" if s["batch"] is None else str(s["batch"])
    return recipe.replace("_", " "), str(s["network"]), *numbers, batch, share(s["train_fraction"], 0), ends


def row_of(found: Stability) -> tuple[str, ...]:
    """One run as text."""
    outputs = with_interval(found.exponent("function")) if "function" in found.names else "–"
    h1 = CHANGES["H1 max lifetime"]
    accuracy = last_accuracy(found)
    return (
        label_of(found),
        with_interval(found.exponent()),
        outputs,
        with_interval(found.exponent("angle")),
        signed(found.raw().value),
        "never" if found.saturated is None else f"{found.saturated:,}",
        "–" if np.isnan(accuracy) else f"{accuracy:.3f}",
        f"{change_of(found, h1):+.2f}" if found.has(h1) else "–",
        range_of(found),
    )


def range_of(found: Stability) -> str:
    """The epsilons over which the exponent is the same, where more than one was tried."""
    flat = found.flat()
    if flat is None or len(found.scan()) < 2:
        return "–"
    low, high = flat
    return f"{low:g}–{high:g}" if low < high else f"{low:g} alone"


@section("stability-groups", title="Groups of parameters", record=StabilityFindings, brief=False)
def groups(findings: StabilityFindings, _: Context) -> Iterator[Piece]:
    """A row a group of the chosen run."""
    found = findings.chosen
    if not found.groups:
        return
    rows = tuple(
        (
            name,
            *(with_interval(found.exponent(f"{kind}/{name}")) for kind in ("group", "angle")),
            signed(found.raw(f"group/{name}").value),
        )
        for name in found.groups
    )
    yield Table(("Group", "Exponent, distance", "Exponent, angle", "Raw"), rows, 1, sortable=True)
    yield Paragraph(
        "Along the leading direction every group has the same exponent in the long run; where they differ, the run "
        "is too short for that, or the leading direction changes. Where weights are followed by a norm, their scale "
        "changes no output, and the angle says what the distance cannot."
    )


@section("stability-associations", title="Does stability go with shape?", record=StabilityFindings, brief=False)
def correlations(findings: StabilityFindings, _: Context) -> Iterator[Piece]:
    """Every rank correlation, plain and partial."""
    if not findings.associations:
        return
    yield Table(
        ("Of", "With", "Given", "Runs", "ρ", "95 %, runs independent", "95 %, recipes drawn", "p"),
        tuple(association_row(one) for one in findings.associations),
        3,
        sortable=True,
    )
    n = max(one.n for one in findings.associations)
    yield Paragraph(
        f"Spearman's ρ. With {n} independent runs its interval would be about ±0.4 around 0; runs of one recipe are "
        "not independent, and the interval that draws whole recipes says so. p permutes what recipes have among "
        "recipes, and is not adjusted for the number of rows."
    )


def association_row(one: Association) -> tuple[str, ...]:
    """One correlation as text."""
    given = ", ".join(name.replace("_", " ") for name in one.given) or "–"
    if one.rho is None:
        return one.x, one.y, given, str(one.n), "–", "–", "–", "–"
    ends = (f"[{two(low)}, {two(high)}]" for low, high in ((one.low, one.high), (one.low_recipes, one.high_recipes)))
    return one.x, one.y, given, str(one.n), two(one.rho), *ends, "–" if one.p is None else number(one.p, 2)


@section("stability-terms", title="How to read this", record=StabilityFindings, brief=False)
def terms(findings: StabilityFindings, _: Context) -> Iterator[Piece]:
    """Each word in one line."""
    copying = findings.chosen.copying
    said = {
        name: text.format(epsilon=f"{copying.epsilon:g}", every=copying.every, start=findings.chosen.start)
        for name, text in TERMS.items()
    }
    yield Terms(tuple(said.items()))


TERMS: Mapping[str, str] = {
    "Copies": "Networks that begin as the one that is watched, after {start} steps of it, but for Gaussian noise on "
    "each parameter tensor, {epsilon} of its norm long. Optimiser state, batches and dropout masks are the same for "
    "all.",
    "Exponent": "The finite-time Lyapunov exponent: the rate, per 1,000 steps, at which a small difference grows "
    "(above 0) or shrinks. After each {every} steps the difference is brought back to its first length, moments of "
    "the optimiser by the same factor as weights, and the logarithm of the factor is kept; the first fifth is dropped.",
    "Distance": f"The Euclidean distance of all weights; the copies are brought back by it ({STATE}). In outputs: "
    "the root mean square, over held-out inputs, of the distance of the logits.",
    "Angle": "Between the weights of a copy and those of the unperturbed network, seen from 0: what is left of the "
    "distance when a common scale does not count.",
    "Raw": "ln(last / first) / T of copies that run free. A random start lies hardly along the direction that grows "
    "most, so it is too low.",
    "Sharpness": "The largest eigenvalue of the Hessian of the training loss.",
}
