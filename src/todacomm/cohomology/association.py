"""Ask which properties of the texts run around a loop: numbers, categories and angles, against permuted texts.

The strength of a number is the circular–linear R² of Mardia 1976
(https://doi.org/10.1111/j.2517-6161.1976.tb01603.x), of a category the share of the variance of (cos θ, sin θ) that
lies between its values, of an angle the larger of |mean exp i(θ ∓ β)|. Angles are permuted among the texts of an
article alone, where articles are known, for these are not exchangeable with others; the same permutation serves all
properties, so that their p-values can be adjusted by the largest (Westfall and Young 1993).
"""

import math
import string
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from todacomm.core.array_input import NUMBERS
from todacomm.core.errors import InvalidInput
from todacomm.statistics import pvalues
from todacomm.statistics.gaussian_null import number_or_none
from todacomm.statistics.random_halves import numbered

DRAWS = 999
STREAM = 7  # keeps these random numbers apart from others of the same seed
FEWEST = 6  # points with an angle
RARE = 5  # a value of a category that fewer texts have is one of the rare ones
DIGITS = 10  # of a strength: what differs by less is equal
CHUNK = 2**22  # numbers that are in memory at a time

Angles = Float[np.ndarray, "b n"]
Strength = Callable[[Angles], Float[np.ndarray, " b"]]


@dataclass(frozen=True, slots=True)
class Periodic:
    """A property that repeats after ``period``, such as the hour of the day after 24."""

    values: Sequence[float]
    period: float


@dataclass(frozen=True, slots=True)
class Association:
    """How strongly a property runs around a loop, from 0 to 1, with its p-value alone and over all properties.

    ``kind`` is number, category or angle. No p-value stands where ``note`` says why.
    """

    name: str
    kind: str
    strength: float
    p: float | None
    adjusted: float | None
    note: str = ""


def associations(
    angles: Float[np.ndarray, " n"],
    properties: Mapping[str, Sequence[Any] | Periodic],
    *,
    groups: Sequence[Hashable] | None = None,
    draws: int = DRAWS,
    seed: int = 42,
) -> list[Association]:
    """The association of an angle with properties of its texts, the most significant first.

    ``groups`` are the articles of the texts. Points without an angle take no part. Raises InvalidInput for an angle
    that no text varies, and for a property that is not one value a text.
    """
    checked(angles, properties, groups)
    there = ~np.isnan(angles)
    own = angles[there]
    measures = {name: measure_of(values, there) for name, values in properties.items()}
    articles = None if groups is None else [group for group, has in zip(groups, there, strict=True) if has]
    orders = permuted(len(own), articles, draws, seed)
    values = np.column_stack([of_all(own, orders, strength) for _, strength, _ in measures.values()]).round(DIGITS)
    tested = np.array([not note for *_, note in measures.values()])
    observed = np.where(tested, values[0], np.nan)
    p = pvalues.p_values(observed, values[1:], "greater")
    adjusted = pvalues.family_wise(observed, values[1:], "greater")
    found = [
        Association(name, kind, float(values[0, i]), number_or_none(p[i]), number_or_none(adjusted[i]), note)
        for i, (name, (kind, _, note)) in enumerate(measures.items())
    ]
    return sorted(found, key=lambda one: (one.adjusted is None, one.adjusted, one.p, -one.strength))


def checked(angles: Float[np.ndarray, " n"], properties: Mapping[str, Any], groups: Sequence[Hashable] | None) -> None:
    """Raise InvalidInput where nothing can be associated."""
    known = angles[~np.isnan(angles)]
    if len(known) < FEWEST or np.abs(np.exp(1j * known).mean()) > 1 - 1e-12:
        raise InvalidInput(
            f"{len(known)} points with an angle, {len(np.unique(known))} of them different: an angle that no text "
            "varies is associated with nothing"
        )
    if not properties:
        raise InvalidInput("no property of the texts was given")
    given = {name: len(one.values) if isinstance(one, Periodic) else len(one) for name, one in properties.items()}
    given |= {} if groups is None else {"the groups": len(groups)}
    if wrong := next(((name, n) for name, n in given.items() if n != len(angles)), None):
        raise InvalidInput(f"{wrong[0]}: {wrong[1]} values for {len(angles)} texts; expected one a text")


# Permutations


def permuted(n: int, groups: Sequence[Hashable] | None, draws: int, seed: int) -> Int[np.ndarray, "b n"]:
    """The order as it is, and random ones that leave each text in its group."""
    rng = np.random.default_rng([seed, STREAM])
    label = np.zeros(n, dtype=np.int64) if groups is None else labels_of(groups)
    by_group = np.argsort(label, kind="stable")
    found = np.tile(np.arange(n), (draws + 1, 1))
    for row in found[1:]:
        row[by_group] = np.lexsort((rng.random(n), label))
    return found


