"""What comes of turning the loops of the embedding of a trained network; needs no torch."""

from dataclasses import dataclass

from todacomm.circles.causal_test import Turned, Verdict

LEAST_SHARE = 0.01  # of the variance: planes below are turned only where a loop was found of them


@dataclass(frozen=True, slots=True)
class Named:
    """The frequency that an angle follows, ±1 for its direction, and how closely, |mean e^{i(θ ∓ 2πk·place/order)}|."""

    frequency: int
    direction: int
    correlation: float


@dataclass(frozen=True, slots=True)
class TurnedLoop:
    """One loop of an embedding, or one plane of its spectrum, and what came of turning it.

    ``name`` is the frequency that its angle follows, ``inverse`` the step of the residues that it visits in turn, and
    ``share`` that of the variance in the plane of the frequency: of a loop with next to none, the residues are in turn
    by that step, and the network need not use the frequency. ``found`` tells a loop that was found without labels from
    a plane of the spectrum.
    """

    name: Named
    inverse: int | None
    share: float
    found: bool
    turned: Turned
    p: float
    verdict: Verdict
    why: str

    @property
    def used(self) -> bool:
        """Whether the network uses it, and has more than next to nothing of it."""
        return self.verdict == "used" and self.share >= LEAST_SHARE


@dataclass(frozen=True, slots=True)
class Moved:
    """The share of test pairs whose answer moves by ``step`` when all planes that are used turn by as many steps."""

    step: int
    share: float


@dataclass(frozen=True, slots=True)
class TurnedRun:
    """A training run: its loops, and how all used planes together move the answers; ``moved`` is empty without any."""

    run: str
    loops: tuple[TurnedLoop, ...]
    moved: tuple[Moved, ...]
