"""When each layer of a model begins to change along its training: one onset with an interval for each number."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from todacomm.core.inference_types import at_most_alpha
from todacomm.profiles.trajectory import Trajectory
from todacomm.statistics.changepoints import FEWEST_OF_A_CHANGE, Change, change_of
from todacomm.statistics.pvalues import adjusted

# What is followed: shape and size of the cloud, its loops, how many points and dimensions it has
FOLLOWED = (
    "H0_total_persistence_scaled",
    "scale",
    "H1_max_lifetime_scaled",
    "H1_total_persistence_scaled",
    "distinct_points",
    "participation_ratio",
)


@dataclass(frozen=True, slots=True)
class LayerOnset:
    """When one number of one layer begins to change.

    Attributes
    ----------
    number, layer : str
        What changes, and where.
    change : Change or None
        The step, its interval and the levels before and after; None where no change is shown.
    adjusted : float or None
        The p-value of a change, adjusted over the layers (Benjamini and Hochberg).
    reason : str
        Why there is no change; empty otherwise.

    """

    number: str
    layer: str
    change: Change | None
    adjusted: float | None = None
    reason: str = ""

    @property
    def found(self) -> bool:
        """Whether a change is shown after adjustment over the layers."""
        return self.change is not None and self.adjusted is not None and at_most_alpha(self.adjusted)


def onsets(trajectory: Trajectory, numbers: Sequence[str] = FOLLOWED) -> tuple[LayerOnset, ...]:
    """Find when each layer of a model begins to change along its training.

    A change leads from one level to another, at once or over some checkpoints, up or down; onset and interval come from
    least squares (`todacomm.statistics.changepoints.change_of`). Layers that are flagged as degenerate take part: a
    collapse is a change.

    Parameters
    ----------
    trajectory : Trajectory
        Numbers of each layer at each step; at least six steps are needed.
    numbers : sequence of str, optional
        The numbers that are followed; those that the trajectory lacks are passed over. By default H0 total at equal
        scale, the median distance, the H1 numbers at equal scale, distinct points and the participation ratio.

    Returns
    -------
    tuple of LayerOnset
        One for each number and layer, number by number; steps in the unit of the trajectory.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> scale = np.array([[5.0], [5.1], [4.9], [5.0], [1.1], [1.0], [0.9], [1.0]])
    >>> steps = tuple(range(0, 800, 100))
    >>> [found] = td.onsets(td.Trajectory("mine", steps, ("layer_0",), {"scale": scale}), ["scale"])
    >>> found.found, found.change.low, found.change.high
    (True, 200, 400)

    """
    return tuple(one for name in numbers if name in trajectory for one in _of_number(trajectory, name))


def _of_number(trajectory: Trajectory, name: str) -> list[LayerOnset]:
    """The onset of one number in every layer, with p-values adjusted over the layers."""
    found = [change_of(trajectory.steps, trajectory.at(name, layer)) for layer in trajectory.layers]
    ps = np.array([_p_of(trajectory, name, i, one) for i, one in enumerate(found)], dtype=np.float64)
    rows = []
    for i, (layer, one, p) in enumerate(zip(trajectory.layers, found, adjusted(ps).tolist(), strict=True)):
        reason = "" if one else why_not(trajectory, name, i)
        rows.append(LayerOnset(name, layer, one, None if np.isnan(p) else p, reason))
    return rows


def _p_of(trajectory: Trajectory, name: str, i: int, change: Change | None) -> float:
    """The p-value of a change: NaN where nothing could be tested, 1 where a constant does as well."""
    if change is not None:
        return change.p
    return 1.0 if np.isfinite(trajectory[name][:, i]).sum() >= FEWEST_OF_A_CHANGE else float("nan")


def why_not(trajectory: Trajectory, name: str, i: int) -> str:
    """Why a layer has no onset, in words."""
    values = trajectory[name][:, i]
    known = values[np.isfinite(values)]
    if len(known) < FEWEST_OF_A_CHANGE:
        return f"{len(known)} checkpoints with this number, at least {FEWEST_OF_A_CHANGE} are needed"
    return "a constant describes it as well" if np.ptp(known) else "it is the same at every checkpoint"
