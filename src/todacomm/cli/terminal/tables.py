"""Print results: a table, CSV or JSON."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from todacomm.cli.terminal import console, streams
from todacomm.core.types import Expansion, Number, Profile

if TYPE_CHECKING:
    from todacomm.comparison.compare import Comparison
    from todacomm.comparison.gate import Judgement, RuleValue

MOST_FOUND = 5  # values of a rule that fired that are printed


def show(profiles: Sequence[Profile], *, csv: bool, json: bool, quiet: bool) -> None:
    """Print profiles as JSON, else CSV, else a table."""
    if json:
        streams.print_json([as_json(p) for p in profiles])
    elif csv:
        write_csv(profiles)
    elif not quiet:
        for profile in profiles:
            show_table(profile)


def as_json(profile: Profile) -> dict[str, object]:
    """The model, the data and one record a layer."""
    from todacomm.records.inference import CLAIMS_RECORD, record_of
    from todacomm.records.runs import summaries

    where = {"model": profile.model, "data": profile.data, "pooling": profile.recipe.pooling}
    expansions = [asdict(expansion) for expansion in profile.expansions]
    claims = CLAIMS_RECORD.row(record_of(profile.claims)) if profile.claims else None
    return {
        **where,
        "expansions": expansions,
        "language": profile.language,
        "layers": summaries(profile),
        "claims": claims,
    }


def write_csv(profiles: Sequence[Profile]) -> None:
    """One row a layer with the columns of all profiles; undefined values are empty."""
    rows = [
        {"pooling": p.recipe.pooling, **row, **claimed_cells(p, row["layer"])} for p in profiles for row in p.rows()
    ]
    streams.print_csv(rows, list(dict.fromkeys(name for row in rows for name in row)))


def claimed_cells(profile: Profile, layer: str) -> dict[str, Number]:
    """The ends of the intervals of a layer, and its p-values against the Gaussian null, alone and over the layers."""
    claims = profile.claims
    found: dict[str, Number] = {}
    for name, one in (claims.intervals.get(layer, {}) if claims else {}).items():
        found |= {f"{name}_low": one.low, f"{name}_high": one.high}
    for name, test in (claims.tests.get("gaussian", {}).get(layer, {}) if claims else {}).items():
        found |= {f"{name}_p": test.p, f"{name}_p_adjusted": test.adjusted, f"{name}_p_family": test.family_wise}
    return found


def show_table(profile: Profile) -> None:
    """Print the table of one profile, with a legend of its marks."""
    from todacomm.report.terminal.table import legend, summary_table
    from todacomm.report.words.finding import finding
    from todacomm.report.words.loops import loop_sentences

    console.out.print(finding(profile), style="bold", soft_wrap=True)
    console.out.print(summary_table(profile))
    for line in (legend(profile), *growth_lines(profile), *loop_sentences(profile)):
        if line:
            console.out.print(line, soft_wrap=True)


def growth_lines(profile: Profile) -> list[str]:
    """The expansions: the leading one, that of an untrained model, then doubtful or undefined ones."""
    from todacomm.report.words.expansion import null_sentences
    from todacomm.report.words.phrases import expansions_in_order, leading_expansion

    found, leading = expansions_in_order(profile), leading_expansion(profile)
    growth = leading.growth if leading else None
    first = [growth_line(e, profile) for e in found[:1]]
    return [*first, *(null_sentences(profile, growth) if growth else ()), *(growth_line(e, profile) for e in found[1:])]


def growth_line(expansion: Expansion, profile: Profile) -> str:
    """An expansion with its factors and their intervals, or why there is none."""
    from todacomm.report.words.intervals_and_nulls import bracketed, growth_interval
    from todacomm.report.words.phrases import padded

    growth = expansion.growth
    if growth is None:
        return f"expansion from {expansion.baseline or 'the first sound layer'} undefined ({expansion.reason})"
    doubt = f"  ○ doubtful, nothing is concluded from it: {expansion.doubt}" if expansion.doubt else ""
    ratio, scale, shape = (
        f"{padded(getattr(growth, part), 3)}{bracketed(growth_interval(profile, growth, part))}"
        for part in ("ratio", "scale", "shape")
    )
    factors = f"{ratio} = scale growth {scale} × shape growth {shape}"
    return f"expansion {growth.baseline} → {growth.peak}: {factors}{doubt}"


def show_comparison(directory: Path, comparisons: "Iterable[Comparison]") -> None:
    """Print each comparison: finding, table, warnings, a verdict on each pair; then the directory and the take-home."""
    from todacomm.report.terminal.table import comparison_legend, comparison_table
    from todacomm.report.words.finding import finding_of_comparison, take_home
    from todacomm.report.words.pairs import verdicts

    shown = tuple(comparisons)
    for comparison in shown:
        console.out.print(finding_of_comparison(comparison), style="bold", soft_wrap=True)
        console.out.print(comparison_table(comparison))
        for line in (comparison_legend(comparison), *comparison.warnings, *verdicts(comparison)):
            if line:
                console.out.print(line, soft_wrap=True)
    console.out.print(f"\n{take_home(shown)}", style="bold", soft_wrap=True)
    console.page("Read it here", directory / "report.html")


def show_gate(outcomes: "Sequence[Judgement]", *, quiet: bool) -> None:
    """Print each rule, whether it fired, where and by how much: fired ones on standard error, others unless quiet."""
    for one in outcomes:
        if one.fired:
            show_rule(one, "FIRED", "red", console.err)
        elif not quiet:
            show_rule(one, "passed", "green", console.out)


def show_rule(one: "Judgement", sign: str, style: str, place: console.Terminal) -> None:
    """A rule, and the values that fired it or came nearest."""
    lines = [f"  {found_line(one, found)}" for found in one.fired[:MOST_FOUND] or (one.nearest,)]
    more = [f"  and {len(one.fired) - MOST_FOUND} more"] if len(one.fired) > MOST_FOUND else []
    place.tell(sign, style, one.rule.text)
    for line in (*lines, *more):
        place.print(line, soft_wrap=True)


def found_line(outcome: "Judgement", found: "RuleValue") -> str:
    """One value that a rule was checked on."""
    where = found.pair + (f", {found.layer}" if found.layer else "")
    told = f"{abs(found.beyond):.4g} {'beyond' if found.fires else 'short of'} {outcome.rule.number:g}"
    doubt = f"; doubtful: {found.doubt}" if found.doubt else ""
    return f"{'' if found.fires else 'nearest: '}{where}: {outcome.rule.kind} {found.value:.4g}, {told}{doubt}"
