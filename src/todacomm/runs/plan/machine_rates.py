"""How fast this machine is at what a study does, measured in a second or two and kept for a day.

A timing is the CPU time of one thread, the best of three, and no more than a few times what a yardstick lets expect: on a busy
machine too, an announcement is minutes where a run takes minutes.

Every rate comes from the code that will run: a model from two of its blocks on its own texts, a cloud from random points of
its size and shape. Larger sizes than a fraction of a second allows are extrapolated by the exponent that was measured.
"""

import json
import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.clouds.prepare import prepare
from todacomm.core._version import __version__
from todacomm.core.errors import CannotWrite
from todacomm.core.parallel import one_thread
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.core.versions import installed
from todacomm.homology.engines import DEFAULT, cross_check
from todacomm.profiles.measure import Task as CloudTask
from todacomm.profiles.measure import measure_task
from todacomm.records.io import write_atomically
from todacomm.runs.cache.store import digest_of
from todacomm.statistics.gaussian_null import gaussian_null, haar_frame, joint
from todacomm.statistics.metrics_on_halves import halves_of
from todacomm.statistics.random_halves import splits

Clock = Callable[[], float]
DAY = 86400.0
FIRST = 64  # points of the first cloud that is tried
PATIENCE = 0.25  # seconds of a cloud that is tried, or SHARE of what is extrapolated from it
SHARE = 0.1
STEEPEST = (2.2, 2.4, 5.0)  # exponents of the time of H0, H1 and H2
CHECKED = 600  # points that the reference engine computes at most
TIMES = 3  # that each thing is timed
MOST = 5.0  # times what is expected that a timing is believed
YARD = 0.0146  # seconds of `yardstick` on the machine that the constants below were measured on
FIGURES = (1.0, 0.16)  # seconds of the figures of a run on that machine: of one layer, for each doubling of the layers
IMPORTING = 0.55  # seconds of loading matplotlib and its fonts there
REPORTS = 0.05  # seconds of the records and reports of a run there
LOADING = 0.12  # seconds of making a network from files there, however small
LOADING_RATE = {"safetensors": 1.2e-9, "gguf": 19e-9}  # seconds for each parameter there


_KNOWN: dict[str, Any] = {}  # what this process has measured or read


@dataclass(slots=True)
class Rates:
    """What was measured before: JSON by key, thrown away after a day; nothing is kept where ``place`` is None."""

    place: Path | None
    clock: Clock = time.thread_time  # other processes of the machine do not count
    fresh: bool = False
    spent: float = 0.0
    _known: dict[str, Any] = field(default_factory=dict)

    def of(self, key: object, measured: Callable[[], Any]) -> Any:
        """The value of a key, measured if it is not known; JSON-able."""
        name = digest_of([machine(), self.clock.__name__, key])
        if name not in self._known and not self.fresh:
            self._known[name] = _KNOWN.get(name) or self._read(name)
        if self._known.get(name) is None:
            begun = time.perf_counter()
            self._known[name] = measured()
            self.spent += time.perf_counter() - begun
            _KNOWN[name] = self._known[name]
            self._write(name)
        return self._known[name]

    @property
    def wall(self) -> Clock:
        """The clock of what other threads or devices do."""
        return time.perf_counter if self.clock is time.thread_time else self.clock

    @property
    def yard(self) -> float:
        """How slow this machine is, in units of that of the constants below."""
        return self.of("yardstick", lambda: yardstick(self.clock)) / YARD

    def forget(self) -> None:
        """Measure anew, next time, what was used: it was wrong."""
        for name in self._known:
            _KNOWN.pop(name, None)
            if self.place is not None:
                with suppress(OSError):
                    (self.place / f"{name}.json").unlink()

    def _read(self, name: str) -> Any:
        if self.place is None:
            return None
        path = self.place / f"{name}.json"
        with suppress(OSError, ValueError):
            if time.time() - path.stat().st_mtime < DAY:
                return json.loads(path.read_text(encoding="utf-8"))
        return None

    def _write(self, name: str) -> None:
        if self.place is not None:
            with suppress(CannotWrite):
                write_atomically(self.place / f"{name}.json", json.dumps(self._known[name]))


