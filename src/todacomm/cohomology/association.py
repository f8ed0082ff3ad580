"""Ask which properties of the texts run around a loop: numbers, categories and angles, against permuted texts.

The strength of a number is the circular–linear R² of Mardia 1976
(https://doi.org/10.1111/j.2517-6161.1976.tb01603.x), of a category the share of the variance of (cos θ, sin θ) that
lies between its values, of an angle the larger of |mean exp i(θ ∓ β)|. Angles are permuted among the texts of an
article alone, where articles are known, for these are not exchangeable with others; the same permutation serves all
properties, so that their p-values can be adjusted by the largest (Westfall and Young 1993). What is the same
throughout an article, above all the article itself, is held against permutations of all texts.
"""

import math
import re
import string
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from todacomm.core.array_input import NUMBERS
from todacomm.core.errors import InvalidInput
from todacomm.core.types import PLACE, Texts, strings_of
from todacomm.statistics import pvalues
from todacomm.statistics.gaussian_null import number_or_none
from todacomm.statistics.random_halves import numbered

DRAWS = 999
STREAM = 7  # keeps these random numbers apart from others of the same seed
FEWEST = 6  # points with an angle
RARE = 5  # a value of a category that fewer texts have is one of the rare ones
DIGITS = 10  # of a strength: what differs by less is equal
CHUNK = 2**20  # numbers that are in memory at a time
ARTICLE = "article"

Points = Complex[np.ndarray, "b n"]  # exp(iθ) of each text in each order
Strengths = Float[np.ndarray, "k b"]


@dataclass(frozen=True, slots=True)
class Periodic:
    """A property that repeats after ``period``, such as the hour of the day after 24."""

    values: Sequence[float | None]
    period: float

    def __post_init__(self) -> None:
        if not 0 < self.period < math.inf:
            raise InvalidInput(f"a period of {self.period}; expected a number above 0")


def period_of(name: str) -> float | None:
    """The period that a name declares: 24 of ``hour%24``; None without one."""
    found = re.fullmatch(r".+%(\d+(?:\.\d+)?)", name)
    return float(found[1]) or None if found else None


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
    properties: Mapping[str, Any] | None = None,
    *,
    texts: Texts | Sequence[str] | None = None,
    groups: Sequence[Hashable] | None = None,
    across: Collection[str] = (ARTICLE,),
    draws: int = DRAWS,
    seed: int = 42,
) -> list[Association]:
    """Ask which properties of the texts run around a loop: the association of each with an angle, and its p-value.

    Numbers are told from names by what they are, and a name such as ``hour%24`` says that a number repeats after 24.
    A name that fewer than five texts have counts as one of the rare ones. Points without an angle, and texts without a
    value (None or NaN), take no part.

    Parameters
    ----------
    angles : (n,) array
        The angle of each text in radians, as `loops` gives it.
    properties : mapping of str to sequence, optional
        Name to one value a text: numbers, names or `Periodic`. A table of pandas will do.
    texts : Texts or sequence of str, optional
        The texts: adds what can be read off them (their length, last word, punctuation …), their articles and columns.
    groups : sequence, optional
        The article of each text, by default the property ``article``, which ``texts`` with groups bring. Angles are
        permuted within articles alone.
    across : collection of str, default ("article",)
        Properties that are the same throughout an article: held against permutations of all texts.
    draws : int, default 999
        Permutations.
    seed : int, default 42
        Decides the permutations.

    Returns
    -------
    list of Association
        The most significant first: ``name``, ``kind``, ``strength`` from 0 to 1, ``p``, and ``adjusted`` over all
        properties.

    Raises
    ------
    InvalidInput
        For an angle that no text varies, and for a property that is not one value a text.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> hours = np.arange(48) % 24
    >>> angles = 2 * np.pi * hours / 24
    >>> [found] = td.associations(angles, {"hour%24": hours}, draws=99)
    >>> found.kind, round(found.strength, 2), found.adjusted
    ('angle', 1.0, 0.01)

    References
    ----------
    Mardia 1976, https://doi.org/10.1111/j.2517-6161.1976.tb01603.x

    """
    angles = np.asarray(angles, dtype=np.float64)
    known = texts if isinstance(texts, Texts | None) else Texts("texts", strings_of(texts, "text"))
    own = {} if properties is None else dict(properties.items())
    given = with_more({} if known is None else properties_of_texts(known), own)
    articles = given.get(ARTICLE) if groups is None else groups
    checked(angles, given, articles)
    there = ~np.isnan(angles)
    measures = {name: measure_of(name, values, there) for name, values in given.items()}
    values = of_orders(np.exp(1j * angles[there]), measures, kept(articles, there), across, draws=draws, seed=seed)
    tested = np.array([not one.note for one in measures.values()])
    observed = np.where(tested, values[0], np.nan)
    p = pvalues.p_values(observed, values[1:], "greater")
    adjusted = pvalues.family_wise(observed, values[1:], "greater")
    found = [
        Association(name, one.kind, float(values[0, i]), number_or_none(p[i]), number_or_none(adjusted[i]), one.note)
        for i, (name, one) in enumerate(measures.items())
    ]
    return sorted(found, key=lambda one: (one.adjusted is None, one.adjusted, one.p, -one.strength))


