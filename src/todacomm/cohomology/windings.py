"""Count how often an angle goes around along a closed chain of points: a whole number."""

import numpy as np
from jaxtyping import Float


def winding(angles: Float[np.ndarray, " k"]) -> int:
    """The turns of the angles (radians) along a chain that ends where it began; each step is taken the short way."""
    return int(np.rint(short_steps(angles).sum() / (2 * np.pi)))


def short_steps(angles: Float[np.ndarray, " k"]) -> Float[np.ndarray, " k"]:
    """The steps of angles along a closed chain, from -π to π."""
    return np.angle(np.exp(1j * np.diff(np.append(angles, angles[:1]))))


def within_a_turn(angles: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Angles from 0 to below 2π, whatever turns they had made."""
    found = angles % (2 * np.pi)
    return np.where(found >= 2 * np.pi, 0.0, found)  # what rounding leaves below 0 is 2π after %
