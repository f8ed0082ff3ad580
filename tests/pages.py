"""One page of each kind, made of small runs, and a real browser to open them in."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path

from small_studies import DECODER, ENCODER

KINDS = ("run", "compare", "grok", "loops", "probe", "stability", "track")
HOSTILE = (
    "<script>window.hacked = 'a script'</script>",
    "</script><script>window.hacked = 'a closed script'</script>",
    "<img src=x onerror=\"window.hacked = 'an image'\">",
    "-->]]> & &lt;b&gt; <b>bold</b> {{ 7 * 7 }} \u2028 javascript:alert(1)",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def browser_path():
    """The Chromium that is installed; None for none."""
    given = os.environ.get("TODACOMM_BROWSER")
    return given or next(filter(None, map(shutil.which, BROWSERS)), None)


@contextmanager
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser_path(), args=[*QUIET])
        yield opened
        opened.close()


def make_pages(place):
    """The paths of the pages by kind; texts and file names are hostile."""
    from loop_records import TEXTS, planted
    from stable_runs import stable_findings
    from stored import a_probe
    from todacomm.report.loops.loop_sections import write_loops_report
    from todacomm.report.probes.probe_sections import write_probe_report
    from todacomm.report.stability.stability_sections import write_stability_report
    from todacomm.report.tracking.track_document import write_track_report
    from todacomm.runs.config import Study
    from todacomm.runs.run_study import execute
    from todacomm.runs.training_experiment import concluded
    from tracked import findings
    from trained import make

    texts = place / "texts <b>.jsonl"
    plain = [f"Text number {i} is about the {word} of a small river." for i, word in enumerate(WORDS.split())]
    lines = (json.dumps({"text": text}) for text in (*HOSTILE, *plain))
    texts.write_text("\n".join(lines) + "\n", encoding="utf-8")
    outcome = execute(
        Study(
            models=(DECODER, ENCODER),
            datasets=(str(texts),),
            samples=40,
            min_tokens=1,
            pooling=("mean",),
            resamples=20,
            null_draws=39,
            output_dir=str(place / "experiments"),
        )
    )
    assert not outcome.failures
    make(place / "grok")
    concluded(place / "grok", {})
    write_probe_report(place / "probe", a_probe(), {"command": "todacomm probe"})
    write_stability_report(place / "stability", stable_findings(HOSTILE), {"command": HOSTILE[0]})
    write_loops_report(place / "loops", planted((*HOSTILE, *TEXTS[len(HOSTILE) :])))
    write_track_report(place / "track", findings((HOSTILE[2], "second")))
    return {
        "run": Path(outcome.experiments[0]) / "reports" / "report.html",
        "compare": Path(outcome.comparison) / "report.html",
        "grok": place / "grok" / "reports" / "report.html",
        "loops": place / "loops" / "report.html",
        "probe": place / "probe" / "report.html",
        "stability": place / "stability" / "report.html",
        "track": place / "track" / "report.html",
    }


WORDS = (
    "source bank bend bed mouth water flood ice bridge ford mill weir fish reed stone sand mud delta island current "
    "name map law song price course depth width colour sound smell taste age origin fall end"
)
