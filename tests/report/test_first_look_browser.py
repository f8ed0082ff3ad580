"""The page of two runs in a real browser: baselines, ticks, shares, noise, and the width of tables."""

import numpy as np
import pytest

import todacomm as td
from pages import browser_path
from report_profiles import four
from shapes import circle
from todacomm.comparison.compare import compare
from todacomm.core.value_types import Missing
from todacomm.report.comparison.comparison_sections import comparison_document
from todacomm.report.document.page import to_html
from todacomm.report.layers.layer_document import experiment_document
from todacomm.report.layers.layer_explorer import layers_explorer

pytest.importorskip("playwright")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser_path() is None, reason="no Chromium is installed")]

LABELS = ("sound", "doubtful at the embedding, pooling mean")
GROWTH = "document.querySelector(\"[data-chart='growth'] .js-plotly-plot\")"
PROFILE = "document.querySelector(\"[data-chart='profile'] .js-plotly-plot\")"


@pytest.fixture(scope="module")
def page(chromium, tmp_path_factory):
    """Two runs: the second has two distinct points at its embedding, so that its baseline is layer_0."""
    rng = np.random.default_rng(7)
    ring = 30 * np.pad(circle(60), ((0, 0), (0, 2))) + rng.standard_normal((60, 4))
    noise = rng.standard_normal((60, 4))
    two = np.arange(60)[:, None] % 2 * np.ones((1, 4))
    made = [
        td.measure({"embedding": first, "layer_0": 3 * noise, "layer_1": ring}, name=n, resamples=20, null_draws=19)
        for n, first in zip(LABELS, (noise[::-1], two), strict=True)
    ]
    without = [Missing("no clouds were kept")] * 2
    explorer = layers_explorer(made, without, without, LABELS)
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(to_html(experiment_document([(p, {}) for p in made]), [explorer]), encoding="utf-8")
    opened = chromium.new_page(viewport={"width": 1280, "height": 900})
    opened.goto(path.as_uri())
    drawn(opened)
    yield opened
    opened.close()


def drawn(page):
    page.wait_for_selector("html[data-ready='1']", state="attached")


def choose(page, which):
    page.locator("select[data-control='profile']").select_option(str(which))
    page.wait_for_timeout(50)
    drawn(page)


def test_runs_of_different_baselines_are_not_joined_in_one_chart(page):
    for which, baseline in enumerate(("embedding", "layer_0")):
        choose(page, which)
        figure = page.locator("[data-chart='growth']")
        assert figure.locator("h3").inner_text() == f"Expansion since {baseline}, split into scale and shape"
        lines = page.evaluate(f"{GROWTH}.data.filter(t => t.x.length > 1).length")
        assert lines == 3  # expansion, scale and shape of the run whose layers are chosen
        assert figure.locator(".note").inner_text().startswith(f"Not drawn: {LABELS[1 - which]} (its baseline is ")


def test_a_log_axis_has_round_ticks_that_do_not_touch(page):
    choose(page, 0)
    ticks = page.evaluate(f"{GROWTH}.layout.yaxis.ticktext")
    assert "1" in ticks
    assert 2 <= len(ticks) <= 5
    assert all(float(tick) == pytest.approx(float(f"{float(tick):.0e}")) for tick in ticks)
    boxes = page.evaluate(
        f"[...{GROWTH}.querySelectorAll('.ytick text')].map(t => t.getBoundingClientRect()).map(r => [r.top, r.bottom])"
    )
    apart = [abs(a[0] - b[0]) for i, a in enumerate(boxes) for b in boxes[:i]]
    assert min(apart) >= 0.8 * (boxes[0][1] - boxes[0][0])


def test_shares_are_not_cut_and_100_is_the_whole_alone(page):
    told = page.evaluate("document.querySelector(\"[data-chart='strip'] .js-plotly-plot\").data.map(t => t.text[0])")
    assert ["3.33", "100", "100"] in told  # 2 of 60 points are distinct at the embedding
    assert all(text == "100" or "." in text for row in told for text in row)


def test_noise_is_drawn_once_for_the_run_that_is_chosen(page):
    for which in (0, 1):
        choose(page, which)
        hatched = page.evaluate(f"{PROFILE}.data.filter(t => t.fillpattern && t.fillpattern.shape).length")
        assert hatched == 1
    assert "±" in page.locator("[data-chart='profile'] .how").inner_text()
    assert "∓" not in page.content()


def test_the_choice_of_a_run_shows_its_whole_name(page):
    choose(page, 1)
    select = page.locator("select[data-control='profile']")
    needed = page.evaluate(
        "text => { const c = document.createElement('canvas').getContext('2d'); "
        "c.font = getComputedStyle(document.querySelector(\"select[data-control='profile']\")).font; "
        "return c.measureText(text).width; }",
        LABELS[1],
    )
    assert select.bounding_box()["width"] > needed


def test_the_drawing_of_a_loop_stands_beside_the_answer_and_below_it_on_a_narrow_screen(page):
    answer, drawing = page.locator("#answer-0"), page.locator("#a-loop")
    assert drawing.bounding_box()["x"] > answer.bounding_box()["x"] + answer.bounding_box()["width"]
    page.set_viewport_size({"width": 390, "height": 844})
    assert drawing.bounding_box()["y"] > answer.bounding_box()["y"] + answer.bounding_box()["height"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1280, "height": 900})


def test_the_table_of_models_keeps_its_last_column_at_1280_pixels(chromium, tmp_path):
    path = tmp_path / "report.html"
    path.write_text(to_html(comparison_document([("", compare(four()), {})])), encoding="utf-8")
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(path.as_uri())
    beyond = page.evaluate(
        "[...document.querySelectorAll('#comparison-table .scroll')].map(s => s.scrollWidth - s.clientWidth)"
    )
    assert beyond == [0]
    page.close()
