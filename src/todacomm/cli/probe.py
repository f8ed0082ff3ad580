"""``todacomm probe``."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.circles.probes import shipped_probes
from todacomm.cli import options
from todacomm.cli import run as running
from todacomm.cli.terminal import console, streams
from todacomm.core.errors import InvalidInput
from todacomm.core.progress import unsaid
from todacomm.runs.config import Study

if TYPE_CHECKING:
    from todacomm.runs.loops.write_probe import ProbeWritten

TEST = "Tests"
LOADING = ("device", "device_map", "dtype", "num_layers", "revision", "tokenizer", "trust_remote_code", "allow_pickle")
USED = ("models", "seed", "layers", *LOADING, "max_memory", "figures", "figures_bare", "output_dir")


@options.with_options(
    USED,
    models=options.retold("models", "Model to probe: a decoder, to see whether it uses what it holds"),
    layers=options.retold("layers", "Layers at which the circle is turned; all takes ten of the lower half"),
    seed=options.retold("seed", "Seed of orders and placebos"),
)
def probe(
    given: Mapping[str, Any],
    names: Annotated[
        list[str],
        typer.Argument(
            help=f"Words in a known order: {', '.join(shipped_probes())}; or YAML files of your own.",
            metavar="PROBE...",
        ),
    ],
    turn: Annotated[
        bool,
        options.own(TEST, "Turn the circle and see whether the answers turn with it.", "", "--turn/--no-turn"),
    ] = True,
    placebos: Annotated[int, options.own(TEST, "Placebos at each layer; 19 is the least that can decide.", "N")] = 99,
    draws: Annotated[int, options.own(TEST, "Orders of the words that are drawn, of more than 8 words.", "N")] = 9999,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Ask whether a model holds words on a circle (months, weekdays …), and whether it uses that circle.

    Each word is read in a dozen sentences. At every layer its distances to the others are held against a circle and
    against a line of the same order. Then the angle of each word is turned inside the network, all else stays, and
    the answers to a question such as "This month is {}. Next month is" are watched: where they turn with the angle,
    and placebos of the same length do nothing, the model uses the circle. A file of your own has the keys words,
    templates and questions.

    Examples:
      todacomm probe months --model HuggingFaceTB/SmolLM2-135M-Instruct
      todacomm probe weekdays numbers nouns --model gpt2 --placebos 199
      todacomm probe my_words.yaml --model gpt2 --no-turn

    """
    from todacomm.runs.loops.probe_model import HowTested
    from todacomm.runs.loops.write_probe import execute_probes

    if "models" not in given:
        raise InvalidInput(f"no model is named; expected one, as in: todacomm probe {names[0]} --model gpt2")
    study = Study(**given)
    if len(study.models) != 1:
        raise InvalidInput(f"--model names {len(study.models)} models; expected one, whose words are read")
    if placebos < 0 or draws < 1:
        raise InvalidInput(f"--placebos {placebos} --draws {draws}; expected no placebos or more, and some draws")
    layers = None if study.layers == "all" else tuple(study.layers)
    silent = quiet or json
    with console.tracker(quiet=silent) as track:
        found = execute_probes(
            study,
            names,
            HowTested(draws, placebos, study.seed, layers),
            turning=turn,
            command=running.command_line(),
            track=track,
            say=unsaid if silent else console.say,
        )
    show(found, json=json, quiet=quiet)


def show(found: "list[ProbeWritten]", *, json: bool, quiet: bool) -> None:
    """What each probe found, in sentences, and where it is."""
    from todacomm.records.files.codec import plain
    from todacomm.report.probes.probe_sections import sentences

    if json:
        streams.print_json([plain(one.found, nulls=True) for one in found])
        return
    for one in found if not quiet else ():
        console.out.print(f"{one.found.probe.name}, {one.found.model}", style="bold")
        for sentence in sentences(one.found):
            console.out.print(f"  {sentence}", soft_wrap=True)
        console.page("Report", one.directory / "report.html")
