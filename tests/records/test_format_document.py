"""docs/format.md is held to the declarations of the records: every key and every array that is written is told of."""

import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args

import pytest

from todacomm.records.ablations import ABLATION_RECORD
from todacomm.records.comparisons import COMPARISON_RECORD
from todacomm.records.files.codec import parts_of
from todacomm.records.inference import CLAIMS_RECORD
from todacomm.records.loops import LOOPS_RECORD
from todacomm.records.monitoring import MONITORING_RECORD, STEP_RECORD
from todacomm.records.runs import LAYER_RECORD, MANIFEST_RECORD
from todacomm.records.stability import STABILITY_PLAN, STABILITY_RECORD, STABILITY_SUMMARY
from todacomm.records.texts import TEXTS_RECORD
from todacomm.records.tracks import TRACK_RECORD
from todacomm.records.training import ABOUT_RECORD, DONE_RECORD, LINE_RECORD, PLAN_RECORD, TURNED_RECORD, Checkpoint
from todacomm.runs.training_results import SIGNATURE_RECORD

PAGE = Path(__file__).parents[2] / "docs" / "format.md"
WATCHED = (MONITORING_RECORD, STEP_RECORD)
TRAINING = ("Experiments of training",)
TOLD = [  # a record, and the sections that tell of its keys
    (LAYER_RECORD.kind, ("tda_summaries.json",)),
    (CLAIMS_RECORD.kind, ("tda_claims.json and claims.safetensors",)),
    (TEXTS_RECORD.kind, ("texts.json",)),
    (MANIFEST_RECORD.kind, ("manifest.json",)),
    (COMPARISON_RECORD.kind, ("comparison.json",)),
    (ABLATION_RECORD.kind, ("ablation.json", "manifest.json", "comparison.json")),
    (LOOPS_RECORD.kind, ("loops.json", "manifest.json")),
    *((record.kind, ("stability.json",)) for record in (STABILITY_PLAN, STABILITY_RECORD, STABILITY_SUMMARY)),
    *((record.kind, ("monitor.json and measurements.jsonl", "manifest.json")) for record in WATCHED),
    (TRACK_RECORD.kind, ("track.json",)),
    *((kind, TRAINING) for kind in (ABOUT_RECORD.kind, DONE_RECORD.kind, PLAN_RECORD.kind, SIGNATURE_RECORD.kind)),
    *((kind, TRAINING) for kind in (LINE_RECORD.kind, Checkpoint, TURNED_RECORD.kind)),
]


def sections(page: str) -> dict[str, str]:
    """The sections of a page by their headings."""
    return {part.split("\n", 1)[0]: part for part in re.split(r"^## ", page, flags=re.MULTILINE)}


def names_in(text: str) -> set[str]:
    """Every name in what is set as code."""
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", text))))


def kinds_in(hint: Any) -> list[type]:
    """The frozen types in a type."""
    return [hint] if is_dataclass(hint) else [kind for inner in get_args(hint) for kind in kinds_in(inner)]


def names_of(kind: type) -> set[str]:
    """The keys and the arrays of a record, those of what is in it among them."""
    parts = parts_of(kind)
    own = {part.name for part in parts if not part.marks & {"flat", "rest"}}
    return own.union(*(names_of(inner) for part in parts for inner in kinds_in(part.kind)))


def untold(kind: type, page: str, headings: tuple[str, ...]) -> set[str]:
    """What a page does not tell of a record in these sections."""
    found = sections(page)
    return names_of(kind) - set().union(*(names_in(found[heading]) for heading in headings))


@pytest.mark.parametrize(("kind", "headings"), TOLD, ids=lambda value: getattr(value, "__name__", ""))
def test_the_page_tells_of_every_key_and_array(kind, headings):
    assert untold(kind, PAGE.read_text(encoding="utf-8"), headings) == set()


def test_a_key_that_is_not_told_of_is_found():
    page = PAGE.read_text(encoding="utf-8")
    assert untold(CLAIMS_RECORD.kind, page.replace("`loop_groups`", "").replace("loop_groups", ""), TOLD[1][1]) == {
        "loop_groups"
    }
    assert untold(TEXTS_RECORD.kind, page.replace("`group_names`", "them"), ("texts.json",)) == {"group_names"}


def test_the_page_has_the_schemas():
    found = sections(PAGE.read_text(encoding="utf-8"))
    assert f"`schema` ({CLAIMS_RECORD.schema})" in found["tda_claims.json and claims.safetensors"]
    for record, heading in (
        (TEXTS_RECORD, "texts.json"),
        (LAYER_RECORD, "tda_summaries.json"),
        (LINE_RECORD, *TRAINING),
    ):
        assert f"`schema` ({record.schema})" in found[heading]
