"""Fourier analysis on a finite cyclic group: how few frequencies hold an embedding or logits.

Addition mod p is diagonal in the characters of the residues, multiplication in those of their discrete logarithms.
Nanda et al. 2023, https://arxiv.org/abs/2301.05217; Chughtai et al. 2023, https://arxiv.org/abs/2302.03025.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from todacomm.core.errors import InvalidInput
from todacomm.core.value_types import by_value

Points = Float[np.ndarray, "n d"]
Spectrum = Float[np.ndarray, " f"]
Logits = Float[np.ndarray, "m c"]
Frequencies = Sequence[int]
ROWS = 4096  # of logits, converted to float64 at a time


def is_prime(number: int) -> bool:
    """Whether a number is prime, by trial division."""
    return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))


def primitive_root(p: int) -> int:
    """Return the smallest g whose powers are all residues but 0. Raises InvalidInput where p is not prime."""
    if not is_prime(p):
        raise InvalidInput(f"{p} is not prime; expected a prime, since only its residues but 0 are the powers of one")
    factors = [d for d in range(2, p) if (p - 1) % d == 0 and is_prime(d)]
    return next(g for g in range(1, p) if all(pow(g, (p - 1) // d, p) != 1 for d in factors))


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Characters:
    """The characters of a cyclic group whose elements are some of the inputs.

    Input ``members[i]`` is the element ``places[i]`` of Z/``order``. Frequency k = 1 … order // 2 is the pair cos, sin
    of 2πk·place / order; at k = order / 2 the sine is zero.
    """

    order: int
    members: Int[np.ndarray, " order"]
    places: Int[np.ndarray, " order"]

    @property
    def frequencies(self) -> Int[np.ndarray, " f"]:
        return np.arange(1, self.order // 2 + 1)

    def waves(self, frequencies: Frequencies, places: Int[np.ndarray, " m"]) -> Float[np.ndarray, "m w"]:
        """Columns cos, sin of each frequency at these places; squared norm order / 2 (or order) over the group."""
        angles = 2 * np.pi * np.outer(places, np.asarray(frequencies)) / self.order
        return np.stack([np.cos(angles), np.sin(angles)], axis=-1).reshape(len(places), -1)


def additive_characters(p: int) -> Characters:
    """The characters of the residues under addition; p need not be prime."""
    return Characters(p, np.arange(p), np.arange(p))


def multiplicative_characters(p: int) -> Characters:
    """The characters of the nonzero residues under multiplication: g^j has place j, g the least primitive root."""
    root = primitive_root(p)
    logarithm = np.zeros(p, dtype=np.int64)
    power = 1
    for j in range(p - 1):
        logarithm[power], power = j, power * root % p
    return Characters(p - 1, np.arange(1, p), logarithm[1:])


# Spectra of an embedding


def members_in_order(embedding: Points, characters: Characters) -> Float[np.ndarray, "order d"]:
    """The centred rows of the members, in the order of the group."""
    rows = embedding[characters.members].astype(np.float64)
    ordered = np.empty_like(rows)
    ordered[characters.places] = rows - rows.mean(axis=0)
    return ordered


def coefficients(embedding: Points, characters: Characters) -> Float[np.ndarray, "f 2 d"]:
    """Cosine and sine coefficients of each frequency; their squares sum to the variance of the members."""
    found = np.fft.rfft(members_in_order(embedding, characters), axis=0)[1:] * np.sqrt(2) / characters.order
    if characters.order % 2 == 0:
        found[-1] /= np.sqrt(2)
    return np.stack([found.real, -found.imag], axis=1)


def power_spectrum(embedding: Points, characters: Characters) -> Spectrum:
    """Fraction of the variance of the members at each frequency 1 … order // 2; zeros for equal rows."""
    return shares(coefficients(embedding, characters))


def shares(table: Float[np.ndarray, "f 2 d"]) -> Spectrum:
    """The `power_spectrum` of an embedding with these `coefficients`."""
    power = (table**2).sum(axis=(1, 2))
    total = power.sum()
    return power / total if total > 0 else power


def top_share(spectrum: Spectrum, k: int = 5) -> float:
    """The fraction of power in the ``k`` strongest frequencies."""
    return float(np.sort(spectrum)[::-1][:k].sum())


def participation_ratio(spectrum: Spectrum) -> float:
    """Effective number of frequencies: (Σ P)² / Σ P², from 1 to their number; 0 for an empty spectrum."""
    squares = float((spectrum**2).sum())
    return float(spectrum.sum()) ** 2 / squares if squares > 0 else 0.0


def gini(spectrum: Spectrum) -> float:
    """Gini coefficient (1912) of the powers: 0 where all are equal, (f − 1) / f where one has everything."""
    ordered, f = np.sort(spectrum), len(spectrum)
    total = float(ordered.sum())
    return float(2 * (np.arange(1, f + 1) * ordered).sum() / (f * total) - (f + 1) / f) if total > 0 else 0.0


def dominant(spectrum: Spectrum, k: int = 5) -> list[int]:
    """The ``k`` strongest frequencies, strongest first; equal ones by number."""
    return [int(i) + 1 for i in np.argsort(-spectrum, kind="stable")[:k]]


def plane(
    embedding: Points, characters: Characters, frequency: int, table: Float[np.ndarray, "f 2 d"] | None = None
) -> Float[np.ndarray, "order 2"]:
    """Project the members, in the order of the group, on the plane of one frequency; divide by their RMS radius there.

    The axes are orthonormal and as close as possible to cosine and sine, so that a circle stays a circle. Points on a
    line or at one place stay there (on an axis, at 0). ``table``: the `coefficients`, if known.
    """
    waves = (coefficients(embedding, characters) if table is None else table)[frequency - 1]
    u, _, v = np.linalg.svd(waves, full_matrices=False)
    found = members_in_order(embedding, characters) @ (u @ v).T
    radius = float(np.sqrt((found**2).sum(axis=1).mean()))
    return found / radius if radius > 0 else found


