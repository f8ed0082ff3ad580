"""Print the runs of experiments of training as a table beside one another: what docs/grokking.md shows.

python benchmarks/grokking.py experiments/grok_add_p113_*        # made by the commands of docs/grokking.md
"""

import argparse
import json
from pathlib import Path

CHEAP = ("fourier_top5_share", "weight_norm")
HEADS = (
    "run",
    "steps",
    "memorised",
    "generalised",
    "H1 max, plateau",
    "after",
    "ratio",
    "H1 total, plateau",
    "after",
    "lag, steps",
    "ρ H1 max",
    "ρ H0 total",
    "ρ Fourier share",
    "ρ weight norm",
    "minutes",
)


def row(directory):
    """One run as cells."""
    from todacomm.records.training import is_done, read_run
    from todacomm.training.signature import plateau_of, rise, tell

    course = read_run(directory).course
    followed = json.loads((directory / "run.json").read_text())["followed"]
    place = followed.removesuffix("H1_max_lifetime")
    told = tell(course, followed)
    span = plateau_of(course, told.milestones)
    total = rise(course[f"{place}H1_total_persistence"], span)
    minutes = json.loads((directory / "finished.json").read_text())["seconds"] / 60 if is_done(directory) else None

    def said(value, form):
        return "–" if value is None else format(value, form)

    at = told.milestones
    return [
        f"{directory.parents[1].name.rsplit('_', 2)[0]}, {course.name}",
        f"{course.steps[-1]:,}",
        said(at.memorised_at, ",d"),
        said(at.generalised_at, ",d"),
        *(said(told.rise and getattr(told.rise, key), ".3f") for key in ("plateau", "after")),
        said(told.rise and told.rise.ratio, ".2f"),
        *(said(total and getattr(total, key), ".1f") for key in ("plateau", "after")),
        said(told.lag and told.lag.steps, ",d"),
        *(
            said(told.ranks[name].rho if name in told.ranks else None, "+.2f")
            for name in (followed, f"{place}H0_total_persistence", *CHEAP)
        ),
        said(minutes, ".0f"),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", nargs="+", type=Path)
    given = parser.parse_args().directory
    rows = [row(path.parent) for place in given for path in sorted((place / "runs").rglob("records.jsonl"))]
    print("| " + " | ".join(HEADS) + " |")
    print("|---" + "|---:" * (len(HEADS) - 1) + "|")
    for cells in rows:
        print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
