"""The evenly filled null: a ball (interval, disc) in noise with the covariance of a cloud, to test holes against.

A filled disc has no loop, yet its points do not thin out as those of a Gaussian cloud do, so its largest gap is larger.
In the dimensions before the largest drop of variance, five at most, a rotated cloud is split into noise of the variance
after the drop and the rest; the radii of the rest are replaced by those of an evenly filled ball of equal covariance.
Directions, noise and all other dimensions stay.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from todacomm.core.types import Points

MOST_DIMENSIONS = 5  # a ball of more is hardly told from a Gaussian cloud
LEAST_SHARE = 1e-12  # of the largest variance: below it there is none


@dataclass(frozen=True, slots=True, eq=False)
class Ball:
    """The leading dimensions of a cloud: ``mean`` (d,), orthonormal ``axes`` (d, k), deviations ``spread`` (k,).

    ``signal`` (k,) is the fraction of each variance that is not noise.
    """

    mean: Float[np.ndarray, " d"]
    axes: Float[np.ndarray, "d k"]
    spread: Float[np.ndarray, " k"]
    signal: Float[np.ndarray, " k"]

    def filled(self, points: Points, rng: np.random.Generator) -> Points:
        """Give Gaussian points of this mean and covariance the radii of an evenly filled ball."""
        inside = (points - self.mean) @ self.axes / self.spread
        much, little = np.sqrt(self.signal), np.sqrt(1 - self.signal)
        other = rng.standard_normal(inside.shape)
        ball = much * inside + little * other  # independent of the noise, which is little * inside - much * other
        radii = np.linalg.norm(ball, axis=1)
        k = len(self.spread)
        even = np.empty_like(radii)
        even[np.argsort(radii)] = np.sqrt(k + 2) * np.sort(rng.uniform(size=len(radii))) ** (1 / k)
        longer = np.divide(even, radii, out=np.ones_like(radii), where=radii > 0) - 1
        return points + (much * ball * longer[:, None] * self.spread) @ self.axes.T


def ball_of(points: Points) -> Ball:
    """Fit the ball to a cloud of at least two points that are not all equal."""
    mean = points.mean(axis=0)
    _, lengths, axes = np.linalg.svd(points - mean, full_matrices=False)
    variances = (np.append(lengths, 0.0) / lengths[0]) ** 2  # over the largest
    drops = variances[:-1] / np.maximum(variances[1:], LEAST_SHARE)
    k = int(drops[:MOST_DIMENSIONS].argmax()) + 1
    return Ball(mean, axes[:k].T, lengths[:k] / np.sqrt(len(points) - 1), 1 - variances[k] / variances[:k])
