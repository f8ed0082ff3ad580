"""``todacomm grok``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.cli import console, options, streams
from todacomm.cli import run as running
from todacomm.core.errors import InvalidInput

if TYPE_CHECKING:
    from todacomm.runs.training_results import Grokked
    from todacomm.training.verdict import Told

TASK, NETWORK, TRAINING, LOOK = "Task", "Network", "Training", "What is measured"
NEVER = "-"


def grok(
    preset: Annotated[
        str,
        typer.Option(
            help="quick, paper-transformer, paper-mlp, nanda, one-hidden-layer or images: where the settings start.",
            rich_help_panel=TASK,
        ),
    ] = "quick",
    task: Annotated[
        str | None,
        typer.Option(help="add, sub, mul, div, quadratic, s5 or images (default add).", rich_help_panel=TASK),
    ] = None,
    prime: Annotated[int | None, typer.Option(help="Residues (default 113).", rich_help_panel=TASK)] = None,
    train_fraction: Annotated[
        float | None, typer.Option(help="Share of the pairs that is learned from (default 0.3).", rich_help_panel=TASK)
    ] = None,
    permuted: Annotated[
        float | None,
        typer.Option(help="Share of the training labels that is permuted (default 0).", rich_help_panel=TASK),
    ] = None,
    images: Annotated[
        str | None,
        typer.Option(
            metavar="auto|mnist|digits",
            help="For --task images; auto is MNIST where the hub can be reached.",
            rich_help_panel=TASK,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="transformer, mlp or nanda: each with its layers, learning rate and batch, where these are not given.",
            rich_help_panel=NETWORK,
        ),
    ] = None,
    width: Annotated[int | None, typer.Option(help="Of the embedding.", rich_help_panel=NETWORK)] = None,
    hidden: Annotated[
        int | None, typer.Option(help="Of hidden or feed-forward layers.", rich_help_panel=NETWORK)
    ] = None,
    layers: Annotated[int | None, typer.Option(help="How many.", rich_help_panel=NETWORK)] = None,
    steps: Annotated[int | None, typer.Option(help="How long.", rich_help_panel=TRAINING)] = None,
    batch: Annotated[str | None, typer.Option(metavar="N|all", help="Pairs a step.", rich_help_panel=TRAINING)] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Of AdamW.", rich_help_panel=TRAINING)] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of AdamW.", rich_help_panel=TRAINING)] = None,
    seeds: Annotated[str, typer.Option(metavar="A-B|A,B", help="One run each.", rich_help_panel=TRAINING)] = "46-48",
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=A,B,…",
            help="Values of a setting, repeatable: every combination is a cell with its own seeds and controls.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    controls: Annotated[
        int,
        typer.Option(
            help="Runs with permuted labels, and as many without weight decay; of each cell in a sweep. Fewer make a wide band.",
            rich_help_panel=TRAINING,
        ),
    ] = 2,
    every: Annotated[
        int | None,
        typer.Option(help="Steps between checkpoints (default a hundredth of the run).", rich_help_panel=LOOK),
    ] = None,
    points: Annotated[
        int | None, typer.Option(help="Test inputs whose hidden states make clouds.", rich_help_panel=LOOK)
    ] = None,
    test_pairs: Annotated[
        str | None,
        typer.Option(
            metavar="N|all", help="Test inputs that are evaluated; all training inputs are.", rich_help_panel=LOOK
        ),
    ] = None,
    jobs: Annotated[
        str, typer.Option(metavar="auto|N", help="Runs at a time, a core each.", rich_help_panel=options.OUTPUT)
    ] = "auto",
    device: Annotated[
        str,
        typer.Option(help="cpu, cuda or mps; networks this small are fastest on cpu.", rich_help_panel=options.OUTPUT),
    ] = "cpu",
    max_memory: options.MaxMemory = None,
    output: Annotated[
        str | None,
        typer.Option(help="Name of the experiment (default grok_<task>_p<prime>).", rich_help_panel=options.OUTPUT),
    ] = None,
    output_dir: Annotated[str, typer.Option(help="Where it goes.", rich_help_panel=options.OUTPUT)] = "experiments",
    figures: options.Formats = "png",
    figures_bare: options.Bare = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print signature.json instead of the table.", rich_help_panel=options.OUTPUT)
    ] = False,
    quiet: options.Quiet = False,
) -> None:
    """Train small networks until they grok, watch the shape of their embedding, and judge it against controls.

    Every hundredth of a run is measured: accuracy, persistent homology of the embedding and of the hidden states, Fourier spectrum, local
    dimension, norms. Controls (permuted labels, no weight decay) run beside it and make the null band. A run that was stopped goes on when
    the same command is given again.

    [bold]Examples[/]
      todacomm grok
      todacomm grok --task mul --seeds 46-50
      todacomm grok --preset paper-transformer --seeds 46,47
      todacomm grok --sweep weight_decay=0.1,0.5,1 --sweep train_fraction=0.2,0.3,0.5
    """
    from todacomm.report.document.figure_formats import Figures
    from todacomm.runs.training_experiment import Means, execute_grok
    from todacomm.runs.training_runs import experiment_of
    from todacomm.training.presets import hint_of, read_value, seeds_of

    typed = {
        "task": task, "prime": prime, "train_fraction": train_fraction, "permuted": permuted, "images": images, "network": model,
        "width": width, "hidden": hidden, "layers": layers, "steps": steps, "learning_rate": learning_rate,
        "weight_decay": weight_decay, "every": every, "points": points,
    }  # fmt: skip
    given = {key: value for key, value in typed.items() if value is not None}
    for key, text in (("batch", batch), ("test_pairs", test_pairs)):
        if text is not None:
            given[key] = read_value(key, text)
    experiment = experiment_of(preset, given, seeds_of(seeds), sweep=sweep_of(sweep or []), controls=controls)
    silent, written = quiet or json, Figures.read(figures, bare=figures_bare)
    say = console.unsaid if silent else console.say
    if hint := hint_of(preset, given):
        say(hint)
    with console.tracker(quiet=silent) as track:
        means = Means(
            options.auto_or_number("--jobs", jobs, of="runs at a time"),
            device,
            max_memory,
            track,
            say,
            written,
        )
        found = execute_grok(
            experiment, output_dir=output_dir, output=output, means=means, command=running.command_line()
        )
    show(found, json=json, quiet=quiet)
    if found.failures or found.problems:
        console.stop(console.FAILED)


def sweep_of(typed: list[str]) -> dict[str, list[Any]]:
    """Key → values of ``--sweep key=a,b``. Raises UnknownName for a key that there is not, InvalidInput for a value."""
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


def show(found: "Grokked", *, json: bool, quiet: bool) -> None:
    """The verdict, a row for each run and control, and where everything is."""
    from todacomm.records.io import read_json

    if json:
        streams.print_json(read_json(found.directory / "signature.json"))
    elif not quiet:
        for cell, one in found.signatures.items():
            show_runs(cell, (*one.runs, *one.controls), one.sentences)
        for cell, told in found.told.items():
            show_runs(cell, told)
        console.page("Report", found.directory / "reports" / "report.html")
    for cell, problem in found.problems.items():
        console.err.tell(f"no signature{f' of {cell}' if cell else ''}:", "bold red", problem)
    for name, problem in found.failures.items():
        console.err.tell(f"{name}:", "bold red", problem)


def show_runs(cell: str, told: Sequence["Told"], sentences: Sequence[str] = ()) -> None:
    """One table, and the sentences that the numbers support."""
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
