"""``todacomm run``."""

import shlex
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

from todacomm.cli import options
from todacomm.cli.terminal import console, tables
from todacomm.core.progress import unsaid
from todacomm.core.recipe import FEWEST_POINTS
from todacomm.runs.config import DEFAULT_STUDY, OF_MODELS, OPTIONS, Study

if TYPE_CHECKING:
    from todacomm.runs.run_study import Outcome

Config = Annotated[
    str | None,
    options.own(
        OF_MODELS,
        "Take all options from this study file; those that are given here replace its own.",
        "FILE|NAME",
        "--config",
    ),
]


@options.with_options(OPTIONS)
def run(
    given: Mapping[str, Any],
    config: Config = None,
    csv: options.Csv = False,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Measure models layer by layer, and compare them.

    Without options: the four small models that ship, on 500 texts of WikiText-2, with the same pooling. Offline.

    Examples:
      todacomm run
      todacomm run --model gpt2 --samples 500
      todacomm run --models gpt2,bert --pooling mean
      todacomm run --hf-model microsoft/phi-1_5 --dataset notes.txt

    """
    from todacomm.runs.run_study import execute

    study = study_of(config, given)
    silent = quiet or csv or json
    with console.tracker(quiet=silent) as track:
        say = unsaid if silent else console.say
        outcome = execute(study, command=command_line(), track=track, say=say, warn=console.warn)
    show(outcome, csv=csv, json=json, quiet=quiet)
    if outcome.failures:
        console.stop(console.FAILED)


def study_of(config: str | None, given: Mapping[str, Any]) -> Study:
    """The study of ``--config``, or the default one, with the options that were given in place of its keys.

    Of a file of texts all are measured, unless ``--samples`` or a study file says how many.
    """
    from todacomm.models.datasets import texts_of_own_file
    from todacomm.runs.config_files import load_shipped, open_study

    if config is not None:
        return open_study(config).but(**given)
    study = Study(**given) if "models" in given else load_shipped(DEFAULT_STUDY).but(**given)
    undecided = len(study.datasets) == 1 and "samples" not in given and study.min_tokens == 1
    count = texts_of_own_file(study.datasets[0]) if undecided else None
    return study if count is None else study.but(samples=max(count, FEWEST_POINTS))


def command_line() -> str:
    """The command line, quoted for a shell."""
    return shlex.join(["todacomm", *sys.argv[1:]])


def show(outcome: "Outcome", *, csv: bool, json: bool, quiet: bool) -> None:
    """Print the tables, the directories, and which models failed."""
    tables.show(outcome.profiles, csv=csv, json=json, quiet=quiet)
    if not (csv or json or quiet):
        for experiment in outcome.experiments:
            console.page("Report", experiment / "reports" / "report.html")
        if outcome.comparison:
            tables.show_comparison(outcome.comparison, outcome.compared.values())
    for model, failure in outcome.failures.items():
        console.err.tell("failed:", "bold red", f"{model}: {failure.message}")
