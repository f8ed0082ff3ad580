"""Print how large the page of a report is, how long it takes to make, and how soon its first chart is drawn.

todacomm run                                                     # four models, all layers, 500 texts
python benchmarks/page.py experiments/comparison_4_models_…      # also of `todacomm grok`

Making is `todacomm report DIRECTORY`, a process from start to end, figures and Markdown included. The chart is timed by
the page itself in Chromium, from the start of its navigation; medians of several openings, each in a context of its
own.
"""

import argparse
import statistics
import sys
from pathlib import Path

from measure import cost, environment

from clouds import machine

TESTS = Path(__file__).resolve().parents[1] / "tests"
FIRST = "() => performance.getEntriesByName('first-chart')[0].startTime"


def openings(page, times):
    """Seconds to the first chart and to the last, of each opening."""
    sys.path.append(str(TESTS))
    from pages import browser

    found = []
    with browser() as chromium:
        for _ in range(times):
            context = chromium.new_context(viewport={"width": 1280, "height": 900})
            opened = context.new_page()
            opened.goto(page.resolve().as_uri())
            opened.wait_for_selector("html[data-ready='1']", state="attached", timeout=120_000)
            found.append((opened.evaluate(FIRST) / 1000, opened.evaluate("() => performance.now()") / 1000))
            context.close()
    return [statistics.median(column) for column in zip(*found, strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--openings", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    made = cost([sys.executable, "-m", "todacomm", "report", given.directory, "-q"], env=environment(given.threads))
    page = next(
        path for path in (given.directory / "report.html", given.directory / "reports" / "report.html") if path.exists()
    )
    first, last = openings(page, given.openings)
    print(machine("matplotlib", "playwright"))
    print("\n| page, MB | made in, s (wall, CPU) | peak, MiB | first chart, s | all charts, s |\n|---|---|---|---|---|")
    print(
        f"| {page.stat().st_size / 1e6:.2f} | {made.wall:.1f}, {made.cpu:.1f} | {made.mebibytes:.0f} | {first:.2f} | "
        f"{last:.2f} |"
    )


if __name__ == "__main__":
    main()
