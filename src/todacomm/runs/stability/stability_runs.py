"""Run and resume a study of stability: every recipe with every seed, each a record of its own."""

import glob
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from todacomm.core.errors import InvalidRecord, TodacommError
from todacomm.core.parallel import LostTask, Number, in_processes
from todacomm.core.versions import versions
from todacomm.records.files.codec import plain
from todacomm.records.files.locks import alone_in
from todacomm.records.stability import (
    SCHEMA,
    STABILITY_PLAN,
    SUMMARY,
    PlannedStability,
    StabilityPlan,
    StabilityRecord,
    has_stability,
    read_stability,
    write_stability,
)
from todacomm.stability.stability import Copying, Stability
from todacomm.training.presets import RunPlan, check_seeds


@dataclass(frozen=True, slots=True)
class StabilityStudy:
    """The runs of one ``todacomm stability``: recipes × seeds, and how copies are made."""

    copying: Copying
    runs: tuple[PlannedStability, ...]

    @property
    def digest(self) -> str:
        """Equal for equal studies."""
        record = {"schema": SCHEMA, "copying": plain(self.copying), "runs": plain(self.runs)}
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]


def study_of(recipes: Sequence[Mapping[str, Any]], seeds: Sequence[int], copying: Copying) -> StabilityStudy:
    """Plan every recipe with every seed. Raises InvalidInput for repeated seeds."""
    check_seeds(seeds)
    return StabilityStudy(
        copying,
        tuple(
            PlannedStability(f"recipe_{i}", seed, dict(recipe)) for i, recipe in enumerate(recipes, 1) for seed in seeds
        ),
    )


def directory_of(
    study: StabilityStudy, output_dir: Path, stem: str, new: Callable[[Path, str], Path], *, command: str = ""
) -> tuple[Path, bool]:
    """Find the stopped study to resume (the same, without a summary), or make a new directory."""
    for found in sorted(output_dir.glob(f"{glob.escape(stem)}_*_*")):
        with suppress(InvalidRecord):
            if STABILITY_PLAN.read(found).digest == study.digest and not (found / SUMMARY).exists():
                return found, True
    directory = new(output_dir, stem)
    STABILITY_PLAN.write(directory, StabilityPlan(study.copying, study.runs, study.digest, command, versions()))
    return directory, False


def follow_run(place: Path, plan: RunPlan, copying: Copying) -> Stability:
    """Follow copies of one run and write what they show, unless that was done; one thread."""
    import torch

    from todacomm.stability.laboratory import stability_of

    torch.set_num_threads(1)
    place.mkdir(parents=True, exist_ok=True)
    with alone_in(place, wait=True):
        if has_stability(place):
            with suppress(InvalidRecord):  # else it is made again
                return read_stability(place).found
        begun = time.perf_counter()
        about = {"name": plan.name, "settings": plan.settings}
        found = stability_of(plan.task, plan.training, plan.measured, copying, about=about)
        write_stability(place, StabilityRecord(found, round(time.perf_counter() - begun, 2), versions()))
        return found


def perform(directory: Path, copying: Copying, planned: PlannedStability) -> str:
    """Follow one planned run; return why it failed, or nothing."""
    plan = RunPlan(planned.name, "run", planned.seed, planned.settings)
    try:
        follow_run(directory / "runs" / planned.name, plan, copying)
    except TodacommError as problem:  # of one run: the others go on
        return str(problem)
    return ""


def perform_all(
    directory: Path, study: StabilityStudy, *, number: Number = "auto"
) -> Iterator[tuple[PlannedStability, str]]:
    """Follow every run, some at a time in processes; yield each with why it failed, as they end."""
    act = partial(perform, directory, study.copying)
    for planned, found in in_processes(act, study.runs, number=number):
        yield planned, f"its process was killed: {found.reason}" if isinstance(found, LostTask) else found
