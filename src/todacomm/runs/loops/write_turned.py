"""Turn the loops of a run that generalised, once, and write what came of it beside its records."""

import time
from contextlib import suppress
from pathlib import Path

from todacomm.core.errors import InvalidRecord
from todacomm.core.versions import versions
from todacomm.records.training import TURNED_RECORD, StoredRun, TurnedRecord, digest_of_weights, read_run, read_turned
from todacomm.training.milestones import milestones

PLACEBOS, SEED = 99, 42


def turn_generalised(directory: Path) -> TurnedRecord | None:
    """Turn the loops of a finished run, unless that was done; None where there is nothing to turn.

    That is a run that did not generalise, came to no end, or whose task has no frequencies.
    """
    from todacomm.runs.loops.turn_run import turn_run

    with suppress(InvalidRecord):  # else it is turned again
        if done := read_turned(directory):
            return done
    if not can_turn(read_run(directory)):
        return None
    begun = time.perf_counter()
    found = turn_run(directory, placebos=PLACEBOS, seed=SEED)
    seconds = round(time.perf_counter() - begun, 2)
    record = TurnedRecord(found, PLACEBOS, SEED, digest_of_weights(directory), seconds, versions())
    TURNED_RECORD.write(directory, record)
    return record


def can_turn(ran: StoredRun) -> bool:
    """Whether a run came to its end, generalised, and has frequencies."""
    if ran.course is None or ran.about.characters is None or ran.done.seconds is None or ran.done.complaint:
        return False
    return milestones(ran.course).generalised_at is not None
