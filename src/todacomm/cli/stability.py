"""``todacomm stability``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

from todacomm.cli import options
from todacomm.cli import run as running
from todacomm.cli.grok import SETTINGS, TASK, TRAINING
from todacomm.cli.terminal import console, streams
from todacomm.core.errors import InvalidInput
from todacomm.core.progress import unsaid
from todacomm.runs.config import OPTIONS, OUTPUT_PANEL, Study

if TYPE_CHECKING:
    from rich.table import Table

    from todacomm.report.stability.stability_findings import StabilityFindings
    from todacomm.stability.stability import Copying

COPIES, OVER_RECIPES = "Copies", "Over recipes"
SHARED = {
    "jobs": options.retold("jobs", "Runs at a time, one core each"),
    "name": options.retold("name", "Name of the study; none is stability_<task>_p<prime>"),
    **{key: OPTIONS[key] for key in ("output_dir", "figures", "figures_bare")},
}


@options.with_options({**SETTINGS, **SHARED})
def stability(
    given: Mapping[str, Any],
    preset: Annotated[
        str,
        options.own(
            TASK, "Start from the settings of quick, paper-transformer, paper-mlp, nanda or one-hidden-layer.", "NAME"
        ),
    ] = "quick",
    seeds: Annotated[str, options.own(TRAINING, "Seeds, one run each.", "A-B|A,B")] = "46-48",
    copies: Annotated[
        int,
        options.own(
            COPIES,
            "Networks that train side by side: one is not perturbed, half are brought back to it again and again, the "
            "rest runs free.",
            "N",
        ),
    ] = 8,
    epsilon: Annotated[
        float, options.own(COPIES, "Length of the perturbation of each tensor, over its norm.", "X")
    ] = 1e-3,
    scan: Annotated[
        str,
        options.own(
            COPIES, "Further epsilons, one copy each, to see whether the exponent depends on it; or none.", "X,Y|none"
        ),
    ] = "1e-5,1e-4",
    renormalise: Annotated[
        int, options.own(COPIES, "Steps from one renormalisation to the next; 10 to 50 are usual.", "N")
    ] = 25,
    recipes: Annotated[
        int | None,
        options.own(
            OVER_RECIPES,
            "Draw N recipes at random (network, learning rate, weight decay, width, hidden, batch, fraction; what is "
            "given stays), and correlate the exponent with the change of shape.",
            "N",
        ),
    ] = None,
    recipe_seed: Annotated[int, options.own(OVER_RECIPES, "Seed of the recipes.", "N")] = 42,
    json: Annotated[
        bool, options.own(OUTPUT_PANEL, "Print stability_summary.json instead of the table.", "", "--json")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Train perturbed copies of a network beside it, and see whether small differences grow: Lyapunov exponents.

    Each copy begins, after the warm-up, as the network itself, but for Gaussian noise of --epsilon times the norm of
    each parameter tensor; optimiser state, batches and dropout masks are shared. The exponent is the rate, a step, at
    which the difference grows (above 0) or shrinks, in the weights, in the outputs, and for each group of parameters.
    It is renormalised: every --renormalise steps the difference is brought back to its first length. Beside it stand
    the raw exponent of free copies, the shape of the embedding, accuracy and sharpness, on one axis of steps. The same
    command resumes a stopped study.

    Examples:
      todacomm stability
      todacomm stability --network transformer --seeds 46 --copies 16
      todacomm stability --prime 59 --steps 2000 --scan none --renormalise 10
      todacomm stability --recipes 8 --prime 59 --steps 2000 --seeds 46-48

    """
    from todacomm.runs.stability.stability_experiment import StabilityMeans, execute_stability
    from todacomm.runs.stability.stability_runs import study_of
    from todacomm.training.presets import read_value, seeds_of

    settings = {key: read_value(key, given[key]) for key in SETTINGS if key in given}
    study = Study(**{key: given[key] for key in SHARED if key in given})
    chosen = recipes_of(preset, settings, recipes, recipe_seed)
    planned = study_of(chosen, seeds_of(seeds), copying_of(copies, epsilon, renormalise, scan))
    silent = quiet or json
    with console.tracker(quiet=silent) as track:
        means = StabilityMeans(study.jobs, track, unsaid if silent else console.say, study.drawn_as())
        found = execute_stability(
            planned, output_dir=study.output_dir, output=study.name, means=means, command=running.command_line()
        )
    if json:
        streams.print_json(read_summary(found.directory))
    elif not quiet:
        show(found.findings)
        console.page("Report", found.directory / "report.html")
    for name, problem in found.findings.failures.items():
        console.err.tell(f"{name}:", "bold red", problem)
    if found.findings.failures:
        console.stop(console.FAILED)


def recipes_of(preset: str, settings: Mapping[str, Any], count: int | None, seed: int) -> Sequence[Mapping[str, Any]]:
    """The one recipe that is given, or several that are drawn around it. Raises InvalidInput."""
    from todacomm.stability.recipes import random_recipes
    from todacomm.training.presets import settings_of

    if count is None:
        return [settings_of(preset, settings)]
    if preset != "quick":
        raise InvalidInput(f"--recipes {count} draws around --preset quick; leave --preset {preset} out")
    return random_recipes(count, settings, seed=seed)


def copying_of(copies: int, epsilon: float, every: int, scan: str) -> "Copying":
    """How copies are made, from what was typed. Raises InvalidInput."""
    from todacomm.stability.stability import Copying

    words = [] if scan == "none" else [word.strip() for word in scan.split(",")]
    try:
        scanned = tuple(map(float, words))
    except ValueError:
        raise InvalidInput(f"--scan {scan}: expected numbers such as 1e-5,1e-4, or none") from None
    return Copying(copies=copies, epsilon=epsilon, every=every, scanned=scanned)


def read_summary(directory: Any) -> Any:
    """The summary as it was written."""
    from todacomm.records.files.io import read_json
    from todacomm.records.stability import SUMMARY

    return read_json(directory / SUMMARY)


def show(findings: "StabilityFindings") -> None:
    """Print a row for each run, then what the chosen one shows."""
    from todacomm.report.stability.stability_sections import sentences, told_over_recipes, told_over_seeds

    console.out.print(table_of(findings))
    for sentence in sentences(findings.chosen):
        console.out.print(sentence, soft_wrap=True)
    if len(findings.runs) > 1:
        told = told_over_recipes if len(findings.recipes) > 1 else told_over_seeds
        console.out.print(told(findings), soft_wrap=True)


def table_of(findings: "StabilityFindings") -> "Table":
    """One row a run."""
    from todacomm.report.stability.stability_findings import label_of, last_accuracy
    from todacomm.report.stability.stability_sections import signed
    from todacomm.report.terminal.table import framed

    several = len(findings.recipes) > 1
    table = framed("Exponents, per 1,000 steps")
    for head in (*(("recipe",) if several else ()), "run", "weights", "outputs", "raw", "saturated at", "accuracy"):
        table.add_column(head, overflow="fold")
    for recipe, one in findings.runs:
        outputs = one.exponent("function").value if "function" in one.names else None
        saturated = "never" if one.saturated is None else f"{one.saturated:,}"
        numbers = (signed(value) for value in (one.exponent().value, outputs, one.raw().value))
        row = (label_of(one), *numbers, saturated, f"{last_accuracy(one):.3f}")
        table.add_row(*((recipe.removeprefix("recipe_"),) if several else ()), *row)
    return table
