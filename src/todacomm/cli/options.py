"""Options that several commands share, each with the help that it shows."""

from typing import Annotated, Literal

import typer

from todacomm.core.errors import InvalidInput
from todacomm.homology.engines import engines
from todacomm.report.document.figure_formats import FORMATS

MEASUREMENT, OUTPUT = "Measurement", "Output"
NO_CACHE = "Neither read nor write the cache, nor keep activations; see todacomm cache --help."

Components = Annotated[
    str, typer.Option("--pca", metavar="N|none", help="Principal components to keep.", rich_help_panel=MEASUREMENT)
]
Distance = Annotated[
    str,
    typer.Option(
        metavar="euclidean|cosine|precomputed",
        help="Distance between points; precomputed where the arrays are (n, n) distances themselves.",
        rich_help_panel=MEASUREMENT,
    ),
]
Scale = Annotated[
    str,
    typer.Option(
        metavar="none|median|rms|sphere",
        help="Divide by the median or RMS distance, or put the centred points on the unit sphere.",
        rich_help_panel=MEASUREMENT,
    ),
]
MaxDim = Annotated[
    int,
    typer.Option(metavar="0|1|2", help="Highest homology: 0 clusters, 1 loops, 2 voids.", rich_help_panel=MEASUREMENT),
]
Engine = Annotated[
    str,
    typer.Option(
        metavar="|".join(engines),
        help="Computes the homology; a tenth of the layers is computed by ripser too.",
        rich_help_panel=MEASUREMENT,
    ),
]
Subsample = Annotated[
    int | None,
    typer.Option(metavar="N", help="Measure N points drawn by the seed.", rich_help_panel=MEASUREMENT),
]
Landmarks = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        help="Measure N landmarks that no point is far from; how far, and what that leaves open, is said with the result.",
        rich_help_panel=MEASUREMENT,
    ),
]
MaxMemory = Annotated[
    str | None,
    typer.Option(
        metavar="SIZE",
        help="Memory that may be held, as 4GiB or 500MB; what needs more is thinned or refused (default: 90 % of what is left).",
        rich_help_panel="Machine",
    ),
]
Confidence = Annotated[float, typer.Option(metavar="0…1", help="Of the intervals.", rich_help_panel="Claims")]
Resamples = Annotated[
    int,
    typer.Option(
        metavar="N", help="Runs on random halves, for the intervals; 0 leaves them out.", rich_help_panel="Claims"
    ),
]
NullDraws = Annotated[
    int,
    typer.Option(
        metavar="N",
        help="Gaussian clouds that each layer is held against; 0 leaves them out.",
        rich_help_panel="Claims",
    ),
]
Seed = Annotated[int, typer.Option(help="Decides every random choice.", rich_help_panel=MEASUREMENT)]
Csv = Annotated[
    bool, typer.Option("--csv", help="Print one CSV row a layer instead of the table.", rich_help_panel=OUTPUT)
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of the table.", rich_help_panel=OUTPUT)]
FORMATS_HELP = "Formats of the figures beside PNG, with commas between"
BARE_HELP = "Figures for a paper: no headings, no small print (they go into text files beside), as wide as columns."
Written = Annotated[
    list[str],
    typer.Argument(
        help="Directories of runs, experiments, comparisons, ablations or trainings, directories of models that were run, or names of models: the newest runs, with the same texts if several are named.",
        metavar="DIR...",
    ),
]
Formats = Annotated[
    str, typer.Option("--figures", metavar="|".join(FORMATS), help=f"{FORMATS_HELP}.", rich_help_panel=OUTPUT)
]
Bare = Annotated[bool, typer.Option("--figures-bare", help=BARE_HELP, rich_help_panel=OUTPUT)]
MaybeFormats = Annotated[
    str | None,
    typer.Option("--figures", metavar="|".join(FORMATS), help=f"{FORMATS_HELP} (default png).", rich_help_panel=OUTPUT),
]
MaybeBare = Annotated[bool | None, typer.Option("--figures-bare", help=BARE_HELP, rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars and no table.", rich_help_panel=OUTPUT)]


def components_of(text: str) -> int | None:
    """``none`` keeps every dimension; otherwise a positive whole number."""
    if text == "none":
        return None
    if not text.isdecimal() or int(text) < 1:
        raise InvalidInput(
            f"--pca {text}: expected a number of components of 1 or more, or none to keep every dimension"
        )
    return int(text)


def auto_or_number(option: str, text: str, *, of: str) -> Literal["auto"] | int:
    """``auto``, or a whole number of what the option counts."""
    if text != "auto" and (not text.isdecimal() or int(text) < 1):
        raise InvalidInput(f"{option} {text}: expected auto or a number of {of}")
    return "auto" if text == "auto" else int(text)
