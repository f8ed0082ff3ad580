"""The page: what stands where, what is left out, and that nothing from outside is read as anything but text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from importlib.resources import files

import pytest

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.report.document.chart import Axis, Chart, Data, Panel, Series
from todacomm.report.document.loop_example import drawing, told
from todacomm.report.document.page import policy, to_html
from todacomm.report.document.pieces import Document, Drawing, Paragraph, Part, Picture, together

EVIL = "</script><script>alert(1)</script><!-- \u2028 & <b>"
TEMPLATES = files("todacomm.report") / "templates"
SCRIPTS = sorted(entry.name for entry in TEMPLATES.iterdir() if entry.name.endswith(".js"))


class Page(HTMLParser):
    """Tags with their attributes in order, and the content of each script."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.scripts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] == "script" and self.scripts[-1][1] == "":
            self.scripts[-1] = (self.scripts[-1][0], data)

    @property
    def policy(self):
        return next(a["content"] for tag, a in self.tags if a.get("http-equiv") == "Content-Security-Policy")

    @property
    def code(self):
        return [text for attributes, text in self.scripts if not attributes]

    @property
    def data(self):
        return json.loads(next(text for attributes, text in self.scripts if attributes.get("id") == "page-data"))

    def ids(self, tag="section"):
        return [a["id"] for t, a in self.tags if t == tag and "id" in a]


def chart(name="tree", **more):
    panel = Panel((Series((1, 2), (3, 4)),), Axis("x"), Axis("y"))
    return Chart(name, "Title", "Read it so.", (panel,), Data(("x",), (("1",), ("2",))), **more)


def document(*parts):
    return Document("A title", "A subtitle", parts)


def words(name, *pieces):
    return Part(name, name.title(), pieces or (Paragraph(f"words of {name}"),))


def explorer(**more):
    return {"kind": "layers", "metrics": [], "profiles": [], **more}


def test_a_page_without_anything_to_draw_has_no_script_and_allows_none():
    page = Page(to_html(document(words("answer"), words("terms"))))
    assert not page.scripts
    assert page.policy == policy(())
    assert page.policy.startswith("default-src 'none'")
    assert "script-src" not in page.policy


@pytest.mark.parametrize("explorers", [(), (explorer(),)], ids=["a chart", "an explorer"])
def test_the_policy_allows_the_scripts_of_the_page_and_nothing_else(explorers):
    page = Page(to_html(document(words("answer"), words("more", chart())), explorers))
    hashes = [base64.b64encode(hashlib.sha256(code.encode()).digest()).decode() for code in page.code]
    assert len(hashes) == len(page.scripts) - 1 >= 2
    assert re.findall(r"'sha256-([^']+)'", page.policy) == hashes
    assert "unsafe-eval" not in page.policy
    assert re.search(r"script-src ('sha256-[^']+'( |;))+", page.policy)
    assert not re.search(r"https?:|script-src[^;]*unsafe-inline", page.policy)


def test_the_scripts_of_an_explorer_come_with_it_alone():
    count = [
        len(Page(to_html(document(words("answer", chart())), given)).code)
        for given in ((), (explorer(),), (explorer(), explorer()))
    ]
    own = [name for name in SCRIPTS if name.startswith("layers")]
    assert count == [2, 2 + len(own), 2 + len(own)]


def test_text_from_outside_ends_no_script_and_arrives_as_it_was():
    html = to_html(
        Document(EVIL, EVIL, (words("answer", Paragraph(EVIL), chart()),)),
        [explorer(heading=EVIL, profiles=[{"label": EVIL}])],
    )
    page = Page(html)
    assert page.data["explorers"][0]["profiles"][0]["label"] == EVIL
    assert "alert(1)</script>" not in html
    assert len(page.scripts) == html.count("<script") == html.count("</script>")
    assert "\u2028" not in html.split("page-data")[1].split("</script>")[0]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_does_not_know_is_named(value):
    with pytest.raises(InvalidInput, match="give None"):
        to_html(document(words("answer")), [explorer(values=[value])])


@pytest.mark.parametrize("kind", ["layer", "core", "tables", "layers_panel"])
def test_an_unknown_explorer_lists_those_there_are(kind):
    with pytest.raises(UnknownName, match="Known: .*layers"):
        to_html(document(words("answer")), [explorer(kind=kind)])


