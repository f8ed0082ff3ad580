"""Bytes in closed form: what the process holds, the weights of a model, a cloud while it is measured."""

import sys
from collections.abc import Mapping

from todacomm.core import memory
from todacomm.core.recipe import Recipe

MEBI = 2**20
ENGINE = (0.5, 1.9, 10.0)  # bytes for n² of H0, of H1 (1.2 of a Gaussian cloud, 2.6 of a noisy circle), and of H2
WORKSPACE = 30 * MEBI  # of the kernels of a forward pass, and of figures
TRIALS = 64 * MEBI  # that the trials of a plan leave with the process
OF_MODELS = {"torch": 310, "transformers": 40, "numba": 100, "ripser": 85, "matplotlib.pyplot": 30}  # MiB of libraries
OF_ARRAYS = {"numba": 100, "ripser": 110}  # where torch has not loaded what ripser loads too
GGUF = 1.65  # times the weights, while they are read


def base(libraries: Mapping[str, int] = OF_MODELS) -> int:
    """Memory before a job: what the process holds now, and the libraries that it will load."""
    return memory.resident() + MEBI * sum(size for name, size in libraries.items() if name not in sys.modules)


def cloud_bytes(n: int, d: int, recipe: Recipe) -> int:
    """Memory of one cloud during measurement: points and products, distances, engine."""
    k = min(d, n, recipe.components or d)
    m = min(n, recipe.landmarks or n)
    projection = 3 * 8 * n * d + 8 * min(n, d) ** 2 if k < d else 2 * 8 * n * d
    distances = 2 * m * m  # 4 bytes for each pair
    return max(projection, 8 * n * d + distances + round(ENGINE[recipe.maxdim] * m * m) + 128 * 8 * m)
