"""A Comparison as JSON: rows, pairs layer by layer, distances, likeness, correlations, the rules of a gate."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from todacomm.comparison.clustering import Likeness
from todacomm.comparison.compare import Comparison, How, ModelRow
from todacomm.comparison.diagram_tests import Apart
from todacomm.comparison.differences import Pair
from todacomm.comparison.gate import Judgement
from todacomm.core.errors import InvalidRecord
from todacomm.records.inference import interval_from
from todacomm.records.io import check_schema, read_json
from todacomm.records.typed_json import made, texts

SCHEMA = 1
COMPARISON = "comparison.json"
DIGITS = 10  # of distances and trees: what is beyond is rounding


def comparison_record(comparison: Comparison, verdicts: Sequence[str]) -> dict[str, Any]:
    """One comparison ready for JSON; ``verdicts`` is a sentence a pair."""
    pairs = zip(comparison.pairs, comparison.apart, verdicts, strict=True)
    return {
        "how": asdict(comparison.how),
        "rows": [asdict(row) for row in comparison.rows],
        "warnings": list(comparison.warnings),
        "pairs": [pair_record(pair, apart, verdict) for pair, apart, verdict in pairs],
        "likeness": likeness_record(comparison.likeness) if comparison.likeness else None,
        "correlations": [asdict(one) for one in comparison.correlations],
    }


def pair_record(pair: Pair, apart: Apart, verdict: str) -> dict[str, Any]:
    """One pair: what holds for all of it, then one record a layer."""
    return {
        "first": pair.first.model,
        "second": pair.second.model,
        "poolings": [pair.first.recipe.pooling, pair.second.recipe.pooling],
        "verdict": verdict,
        "how": pair.how,
        "because": pair.refused or pair.unpaired,
        "notes": list(pair.notes),
        "growths": {part: asdict(found) for part, found in pair.growths.items()},
        "no_growths": pair.ungrown,
        "grown": [asdict(growth) if growth else None for growth in pair.grown],
        "language": {name: list(both) for name, both in pair.language.items()},
        "blocks": {"number": apart.blocks[0], "texts": apart.blocks[1], "because": apart.untested},
        "no_cka": apart.missing,
        "layers": [layer_record(pair, apart, i) for i in range(len(pair.layers))],
    }


def layer_record(pair: Pair, apart: Apart, i: int) -> dict[str, Any]:
    """Two matched layers: every number, the distances of the diagrams, CKA."""
    return {
        "first": pair.layers[i].first,
        "second": pair.layers[i].second,
        "differences": {name: asdict(row[i]) for name, row in pair.differences.items()},
        "diagrams": {name: asdict(row[i]) for name, row in apart.diagrams.items()},
        "cka": apart.cka[i] if apart.cka else None,
    }


def likeness_record(found: Likeness) -> dict[str, Any]:
    """The distances, the tree and the families."""
    return {
        "models": list(found.models),
        "names": list(found.names),
        "distances": found.distances.round(DIGITS).tolist(),
        "tree": found.tree.round(DIGITS).tolist(),
        "order": list(found.order),
        "families": [asdict(one) for one in found.families],
    }


def gate_record(outcomes: Sequence[Judgement]) -> dict[str, Any]:
    """Every rule with what it found."""
    return {"passed": not any(one.fired for one in outcomes), "rules": [rule_record(one) for one in outcomes]}


def rule_record(found: Judgement) -> dict[str, Any]:
    """One rule: whether it fired, on what, or what came nearest."""
    return {
        "rule": found.rule.text,
        "fired": bool(found.fired),
        "found": [asdict(one) for one in found.fired],
        "nearest": asdict(found.nearest),
        "values": found.looked_at,
        "undefined": list(found.undefined),
    }


# Read again


@dataclass(frozen=True, slots=True, eq=False)
class StoredComparison:
    """What a record tells of a comparison by itself: its rows, what to bear in mind, what failed, a verdict a pair; no profiles."""

    comparison: Comparison
    verdicts: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sources:
    """What a comparison was made of: group → the model and the run of each profile, and how; which models had failed."""

    runs: Mapping[str, tuple[tuple[str, Path], ...]]
    how: Mapping[str, How]
    failures: Mapping[str, str]


def read_rows(directory: Path) -> dict[str, StoredComparison]:
    """Group → its rows and verdicts. InvalidRecord says what is wrong with the record."""
    with read(directory) as found:
        return {group: rows_from(row, failures_of(found)) for group, row in found["groups"].items()}


def read_sources(directory: Path) -> Sources:
    """What the comparison in ``directory`` can be made of again. InvalidRecord says what is wrong with the record."""
    with read(directory) as found:
        if "experiments" not in found:
            raise InvalidRecord(
                f"{directory / COMPARISON} does not name the runs that it is of: an earlier todacomm wrote it. "
                "Compare them again: todacomm compare RUN RUN …"
            )
        places = iter([directory / place for place in found["experiments"]])
        runs = {
            group: tuple((model, next(places)) for model in texts([row["model"] for row in part["rows"]], "models"))
            for group, part in found["groups"].items()
        }
        how = {group: made(How, part.get("how", {}), f"how of {group}") for group, part in found["groups"].items()}
        return Sources(runs, how, failures_of(found))


@contextmanager
def read(directory: Path) -> Iterator[Mapping[str, Any]]:
    """``comparison.json``; whatever is not as it should be is an InvalidRecord."""
    path = directory / COMPARISON
    found = read_json(path)
    check_schema(path, found, SCHEMA)
    try:
        yield found
    except (KeyError, TypeError, AttributeError, ValueError, StopIteration) as problem:
        raise InvalidRecord(f"{path} is not what todacomm writes ({problem!r}); compare the runs again") from problem


def failures_of(found: Mapping[str, Any]) -> dict[str, str]:
    """Model → why it gave no profile."""
    failures = {model: failed["message"] for model, failed in found["failures"].items()}
    return dict(zip(failures, texts(list(failures.values()), "failures"), strict=True))


def rows_from(found: Mapping[str, Any], failures: Mapping[str, str]) -> StoredComparison:
    """One group."""
    if not (rows := tuple(map(row_from, found["rows"]))):
        raise InvalidRecord("a comparison without a row")
    verdicts = texts([pair["verdict"] for pair in found.get("pairs", ())], "verdicts")
    return StoredComparison(Comparison((), rows, texts(found["warnings"], "warnings"), failures), verdicts)


def row_from(row: Mapping[str, Any]) -> ModelRow:
    """One profile in one line."""
    made_row = made(ModelRow, {name: value for name, value in row.items() if name != "intervals"}, "a row")
    intervals = {name: interval_from(one, name) for name, one in row.get("intervals", {}).items()}
    return replace(made_row, intervals=intervals)
