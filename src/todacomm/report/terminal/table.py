"""Tables for the terminal, at most 100 columns wide."""

from rich import box
from rich.table import Table

from todacomm.comparison.compare import Comparison, ModelRow
from todacomm.core.types import Measurement, Profile
from todacomm.homology.metrics import SCALED
from todacomm.report.document.style import cut
from todacomm.report.words import phrases
from todacomm.report.words.phrases import (
    H0_SHAPE,
    H0_TOTAL,
    H1_SHAPE,
    H1_TOTAL,
    number,
    padded,
    row_doubts,
    row_mark,
    share,
    summary_of,
)

COLUMNS = {
    "H0 total": H0_TOTAL,
    "H0 / scale": H0_SHAPE,
    "H1 total": H1_TOTAL,
    "H1 max": "H1_max_lifetime",
    "H2 total": "H2_total_persistence",
}
SCALE_FREE = {
    "H0/scale": H0_SHAPE,
    "H1/scale": H1_SHAPE,
    "H1 max/scale": "H1_max_lifetime_scaled",
    "H2/scale": "H2_total_persistence_scaled",
}


def framed(title: str = "") -> Table:
    """A table without sides, its title above and on the left."""
    return Table(
        title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0)
    )


def summary_table(profile: Profile) -> Table:
    """One row a layer: unique points, variance kept, scale, covering radius of landmarks, H0, H1, and its flag."""
    pooled = f" · pooling {profile.recipe.pooling}" if profile.recipe.pooling else ""
    title = f"{cut(profile.model, 56)} · {cut(profile.data, 30)}{pooled}"
    table = framed(title.replace(r"\$", "$"))
    heads = SCALE_FREE if phrases.rescaled(profile.recipe) else COLUMNS
    columns = {head: key for head, key in heads.items() if key in profile.names}
    table.add_column("layer" if profile.along == "layer" else "step", overflow="fold", max_width=24, min_width=9)
    radius = ["radius"] if profile.measurements[0].facts.covering_radius is not None else []
    for head in ("distinct", "variance", "scale", *radius, *columns):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=1)
    for name, m in zip(phrases.positions(profile), profile.measurements, strict=True):
        table.add_row(name, *_cells(m, list(columns.values())), phrases.mark(m), style="dim" if phrases.mark(m) else "")
    return table


def _cells(m: Measurement, keys: list[str]) -> list[str]:
    facts = m.facts
    numbers = (None if key.endswith(SCALED) and facts.undefined else summary_of(m, key) for key in keys)
    radius = [] if facts.covering_radius is None else [number(facts.covering_radius, 3)]
    return [
        f"{facts.distinct_points:,}",
        share(facts.variance_kept),
        padded(facts.scale),
        *radius,
        *map(padded, numbers),
    ]


def legend(profile: Profile) -> str:
    """Explain the marks and landmarks of a table, with layers and reasons; empty without any."""
    return "\n".join((*phrases.mark_lines(profile), *phrases.landmark_lines(profile)))


def comparison_table(comparison: Comparison) -> Table:
    """One row a model; dataset and pooling only where they differ. "max ×" is the largest shape growth of any block."""
    found = {f: list(dict.fromkeys(getattr(r, f) for r in comparison.rows)) for f in ("data", "pooling")}
    several = {f for f, values in found.items() if len(values) > 1}
    table = framed(" · ".join(["Comparison", *(values[0] for f, values in found.items() if f not in several)]))
    for head in ("model", *sorted(several)):
        table.add_column(head, overflow="fold", max_width=30 if head == "model" else 12)
    for head in ("expansion", "= scale", "× shape"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("peak", no_wrap=True)
    for head in ("max ×", "bits/byte"):
        table.add_column(head, justify="right", no_wrap=True)
    marked = any(row_mark(row) for row in comparison.rows)
    if marked:
        table.add_column("", no_wrap=True, min_width=1)
    for row in comparison.rows:
        where = (str(getattr(row, f)) for f in sorted(several))
        table.add_row(row.model, *where, *_comparison_cells(row), *([row_mark(row)] if marked else []))
    return table


def _comparison_cells(row: ModelRow) -> list[str]:
    factors = [padded(x, 3) for x in (row.expansion, row.scale_growth, row.shape_growth)]
    shape = padded(row.largest_shape_growth, 3) + (" ○" if row.largest_shape_doubt else "")
    bits = "–" if row.bits_per_byte is None else padded(row.bits_per_byte)
    return [*factors, row.peak_layer or "–", shape, bits]


def comparison_legend(comparison: Comparison) -> str:
    """The doubts of the marked rows, and the models that failed."""
    return "\n".join(
        [
            *row_doubts(comparison.rows),
            *(f"failed: {model}: {message}" for model, message in comparison.failures.items()),
        ]
    )
