"""The command line: each command parses, calls one function and prints."""

import os
import sys

import typer

from todacomm.cli import ablate, cache, catalogue, compare, ending, grok, measure, plan, report, run, show, streams

HELP = """The shape of what a neural network has learned, layer by layer: persistent homology of its activations.

[bold]todacomm run[/] measures the four small models that ship with it; it needs no model hub and a few minutes.
[bold]todacomm measure cloud.npy[/] measures an array that you have. Every command explains itself with --help.
"""

app = typer.Typer(
    name="todacomm",
    help=HELP,
    rich_markup_mode="rich",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
app.command("run")(run.run)
app.command("plan")(plan.plan)
app.command("measure")(measure.measure)
app.command("compare")(compare.compare)
app.command("ablate")(ablate.ablate)
app.command("grok")(grok.grok)
app.command("show")(show.show)
app.command("report")(report.report)
app.add_typer(cache.app, name="cache")
app.command("list-models")(catalogue.list_models)
app.command("list-configs")(catalogue.list_configs)
app.command("init")(catalogue.init)


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
    """Run the command line; an error is told in one paragraph, without a traceback unless one is asked for."""
    os.environ["MPLBACKEND"] = "agg"  # notebooks set canvases that are not installed here
    with streams.guarded():
        code = ending.exit_code(app, sys.argv[1:])
    if code:
        raise SystemExit(code)
