"""Write and read how copies of a training moved beside it, and the plan of such runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from todacomm.records.files.codec import Arrays, Format, Whole, arrays_of
from todacomm.records.files.io import write_arrays
from todacomm.stability.stability import Copying, Stability

STABILITY, ARRAYS = "stability.json", "stability.safetensors"
PLAN, SUMMARY = "stability_plan.json", "stability_summary.json"
SCHEMA = 1
AGAIN = "give the same `todacomm stability` or `todacomm grok --stability` again: what was finished is kept"


@dataclass(frozen=True, slots=True, eq=False)
class StabilityRecord:
    """All of ``stability.json``; the arrays of ``found`` lie beside it."""

    found: Whole[Stability]
    seconds: float
    versions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlannedStability:
    """One run as planned: its recipe, its seed, the settings of its training."""

    recipe: str
    seed: int
    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Its directory below ``runs/``."""
        return f"{self.recipe}/seed_{self.seed}"


@dataclass(frozen=True, slots=True, eq=False)
class StabilityPlan:
    """All of ``stability_plan.json``."""

    copying: Copying
    runs: tuple[PlannedStability, ...]
    digest: str = ""
    command: str = ""
    versions: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class StabilitySummary:
    """All of ``stability_summary.json``: exponents of each run and recipe, correlations, runs that failed."""

    runs: tuple[Mapping[str, Any], ...]
    over_seeds: Mapping[str, Any] = field(default_factory=dict)
    associations: tuple[Mapping[str, Any], ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)


STABILITY_RECORD = Format(StabilityRecord, SCHEMA, AGAIN, STABILITY, sealed=True)
STABILITY_PLAN = Format(StabilityPlan, SCHEMA, AGAIN, PLAN, sealed=True)
STABILITY_SUMMARY = Format(StabilitySummary, SCHEMA, AGAIN, SUMMARY, sealed=True)


def write_stability(directory: Path, record: StabilityRecord) -> Path:
    """Write the arrays, then the record, which says that both are whole. Raises CannotWrite."""
    write_arrays(directory / ARRAYS, arrays_of(record), {"schema": SCHEMA})
    return STABILITY_RECORD.write(directory, record)


def read_stability(directory: Path) -> StabilityRecord:
    """Read the record of one run with its arrays. Raises InvalidRecord."""
    return STABILITY_RECORD.read(directory, Arrays.read(directory / ARRAYS, SCHEMA, AGAIN))


def has_stability(directory: Path) -> bool:
    """Whether copies of this run were followed to the end."""
    return (directory / STABILITY).exists()
