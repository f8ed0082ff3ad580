"""The page of a track in a real browser: the slider, the keys, a press on the heat map, the choice of a series."""

import pytest

from pages import browser_path
from todacomm.report.tracking.track_document import write_track_report
from tracked import findings

pytest.importorskip("playwright")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser_path() is None, reason="no Chromium is installed")]

PLOT = "document.querySelector(\"[data-chart='{}'] .js-plotly-plot\")"
SCALE = "median distance (activation units)"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    place = tmp_path_factory.mktemp("track")
    write_track_report(place, findings())
    return place / "report.html"


@pytest.fixture(params=[1280, 390])
def page(chromium, path, request):
    opened = chromium.new_page(viewport={"width": request.param, "height": 900})
    wrong = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.goto(path.as_uri())
    drawn(opened)
    yield opened
    assert wrong == []
    opened.close()


def drawn(page):
    page.wait_for_timeout(80)
    page.wait_for_selector("html[data-ready='1']", state="attached")


def chooser(page, label):
    """The list of this label in the bar of the slider."""
    return page.locator(".track-choices label", has=page.get_by_text(label, exact=True)).locator("select")


def profile(page):
    """The line of the profile along the layers, and its name."""
    return page.evaluate(f"(() => {{ const t = {PLOT.format('track-profile')}.data[2]; return [t.name, t.y]; }})()")


def test_the_page_opens_at_the_largest_change(page):
    assert page.locator("[data-chart='track-heat'] h3").inner_text() == f"{SCALE}, every layer at every step"
    assert page.locator("[data-chart='track-curve'] h3").inner_text() == f"{SCALE} of layer_0 along the steps"
    shades = page.evaluate(f"{PLOT.format('track-curve')}.layout.shapes.map(s => [s.type, s.x0, s.x1])")
    assert ["rect", 30, 50] in shades


def test_the_slider_moves_everything_and_the_keys_move_the_slider(page):
    slider = page.get_by_label("Checkpoint", exact=True)
    assert slider.get_attribute("aria-valuetext") == "step 70"
    name, late = profile(page)
    assert name == "step 70"
    slider.focus()
    page.keyboard.press("Home")
    drawn(page)
    assert slider.get_attribute("aria-valuetext") == "step 0"
    name, early = profile(page)
    assert name == "step 0"
    assert late[1] < 0.1 * early[1]
    page.keyboard.press("ArrowRight")
    drawn(page)
    assert profile(page)[0] == "step 10"
    cursor = page.evaluate(f"{PLOT.format('track-heat')}.layout.shapes[0].x0")
    assert cursor == 0.5


def test_a_press_on_the_heat_map_chooses_layer_and_step(page):
    plot = page.locator("[data-chart='track-heat'] .nsewdrag")
    plot.evaluate("e => e.scrollIntoView({ block: 'center' })")
    box = plot.bounding_box()
    page.mouse.click(box["x"] + box["width"] * 2.5 / 8, box["y"] + box["height"] * 2.5 / 3)
    drawn(page)
    assert chooser(page, "Layer").input_value() == "final"
    assert profile(page)[0] == "step 20"
    assert "of final along" in page.locator("[data-chart='track-curve'] h3").inner_text()


def test_another_series_and_number_are_chosen(page):
    chooser(page, "Series").select_option("second")
    drawn(page)
    chooser(page, "Number").select_option("participation ratio")
    drawn(page)
    assert page.locator("[data-chart='track-profile'] h3").inner_text() == "participation ratio along the layers"
    assert profile(page)[0] == "step 70"


def test_play_goes_through_the_checkpoints_and_stops_at_the_last(page):
    page.emulate_media(reduced_motion="no-preference")
    page.get_by_role("button", name="Play").click()
    page.wait_for_selector("output:text-is('step 20')")
    page.get_by_role("button", name="Pause").click()
    drawn(page)
    told = page.locator("output.grok-step").inner_text()
    page.wait_for_timeout(500)
    assert page.locator("output.grok-step").inner_text() == told != "step 70"
