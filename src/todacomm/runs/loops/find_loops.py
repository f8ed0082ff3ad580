"""Find the loops of every layer of a run or of arrays, and write them with their charts: ``todacomm loops``."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.cohomology.association import Association, associations, stillness, with_more
from todacomm.cohomology.find import checked_draws, checked_recipe, loops_of
from todacomm.cohomology.passages import Passage, passages
from todacomm.cohomology.record import Loops
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.parallel import Number, in_threads
from todacomm.core.progress import Track, silent
from todacomm.core.recipe import Recipe
from todacomm.core.types import PLACE, Address, PointCloud, layer_key
from todacomm.core.value_types import Missing
from todacomm.core.versions import versions
from todacomm.records.clouds import clouds_of
from todacomm.records.files.io import RUN_AGAIN
from todacomm.records.files.result_directories import in_part, new_directory, reserved, writable
from todacomm.records.loops import LoopsRecord, loops_of_layer, write_angles, write_loops_record
from todacomm.records.runs import read_runs, safe
from todacomm.records.texts import read_texts
from todacomm.report.document.style import cut
from todacomm.report.loops.loop_sections import write_loops_report
from todacomm.runs.loops.text_properties import properties_of_run, read_properties

KEPT = 120  # letters of each text in a record


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """The clouds of layers, what is known of their texts, and how they are prepared.

    ``properties`` have one value a point, and are held against the angles of each layer of as many points.
    """

    name: str
    data: str
    clouds: Mapping[str, PointCloud]
    recipe: Recipe
    texts: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class FoundLoops:
    """The loops of every layer, what runs around each, and which loop of a layer goes on in the next."""

    source: Source
    layers: tuple[Loops, ...]
    properties: tuple[tuple[tuple[Association, ...], ...], ...]
    passages: tuple[Passage, ...]


def source_of_run(directory: Path, layers: Sequence[str] = ()) -> Source:
    """The clouds and texts of the only run in a directory.

    Raises InvalidInput for several runs, and where no activations lie beside the run; UnknownName for another layer.
    """
    runs = read_runs(directory)
    if len(runs) > 1:
        told = {run: (record.profile.data, record.profile.recipe.pooling) for run, record in runs.items()}
        listed = ", ".join(f"{run} ({data}, pooling {pooling})" for run, (data, pooling) in told.items())
        raise InvalidInput(f"{directory} holds {len(runs)} runs; give the directory of one of them: {listed}")
    [(run, record)] = runs.items()
    profile = record.profile
    clouds = clouds_of(run, profile)
    if isinstance(clouds, Missing):
        raise InvalidInput(f"{clouds.reason}; loops are found in the clouds themselves. {RUN_AGAIN}")
    kept = read_texts(run)
    known = None if isinstance(kept, Missing) or profile.recipe.pooling == "tokens" else kept
    return Source(
        profile.model,
        profile.data,
        {layer: clouds(layer) for layer in chosen(profile.layers, layers)},
        replace(profile.recipe, landmarks=None),
        (known.items or ()) if known else (),
        properties_of_run(known) if known else {},
    )


def source_of_arrays(arrays: Mapping[str, np.ndarray], name: str, recipe: Recipe, layers: Sequence[str] = ()) -> Source:
    """The clouds of a file of arrays."""
    wanted = chosen(tuple(arrays), layers)
    clouds = {layer: PointCloud(arrays[layer], Address(name, "arrays", layer)) for layer in wanted}
    return Source(name, "arrays", clouds, replace(recipe, landmarks=None))


def with_properties(source: Source, path: Path) -> Source:
    """The source with the columns of a file of the user, one row a point. Raises InvalidInput."""
    sizes = sorted({len(cloud) for cloud in source.clouds.values()})
    if len(sizes) > 1:
        raise InvalidInput(
            f"the layers have {', '.join(map(str, sizes))} points; properties need one row a point: choose layers of "
            "one size with --layer"
        )
    return replace(source, properties=with_more(source.properties, read_properties(path, sizes[0], source.texts)))


def chosen(known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """The layers that were asked for, in the order of depth; all of them by default."""
    for layer in wanted:
        if layer not in known:
            raise UnknownName("layer", layer, known)
    return sorted(wanted or known, key=layer_key)


def find_loops(source: Source, *, draws: int, top: int, number: Number = "auto", track: Track = silent) -> FoundLoops:
    """Find the loops of every layer, at most ``top`` of each, and what runs around them."""
    of_each = partial(loops_of, recipe=checked_recipe(source.recipe), draws=checked_draws(draws))
    clouds = list(source.clouds.values())
    made = in_threads(lambda cloud: of_each(cloud, texts_of(source, cloud)), clouds, number=number)
    layers = tuple(first(found, top) for found in track(made, "layers", len(clouds)))
    properties = tuple(
        tuple(around(source, cloud, one.angles) for one in found.coordinates)
        for cloud, found in zip(clouds, layers, strict=True)
    )
    alike = len({len(cloud) for cloud in clouds}) == 1
    return FoundLoops(source, layers, properties, tuple(passages(layers)) if alike else ())


def texts_of(source: Source, cloud: PointCloud) -> tuple[str, ...]:
    """The texts of the points, where there is one a point."""
    return source.texts if len(source.texts) == len(cloud) else ()


def all_told(source: Source) -> bool:
    """Whether there is one text for each point of every layer."""
    return all(texts_of(source, cloud) for cloud in source.clouds.values())


def first(found: Loops, top: int) -> Loops:
    """The loops of a layer without those beyond the first."""
    return replace(found, coordinates=found.coordinates[:top])


def around(source: Source, cloud: PointCloud, angles: np.ndarray) -> tuple[Association, ...]:
    """What runs around a loop: properties of the texts, and of the points their place and norm.

    Nothing is held against an angle that fewer than six points have.
    """
    if stillness(angles):
        return ()
    norm = np.linalg.norm(cloud.points.astype(np.float64), axis=1)
    known = {PLACE: range(len(cloud)), "norm of the activation": norm}
    known |= {name: values for name, values in source.properties.items() if len(values) == len(cloud)}
    return tuple(associations(angles, known, seed=source.recipe.seed))


def write_loops(found: FoundLoops, output_dir: Path, command: str) -> Path:
    """Write ``loops_<name>_<timestamp>/``, whole or not at all: the record, ``angles.csv``, charts and the page."""
    directory = new_directory(writable(output_dir), f"loops_{safe(found.source.name)}")
    record = record_of(found, command)
    with reserved(directory), in_part(directory) as part:
        write_loops_record(part, record)
        write_angles(part, record)
        write_loops_report(part, record)
    return directory


def record_of(found: FoundLoops, command: str) -> LoopsRecord:
    """The record of all layers."""
    source = found.source
    return LoopsRecord(
        model=source.name,
        data=source.data,
        command=command,
        recipe=source.recipe,
        layers=tuple(
            loops_of_layer(one, of, source.clouds[one.address.layer].points)
            for one, of in zip(found.layers, found.properties, strict=True)
        ),
        passages=found.passages,
        texts=tuple(cut(text, KEPT) for text in source.texts) if all_told(source) else (),
        versions=versions(),
    )
