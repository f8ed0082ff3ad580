"""The report on what a monitor saw of a training, from its record alone."""

import numpy as np
import pytest

import todacomm as td
from pages import browser_path
from small_studies import one_line
from todacomm.monitoring.numbers import numbers_of
from todacomm.records.monitoring import MONITORING_RECORD, MonitoredStep, Monitoring, append_lines
from todacomm.report.tracking.monitor_document import read_monitor, write_monitor_report

LAYERS = ("embedding", "layer_0")


@pytest.fixture
def watched(tmp_path):
    """Twelve steps of two layers, one of which collapses; one step is missing."""
    rng, recipe = np.random.default_rng(0), td.Recipe()
    about = Monitoring("mine", LAYERS, "lines", "0" * 64, "mean", recipe, 10, 0.05, ("*:relative_scale:ratio < 0.4",))
    MONITORING_RECORD.write(tmp_path, about)
    for t in range(12):
        spread = {"embedding": 1.0, "layer_0": 0.1 if t > 6 else 1.0}
        layers = {
            name: numbers_of(td.PointCloud(1 + size * rng.normal(size=(30, 4)), td.Address("m", "t", name)), recipe)
            for name, size in spread.items()
        }
        fired = ("layer_0:relative_scale:ratio < 0.4 (now 0.1)",) if t > 6 else ()
        row = MonitoredStep(10 * t, layers, {"loss": 3.0 - 0.1 * t} if t else {}, alerts=fired)
        append_lines(tmp_path, [MonitoredStep(50, missing="dropped: too many")] if t == 5 else [row])
    return tmp_path


@pytest.mark.slow
def test_its_figures_and_pages_are_made_of_the_record(todacomm, watched):
    code, said = todacomm("report", str(watched))[:2]
    assert code == 0, said
    text = (watched / "monitor.md").read_text()
    assert "1 rule; first alert: step 70: layer_0:relative_scale:ratio \\< 0.4 (now 0.1)." in text
    assert "1 step could not be measured" in text
    assert "median distance falls most at layer_0" in text.lower()
    assert "loss in nats on the same texts" not in text
    made = {path.name for path in (watched / "visualizations").glob("*.png")}
    assert {"monitor_mine_numbers.png", "track_mine_heat_scale.png", "track_mine_onsets.png"} <= made
    assert "Bands" not in text
    assert (watched / "report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_a_track_of_it_prints_the_onsets_and_makes_the_page(todacomm, watched, tmp_path):
    code, out, err = todacomm("track", watched)
    assert (code, err) == (0, "")
    text = one_line(out)
    assert "mine median distance layer_0 60 40 to 70" in text
    assert "first alert: step 70" in text
    assert "loss" not in text
    assert (watched / "report.html").exists()
    code, _, err = todacomm("track", watched, tmp_path / "other")
    assert code != 0
    assert "is what a monitor wrote" in err
    code, _, err = todacomm("track", watched, "--json")
    assert code != 0
    assert "measurements.jsonl" in err


@pytest.mark.slow
@pytest.mark.skipif(browser_path() is None, reason="no Chromium is installed")
@pytest.mark.parametrize("width", [1280, 390])
def test_the_slider_of_its_page_moves_over_the_measured_steps(chromium, watched, width):
    write_monitor_report(watched, read_monitor(watched))
    page, wrong = chromium.new_page(viewport={"width": width, "height": 900}), []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.goto((watched / "report.html").as_uri())
    page.wait_for_selector("html[data-ready='1']", state="attached")
    slider = page.get_by_label("Checkpoint", exact=True)
    assert slider.get_attribute("aria-valuetext") == "step 110"
    slider.press("ArrowLeft")
    assert slider.get_attribute("aria-valuetext") == "step 100"
    assert page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    assert wrong == []


def test_it_is_read_back_as_a_trajectory(watched):
    found = td.load(watched)
    assert found.steps == tuple(10 * t for t in range(12) if t != 5)
    assert found.layers == LAYERS
    assert [one.layer for one in td.onsets(found, ["relative_scale"]) if one.found] == ["layer_0"]
