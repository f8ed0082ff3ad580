"""What a command prints at its end: a table, or CSV or JSON in its place."""

import csv as csv_module
import json as json_module
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from todacomm.cli import console
from todacomm.types import Expansion, Profile


def show(profiles: Sequence[Profile], *, csv: bool, json: bool, quiet: bool) -> None:
    """Print the profiles in the form asked for; JSON goes before CSV, both before the table."""
    if json:
        json_module.dump([as_json(p) for p in profiles], sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
    elif csv:
        write_csv(profiles)
    elif not quiet:
        for profile in profiles:
            show_table(profile)


def as_json(profile: Profile) -> dict[str, object]:
    """The model, the data and one record a layer."""
    from todacomm.store import summaries

    where = {"model": profile.model, "data": profile.data, "pooling": profile.recipe.pooling}
    expansions = [asdict(expansion) for expansion in profile.expansions]
    return {**where, "expansions": expansions, "language": profile.language, "layers": summaries(profile)}


def write_csv(profiles: Sequence[Profile]) -> None:
    """One row a layer, the columns of all profiles; an undefined number is an empty cell."""
    rows = [{"pooling": p.recipe.pooling, **row} for p in profiles for row in p.rows()]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    writer = csv_module.DictWriter(sys.stdout, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)


def show_table(profile: Profile) -> None:
    """The table of one profile with its marks explained underneath."""
    from todacomm.report.table import legend, summary_table

    console.out.print(summary_table(profile))
    for line in (legend(profile), *map(growth_line, profile.expansions[:1])):
        if line:
            console.out.print(console.escaped(line), soft_wrap=True)


def growth_line(expansion: Expansion) -> str:
    """The expansion against the embedding with its factors, or why there is none."""
    growth = expansion.growth
    if growth is None:
        return f"expansion undefined ({expansion.reason})"
    doubt = f"  ○ doubtful: {expansion.doubt}" if expansion.doubt else ""
    factors = f"{growth.ratio:.3g} = scale growth {growth.scale:.3g} × shape growth {growth.shape:.3g}"
    return f"expansion {growth.baseline} → {growth.peak}: {factors}{doubt}"


def show_comparison(directory: Path, profiles: Sequence[Profile]) -> None:
    """The table of each group of profiles, its warnings, and where the comparison is."""
    from todacomm.comparison import compare, groups_of
    from todacomm.report.table import comparison_legend, comparison_table

    for group in groups_of(profiles).values():
        comparison = compare(group)
        console.out.print(comparison_table(comparison))
        for line in (comparison_legend(comparison), *comparison.warnings):
            if line:
                console.out.print(console.escaped(line), soft_wrap=True)
    console.out.print(f"Comparison: {directory / 'report.html'}", soft_wrap=True)
