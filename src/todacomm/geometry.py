"""Cloud × cloud → number: how alike the geometry of two clouds of the same texts is."""

import numpy as np
from jaxtyping import Float

from todacomm.errors import InvalidInput

Cloud = Float[np.ndarray, "n _"]


def linear_cka(first: Cloud, second: Cloud) -> float | None:
    """Linear centred kernel alignment, from 0 (nothing linear in common) to 1 (equal up to rotation and one scale).

    ‖Y'X‖² / (‖X'X‖ ‖Y'Y‖) of the centred clouds, whose rows are the same texts in the same order. None where all points of
    a cloud are one. Computed in features or in texts, whichever are fewer. It grows towards 1 with d / n, even of clouds that have nothing in
    common. Kornblith et al. 2019, https://arxiv.org/abs/1905.00414
    """
    if len(first) != len(second):
        raise InvalidInput(f"clouds of {len(first)} and {len(second)} points; expected the same texts in both")
    x, y = centred(first), centred(second)
    if not (x.any() and y.any()):
        return None
    if max(x.shape[1], y.shape[1]) > len(x):
        k, other = x @ x.T, y @ y.T
        return float(np.vdot(k, other) / (np.linalg.norm(k) * np.linalg.norm(other)))
    return float(np.linalg.norm(y.T @ x) ** 2 / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def centred(cloud: Cloud) -> Float[np.ndarray, "n d"]:
    """The cloud in float64 about its mean, over its largest coordinate, which changes no alignment and keeps squares finite."""
    points = cloud.astype(np.float64) - cloud.mean(axis=0, dtype=np.float64)
    largest = np.abs(points).max()
    rounding = 4 * np.finfo(np.float32).eps * np.abs(cloud).max()
    return points / largest if largest > rounding else np.zeros_like(points)
