"""``todacomm grok``."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from todacomm.cli import options
from todacomm.cli import run as running
from todacomm.cli.terminal import console, streams
from todacomm.core.errors import InvalidInput, InvalidRecord
from todacomm.core.progress import unsaid
from todacomm.runs.config import OPTIONS, OUTPUT_PANEL, Study
from todacomm.runs.fields import Kind, Option, named

if TYPE_CHECKING:
    from todacomm.runs.training_results import ExperimentResults
    from todacomm.training.verdict import RunSummary

TASK, NETWORK, TRAINING, LOOK = "Task", "Network", "Training", "What is measured"
NEVER = "-"


def setting(panel: str, sentence: str, shape: str = "N", *, default: str = "", old: tuple[str, ...] = ()) -> Option:
    """An option for a setting of training, parsed and checked with the presets."""
    choices = () if shape in ("N", "X", "N|all") else tuple(shape.split("|"))
    return Option(default, sentence, Kind(str, shape, choices=choices), panel, frozenset(), {}, old)


SETTINGS = {
    "task": setting(TASK, "Task to learn", "add|sub|mul|div|quadratic|s5|images", default="add"),
    "prime": setting(TASK, "Number of residues", default="113"),
    "train_fraction": setting(TASK, "Fraction of the pairs that is trained on", "X", default="0.3"),
    "permuted": setting(TASK, "Fraction of the training labels that is permuted", "X", default="0"),
    "images": setting(TASK, "Images of --task images; auto is MNIST where the hub can be reached", "auto|mnist|digits"),
    "network": setting(
        NETWORK,
        "Network, each with its layers, learning rate and batch where these are not given",
        "transformer|mlp|nanda",
        old=("model",),
    ),
    "width": setting(NETWORK, "Width of the embedding"),
    "hidden": setting(NETWORK, "Width of hidden or feed-forward layers"),
    "layers": setting(NETWORK, "Number of layers"),
    "steps": setting(TRAINING, "Number of training steps"),
    "batch": setting(TRAINING, "Pairs per step", "N|all"),
    "learning_rate": setting(TRAINING, "Learning rate of AdamW", "X"),
    "weight_decay": setting(TRAINING, "Weight decay of AdamW", "X"),
    "every": setting(LOOK, "Steps between checkpoints; by default a hundredth of the run"),
    "points": setting(LOOK, "Test inputs whose hidden states make clouds"),
    "test_pairs": setting(LOOK, "Test inputs that are evaluated; all training inputs are", "N|all"),
}
SHARED = {
    "jobs": options.retold("jobs", "Runs at a time, one core each"),
    "device": options.retold(
        "device",
        "Device to train on; cpu is fastest for networks this small",
        default="cpu",
        kind=named("device", ("cpu", "cuda", "mps")),
    ),
    "max_memory": OPTIONS["max_memory"],
    "name": options.retold("name", "Name of the experiment; none is grok_<task>_p<prime>"),
    **{key: OPTIONS[key] for key in ("output_dir", "figures", "figures_bare")},
}


@options.with_options({**SETTINGS, **SHARED})
def grok(
    given: Mapping[str, Any],
    preset: Annotated[
        str,
        options.own(
            TASK,
            "Start from the settings of quick, paper-transformer, paper-mlp, nanda, one-hidden-layer or images.",
            "NAME",
        ),
    ] = "quick",
    seeds: Annotated[str, options.own(TRAINING, "Seeds, one run each.", "A-B|A,B")] = "46-48",
    sweep: Annotated[
        list[str] | None,
        options.own(
            TRAINING,
            "Values of a setting, repeatable: every combination is a cell with its own seeds and controls.",
            "KEY=A,B,…",
        ),
    ] = None,
    controls: Annotated[
        int,
        options.own(
            TRAINING,
            "Runs with permuted labels, and as many without weight decay, of each cell; few make a wide band.",
            "N",
        ),
    ] = 2,
    turn: Annotated[
        bool,
        options.own(
            LOOK,
            "Find the loops of the embedding of each run that generalised, and turn them, to see which the network "
            "uses.",
            "",
            "--turn/--no-turn",
        ),
    ] = True,
    stability: Annotated[
        int | None,
        options.own(
            LOOK,
            "Train each run once more as N copies, most of them perturbed, to see whether small differences grow, as "
            "todacomm stability does.",
            "N",
            "--stability",
        ),
    ] = None,
    json: Annotated[
        bool, options.own(OUTPUT_PANEL, "Print signature.json instead of the table.", "", "--json")
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Train small networks until they grok, measure the shape of their embedding, and compare it with controls.

    Every hundredth of a run is measured: accuracy, persistent homology of the embedding and of the hidden states,
    Fourier spectrum, local dimension, norms. Of runs that generalised the loops of the embedding are found without
    labels, named by their frequencies and turned, which shows those that the network uses. Controls (permuted labels,
    no weight decay) give the null band. The same command resumes a stopped run.

    Examples:
      todacomm grok
      todacomm grok --task mul --seeds 46-50
      todacomm grok --preset paper-transformer --seeds 46,47
      todacomm grok --stability 8 --seeds 46
      todacomm grok --sweep weight_decay=0.1,0.5,1 --sweep train_fraction=0.2,0.3,0.5

    """
    from todacomm.runs.training_experiment import Means, execute_grok
    from todacomm.runs.training_runs import experiment_of
    from todacomm.stability.stability import Copying
    from todacomm.training.presets import hint_of, read_value, seeds_of

    copying = None if stability is None else Copying(copies=stability)
    settings = {key: read_value(key, given[key]) for key in SETTINGS if key in given}
    study = Study(**{"device": "cpu", **{key: given[key] for key in SHARED if key in given}})
    experiment = experiment_of(preset, settings, seeds_of(seeds), sweep=sweep_of(sweep or []), controls=controls)
    silent = quiet or json
    say = unsaid if silent else console.say
    if hint := hint_of(preset, settings):
        say(hint)
    with console.tracker(quiet=silent) as track:
        means = Means(study.jobs, study.device, study.max_memory, track, say, study.drawn_as(), turn, copying)
        found = execute_grok(
            experiment,
            output_dir=study.output_dir,
            output=study.name,
            means=means,
            command=running.command_line(),
        )
    show(found, json=json, quiet=quiet)
    if found.failures or found.problems:
        console.stop(console.FAILED)


