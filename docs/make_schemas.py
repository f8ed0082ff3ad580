"""Write the JSON Schema of every record that is JSON to src/todacomm/records/schemas.

python docs/make_schemas.py
"""

import json
from pathlib import Path
from typing import Any

from todacomm.records.ablations import ABLATION_RECORD
from todacomm.records.comparisons import COMPARISON_RECORD
from todacomm.records.files.codec import Format
from todacomm.records.files.json_schema import json_schema, schema_of_numbers
from todacomm.records.inference import CLAIMS_RECORD
from todacomm.records.loops import LOOPS_RECORD
from todacomm.records.monitoring import LINES, MONITORING_RECORD, STEP_RECORD
from todacomm.records.probes import PROBE_RECORD
from todacomm.records.runs import LANGUAGE, LAYER_RECORD, MANIFEST_RECORD, METRICS, SUMMARIES
from todacomm.records.stability import STABILITY_PLAN, STABILITY_RECORD, STABILITY_SUMMARY
from todacomm.records.texts import TEXTS_RECORD
from todacomm.records.tracks import TRACK_RECORD
from todacomm.records.training import ABOUT_RECORD, DONE_RECORD, LINE_RECORD, PLAN_RECORD, RECORDS, TURNED_RECORD
from todacomm.runs.training_results import SIGNATURE_RECORD

PLACE = Path(__file__).parents[1] / "src" / "todacomm" / "records" / "schemas"
OF_FILES = (
    *(ABLATION_RECORD, ABOUT_RECORD, CLAIMS_RECORD, COMPARISON_RECORD, DONE_RECORD, LOOPS_RECORD, MANIFEST_RECORD),
    *(MONITORING_RECORD, PLAN_RECORD, PROBE_RECORD, SIGNATURE_RECORD, STABILITY_PLAN, STABILITY_RECORD),
    *(STABILITY_SUMMARY, TEXTS_RECORD, TRACK_RECORD, TURNED_RECORD),
)
OF_PARTS = {SUMMARIES: LAYER_RECORD, RECORDS: LINE_RECORD, LINES: STEP_RECORD}  # of a layer, and of a line
RECORD_OF: dict[str, Format[Any]] = {record.file: record for record in OF_FILES} | OF_PARTS


def schemas() -> dict[str, dict[str, Any]]:
    """The name of a file, or of one whose lines are records, to its JSON Schema."""
    found = {
        file: json_schema(record, Path(file).stem, by_layer=file == SUMMARIES) for file, record in RECORD_OF.items()
    }
    return found | {METRICS: schema_of_numbers(Path(METRICS).stem, LANGUAGE)}


def written() -> dict[str, str]:
    """The name of each file of a schema to its content."""
    return {
        f"{Path(file).stem}.schema.json": json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        for file, found in schemas().items()
    }


if __name__ == "__main__":
    PLACE.mkdir(exist_ok=True)
    for name, text in written().items():
        (PLACE / name).write_text(text, encoding="utf-8")
