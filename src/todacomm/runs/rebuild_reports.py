"""Rebuild figures and reports of a directory from its records, without model or torch; records are not changed.

What cannot be read is skipped and noted in a `Salvage`, and the pages say so.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from todacomm.comparison.compare import ALL, Comparison, How, compare, renamed, with_unique_names
from todacomm.comparison.diagram_tests import Clouds
from todacomm.core.errors import InvalidInput, InvalidRecord
from todacomm.core.parallel import one_thread
from todacomm.core.types import Profile
from todacomm.core.value_types import Missing
from todacomm.records.ablations import ABLATION, ABLATION_RECORD
from todacomm.records.clouds import clouds_of
from todacomm.records.comparisons import COMPARISON_RECORD, messages_of
from todacomm.records.files.damaged import Salvage
from todacomm.records.files.io import write_atomically
from todacomm.records.files.result_directories import new_directory, writable
from todacomm.records.loops import read_loops_record
from todacomm.records.probes import PROBE_RECORD
from todacomm.records.runs import read_record, safe
from todacomm.records.texts import TEXTS
from todacomm.report.ablation.ablation_sections import write_ablation_report
from todacomm.report.comparison.all_charts import write_comparison_charts
from todacomm.report.comparison.several_runs import several_document, side_by_side
from todacomm.report.document.page import to_html
from todacomm.report.document.pieces import to_markdown, with_losses
from todacomm.report.layers.all_figures import write_figures
from todacomm.report.layers.explorers import UNREADABLE, explorer_of
from todacomm.report.layers.layer_document import interpretation
from todacomm.report.loops.loop_sections import write_loops_report
from todacomm.report.probes.probe_sections import context_of_probe, write_probe_report
from todacomm.report.render import (
    labels_of,
    write_comparison_reports,
    write_experiment_reports,
)
from todacomm.report.tracking.monitor_document import read_monitor, write_monitor_report
from todacomm.report.tracking.read_track import read_track
from todacomm.report.tracking.track_document import write_track_report
from todacomm.report.training.training_document import write_grok_report
from todacomm.runs.locate import Kind, kind_of, legible_runs
from todacomm.runs.run_study import LONGEST_NAME
from todacomm.runs.stability.stability_results import report
from todacomm.runs.stability.stability_results import reread as reread_stability
from todacomm.runs.training_results import reread

CONFIGURATION = "experiment_config.yaml"


@dataclass(frozen=True, slots=True)
class RebuiltPage:
    """A page, and what it lacks because the records never held it."""

    page: Path
    notes: tuple[str, ...] = ()


def report_again(directory: Path, kind: Kind, salvage: Salvage) -> RebuiltPage:
    """Rebuild figures and reports in place. Raises InvalidRecord where nothing can be read."""
    makers: dict[Kind, Callable[[Path, Salvage], RebuiltPage]] = {
        "runs": report_runs,
        "comparison": report_comparison,
        "ablation": report_ablation,
        "probe": report_probe,
        "loops": report_loops,
        "training": report_training,
        "stability": report_stability,
        "track": report_track,
        "monitor": report_monitor,
    }
    with one_thread:  # many small products: threads that wait for each other cost twice the time
        return makers[kind](directory, salvage)


# Runs


def report_runs(directory: Path, salvage: Salvage) -> RebuiltPage:
    """Rebuild figures and interpretation of every run, and the reports on all."""
    found = legible_runs(directory, salvage)
    for run, record in found.items():
        write_figures(record.profile, run / "visualizations")
        write_atomically(run / "tda_interpretation.md", interpretation(record.profile))
    config = salvage("configuration", partial(configuration, directory)) or ""
    _, page = write_experiment_reports(
        directory, list(found.values()), config=config, runs=list(found), attempt=salvage
    )
    return RebuiltPage(page, tuple(note for run in found for note in never_held(run)))


def configuration(directory: Path) -> str:
    """The study file of an experiment as text; empty for a single run. Raises InvalidRecord."""
    path = directory / CONFIGURATION
    if not (directory / "runs").is_dir():
        return ""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidRecord(f"{path} is missing; it says how to run all of it again") from None
    except (OSError, UnicodeDecodeError) as problem:
        raise InvalidRecord(f"{path} cannot be read: {problem}") from problem


def never_held(run: Path) -> list[str]:
    """List what a page cannot show because the records do not hold it."""
    absent = {
        "keeps no activations: no clouds are shown": not any(run.glob("activations/*")),
        "keeps no texts: points have no text": not (run / TEXTS).exists(),
    }
    return [f"{run.name} {what}" for what, is_absent in absent.items() if is_absent]


# Comparisons


def report_comparison(directory: Path, salvage: Salvage) -> RebuiltPage:
    """Rebuild a comparison and its reports."""
    runs = Runs(salvage)
    found = compared_again(directory, runs, salvage)
    _, page = write_comparison_reports(directory, found, run_of=runs.run_of, attempt=salvage)
    return RebuiltPage(page)


def compared_again(directory: Path, runs: "Runs", salvage: Salvage) -> dict[str, Comparison]:
    """Group → its comparison, recomputed from the runs in the record, without missing ones."""
    stored = COMPARISON_RECORD.read(directory)
    found: dict[str, Comparison] = {}
    for group, members in stored.runs(directory).items():
        profiles = runs.read(members)
        if profiles:
            how = of_those(stored.groups[group].how, [model for model, _ in members], profiles, salvage)
            found[group] = compare(profiles, failures=messages_of(stored.failures), clouds=runs.clouds, how=how)
    salvage.need(found, directory)
    return found


@dataclass(slots=True, eq=False)
class Runs:
    """Runs under names of their own, with their directories."""

    salvage: Salvage
    places: list[tuple[Profile, Path]] = field(default_factory=list)

    def read(self, members: Sequence[tuple[str, Path]]) -> list[Profile]:
        """The readable profiles of the runs, each under its given name."""
        found = [(model, run, self.salvage(model, partial(read_record, run, self.salvage))) for model, run in members]
        read = [(renamed(record.profile, model), run) for model, run, record in found if record is not None]
        self.places += read
        return [profile for profile, _ in read]

    def run_of(self, profile: Profile) -> Path:
        """The run of a profile."""
        return next(run for other, run in self.places if other is profile)

    def clouds(self, profile: Profile) -> Clouds | Missing:
        """The clouds of a profile, or why there are none."""
        run = self.run_of(profile)
        return self.salvage(f"activations of {run.name}", partial(clouds_of, run, profile)) or UNREADABLE


def of_those(how: How, models: Sequence[str], left: Sequence[Profile], salvage: Salvage) -> How:
    """Adapt how the remaining profiles are compared: with the first of them if the reference is missing."""
    there = {profile.model for profile in left}
    reference = how.against or models[0]
    if reference != ALL and reference not in there:
        salvage.lose(f"differences from {reference}", f"it is left out; the others are set beside {left[0].model}")
        how = replace(how, against="")
    groups = {label: [m for m in members if m in there] for label, members in how.groups.items()}
    return replace(how, groups={label: members for label, members in groups.items() if members})


# Ablations and trainings


def report_ablation(directory: Path, salvage: Salvage) -> RebuiltPage:  # noqa: ARG001 - what every maker takes
    """Rebuild the report on an ablation from its single record."""
    stored = ABLATION_RECORD.read(directory)
    _, page = write_ablation_report(directory, stored.ablation, messages_of(stored.failures), stored.command)
    old = (
        f"{ABLATION} was written by an earlier todacomm, which did not say how deep models are: the figure of the "
        "peaks stays as it was"
    )
    return RebuiltPage(page, () if stored.depths is not None else (old,))


def report_probe(directory: Path, salvage: Salvage) -> RebuiltPage:  # noqa: ARG001 - what every maker takes
    """Rebuild the report on a probe from its single record."""
    stored = PROBE_RECORD.read(directory)
    _, page = write_probe_report(directory, stored.found, context_of_probe(stored))
    return RebuiltPage(page)


def report_loops(directory: Path, salvage: Salvage) -> RebuiltPage:  # noqa: ARG001 - what every maker takes
    """Rebuild the report on loops from its single record."""
    _, page = write_loops_report(directory, read_loops_record(directory))
    return RebuiltPage(page)


def report_stability(directory: Path, salvage: Salvage) -> RebuiltPage:
    """Rebuild figures and report of a study of stability; no record is changed."""
    return RebuiltPage(report(directory, reread_stability(directory, salvage), salvage))


def report_training(directory: Path, salvage: Salvage) -> RebuiltPage:
    """Rebuild signature, figures and report of a training experiment; ``signature.json`` is not changed."""
    found, command = reread(directory, salvage)
    _, page, *_ = write_grok_report(directory, found.signatures, found.problems, command=command, attempt=salvage)
    return RebuiltPage(page)


def report_track(directory: Path, salvage: Salvage) -> RebuiltPage:
    """Rebuild figures and report of a track from the runs of its checkpoints; ``track.json`` is not changed."""
    found = read_track(directory, salvage)
    salvage.need(found.series, directory)
    _, page, *_ = write_track_report(directory, found, attempt=salvage)
    return RebuiltPage(page)


def report_monitor(directory: Path, salvage: Salvage) -> RebuiltPage:
    """Rebuild figures and report of what a monitor saw of a training; its record is not changed."""
    _, page, *_ = write_monitor_report(directory, read_monitor(directory, salvage), attempt=salvage)
    return RebuiltPage(page)


# Several runs on one page


@dataclass(frozen=True, slots=True)
class Place:
    """The paths of a page over several runs: HTML, Markdown, figures."""

    page: Path
    markdown: Path
    figures: Path


def report_together(
    found: Sequence[tuple[Path, Kind]],
    salvage: Salvage,
    *,
    output: Path | None = None,
    output_dir: Path = Path("experiments"),
    command: str = "",
) -> RebuiltPage:
    """Write one page over all runs of several directories, whatever their models and texts.

    ``output`` is a directory or a .html file; by default a new directory under ``output_dir``. Raises InvalidInput for
    what cannot share a page, InvalidRecord where nothing can be read.
    """
    refuse_mixture(found, output)
    opened = {d: salvage(d.name, partial(legible_runs, d, salvage)) or {} for d, _ in found}
    runs = [run for records in opened.values() for run in records]
    salvage.need(runs, ", ".join(str(directory) for directory in opened))
    profiles = with_unique_names(
        {name: [r.profile for r in opened[d].values()] for name, d in named_directories(opened).items()}
    )
    place = place_of(output, output_dir, [profile.model for profile in profiles])
    labels, beside = labels_of(profiles), side_by_side(profiles)
    explorer = explorer_of(profiles, runs, labels, attempt=salvage)
    origin = {label: str(run) for label, run in zip(labels, runs, strict=True)}
    figures = write_comparison_charts(beside, place.figures)
    context = {"figures": figures, "provenance": origin, "command": command}
    document = with_losses(several_document(beside, labels, context), salvage.losses)
    write_atomically(place.markdown, to_markdown(document, place.markdown.parent))
    write_atomically(place.page, to_html(document, [explorer]))
    return RebuiltPage(place.page, tuple(note for run in runs for note in never_held(run)))


def refuse_mixture(found: Sequence[tuple[Path, Kind]], output: Path | None) -> None:
    """Raise InvalidInput unless all directories hold runs along layers, once each, and the page overwrites none."""
    for directory, kind in found:
        if kind != "runs":
            many = "shares a page with no other" if len(found) > 1 else "has its own page: leave out --output"
            raise InvalidInput(
                f"{directory} is {ARTICLES[kind]}, which {many}; a page over several takes runs along layers"
            )
    if len({directory.resolve() for directory, _ in found}) < len(found):
        raise InvalidInput("the same directory is given twice; a page over several takes different ones")
    if output is not None and (output.is_file() if output.suffix != ".html" else output.is_dir()):
        raise InvalidInput(f"--output {output}: expected a directory, or a file that ends in .html")
    if output is not None and output.suffix != ".html" and kind_of(output):
        raise InvalidInput(f"--output {output} holds records and a report of its own; give another place")


ARTICLES: dict[Kind, str] = {
    "comparison": "a comparison",
    "ablation": "an ablation",
    "probe": "a probe",
    "loops": "a record of loops",
    "stability": "a study of stability",
    "training": "an experiment of training",
    "track": "a track of checkpoints",
    "monitor": "the record of a monitor",
}


def named_directories(directories: Iterable[Path]) -> dict[str, Path]:
    """Name the directories, by their paths where two names are equal."""
    names = [directory.resolve().name for directory in directories]
    return {
        name if names.count(name) == 1 else str(directory): directory
        for name, directory in zip(names, directories, strict=True)
    }


def place_of(output: Path | None, output_dir: Path, models: Sequence[str]) -> Place:
    """The paths of the page."""
    if output is not None and output.suffix == ".html":
        return Place(output, output.with_suffix(".md"), output.with_name(f"{output.stem}_visualizations"))
    several = list(dict.fromkeys(map(safe, models)))
    all_names = "_and_".join(several)
    stem = all_names if len(several) < 4 and len(all_names) <= LONGEST_NAME else f"{len(several)}_models"
    directory = output or new_directory(writable(output_dir), f"report_{stem}")
    return Place(directory / "report.html", directory / "report.md", directory / "visualizations")
