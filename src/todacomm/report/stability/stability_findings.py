"""What a report on stability is of: runs by recipe and seed, and the one whose curves are drawn."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from todacomm.stability.association import Association
from todacomm.stability.exponents import Exponent, over_copies
from todacomm.stability.follow import STATE
from todacomm.stability.stability import Stability

GENERALISED = 0.9  # test accuracy at the end, from which a run is drawn before others


@dataclass(frozen=True, slots=True, eq=False)
class StabilityFindings:
    """Runs with the name of their recipe, correlations over them, and why others failed."""

    runs: tuple[tuple[str, Stability], ...]
    associations: tuple[Association, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)

    @property
    def chosen(self) -> Stability:
        """The run whose curves are drawn: the first that generalised, else the first."""
        found = [one for _, one in self.runs]
        return next((one for one in found if last_accuracy(one) >= GENERALISED), found[0])

    @property
    def recipes(self) -> list[str]:
        """The names of the recipes, in order."""
        return list(dict.fromkeys(recipe for recipe, _ in self.runs))

    def of(self, recipe: str) -> Sequence[Stability]:
        """The runs of one recipe."""
        return [one for name, one in self.runs if name == recipe]


def over_seeds(runs: Sequence[Stability], name: str = STATE) -> Exponent:
    """The exponent of a recipe: the median over its seeds, with Student's interval of their mean."""
    values = [one.exponent(name).value if name in one.names else None for one in runs]
    return over_copies(np.array([np.nan if value is None else value for value in values]))


def last_accuracy(found: Stability) -> float:
    """Test accuracy at the end; NaN where it was not measured."""
    return float(found.number("test_accuracy")[-1]) if found.has("test_accuracy") else float("nan")


def label_of(found: Stability) -> str:
    """What a figure calls a run: network, task, seed."""
    settings = found.settings
    if not settings:
        return found.name
    task = settings["task"] if settings["task"] in ("images", "s5") else f"{settings['task']} mod {settings['prime']}"
    return f"{settings['network']}, {task}, seed {found.seed}"


def finite_or_none(value: float) -> float | None:
    """A number, or None where it is not finite."""
    return float(value) if np.isfinite(value) else None
