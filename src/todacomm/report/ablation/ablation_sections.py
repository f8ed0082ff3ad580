"""Report an ablation: which claims stand, where they fail, what could not be judged."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from todacomm.ablation.judge import Ablation, Standing
from todacomm.ablation.settings import FACTORS, WORDS, Setting, spoken
from todacomm.records.ablations import rows_of
from todacomm.report.document.pieces import Bullets, Context, Document, Paragraph, Piece, Table, parts_of, section
from todacomm.report.layers import layer_document  # registered first: its closing sections serve every record
from todacomm.report.words.phrases import number, plural

__all__ = ["claim_rows", "layer_document", "write_ablation_report"]

MOST = 8  # settings that are named one by one


def write_ablation_report(directory: Path, found: Ablation, failures: Mapping[str, str], command: str) -> list[Path]:
    """Write ``ablation.md``, ``report.html`` and ``visualizations/``; figures that an old record lacks are kept."""
    from todacomm.report.ablation.ablation_charts import write_ablation_figures
    from todacomm.report.render import write_document

    place = directory / "visualizations"
    before = [] if found.depths is not None else [path for path in [place / "ablation_peaks.png"] if path.exists()]
    figures = [*write_ablation_figures(found, place), *before]
    context = {"figures": figures, "failures": failures, "command": command}
    return write_document(ablation_document(found, context), directory, "ablation.md")


def ablation_document(found: Ablation, context: Context) -> Document:
    """Build the document."""
    title = f"What stands under {plural(len(found.settings) - 1, 'other setting')}"
    return Document(title, ", ".join(found.models), parts_of(found, context))


# Sentences


def claim_rows(found: Ablation) -> list[tuple[str, str, str]]:
    """A claim, the settings in which it stands out of those that can judge it, and where it fails."""
    return [(s.text, tally(s), failing(s, found.base)) for s in found.standings]


def tally(standing: Standing) -> str:
    """``12 of 14``, and whether the base itself is otherwise."""
    if standing.base.stands is None:
        return f"not judged: {standing.base.reason}"
    found = f"{standing.stands} of {standing.judged}" if standing.judged else "no setting can judge it"
    return found if standing.base.stands else f"{found}; fails in the base ({standing.base.value})"


def failing(standing: Standing, base: Setting) -> str:
    """The settings in which it fails, with what was found there; the first of many."""
    told = [f"{s.label(base)} ({found_instead(standing, s)})" for s in standing.fails]
    more = [f"and {len(told) - MOST} more"] if len(told) > MOST else []
    return "; ".join([*told[:MOST], *more]) or "–"


def found_instead(standing: Standing, setting: Setting) -> str:
    """The value of a setting, for an order Kendall's τ."""
    verdict = standing.verdicts[setting]
    return verdict.value if verdict.tau is None else f"τ {verdict.tau:.2f}"


def apart(found: Ablation) -> list[str]:
    """Why claims could not be judged: each reason once, with its settings and the claims that it concerns."""
    told: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for standing in found.standings:
        reasons: dict[str, list[str]] = {}
        for setting in standing.apart:
            reasons.setdefault(standing.verdicts[setting].reason, []).append(setting.label(found.base))
        for reason, labels in reasons.items():
            told.setdefault((reason, tuple(labels)), []).append(standing.name)
    return [
        f"{reason} ({shortened(labels)}). {whose(claims, len(found.standings))}"
        for (reason, labels), claims in told.items()
    ]


def whose(claims: Sequence[str], of: int) -> str:
    """The claims that a reason concerns."""
    return "All claims." if len(claims) == of else f"{plural(len(claims), 'claim')}: {'; '.join(claims)}."


def shortened(labels: Sequence[str]) -> str:
    """The first labels of many."""
    more = f" and {len(labels) - MOST} more" if len(labels) > MOST else ""
    return "; ".join(labels[:MOST]) + more


# Sections


@section("ablation", title="The answer", record=Ablation)
def answer(found: Ablation, context: Context) -> Iterator[Piece]:
    """Count the claims that stand everywhere, and name the others."""
    judged = [s for s in found.standings if s.judged and s.base.stands is not None]
    firm = [s for s in judged if s.stands == s.judged and s.base.stands]
    weak = [s for s in judged if s not in firm]
    yield Paragraph(
        f"{len(firm)} of {plural(len(judged), 'claim')} {'stands' if len(firm) == 1 else 'stand'} in every setting "
        f"that can judge {'it' if len(firm) == 1 else 'them'}"
        + ("." if not weak else "; those that do not hang on how the clouds were made and measured."),
        "answer",
    )
    if weak:
        yield Bullets(tuple(f"{s.text}: stands in {tally(s)}. Fails: {failing(s, found.base)}." for s in weak))
    for model, message in context.get("failures", {}).items():
        yield Paragraph(f"{model} failed: {message}", "warning")


@section("claims", title="Claims", record=Ablation)
def claims(found: Ablation, _: Context) -> Iterator[Piece]:
    """The table of claims, and what was counted apart."""
    yield Table(("Claim", "Stands in", "Where it fails"), tuple(claim_rows(found)), words=3)
    yield Paragraph(
        "The base is not counted: what it shows is the claim. Settings that cannot speak for or against a claim are "
        "counted neither way: those in other units, those that change nothing, those whose clouds are undefined or "
        "doubtful."
    )
    if lines := apart(found):
        yield Bullets(tuple(lines))
    if not any("loop" in s.text.lower() or "prominence" in s.text for s in found.standings):
        yield Paragraph("Loops were not tested; --null-draws 199 adds that claim, and takes longer.")


@section("ablation-figures", title="Figures", record=Ablation, brief=False)
def figures(found: Ablation, context: Context) -> Iterator[Piece]:
    """The figures of an ablation; an old record keeps its figure of the peaks."""
    from todacomm.report.ablation.ablation_charts import ablation_drawings

    yield from ablation_drawings.shown(found, context.get("figures", ()))


@section("settings", title="Settings", record=Ablation, brief=False)
def settings(found: Ablation, _: Context) -> Iterator[Piece]:
    """The base, and the numbers of every setting and model."""
    of_texts = ("pooling", "max_length") if found.base.max_length is None else ()  # which arrays have not
    base = ", ".join(f"{WORDS[f]} {spoken(f, getattr(found.base, f))}" for f in FACTORS if f not in of_texts)
    on = "; ".join(f"{model} on {layer or 'none'}" for model, layer in found.baselines.items())
    yield Paragraph(f"The base: {base}. Growths are set on the baseline of the base in every setting: {on}.")
    head = ("Setting", "Model", "Points", "Expansion", "Scale growth", "Shape growth", "Peak", "Doubt")
    rows = tuple(
        (
            row.setting,
            row.model,
            number(row.numbers.points_measured),
            *(number(one, 3) for one in (row.numbers.expansion, row.numbers.scale_growth, row.numbers.shape_growth)),
            row.numbers.peak_layer or "–",
            row.numbers.doubt,
        )
        for row in rows_of(found)
    )
    yield Table(head, rows, words=2)
