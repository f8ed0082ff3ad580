"""Does a model use a loop? Turn the angle of its inputs, leave all else, and see whether the answers turn with it.

A curve f(θ) is fitted to the states. On each input θ becomes θ + φ by the displacement f(θ + φ) − f(θ), so that what
is off the loop stays. Answers stand on a circle too: their mean turns by ψ(φ). Where the model computes with the
loop, ψ = ±φ. Displacements of equal length that do not follow the loop are the placebos; the full swap of states is
the ceiling.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Complex128, Float64, Int

from todacomm.cohomology.curve import waves
from todacomm.core.errors import InvalidInput
from todacomm.core.inference_types import FEWEST_DRAWS, at_most_alpha
from todacomm.core.value_types import by_value
from todacomm.statistics.pvalues import against_all

Angles = Float64[np.ndarray, " n"]
States = Float64[np.ndarray, "n d"]
Displacements = Float64[np.ndarray, "turns n d"]
Scores = Float64[np.ndarray, "turns m options"]
Answer = Callable[[Displacements], Scores]  # what is added to the state of each thing → the scores of the options
Verdict = Literal["used", "represented, not used", "not decidable"]

FEWEST = 5  # things on a loop; a curve of one harmonic has three coefficients
MOST_HARMONICS = 5
PLACEBO_TURNS = 5  # the fewest angles whose mean tells a turn by φ from one by −φ, 2φ and none
LEAST_CEILING = 0.5  # of the alignment: below it not even another input's state brings another answer
LEAST_ACCURACY = 0.7
LEAST_SHARE = 0.5  # of what the full swap does that a loop in use reaches
PRACTICALLY_NONE = 0.1  # of the alignment: significant or not, no answer follows
ROUNDING = 1e-9  # of the weights, below which their mean has no place on the circle


# The curve


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A closed curve f(θ) = c + Σ (A_m cos mθ + B_m sin mθ); the rows are c, A_1, B_1, A_2 …"""

    coefficients: Float64[np.ndarray, "rows d"]

    @property
    def harmonics(self) -> int:
        """The highest frequency of the curve."""
        return len(self.coefficients) // 2

    def at(self, angles: Angles) -> States:
        """The points of the curve."""
        return design(angles, self.harmonics) @ self.coefficients

    def turned(self, angles: Angles, by: float) -> States:
        """What takes each point of the curve to the one that is further ``by`` radians."""
        return self.at(angles + by) - self.at(angles)


def design(angles: Angles, harmonics: int) -> Float64[np.ndarray, "n rows"]:
    """The columns 1, cos θ, sin θ, cos 2θ …"""
    return np.column_stack([np.ones(len(angles)), waves(angles[:, None], harmonics)])


