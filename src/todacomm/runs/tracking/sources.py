"""Which checkpoints there are: folders of numbered checkpoints, revisions on the hub, single models."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path

from todacomm.core.errors import InvalidInput
from todacomm.models.checkpoints.checkpoint_files import OF_A_MODEL
from todacomm.models.names import ALIAS, SHIPPED, directory_at, resolve
from todacomm.records.tracks import UNORDERED, TrackedCheckpoint
from todacomm.runs.tracking import revisions

WEIGHTS = "*.safetensors"


def checkpoints_of(
    given: Sequence[str], *, select: str | None = None, bare: bool = False
) -> tuple[TrackedCheckpoint, ...]:
    """The checkpoints of all sources, series by series, each by step.

    A source is a folder of numbered checkpoints, a hub id (with ``select``, its revisions), a model, or a file of
    weights; ``PATH=NAME`` or ``NAME=PATH`` names it. ``bare`` says that weights lie without a configuration.
    Raises InvalidInput for a source without a checkpoint and for two of one name.
    """
    if not given:
        raise InvalidInput("no checkpoints: give a folder of checkpoints, a hub id with --revisions, or several models")
    found = [series_of(*alias_of(source), select, bare=bare) for source in given]
    singles = [one for series in found if len(series) == 1 for one in series]
    several = [series for series in found if len(series) > 1]
    listed = [*several, *grouped(singles)]
    refuse_one_series([series[0] for series in listed])
    return with_unique_names([one for series in listed for one in series])


def alias_of(source: str) -> tuple[str, str]:
    """The alias of a source, empty without one, and where it is; an existing path of that name has no alias."""
    if Path(source).exists():
        return "", source
    place, _, name = source.rpartition("=")
    if place and ALIAS.fullmatch(name) and (Path(place).exists() or not ALIAS.fullmatch(place)):
        return name, place
    name, _, place = source.partition("=")
    return (name, place) if place and ALIAS.fullmatch(name) else ("", source)


def series_of(alias: str, place: str, select: str | None, *, bare: bool) -> list[TrackedCheckpoint]:
    """The checkpoints of one source, by step; one alone where it is a single model."""
    path = Path(place)
    if path.is_file() and path.suffix == ".safetensors":
        return [single(alias or path.stem, path.parent, weights=str(path))]
    if place not in SHIPPED and (directory := directory_at(place)) is not None:
        return of_folder(alias, directory, select, bare=bare)
    source = resolve(place)
    if select is None or source.directory is not None:
        refuse_selection(place, select)
        return [TrackedCheckpoint(UNORDERED, 0, alias or safe(source.name), alias or source.name, source.location)]
    steps = revisions.named(select) if revisions.is_list(select) else {}
    steps = steps or revisions.chosen(select, revisions.hub_steps(source), source.location)
    series = alias or safe(source.name.rpartition("/")[2])
    return [
        TrackedCheckpoint(series, step, f"{series}@{safe(name)}", name, source.location, name)
        for step, name in steps.items()
    ]


def of_folder(alias: str, directory: Path, select: str | None, *, bare: bool) -> list[TrackedCheckpoint]:
    """The numbered checkpoints of a folder, by number; the folder itself where it is a model. Raises InvalidInput."""
    series = alias or safe(directory.resolve().name)
    found = dict(sorted(numbered(directory, bare=bare)))
    if len(found) < 2 and holds_model(directory, bare=bare):
        refuse_selection(str(directory), select)
        return [single(series, directory)]
    if not found:
        raise InvalidInput(
            f"{directory} holds no checkpoint: expected sub-directories with a number, such as checkpoint-500, each "
            "with config.json and model.safetensors; of weights without a configuration give --config DIR"
        )
    if select is not None:
        named = {step: path.name for step, path in found.items()}
        found = {step: found[step] for step in revisions.chosen(select, named, str(directory))}
    return [of_path(series, step, path) for step, path in found.items()]


def numbered(directory: Path, *, bare: bool) -> Iterator[tuple[int, Path]]:
    """Number → checkpoint, for sub-directories with a number, and with ``bare`` files of weights; the broken too.

    Of names of several kinds those count that some model has: beside checkpoint-100 a directory events-7 does not.
    """
    there = [path for path in sorted(directory.iterdir()) if path.is_dir() or (bare and path.match(WEIGHTS))]
    kinds = {kind_of(path) for path in there if path.is_file() or holds_model(path, bare=bare)}
    met: dict[int, Path] = {}
    for path in there:
        step = revisions.step_of(path.stem if path.is_file() else path.name)
        if step is not None and kind_of(path) in kinds:
            if step in met:
                raise InvalidInput(f"{met[step]} and {path} are of one step; move one of them elsewhere")
            met[step] = path
            yield step, path


def kind_of(path: Path) -> str:
    """The name of a checkpoint without its numbers."""
    return re.sub(r"\d+", "", path.name)


def holds_model(path: Path, *, bare: bool) -> bool:
    """Whether a directory holds a model, or with ``bare`` weights alone."""
    return any(next(path.glob(name), None) for name in (*OF_A_MODEL, *((WEIGHTS,) if bare else ())))


def of_path(series: str, step: int, path: Path) -> TrackedCheckpoint:
    """A checkpoint of a folder: a directory, or a file of weights."""
    name = path.stem if path.is_file() else path.name
    file = str(path) if path.is_file() else ""
    return TrackedCheckpoint(series, step, safe(name), name, str(path.parent if file else path), weights=file)


def single(name: str, directory: Path, *, weights: str = "") -> TrackedCheckpoint:
    """A model that no folder of checkpoints holds."""
    return TrackedCheckpoint(UNORDERED, 0, safe(name), name, str(directory), weights=weights)


def grouped(singles: Sequence[TrackedCheckpoint]) -> Iterator[list[TrackedCheckpoint]]:
    """Series of single models: those of one folder and kind by their numbers, all others in the order given."""
    keys = [(str(Path(one.location).parent), re.sub(r"\d+", "", one.label)) for one in singles]
    numbers = [revisions.step_of(one.label) for one in singles]
    by_key = sorted(range(len(singles)), key=lambda i: keys[i])
    left = set(range(len(singles)))
    for (parent, _), places in groupby(by_key, key=lambda i: keys[i]):
        of_one = [i for i in places if numbers[i] is not None]
        if len(of_one) > 1 and len({numbers[i] for i in of_one}) == len(of_one):
            left -= set(of_one)
            name = safe(Path(parent).resolve().name)
            yield sorted((replace(singles[i], series=name, step=numbers[i] or 0) for i in of_one), key=lambda c: c.step)
    if left:
        yield [replace(singles[i], step=place) for place, i in enumerate(sorted(left))]


def refuse_selection(place: str, select: str | None) -> None:
    """Raise InvalidInput where steps are chosen of a single model."""
    if select is not None:
        raise InvalidInput(
            f"--revisions {select}, but {place} is one model; revisions are of a hub id or of a folder of checkpoints"
        )


def refuse_one_series(first: Iterable[TrackedCheckpoint]) -> None:
    """Raise InvalidInput where two series have one name."""
    met: dict[str, str] = {}
    for one in first:
        place = str(Path(one.location).parent) if one.revision is None else one.location
        if one.series in met:
            raise InvalidInput(
                f"the series {met[one.series]} and {place} are both called '{one.series}'; "
                f"give one of them a name: {place}=NAME"
            )
        met[one.series] = place


def with_unique_names(found: Sequence[TrackedCheckpoint]) -> tuple[TrackedCheckpoint, ...]:
    """The checkpoints under names of their own: with the series where two series have the same. Raises InvalidInput."""
    names = [one.name for one in found]
    made = [one if names.count(one.name) == 1 else with_series(one) for one in found]
    met: dict[str, str] = {}
    for one in made:
        if one.name in met:
            raise InvalidInput(
                f"the checkpoints {met[one.name]} and {one.location} are both called '{one.label}'; "
                f"give one of them a name: {one.location}=NAME"
            )
        met[one.name] = one.location
    return tuple(made)


def with_series(one: TrackedCheckpoint) -> TrackedCheckpoint:
    """A checkpoint whose name says its series; a model without a series keeps its name."""
    return one if one.series == UNORDERED else replace(one, name=f"{one.series}@{one.name}")


def safe(name: str) -> str:
    """A name as an alias may be: letters, digits and . + @ _ -."""
    return re.sub(r"[^\w.+@-]+", "-", name).strip("-.+@") or "model"
