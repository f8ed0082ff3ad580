"""Random cuts of n points into two halves and four quarters, the same for everything that is measured on the same texts."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int, Int8

from todacomm.core.errors import InvalidInput

FEWEST = 20  # points that can be cut into quarters of five
FEWEST_GROUPS = 4
LARGEST_GROUP = 1 / 3  # of all points
QUARTERED_GROUPS = 8  # groups from which on quarters are made of whole ones
TRIES = 30  # assignments of groups, of which the most even is taken

Indices = Int[np.ndarray, " k"]


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """``parts`` (s, n): the quarter 0 … 3 that each point is in, -1 where it is in none. Quarters 0 and 1 make one half, 2 and
    3 the other; all halves are of ``half`` points. ``groups`` is how many groups were kept whole, 0 where points were drawn
    one by one, and ``effective`` how many of equal size would make a mean vary as much (Kish 1965); ``drawn`` says how, and is
    equal only for equal splits. ``copies`` of other points are in no part of any split.
    """

    parts: Int8[np.ndarray, "s n"]
    half: int
    groups: int
    drawn: str
    effective: float = 0.0
    copies: int = 0

    def of_rows(self, rows: Indices, n: int) -> "Splits":
        """The same splits of these rows of n, ascending; the others are copies and in no part."""
        if len(rows) == n:
            return self
        parts = np.full((len(self), n), -1, np.int8)
        parts[:, rows] = self.parts
        which = hashlib.sha256(rows.astype(np.int64).tobytes()).hexdigest()[:16]
        return replace(
            self, parts=parts, copies=n - len(rows), drawn=f"{self.drawn}, those of {n} that are no copies, {which}"
        )

    def __len__(self) -> int:
        return len(self.parts)

    def halves(self) -> Iterator[tuple[Indices, Indices]]:
        """The ascending indices of both halves of each split."""
        for part in self.parts:
            yield np.flatnonzero((part == 0) | (part == 1)), np.flatnonzero(part >= 2)

    def quarters(self) -> Iterator[list[Indices]]:
        """The ascending indices of the four quarters of each split."""
        for part in self.parts:
            yield [np.flatnonzero(part == k) for k in range(4)]


def splits(n: int, number: int = 50, seed: int = 42, groups: Sequence[str] | None = None) -> Splits:
    """``number`` random splits of n points, decided by these arguments alone; the first ones of more splits are the same.

    With ``groups``, one label a point, whole groups are drawn and the larger half then loses points at random. Raises
    InvalidInput for too few points or splits and for groups that `refusal` refuses.
    """
    if n < FEWEST or number < 2:
        raise InvalidInput(f"{number} splits of {n} points; expected at least 2 splits of at least {FEWEST} points")
    rng = np.random.default_rng([seed, n])
    if groups is None:
        parts = np.stack([_cut(n, rng) for _ in range(number)])
        return Splits(parts, n // 2, 0, f"{number} splits of {n} points, seed {seed}")
    if len(groups) != n:
        raise InvalidInput(f"{len(groups)} group labels for {n} points; expected one each")
    if why := refusal(groups):
        raise InvalidInput(f"whole groups cannot be drawn: {why}")
    return _grouped(groups, number, seed, rng)


def refusal(groups: Sequence[str]) -> str:
    """Why whole groups cannot be drawn; empty when they can."""
    sizes = np.unique(np.asarray(groups), return_counts=True)[1]
    if len(sizes) < FEWEST_GROUPS:
        return f"{len(sizes)} groups are too few, at least {FEWEST_GROUPS} are needed"
    if sizes.max() > LARGEST_GROUP * len(groups):
        return f"one group holds {sizes.max()} of {len(groups)} points, more than a third"
    return ""


def _cut(n: int, rng: np.random.Generator) -> Int8[np.ndarray, " n"]:
    """Points one by one: two halves of ⌊n/2⌋, each of two quarters that differ by one point at most."""
    half = n // 2
    part = np.full(n, -1, np.int8)
    order = rng.permutation(n)
    for side in (0, 1):
        mine = order[side * half : (side + 1) * half]
        part[mine[: half // 2]], part[mine[half // 2 :]] = 2 * side, 2 * side + 1
    return part


# Whole groups


def _grouped(groups: Sequence[str], number: int, seed: int, rng: np.random.Generator) -> Splits:
    kinds, label = np.unique(np.asarray(groups), return_inverse=True)
    parts = np.stack([_cut_groups(label, len(kinds), rng) for _ in range(number)])
    half = int(min((parts[:, None] // 2 == [[0], [1]]).sum(axis=2).min(), len(label) // 2))
    for part in parts:
        _trim(part, half, rng)
    digest = hashlib.sha256("\0".join(groups).encode()).hexdigest()[:16]
    drawn = f"{number} splits of {len(label)} points, seed {seed}, groups {digest}"
    sizes = np.bincount(label)
    return Splits(parts, half, len(kinds), drawn, float(sizes.sum() ** 2 / (sizes**2).sum()))


def _cut_groups(label: Indices, kinds: int, rng: np.random.Generator) -> Int8[np.ndarray, " n"]:
    """Whole groups, halves as equal as the best of some tries; quarters too where there are groups enough."""
    sizes = np.bincount(label, minlength=kinds)
    side = _evenly(sizes, rng)
    part = 2 * side
    for one in (0, 1):
        mine = np.flatnonzero(side == one)
        if kinds >= QUARTERED_GROUPS:
            part[mine] += _evenly(sizes[mine], rng)
    return part[label].astype(np.int8)


def _evenly(sizes: Indices, rng: np.random.Generator) -> Indices:
    """Which of two sides each group goes to: in random order, each to the smaller side; the most even of some tries."""
    tries = [_in_turn(sizes, rng) for _ in range(TRIES)]
    return min(tries, key=lambda side: abs(int(sizes @ (1 - 2 * side))))


def _in_turn(sizes: Indices, rng: np.random.Generator) -> Indices:
    side = np.zeros(len(sizes), np.int64)
    held = [0, 0]
    for group in rng.permutation(len(sizes)).tolist():
        smaller = int(rng.integers(2)) if held[0] == held[1] else int(held[1] < held[0])
        side[group] = smaller
        held[smaller] += int(sizes[group])
    return side


def _trim(part: Int8[np.ndarray, " n"], half: int, rng: np.random.Generator) -> None:
    """Take points out of each half at random until it has ``half``."""
    for side in (0, 1):
        mine = np.flatnonzero(part // 2 == side)
        part[rng.choice(mine, len(mine) - half, replace=False)] = -1