def labels_of(values: Sequence[Hashable]) -> Int[np.ndarray, " n"]:
    """A number for each value, as an array."""
    return np.array(numbered(values), dtype=np.int64)


def of_all(own: Float[np.ndarray, " n"], orders: Int[np.ndarray, "b n"], strength: Strength) -> Float[np.ndarray, " b"]:
    """The strength for each order of the angles, a part of the orders at a time."""
    step = max(1, CHUNK // len(own))
    return np.concatenate([strength(own[orders[start : start + step]]) for start in range(0, len(orders), step)])


# Strengths


def measure_of(values: Sequence[Any] | Periodic, there: Bool[np.ndarray, " n"]) -> tuple[str, Strength, str]:
    """The kind of a property, its strength, and why it can have none."""
    if isinstance(values, Periodic):
        found = 2 * np.pi * np.asarray(values.values, dtype=np.float64)[there] / values.period
        return "angle", partial(of_angle, known=np.isfinite(found), other=np.nan_to_num(found)), unvaried(found)
    array = np.asarray(values)
    if array.dtype.kind in NUMBERS:
        found = array.astype(np.float64)[there]
        return "number", partial(of_number, known=np.isfinite(found), other=np.nan_to_num(found)), unvaried(found)
    label = common(labels_of([value for value, has in zip(values, there, strict=True) if has]))
    return "category", partial(of_category, label=label), unvaried(label.astype(np.float64))


def unvaried(values: Float[np.ndarray, " n"]) -> str:
    """Why a property has no strength: one value, or hardly any."""
    known = values[np.isfinite(values)]
    if len(known) < FEWEST:
        return f"{len(known)} texts have a value; {FEWEST} or more are needed"
    return "all texts have the same value" if np.ptp(known) == 0 else ""


def common(label: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The labels, with all that are rare in one."""
    counts = np.bincount(label)
    return labels_of(np.where(counts[label] < RARE, -1, label).tolist())


def of_number(
    angles: Angles, *, known: Bool[np.ndarray, " n"], other: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " b"]:
    """The circular–linear R²: the share of the variance of a number that a sine wave of the angle explains."""
    x = standard(other[known])
    cosine, sine = (standard(wave(angles[:, known])) for wave in (np.cos, np.sin))
    n = max(1, int(known.sum()))
    xc, xs, cs = cosine @ x / n, sine @ x / n, (cosine * sine).mean(axis=1)
    return np.clip((xc**2 + xs**2 - 2 * xc * xs * cs) / np.maximum(1 - cs**2, 1e-12), 0, 1)


def standard(values: Float[np.ndarray, "*b n"]) -> Float[np.ndarray, "*b n"]:
    """In units of mean and deviation; 0 where there is none."""
    centred = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True))
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)


def of_category(angles: Angles, *, label: Int[np.ndarray, " n"]) -> Float[np.ndarray, " b"]:
    """The share of the variance of (cos θ, sin θ) that lies between the values of a category."""
    member = np.eye(label.max() + 1)[label]
    sizes = member.sum(axis=0)
    points = np.exp(1j * angles)
    centre = points.mean(axis=1)
    between = (np.abs(points @ member / sizes - centre[:, None]) ** 2 * sizes).sum(axis=1) / len(label)
    return between / np.maximum(1 - np.abs(centre) ** 2, 1e-12)


def of_angle(
    angles: Angles, *, known: Bool[np.ndarray, " n"], other: Float[np.ndarray, " n"]
) -> Float[np.ndarray, " b"]:
    """The larger mean resultant length of the sum and the difference of two angles."""
    points, turn = np.exp(1j * angles[:, known]), np.exp(1j * other[known])
    n = max(1, int(known.sum()))
    return np.maximum(np.abs(points @ turn), np.abs(points @ turn.conj())) / n


# What can be told of texts without a model

SHARES: dict[str, Callable[[str], bool]] = {
    "punctuation": lambda letter: letter in string.punctuation,
    "digits": str.isdigit,
    "capitals": str.isupper,
}


def properties_of(texts: Sequence[str], points: Float[np.ndarray, "n d"]) -> dict[str, Sequence[Any]]:
    """Name to values of what runs around a loop, perhaps: of the texts in their order, and of their points."""
    last = [(text.split() or [""])[-1] for text in texts]
    counts = Counter(last)
    found: dict[str, Sequence[Any]] = {
        "place in the corpus": list(range(len(texts))),
        "letters": [len(text) for text in texts],
        "words": [len(text.split()) for text in texts],
        "last word": last,
        "last letter": [text.rstrip()[-1:] for text in texts],
        "how usual the last word is": [math.log(counts[word]) for word in last],
    }
    found |= {
        f"share of {name}": [sum(map(of_kind, text)) / max(1, len(text)) for text in texts]
        for name, of_kind in SHARES.items()
    }
    return found | {"norm of the activation": np.linalg.norm(points.astype(np.float64), axis=1).tolist()}
