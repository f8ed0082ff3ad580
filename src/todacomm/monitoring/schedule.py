"""When a training is measured: every so many steps, within a share of its time. Pure: the clock is an argument."""

from dataclasses import dataclass

from todacomm.core.errors import InvalidInput

PERCENT = "%"


def steps_between(every: int | str, total_steps: int | None) -> int:
    """The steps between two measurements: a number, or a percentage of all steps. Raises InvalidInput."""
    share = str(every).removesuffix(PERCENT)
    if isinstance(every, str) and every.endswith(PERCENT):
        if total_steps is None or total_steps < 1:
            raise InvalidInput(
                f"every='{every}' is a share of all steps, whose number is not known; give total_steps=..., or "
                "every=100 for every hundredth step"
            )
        return max(1, round(percentage(every, share) / 100 * total_steps))
    if isinstance(every, bool) or not share.isdecimal() or int(share) < 1:
        raise InvalidInput(f"every={every!r}; expected a number of steps of 1 or more, or a percentage such as '1%'")
    return int(share)


def percentage(every: str, share: str) -> float:
    """The number in front of the per cent sign, above 0 and up to 100."""
    try:
        found = float(share)
    except ValueError:
        found = 0.0
    if not 0 < found <= 100:
        raise InvalidInput(f"every='{every}'; expected a percentage above 0 and up to 100, such as '1%'")
    return found


@dataclass(slots=True)
class Schedule:
    """Which steps are measured, and what that has cost; times are seconds of one clock.

    A step is due where a multiple of ``every`` is reached, and at the first and the last step. It is skipped where one
    more measurement would cost more than ``budget`` of the time since the first step; a budget of 1 skips none.
    """

    every: int
    budget: float
    total_steps: int | None = None
    begun: float = 0.0
    spent: float = 0.0
    typical: float = 0.0  # cost of one measurement, to be expected
    last: int | None = None  # step that was seen
    skipped: int = 0  # since the last measurement

    def __post_init__(self) -> None:
        if not 0 < self.budget <= 1:
            raise InvalidInput(
                f"budget={self.budget}; expected a share of the training time above 0 and up to 1, as 0.05"
            )

    def due(self, step: int, now: float) -> bool:
        """Whether to measure at this step; the first one always is."""
        before, self.last = self.last, step
        if before is None:
            self.begun = now
            return True
        if step == before or not self._reached(before, step):
            return False
        if self.budget < 1 and self.spent + self.typical > self.budget * (now - self.begun):
            self.skipped += 1
            return False
        return True

    def _reached(self, before: int, step: int) -> bool:
        return step // self.every != before // self.every or step == self.total_steps

    def share(self, now: float) -> float:
        """The share of the time since the first step that measuring took."""
        return self.spent / (now - self.begun) if now > self.begun else 0.0

    def told(self, now: float) -> str:
        """Say what was skipped since the last measurement; empty where nothing was."""
        if not self.skipped:
            return ""
        number, self.skipped = self.skipped, 0
        several = f"{number} measurements were" if number > 1 else "1 measurement was"
        return (
            f"{several} skipped before this step: they would have taken more than {self.budget:.1%} of the training "
            f"time; {self.share(now):.1%} so far"
        )
