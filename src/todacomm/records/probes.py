"""Write and read what a probe has found out about a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from todacomm.circles.probed import Probed
from todacomm.records.codec import Format, Whole
from todacomm.records.io import RUN_AGAIN

PROBE = "probe.json"


@dataclass(frozen=True, slots=True, eq=False)
class ProbeRun:
    """All of ``probe.json``: what was found, and how it was made."""

    found: Whole[Probed]
    command: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)


PROBE_RECORD = Format(ProbeRun, 1, RUN_AGAIN, PROBE)