def sweep_of(typed: list[str]) -> dict[str, list[Any]]:
    """Parse ``--sweep key=a,b`` to key → values. Raises UnknownName for a key, InvalidInput for a value."""
    from todacomm.training.presets import read_value

    found: dict[str, list[Any]] = {}
    for text in typed:
        key, sign, values = text.partition("=")
        key = key.strip().replace("-", "_")
        parts = [part.strip() for part in values.split(",") if part.strip()]
        if not sign or not parts:
            raise InvalidInput(f"--sweep {text}: expected a setting and its values, such as weight_decay=0.1,1")
        if key in found:
            raise InvalidInput(f"--sweep {key} is given twice; give all its values in one list")
        found[key] = list(dict.fromkeys(read_value(key, part) for part in parts))
    return found


# What is printed


def show(found: "ExperimentResults", *, json: bool, quiet: bool) -> None:
    """Print the verdict, a row for each run and control, and the directory."""
    from todacomm.records.files.io import read_json

    if json:
        streams.print_json(read_json(found.directory / "signature.json"))
    elif not quiet:
        for cell, one in found.signatures.items():
            show_runs(cell, (*one.runs, *one.controls), one.sentences)
        for cell, told in found.told.items():
            show_runs(cell, told)
        for line in turned_in(found.directory):
            console.out.print(line, soft_wrap=True)
        console.page("Report", found.directory / "reports" / "report.html")
    for cell, problem in found.problems.items():
        console.err.tell(f"no signature{f' of {cell}' if cell else ''}:", "bold red", problem)
    for name, problem in found.failures.items():
        console.err.tell(f"{name}:", "bold red", problem)


def turned_in(directory: Path) -> Iterator[str]:
    """Which loops each run below a directory uses, for those that were turned."""
    from todacomm.records.training import TURNED, read_turned
    from todacomm.report.training.turned_sections import told_of

    for path in sorted(directory.rglob(TURNED)):
        with suppress(InvalidRecord):  # the report tells of a damaged one
            if record := read_turned(path.parent):
                yield f"{path.parent.name}: {told_of(record.found)}"


def show_runs(cell: str, told: Sequence["RunSummary"], sentences: Sequence[str] = ()) -> None:
    """Print one table, and the sentences that the numbers support."""
    from rich import box
    from rich.table import Table

    table = Table(title=cell or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for head in ("run", "memorised", "generalised", "accuracy", "plateau", "after", "ratio", "verdict"):
        table.add_column(head, justify="left" if head in ("run", "verdict") else "right")
    for one in told:
        at = [
            NEVER if step is None else f"{step:,}"
            for step in (one.milestones.memorised_at, one.milestones.generalised_at)
        ]
        rise = one.rise
        of_rise = [NEVER] * 3 if rise is None else [f"{rise.plateau:.3f}", f"{rise.after:.3f}", f"{rise.ratio:.2f}"]
        kind = f"seed {one.seed}" if one.kind == "run" else f"{one.kind}, seed {one.seed}"
        table.add_row(kind, *at, f"{one.ending.last_test:.3f}", *of_rise, one.verdict)
    table.caption = "accuracy: of the test inputs at the last checkpoint"
    table.caption_justify = "left"
    console.out.print(table)
    for sentence in sentences:
        console.out.print(sentence, soft_wrap=True)
