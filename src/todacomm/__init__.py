"""A study is a set of point clouds with addresses (model, data, layer, step); everything after the cloud is the
same code.

The names below stand in the order in which data flows; each is loaded when it is first used, so that importing todacomm
loads neither torch nor matplotlib.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from todacomm.core._version import __version__

# Read when torch is loaded: waiting threads sleep instead of spinning, see docs/decisions/010-extraction.md
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from todacomm import grokking, plots
    from todacomm.circles.probed import Probed
    from todacomm.circles.probes import Probe
    from todacomm.cohomology.association import associations
    from todacomm.cohomology.find import loops
    from todacomm.cohomology.record import Loops
    from todacomm.comparison.compare import Comparison, compare
    from todacomm.core.errors import TodacommError
    from todacomm.core.recipe import Recipe
    from todacomm.core.types import Activations, Address, Diagrams, Expansion, Measurement, PointCloud, Profile, Texts
    from todacomm.core.value_types import Missing
    from todacomm.homology.engines import persistence
    from todacomm.homology.essential_bars import bottleneck, wasserstein
    from todacomm.homology.rips import generators, rips
    from todacomm.models.any_network import activations
    from todacomm.models.datasets import texts
    from todacomm.models.turned_module import turning
    from todacomm.monitoring.monitor import Monitor
    from todacomm.monitoring.trainer_callback import TopologyCallback
    from todacomm.profiles.from_arrays import measure
    from todacomm.profiles.onsets import onsets
    from todacomm.profiles.trajectory import Trajectory
    from todacomm.report.words.finding import finding
    from todacomm.runs.experiment import run
    from todacomm.runs.locate import load
    from todacomm.runs.loops.probe_model import probe
    from todacomm.runs.tracking.in_memory import track
    from todacomm.runs.verification.verify import verify
    from todacomm.stability.measure import follow_copies
    from todacomm.stability.stability import Copying, Stability

_PLACES = {
    "texts": "models.datasets",
    "Texts": "core.types",
    "activations": "models.any_network",
    "Activations": "core.types",
    "Address": "core.types",
    "PointCloud": "core.types",
    "Recipe": "core.recipe",
    "rips": "homology.rips",
    "generators": "homology.rips",
    "persistence": "homology.engines",
    "Diagrams": "core.types",
    "bottleneck": "homology.essential_bars",
    "wasserstein": "homology.essential_bars",
    "loops": "cohomology.find",
    "Loops": "cohomology.record",
    "associations": "cohomology.association",
    "turning": "models.turned_module",
    "probe": "runs.loops.probe_model",
    "Probe": "circles.probes",
    "Probed": "circles.probed",
    "measure": "profiles.from_arrays",
    "Measurement": "core.types",
    "run": "runs.experiment",
    "Monitor": "monitoring.monitor",
    "TopologyCallback": "monitoring.trainer_callback",
    "follow_copies": "stability.measure",
    "Copying": "stability.stability",
    "Stability": "stability.stability",
    "load": "runs.locate",
    "verify": "runs.verification.verify",
    "Profile": "core.types",
    "Expansion": "core.types",
    "Missing": "core.value_types",
    "track": "runs.tracking.in_memory",
    "Trajectory": "profiles.trajectory",
    "onsets": "profiles.onsets",
    "compare": "comparison.compare",
    "Comparison": "comparison.compare",
    "finding": "report.words.finding",
    "plots": "plots",
    "grokking": "grokking",
    "TodacommError": "core.errors",
}

__all__ = [
    "Activations",
    "Address",
    "Comparison",
    "Copying",
    "Diagrams",
    "Expansion",
    "Loops",
    "Measurement",
    "Missing",
    "Monitor",
    "PointCloud",
    "Probe",
    "Probed",
    "Profile",
    "Recipe",
    "Stability",
    "Texts",
    "TodacommError",
    "TopologyCallback",
    "Trajectory",
    "__version__",
    "activations",
    "associations",
    "bottleneck",
    "compare",
    "finding",
    "follow_copies",
    "generators",
    "grokking",
    "load",
    "loops",
    "measure",
    "onsets",
    "persistence",
    "plots",
    "probe",
    "rips",
    "run",
    "texts",
    "track",
    "turning",
    "verify",
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
