"""A finished training run → the loops of its embedding, named by their frequencies, and which of them it uses."""

from math import gcd
from pathlib import Path
from typing import cast

import numpy as np

from todacomm.circles.causal_test import p_values
from todacomm.cohomology.offers import classes_at_plateaus
from todacomm.core.errors import InvalidInput
from todacomm.core.progress import Track, silent
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.records.training import ABOUT_RECORD, read_weights
from todacomm.training.fourier import Characters, power_spectrum
from todacomm.training.networks import Network, build_network
from todacomm.training.presets import RunPlan
from todacomm.training.tasks import Task
from todacomm.training.turned_embedding import (
    Angles,
    angles_of,
    characters_of,
    named,
    share_moved,
    table_of,
    turned,
)
from todacomm.training.turned_run import LEAST_SHARE, Moved, Named, TurnedLoop, TurnedRun

SPHERE = Recipe(scale="sphere", components=None)
MOST_PLANES = 8  # planes of the spectrum that are turned though no loop was found of them
FOLLOWS = 0.9  # the correlation from which an angle has the name of a frequency
STEPS = (1, 5, 20, 56)


def turn_run(directory: str | Path, *, placebos: int = 99, seed: int = 42, track: Track = silent) -> TurnedRun:
    """Find the loops of the final embedding of a training run without labels, name them, and see which are used.

    The classes of integer cohomology at each wide plateau of β₁ are named by the frequency that they follow; those, and
    the strongest planes of the spectrum, at least 1 % of the variance each, are turned beside placebos.

    Parameters
    ----------
    directory : str or Path
        A finished run: ``experiments/grok_add_p113_…/runs/seed_46``.
    placebos : int, default 99
        For each loop; fewer than 19 decide nothing.
    seed : int, default 42
        Of placebos and of the pairs of the test set.
    track : callable, optional
        Wraps an iterable with a progress bar.

    Returns
    -------
    TurnedRun
        The loops that were found, then the planes; ``moved`` is empty where no plane is used.

    Raises
    ------
    InvalidRecord, InvalidInput
        For a run that cannot be read, and for a task without characters or a network without an embedding.

    Examples
    --------
    >>> import todacomm as td
    >>> td.grokking.turn_run("no/such/run")
    Traceback (most recent call last):
    ...
    todacomm.core.errors.InvalidRecord: ...

    References
    ----------
    Nanda et al. 2023, https://arxiv.org/abs/2301.05217

    """
    task, network = network_of(Path(directory))
    characters, table = characters_of(task), table_of(network)
    spectrum = power_spectrum(table, characters)
    cloud = PointCloud(table[characters.members], Address(str(directory), str(task), "embedding"))
    asked: list[tuple[Named, Angles | None]] = [*loops_found(cloud, characters)]
    strongest = np.argsort(spectrum)[::-1][:MOST_PLANES]
    planes = [int(characters.frequencies[i]) for i in strongest if spectrum[i] >= LEAST_SHARE]
    known = {name.frequency for name, _ in asked}
    asked += [(Named(k, 1, 1.0), None) for k in planes if k not in known]
    loops = []
    for name, angle in track(asked, "turning", len(asked)):
        k = name.frequency
        way = angles_of(k, characters) if angle is None else name.direction * angle
        result = turned(network, task, way, k, draws=placebos, rng=np.random.default_rng(seed))
        p = p_values({"embedding": result})["embedding"]
        of_plane = float(spectrum[k - 1])
        loops.append(
            TurnedLoop(name, inverse_of(k, characters), of_plane, angle is not None, result, p, *result.verdict(p))
        )
    used = [one.name.frequency for one in loops if one.used]
    steps = [step for step in STEPS if used and step < characters.order]
    moved = [Moved(step, share_moved(network, task, used, step, rng=np.random.default_rng(seed))) for step in steps]
    return TurnedRun(Path(directory).name, tuple(loops), tuple(moved))


def loops_found(cloud: PointCloud, characters: Characters) -> list[tuple[Named, Angles]]:
    """The angles at the wide plateaus of β₁ that follow a frequency, once each: the one that follows it best."""
    best: dict[int, tuple[Named, Angles]] = {}
    for one in classes_at_plateaus(cloud, SPHERE):
        if not np.isfinite(one.of.angle).all():
            continue
        name = named(one.of.angle, characters)
        kept = best.get(name.frequency)
        if name.correlation >= FOLLOWS and (kept is None or name.correlation > kept[0].correlation):
            best[name.frequency] = name, one.of.angle
    return list(best.values())


def inverse_of(frequency: int, characters: Characters) -> int | None:
    """The step that the loop of a frequency visits the group by, of both directions the smaller; None where it does not
    visit all of it.
    """
    order = characters.order
    if gcd(frequency, order) > 1:
        return None
    step = pow(frequency, -1, order)
    return min(step, order - step)


def network_of(directory: Path) -> tuple[Task, Network]:
    """The task and the trained network of a finished run."""
    import torch

    about = ABOUT_RECORD.read(directory)
    plan = RunPlan(about.name, about.kind, about.seed, about.settings)
    if plan.settings["task"] == "images":
        raise InvalidInput(f"{directory} was trained on images: it has no embedding of tokens, so no loop to turn")
    task = cast("Task", plan.task)
    network = build_network(
        plan.settings["network"], inputs=task.size, classes=task.classes, shape=plan.shape, seed=plan.seed
    )
    network.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in read_weights(directory).items()})
    return task, network.eval()
