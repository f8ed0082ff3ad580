"""Turn a loop that was found in a cloud, inside any module that is running."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from todacomm.circles.causal_test import curve_through
from todacomm.core.errors import InvalidInput
from todacomm.models.architecture.hooks import hidden_of


class Angled(Protocol):
    """What gives the angle of points (m, d): a coordinate that `todacomm.loops` has found, or one of your own."""

    def angle(self, points: np.ndarray) -> np.ndarray:
        """The angle of each point, in radians; NaN where it has none."""
        ...


@contextmanager
def turning(
    module: nn.Module,
    loop: Angled,
    points: Float[np.ndarray, "n d"],
    by: float,
    *,
    tokens: int | slice | Sequence[int] = -1,
) -> Iterator[None]:
    """Turn the angle of what a module gives, and leave all else of it as it is, while the context lasts.

    A closed curve f is fitted to the points; each state h with angle θ becomes h + f(θ + by) − f(θ). Where the answers
    of the network turn as well, and do not for other displacements of the same length, the network uses the loop.

    Parameters
    ----------
    module : torch.nn.Module
        A block, or any module whose output, or its first part, is (texts, tokens, d) or (rows, d).
    loop : LoopCoordinate or object with an ``angle`` method
        A loop of `todacomm.loops`, of a cloud of that module's outputs.
    points : array of shape (n, d)
        That cloud, to which the curve is fitted; in the units of the module.
    by : float
        Radians.
    tokens : int, slice or sequence of int, default -1
        The tokens of each text that are turned; the last one by default.

    Yields
    ------
    None
        While the context lasts, the module gives turned states; afterwards it is as it was.

    Raises
    ------
    InvalidInput
        For points with fewer than 5 different angles, and for outputs of another width.

    Examples
    --------
    >>> import numpy as np
    >>> import torch
    >>> import todacomm as td
    >>> class Angle:
    ...     def angle(self, points):
    ...         return np.arctan2(points[:, 1], points[:, 0])
    >>> around = 2 * np.pi * np.arange(12) / 12
    >>> circle = np.stack([np.cos(around), np.sin(around)], axis=1)
    >>> layer = torch.nn.Identity()
    >>> with td.turning(layer, Angle(), circle, np.pi / 2):
    ...     layer(torch.tensor([[1.0, 0.0]])).round().abs().tolist()
    [[0.0, 1.0]]

    References
    ----------
    Engels et al. 2024, https://arxiv.org/abs/2405.14860

    """
    cloud = np.asarray(points, dtype=np.float64)
    angles = loop.angle(cloud)
    known = np.isfinite(angles)
    curve = curve_through(cloud[known], angles[known])

    def moved(states: Tensor) -> Tensor:
        d = cloud.shape[1]
        if states.shape[-1] != d:
            raise InvalidInput(f"the module gives {states.shape[-1]} features; expected {d}, as the points have")
        found = loop.angle(states.reshape(-1, d).detach().double().cpu().numpy())
        displaced = np.nan_to_num(curve.turned(found, by))
        return states + torch.from_numpy(displaced).to(states).reshape(states.shape)

    def hook(_module: nn.Module, _args: Any, output: Any) -> Any:
        hidden = hidden_of(output)
        if hidden is None:
            raise InvalidInput(f"{type(_module).__name__} gives no tensor that could be turned")
        changed = moved(hidden) if hidden.ndim == 2 else at_tokens(hidden, moved, tokens)
        return changed if isinstance(output, Tensor) else (changed, *tuple(output)[1:])

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def at_tokens(hidden: Tensor, moved: Any, tokens: int | slice | Sequence[int]) -> Tensor:
    """The states (texts, tokens, d) with some tokens of each text moved."""
    chosen = [tokens] if isinstance(tokens, int) else tokens
    changed = hidden.clone()
    changed[:, chosen] = moved(hidden[:, chosen])
    return changed
