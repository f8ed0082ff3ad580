"""Weights without a configuration beside them: a directory of links that joins them with one that was given."""

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from todacomm.core.errors import InvalidInput
from todacomm.models.checkpoints.base_and_adapter import OF_A_TOKENIZER
from todacomm.models.checkpoints.checkpoint_files import SAFE
from todacomm.records.tracks import TrackedCheckpoint

CONFIG = "config.json"


def checked_config(config: Path | None) -> Path | None:
    """The directory of a configuration. Raises InvalidInput where it holds none."""
    if config is not None and not (config / CONFIG).is_file():
        raise InvalidInput(f"--config {config}: expected a directory that holds {CONFIG}")
    return config


def staged(found: Sequence[TrackedCheckpoint], config: Path | None, place: Path) -> tuple[TrackedCheckpoint, ...]:
    """The checkpoints where they can be loaded: those without a configuration as links under ``place``."""
    return tuple(joined(one, config, place / str(i)) if lacks(one, config) else one for i, one in enumerate(found))


def lacks(one: TrackedCheckpoint, config: Path | None) -> bool:
    """Whether a checkpoint is to be joined with the configuration that was given."""
    alone = bool(one.weights) or not (Path(one.location) / CONFIG).is_file()
    return config is not None and one.revision is None and alone


def joined(one: TrackedCheckpoint, config: Path | None, place: Path) -> TrackedCheckpoint:
    """Link configuration, tokenizer and weights into one directory."""
    place.mkdir(parents=True)
    if config is not None:
        for path in sorted(config.iterdir()):
            if path.is_file() and (path.suffix in (".json", ".txt", ".model", ".jinja") and path.name not in SAFE):
                linked(path, place)
    if one.weights:
        linked(Path(one.weights), place, SAFE[0])
    else:
        for path in sorted(Path(one.location).iterdir()):
            if path.is_file():
                linked(path, place)
    return replace(one, location=str(place))


def linked(path: Path, place: Path, name: str = "") -> None:
    """Link a file into a directory, or copy it where the system has no links."""
    target = place / (name or path.name)
    target.unlink(missing_ok=True)
    try:
        target.symlink_to(path.resolve())
    except OSError:
        shutil.copyfile(path, target)


def tokenizer_above(one: TrackedCheckpoint, where: TrackedCheckpoint) -> str | None:
    """The folder above a checkpoint, where that has a tokenizer and what is loaded has none; None otherwise."""
    if one.revision is not None or has_tokenizer(Path(where.location)):
        return None
    above = Path(one.location) if one.weights else Path(one.location).parent
    return str(above) if has_tokenizer(above) else None


def has_tokenizer(directory: Path) -> bool:
    """Whether a file of a tokenizer lies in a directory."""
    return any((directory / name).is_file() for name in OF_A_TOKENIZER)