def curve_through(states: States, angles: Angles, *, most: int = MOST_HARMONICS) -> Curve:
    """Fit the curve by least squares, with the harmonics that best predict states left out one by one."""
    if len(np.unique(np.round(angles, 12))) < FEWEST:
        raise InvalidInput(f"a curve through {len(states)} states; expected {FEWEST} or more different angles")
    orders = range(1, min(most, (len(states) - 2) // 2) + 1)
    best = min(orders, key=lambda harmonics: left_out_error(states, design(angles, harmonics)))
    return curve_of(states, angles, best)


def curve_of(states: States, angles: Angles, harmonics: int) -> Curve:
    """The curve of so many harmonics."""
    return Curve(np.linalg.pinv(design(angles, harmonics)) @ states)


def left_out_error(states: States, columns: Float64[np.ndarray, "n rows"]) -> float:
    """The sum of squared errors of states that a least-squares fit to all others predicts, in closed form."""
    hat = columns @ np.linalg.pinv(columns)
    free = 1 - np.diag(hat)
    if free.min() < 1e-9:
        return float("inf")
    return float((((states - hat @ states) / free[:, None]) ** 2).sum())


# Placebos


def placebos(
    curve: Curve, states: States, angles: Angles, by: Sequence[float], number: int, *, rng: np.random.Generator
) -> Iterator[Displacements]:
    """Displacements as long as those of the loop on ``curve`` that do not follow it, for each turn.

    In turn: the curve through the states in a permuted order, and the loop's own displacements rotated at random
    within the principal subspace of the states.
    """
    real = displacements(curve, angles, by)
    lengths = np.linalg.norm(real, axis=-1, keepdims=True)
    basis = subspace(states)
    for i in range(number):
        if i % 2:
            yield rotated(real, basis, rng)
        else:
            order = angles[permuted(len(angles), rng)]
            drawn = displacements(curve_of(states, order, curve.harmonics), order, by)
            found = np.linalg.norm(drawn, axis=-1, keepdims=True)
            yield drawn * np.divide(lengths, found, out=np.zeros_like(found), where=found > 0)


def displacements(curve: Curve, angles: Angles, by: Sequence[float]) -> Displacements:
    """What turns each angle, for each of some turns."""
    return np.stack([curve.turned(angles, turn) for turn in by])


def swaps(states: States, angles: Angles, by: Sequence[float]) -> Displacements:
    """What takes each state to that of the thing whose angle is nearest to its own, turned: nothing of it stays."""
    ahead = np.exp(1j * (angles[:, None] - angles[None]))  # of the other before this one
    partners = [np.argmax((ahead * np.exp(-1j * turn)).real, axis=0) for turn in by]
    return np.stack([states[chosen] - states for chosen in partners])


def permuted(n: int, rng: np.random.Generator) -> Int[np.ndarray, " n"]:
    """An order of n things on a circle that is neither the old one, nor a rotation or a reflection of it."""
    while True:
        order = rng.permutation(n)
        steps = np.diff(np.append(order, order[0])) % n
        if len(set(steps.tolist())) > 1:
            return order


def subspace(states: States) -> Float64[np.ndarray, "k d"]:
    """An orthonormal basis of the directions in which the states differ."""
    _, sizes, rows = np.linalg.svd(states - states.mean(axis=0), full_matrices=False)
    return rows[sizes > 1e-9 * (sizes.max() or 1.0)]


def rotated(given: Displacements, basis: Float64[np.ndarray, "k d"], rng: np.random.Generator) -> Displacements:
    """The part of displacements within a subspace, turned by a random orthogonal matrix of it (Haar)."""
    found, signs = np.linalg.qr(rng.standard_normal((len(basis), len(basis))))
    return given @ basis.T @ (found * np.sign(np.diag(signs))) @ basis


# The answers


def turns_of(number: int) -> list[float]:
    """So many turns around the circle, from none on, in radians."""
    return [2 * np.pi * i / number for i in range(number)]


def probabilities(scores: Scores) -> Scores:
    """The softmax over the options."""
    found = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return found / found.sum(axis=-1, keepdims=True)


def mean_on_circle(weights: Scores, options: Angles) -> Complex128[np.ndarray, "turns m"]:
    """The weighted mean of the places of the options on the unit circle."""
    return weights @ np.exp(1j * options)


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Phases:
    """The mean answer z of each input under each turn φ: ``products`` z(φ) z̄(0), (turns, m), whose angle is ψ."""

    by: Angles
    products: Complex128[np.ndarray, "turns m"]

    @property
    def mean(self) -> Angles:
        """ψ(φ) of all inputs together, in radians, unwrapped from no turn on; sure answers count more."""
        return np.unwrap(np.angle(self.products.sum(axis=1)))

    @property
    def slope(self) -> float:
        """The slope of ψ on φ through the origin: 1 where answers turn with the angle, 0 where they stand still."""
        return float(self.mean @ self.by / (self.by @ self.by))

    def alignment(self, direction: int = 1) -> float:
        """|mean e^{i(ψ − gφ)}|, g = ``direction``: 1 where every answer turns by φ exactly, 0 where none turns."""
        return float(abs(np.exp(1j * (np.angle(self.products) - direction * self.by[:, None])).mean()))

    @property
    def either_way(self) -> float:
        """The larger alignment of both directions."""
        return max(self.alignment(1), self.alignment(-1))


def phases_of(
    scores: Scores, options: Angles, by: Sequence[float], *, weigh: Callable[[Scores], Scores] = probabilities
) -> Phases:
    """How the answers turn with the angle; the first turn must be none."""
    weights = weigh(scores)
    means = mean_on_circle(weights, options)
    means[abs(means) <= ROUNDING * abs(weights).sum(axis=-1)] = 0  # no phase at all: it stands still
    return Phases(np.asarray(by, dtype=np.float64), means * np.conj(means[0]))


def moved_exactly(scores: Scores, steps: Sequence[int]) -> float:
    """The share of answers that a turn by s of n steps moves by exactly s of n options; no turn aside."""
    answers = scores.argmax(axis=-1)
    n = scores.shape[-1]
    hits = [(answers[i] - answers[0] - s) % n == 0 for i, s in enumerate(steps) if s % n]
    return float(np.mean(hits)) if hits else float("nan")


# The verdict


@dataclass(frozen=True, slots=True)
class Turned:
    """What came of turning one loop at one layer.

    Attributes
    ----------
    psi : tuple of float
        How far the answers turned, in radians, for each of as many equal turns around the circle, from none on.
    slope : float
        Of ψ on φ: 1 where answers turn as far as the angle, 0 where they stand still.
    direction : int
        1 where answers run with the angle, -1 where they run against it.
    alignment : float
        |mean e^{i(ψ ∓ φ)}| over inputs and turns, between 0 and 1.
    swap : float
        The alignment under the full swap of states, in the same phases.
    ceiling : float
        The alignment of the answers themselves under it.
    tested : float
        The alignment over the few turns that the placebos were given.
    placebos, placebo_slopes : tuple of float
        The alignment of each placebo over those turns, and its slope.
    placebo_psi : tuple of tuple of float
        How far the answers turned under each placebo.
    moved : float or None
        The share of single answers that moved by exactly as many steps as the angle; None where options are no steps.
    accuracy : float
        The share of inputs that the model answers rightly without any turn.
    harmonics : int
        Of the curve.
    answers : tuple of tuple of int
        For each turn the option that is answered, of the input whose right answer is option 0, 1, 2 …; empty where
        options are no steps, or are not the right answer to one input each.

    """

    psi: tuple[float, ...]
    slope: float
    direction: int
    alignment: float
    swap: float
    ceiling: float
    tested: float
    placebos: tuple[float, ...]
    placebo_slopes: tuple[float, ...]
    placebo_psi: tuple[tuple[float, ...], ...]
    moved: float | None
    accuracy: float
    harmonics: int
    answers: tuple[tuple[int, ...], ...] = ()

    def verdict(self, p: float) -> tuple[Verdict, str]:
        """Whether the model uses the loop, and why, by the p-value of its alignment against the placebos."""
        if self.accuracy < LEAST_ACCURACY:
            return "not decidable", f"the model answers {self.accuracy:.0%} of the inputs rightly; expected 70 %"
        if self.ceiling < LEAST_CEILING:
            return (
                "not decidable",
                f"even the full swap of states turns the answers by {self.ceiling:.2f} only; expected 0.5",
            )
        if len(self.placebos) < FEWEST_DRAWS:
            return "not decidable", f"{len(self.placebos)} placebos decide nothing; expected {FEWEST_DRAWS} or more"
        if not at_most_alpha(p) or self.alignment < PRACTICALLY_NONE:
            return (
                "represented, not used",
                f"the answers do not turn with the angle (R = {self.alignment:.2g}, p = {p:.2g})",
            )
        if self.alignment < LEAST_SHARE * self.swap:
            share = self.alignment / self.swap
            return (
                "not decidable",
                f"the answers turn, by {share:.0%} of the full swap alone; expected half (p = {p:.2g})",
            )
        return "used", f"the answers turn with the angle (p = {p:.2g})"


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """How a model answers.

    It ``gives`` scores under displacements. ``options`` are the places of the answers on their circle, ``right`` is the
    right one of each input, and ``weigh`` makes weights of scores.
    """

    gives: Answer
    options: Angles
    right: Int[np.ndarray, " m"]
    weigh: Callable[[Scores], Scores] = probabilities

    def phases(self, scores: Scores, by: Sequence[float]) -> Phases:
        """How far the answers turn."""
        return phases_of(scores, self.options, by, weigh=self.weigh)


def turn(
    states: States,
    angles: Angles,
    answers: Answers,
    *,
    own: States,
    steps: int,
    draws: int,
    rng: np.random.Generator,
) -> Turned:
    """Turn the angle of every thing by ``steps`` equal turns, and placebos by few; see what the answers do.

    The curve is fitted to ``states``; ``own`` are the states of the same things in the inputs that are asked about.
    """
    by, few = turns_of(steps), turns_of(PLACEBO_TURNS)
    curve = curve_through(states, angles)
    scores = answers.gives(displacements(curve, angles, by))
    phases = answers.phases(scores, by)
    direction = max((1, -1), key=phases.alignment)

    def by_few(given: Displacements) -> Phases:
        return answers.phases(np.concatenate([scores[:1], answers.gives(given[1:])]), few)

    swapped = answers.gives(swaps(own, angles, by))
    drawn = [by_few(one) for one in placebos(curve, states, angles, few, draws, rng=rng)]
    return Turned(
        psi=tuple(phases.mean.tolist()),
        slope=phases.slope,
        direction=direction,
        alignment=phases.alignment(direction),
        swap=answers.phases(swapped, by).either_way,
        ceiling=phases_of(swapped, answers.options, by).either_way,
        tested=by_few(displacements(curve, angles, few)).either_way,
        placebos=tuple(one.either_way for one in drawn),
        placebo_slopes=tuple(one.slope for one in drawn),
        placebo_psi=tuple(tuple(one.mean.tolist()) for one in drawn),
        moved=moved_exactly(scores, [direction * i for i in range(steps)]) if steps == scores.shape[-1] else None,
        accuracy=float((scores[0].argmax(axis=-1) == answers.right).mean()),
        harmonics=curve.harmonics,
        answers=answered(scores, answers.right) if steps == scores.shape[-1] else (),
    )


def answered(scores: Scores, right: Int[np.ndarray, " m"]) -> tuple[tuple[int, ...], ...]:
    """The options that are answered under each turn, by the right one; empty unless each is right once."""
    if sorted(right.tolist()) != list(range(scores.shape[-1])):
        return ()
    return tuple(tuple(row) for row in scores.argmax(axis=-1)[:, np.argsort(right)].tolist())


def p_values(found: Mapping[str, Turned]) -> dict[str, float]:
    """Layer → the p-value of its alignment against the largest of each placebo over all layers."""
    observed = np.array([one.tested for one in found.values()])
    drawn = np.array([one.placebos for one in found.values()]).T
    return dict(zip(found, against_all(observed, drawn).tolist(), strict=True))
