"""Populations for the calibration of null models: Gaussian ones, others without a loop, and ones with a loop.

Each is a function of (n, rng) to (n, d) points. Signal-to-noise is the radius of the circle over the standard deviation of the
noise in one coordinate.
"""

from functools import partial

import numpy as np


def padded(points, d):
    return np.pad(points, ((0, 0), (0, d - points.shape[1])))


def noisy(points, d, rng):
    """Points of few dimensions in standard Gaussian noise of d dimensions."""
    return padded(points, d) + rng.standard_normal((len(points), d))


def gaussian(n, rng, *, d, spectrum="isotropic"):
    drawn = rng.standard_normal((n, d))
    return drawn if spectrum == "isotropic" else drawn / np.arange(1, d + 1)


def log_normal(n, rng, *, d):
    return rng.standard_normal((n, d)) * np.exp(np.random.default_rng(d).standard_normal(d))


def uniform(n, rng, *, d):
    return rng.uniform(size=(n, d))


def laplace(n, rng, *, d):
    return rng.laplace(size=(n, d))


def student(n, rng, *, d, freedom=5):
    """Correlated coordinates with one chi for all: elliptical with heavy tails."""
    mixing = np.random.default_rng(d).standard_normal((d, d))
    return rng.standard_normal((n, d)) @ mixing * np.sqrt(freedom / rng.chisquare(freedom, size=(n, 1)))


def clusters(n, rng, *, d, count, apart=4.0):
    """Clusters of unequal weight, whose centres are ``apart`` times the noise from the origin in a random direction."""
    weights = rng.dirichlet(np.full(count, 2.0))
    centres = rng.standard_normal((count, d))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    return centres[rng.choice(count, n, p=weights)] + rng.standard_normal((n, d))


def sphere(n, rng, *, d, noise=0.0):
    """The unit sphere of d − 1 dimensions in d."""
    drawn = rng.standard_normal((n, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True) + noise * rng.standard_normal((n, d))


def curve(n, rng, *, d, turn, ratio):
    """A part of a circle (``turn`` of it) of radius ``ratio`` in noise."""
    angle = 2 * np.pi * turn * rng.uniform(size=n)
    return noisy(ratio * np.c_[np.cos(angle), np.sin(angle)], d, rng)


def line(n, rng, *, d, ratio):
    return noisy(ratio * rng.uniform(-1, 1, size=(n, 1)), d, rng)


def moons(n, rng, *, d, ratio):
    """Two half circles that reach into one another, neither closed."""
    angle, upper = np.pi * rng.uniform(size=n), rng.integers(2, size=n).astype(bool)
    x = np.where(upper, np.cos(angle), 1 - np.cos(angle))
    y = np.where(upper, np.sin(angle), 0.5 - np.sin(angle))
    return noisy(ratio * np.c_[x, y], d, rng)


def ellipse(n, rng, *, d, ratio):
    """Half axes ratio and 0.7 ratio."""
    return curve_through(n, rng, d=d, of=lambda t: ratio * np.c_[np.cos(t), 0.7 * np.sin(t)])


def figure_eight(n, rng, *, d, ratio):
    """Two circles of radius ``ratio`` that touch."""
    side = rng.choice([-1.0, 1.0], size=n)
    return curve_through(n, rng, d=d, of=lambda t: ratio * np.c_[side * (1 + np.cos(t)), np.sin(t)])


def two_circles(n, rng, *, d, ratio):
    """Two circles of radius ``ratio`` in orthogonal planes, far apart."""
    second = rng.integers(2, size=n)[:, None]
    return curve_through(
        n,
        rng,
        d=d,
        of=lambda t: (
            ratio
            * np.hstack([(1 - second) * np.c_[np.cos(t), np.sin(t)], second * np.c_[np.cos(t), np.sin(t)], 3 * second])
        ),
    )


def torus(n, rng, *, d, ratio):
    """A flat torus: two circles of radius ``ratio`` multiplied."""
    s = 2 * np.pi * rng.uniform(size=n)
    return curve_through(n, rng, d=d, of=lambda t: ratio * np.c_[np.cos(t), np.sin(t), np.cos(s), np.sin(s)])


def circle_in_a_cloud(n, rng, *, d, ratio, share=0.3):
    """A circle that ``share`` of the points are on; the others are noise at its centre."""
    on = rng.uniform(size=n)[:, None] < share
    return curve_through(n, rng, d=d, of=lambda t: ratio * on * np.c_[np.cos(t), np.sin(t)])


def curve_through(n, rng, *, d, of):
    return noisy(of(2 * np.pi * rng.uniform(size=n)), d, rng)


circle = partial(curve, turn=1.0)

GAUSSIAN = {
    "isotropic": gaussian,
    "power-law": partial(gaussian, spectrum="power-law"),
}


def without_loop(d):
    """Name → population of d dimensions in which nothing is a loop, and which is not Gaussian but for the first."""
    cases = {
        "log-normal spectrum (Gaussian)": log_normal,
        "uniform cube": uniform,
        "Laplace": laplace,
        "Student t, 5 df, correlated": student,
        "Student t, 3 df, correlated": partial(student, freedom=3),
        "2 clusters": partial(clusters, count=2),
        "5 clusters": partial(clusters, count=5),
        "20 clusters": partial(clusters, count=20),
        "5 clusters, far apart": partial(clusters, count=5, apart=12.0),
        "20 clusters, far apart": partial(clusters, count=20, apart=12.0),
        "sphere": sphere,
        "noisy sphere": partial(sphere, noise=0.1),
        "line, 10": partial(line, ratio=10.0),
        "half circle, 6": partial(curve, turn=0.5, ratio=6.0),
        "half circle, 20": partial(curve, turn=0.5, ratio=20.0),
        "two moons, 8": partial(moons, ratio=8.0),
        "two moons, 20": partial(moons, ratio=20.0),
    }
    return {name: partial(function, d=d) for name, function in cases.items()}


def low_dimensional():
    """Spheres of few dimensions, which have no loop."""
    return {
        "2-sphere in R3": partial(sphere, d=3),
        "3-sphere in R4": partial(sphere, d=4),
        "10-sphere in R11": partial(sphere, d=11),
        "30-sphere in R31": partial(sphere, d=31),
        "Gaussian in R2": partial(gaussian, d=2),
        "square": partial(uniform, d=2),
        "Laplace in R2": partial(laplace, d=2),
        "cube": partial(uniform, d=3),
    }


def with_loop(d, ratio):
    """Name → population of d dimensions with a loop of this signal-to-noise."""
    cases = {
        "circle": circle,
        "ellipse": ellipse,
        "figure eight": figure_eight,
        "two circles": two_circles,
        "torus": torus,
        "circle of 30 %": circle_in_a_cloud,
    }
    return {name: partial(function, d=d, ratio=ratio) for name, function in cases.items()}
