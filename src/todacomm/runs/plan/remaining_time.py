"""Correct the estimate of a stage once part of it is done."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from todacomm.core.progress import Track
from todacomm.homology.engines import engine_ready
from todacomm.runs.plan.plan import CLAIMS, JobPlan, duration

WRONG, WORTH = 2.0, 20.0  # times as much, or as little, and the seconds from which on it is said
STAGES = {"persistent homology": "homology", "intervals": CLAIMS, "null draws": CLAIMS}  # by their progress
LAST = {"persistent homology", "null draws"}  # after which nothing of the stage is left


@dataclass(slots=True, eq=False)
class Correcting:
    """A `Track` that compares each stage with its plan after its first part, and reports large deviations.

    Jobs run in the order of the plan, ``at_once`` parts at a time; ``wrong`` is called where a plan was. ``clock`` is
    that of the wall, and ``ready`` compiles or loads the engine before it starts, which is no part of any stage.
    """

    track: Track
    jobs: tuple[JobPlan, ...]
    at_once: int
    say: Callable[[str], None]
    wrong: Callable[[], None]
    clock: Callable[[], float] = time.perf_counter
    ready: Callable[[], None] = engine_ready
    _begun: int = 0
    _spent: dict[str, float] = field(default_factory=dict)

    def __call__(self, iterable: Iterable[Any], description: str, total: int | None = None) -> Iterable[Any]:
        """Yield the same items."""
        found = self.track(iterable, description, total)
        return self._watched(found, description, total) if description in STAGES and total else found

    def _watched(self, found: Iterable[Any], description: str, total: int) -> Iterator[Any]:
        if description == "persistent homology":
            self._begun, self._spent = self._begun + 1, {}
        job = self.jobs[min(self._begun, len(self.jobs)) - 1]
        if description == "persistent homology" and not job.measured:
            self.ready()
        begun, stage = self.clock(), STAGES[description]
        before = self._spent.get(stage, 0.0)
        for i, item in enumerate(found):
            if i == 0:
                rounds = math.ceil(total / max(1, min(self.at_once, total)))
                self._compare(job, description, before + rounds * (self.clock() - begun))
            yield item
        self._spent[stage] = before + self.clock() - begun

    def _compare(self, job: JobPlan, description: str, seconds: float) -> None:
        """Say what is found where the plan had another order; less only where it is all of the stage."""
        stage = STAGES[description]
        planned = sum(one.seconds for one in job.stages if one.name == stage)
        if max(planned, seconds) < WORTH or (job.measured and stage != CLAIMS):
            return  # layers out of the cache say nothing of the others
        if seconds > WRONG * planned or (description in LAST and WRONG * seconds < planned):
            self.say(f"{stage}: about {duration(seconds)}, not {duration(planned)} as planned")
            self.wrong()