# Progress of a network on a task


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class PairTask:
    """A task as the spectra of logits need it.

    ``places`` (m,) is place(a) ± place(b) mod order, the element that decides the answer; −1 where a or b is no member.
    """

    characters: Characters
    places: Int[np.ndarray, " m"]
    labels: Int[np.ndarray, " m"]
    train: Int[np.ndarray, " k"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Loss (nats) and accuracy restricted to the key frequencies, and excluding them."""

    frequencies: tuple[int, ...]
    restricted_loss: float
    restricted_accuracy: float
    excluded_loss: float
    excluded_accuracy: float


def places_of(pairs: Int[np.ndarray, "m 2"], characters: Characters, sign: int) -> Int[np.ndarray, " m"]:
    """The element of the group that decides the answer to each pair; −1 where an input is no member."""
    place = np.full(int(max(pairs.max(), characters.members.max())) + 1, -1)
    place[characters.members] = characters.places
    first, second = place[pairs[:, 0]], place[pairs[:, 1]]
    return np.where((first >= 0) & (second >= 0), (first + sign * second) % characters.order, -1)


def along_answers(logits: Logits, task: PairTask) -> tuple[Float[np.ndarray, "order c"], Int[np.ndarray, " order"]]:
    """Mean logits of all pairs with one answer, and their number; every wave along the answers survives the mean."""
    order = np.argsort(task.places, kind="stable")
    order = order[np.count_nonzero(task.places < 0) :]
    counts = np.bincount(task.places[order], minlength=task.characters.order)
    sums = np.zeros((task.characters.order, logits.shape[1]))
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    present = counts > 0
    sums[present] = np.add.reduceat(logits[order], starts[present], axis=0, dtype=np.float64)
    return sums / np.maximum(counts, 1)[:, None], counts


def key_frequencies(along: Float[np.ndarray, "order c"], characters: Characters, k: int = 5) -> list[int]:
    """The ``k`` frequencies with the most power in the logits along the answers."""
    members = Characters(characters.order, np.arange(characters.order), np.arange(characters.order))
    return dominant(power_spectrum(along, members), k)


def progress(logits: Logits, task: PairTask, frequencies: Frequencies | None = None) -> Progress:
    """Compute restricted and excluded loss and accuracy from the logits (m, c) of all pairs of a task.

    Restricted: the mean plus the projection on cos and sin of w_k(a ± b) of the key frequencies, over all these pairs.
    Excluded: the logits minus that projection, over the training pairs. On a subset of pairs the projection is by least
    squares. Key frequencies default to the five with the most power in these logits; Nanda et al. 2023
    (https://arxiv.org/abs/2301.05217) take those of the trained network, which are unknown during training.
    """
    along, counts = along_answers(logits, task)
    chosen = key_frequencies(along, task.characters) if frequencies is None else list(frequencies)
    waves = task.characters.waves(chosen, np.arange(task.characters.order))
    kept = waves[:, (waves**2).sum(axis=0) > 1e-9]  # the sine of the highest frequency of an even order is zero
    columns = np.column_stack([np.ones(len(kept)), kept])
    weighted = columns * counts[:, None]
    weights = np.linalg.lstsq(columns.T @ weighted, weighted.T @ along, rcond=None)[0]
    restricted, projected = columns @ weights, (kept @ weights[1:]).astype(logits.dtype)
    inside = np.flatnonzero(task.places >= 0)
    train = task.train[task.places[task.train] >= 0]
    excluded = logits[train] - projected[task.places[train]]
    first = restricted_scores(restricted, task.places[inside], task.labels[inside])
    return Progress(tuple(chosen), *first, *loss_and_accuracy(excluded, task.labels[train]))


def restricted_scores(
    restricted: Float[np.ndarray, "order c"], places: Int[np.ndarray, " m"], labels: Int[np.ndarray, " m"]
) -> tuple[float, float]:
    """Compute `loss_and_accuracy` of restricted[places], once for each pair of a place and a label."""
    classes = restricted.shape[1]
    pairs, inverse = np.unique(places * classes + labels, return_inverse=True)
    place, label = np.divmod(pairs, classes)
    right = restricted.argmax(axis=1)[places] == labels
    return float(cross_entropies(restricted[place], label)[inverse].mean()), float(right.mean())


def loss_and_accuracy(logits: Logits, labels: Int[np.ndarray, " m"]) -> tuple[float, float]:
    """Mean cross-entropy in nats, in float64, and accuracy."""
    parts = range(0, len(labels), ROWS)
    total = sum(float(cross_entropies(logits[i : i + ROWS], labels[i : i + ROWS]).sum()) for i in parts)
    return total / len(labels), float((logits.argmax(axis=1) == labels).mean())


def cross_entropies(logits: Logits, labels: Int[np.ndarray, " m"]) -> Float[np.ndarray, " m"]:
    """Cross-entropy of each row, as log(1 + Σ exp(z − z_right)) over the other classes.

    log Σ exp z − z_right subtracts numbers as large as the logits, so that losses below 1e-8 (float32) or 1e-16
    (float64) are lost.
    """
    rows = np.arange(len(labels))
    with np.errstate(invalid="ignore"):  # infinite logits give NaN
        ahead = logits - logits[rows, labels].astype(np.float64)[:, None]
        ahead[rows, labels] = -np.inf
        top = ahead.max(axis=1)
        return np.logaddexp(0.0, np.log(np.exp(ahead - top[:, None]).sum(axis=1)) + top)
