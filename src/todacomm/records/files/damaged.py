"""Read damaged records: skip what cannot be read and report the file and its fault."""

from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field
from typing import Protocol, TypeVar, runtime_checkable

from todacomm.core.errors import InvalidRecord, NothingLegible

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Loss:
    """A part that was skipped, and why."""

    what: str
    why: str


def loss_messages(losses: Sequence[Loss]) -> list[str]:
    """One sentence for the losses of each file."""
    parts: dict[str, list[str]] = {}
    for loss in losses:
        parts.setdefault(loss.why, []).append(loss.what)
    return [f"{', '.join(found)}: {why}" for why, found in parts.items()]


@runtime_checkable
class Attempt(Protocol):
    """Read a part of a record that the rest can do without; ``what`` names the part, ``read`` reads it.

    ``losses`` lists what was skipped so far.
    """

    @property
    def losses(self) -> Sequence[Loss]: ...

    def __call__(self, what: str, read: Callable[[], T]) -> T | None: ...


@dataclass(frozen=True, slots=True)
class Strict:
    """The `Attempt` that skips nothing: InvalidRecord is raised."""

    losses: tuple[Loss, ...] = ()

    def __call__(self, what: str, read: Callable[[], T]) -> T | None:  # noqa: ARG002 - what an `Attempt` takes
        return read()


strictly = Strict()


@dataclass(slots=True, eq=False)
class Salvage:
    """The `Attempt` that skips damaged parts and lists each once in ``losses``."""

    losses: list[Loss] = field(default_factory=list)

    def __call__(self, what: str, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except NothingLegible:  # each of its records is noted
            return None
        except InvalidRecord as problem:
            self.lose(what, str(problem))
            return None

    def lose(self, what: str, why: str) -> None:
        """Note a skipped part."""
        loss = Loss(what, why)
        if loss not in self.losses:
            self.losses.append(loss)

    def need(self, left: Sized, where: object) -> None:
        """Raise NothingLegible, which lists all losses, where nothing is ``left``."""
        if not left:
            raise NothingLegible("\n".join([f"nothing of {where} can be read", *loss_messages(self.losses)]))
