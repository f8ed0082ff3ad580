"""The report on a track: its sentences, its charts, and what the page's slider moves over."""

import json

import pytest

from todacomm.report.document.page import to_html
from todacomm.report.document.pieces import to_markdown
from todacomm.report.tracking.numbers import is_log, step_axis
from todacomm.report.tracking.track_charts import track_charts
from todacomm.report.tracking.track_document import charts_of, context_of, track_document
from todacomm.report.tracking.track_explorer import track_explorer
from todacomm.report.tracking.track_sentences import sentences, warnings_of
from tracked import STEPS, findings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def found():
    return findings()


def test_the_answer_names_the_collapse_with_its_interval(found):
    first, *rest = sentences(found)
    assert first.startswith("first: median distance falls most at layer_0, from ")
    assert "begins after step 30 and by step 50 (95 % interval)." in first
    assert any(one.startswith("second: no layer shows a change") for one in rest)
    assert list(warnings_of(found)) == ["Not measured: lost: config.json is missing"]


def test_a_heat_map_has_every_layer_at_every_step(found):
    one = found.series[0]
    chart = next(c for c in track_charts.of(one, "track_heat") if c.name.endswith("_scale"))
    cells = chart.panels[0].cells
    assert len(cells.values) == 3
    assert cells.label == "log10 of median distance (activation units)"
    assert [10**v for v in cells.values[1]] == pytest.approx(one.trajectory.at("scale", "layer_0").tolist())
    assert len(chart.data.rows) == 3 * len(STEPS)
    assert cells.told[1][6][0] == "layer_0, checkpoint-60"


def test_the_page_has_the_numbers_of_the_trajectory(found):
    [payload] = track_explorer(found.series)
    assert json.loads(json.dumps(payload, allow_nan=False)) == payload
    first = payload["series"][0]
    assert first["steps"] == list(STEPS)
    assert first["numbers"][first["first"][0]]["key"] == "scale"
    assert first["layers"][first["first"][1]] == "layer_0"
    scale = next(n for n in first["numbers"] if n["key"] == "scale")
    assert scale["values"][3][1] == pytest.approx(found.series[0].trajectory["scale"][3, 1], rel=1e-4)
    assert scale["onsets"][1][::2] == [30, 50]
    assert {name for name in payload["shows"] if "heat" in name} <= {chart.name for chart in charts_of(found)}
    longest = [b - a for a, b in first["bars"][0][0]]
    assert longest == sorted(longest, reverse=True)


def test_the_document_holds_everything_that_was_found(found, tmp_path):
    document = track_document(found, context_of(found, []))
    text = to_markdown(document, tmp_path)
    for word in (
        "checkpoint-20 is checkpoint-10",
        "30 to 50",
        "runs/run_3",
        "todacomm track",
    ):
        assert word in text
    page = to_html(document, track_explorer(found.series))
    assert "Where two trainings part" in page
    assert "track-heat" in page
    assert 'data-chart="track_first_heat_scale"' not in page


def test_steps_spaced_by_their_logarithms_have_a_log_axis():
    assert is_log((0, 1, 2, 4, 8, 512, 1000, 143000))
    assert not is_log(STEPS)
    axis = step_axis((0, 1, 2, 4, 8, 512, 1000, 143000))
    assert (axis.kind, axis.bend) == ("bent", 1.0)
    assert step_axis(STEPS).kind == "linear"
