"""Build the explorer of a page from profiles and the directories of their runs."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from todacomm.comparison.diagram_tests import Clouds
from todacomm.core.types import Profile
from todacomm.core.value_types import Missing
from todacomm.records.clouds import clouds_of
from todacomm.records.files.damaged import Attempt, strictly
from todacomm.records.texts import KeptTexts, read_texts
from todacomm.report.layers.layer_explorer import Look, layers_explorer, look

UNREADABLE = Missing("the file that holds them cannot be read")
UNKNOWN = Missing("the directory of the run is not known")
RunOf = Callable[[Profile], Path | None]  # the run that a profile was read from, where it is known


def unknown_run(_: Profile) -> None:
    """The `RunOf` that knows none."""


def explorer_of(
    profiles: Sequence[Profile],
    runs: Sequence[Path | None],
    labels: Sequence[str],
    *,
    heading: str = "",
    attempt: Attempt = strictly,
    look: Look = look,
) -> dict[str, Any]:
    """The explorer over profiles whose clouds and texts lie in their ``runs``; ``attempt`` may do without either."""
    clouds: list[Clouds | Missing] = [
        attempt(f"activations of {run.name}", partial(clouds_of, run, p)) or UNREADABLE if run else UNKNOWN
        for run, p in zip(runs, profiles, strict=True)
    ]
    texts: list[KeptTexts | Missing] = [
        attempt(f"texts of {run.name}", partial(read_texts, run)) or UNREADABLE if run else UNKNOWN for run in runs
    ]
    return layers_explorer(profiles, clouds, texts, labels, heading=heading, look=look)
