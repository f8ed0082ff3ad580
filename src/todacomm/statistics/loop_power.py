"""What the loop test of centroids can see: the smallest circle that it finds with 90 % power.

"No loop" means little without it. The table is of circles that all points lie on evenly, in isotropic noise, from
``python benchmarks/loop_power.py``. A cloud whose variance differs by direction counts as one of so many dimensions as
its participation ratio, the dimension of isotropic noise whose squared distances vary as much.
"""

import math

import numpy as np

POWER = 0.9
POINTS = (100, 200, 500, 1000)
DIMENSIONS = (2, 5, 10, 20, 50)
RADII = np.array(  # a row for each number of points
    [
        (5.37, 4.26, 5.37, 5.77, 6.79),
        (3.66, 3.30, 3.94, 3.57, 4.06),
        (3.19, 3.14, 3.13, 2.87, 3.30),
        (2.96, 3.01, 2.84, 2.72, 3.20),
    ]
)


def smallest_radius(points: int, dimensions: float) -> float | None:
    """The radius, in deviations of the noise in one dimension, of the smallest circle that is found with 90 % power.

    Interpolated in logarithms; more points than the table has count as its most. None for fewer than it has.
    """
    if points < POINTS[0] or not dimensions >= 1:
        return None
    of_dimension = [np.interp(math.log(points), np.log(POINTS), column) for column in np.log(RADII).T]
    return float(np.exp(along(math.log(dimensions), np.log(DIMENSIONS), np.array(of_dimension))))


def along(x: float, known: np.ndarray, values: np.ndarray) -> float:
    """Interpolate linearly, and extend the line through the last two values beyond the last."""
    if x <= known[-1]:
        return float(np.interp(x, known, values))
    slope = (values[-1] - values[-2]) / (known[-1] - known[-2])
    return float(values[-1] + slope * (x - known[-1]))


def over_median(radius: float, dimensions: float) -> float:
    """The radius of such a circle over the median distance of its cloud: of points r from noise of d dimensions.

    The squared distance of two points is 2 d + 2 r² in the mean.
    """
    return radius / math.sqrt(2 * (dimensions + radius**2))
