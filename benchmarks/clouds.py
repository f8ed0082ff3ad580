"""The clouds that the benchmarks measure, and how times are taken: CPU time, in turn, medians."""

import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from scipy.spatial.distance import pdist

DIMENSION = 50
KINDS = ("Gaussian", "power-law spectrum", "clustered", "noisy circle")


def cloud(kind, n, seed=0):
    """Points in 50 dimensions."""
    rng = np.random.default_rng(seed)
    points = rng.normal(size=(n, DIMENSION))
    if kind == "power-law spectrum":
        return points / np.arange(1, DIMENSION + 1)
    if kind == "clustered":
        return points + 3 * rng.normal(size=(10, DIMENSION))[rng.integers(10, size=n)]
    if kind == "noisy circle":
        angle = rng.uniform(0, 2 * np.pi, n)
        return np.pad(np.c_[np.cos(angle), np.sin(angle)], ((0, 0), (0, DIMENSION - 2))) + 0.3 / 50**0.5 * points
    return points


def distances(kind, n):
    """Condensed float32 distances."""
    return pdist(cloud(kind, n)).astype(np.float32)


QUICK = 0.02  # seconds


def interleaved(functions, *, rounds=5, seconds=20.0):
    """Name → median CPU milliseconds, of functions that are called in turn; slow ones fewer times, once at least.

    Those of a few milliseconds are called five times a turn, so that they are measured with their own data near, as in
    use, and not with what the one before left there.
    """
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            if sum(times[name]) > seconds:
                continue
            for _ in range(5):
                begun = time.process_time()
                function()
                times[name].append(time.process_time() - begun)
                if times[name][-1] > QUICK:
                    break
    return {name: 1000 * statistics.median(found) for name, found in times.items()}


def machine(*packages):
    """One line on the machine and the versions."""
    cpu = next((line.split(":")[1].strip() for line in lines("/proc/cpuinfo") if line.startswith("model name")), "")
    found = ", ".join(f"{name} {installed(name)}" for name in packages)
    return f"{cpu or platform.processor()}, Python {platform.python_version()}, {found}"


def lines(path):
    try:
        return Path(path).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []


def installed(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def peak_mebibytes():
    """The largest resident memory of this process so far (Linux)."""
    return next(int(line.split()[1]) / 1024 for line in lines("/proc/self/status") if line.startswith("VmHWM"))
