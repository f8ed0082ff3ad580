"""The plan of a study as data: points, tokens, FLOPs, seconds and bytes of every stage of every job."""

from dataclasses import asdict, dataclass
from typing import Any

from todacomm.core.memory import format_bytes

CLAIMS, NULL_PASSES, FURTHER_NULLS = "intervals and nulls", "null passes", "draws of further nulls"
TO_FETCH = "its files are not on this machine: they have to be fetched from the hub before anything can be told"
LONG, MOST = 300.0, 0.9  # seconds of a run, and the share of them, from which on it is said how to leave claims out


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a job: seconds, and the most bytes that the process holds meanwhile beside what it begins with.

    ``each`` are those bytes that one layer takes, of which several may be measured at a time, or those of one batch.
    """

    name: str
    seconds: float
    memory: int = 0
    flops: float = 0.0
    each: int = 0


@dataclass(frozen=True, slots=True)
class JobPlan:
    """One model on one dataset, and the measurement of its layers: exact counts, and the stages.

    ``padded_tokens`` count special tokens and padding, ``batch`` the longest texts that share a batch, ``passes`` how
    often the texts are read, null models included; ``points`` are those of one layer, of ``width`` dimensions. ``read``
    says that the activations are in the cache, ``measured`` how many layers are; ``problem`` why nothing is known.
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
    passes: int = 0
    stages: tuple[Stage, ...] = ()
    read: bool = False
    measured: int = 0
    notes: tuple[str, ...] = ()
    problem: str = ""

    @property
    def failure(self) -> str:
        """Why the job would fail; empty where its files only have to be fetched."""
        return "" if self.problem == TO_FETCH else self.problem

    @property
    def seconds(self) -> float:
        return sum(stage.seconds for stage in self.stages)

    @property
    def memory(self) -> int:
        return max((stage.memory for stage in self.stages), default=0)

    @property
    def flops(self) -> float:
        return sum(stage.flops for stage in self.stages)

    def as_dict(self) -> dict[str, Any]:
        """Convert the plan of the job to JSON."""
        return {**asdict(self), "seconds": self.seconds, "memory": self.memory, "flops": self.flops}


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of a study.

    ``base`` are the bytes of the process alone, ``limit`` those that it may hold (None: unknown), ``at_once`` the
    layers measured at a time, ``workers`` the processes, ``changes`` what was done to fit.
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
        return self.workers * (self.base + max((job.memory for job in self.jobs), default=0))

    @property
    def fits(self) -> bool:
        return self.limit is None or self.memory <= self.limit

    @property
    def stages(self) -> dict[str, float]:
        """Stage → seconds, over all jobs."""
        stages = [stage for job in self.jobs for stage in job.stages]
        return {
            name: sum(s.seconds for s in stages if s.name == name) for name in dict.fromkeys(s.name for s in stages)
        }

    def line(self) -> str:
        """Summarise the plan in one line, longest stages first, or say what is unknown."""
        unknown = [job for job in self.jobs if job.problem]
        if unknown and len(unknown) == len(self.jobs):
            return f"how long it takes is not known: {unknown[0].model}: {unknown[0].problem}"
        longest = sorted(self.stages.items(), key=lambda item: -item[1])[:4]
        told = ", ".join(f"{name} {duration(s)}" for name, s in longest if s > 0.05 * self.seconds)
        line = f"about {duration(self.seconds)}{': ' if told else ''}{told}; {format_bytes(self.memory)} of memory"
        if unknown:
            line += f"; {len(unknown)} of {len(self.jobs)} jobs are not counted, "
            line += f"as {unknown[0].model}: {unknown[0].problem}"
        claims = self.stages.get(CLAIMS, 0.0)
        if self.seconds < LONG or claims < MOST * self.seconds:
            return line
        share = f"{CLAIMS.capitalize()} take {claims / self.seconds:.0%} of that"
        return f"{line}. {share}; --resamples 0 --null-draws 0 leaves them out"

    def as_dict(self) -> dict[str, Any]:
        """Convert the plan to JSON, in seconds and bytes."""
        totals = {"seconds": self.seconds, "memory": self.memory, "stages": self.stages}
        return {**totals, **asdict(self), "jobs": [job.as_dict() for job in self.jobs]}


def duration(seconds: float) -> str:
    """Format seconds in two digits.

    >>> duration(0.234), duration(41.7), duration(300), duration(9000)
    ('0.23 s', '42 s', '5 min', '2.5 h')
    """
    for unit, size, least in (("h", 3600, 5400), ("min", 60, 180)):
        if seconds >= least:
            return f"{seconds / size:.2g} {unit}" if seconds / size < 100 else f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.2g} s"
