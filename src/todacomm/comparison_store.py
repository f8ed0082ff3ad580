"""A Comparison as JSON: rows, pairs layer by layer, distances, likeness, correlations, the rules of a gate."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from todacomm.blocks import Apart
from todacomm.comparison import Comparison
from todacomm.gate import Judgement
from todacomm.likeness import Likeness
from todacomm.pairing import Pair

DIGITS = 10  # of distances and trees: what is beyond is rounding


def comparison_record(comparison: Comparison, verdicts: Sequence[str]) -> dict[str, Any]:
    """One comparison ready for JSON; ``verdicts`` is a sentence a pair."""
    pairs = zip(comparison.pairs, comparison.apart, verdicts, strict=True)
    return {
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
