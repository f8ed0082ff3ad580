"""Write and read comparisons: rows, pairs layer by layer, distances, clustering, correlations, gate rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import starmap
from pathlib import Path
from typing import Any

from todacomm.comparison.clustering import Clustering
from todacomm.comparison.compare import Comparison, How, ModelRow
from todacomm.comparison.diagram_tests import Apart
from todacomm.comparison.differences import Pair
from todacomm.comparison.gate import Judgement
from todacomm.core.errors import InvalidInput
from todacomm.records.files.codec import Format, Rest
from todacomm.records.files.fault_messages import Spot

COMPARISON = "comparison.json"
DIGITS = 10  # of distances and trees: the rest is rounding


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a model has no result."""

    message: str
    details: str = ""


def messages_of(failures: Mapping[str, Failed]) -> dict[str, str]:
    """Model → why it has no result."""
    return {model: failed.message for model, failed in failures.items()}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Group:
    """One comparison; only its rows and verdicts are read again, the rest is for other readers."""

    how: How = field(default_factory=How)
    rows: tuple[ModelRow, ...]
    warnings: tuple[str, ...]
    pairs: tuple[Mapping[str, Any], ...] = ()
    likeness: Mapping[str, Any] | None = None
    correlations: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        if not self.rows or not all(isinstance(pair.get("verdict"), str) for pair in self.pairs):
            raise InvalidInput("expected one row or more, and a verdict, which is a text, of each pair")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class ComparisonRecord:
    """All of ``comparison.json``.

    ``experiments``: the run of each row, None in older records; ``beside``: a ``gate`` where there are rules.
    """

    experiments: tuple[str, ...] | None = None
    groups: Mapping[str, Group]
    failures: Mapping[str, Failed]
    beside: Rest[Mapping[str, Any]]

    def __post_init__(self) -> None:
        count = sum(len(group.rows) for group in self.groups.values())
        if self.experiments is not None and len(self.experiments) != count:
            raise InvalidInput(f"{len(self.experiments)} experiments; expected {count}, one a row")

    def runs(self, directory: Path) -> dict[str, tuple[tuple[str, Path], ...]]:
        """Group → model and run of each row of the record in ``directory``. Raises InvalidRecord."""
        if self.experiments is None:
            spot = Spot(directory / COMPARISON, COMPARISON_RECORD.remedy)
            raise spot.fault("does not name the runs that it is of; expected experiments")
        places = iter([directory / place for place in self.experiments])
        return {name: tuple((row.model, next(places)) for row in of.rows) for name, of in self.groups.items()}


COMPARISON_RECORD = Format(
    ComparisonRecord, 1, "compare the runs again: todacomm compare RUN RUN …", COMPARISON, sealed=True
)


def group_of(comparison: Comparison, verdicts: Sequence[str]) -> Group:
    """Build one comparison; ``verdicts`` has a sentence a pair."""
    pairs = zip(comparison.pairs, comparison.apart, verdicts, strict=True)
    alike = {name: getattr(comparison, name) for name in ("how", "rows", "warnings", "correlations")}
    likeness = likeness_record(comparison.likeness) if comparison.likeness else None
    return Group(pairs=tuple(starmap(pair_record, pairs)), likeness=likeness, **alike)


def pair_record(pair: Pair, apart: Apart, verdict: str) -> dict[str, Any]:
    """Build one pair: what holds for all of it, then one record a layer."""
    return {
        "first": pair.first.model,
        "second": pair.second.model,
        "poolings": [pair.first.recipe.pooling, pair.second.recipe.pooling],
        "verdict": verdict,
        "how": pair.how,
        "because": pair.refused or pair.unpaired,
        "notes": pair.notes,
        "growths": pair.growths,
        "no_growths": pair.no_growths,
        "grown": pair.each_growth,
        "language": pair.language,
        "blocks": {"number": apart.blocks[0], "texts": apart.blocks[1], "because": apart.untested},
        "no_cka": apart.missing,
        "layers": [layer_record(pair, apart, i) for i in range(len(pair.layers))],
    }


def layer_record(pair: Pair, apart: Apart, i: int) -> dict[str, Any]:
    """Build two matched layers: every metric, diagram distances, CKA."""
    return {
        "first": pair.layers[i].first,
        "second": pair.layers[i].second,
        "differences": {name: row[i] for name, row in pair.differences.items()},
        "diagrams": {name: row[i] for name, row in apart.diagrams.items()},
        "cka": apart.cka[i] if apart.cka else None,
    }


def likeness_record(found: Clustering) -> dict[str, Any]:
    """Build distances, tree and groups."""
    return {
        "models": found.models,
        "names": found.names,
        "distances": found.distances.round(DIGITS).tolist(),
        "tree": found.tree.round(DIGITS).tolist(),
        "order": found.order,
        "families": found.families,
    }


def gate_record(outcomes: Sequence[Judgement]) -> dict[str, Any]:
    """Build the outcome of every gate rule."""
    return {"passed": not any(one.fired for one in outcomes), "rules": [rule_record(one) for one in outcomes]}


def rule_record(found: Judgement) -> dict[str, Any]:
    """Build one rule: whether it fired, on what, or what came nearest."""
    return {
        "rule": found.rule.text,
        "fired": bool(found.fired),
        "found": found.fired,
        "nearest": found.nearest,
        "values": found.looked_at,
        "undefined": found.undefined,
    }
