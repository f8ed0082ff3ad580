"""What a study will take before it is begun, as plain data: points, layers, FLOPs, seconds and bytes of every stage of every job."""

from dataclasses import asdict, dataclass
from typing import Any

from todacomm.core.memory import spoken

CLAIMS = "intervals and nulls"
LONG, MOST = 300.0, 0.9  # seconds of a run, and the share of them, from which on it is said how to leave them out


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a job: seconds, and the bytes that the process holds at most while it lasts, beside what it begins with.

    ``each`` are those bytes that one layer takes, of which several may be measured at a time, or those of one batch.
    """

    name: str
    seconds: float
    memory: int = 0
    flops: float = 0.0
    each: int = 0


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One reading and the measurement of its layers: what there is of it, and its stages.

    ``content_tokens`` are without special tokens, ``padded_tokens`` with them and with the padding of the batches, of
    which those of the longest texts have ``batch``; ``points`` are those of one layer, of ``width`` dimensions. ``read`` says whether the model
    has read these texts before, ``measured`` how many layers were measured before. ``notes`` say what is no exact count,
    ``problem`` why nothing is known.
    """

    model: str
    dataset: str
    pooling: str = ""
    texts: int = 0
    content_tokens: int = 0
    padded_tokens: int = 0
    points: int = 0
    layers: int = 0
    width: int = 0
    blocks: int = 0
    parameters: int = 0
    batch: int = 0
    stages: tuple[Stage, ...] = ()
    read: bool = False
    measured: int = 0
    notes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def memory(self) -> int:
        """The most that any stage holds."""
        return max((stage.memory for stage in self.stages), default=0)

    @property
    def flops(self) -> float:
        """Of the forward passes, the head among them."""
        return sum(stage.flops for stage in self.stages)


@dataclass(frozen=True, slots=True)
class Plan:
    """A study before it is begun: its jobs, ``base`` the bytes that the process holds without any of them, ``limit``
    those that may be held (None: unknown), ``at_once`` how many layers are measured at a time, ``workers`` by how many
    processes, and what was changed to fit.
    """

    jobs: tuple[JobPlan, ...]
    base: int
    limit: int | None
    at_once: int
    workers: int = 1
    changes: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return sum(job.seconds for job in self.jobs) / min(self.workers, max(1, len(self.jobs)))

    @property
    def memory(self) -> int:
        """The most that the processes will hold."""
        return self.workers * (self.base + max((job.memory for job in self.jobs), default=0))

    @property
    def fits(self) -> bool:
        """Whether that may be held."""
        return self.limit is None or self.memory <= self.limit

    @property
    def stages(self) -> dict[str, float]:
        """Stage → seconds, over all jobs."""
        found: dict[str, float] = {}
        for job in self.jobs:
            for stage in job.stages:
                found[stage.name] = found.get(stage.name, 0.0) + stage.seconds
        return found

    def line(self) -> str:
        """The plan in one line, the longest stages first, or what is not known."""
        unknown = [job for job in self.jobs if job.problem]
        if self.jobs and len(unknown) == len(self.jobs):
            return f"how long it takes is not known: {unknown[0].model}: {unknown[0].problem}"
        longest = sorted(self.stages.items(), key=lambda item: -item[1])[:4]
        told = [f"{name} {duration(seconds)}" for name, seconds in longest if seconds > 0.05 * self.seconds]
        parts = [
            f"about {duration(self.seconds)}{': ' if told else ''}{', '.join(told)}",
            f"{spoken(self.memory)} of memory",
        ]
        if unknown:
            parts.append(
                f"{len(unknown)} of {len(self.jobs)} jobs are not counted, as {unknown[0].model}: {unknown[0].problem}"
            )
        return "; ".join(parts) + self._without_claims()

    def _without_claims(self) -> str:
        """How to have the numbers alone, where their intervals and p-values take nearly all of a long run (H2 above all)."""
        claims = self.stages.get(CLAIMS, 0.0)
        if self.seconds < LONG or claims < MOST * self.seconds:
            return ""
        return f". {CLAIMS.capitalize()} take {claims / self.seconds:.0%} of that; --resamples 0 --null-draws 0 leaves them out"

    def as_dict(self) -> dict[str, Any]:
        """The plan as JSON has it: seconds and bytes."""
        jobs = [{**asdict(job), "seconds": job.seconds, "memory": job.memory, "flops": job.flops} for job in self.jobs]
        totals = {"seconds": self.seconds, "memory": self.memory, "stages": self.stages}
        shared = {
            "base": self.base,
            "limit": self.limit,
            "at_once": self.at_once,
            "workers": self.workers,
            "changes": list(self.changes),
        }
        return {**totals, **shared, "jobs": jobs}


def duration(seconds: float) -> str:
    """Seconds as they are said: two digits.

    >>> duration(0.234), duration(41.7), duration(300), duration(9000)
    ('0.23 s', '42 s', '5 min', '2.5 h')
    """
    for unit, size, least in (("h", 3600, 5400), ("min", 60, 180)):
        if seconds >= least:
            return f"{seconds / size:.2g} {unit}" if seconds / size < 100 else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
