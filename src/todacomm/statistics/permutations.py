"""Exact permutation tests of small samples: labels swapped within blocks, groups of models, ranks.

Where all arrangements are counted, p is the fraction at least as extreme as the observed one, itself included; where
they are drawn, p = (1 + #{as extreme}) / (1 + B).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations, product

import numpy as np
from jaxtyping import Float64, Int

from todacomm.core.errors import InvalidInput

MOST_BLOCKS = 16  # 2^15 arrangements
MOST_ARRANGEMENTS = 50_000
DRAWS = 9_999
TIE = 1e-9  # relative: what rounding makes of equal numbers

Square = Float64[np.ndarray, "v v"]


@dataclass(frozen=True, slots=True)
class PermutationTest:
    """A permutation test: the observed statistic, its ``p``, and the least attainable p of so many ``arrangements``."""

    statistic: float
    p: float
    smallest: float
    arrangements: int
    exact: bool


# Labels swapped within blocks


def swapped_within_blocks(distances: Float64[np.ndarray, "pairs pairs"]) -> PermutationTest:
    """Test for no difference between two kinds of things that come in k blocks of one each.

    ``distances`` (2k, 2k): the first k rows are of one kind, the others, in the same order of blocks, of the other. The
    statistic is the joint loss, the sum of mean distances within each kind; small values speak for a difference. All
    2^(k-1) swaps are counted. Robinson and Turner 2017, https://doi.org/10.1007/s41468-017-0008-7
    """
    k = len(distances) // 2
    if not 2 <= k <= MOST_BLOCKS:
        raise InvalidInput(f"{k} blocks; expected 2 to {MOST_BLOCKS}, of which all swaps can be counted")
    swaps = np.array(list(product((False, True), repeat=k - 1)), dtype=bool)
    swaps = np.concatenate([np.zeros((len(swaps), 1), dtype=bool), swaps], axis=1)
    chosen = np.concatenate([~swaps, swaps], axis=1).astype(np.float64)
    losses = joint_losses(distances, chosen) / (k * (k - 1))
    p = float(np.mean(losses <= losses[0] * (1 + TIE)))
    return PermutationTest(float(losses[0]), p, 1 / len(losses), len(losses), exact=True)


def joint_losses(distances: Square, chosen: Float64[np.ndarray, "a v"]) -> Float64[np.ndarray, " a"]:
    """Half the sum of the distances among the chosen and among the others, for each choice."""
    others = 1 - chosen
    return (np.einsum("av,av->a", chosen @ distances, chosen) + np.einsum("av,av->a", others @ distances, others)) / 2


# Groups


def groups_apart(distances: Square, labels: Sequence[str], *, seed: int = 42) -> PermutationTest:
    """Test whether things of one label lie closer together than things of different labels.

    The statistic is the mean distance between labels minus that within them. Raises InvalidInput unless there are two
    labels, one of them twice.
    """
    names = sorted(set(labels))
    found = np.array([names.index(label) for label in labels])
    if len(names) < 2 or len(names) == len(labels):
        raise InvalidInput(f"{len(labels)} things of {len(names)} kinds; expected two kinds, one of them twice")
    number = math.factorial(len(labels)) // math.prod(math.factorial(n) for n in np.bincount(found).tolist())
    exact = number <= MOST_ARRANGEMENTS
    tried = np.array(list(arrangements(found.tolist()))) if exact else shuffled(found, np.random.default_rng(seed))
    statistics = np.array([apart(distances, one) for one in tried])
    observed = apart(distances, found)
    return counted(observed, statistics, exact=exact)


def apart(distances: Square, labels: Int[np.ndarray, " v"]) -> float:
    """Mean distance between labels minus that within them."""
    i, j = np.triu_indices(len(labels), 1)
    same = labels[i] == labels[j]
    return float(distances[i, j][~same].mean() - distances[i, j][same].mean())


def arrangements(labels: list[int]) -> Iterator[tuple[int, ...]]:
    """Every different order of labels, each once."""
    if not labels:
        yield ()
    for label in sorted(set(labels)):
        rest = list(labels)
        rest.remove(label)
        yield from ((label, *others) for others in arrangements(rest))


def shuffled(labels: Int[np.ndarray, " v"], rng: np.random.Generator) -> Int[np.ndarray, "B v"]:
    """`DRAWS` random orders."""
    return np.array([rng.permutation(labels) for _ in range(DRAWS)])


# Ranks


def spearman(x: Float64[np.ndarray, " v"], y: Float64[np.ndarray, " v"], *, seed: int = 42) -> PermutationTest | None:
    """Spearman's rank correlation with its two-sided p-value; None where one side is constant.

    Exact for up to 8 things, by counting all orders. Ties share their mean rank.
    """
    a, b = standard_ranks(x), standard_ranks(y)
    if not (a.any() and b.any()):
        return None
    exact = math.factorial(len(a)) <= MOST_ARRANGEMENTS
    orders = (
        np.array(list(permutations(range(len(a)))))
        if exact
        else shuffled(np.arange(len(a)), np.random.default_rng(seed))
    )
    found = counted(abs(float(a @ b)), np.abs(b[orders] @ a), exact=exact)
    return PermutationTest(float(a @ b), found.p, found.smallest, found.arrangements, found.exact)


def standard_ranks(values: Float64[np.ndarray, " v"]) -> Float64[np.ndarray, " v"]:
    """Mean ranks, centred and normalised; zeros where all are equal."""
    below = (values[None, :] < values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    ranks = below + (equal + 1) / 2
    ranks = ranks - ranks.mean()
    length = float(np.linalg.norm(ranks))
    return ranks / length if length > 0 else np.zeros(len(values))


def counted(observed: float, statistics: Float64[np.ndarray, " a"], *, exact: bool) -> PermutationTest:
    """The p-value of large values, and the least attainable p."""
    slack = TIE * float(np.abs(statistics).max(initial=0.0))
    extreme = int((statistics >= observed - slack).sum())
    if not exact:
        return PermutationTest(
            observed, (1 + extreme) / (1 + len(statistics)), 1 / (1 + len(statistics)), len(statistics), exact
        )
    most = int((statistics >= statistics.max() - slack).sum())
    return PermutationTest(observed, extreme / len(statistics), most / len(statistics), len(statistics), exact)
