"""Load texts by name: two bundled corpora, files of texts, datasets of the Hugging Face hub.

Texts are not changed, but blank ones are dropped and white space at both ends is stripped. A dataset is added
by one decorated function that returns `Texts`::

    @sources.register("haiku")
    def haiku() -> Texts: ...
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from todacomm.core.errors import InvalidInput, InvalidTexts, MissingExtra, UnknownName
from todacomm.core.recipe import FEWEST_POINTS
from todacomm.core.registry import Registry, broken_plugins
from todacomm.core.types import PLACE, Texts
from todacomm.models.text_files import FIELD, forms, path_and_field, read_texts, stripped, suffix_of, text_formats

HUB = "hf:"
HUB_FORM = "hf:owner/name[/config][:split][:field]"
SAMPLE = "The texts are"  # what a note on their choice begins with
SPLITS = ("test", "validation", "train")  # the first of these that a hub dataset has is its default

sources: Registry[Callable[[], Texts]] = Registry("dataset")


def texts(source: str | Path, samples: int | None = None, *, shuffle: bool = False, seed: int = 42) -> Texts:
    """Load the texts of a named dataset, of a file, or of a dataset on the Hugging Face hub.

    Blank texts are dropped and white space at both ends is removed. The bundled datasets, ``"wikitext2"`` and
    ``"squad"``, need no network.

    Parameters
    ----------
    source : str or Path
        A name from ``todacomm list-configs``, a ``.txt`` file (one text a line), a ``.jsonl[:field]`` file (one object
        a line), a ``.csv[:field]`` file (a header and one text a row; all also as ``.gz``), or
        ``"hf:owner/name[/config][:split][:field]"``.
    samples : int, optional
        How many texts; None takes all.
    shuffle : bool, default False
        Draw them by ``seed`` in place of taking the first.
    seed : int, default 42
        Decides the draw.

    Returns
    -------
    Texts
        With groups (articles) where the source knows them, and the other columns of a ``.jsonl`` or ``.csv`` file.

    Raises
    ------
    InvalidTexts
        When there are fewer texts than asked for.
    UnknownName
        When ``source`` names no dataset.

    Examples
    --------
    >>> import todacomm as td
    >>> len(td.texts("wikitext2", samples=10))
    10

    """
    if samples is not None and samples < FEWEST_POINTS:
        raise InvalidInput(f"{samples} samples asked for; a point cloud needs at least {FEWEST_POINTS} texts")
    found = _all_texts(str(source))
    check_enough(found, str(source), samples)
    if not shuffle:
        return found.take(range(len(found))[:samples])
    order = np.random.default_rng(seed).permutation(len(found))[:samples].tolist()
    drawn = found.take(order)
    return replace(drawn, columns={PLACE: order, **drawn.columns})


def _all_texts(source: str) -> Texts:
    if source.startswith(HUB):
        return _from_hub(HubDataset.parse(source))
    path, field = path_and_field(source)
    if suffix_of(path) in text_formats.ours or "/" in source:  # no plugin is imported for a file
        return _from_file(path, field)
    if source in sources:
        return sources[source]()
    if path.exists():
        return _from_file(path, field)
    raise UnknownName("dataset", source, sources, hint=" ".join([hint(), *broken_plugins()]))


def _from_file(path: Path, field: str) -> Texts:
    if not path.exists():
        raise InvalidTexts(f"there is no file '{path}'. Datasets with a name: {', '.join(sources)}. {hint()}")
    return read_texts(path, field)


def texts_of_own_file(source: str) -> int | None:
    """Count the texts of a file of the user; None for a dataset with a name, on the hub, or that is not there."""
    path, field = path_and_field(source)
    own = path.is_file() and source not in sources.ours and not source.startswith(HUB)
    return len(_from_file(path, field)) if own else None


def hint() -> str:
    """Say what a dataset may be besides a name."""
    return f"Or give {forms()}, or {HUB_FORM}."


def check_enough(found: Texts, source: str, samples: int | None) -> None:
    """Raise InvalidTexts, which counts the texts, where they are fewer than requested or than a cloud needs."""
    if not len(found):
        raise InvalidTexts(f"the dataset '{source}' holds no text: it is empty, or all of it is blank")
    if len(found) < FEWEST_POINTS:
        raise InvalidTexts(
            f"the dataset '{source}' holds {len(found)} text{'s' if len(found) > 1 else ''} that "
            f"{'are' if len(found) > 1 else 'is'} not blank; a point cloud needs at least {FEWEST_POINTS}"
        )
    if samples is not None and len(found) < samples:
        raise InvalidTexts(
            f"{samples} texts asked for, but the dataset '{source}' holds {len(found)} that are not blank; "
            f"ask for {len(found)} samples or fewer, or add texts"
        )


def describe_sample(texts: Texts) -> str:
    """Say which texts of a dataset these are, from how many of its articles; empty where each text is on its own."""
    if not texts.groups or len(set(texts.groups)) == len(texts):
        return ""
    found, whole = len(set(texts.groups)), sources[texts.name]() if texts.name in sources else None
    if whole is None or not set(texts.items) <= set(whole.items):
        return f"{SAMPLE} from {found} groups, so they are not independent of one another."
    articles = f"{len(set(whole.groups or ()))} articles, so they are not independent of one another"
    if len(texts) == len(whole):
        return f"{SAMPLE} all {len(whole):,} of {texts.name}, from its {articles}."
    which, hint = f"{len(texts):,} of the {len(whole):,}", ""
    if texts.items == whole.items[: len(texts)]:
        which, hint = f"the first {which}", "; --shuffle draws over all of them"
    return f"{SAMPLE} {which} of {texts.name}, from {found} of its {articles}{hint}."


# Bundled corpora


@sources.register("wikitext2")
def wikitext2() -> Texts:
    """WikiText-2, raw test split: one text a line, grouped by article (CC BY-SA 3.0)."""
    lines = [line.strip() for line in _bundled("wikitext2_test.txt").split("\n")]
    rows = [(line, article) for line, article in zip(lines, _articles(lines), strict=True) if line]
    return Texts("wikitext2", tuple(line for line, _ in rows), tuple(article for _, article in rows))


@sources.register("squad")
def squad() -> Texts:
    """The 646 paragraphs of half of SQuAD 2.0's development set, grouped by article (CC BY-SA 4.0)."""
    rows = json.loads(_bundled("squad_dev_paragraphs.json"))["paragraphs"]
    return Texts("squad", tuple(r["text"].strip() for r in rows), tuple(r["article"] for r in rows))


