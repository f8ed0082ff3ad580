"""Versions of the installed libraries, for manifests and ``todacomm --version``."""

import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from todacomm.core._version import __version__

DEPENDENCIES = ("numpy", "scipy", "numba", "redzed-tda", "ripser", "safetensors", "torch", "transformers", "datasets")
PREDECESSOR = "pipeline"  # the second top-level package that todacomm 0.1.0 installs


def versions() -> dict[str, str | None]:
    """Package → version; None where it is not installed."""
    return {
        "todacomm": __version__,
        "python": platform.python_version(),
        **{name: installed(name) for name in DEPENDENCIES},
    }


def installed(name: str) -> str | None:
    """The version of a distribution; None where it is not installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def predecessor_warning() -> str:
    """Warn of files of todacomm 0.1.0 beside this package; empty where there are none."""
    found = find_spec(PREDECESSOR)
    if found is None or not found.submodule_search_locations:
        return ""
    place = next(iter(found.submodule_search_locations))
    return (
        f"{place} may be the rest of todacomm 0.1.0, another package of the same name whose numbers are not these. "
        "Remove it: pip uninstall todacomm, then install this one again in a clean environment"
    )
