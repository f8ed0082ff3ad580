"""Write and read what a probe has found out about a model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from todacomm.circles.probed import Probed
from todacomm.records.files.codec import Format, Whole
from todacomm.records.files.io import RUN_AGAIN

PROBE = "probe.json"


@dataclass(frozen=True, slots=True, eq=False)
class ProbeRun:
    """All of ``probe.json``: what was found, and how it was made."""

    found: Whole[Probed]
    command: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    model: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, Any] = field(default_factory=dict)


def without_answers(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """Convert a record of schema 1, which held no single answers."""
    found = row["found"]
    if found["asked"] is None:
        return row
    turned = {layer: {**one, "answers": ()} for layer, one in found["asked"]["turned"].items()}
    return {**row, "found": {**found, "asked": {**found["asked"], "turned": turned}}}


PROBE_RECORD = Format(ProbeRun, 2, RUN_AGAIN, PROBE, sealed=True, older={1: without_answers})
