"""What copies of a training have shown: their growth window by window, and the exponents that follow from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from todacomm.core.errors import InvalidInput
from todacomm.core.value_types import by_value
from todacomm.stability.exponents import (
    Exponent,
    flat_range,
    missing_for_random_start,
    raw_exponent,
    renormalised_exponent,
    saturated_at,
    spread,
)
from todacomm.stability.follow import STATE
from todacomm.stability.symmetry import Matched

RENORMALISED, FREE, SCANNED = "renormalised", "free", "scanned"
SHARPNESS, PRECONDITIONED = "sharpness", "preconditioned_sharpness"
SGD_LIMIT, ADAM_LIMIT = 2.0, 38.0  # over the learning rate: the largest sharpness that is stable; of Adam at β₁ = 0.9
FLAT = 0.1  # exponents of two epsilons agree within this share, or within one factor of e over the run


@dataclass(frozen=True, slots=True)
class Copying:
    """How copies of a training are made and measured: how many, how far moved, how often brought back.

    It is what `follow_copies`, `todacomm stability` and `todacomm grok --stability` share; the defaults suit all three.

    Attributes
    ----------
    copies : int, default 8
        Networks that train side by side: one that is not perturbed; of the others the larger half is renormalised,
        the rest runs free.
    epsilon : float, default 0.001
        Length of the perturbation of each parameter tensor, over the norm of the tensor.
    every : int, default 25
        Steps from one renormalisation to the next; 10 to 50 are usual.
    scanned : tuple of float
        Further epsilons, one renormalised copy each, to see whether the exponent depends on it.
    held_out : int, default 200
        Inputs for whose outputs the distance in function space is taken.
    checkpoints : int, default 30
        Times at which topology, accuracy and sharpness are measured.

    Raises
    ------
    InvalidInput
        For a number out of its range.

    Examples
    --------
    >>> import todacomm as td
    >>> td.Copying(copies=8, scanned=()).roles
    ('renormalised', 'renormalised', 'renormalised', 'renormalised', 'free', 'free', 'free')

    """

    copies: int = 8
    epsilon: float = 1e-3
    every: int = 25
    scanned: tuple[float, ...] = (1e-5, 1e-4)
    held_out: int = 200
    checkpoints: int = 30

    def __post_init__(self) -> None:
        if self.copies < 3:
            raise InvalidInput(
                f"{self.copies} {'copy' if self.copies == 1 else 'copies'}: expected 3 or more, one that is not "
                "perturbed, one that is brought back to it again and again, and one that runs free"
            )
        for value in (self.epsilon, *self.scanned):
            if not 0 < value < 1:
                raise InvalidInput(
                    f"epsilon {value:g}: expected a share of the norm of the weights above 0 and below 1, such as 0.001"
                )
        for name in ("every", "held_out", "checkpoints"):
            if getattr(self, name) < 1:
                raise InvalidInput(f"{name.replace('_', ' ')} {getattr(self, name)}; expected 1 or more")

    @property
    def roles(self) -> tuple[str, ...]:
        """What each perturbed copy is for."""
        renormalised = self.copies // 2
        free = self.copies - 1 - renormalised
        return (RENORMALISED,) * renormalised + (FREE,) * free + (SCANNED,) * len(self.others)

    @property
    def others(self) -> tuple[float, ...]:
        """The further epsilons, each once, ascending, without the main one."""
        return tuple(sorted({*self.scanned} - {self.epsilon}))

    @property
    def epsilons(self) -> tuple[float, ...]:
        """The epsilon of each perturbed copy."""
        return (self.epsilon,) * (self.copies - 1) + self.others

    @property
    def directions(self) -> tuple[int, ...]:
        """Which direction each copy is perturbed in: scanned ones share that of the first."""
        return (*range(self.copies - 1), *(0 for _ in self.others))


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """How perturbed copies of one training moved beside it: their growth, window by window, and what follows from it.

    ``found.exponent("weights")`` is the renormalised exponent, ``found.raw()`` that of the copies that ran free,
    ``found.scan()`` the exponent at other epsilons, ``found.saturated`` the step from which free copies are far apart.

    Attributes
    ----------
    name : str
        How sentences call the run.
    seed : int
        Of the run.
    settings : mapping of str to Any
        Of the training; empty for a loop of one's own.
    copying : Copying
        How the copies were made.
    parameters : int
        Weights of the network.
    start : int
        The step at which the copies were made, after the warm-up.
    ends : (W,) int64 array
        The step at which each window ends.
    names : tuple of str
        The q distances that were measured: ``weights``, ``angle``, ``function``, ``group/…``, ``angle/…``.
    growths : (q, W, k) float64 array
        Logarithm of what each distance grew by in each window, copy by copy; NaN where it cannot be said.
    distances : (q, V, k) float64 array
        The distances at the start and at the end of each of the W = V - 1 windows, before they are brought back.
    weight_norms : (V,) float64 array
        Of the unperturbed network.
    steps : (C,) int64 array
        Steps at which the unperturbed network itself was measured; none for a loop of one's own.
    measured : tuple of str
        The n numbers of it, as `Course` names them; ``sharpness`` and ``preconditioned_sharpness`` too.
    values : (n, C) float64 array
        Those numbers; NaN where undefined.
    matched : tuple of Matched
        Each free copy at the end, before and after hidden units were matched; empty where they cannot be.
    complaints : tuple of str
        What could not be measured, and why.

    Examples
    --------
    >>> import todacomm as td
    >>> task, copying = td.grokking.Task(prime=7, train_fraction=0.5), td.Copying(copies=3, scanned=(), every=10)
    >>> found = td.grokking.stability_of(task, td.grokking.Training(steps=100, batch=8), copying=copying)
    >>> found.growths.shape == (len(found.names), 5, 2)
    True

    References
    ----------
    Benettin et al. 1980, https://doi.org/10.1007/BF02128236

    """

    name: str
    seed: int
    settings: Mapping[str, Any]
    copying: Copying
    parameters: int
    start: int
    names: tuple[str, ...]
    ends: Int64[np.ndarray, " W"]
    growths: Float64[np.ndarray, "q W k"]
    distances: Float64[np.ndarray, "q V k"]
    weight_norms: Float64[np.ndarray, " V"]
    steps: Int64[np.ndarray, " C"]
    measured: tuple[str, ...]
    values: Float64[np.ndarray, "n C"]
    matched: tuple[Matched, ...] = ()
    complaints: tuple[str, ...] = field(default=())

    # Exponents

    @property
    def lengths(self) -> Int64[np.ndarray, " W"]:
        """Steps of each window."""
        return np.diff(self.ends, prepend=self.start)

    def of(self, name: str, *roles: str) -> Float64[np.ndarray, "W k"]:
        """The growths of one distance in the copies of these roles."""
        return self.growths[self.names.index(name)][:, self.columns(*roles)]

    def apart(self, name: str = STATE, role: str = FREE) -> Float64[np.ndarray, "V k"]:
        """One distance of the copies of a role, at the start and after each window."""
        return self.distances[self.names.index(name)][:, self.columns(role)]

    def columns(self, *roles: str) -> list[int]:
        """The copies of these roles."""
        return [i for i, role in enumerate(self.copying.roles) if role in roles]

    def exponent(self, name: str = STATE) -> Exponent:
        """The renormalised exponent of one distance, a step."""
        return renormalised_exponent(self.of(name, RENORMALISED), self.lengths)

    def raw(self, name: str = STATE) -> Exponent:
        """ln(last / first) / T of the free copies."""
        apart = self.apart(name)
        return raw_exponent(apart[0], apart[-1], int(self.ends[-1]) - self.start)

    @property
    def missing(self) -> float:
        """How much the raw exponent is too low for a random start, a step: ln(N) / (2T)."""
        return missing_for_random_start(self.parameters, int(self.ends[-1]) - self.start)

    @property
    def spreads(self) -> Float64[np.ndarray, " V"]:
        """Mean distance of the free copies from the unperturbed network."""
        return spread(self.apart())

    @property
    def saturated(self) -> int | None:
        """The step at which the spread first exceeds a tenth of the weight norm."""
        return saturated_at(self.spreads, self.weight_norms, np.concatenate([[self.start], self.ends]))

    def scan(self) -> list[tuple[float, float | None]]:
        """The exponent at each epsilon, ascending: of the copies that share one direction."""
        first = self.columns(RENORMALISED)[0]
        found = {self.copying.epsilon: first, **dict(zip(self.copying.others, self.columns(SCANNED), strict=True))}
        growths = self.growths[self.names.index(STATE)]
        return [(e, renormalised_exponent(growths[:, [i]], self.lengths).value) for e, i in sorted(found.items())]

    def flat(self) -> tuple[float, float] | None:
        """The range of epsilons around the main one over which the exponent is the same; None without an exponent."""
        scan = self.scan()
        epsilons, values = zip(*scan, strict=True)
        at = epsilons.index(self.copying.epsilon)
        if values[at] is None:
            return None
        slack = max(FLAT * abs(values[at]), 1 / int(self.lengths.sum()))
        low, high = flat_range(epsilons, values, at, slack)
        return epsilons[low], epsilons[high]

    def number(self, name: str) -> Float64[np.ndarray, " C"]:
        """One number of the unperturbed network along the steps. Raises InvalidInput for one that it does not have."""
        if name not in self.measured:
            raise InvalidInput(f"'{name}' was not measured beside these copies; there are {', '.join(self.measured)}")
        return self.values[self.measured.index(name)]

    def has(self, name: str) -> bool:
        """Whether the unperturbed network has this number."""
        return name in self.measured

    @property
    def groups(self) -> Sequence[str]:
        """The groups of parameters, in the order of the network."""
        return [name.removeprefix("group/") for name in self.names if name.startswith("group/")]
