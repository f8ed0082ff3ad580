"""The pages in a real browser, from disk: what is drawn, what a click changes, that nothing is fetched and nothing runs
from a text.

Screenshots are kept in ``screenshots/`` beside the tests' working directory, or in ``$TODACOMM_SCREENSHOTS``.
"""

import json
import os
from contextlib import contextmanager
from pathlib import Path

import pytest

from pages import HOSTILE, KINDS, browser_path, make_pages
from todacomm.report.document.chart import Axis, Chart, Data, Panel, Series
from todacomm.report.document.page import to_html
from todacomm.report.document.pieces import Document, Paragraph, Part, together

pytest.importorskip("playwright")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser_path() is None, reason="no Chromium is installed")]

WIDTHS = {"wide": (1280, 900), "narrow": (390, 844)}
DATA = (
    "name => document.querySelector(`[data-chart='${name}'] .js-plotly-plot`)"
    ".data.map(t => [t.name, t.x, t.y, t.visible])"
)
CURSOR = "document.querySelector(\"[data-chart='training'] .grok-cursor\").style.transform"
SERIOUS = ("serious", "critical")


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    return make_pages(tmp_path_factory.mktemp("pages"))


@pytest.fixture
def opened(chromium, pages):
    """Open a page as a user would; everything that went wrong is in ``page.wrong`` and must be nothing at the end."""

    @contextmanager
    def visit(kind, *, size="wide", scheme="light"):
        width, height = WIDTHS[size]
        context = chromium.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.set_offline(True)
        page, wrong = context.new_page(), []
        page.on("console", lambda said: wrong.append(said.text) if said.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.on(
            "request",
            lambda asked: None if asked.url.startswith(("file:", "data:", "blob:")) else wrong.append(asked.url),
        )
        page.goto(pages[kind].resolve().as_uri())
        drawn(page)
        yield page
        drawn(page)
        assert wrong == []
        context.close()

    return visit


def drawn(page):
    """Wait until everything is drawn; by a selector, since the page forbids what waits by a script."""
    page.wait_for_selector("html[data-ready='1']", state="attached")


def unfold(page):
    """Open what is folded away, and wait until it is drawn."""
    page.evaluate("document.querySelectorAll('details.run').forEach(run => { run.open = true; })")
    page.wait_for_timeout(300)
    drawn(page)


def keep(page, name):
    """Save the whole page as a picture to be looked at."""
    place = Path(os.environ.get("TODACOMM_SCREENSHOTS", "screenshots"))
    place.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=place / f"{name}.png", full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_opens_offline_at_both_widths_in_both_schemes(opened, kind, size, scheme):
    with opened(kind, size=size, scheme=scheme) as page:
        unfold(page)
        charts = page.evaluate(
            "[...document.querySelectorAll('[data-chart]')].map(f => [f.dataset.chart, !!f.querySelector('.main-svg')])"
        )
        assert len(charts) >= 4
        assert [name for name, drawn in charts if not drawn] == []
        wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.evaluate(wider) <= 0
        assert page.evaluate("document.querySelectorAll('link, iframe, object, embed, form').length") == 0
        keep(page, f"{kind}_{size}_{scheme}")


def test_a_run_that_is_folded_away_is_drawn_when_it_is_opened(chromium, tmp_path):
    panel = Panel((Series((1.0, 2.0), (3.0, 4.0)),), Axis("x"), Axis("y"))
    whole = Chart("tree", "Title", "Read it so.", (panel,), Data(("x",), (("1",),)))
    runs = [
        (label, (Part("answer", "Answer", (Paragraph(label),)), Part("figures", "Figures", (whole, Paragraph(label)))))
        for label in ("first", "second")
    ]
    path = tmp_path / "page.html"
    path.write_text(to_html(Document("Two runs", "", together(runs))), encoding="utf-8")
    drawn = "[...document.querySelectorAll('[data-chart]')].map(f => !!f.querySelector('.main-svg'))"
    page = chromium.new_page()
    page.goto(path.as_uri())
    page.wait_for_selector("html[data-ready='1']")
    assert page.evaluate(drawn) == [True, False]
    page.locator("details.run > summary").nth(1).click()
    page.wait_for_selector("details.run:nth-of-type(2) .main-svg")
    page.goto(f"{path.as_uri()}#figures-1")
    page.reload()
    page.wait_for_selector("html[data-ready='1']")
    assert page.evaluate("[...document.querySelectorAll('details.run')].map(run => run.open)") == [True, True]


@pytest.mark.parametrize("kind", KINDS)
def test_every_chart_has_a_reading_and_its_data_and_figure_to_take_away(opened, kind):
    with opened(kind) as page:
        unfold(page)
        for figure in page.query_selector_all("figure[data-chart]"):
            assert len(figure.query_selector("figcaption").inner_text()) > 40
            names = {button.get_attribute("data-download") for button in figure.query_selector_all("[data-download]")}
            assert names == {"csv", "svg"}


@pytest.mark.parametrize("kind", KINDS)
def test_data_and_figure_are_downloaded_without_a_network(opened, kind, tmp_path):
    with opened(kind) as page:
        for form in ("csv", "svg"):
            button = page.locator(f"[data-download='{form}']").first
            button.focus()
            with page.expect_download() as started:
                page.keyboard.press("Enter")
            path = tmp_path / started.value.suggested_filename
            started.value.save_as(path)
            told = path.read_text(encoding="utf-8")
            assert path.suffix == f".{form}"
            if form == "svg":
                assert told.startswith("<svg")
            else:
                rows = told.splitlines()
                assert len(rows) > 3
                assert len({row.count(",") for row in rows if '"' not in row}) == 1


@pytest.mark.parametrize("kind", ["run", "compare"])
def test_choosing_a_layer_changes_the_diagram_and_all_that_is_beside_it(opened, kind):
    names = ("diagram", "barcode", "betti", "cloud")
    with opened(kind) as page:
        for name in names:
            page.locator(f"[data-chart='{name}']").scroll_into_view_if_needed()
        before = {name: page.evaluate(DATA, name) for name in names}
        page.locator("[data-layer='layer_2']").first.click()
        drawn(page)
        after = {name: page.evaluate(DATA, name) for name in names}
        assert [name for name in names if before[name] == after[name]] == []
        page.locator("[data-layer='layer_2']").first.focus()
        page.keyboard.press("ArrowRight")
        drawn(page)
        assert page.locator("[data-layer='layer_3']").first.get_attribute("aria-checked") == "true"
        assert page.evaluate(DATA, "diagram") != after["diagram"]


def test_a_click_on_a_point_of_the_profile_chooses_its_layer(opened):
    with opened("run") as page:
        chosen = "document.querySelector('[data-layer][aria-checked=true]').dataset.layer"
        before = page.evaluate(chosen)
        points = page.locator("[data-chart='profile'] .scatterlayer .trace .point")
        other = 0 if before not in ("embedding", "layer_0") else 3  # a layer without a number has no point
        points.nth(other).scroll_into_view_if_needed()
        box = points.nth(other).bounding_box()
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        drawn(page)
        assert page.evaluate(chosen) != before


def test_a_model_is_taken_out_and_put_back(opened):
    count = "document.querySelectorAll(\"[data-chart='profile'] .scatterlayer .trace\").length"
    with opened("compare") as page:
        both = page.evaluate(count)
        box = page.locator("input[type=checkbox][data-profile]").nth(1)
        box.uncheck()
        drawn(page)
        one = page.evaluate(count)
        assert 0 < one < both
        box.check()
        drawn(page)
        assert page.evaluate(count) == both


def test_a_table_of_models_is_sorted_by_a_column(opened):
    with opened("compare") as page:
        table = page.locator("table[data-sortable]").first
        first = "table => [...table.tBodies[0].rows].map(row => row.cells[0].innerText)"
        table.locator("th").nth(0).get_by_role("button").click()
        up = table.evaluate(first)
        table.locator("th").nth(0).get_by_role("button").click()
        assert table.evaluate(first) == up[::-1]
        assert table.locator("th").nth(0).get_attribute("aria-sort") == "descending"


def test_the_slider_moves_diagram_clock_and_cursor_together(opened):
    with opened("grok") as page:
        slider = page.locator("#step")
        names = ("diagram", "clock")
        seen = []
        for key in ("Home", "End", "ArrowLeft"):
            slider.focus()
            page.keyboard.press(key)
            drawn(page)
            seen.append(({name: page.evaluate(DATA, name) for name in names}, page.evaluate(CURSOR)))
        for (charts, cursor), (others, moved) in ((seen[0], seen[1]), (seen[1], seen[2])):
            assert [name for name in names if charts[name] == others[name]] == []
            assert cursor != moved
        assert "step" in slider.get_attribute("aria-valuetext")


@pytest.mark.parametrize("kind", ["run", "compare"])
def test_a_text_is_shown_and_does_nothing(opened, pages, kind):
    with opened(kind) as page:
        assert page.evaluate("window.hacked") is None
        payload = json.loads(page.locator("#page-data").text_content())
        shown = payload["explorers"][0]["profiles"][0]["texts"]["items"]
        assert [text.split()[0] for text in HOSTILE] == [text.split()[0] for text in shown[: len(HOSTILE)]]
        assert page.evaluate("document.querySelectorAll('img:not([src^=\"data:\"])').length") == 0
        page.locator("[data-chart='cloud']").scroll_into_view_if_needed()
        for point in page.locator("[data-chart='cloud'] .scatterlayer .point").all()[:40]:
            box = point.bounding_box()
            page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        assert page.evaluate("window.hacked") is None
    source = pages[kind].read_text(encoding="utf-8")
    assert not any(text in source for text in HOSTILE)


def test_a_point_on_a_loop_and_a_loop_on_its_ribbon_tell_their_texts(opened):
    told = "name => document.querySelector(`[data-chart='${name}'] .hoverlayer`).textContent"
    with opened("loops") as page:
        for name, words in (("loops_layer_1_cycle_1", ("point ", "<b>")), ("loops_ribbon", ("winding number", "ww"))):
            points = page.locator(f"[data-chart='{name}'] .scatterlayer .point")
            points.first.scroll_into_view_if_needed()
            said = []
            for point in points.all()[:12]:
                box = point.bounding_box()
                page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
                page.wait_for_timeout(80)
                said.append(page.evaluate(told, name))
            assert all(any(word in one for one in said) for word in words), said
        assert page.evaluate("window.hacked") is None


def test_texts_stand_around_a_loop_where_there_is_room_and_their_numbers_where_there_is_none(opened):
    written = "document.querySelectorAll(\"[data-chart='loops_layer_1_cycle_1'] .annotation-text\")"
    for size, fits in (("wide", lambda text: text.startswith(("w", "<", "-"))), ("narrow", str.isdigit)):
        with opened("loops", size=size) as page:
            texts = page.evaluate(f"[...{written}].map(text => text.textContent)")
            assert sum(map(fits, texts)) == 12


def test_the_clock_turns_by_its_slider_and_plays_once_around(opened):
    told = "document.querySelector('.frames-told').textContent"
    with opened("probe") as page:
        slider = page.locator("input[type=range]")
        before = page.evaluate(DATA, "clock")
        slider.focus()
        page.keyboard.press("ArrowRight")
        drawn(page)
        assert page.evaluate(DATA, "clock") != before
        assert slider.get_attribute("aria-valuetext") == page.evaluate(told) == "words turned by 60°, answers by 57°"
        button = page.get_by_role("button", name="Play")
        button.click()
        assert page.get_by_role("button", name="Pause").count() == 1
        page.locator(".frames-told", has_text="words turned by 0°").wait_for()
        page.get_by_role("button", name="Play").wait_for()
        drawn(page)
        assert page.evaluate(DATA, "clock") == before


def test_where_motion_is_to_be_reduced_frames_stand_longer(chromium, pages):
    context = chromium.new_context(reduced_motion="reduce")
    page = context.new_page()
    page.goto(pages["probe"].resolve().as_uri())
    drawn(page)
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(900)
    assert page.locator("input[type=range]").input_value() == "0"
    context.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_policy_lets_no_script_in_and_nothing_out(chromium, pages, kind):
    context = chromium.new_context()
    page, refused = context.new_page(), []
    page.on("console", lambda said: refused.append(said.text))
    page.goto(pages[kind].resolve().as_uri())
    drawn(page)
    page.evaluate(
        "document.head.append(Object.assign(document.createElement('script'), {textContent: 'window.hacked = 1'}))"
    )
    page.evaluate("new Image().src = 'http://127.0.0.1:9/'; fetch('http://127.0.0.1:9/').catch(() => 0)")
    page.evaluate("document.body.append(Object.assign(document.createElement('iframe'), {src: 'http://127.0.0.1:9/'}))")
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked = 2\">')")
    page.wait_for_timeout(200)
    assert page.evaluate("window.hacked") is None
    assert sum("Content Security Policy" in said for said in refused) >= 5
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing_serious(opened, kind, scheme):
    import axe_playwright_python

    script = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text(encoding="utf-8")
    with opened(kind, scheme=scheme) as page:
        page.evaluate(script)
        found = page.evaluate("axe.run()")["violations"]
        serious = [(v["id"], [n["html"][:120] for n in v["nodes"]][:3]) for v in found if v["impact"] in SERIOUS]
        assert serious == []


def test_printed_it_has_every_chart_and_no_buttons(opened):
    with opened("run") as page:
        page.emulate_media(media="print")
        drawn(page)
        assert page.locator("[data-download]:visible").count() == 0
        assert (
            page.locator("figure[data-chart] .main-svg:visible").count() >= page.locator("figure[data-chart]").count()
        )
