"""The command line: each command parses, calls one function and prints."""

import os
import sys
from collections.abc import Callable
from functools import partial

import typer

from todacomm.cli import (
    ablate,
    cache,
    catalogue,
    compare,
    grok,
    loops,
    measure,
    plan,
    probe,
    report,
    run,
    show,
    stability,
    track,
    verify,
)
from todacomm.cli.terminal import ending, streams
from todacomm.cli.terminal.help import Command, Group

HELP = """The shape of what a neural network has learned, layer by layer: persistent homology of its activations.

todacomm run measures the four small models that ship with it; it needs no model hub and a few minutes.
todacomm measure cloud.npy measures an array that you have. Every command explains itself with --help.
"""

app = typer.Typer(
    name="todacomm",
    help=HELP,
    cls=Group,
    rich_markup_mode=None,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
COMMANDS: dict[str, Callable[..., None]] = {
    "run": run.run,
    "plan": plan.plan,
    "measure": measure.measure,
    "compare": compare.compare,
    "loops": loops.loops,
    "ablate": ablate.ablate,
    "grok": grok.grok,
    "stability": stability.stability,
    "track": track.track,
    "probe": probe.probe,
    "show": show.show,
    "report": report.report,
    "verify": verify.verify,
    "list-models": catalogue.list_models,
    "list-configs": catalogue.list_configs,
    "init": catalogue.init,
}
for name, function in COMMANDS.items():
    app.command(name, cls=Command)(function)
app.add_typer(cache.app, name="cache")


def _version(wanted: bool) -> None:
    if wanted:
        catalogue.print_versions()
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print versions, device and engine, and leave."
    ),
    traceback: bool = typer.Option(
        False, ending.OPTION, help=f"Show where an error comes from; {ending.VARIABLE}=1 does the same."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command line; report an error in one paragraph, with a traceback only on request."""
    os.environ["MPLBACKEND"] = "agg"  # notebooks set canvases that are not installed here
    with streams.guarded():
        code = ending.exit_code(partial(app, prog_name="todacomm"), sys.argv[1:])
    if code:
        raise SystemExit(code)
