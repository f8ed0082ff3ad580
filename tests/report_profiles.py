"""Profiles for the tests of report and terminal: ripser's diagrams of small random clouds."""

import io
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from rich.console import Console
from rich.table import Table
from ripser import ripser
from scipy.spatial.distance import pdist, squareform

from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, CloudFacts, Diagrams, Measurement, ModelCard, Profile
from todacomm.homology.metrics import summarise
from todacomm.profiles.expansion import expansions_of


def facts_of(points: np.ndarray, **changes) -> CloudFacts:
    distances = pdist(points)
    distinct = len(np.unique(points, axis=0))
    facts = CloudFacts(
        points=len(points),
        dimension=4 * points.shape[1],
        components=points.shape[1],
        variance_kept=0.93,
        distinct_points=distinct,
        scale=float(np.median(distances)),
        rms_distance=float(np.sqrt((distances**2).mean())),
        largest_variance_share=0.1,
        norm=float(np.median(np.linalg.norm(points, axis=1))),
    )
    return replace(facts, **changes)


def measurement(points: np.ndarray, address: Address, recipe: Recipe | None = None, **changes) -> Measurement:
    recipe = recipe or Recipe(pooling="last", components=points.shape[1])
    facts = facts_of(points, **changes)
    unit = {"median": facts.scale, "rms": facts.rms_distance}.get(recipe.scale, 1.0)
    distinct = np.unique(points, axis=0) / unit
    found = ripser(squareform(pdist(distinct)), distance_matrix=True, maxdim=recipe.maxdim)["dgms"]
    diagrams = Diagrams.from_arrays(found)
    return Measurement(address, recipe, facts, diagrams, summarise(diagrams, scale=facts.scale / unit))


def profile_of(measurements: Sequence[Measurement], **more) -> Profile:
    return Profile(tuple(measurements), expansions=expansions_of(measurements, {}.get), **more)


def layer_names(count: int, *, final: bool = True) -> list[str]:
    return ["embedding", *(f"layer_{i}" for i in range(count)), *(["final"] if final else [])]


def cloud(depth: int, layers: int, *, n: int, d: int, seed: int, growth_of_scale: float) -> np.ndarray:
    """Gaussian with a loop that opens with depth; its size grows with depth."""
    rng = np.random.default_rng(seed + depth)
    share = depth / max(layers - 1, 1)
    points = rng.standard_normal((n, d)) * np.linspace(1, 1 - 0.8 * share, d)
    angle = rng.uniform(0, 2 * np.pi, n)
    points[:, :2] += 6 * share * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return (points * growth_of_scale**share).astype(np.float64)


def a_profile(  # noqa: PLR0913 -- each test names the one thing that it varies
    count: int = 6,
    *,
    n: int = 40,
    d: int = 6,
    model: str = "tiny-test",
    seed: int = 0,
    growth_of_scale: float = 12.0,
    final: bool = True,
    distinct: int | None = None,
    massive: Sequence[str] = (),
    recipe: Recipe | None = None,
    data: str = "wikitext2",
    **more,
) -> Profile:
    """A profile of ``count`` blocks, ``distinct`` points at the embedding, and ``massive`` coordinates."""
    names = layer_names(count, final=final)
    measurements = []
    for depth, name in enumerate(names):
        shrink = 0.3 if name == "final" else 1.0
        points = shrink * cloud(depth, len(names), n=n, d=d, seed=seed, growth_of_scale=growth_of_scale)
        if name == "embedding" and distinct:
            points = points[np.arange(n) % distinct]
        changes = {"largest_variance_share": 0.5 + 0.4 * depth / len(names)} if name in massive else {}
        kept = 0.99 - 0.2 * depth / len(names)
        measurements.append(measurement(points, Address(model, data, name), recipe, variance_kept=kept, **changes))
    return profile_of(measurements, **more)


def a_cloud(n: int = 60, layer: str = "cloud") -> Profile:
    points = cloud(3, 4, n=n, d=5, seed=1, growth_of_scale=1.0)
    return profile_of([measurement(points, Address("ring.npy", "arrays", layer), Recipe(components=5))])


def four(pooling: str = "mean", **more) -> list[Profile]:
    cells = [
        ("post-LN", "masked", 1.2),
        ("post-LN", "causal", 1.4),
        ("pre-LN", "masked", 14.0),
        ("pre-LN", "causal", 20.0),
    ]
    """Causal and masked models crossed with pre-LN and post-LN."""
    return [
        a_profile(
            3, n=20, seed=i, model=f"{norm}-{kind}", growth_of_scale=growth, recipe=Recipe(pooling=pooling,
                components=6),
            card=ModelCard(f"{norm}-{kind}", kind, norm, 1000, 3, 6, "", ""), language={"bits_per_byte": 1.0 + i},
                **more,
        )
        for i, (norm, kind, growth) in enumerate(cells)
    ]  # fmt: skip


def rendered(table: Table, width: int = 100) -> str:
    """What the terminal shows."""
    console = Console(width=width, file=io.StringIO(), record=True, force_terminal=False, markup=False)
    console.print(table)
    return console.export_text()