def _bundled(name: str) -> str:
    # bytes, for text mode would translate line ends
    return files("todacomm").joinpath("data", name).read_bytes().decode("utf-8")


def _articles(lines: Sequence[str]) -> list[str]:
    """The article of each line.

    ``= Title =`` opens an article only between blank lines: wrapped formulas (``= 1 henry and capacitance C =``) look
    alike.
    """
    before, after = ("", *lines), (*lines[1:], "")
    current, found = "", []
    for line, above, below in zip(lines, before, after, strict=False):
        title = re.fullmatch(r"= ([^=].*[^=]|[^=]) =", line)
        current = title[1] if title and not above and not below else current
        found.append(current)
    return found


# The hub


@dataclass(frozen=True, slots=True)
class HubDataset:
    """A dataset of the hub, or a local directory that the ``datasets`` library reads.

    Between slashes: ``hf:name``, ``hf:owner/name`` or ``hf:owner/name/config`` (a configuration needs the owner); a
    path that begins with ``.`` or ``/`` is a local directory. After colons: the split, which may carry a slice, and the
    field; ``hf:owner/name::field`` leaves the split open.
    """

    source: str
    path: str
    config: str | None = None
    split: str | None = None
    field: str | None = None

    @classmethod
    def parse(cls, source: str) -> "HubDataset":
        where, *rest = re.split(r":(?![^\[]*\])", source.removeprefix(HUB))
        split, field = (part or None for part in (*rest, "", "")[:2])
        local = where.startswith((".", "/"))
        pieces = [where] if local else where.split("/")
        if not all(pieces) or len(pieces) > 3 or len(rest) > 2:
            raise InvalidTexts(f"'{source}' names no dataset of the hub; expected {HUB_FORM}, or hf:./directory")
        return cls(source, "/".join(pieces[:2]), pieces[2] if len(pieces) == 3 else None, split, field)

    @property
    def name(self) -> str:
        """The last part: the configuration where there is one."""
        return self.config or Path(self.path).absolute().name


def _from_hub(wanted: HubDataset) -> Texts:
    rows = _load(wanted)
    field = wanted.field or _default_field(wanted, rows.features)
    if field not in _string_fields(rows.features):
        raise InvalidTexts(f"{wanted.source}: '{field}' is not a field of strings. {_fields_there(rows.features)}")
    return Texts(wanted.name, stripped(rows[field]))


def _load(wanted: HubDataset) -> Any:
    try:
        import datasets
    except ModuleNotFoundError:
        raise MissingExtra("datasets", "models", f"the dataset '{wanted.source}'") from None
    split = wanted.split
    if split is None:
        with _hub_failures(wanted):
            there = datasets.get_dataset_split_names(wanted.path, wanted.config)
        split = _default_split(there, wanted)
    with _hub_failures(wanted):
        return datasets.load_dataset(wanted.path, wanted.config, split=split)


@contextmanager
def _hub_failures(wanted: HubDataset) -> Iterator[None]:
    """Turn every failure of the hub into InvalidTexts."""
    from datasets.exceptions import DatasetsError
    from huggingface_hub.errors import HfHubHTTPError

    # the bases of HfHubHTTPError are the errors of the HTTP client that the hub library uses
    failures: tuple[type[Exception], ...] = (OSError, ValueError, DatasetsError, *HfHubHTTPError.__bases__)
    try:
        yield
    except failures as error:
        raise InvalidTexts(
            f"the dataset '{wanted.source}' cannot be loaded: {' '.join(str(error).split())[:400]} "
            f"(expected {HUB_FORM}; wikitext2 and squad ship with todacomm and work offline)"
        ) from error


def _default_split(there: Sequence[str], wanted: HubDataset) -> str:
    usual = [name for name in SPLITS if name in there]
    if not usual and len(there) != 1:
        raise InvalidTexts(
            f"{wanted.source}: no split is called {', '.join(SPLITS)}. Splits: {', '.join(there) or 'none'}. "
            f"Name one with {HUB_FORM}"
        )
    return (*usual, *there)[0]


def _string_fields(features: Any) -> list[str]:
    return [name for name, feature in features.items() if getattr(feature, "dtype", None) in ("string", "large_string")]


def _fields_there(features: Any) -> str:
    return f"Fields of strings: {', '.join(_string_fields(features)) or 'none'}. Name one with {HUB_FORM}"


def _default_field(wanted: HubDataset, features: Any) -> str:
    strings = _string_fields(features)
    if FIELD in strings or len(strings) == 1:
        return FIELD if FIELD in strings else strings[0]
    raise InvalidTexts(f"{wanted.source}: no field is called '{FIELD}'. {_fields_there(features)}")
