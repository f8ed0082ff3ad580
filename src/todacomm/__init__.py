"""A study is a set of point clouds with addresses (model, data, layer, step); everything after the cloud is the same code.

The names below stand in the order in which data flows; each is loaded when it is first used, so that importing todacomm
loads neither torch nor matplotlib.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from todacomm._version import __version__

# Read when torch is loaded: threads that wait for one another sleep instead of spinning, see docs/decisions/010-extraction.md
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from todacomm import grokking, plots
    from todacomm.between_diagrams import bottleneck, wasserstein
    from todacomm.comparison import Comparison, compare
    from todacomm.engines import persistence
    from todacomm.errors import TodacommError
    from todacomm.experiment import run
    from todacomm.homology import generators, rips
    from todacomm.profiles import measure
    from todacomm.recipe import Recipe
    from todacomm.sites import activations
    from todacomm.sources import texts
    from todacomm.types import Activations, Address, Diagrams, Expansion, Measurement, PointCloud, Profile, Texts

_PLACES = {
    "texts": "sources",
    "Texts": "types",
    "activations": "sites",
    "Activations": "types",
    "Address": "types",
    "PointCloud": "types",
    "Recipe": "recipe",
    "rips": "homology",
    "generators": "homology",
    "persistence": "engines",
    "Diagrams": "types",
    "bottleneck": "between_diagrams",
    "wasserstein": "between_diagrams",
    "measure": "profiles",
    "Measurement": "types",
    "run": "experiment",
    "Profile": "types",
    "Expansion": "types",
    "compare": "comparison",
    "Comparison": "comparison",
    "plots": "plots",
    "grokking": "grokking",
    "TodacommError": "errors",
}

__all__ = [
    "Activations",
    "Address",
    "Comparison",
    "Diagrams",
    "Expansion",
    "Measurement",
    "PointCloud",
    "Profile",
    "Recipe",
    "Texts",
    "TodacommError",
    "__version__",
    "activations",
    "bottleneck",
    "compare",
    "generators",
    "grokking",
    "measure",
    "persistence",
    "plots",
    "rips",
    "run",
    "texts",
    "wasserstein",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'todacomm' has no attribute '{name}'")
    if name in ("plots", "grokking"):
        return import_module(f"todacomm.{name}")
    return getattr(import_module(f"todacomm.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return [*_PLACES, "__version__"]
