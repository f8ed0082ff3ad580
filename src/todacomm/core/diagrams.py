"""Persistence diagrams: bars that die, sorted, and the births of classes that never do."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from todacomm.core.value_types import by_value, read_only

Bars = Float[np.ndarray, "m 2"]


@by_value
@dataclass(frozen=True, slots=True, eq=False)
class Diagrams:
    """The persistence diagrams of one cloud, over Z/2, in the diameter convention.

    Births and deaths are distances between points, in the unit of the cloud. Classes that never die are kept apart
    from the finite bars, so that no death is invented for them.

    Attributes
    ----------
    finite : tuple of (m, 2) float64 arrays
        ``finite[k]``: birth and death of the bars of dimension k, sorted by birth and death, none of length 0.
    essential : tuple of (e,) float64 arrays
        ``essential[k]``: births of the classes of dimension k that never die.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> td.Diagrams.from_arrays([np.array([(0.0, 1.0), (0.0, np.inf)]), np.array([(1.0, 1.4)])])
    Diagrams(H0: 1 finite, 1 essential; H1: 1 finite, 0 essential)

    References
    ----------
    Edelsbrunner and Harer 2010, *Computational Topology*, chapter VII.

    """

    finite: tuple[Float[np.ndarray, "_ 2"], ...]
    essential: tuple[Float[np.ndarray, " _"], ...]

    def __post_init__(self) -> None:
        for name in ("finite", "essential"):
            object.__setattr__(self, name, tuple(read_only(array) for array in getattr(self, name)))

    @classmethod
    def from_arrays(cls, arrays: Sequence[np.ndarray]) -> "Diagrams":
        """Split (m, 2) arrays, one a dimension; a death of infinity marks an essential class."""
        finite, essential = zip(
            *(split_bars(np.asarray(a, dtype=np.float64).reshape(-1, 2)) for a in arrays), strict=True
        )
        return cls(finite, essential)

    def __repr__(self) -> str:
        counts = (
            f"H{k}: {len(a)} finite, {len(e)} essential"
            for k, (a, e) in enumerate(zip(self.finite, self.essential, strict=True))
        )
        return f"Diagrams({'; '.join(counts)})"

    @property
    def maxdim(self) -> int:
        return len(self.finite) - 1

    def arrays(self) -> dict[str, np.ndarray]:
        """Name the arrays: ``H1`` → (m, 2) bars, ``H1_essential`` → (e,) births, float64."""
        finite = {f"H{k}": bars for k, bars in enumerate(self.finite)}
        return finite | {f"H{k}_essential": births for k, births in enumerate(self.essential)}

    def scaled(self, factor: float) -> "Diagrams":
        """Multiply every birth and death by ``factor``."""
        return Diagrams(tuple(a * factor for a in self.finite), tuple(a * factor for a in self.essential))


def split_bars(bars: Float[np.ndarray, "m 2"]) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, " e"]]:
    """Split bars into finite ones of positive length, sorted, and the births of essential ones."""
    births, deaths = bars.T
    die = np.isfinite(deaths)
    finite = bars[die & (deaths > births)]
    return finite[by_birth_and_death(finite)], np.sort(births[~die])


def by_birth_and_death(bars: Float[np.ndarray, "m 2"]) -> Int[np.ndarray, " m"]:
    """Argsort by birth and death; where births are sorted, only ties are."""
    births, deaths = bars.T
    found, same = np.arange(len(bars)), births[1:] == births[:-1]
    if ((births[1:] > births[:-1]) | (same & (deaths[1:] >= deaths[:-1]))).all():
        return found
    if (births[1:] < births[:-1]).any():
        return np.lexsort((deaths, births))
    tied = np.flatnonzero(np.append(same, False) | np.append(False, same))
    found[tied] = tied[np.lexsort((deaths[tied], births[tied]))]
    return found
