"""The wording of faults of records: the file, the field, what was found, what was expected, what to do."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from todacomm.core.errors import InvalidRecord


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in a record: its file, the path of fields, and the ``remedy`` that makes a good one again."""

    file: object
    remedy: str = "run it again"
    fields: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}: {'.'.join(self.fields)}" if self.fields else str(self.file)

    def at(self, name: str) -> "Spot":
        return Spot(self.file, self.remedy, (*self.fields, name))

    def fault(self, what: str) -> InvalidRecord:
        """``what`` says what was found and what was expected."""
        return InvalidRecord(f"{self} {what}. It is damaged, or another todacomm wrote it: {self.remedy}")

    def wrong(self, value: Any, expected: str) -> InvalidRecord:
        return self.fault(f"is {brief(value)}; expected {expected}")

    def lacks(self, absent: Iterable[str], expected: Iterable[str]) -> InvalidRecord:
        return self.fault(f"lacks {', '.join(absent)}; expected {', '.join(expected)}")

    def missing(self) -> InvalidRecord:
        return InvalidRecord(f"{self} is missing; expected the file of a finished run. To make it, {self.remedy}")

    def unreadable(self, problem: object, form: str = "JSON") -> InvalidRecord:
        return InvalidRecord(f"{self} cannot be read as {form}: {problem}. To replace it, {self.remedy}")

    def changed(self, digest: str) -> InvalidRecord:
        return InvalidRecord(
            f"{self} is not as it was written: expected another {digest}. To replace it, {self.remedy}"
        )

    def of_schema(self, found: Any, expected: Iterable[int]) -> InvalidRecord:
        known = sorted(expected)
        newer = isinstance(found, int) and found > max(known)
        hint = "A newer one wrote it: update todacomm" if newer else f"To replace it, {self.remedy}"
        reads = " and ".join(map(str, known))
        return InvalidRecord(f"{self} has schema {brief(found)}; this todacomm reads schema {reads}. {hint}")


def brief(value: Any) -> str:
    """Shorten a value for a message."""
    text = repr(value)
    return text if len(text) < 60 else f"{text[:57]}…"
