"""Write and read an Ablation: its numbers and verdicts, all that its report needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from todacomm.ablation.claims import Verdict
from todacomm.ablation.judge import Ablation, Numbers, Standing
from todacomm.ablation.settings import Setting
from todacomm.core.errors import InvalidInput
from todacomm.core.recipe import Recipe
from todacomm.records.comparisons import Failed
from todacomm.records.files.codec import Flat, Format, Whole

ABLATION = "ablation.json"


@dataclass(frozen=True, slots=True)
class Row:
    """One model under one setting, which ``factor`` and ``setting`` describe."""

    factor: str
    setting: str
    changed: Flat[Whole[Setting]]
    model: str
    numbers: Flat[Numbers]


def rows_of(found: Ablation) -> tuple[Row, ...]:
    """One row a setting and model, the base first."""
    return tuple(
        Row(setting.factor(found.base), setting.label(found.base), setting, model, numbers)
        for setting in found.settings
        for model, numbers in found.numbers[setting].items()
    )


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """A verdict under the setting with this label."""

    setting: str
    verdict: Flat[Whole[Verdict]]


@dataclass(frozen=True, slots=True)
class Statement:
    """One claim with its verdicts."""

    claim: str
    models: tuple[str, ...]
    stands: int
    judged: int
    base: Whole[Verdict]
    settings: tuple[VerdictRecord, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class AblationRecord:
    """All of ``ablation.json``."""

    command: str
    base: Setting
    recipe: Recipe
    baselines: Mapping[str, str]
    depths: Mapping[str, int] | None = None
    rows: tuple[Row, ...]
    claims: tuple[Statement, ...]
    failures: Mapping[str, Failed]
    versions: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = {row.changed.label(self.rows[0].changed) for row in self.rows}
        if not labels or not {one.setting for claim in self.claims for one in claim.settings} <= labels:
            raise InvalidInput("expected one row or more, and a row under the setting of each verdict")

    @property
    def ablation(self) -> Ablation:
        """The ablation; older records lack the depths."""
        numbers: dict[Setting, dict[str, Numbers]] = {}
        for row in self.rows:
            numbers.setdefault(row.changed, {})[row.model] = row.numbers
        settings = tuple(numbers)
        named = {setting.label(settings[0]): setting for setting in settings}
        standings = tuple(
            Standing(one.claim, one.models, one.base, {named[of.setting]: of.verdict for of in one.settings})
            for one in self.claims
        )
        return Ablation(settings, numbers, self.baselines, standings, self.recipe, self.depths)


ABLATION_RECORD = Format(AblationRecord, 1, "make the ablation again: todacomm ablate …", ABLATION, sealed=True)


def record_of(
    found: Ablation, failures: Mapping[str, Failed], command: str, versions: Mapping[str, Any]
) -> AblationRecord:
    """Build the record of settings, numbers, claims and verdicts."""
    alike = {name: getattr(found, name) for name in ("base", "recipe", "baselines", "depths")}
    claims = tuple(statement(one, found.base) for one in found.standings)
    beside: dict[str, Any] = {"failures": failures, "versions": versions}
    return AblationRecord(command=command, rows=rows_of(found), claims=claims, **alike, **beside)


def statement(found: Standing, base: Setting) -> Statement:
    """Build the record of one claim."""
    verdicts = tuple(VerdictRecord(setting.label(base), verdict) for setting, verdict in found.verdicts.items())
    return Statement(found.text, found.models, found.stands, found.judged, found.base, verdicts)