def test_the_answer_and_the_warnings_stand_before_the_explorers_and_the_rest_after():
    names = [
        "first",
        "comparison-table",
        "terms",
        "comparison-warnings",
        "comparison-failures-1",
        "answer-0",
        "answers",
    ]
    page = Page(to_html(document(*map(words, names)), [explorer(), explorer(kind="layers")]))
    opening = ["first", "comparison-warnings", "comparison-failures-1", "answer-0"]
    assert page.ids() == [*opening, "explorer-0", "explorer-1", "comparison-table", "terms", "answers"]
    linked = [a["href"][1:] for tag, a in page.tags if tag == "a"]
    assert linked == page.ids()[len(opening) :]


def test_runs_are_folded_one_behind_another_and_none_of_their_parts_is_lost():
    own = {label: [words(name, Paragraph(label)) for name in ("answer", "layers")] for label in ("a <b>", "c")}
    parts = together([(label, (*of, words("terms"))) for label, of in own.items()])
    page = Page(to_html(document(*parts)))
    assert page.ids() == ["answer-0", "answer-1", "layers-0", "layers-1", "terms"]
    assert ["open" in a for tag, a in page.tags if tag == "details" and a.get("class") == "run"] == [True, False]
    assert [part.run for part in parts] == ["a <b>", "c", "a <b>", "c", ""]


def test_the_drawing_of_a_loop_stands_beside_the_answer_once():
    drawn = Part("a-loop", "What a loop is", (Drawing(drawing(), told()),))
    text = to_html(document(words("answer"), words("more"), drawn))
    assert text.count("<svg") == text.count("<aside>") == 1
    assert text.index('id="answer"') < text.index("<svg") < text.index('id="more"')
    assert "<aside>" not in to_html(document(words("answer"), words("more")))


def test_figures_that_an_explorer_shows_are_left_out_with_the_parts_that_they_empty(tmp_path):
    for name in ("kept", "gone"):
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    kept, gone = (Picture(tmp_path / f"{name}.png", name, "caption") for name in ("kept", "gone"))
    parts = words("answer"), words("both", kept, gone), words("empty", gone)
    page = Page(to_html(document(*parts), [{**explorer(), "shows": ["gone"]}]))
    images = [base64.b64decode(a["src"].split(",")[1]) for tag, a in page.tags if tag == "img"]
    assert images == [b"kept"]
    assert page.ids() == ["answer", "explorer-0", "both"]


def test_each_chart_has_a_figure_of_its_own_name_and_its_data():
    page = Page(to_html(document(words("answer"), words("a", chart()), words("b", chart(), chart("other")))))
    names = [a["data-chart"] for tag, a in page.tags if "data-chart" in a]
    assert names == ["tree", "tree-2", "other"]
    assert list(page.data["charts"]) == names
    told = page.data["charts"]["tree-2"]
    assert {key: told[key] for key in ("title", "how", "header", "rows")} == {
        "title": "Title", "how": "Read it so.", "header": ["x"], "rows": [["1"], ["2"]],
    }  # fmt: skip
    assert [(trace["x"], trace["y"]) for trace in told["traces"]] == [([1, 2], [3, 4])]


def test_the_page_loads_nothing():
    page = Page(to_html(document(words("answer", chart()), words("terms")), [explorer()]))
    for tag, attributes in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base"}
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "srcset", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:"))


@pytest.mark.parametrize("name", [*SCRIPTS, "page.css"])
def test_our_scripts_and_styles_are_short_and_write_no_markup(name):
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 400
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?:|@import|url\(", text
    )
    assert not re.search(r"</?script|</style|<!--", text)


def test_plotly_is_the_version_that_we_looked_at_and_compiles_no_code():
    vendor = files("todacomm.report") / "vendor"
    plotly = (vendor / "plotly-cartesian.min.js").read_text(encoding="utf-8")
    assert "plotly.js (cartesian - minified) v4.1.1" in plotly[:200]
    assert not re.search(r"\beval\(|new Function\(|</script|<!--", plotly)
    licence = (vendor / "LICENSE-plotly.txt").read_text(encoding="utf-8")
    assert "Plotly" in licence
    assert "Fair Oaks Labs" in licence
