"""Over runs of different recipes: does the exponent go with what happens to the shape?

Rank correlations, plain and partial, with two intervals: as if all runs were independent, and with whole recipes drawn,
as runs of one recipe are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from scipy.stats import norm

from todacomm.stability.exponents import LEVEL
from todacomm.stability.stability import ADAM_LIMIT, PRECONDITIONED, SGD_LIMIT, SHARPNESS, Stability
from todacomm.statistics.permutations import standard_ranks

DRAWS = 999
ENDS = 5  # checkpoints at either end over which a median is taken; of few, a third
CHANGES = {
    "H1 max lifetime": "embedding/sphere/H1_max_lifetime",
    "H1 total persistence": "embedding/sphere/H1_total_persistence",
    "H0 total persistence": "embedding/sphere/H0_total_persistence",
}
DISTANCES = {"weights": "weights", "outputs": "function"}
LIMITS = {
    "sharpness over 2/η": (SHARPNESS, SGD_LIMIT),
    "sharpness as AdamW sees it over 38/η": (PRECONDITIONED, ADAM_LIMIT),
}
GIVEN = ("learning_rate", "weight_decay")


@dataclass(frozen=True, slots=True)
class Association:
    """A rank correlation over n runs of some recipes.

    ``given`` names what was held fixed. ``low`` and ``high`` take the runs as independent (Fisher's z with the variance
    of Bonett and Wright 2000); ``low_recipes`` and ``high_recipes`` draw whole recipes, with replacement; for ``p`` the
    second number is permuted among recipes.
    """

    x: str
    y: str
    given: tuple[str, ...]
    n: int
    recipes: int
    rho: float | None
    low: float | None = None
    high: float | None = None
    low_recipes: float | None = None
    high_recipes: float | None = None
    p: float | None = None
    reason: str = ""


def change_of(found: Stability, name: str) -> float:
    """The logarithm of a number at the end of a run over that at its start, medians of five checkpoints each."""
    values = found.number(name)
    ends = min(ENDS, max(1, len(values) // 3))
    first, last = (
        np.median(part[np.isfinite(part)]) if np.isfinite(part).any() else 0.0
        for part in (values[:ends], values[-ends:])
    )
    return float(np.log(last / first)) if first > 0 and last > 0 else float("nan")


def associations(runs: Sequence[tuple[str, Stability]], *, seed: int = 42) -> list[Association]:
    """Correlate the exponent, in weights and in outputs, with changes of topology, test accuracy and sharpness."""
    labels = [recipe for recipe, _ in runs]
    stable = [one for _, one in runs]
    given = {name: np.array([float(one.settings.get(name, np.nan)) for one in stable]) for name in GIVEN}
    xs = {f"exponent of {told}": exponents_of(stable, name) for told, name in DISTANCES.items()}
    ys = {f"change of {told}": changes(stable, name) for told, name in CHANGES.items()}
    ys["test accuracy at the end"] = np.array(
        [float(one.number("test_accuracy")[-1]) if one.has("test_accuracy") else np.nan for one in stable]
    )
    ys |= {f"{told}, median": shares_of_limit(stable, name, limit) for told, (name, limit) in LIMITS.items()}
    return [
        associate((x_name, x), (y_name, y), fixed, labels, seed=seed)
        for x_name, x in xs.items()
        for y_name, y in ys.items()
        for fixed in ({}, given)
    ]


def exponents_of(runs: Sequence[Stability], name: str) -> Float64[np.ndarray, " n"]:
    """The renormalised exponent of each run; NaN for none."""
    values = [one.exponent(name).value if name in one.names else None for one in runs]
    return np.array([np.nan if value is None else value for value in values])


def changes(runs: Sequence[Stability], name: str) -> Float64[np.ndarray, " n"]:
    """The change of a number in each run; NaN for none."""
    return np.array([change_of(one, name) if one.has(name) else np.nan for one in runs])


def shares_of_limit(runs: Sequence[Stability], name: str, limit: float) -> Float64[np.ndarray, " n"]:
    """The median sharpness of each run over the largest that is stable at its learning rate; NaN for none."""
    each = ((one, np.median(one.number(name))) for one in runs if one.has(name))
    found = {id(one): float(middle) * float(one.settings.get("learning_rate", np.nan)) / limit for one, middle in each}
    return np.array([found.get(id(one), np.nan) for one in runs])


Named = tuple[str, Float64[np.ndarray, " n"]]


def associate(
    x: Named, y: Named, given: dict[str, Float64[np.ndarray, " n"]], labels: Sequence[str], *, seed: int
) -> Association:
    """One rank correlation over the runs that have both numbers."""
    columns = np.array([x[1], y[1], *given.values()])
    known = np.isfinite(columns).all(axis=0)
    n, groups = int(known.sum()), np.array([label for label, has in zip(labels, known, strict=True) if has])
    about: dict[str, Any] = {"x": x[0], "y": y[0], "given": tuple(given), "n": n, "recipes": len(set(groups.tolist()))}
    table = columns[:, known]
    rho = partial_spearman(table) if n > len(given) + 3 else None
    if rho is None:
        return Association(**about, rho=None, reason="too few runs have both numbers, or one of them is constant")
    rows, rng = rows_of(groups), np.random.default_rng([seed, 6])
    low, high = fisher_interval(rho, n, len(given))
    low_recipes, high_recipes = quantiles(bootstrap(table, rows, rng))
    return Association(
        **about,
        rho=rho,
        low=low,
        high=high,
        low_recipes=low_recipes,
        high_recipes=high_recipes,
        p=p_of(table, rows, rho, rng),
    )


def quantiles(drawn: Float64[np.ndarray, " B"]) -> tuple[float | None, float | None]:
    """The ends of the middle 95 %; None for no draws."""
    if not len(drawn):
        return None, None
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def partial_spearman(table: Float64[np.ndarray, "v n"]) -> float | None:
    """The correlation of the ranks of the first two rows after those of the others are regressed out; None if constant.

    Without others it is Spearman's.
    """
    ranks = np.array([standard_ranks(row) for row in table])
    others = ranks[2:].T
    left = [row - others @ np.linalg.lstsq(others, row, rcond=None)[0] if len(ranks) > 2 else row for row in ranks[:2]]
    lengths = [float(np.linalg.norm(row)) for row in left]
    if min(lengths) < 1e-9:
        return None
    return float(np.clip(left[0] @ left[1] / (lengths[0] * lengths[1]), -1, 1))


def fisher_interval(rho: float, n: int, given: int) -> tuple[float, float]:
    """The interval of a rank correlation of n independent points."""
    reach = float(norm.ppf((1 + LEVEL) / 2)) * np.sqrt((1 + rho**2 / 2) / (n - 3 - given))
    z = np.arctanh(np.clip(rho, -0.999999, 0.999999))
    return float(np.tanh(z - reach)), float(np.tanh(z + reach))


def rows_of(groups: np.ndarray) -> list[Int64[np.ndarray, " m"]]:
    """The rows of each recipe."""
    return [np.flatnonzero(groups == group) for group in dict.fromkeys(groups.tolist())]


def bootstrap(
    table: Float64[np.ndarray, "v n"], rows: Sequence[Int64[np.ndarray, " m"]], rng: np.random.Generator
) -> Float64[np.ndarray, " B"]:
    """The correlation over recipes drawn with replacement, with all their runs."""
    drawn = ([rows[i] for i in rng.integers(len(rows), size=len(rows))] for _ in range(DRAWS))
    found = (partial_spearman(table[:, np.concatenate(one)]) for one in drawn)
    return np.array([rho for rho in found if rho is not None])


def p_of(
    table: Float64[np.ndarray, "v n"], rows: Sequence[Int64[np.ndarray, " m"]], rho: float, rng: np.random.Generator
) -> float | None:
    """Two-sided p-value: the second row permuted among recipes of as many runs; None where they differ in that."""
    if len({len(one) for one in rows}) != 1:
        return None
    order = np.concatenate(rows)

    def permuted() -> float:
        moved = table[:, order].copy()
        moved[1] = table[1, np.concatenate([rows[i] for i in rng.permutation(len(rows))])]
        return abs(partial_spearman(moved) or 0.0)

    extreme = sum(permuted() >= abs(rho) - 1e-12 for _ in range(DRAWS))
    return (1 + extreme) / (1 + DRAWS)
