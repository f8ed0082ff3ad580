"""Ablation settings: a base and one-factor (or factorial) variations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import Any

from todacomm.core.errors import InvalidInput
from todacomm.core.recipe import DISTANCES, FEWEST_POINTS, SCALES, Recipe

COMPONENTS: tuple[int | None, ...] = (10, 20, 50, 100, None)
POINTS: tuple[float | int | None, ...] = (0.25, 0.5, None)
POOLINGS = ("mean", "last")
SEEDS = 3


@dataclass(frozen=True, slots=True)
class Setting:
    """What an ablation may vary.

    ``points`` is a fraction (below 1) or a number of points, None for all; ``seed`` draws them. ``pooling`` None is the
    default of the model's kind, or given with arrays.
    """

    components: int | None = 50
    points: float | int | None = None
    distance: str = "euclidean"
    scale: str = "none"
    seed: int = 42
    pooling: str | None = None
    max_length: int | None = None

    def changes(self, base: "Setting") -> dict[str, Any]:
        """Factor → value, where this setting differs from the base."""
        return {name: value for name in FACTORS if (value := getattr(self, name)) != getattr(base, name)}

    def factor(self, base: "Setting") -> str:
        """The factor that this setting varies: ``base`` for none, ``several`` for more than one.

        A seed counts with the points that it draws.
        """
        found = [name for name in self.changes(base) if name != "seed"]
        if len(found) > 1:
            return "several"
        return found[0] if found else "seed" if self.seed != base.seed else "base"

    def label(self, base: "Setting") -> str:
        """The changes in words: ``points 0.25, seed 43``."""
        return ", ".join(f"{WORDS[name]} {spoken(name, value)}" for name, value in self.changes(base).items()) or "base"

    def recipe(self, recipe: Recipe, n: int) -> Recipe:
        """The recipe under this setting for clouds of n points; pooling and length are applied on reading."""
        return replace(
            recipe,
            components=self.components,
            distance=self.distance,  # type: ignore[arg-type]  # checked by Recipe
            scale=self.scale,  # type: ignore[arg-type]  # checked by Recipe
            seed=self.seed,
            subsample=self.count(n),
        )

    def count(self, n: int) -> int | None:
        """How many of n points to draw; None for all. Raises InvalidInput where there are too few."""
        if self.points is None:
            return None
        count = round(self.points * n) if isinstance(self.points, float) else self.points
        if not FEWEST_POINTS <= count <= n:
            raise InvalidInput(
                f"--subsample {self.points}: {count} of {n} points; "
                f"expected at least {FEWEST_POINTS} and no more than there are"
            )
        return count


FACTORS = tuple(field.name for field in fields(Setting))
WORDS = {"max_length": "length"} | {name: name for name in FACTORS if name != "max_length"}
Grid = Mapping[str, Sequence[Any]]  # factor → its values; omitted factors stay as in the base


def spoken(factor: str, value: Any) -> str:
    """Format a value as it is typed."""
    nothing = {"points": "all", "pooling": "by kind"}
    return nothing.get(factor, "none") if value is None else str(value)


def default_grid(base: Setting, *, arrays: bool = False) -> dict[str, tuple[Any, ...]]:
    """The default factors: components, points, distance, scale, seeds; for models also pooling and length."""
    found: dict[str, tuple[Any, ...]] = {
        "components": COMPONENTS,
        "points": POINTS,
        "distance": DISTANCES,
        "scale": SCALES,
        "seed": tuple(range(base.seed, base.seed + SEEDS)),
    }
    if not arrays and base.max_length is not None:
        found |= {"pooling": (base.pooling, *POOLINGS), "max_length": (max(1, base.max_length // 2), base.max_length)}
    return found


def based(base: Setting, given: Grid) -> Setting:
    """Adjust the base to the given values: its own where listed, else the first."""
    return replace(
        base, **{name: values[0] for name, values in given.items() if values and getattr(base, name) not in values}
    )


def settings_of(base: Setting, grid: Grid, *, full: bool = False) -> tuple[Setting, ...]:
    """The base, then each one-factor variation; ``full`` gives every combination.

    A seed draws subsamples, so with all points there is only one.
    """
    found = everything(base, grid) if full else one_at_a_time(base, grid)
    return tuple(dict.fromkeys((base, *found)))


def one_at_a_time(base: Setting, grid: Grid) -> Iterator[Setting]:
    """Vary one factor at a time."""
    seeds = grid.get("seed", (base.seed,))
    for name in FACTORS:
        for value in grid.get(name, ()):
            changed = replace(base, **{name: value})
            if name == "points" and value is not None:
                yield from (replace(changed, seed=seed) for seed in seeds)
            elif name != "seed" or base.points is not None:
                yield changed


def everything(base: Setting, grid: Grid) -> Iterator[Setting]:
    """Every combination of the values."""
    for values in product(*(grid.get(name) or (getattr(base, name),) for name in FACTORS)):
        found = Setting(*values)
        yield found if found.points is not None else replace(found, seed=base.seed)
