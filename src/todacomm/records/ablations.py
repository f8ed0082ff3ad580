"""An Ablation as JSON, and read again: its numbers and verdicts, which is all that its report is made of."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from todacomm.ablation.claims import Verdict
from todacomm.ablation.judge import Ablation, Numbers, Standing
from todacomm.ablation.settings import FACTORS, Setting
from todacomm.core.errors import InvalidRecord
from todacomm.core.recipe import Recipe
from todacomm.records.io import check_schema, read_json
from todacomm.records.typed_json import made, texts

SCHEMA = 1
ABLATION = "ablation.json"


def ablation_record(found: Ablation) -> dict[str, Any]:
    """Settings, numbers, claims and verdicts, ready for JSON."""
    return {
        "base": asdict(found.base),
        "recipe": asdict(found.recipe),
        "baselines": dict(found.baselines),
        "depths": None if found.depths is None else dict(found.depths),
        "rows": list(found.rows()),
        "claims": [standing_record(found, s) for s in found.standings],
    }


def standing_record(found: Ablation, standing: Standing) -> dict[str, Any]:
    """One claim with its verdicts."""
    return {
        "claim": standing.text,
        "models": list(standing.models),
        "stands": standing.stands,
        "judged": standing.judged,
        "base": asdict(standing.base),
        "settings": [{"setting": s.label(found.base), **asdict(v)} for s, v in standing.verdicts.items()],
    }


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """An ablation with what else its record holds: the models that failed, with the message, and the command."""

    ablation: Ablation
    failures: Mapping[str, str]
    command: str


def read_ablation(directory: Path) -> Stored:
    """The ablation in ``directory``. InvalidRecord says what is wrong with its record."""
    path = directory / ABLATION
    found = read_json(path)
    check_schema(path, found, SCHEMA)
    try:
        failures = {model: failed["message"] for model, failed in found["failures"].items()}
        command, *_ = texts([found["command"], *failures.values()], "command and failures")
        return Stored(ablation_from(found), failures, command)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as problem:
        raise InvalidRecord(f"{path} is not what todacomm writes ({problem!r}); make the ablation again") from problem


def ablation_from(found: Mapping[str, Any]) -> Ablation:
    """The ablation that `ablation_record` wrote; of earlier records the depths are not known."""
    numbers: dict[Setting, dict[str, Numbers]] = {}
    for row in found["rows"]:
        setting = made(Setting, {name: row[name] for name in FACTORS}, "a setting")
        given = {f.name: row[f.name] for f in fields(Numbers) if f.name in row}
        numbers.setdefault(setting, {})[row["model"]] = made(Numbers, given, f"a row of {row['model']}")
    settings = tuple(numbers)
    named = {setting.label(settings[0]): setting for setting in settings[1:]}
    standings = tuple(standing_from(row, named) for row in found["claims"])
    recipe = made(Recipe, found["recipe"], "recipe")
    return Ablation(settings, numbers, found["baselines"], standings, recipe, found.get("depths"))


def standing_from(row: Mapping[str, Any], named: Mapping[str, Setting]) -> Standing:
    """One claim; ``named`` are the settings by their labels."""
    verdicts = {
        named[one["setting"]]: made(Verdict, {f.name: one[f.name] for f in fields(Verdict)}, row["claim"])
        for one in row["settings"]
    }
    claim, *models = texts([row["claim"], *row["models"]], "a claim")
    return Standing(claim, tuple(models), made(Verdict, row["base"], claim), verdicts)