def with_more(known: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Two sets of properties in one; a second of the same name is called a column, but for the place of drawn texts."""
    twice = known.keys() - {PLACE}
    return {**known, **{f"{name} (column)" if name in twice else name: values for name, values in more.items()}}


def kept(groups: Sequence[Hashable] | None, there: Bool[np.ndarray, " n"]) -> list[Hashable] | None:
    """The articles of the texts that have an angle."""
    return None if groups is None else [group for group, has in zip(groups, there, strict=True) if has]


def checked(angles: Float[np.ndarray, " n"], properties: Mapping[str, Any], groups: Sequence[Hashable] | None) -> None:
    """Raise InvalidInput where nothing can be associated."""
    if why := stillness(angles):
        raise InvalidInput(why)
    if not properties:
        raise InvalidInput("no property of the texts was given")
    given = {name: len(one.values) if isinstance(one, Periodic) else len(one) for name, one in properties.items()}
    given |= {} if groups is None else {"the groups": len(groups)}
    if wrong := next(((name, n) for name, n in given.items() if n != len(angles)), None):
        raise InvalidInput(f"{wrong[0]}: {wrong[1]} values for {len(angles)} texts; expected one a text")


def stillness(angles: Float[np.ndarray, " n"]) -> str:
    """Why nothing can run around an angle: too few points have one, or all the same; empty where something can."""
    known = angles[~np.isnan(angles)]
    if len(known) >= FEWEST and np.abs(np.exp(1j * known).mean()) <= 1 - 1e-12:
        return ""
    return (
        f"{len(known)} points with an angle, {len(np.unique(known))} of them different: an angle that no text varies "
        f"is associated with nothing; {FEWEST} points or more are needed"
    )


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


def of_orders(
    unit: Complex[np.ndarray, " n"],
    measures: "Mapping[str, Measure]",
    groups: Sequence[Hashable] | None,
    across: Collection[str],
    *,
    draws: int,
    seed: int,
) -> Float[np.ndarray, "b k"]:
    """The strength of each property for the angles as they are, and in each random order."""
    freely = [name in across for name in measures]
    found = np.zeros((draws + 1, len(measures)))
    for free in set(freely):
        orders = permuted(len(unit), None if free else groups, draws, seed)
        chosen = [i for i, one in enumerate(measures.values()) if freely[i] == free and not one.note]
        own = [list(measures.values())[i] for i in chosen]
        step = max(1, CHUNK // len(unit))
        for start in range(0, len(orders), step):
            rows = orders[start : start + step]
            found[start : start + len(rows), chosen] = strengths_of(unit[rows], own).T
    return found.round(DIGITS)


# Strengths


@dataclass(frozen=True, slots=True, eq=False)
class Measure:
    """The values of a property as numbers, labels from 0 on, or angles; which are ``known``, and why it has none."""

    kind: str
    values: Float[np.ndarray, " n"]
    known: Bool[np.ndarray, " n"]
    note: str


def measure_of(name: str, values: Any, there: Bool[np.ndarray, " n"]) -> Measure:
    """Numbers, names or angles, by what the values are and what the name declares."""
    period = values.period if isinstance(values, Periodic) else period_of(name)
    own = values.values if isinstance(values, Periodic) else values
    numbers = numbers_of(own)
    if numbers is None and not period:
        return labels_measure([value for value, has in zip(own, there, strict=True) if has])
    if numbers is None:
        nothing = np.zeros(int(there.sum()))
        return Measure("angle", nothing, nothing > 0, f"not all values are numbers, as a period of {period:g} needs")
    found = numbers[there] if not period else 2 * np.pi * numbers[there] / period
    known = np.isfinite(found)
    return Measure("angle" if period else "number", np.nan_to_num(found), known, unvaried(found[known]))


def numbers_of(values: Any) -> Float[np.ndarray, " n"] | None:
    """The values as numbers, NaN for None; None where one is no number."""
    array = np.asarray(values)
    if array.dtype.kind in NUMBERS:
        return array.astype(np.float64)
    single = array.dtype.kind == "O" and all(value is None or isinstance(value, int | float) for value in array)
    return array.astype(np.float64) if single else None


def labels_measure(values: Sequence[Hashable]) -> Measure:
    """Names as numbers, those that are rare as one."""
    known = np.array([value is not None for value in values], dtype=bool)
    found = np.zeros(len(values))
    found[known] = common(labels_of([value for value in values if value is not None]))
    return Measure("category", found, known, unvaried(found[known]))


def unvaried(known: Float[np.ndarray, " m"]) -> str:
    """Why a property has no strength: one value, or hardly any."""
    if len(known) < FEWEST:
        return f"{len(known)} texts have a value; {FEWEST} or more are needed"
    return "all texts have the same value" if np.ptp(known) == 0 else ""


def common(label: Int[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The labels, with all that are rare in one."""
    counts = np.bincount(label)
    return labels_of(np.where(counts[label] < RARE, -1, label).tolist()) if len(label) else label


def strengths_of(points: Points, measures: Sequence[Measure]) -> Strengths:
    """The strength of each property in each order; those of one kind that the same texts have, together."""
    found = np.zeros((len(measures), len(points)))

    def alike(i: int) -> tuple[str, bytes]:
        return measures[i].kind, measures[i].known.tobytes()

    for (kind, _), group in groupby(sorted(range(len(measures)), key=alike), key=alike):
        rows = list(group)
        known = measures[rows[0]].known
        inside = points if known.all() else points[:, known]
        found[rows] = OF_KIND[kind](inside, np.stack([measures[i].values[known] for i in rows]))
    return found


def of_numbers(points: Points, values: Float[np.ndarray, "k n"]) -> Strengths:
    """The circular–linear R²: the share of the variance of a number that a sine wave of the angle explains."""
    x, cosine, sine = (standard(part) for part in (values, points.real, points.imag))
    n = points.shape[1]
    xc, xs, cs = x @ cosine.T / n, x @ sine.T / n, (cosine * sine).mean(axis=1)
    return np.clip((xc**2 + xs**2 - 2 * xc * xs * cs) / np.maximum(1 - cs**2, 1e-12), 0, 1)


def standard(values: Float[np.ndarray, "b n"]) -> Float[np.ndarray, "b n"]:
    """In units of mean and deviation; 0 where there is none."""
    centred = values - values.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    return np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 0)


