"""Every architecture that can be built small agrees with a one-text-at-a-time reference, or is refused by name."""

from functools import cache
from pathlib import Path

import pytest
import transformers

from architectures import AGREES, LARGE, Outcome, outcome, planned, types

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


@cache
def rows() -> dict[str, tuple[str, ...]]:
    """The rows of the tables of docs/models.md, by type."""
    lines = [line[2:-2].split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {cells[0]: tuple(cells) for cells in lines if cells[0] not in ("Type", "-")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", types())
def test_an_architecture_agrees_with_its_reference_or_is_refused_in_a_sentence(name):
    """And the page says the same of it."""
    found = outcome(name)
    if found.model is None:
        assert found.unbuilt or (found.network in found.refused and "\n" not in found.refused)
    else:
        assert_agrees(found)
        cut = planned(name)
        assert (cut.kind, cut.probe.together) == (found.model.kind, found.model.probe.together)
    if PAGE.is_file() and f"transformers {transformers.__version__} " in PAGE.read_text():
        assert rows()[name] == tuple(cell.replace("|", "/") for cell in found.row())


def assert_agrees(found: Outcome) -> None:
    """Layers to 1e-4 of the norm of a point, automatic batches to 1e-5, the loss to 1e-4."""
    assert found.differs < AGREES
    assert found.batches < 1e-5
    assert (found.loss is not None) == (found.model is not None and found.model.predicts_next)
    assert found.loss is None or found.loss < AGREES


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_made_small_is_refused_before_it_is_run():
    for name in LARGE:
        assert "is in its configuration" in outcome(name).refused
