"""Tables that sort and names that are markup, in a real browser, from disk."""

import pytest

from pages import browser_path
from report_profiles import four
from todacomm.comparison.compare import compare, renamed
from todacomm.report.comparison.comparison_sections import comparison_document
from todacomm.report.document.page import to_html
from todacomm.report.document.pieces import Document, Part, Table

pytest.importorskip("playwright")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(browser_path() is None, reason="no Chromium is installed")]

EVIL = "<img src=x onerror=\"document.title='hacked'\">"
HEADER = ("Model", "Interval", "Thousands", "Signed", "p", "Layer")
ROWS = (
    ("m10", "1.2 [1.0, 1.4]", "1,751,552", "-94 % [-95 %, -93 %]", "< 0.0001", "0.98 (layer_2) ○"),
    ("m9", "10.5 [2, 30]", "999", "+10.2 %", "0.04", "undefined"),
    ("M1", "undefined", "12,000.5", "–", "1e-05", "1.13 (layer_0)"),
    ("", "9 (no interval: too few)", "infinite", "0 %", "0.5", "–"),
)
SORTED = {
    "Model": ("ascending", ["M1", "m9", "m10", ""], ["m10", "m9", "M1", ""]),
    "Interval": ("descending", ["m9", "", "m10", "M1"], ["m10", "", "m9", "M1"]),
    "Thousands": ("descending", ["", "m10", "M1", "m9"], ["m9", "M1", "m10", ""]),
    "Signed": ("descending", ["m9", "", "m10", "M1"], ["m10", "", "m9", "M1"]),
    "p": ("descending", ["", "m9", "m10", "M1"], ["M1", "m10", "m9", ""]),
    "Layer": ("descending", ["M1", "m10", "m9", ""], ["m10", "M1", "m9", ""]),
}  # the first order, then the models from the top in it, and in the other one


@pytest.fixture
def opened(chromium, tmp_path):
    """Open a document as a page; what the browser complains of is in the list beside it."""
    pages = []

    def visit(document):
        (tmp_path / "report.html").write_text(to_html(document), encoding="utf-8")
        page, wrong = chromium.new_page(), []
        pages.append(page)
        page.on("console", lambda said: wrong.append(said.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto((tmp_path / "report.html").as_uri())
        return page, wrong

    yield visit
    for page in pages:
        page.close()


def test_a_press_on_a_head_sorts_by_its_column_the_other_way_and_back(opened):
    page, wrong = opened(Document("t", "", (Part("p", "P", (Table(HEADER, ROWS, sortable=True),)),)))

    def models():
        return [row.locator("td").first.inner_text() for row in page.locator("tbody tr").all()]

    as_they_came = models()
    for i, (head, (first, one_way, other_way)) in enumerate(SORTED.items()):
        button = page.get_by_role("button", name=head, exact=True)
        order = page.locator("thead th").nth(i)
        for pressed, sort, expected in (
            ("Enter", first, one_way),
            ("Space", {"ascending": "descending", "descending": "ascending"}[first], other_way),
            ("Enter", "none", as_they_came),
        ):
            button.press(pressed)
            assert (head, order.get_attribute("aria-sort"), models()) == (head, sort, expected)
    assert wrong == []


def test_only_one_column_is_said_to_be_sorted(opened):
    page, _ = opened(Document("t", "", (Part("p", "P", (Table(HEADER, ROWS, sortable=True),)),)))
    for head in ("Model", "p"):
        page.get_by_role("button", name=head, exact=True).click()
    orders = [th.get_attribute("aria-sort") for th in page.locator("thead th").all()]
    assert orders == ["none", "none", "none", "none", "descending", "none"]


def test_a_name_that_is_markup_is_read_in_every_chart_and_does_nothing(opened):
    names = [EVIL, "<b>x</b>", "a&amp;b", "$c$ %{y}"]
    models = [renamed(p, name) for p, name in zip(four(), names, strict=True)]
    page, wrong = opened(comparison_document([("", compare(models), {})]))
    page.wait_for_selector("html[data-ready='1']", state="attached")
    for chart, at_least in (("comparison_profiles", 4), ("comparison_tree", 4), ("comparison_expansion", 3)):
        texts = page.locator(f"[data-chart='{chart}'] svg text").all_text_contents()
        found = [name for name in names if any(name[:8] in text for text in texts)]
        assert len(found) >= at_least, (chart, texts)
    assert page.locator("main img, svg a, svg tspan[style*='bold']").count() == 0
    assert page.title().startswith("Comparison")
    assert wrong == []
