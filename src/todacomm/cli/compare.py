"""``todacomm compare``."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from todacomm.cli import options
from todacomm.cli.terminal import console, streams, tables
from todacomm.core.progress import unsaid
from todacomm.runs.config import Study

if TYPE_CHECKING:
    from collections.abc import Callable

    from todacomm.comparison.compare import How
    from todacomm.core.types import Profile

COMPARISON, GATE = "Comparison", "Gate"


@options.with_options(
    ("figures", "figures_bare"),
    output_dir=options.retold("output_dir", "Directory that holds the experiments, and gets the comparison"),
    name=options.retold("name", "Name of the comparison; none names it after the models"),
)
def compare(
    given: Mapping[str, Any],
    names: Annotated[
        list[str],
        typer.Argument(
            help="Directories of results, directories of models that were run, or names of models: the newest runs "
            "with the same texts.",
            metavar="RUN...",
        ),
    ],
    against: Annotated[
        str,
        options.own(
            COMPARISON,
            "Compare each other model with this one, by default the first; all compares every two.",
            "MODEL|all",
        ),
    ] = "",
    group: Annotated[
        list[str] | None,
        options.own(
            COMPARISON,
            "Models that belong together, for the test of groups; once for each group; by default by kind and "
            "place of the norm.",
            "LABEL=MODEL,MODEL",
        ),
    ] = None,
    blocks: Annotated[
        int,
        options.own(COMPARISON, "Blocks of texts in the permutation test of distances between diagrams.", "N"),
    ] = 10,
    fail_if: Annotated[
        list[str] | None,
        options.own(GATE, "Exit with code 1 where this holds of a later run against the first; repeatable.", "RULE"),
    ] = None,
    json: options.Json = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare finished runs, metric by metric, with intervals and p-values; no model is loaded.

    A rule of --fail-if is QUANTITY[@LAYER]:KIND, one of > < >= <=, and a number. QUANTITY is any number of a layer
    (H1_total_persistence, H0_entropy, scale …), expansion, scale_growth, shape_growth, a language metric
    (bits_per_byte, perplexity …), bottleneck_H1, wasserstein_H1 or cka. KIND is diff (B - A) or ratio (B / A), which
    have a direction; abs (|B - A|), rel (|B - A| / |A|) or effect (|B - A| in standard deviations of A over fresh
    texts), which have none; or p (of no difference). Without @LAYER a rule fires where any layer does, and p is
    adjusted over the layers. For bottleneck, wasserstein and cka, abs is the number itself. Exit code 1: a rule
    fires; 0: none does; 2: an error, as where the texts, their number or the seed differ.

    Examples:
      todacomm compare gpt2 bert
      todacomm compare base/ tuned/ --fail-if "shape_growth:rel>0.2" --fail-if "H1_total_persistence:p<0.01"
      todacomm compare a b c d e --against all --group "old=a,b,c" --group "new=d,e"

    """
    from todacomm.comparison.expressions import RULES
    from todacomm.comparison.gate import judge
    from todacomm.records.clouds import clouds_of
    from todacomm.records.files.io import read_json
    from todacomm.records.files.result_directories import check_name
    from todacomm.runs.run_study import compared, write_compared

    rules = [RULES.read(text) for text in fail_if or []]
    study = Study(**given)
    if study.name is not None:
        check_name(f"comparison_{study.name}")
    how = how_of(against, group or [], blocks)
    output_dir = Path(study.output_dir)
    profiles, runs = read(names, output_dir, say=unsaid if quiet else console.say)
    with console.tracker(quiet=quiet or json) as track:
        found = compared(profiles, clouds=lambda p: clouds_of(runs[id(p)], p), how=how, track=track)
    outcomes = judge(rules, found) if rules else []
    directory = write_compared(
        found, output_dir, name=study.name, run_of=lambda p: runs[id(p)], gate=outcomes, figures=study.drawn_as()
    )
    if json:
        streams.print_json(read_json(directory / "comparison.json"))
    elif not quiet:
        tables.show_comparison(directory, found.values())
    tables.show_gate(outcomes, quiet=quiet or json)
    if any(outcome.fired for outcome in outcomes):
        console.stop(console.FIRED)


def how_of(against: str, group: list[str], blocks: int) -> "How":
    """Parse the settings of the comparison. Raises InvalidInput for a group that is not LABEL=MODEL,MODEL."""
    from todacomm.comparison.compare import How
    from todacomm.core.errors import InvalidInput

    groups: dict[str, list[str]] = {}
    for text in group:
        label, _, members = text.partition("=")
        models = [part for part in members.split(",") if part]
        if not label or not models:
            raise InvalidInput(f"--group {text}: expected LABEL=MODEL,MODEL, as old=gpt2,bert")
        groups.setdefault(label, []).extend(models)
    return How(against, groups, blocks)


def read(
    names: list[str], output_dir: Path, *, say: "Callable[[str], None]"
) -> "tuple[list[Profile], dict[int, Path]]":
    """Read the profiles, each model under its own name, and map profiles to runs."""
    from todacomm.comparison.compare import with_unique_names
    from todacomm.core.errors import InvalidInput
    from todacomm.records.runs import read_experiment, runs_of
    from todacomm.runs.locate import find

    wanted = [part for name in names for part in name.split(",") if part]
    if len(wanted) < 2:
        raise InvalidInput(f"{len(wanted)} run given; a comparison needs at least two")
    places = find(wanted, output_dir, runs=True)
    found = [place.directory for place in places]
    if len({directory.resolve() for directory in found}) < len(found):
        raise InvalidInput("the same run is given twice; a comparison needs different ones")
    short = [directory.resolve().name for directory in found]
    labels = [name if short.count(name) == 1 else given for name, given in zip(short, wanted, strict=True)]
    for place in places:
        if place.said:
            say(place.said)
    profiles = with_unique_names(
        {label: [record.profile for record in read_experiment(d)] for label, d in zip(labels, found, strict=True)}
    )
    runs = [run for directory in found for run in runs_of(directory)]
    return profiles, {id(profile): run for profile, run in zip(profiles, runs, strict=True)}
