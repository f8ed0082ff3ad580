"""Populations for the calibration of null models: Gaussian ones, others without a loop, and ones with a loop.

Each is a function of (n, rng) to (n, d) points. Signal-to-noise is the radius of the circle over the standard deviation
of the noise in one coordinate.
"""

import itertools
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

# Like layers


def with_a_group(n, rng, *, d, of, share):
    """A Gaussian cloud; a ``share`` of its points is replaced by a group about one of them, drawn by ``of``."""
    drawn = rng.standard_normal((n, d))
    m = round(share * n)
    drawn[:m] = rng.standard_normal(d) / 2 + padded(of(m, rng), d)
    return drawn


def tight(m, rng, *, k, spread):
    return spread * rng.standard_normal((m, k))


def ring(m, rng, *, radius, noise, d):
    """A circle in noise of all dimensions."""
    return radius * padded(on_circle(m, rng), d) + noise * rng.standard_normal((m, d))


def on_circle(m, rng):
    angle = 2 * np.pi * rng.uniform(size=m)
    return np.c_[np.cos(angle), np.sin(angle)]


def groups_within_groups(n, rng, *, d):
    """Half of the points in a group of 6 dimensions, two fifths of these in one of 2 dimensions inside it."""
    drawn = with_a_group(n, rng, d=d, of=partial(tight, k=6, spread=0.3), share=0.5)
    inner = n // 5
    drawn[:inner] = drawn[inner] + padded(tight(inner, rng, k=2, spread=0.02), d)
    return drawn


def several_groups(n, rng, *, d, shares=(0.05, 0.1, 0.15, 0.2)):
    """Groups of 2 to 5 dimensions and of several sizes; half of the points are in none."""
    drawn = rng.standard_normal((n, d))
    ends = np.cumsum([0, *(round(share * n) for share in shares)])
    for k, (start, end) in enumerate(itertools.pairwise(ends), start=2):
        drawn[start:end] = drawn[end] + padded(tight(end - start, rng, k=k, spread=0.1 * k / 2), d)
    return drawn


def near_duplicates(n, rng, *, d, copies, spread=1e-3):
    """Each of the first points ``copies`` times within ``spread``, until half of all points are such."""
    drawn = rng.standard_normal((n, d))
    kinds = n // 2 // copies
    repeated = np.repeat(drawn[:kinds], copies, axis=0)
    drawn[: len(repeated)] = repeated + spread * rng.standard_normal(repeated.shape)
    return drawn


def unequal_widths(n, rng, *, d, count=12):
    """Clusters whose widths are log-normal, and whose dimensions are from 2 to all."""
    which = rng.integers(count, size=n)
    widths, centres = np.exp(rng.standard_normal(count) - 1), 2 * rng.standard_normal((count, d))
    kept = np.arange(d) < rng.integers(2, d + 1, size=count)[:, None]
    return centres[which] + widths[which, None] * kept[which] * rng.standard_normal((n, d))


def heavy_radius(n, rng, *, d):
    """Uniform directions, log-normal radius of deviation 1."""
    return sphere(n, rng, d=d) * np.exp(rng.standard_normal((n, 1)))


def disc(n, rng, *, d, ratio):
    """A filled disc of radius ``ratio`` in noise."""
    return noisy(ratio * np.sqrt(rng.uniform(size=(n, 1))) * on_circle(n, rng), d, rng)


def thin(n, rng, *, turn, d, noise=0.02):
    """A part of the unit circle in noise that is small beside it."""
    angle = 2 * np.pi * turn * rng.uniform(size=n)
    return padded(np.c_[np.cos(angle), np.sin(angle)], d) + noise * rng.standard_normal((n, d))


def swiss_roll(n, rng, *, d, noise=0.02):
    """One and a half turns of a spiral, times an interval: a rolled-up sheet."""
    angle = 1.5 * np.pi * (1 + 2 * rng.uniform(size=n))
    sheet = np.c_[angle * np.cos(angle), 10 * rng.uniform(size=n), angle * np.sin(angle)] / 10
    return padded(sheet, d) + noise * rng.standard_normal((n, d))


def small_clusters(n, rng, *, d):
    """Clusters of two points and of one, two thirds as many as points."""
    centres = rng.standard_normal((2 * n // 3, d))
    return centres[rng.integers(len(centres), size=n)] + 0.05 * rng.standard_normal((n, d))


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
    }
    return {name: partial(function, d=d) for name, function in cases.items()}


def like_layers(d):
    """Name → population in d dimensions with groups, duplicates, tails or a filled shape, as in layers, and no loop."""
    groups = {
        f"group of {k} dimensions, {share:.0%}": partial(
            with_a_group, of=partial(tight, k=k, spread=0.3 if k > 3 else 0.15), share=share
        )
        for k, share in ((1, 0.2), (2, 0.1), (2, 0.2), (2, 0.6), (3, 0.2), (3, 0.4), (4, 0.2), (4, 0.6), (5, 0.3))
    }
    cases = groups | {
        "groups within groups": groups_within_groups,
        "4 groups of several sizes": several_groups,
        "near-duplicates, pairs": partial(near_duplicates, copies=2),
        "near-duplicates, triples": partial(near_duplicates, copies=3),
        "12 clusters of log-normal width": unequal_widths,
        "log-normal radius": heavy_radius,
        "filled disc, 6": partial(disc, ratio=6.0),
        "filled disc, 20": partial(disc, ratio=20.0),
        "arc of two thirds, 6": partial(curve, turn=2 / 3, ratio=6.0),
        "thin arc of a half": partial(thin, turn=0.5),
    }
    return {name: partial(function, d=d) for name, function in cases.items()}


def loops_to_rips(d):
    """Name → population without a loop in which Rips sees one: an open curve with a gap narrower than its width."""
    cases = {
        "open C, gap of 45°": partial(thin, turn=7 / 8),
        "Swiss roll": swiss_roll,
        "small clusters": small_clusters,
        "two moons, 8": partial(moons, ratio=8.0),
        "two moons, 20": partial(moons, ratio=20.0),
    }
    return {name: partial(function, d=d) for name, function in cases.items()}


def small_loops(d):
    """Name → a Gaussian cloud of d dimensions, a fifth of whose points are on a small circle."""
    return {
        f"small circle, a fifth of the points, radius {radius:g}, noise {noise:g}": partial(
            with_a_group, d=d, of=partial(ring, radius=radius, noise=noise, d=d), share=0.2
        )
        for radius, noise in ((0.5, 0.02), (0.5, 0.05), (0.5, 0.08))
    }


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