def of_categories(points: Points, values: Float[np.ndarray, "k n"]) -> Strengths:
    """The share of the variance of (cos θ, sin θ) that lies between the values of a category."""
    centre = points.mean(axis=1)
    spread = np.maximum(1 - np.abs(centre) ** 2, 1e-12)
    return np.stack([between(points, label, centre) / spread for label in values])


def between(
    points: Points, label: Float[np.ndarray, " n"], centre: Complex[np.ndarray, " b"]
) -> Float[np.ndarray, " b"]:
    """The variance of the means of points with one label."""
    order = np.argsort(label, kind="stable")
    starts = np.flatnonzero(np.diff(label[order], prepend=-1))
    sizes = np.diff(starts, append=len(label))
    means = np.add.reduceat(points[:, order], starts, axis=1) / sizes
    shares: Float[np.ndarray, " b"] = np.abs(means - centre[:, None]) ** 2 @ (sizes / len(label))
    return shares


def of_angles(points: Points, values: Float[np.ndarray, "k n"]) -> Strengths:
    """The larger mean resultant length of the sum and the difference of two angles."""
    turn = np.exp(1j * values)
    return np.maximum(np.abs(turn @ points.T), np.abs(turn.conj() @ points.T)) / points.shape[1]


OF_KIND: dict[str, Callable[[Points, Float[np.ndarray, "k n"]], Strengths]] = {
    "number": of_numbers,
    "category": of_categories,
    "angle": of_angles,
}


# What can be told of texts without a model

SHARES: dict[str, Callable[[str], bool]] = {
    "punctuation": lambda letter: letter in string.punctuation,
    "digits": str.isdigit,
    "capitals": str.isupper,
}


def properties_of_texts(texts: Texts) -> dict[str, Any]:
    """Name to values of what can be told of texts: their place, what stands in them, their articles and columns."""
    found = {PLACE: list(range(len(texts))), **properties_of(texts.items)}
    found |= {} if texts.groups is None else {ARTICLE: texts.groups}
    return with_more(found, texts.columns)


def properties_of(texts: Sequence[str]) -> dict[str, Sequence[Any]]:
    """Name to values of what can be read off texts."""
    last = [(text.split() or [""])[-1] for text in texts]
    found: dict[str, Sequence[Any]] = {
        "letters": [len(text) for text in texts],
        "words": [len(text.split()) for text in texts],
        "last word": last,
        "last letter": [text.rstrip()[-1:] for text in texts],
        "how usual the last word is": usual(Counter(last)[word] for word in last),
    }
    return found | {
        f"share of {name}": [sum(map(of_kind, text)) / max(1, len(text)) for text in texts]
        for name, of_kind in SHARES.items()
    }


def usual(counts: Iterable[int]) -> list[float]:
    """How usual something is: the logarithm of how often it occurs."""
    return [math.log(count) for count in counts]
