"""`track`: ``todacomm track`` as a function; nothing is written but the cache."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Unpack

from todacomm.core.errors import InvalidInput
from todacomm.core.progress import Track, shown, silent
from todacomm.core.recipe import with_keywords
from todacomm.core.types import Texts, strings_of
from todacomm.profiles.trajectory import Moment, Trajectory, moment_of
from todacomm.records.tracks import TrackedCheckpoint
from todacomm.runs.cache.store import Cache
from todacomm.runs.config import RunSettings, Study, by_key
from todacomm.runs.experiment import Job, of_texts
from todacomm.runs.jobs import FAILURES, cache_of, failure, here, release
from todacomm.runs.tracking.track import Asked, Prepared, prepared


@with_keywords(RunSettings, dict(Study()))
def track(
    checkpoints: str | Path | Sequence[str | Path],
    *,
    texts: Texts | Iterable[str] | str | Path | None = None,
    revisions: str | None = None,
    config: str | Path | None = None,
    tokenizer: str | None = None,
    progress: bool = False,
    **settings: Unpack[RunSettings],
) -> Trajectory | tuple[Trajectory, ...]:
    """Measure the checkpoints of a training, one in memory at a time; nothing is written but the cache.

    Parameters
    ----------
    checkpoints : str, Path or sequence of them
        A folder of numbered checkpoints, a hub id (with ``revisions``), several models; ``"path=name"`` names one.
    texts : Texts, iterable of str, or str, optional
        What every checkpoint reads: all texts of a list, or a dataset by name; WikiText-2 by default.
    revisions : str, optional
        ``"step0,step512"``, ``"all"``, or ``"log:12"`` for twelve, evenly over the logarithm of the step.
    config : str or Path, optional
        Directory of the configuration, for checkpoints that are weights alone.
    tokenizer : str, optional
        Directory or hub id of the tokenizer, where the checkpoints have none.
    progress : bool, default False
        Show a progress bar.
    **settings
        Options of ``todacomm run``: ``track("runs/mine", pooling="mean", samples=200)``.

    Returns
    -------
    Trajectory, or a tuple of them
        One for each series of checkpoints. A checkpoint that cannot be measured is a row of NaN, with the reason in
        ``complaints``.

    Raises
    ------
    InvalidInput, InvalidTexts, InvalidStudy
        For sources without a checkpoint, texts or settings that cannot be used.
    ModelUnavailable
        Where the hub does not tell its revisions.

    Examples
    --------
    >>> import todacomm as td
    >>> models = ["tiny-preln-decoder", "tiny-postln-decoder"]
    >>> options = {"samples": 12, "layers": "layer_0", "resamples": 0, "null_draws": 0, "language": False}
    >>> td.track(models, **options)["H0_total_persistence"].shape
    (2, 1)

    """
    given = [checkpoints] if isinstance(checkpoints, str | Path) else list(checkpoints)
    asked = Asked(tuple(map(str, given)), revisions, None if config is None else Path(config))
    own = texts if texts is None or isinstance(texts, Texts | str | Path) else Texts("texts", strings_of(texts, "text"))
    values = by_key(settings)
    study = Study(**{**values, **of_texts(own, values), "tokenizer": tokenizer})
    with prepared(asked, study, own if isinstance(own, Texts) else None) as found:
        made = measured(found, shown(silent, progress=progress))
    return made[0] if len(made) == 1 else made


def measured(found: Prepared, track: Track) -> tuple[Trajectory, ...]:
    """The trajectory of each series. Raises InvalidInput where no checkpoint of a series could be measured."""
    cache = cache_of(found.jobs[0].study)
    pairs = list(zip(found.checkpoints, found.jobs, strict=True))
    try:
        moments = [(one.series, moment(one, job, cache)) for one, job in track(pairs, "checkpoints", len(pairs))]
    finally:
        release()
    return tuple(
        trajectory(name, [row for series, row in moments if series == name])
        for name in dict.fromkeys(s for s, _ in moments)
    )


def moment(one: TrackedCheckpoint, job: Job, cache: Cache | None) -> Moment:
    """What one checkpoint shows, or why it shows nothing."""
    try:
        return moment_of(one.step, here(job, cache).profile, one.label)
    except FAILURES as problem:
        return Moment(one.step, {}, complaints=(failure(problem).message,), label=one.label)


def trajectory(name: str, rows: list[Moment]) -> Trajectory:
    """The trajectory of one series. Raises InvalidInput where none of its checkpoints was measured."""
    if not any(row.numbers for row in rows):
        raise InvalidInput(f"{name}: none of {len(rows)} checkpoints could be measured; {rows[0].complaints[0]}")
    return Trajectory.from_moments(name, rows)