def machine() -> list[Any]:
    """What the rates hold for: host, cores, threads, versions."""
    threads = [os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")]
    libraries = [installed(name) for name in ("numpy", "scipy", "numba", "torch", "transformers")]
    return [platform.node(), platform.machine(), os.cpu_count(), threads, __version__, libraries]


# Constants that are not worth a measurement, in units of this machine


def yardstick(clock: Clock) -> float:
    """Seconds of a fixed piece of work, half Python and half NumPy."""
    return best(lambda: timed(_work, clock))


def best(seconds: Callable[[], float]) -> float:
    """The least of TIMES timings: whatever disturbs one makes it longer."""
    return min(seconds() for _ in range(TIMES))


def _work() -> float:
    total, row = 0.0, np.linspace(0, 1, 4000)
    for i in range(100_000):
        total += i % 7 * 0.5
    for _ in range(600):
        total += float(np.sort(row[::-1] * 2).sum())
    return total


def timed(function: Callable[[], object], clock: Clock) -> float:
    """Seconds of one call."""
    begun = clock()
    function()
    return clock() - begun


# Clouds


@dataclass(frozen=True, slots=True)
class CloudRate:
    """Seconds of one cloud: distances and homology, and the reference engine on it; ``tried`` points were measured."""

    seconds: float
    check: float
    tried: int


def cloud_rate(n: int, d: int, recipe: Recipe, rates: Rates) -> CloudRate:
    """The rate of clouds of n points in d dimensions."""
    key = ["cloud", n, d, asdict(recipe)]
    found = CloudRate(**rates.of(key, lambda: asdict(_cloud_rate(n, d, recipe, rates.clock))))
    return replace(found, seconds=capped(found.seconds, of_cloud(n, d, recipe), rates))


def _cloud_rate(n: int, d: int, recipe: Recipe, clock: Clock) -> CloudRate:
    steepest, reference_at = STEEPEST[recipe.maxdim], min(n, CHECKED)
    with one_thread:
        one(FIRST, d, recipe)  # compiled loops are loaded here
        seconds, tried = growing(lambda size: timed(lambda: one(size, d, recipe), clock), n, steepest=steepest)
        check, _ = growing(
            lambda size: timed(lambda: reference(size, recipe), clock), reference_at, steepest=STEEPEST[2]
        )
    return CloudRate(seconds, check, tried)


def of_cloud(n: int, d: int, recipe: Recipe) -> float:
    """What a cloud takes on the machine of the constants, by our own engine; infinite where nothing is known."""
    if recipe.engine != DEFAULT or recipe.landmarks:
        return math.inf
    homology = n**2 / 5e7 if recipe.maxdim < 2 else n**3 / 1e8 + n**4 / 2.5e10
    return 0.003 + n * d / 8e6 + homology


def capped(seconds: float, expected: float, rates: Rates) -> float:
    """A timing that is no more than MOST times what the yardstick lets expect: more is no speed, but a disturbance."""
    return seconds if math.isinf(expected) else min(seconds, MOST * rates.yard * expected)


@dataclass(frozen=True, slots=True)
class ClaimRate:
    """Seconds of one layer on one half, of one layer in one draw of the null, and of what a draw is for all layers."""

    half: float
    draw: float
    frame: float


def claim_rate(n: int, d: int, layers: int, recipe: Recipe, rates: Rates) -> ClaimRate:
    """The rate of intervals and nulls of so many layers of n points in d dimensions."""
    key = ["claims", n, d, layers, asdict(recipe)]
    found = ClaimRate(**rates.of(key, lambda: asdict(_claim_rate(n, d, layers, recipe, rates.clock))))
    alone, columns = of_cloud(n, d, recipe), layers * min(recipe.components or d, d)
    return ClaimRate(
        capped(found.half, alone, rates),
        capped(found.draw, 2 * alone, rates),
        capped(found.frame, 0.001 + n * min(n, columns + 1) ** 2 / 5e9, rates),
    )


def _claim_rate(n: int, d: int, layers: int, recipe: Recipe, clock: Clock) -> ClaimRate:
    steepest = STEEPEST[recipe.maxdim]
    alone = replace(recipe, subsample=None, landmarks=None)

    def half(size: int) -> float:
        cloud = random_cloud(size, d)
        ready, found, drawn = prepare(cloud, alone), measure_task(CloudTask(cloud, alone)).measurement, splits(size, 2)
        return timed(lambda: halves_of(ready, found, drawn), clock) / 4

    def draw(size: int) -> float:
        cloud = random_cloud(size, d)
        together = joint([prepare(cloud, alone)], alone, raw=[cloud])
        whole = timed(lambda: gaussian_null(together, alone, [0]), clock)
        return max(whole - frame(size, 1), whole / 2)  # the frame is drawn once for all layers

    def frame(size: int, layers: int = layers) -> float:
        columns = layers * min(recipe.components or d, d)
        width = min(size, columns + 1)
        rng, beside = np.random.default_rng(0), np.zeros((width, columns))
        return timed(lambda: haar_frame(size, width, rng) @ beside, clock)

    with one_thread:
        halved, drawn = (growing(part, n, steepest=steepest)[0] for part in (half, draw))
        return ClaimRate(halved, drawn, growing(frame, n, steepest=3.0)[0])


def growing(
    seconds: Callable[[int], float], n: int, *, steepest: float, patience: float = PATIENCE
) -> tuple[float, int]:
    """Seconds at n, and the size that was tried last; of each size the best of TIMES.

    Sizes double until n, or until the next would take more than ``patience`` and SHARE of the whole; from there on it grows
    by the exponent of the last two doublings, no more than ``steepest``.
    """
    tried: list[tuple[int, float]] = []
    for size in [*(2**k for k in range(int(math.log2(FIRST)), n.bit_length()) if 2**k < 0.75 * n), n]:
        if tried and _grown(tried, size, steepest) > max(patience, SHARE * (whole := _grown(tried, n, steepest))):
            return whole, tried[-1][0]
        tried.append((size, best(partial(seconds, size))))
    return tried[-1][1], n


def _grown(tried: Sequence[tuple[int, float]], n: int, steepest: float) -> float:
    size, last = tried[-1]
    before, first = tried[max(0, len(tried) - 3)]
    exponent = math.log(last / first) / math.log(size / before) if size > before and first > 0 else 2.0
    return last * (n / size) ** min(max(exponent, 1.0), steepest)


def one(n: int, d: int, recipe: Recipe) -> object:
    """One random cloud measured."""
    alone = Recipe(**{**asdict(recipe), "subsample": None})
    return measure_task(CloudTask(random_cloud(n, d), alone))


def reference(n: int, recipe: Recipe) -> None:
    """The cross-check of one random cloud."""
    from scipy.spatial.distance import pdist

    points = random_cloud(n, min(recipe.components or CHECKED, CHECKED)).points
    condensed = pdist(points).astype(np.float32)
    cross_check(condensed, engine=recipe.engine, rng=np.random.default_rng(0), where="calibration")


def random_cloud(n: int, d: int) -> PointCloud:
    """Gaussian points whose variances fall like those of activations."""
    rng = np.random.default_rng(n)
    points = rng.normal(size=(n, d)) / np.sqrt(np.arange(1, d + 1))
    return PointCloud(points.astype(np.float32), Address("calibration", "random", "cloud"))
