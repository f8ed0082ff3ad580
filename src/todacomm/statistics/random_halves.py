"""Split n points at random into two halves and four quarters, the same for all measurements on the same texts."""

import hashlib
from collections.abc import Hashable, Iterator, Sequence
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
    """Random splits of points into halves; equal ``drawn`` means equal splits."""

    parts: Int8[np.ndarray, "s n"]  # quarter 0 … 3 of each point, -1 for none; quarters 0 and 1 are one half
    half: int  # points of each half
    groups: int  # kept whole; 0 where points were drawn one by one
    drawn: str  # how they were drawn
    effective: float = 0.0  # number of equal groups with the same variance of a mean (Kish 1965)
    copies: int = 0  # points that are in no part

    def of_rows(self, rows: Indices, n: int) -> "Splits":
        """The same splits for these ascending rows of n; the others are copies, in no part."""
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


def numbered(labels: Sequence[Hashable]) -> tuple[int, ...]:
    """Number the labels in order of appearance."""
    place = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    return tuple(place[label] for label in labels)


def splits(n: int, number: int = 50, seed: int = 42, groups: Sequence[str] | None = None) -> Splits:
    """Draw ``number`` random splits of n points, decided by these arguments; fewer splits are a prefix of more.

    With ``groups``, one label a point, whole groups are drawn and the larger half loses points at random. Raises
    InvalidInput for too few points or splits, and for groups that `refusal` refuses.
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
    """Why whole groups cannot be drawn; empty where they can."""
    sizes = np.unique(np.asarray(groups), return_counts=True)[1]
    if len(sizes) < FEWEST_GROUPS:
        return f"{len(sizes)} groups are too few, at least {FEWEST_GROUPS} are needed"
    if sizes.max() > LARGEST_GROUP * len(groups):
        return f"one group holds {sizes.max()} of {len(groups)} points, more than a third"
    return ""


def _cut(n: int, rng: np.random.Generator) -> Int8[np.ndarray, " n"]:
    """Split points one by one: two halves of ⌊n/2⌋, each of two quarters that differ by at most one point."""
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
    """Split whole groups, halves as equal as the best of some tries; quarters too with enough groups."""
    sizes = np.bincount(label, minlength=kinds)
    side = _evenly(sizes, rng)
    part = 2 * side
    for one in (0, 1):
        mine = np.flatnonzero(side == one)
        if kinds >= QUARTERED_GROUPS:
            part[mine] += _evenly(sizes[mine], rng)
    return part[label].astype(np.int8)


def _evenly(sizes: Indices, rng: np.random.Generator) -> Indices:
    """Assign groups to two sides: in random order, each to the smaller side; the most even of some tries."""
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
    """Drop points of each half at random until it has ``half``."""
    for side in (0, 1):
        mine = np.flatnonzero(part // 2 == side)
        part[rng.choice(mine, len(mine) - half, replace=False)] = -1
