"""Calibrate this machine in a second or two, for a day: time the code that will run on small inputs.

A timing is the CPU time of one thread and the best of three, so that other work on the machine disturbs little.
"""

import json
import math
import os
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.clouds.prepare import prepare
from todacomm.core.errors import CannotWrite
from todacomm.core.parallel import one_thread
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.core.versions import versions
from todacomm.homology.engines import cross_check
from todacomm.profiles.measure import Task, measure_task
from todacomm.records.files.io import write_atomically
from todacomm.runs.cache.store import digest_of
from todacomm.statistics.gaussian_null import gaussian_null, haar_frame, joint
from todacomm.statistics.loop_test import PROMINENCE, RATIO
from todacomm.statistics.metrics_on_halves import halves_of
from todacomm.statistics.random_halves import splits
from todacomm.statistics.vertices import centroids_of_draw

Clock = Callable[[], float]
DAY = 86400.0
TIMES = 3  # that each thing is timed
FIRST = 64  # points of the first cloud that is tried
PATIENCE, SHARE = 0.25, 0.1  # seconds of a cloud that is tried, or share of what is extrapolated from it
STEEPEST = (2.2, 2.4, 5.0)  # exponents of the time of H0, H1 and H2
CHECKED = 600  # points that the reference engine computes at most
YARD = 0.0133  # seconds of the yardstick on the machine of the constants in `todacomm.runs.plan.estimate`
INSTALLED = cache(versions)
_KNOWN: dict[str, Any] = {}  # what this process has measured or read


@dataclass(slots=True)
class Rates:
    """Timings by key as JSON, valid for a day; kept only in this process where ``place`` is None."""

    place: Path | None
    clock: Clock = time.thread_time  # other processes of the machine do not count
    fresh: bool = False
    _used: dict[str, Any] = field(default_factory=dict)

    def of(self, key: object, measured: Callable[[], Any]) -> Any:
        """The timing of a key, measured if unknown."""
        threads = [os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")]
        name = digest_of([platform.node(), os.cpu_count(), threads, INSTALLED(), self.clock.__name__, key])
        if name not in self._used:
            found = None if self.fresh else _KNOWN.get(name, self._read(name))
            self._used[name] = _KNOWN[name] = measured() if found is None else found
            if found is None and self.place is not None:
                with suppress(CannotWrite):
                    write_atomically(self.place / f"{name}.json", json.dumps(self._used[name]))
        return self._used[name]

    @property
    def wall(self) -> Clock:
        """The clock for work of other threads or devices."""
        return time.perf_counter if self.clock is time.thread_time else self.clock

    @property
    def yard(self) -> float:
        """The slowness of this machine, relative to that of the constants."""
        return float(self.of("yardstick", lambda: best(lambda: sum(i % 7 for i in range(500_000)), self.clock))) / YARD

    def forget(self) -> None:
        """Discard the timings that were used: they were wrong."""
        for name in self._used:
            _KNOWN.pop(name, None)
            with suppress(OSError):
                if self.place is not None:
                    (self.place / f"{name}.json").unlink()

    def _read(self, name: str) -> Any:
        with suppress(OSError, ValueError):
            if self.place and time.time() - (path := self.place / f"{name}.json").stat().st_mtime < DAY:
                return json.loads(path.read_text(encoding="utf-8"))
        return None


def best(function: Callable[[], object], clock: Clock) -> float:
    """The least seconds of several calls, as disturbances only lengthen them."""
    seconds = []
    for _ in range(TIMES):
        begun = clock()
        function()
        seconds.append(clock() - begun)
    return min(seconds)


# Clouds


def seconds_of(part: str, n: int, d: int, recipe: Recipe, rates: Rates) -> float:
    """Time one part of the measurement of a layer of points (n, d).

    ``cloud``: prepared and measured; ``reference``: measured by the reference engine; ``splits``: measured on the
    halves and quarters of two splits; ``draw``: of one draw of the Gaussian null, ``centroids``: of its centroids;
    ``frame``: the rotation of a draw for all layers, of which d counts the columns.
    """
    alone = replace(recipe, subsample=None, landmarks=recipe.landmarks if part == "cloud" else None)
    steepest = {"reference": STEEPEST[2], "frame": 3.0}.get(part, STEEPEST[recipe.maxdim])

    def measured() -> float:
        with one_thread:
            _part(part, FIRST, d, alone)()  # compiled loops are loaded here
            return growing(lambda size: best(_part(part, size, d, alone), rates.clock), n, steepest=steepest)[0]

    return float(rates.of([part, n, d, asdict(alone)], measured))


def growing(seconds: Callable[[int], float], n: int, *, steepest: float) -> tuple[float, int]:
    """Estimate the seconds at n; return also the last size tried.

    Sizes double until n, or until the next would take more than PATIENCE and SHARE of the whole; from there on it grows
    by the exponent of the last two doublings, no more than ``steepest``.
    """
    tried: list[tuple[int, float]] = []
    sizes = [2**k for k in range(int(math.log2(FIRST)), n.bit_length()) if 2**k < 0.75 * n]

    def grown(size: int) -> float:
        (before, first), (last, found) = tried[max(0, len(tried) - 3)], tried[-1]
        exponent = math.log(found / first) / math.log(last / before) if last > before and first > 0 else 2.0
        return found * (size / last) ** min(max(exponent, 1.0), steepest)

    for size in [*sizes, n]:
        if tried and grown(size) > max(PATIENCE, SHARE * grown(n)):
            return grown(n), tried[-1][0]
        tried.append((size, seconds(size)))
    return tried[-1][1], n


def random_cloud(n: int, d: int) -> PointCloud:
    """Draw Gaussian points whose variances fall like those of activations."""
    points = np.random.default_rng(n).normal(size=(n, d)) / np.sqrt(np.arange(1, d + 1))
    return PointCloud(points.astype(np.float32), Address("calibration", "random", "cloud"))


def _part(part: str, n: int, d: int, recipe: Recipe) -> Callable[[], object]:
    """The function to time."""
    if part == "frame":
        width = min(n, d + 1)
        return lambda: haar_frame(n, width, np.random.default_rng(0)) @ np.zeros((width, d))
    cloud, rng = random_cloud(n, d), np.random.default_rng(0)
    if part == "cloud":
        return partial(measure_task, Task(cloud, recipe))
    ready = prepare(cloud, recipe)
    if part == "reference":
        return partial(cross_check, ready.condensed, engine=recipe.engine, rng=rng, where="calibration")
    if part in ("draw", "centroids"):
        draw = partial(gaussian_null, joint([ready], recipe, raw=[cloud]), recipe, [0])
        return (
            draw
            if part == "draw"
            else partial(draw, names=(PROMINENCE, RATIO), vertices=partial(centroids_of_draw, seed=0))
        )
    return partial(halves_of, ready, measure_task(Task(cloud, recipe)).measurement, splits(n, 2))
