"""Records in the terminal: titles, the sentences that answer, and tables with sparklines, in 80 columns and more."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from todacomm.ablation.judge import Ablation
from todacomm.comparison.compare import Comparison
from todacomm.core.types import Measurement, Number, Profile
from todacomm.report.ablation.ablation_sections import answer as answer_of_ablation
from todacomm.report.ablation.ablation_sections import claim_rows
from todacomm.report.comparison.comparison_sections import answer as answer_of_comparison
from todacomm.report.document.pieces import Paragraph, Piece
from todacomm.report.document.style import cut
from todacomm.report.layers.layer_document import subtitle
from todacomm.report.layers.topology_sections import answer as answer_of_profile
from todacomm.report.terminal.sparklines import heights, sparkline
from todacomm.report.terminal.table import comparison_legend, comparison_table, framed
from todacomm.report.training.read_experiment import Exhibit, Findings, Trained, named, ratio_of, spoken_step
from todacomm.report.training.tables import answer as answer_of_training
from todacomm.report.words import phrases
from todacomm.report.words.intervals_and_nulls import bracketed, interval_of, the_test
from todacomm.report.words.loops import loop_cell
from todacomm.report.words.phrases import (
    H0_SHAPE,
    H0_TOTAL,
    H1_SHAPE,
    H1_TOTAL,
    number,
    padded,
    plural,
    share,
    summary_of,
)
from todacomm.statistics.loop_test import LOOP

MOST_LAYERS, MOST_STEPS = 22, 10  # marks of a sparkline in a terminal of 80 columns
WIDE = 100  # columns; from here on there may be twice as many
TRENDS = {
    "H0 total": H0_TOTAL, "H0 / scale": H0_SHAPE, "H1 total": H1_TOTAL, "H1 / scale": H1_SHAPE,
    "H1 max / scale": "H1_max_lifetime_scaled", "H2 / scale": "H2_total_persistence_scaled",
}  # fmt: skip
LAYER_RECORD = {"H0 / scale": H0_SHAPE, "H1 / scale": H1_SHAPE}


def heading(text: str) -> Text:
    """A title."""
    return Text(text, style="bold")


def told(pieces: Iterable[Piece]) -> Iterator[RenderableType]:
    """The sentences of a section; warnings stand out."""
    styles = {"answer": "bold cyan", "warning": "yellow", "plain": ""}
    for piece in pieces:
        if isinstance(piece, Paragraph):
            yield Text(piece.text, style=styles[piece.tone])


# A profile


def overview_of_profile(profile: Profile, width: int) -> Iterator[RenderableType]:
    """What a profile says, its course along the layers, and every layer with its intervals, in ``width`` columns."""
    yield heading(f"{profile.model}: {phrases.counted(profile)}")
    yield Text(subtitle(profile), style="dim")
    yield from told(answer_of_profile(profile, {}))
    if not phrases.single(profile):
        yield trend_table(profile, most=MOST_LAYERS if width < WIDE else 2 * MOST_LAYERS)
    yield layer_table(profile)
    if notes := phrases.landmark_lines(profile):
        yield Text("\n".join(notes))
    if line := language_line(profile):
        yield Text(line)


def trend_table(profile: Profile, *, most: int) -> Table:
    """A row a number: its course along the layers, the least and the largest sound value and where they are."""
    table = framed()
    for head in ("", f"along {len(profile.layers)} {profile.along}s", "least", "largest"):
        table.add_column(head, no_wrap=True)
    for head, key in trends(profile).items():
        values = [summary_of(m, key) for m in profile.measurements]
        table.add_row(*trend_row(profile, head, values, most))
    for head, of in (("scale", "scale"), ("variance kept", "variance_kept")):
        table.add_row(*trend_row(profile, head, [getattr(m.facts, of) for m in profile.measurements], most))
    if any(phrases.mark(m) for m in profile.measurements):
        table.add_row("doubtful", Text(marks(profile, most), style="yellow"), "", "")
    return table


def trends(profile: Profile) -> dict[str, str]:
    """The numbers that have a row; lengths that the recipe has divided are their own twins, and have one."""
    left_out = (H0_TOTAL, H1_TOTAL) if phrases.rescaled(profile.recipe) else ()
    return {head: key for head, key in TRENDS.items() if key in profile.names and key not in left_out}


def trend_row(profile: Profile, head: str, values: Sequence[Number], most: int) -> tuple[str, str, str, str]:
    """One number; sound layers give the least and the largest value, and the ends of the marks."""
    sound = [i for i, m in enumerate(profile.measurements) if not m.facts.doubtful and values[i] is not None]
    drawn, logarithmic = heights(values)
    found = [drawn[i] or 0.0 for i in sound]
    ends = [at(profile, values, f(sound, key=lambda i: values[i] or 0.0)) if sound else "–" for f in (min, max)]
    line = sparkline(drawn, most=most, limits=(min(found), max(found)) if found else None)
    return (f"{head}, log" if logarithmic else head, line, ends[0], ends[1])


def at(profile: Profile, values: Sequence[Number], i: int) -> str:
    """A value and its layer."""
    return f"{number(values[i], 3)} ({cut(phrases.positions(profile)[i], 10)})"


def marks(profile: Profile, most: int) -> str:
    """The marks of the layers under those of the sparklines: of neighbours the worst."""
    found = [phrases.mark(m) for m in profile.measurements]
    groups = np.array_split(np.arange(len(found)), min(len(found), most))
    return "".join(next((sign for sign in "×○" if any(found[i] == sign for i in of)), " ") for of in groups)


def layer_table(profile: Profile) -> Table:
    """One row a layer: the scale of the cloud, scale-free H0 and H1 with intervals, and whether there is a loop."""
    table = framed()
    columns = {head: key for head, key in LAYER_RECORD.items() if key in profile.names}
    loops = any(the_test(m, profile, LOOP) for m in profile.measurements)
    table.add_column(profile.along, overflow="fold", max_width=20, min_width=9)
    for head in ("distinct", "scale", *columns, *(["loop p ·\ncentroids"] if loops else [])):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=1)
    for name, m in zip(phrases.positions(profile), profile.measurements, strict=True):
        loop, sign = [loop_cell(profile, m)] if loops else [], phrases.mark(m)
        facts = (f"{m.facts.distinct_points:,}", number(m.facts.scale, 3))
        numbers = (value_text(m, profile, key) for key in columns.values())
        table.add_row(name, *facts, *numbers, *loop, sign, style="dim" if sign else "")
    return table


def value_text(m: Measurement, profile: Profile, key: str) -> str:
    """A number with its interval; a dash where a ratio is undefined."""
    value = summary_of(m, key)
    return "–" if value is None else f"{padded(value, 3)}{bracketed(interval_of(m, profile, key))}"


def language_line(profile: Profile) -> str:
    """The model on the same texts, in one line; empty where nothing was measured."""
    values = profile.language or {}
    names = {"bits_per_byte": "bits per byte", "perplexity": "perplexity", "pseudo_perplexity": "pseudo-perplexity"}
    found = [f"{name} {number(values[key])}" for key, name in names.items() if values.get(key) is not None]
    if values.get("accuracy") is not None:
        found.append(f"accuracy {share(values['accuracy'], 2)}")
    return f"On the same texts: {', '.join(found)}." if found else ""


# Several profiles


def overview_of_comparison(comparison: Comparison, verdicts: Iterable[str]) -> Iterator[RenderableType]:
    """The answer, a row a model, warnings, and a verdict on each pair; only the rows of the comparison are needed."""
    yield heading(" · ".join(dict.fromkeys(row.model for row in comparison.rows)))
    yield from told(answer_of_comparison(comparison, {}))
    yield comparison_table(comparison)
    for line in (*comparison_legend(comparison).splitlines(), *comparison.warnings):
        yield Text(line, style="yellow")
    yield from map(Text, verdicts)


# Settings


def overview_of_ablation(found: Ablation, failures: Mapping[str, str]) -> Iterator[RenderableType]:
    """Report how many claims stand everywhere, and where each fails."""
    yield heading(", ".join(found.models))
    yield from told(answer_of_ablation(found, {"failures": failures}))
    yield claims_table(found)
    yield Text("Counted are the settings that can judge a claim; the report says what was counted apart, and why.")


def claims_table(found: Ablation) -> Table:
    """One row a claim."""
    table = framed(f"{plural(len(found.settings) - 1, 'setting')} beside the base")
    for head in ("claim", "stands in", "where it fails"):
        table.add_column(head, overflow="fold")
    for row in claim_rows(found):
        table.add_row(*row)
    return table


# Training


def overview_of_training(findings: Findings, width: int) -> Iterator[RenderableType]:
    """The verdict in sentences, and a row for each run and control of each cell, in ``width`` columns."""
    about = findings.shown.about
    yield heading(f"Grokking: {findings.verdict}")
    yield Text(str(about.get("task") or about.get("settings", {}).get("task", "")), style="dim")
    yield from told(answer_of_training(findings, {}))
    for exhibit in findings.exhibits:
        yield training_table(exhibit, most=MOST_STEPS if width < WIDE else 2 * MOST_STEPS)


def training_table(exhibit: Exhibit, *, most: int) -> Table:
    """A row a run: test accuracy and followed number along the steps, when it generalised, how far the number rose."""
    table = framed(exhibit.cell)
    table.add_column("run", overflow="fold", max_width=24)
    for head in ("accuracy", named(exhibit.followed).split(" of ")[0] or "followed"):
        table.add_column(head, no_wrap=True, min_width=most)
    for head in ("at step", "ratio"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("verdict")
    runs = (*exhibit.runs, *exhibit.controls)
    last = max((run.last_step for run in runs), default=0)
    table.caption = (
        f"along {spoken_step(last)} steps, accuracy from 0 to 1; at step: of generalising; ratio: after / plateau"
    )
    table.caption_justify = "left"
    limits = limits_of(runs, exhibit.followed)
    for run in runs:
        lines = (line_of(run, "test_accuracy", (0.0, 1.0), most), line_of(run, exhibit.followed, limits, most))
        table.add_row(run.label, *lines, *judgement(run), style="" if run.is_run else "dim")
    return table


def limits_of(runs: Sequence[Trained], name: str) -> tuple[float, float] | None:
    """The least and the largest value of a number in any run, so that their sparklines can be set side by side."""
    known = [run.course[name] for run in runs if run.course is not None and run.has(name)]
    return (min(float(np.nanmin(v)) for v in known), max(float(np.nanmax(v)) for v in known)) if known else None


def line_of(run: Trained, name: str, limits: tuple[float, float] | None, most: int) -> str:
    """The sparkline of a number of a run; a dash where it has none."""
    return sparkline(run.course[name], most=most, limits=limits) if run.course is not None and run.has(name) else "–"


def judgement(run: Trained) -> tuple[str, str, str]:
    """When a run generalised, how far the followed number rose, and the verdict or why there is none."""
    told = run.told
    generalised = told.milestones.generalised_at if told else None
    ratio = told.rise.ratio if told and told.rise else None
    verdict = (told.said if told else "") or run.complaint or "not judged"
    return spoken_step(generalised), ratio_of(ratio), verdict
