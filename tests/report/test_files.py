"""Markdown, pages and terminal tables: escaped, self-contained, narrow enough."""

import base64
import re
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from report_profiles import a_cloud, a_profile, four, rendered
from todacomm.comparison.compare import compare
from todacomm.core.errors import UnknownName
from todacomm.core.recipe import Recipe
from todacomm.core.types import Profile
from todacomm.records.runs import Record
from todacomm.report.document.page import to_html
from todacomm.report.document.pieces import (
    Bullets,
    Code,
    Document,
    Paragraph,
    Part,
    Picture,
    Table,
    Terms,
    escaped,
    sections,
    to_markdown,
)
from todacomm.report.layers.all_figures import write_figures
from todacomm.report.layers.layer_document import document, interpretation
from todacomm.report.render import (
    write_comparison_reports,
    write_document,
    write_experiment_reports,
)
from todacomm.report.terminal.table import legend, summary_table

EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)


def assert_self_contained(html: str) -> None:
    page = Page(html)
    assert not {tag for tag, _ in page.tags} & {"link", "iframe", "object", "embed", "base"}
    for tag, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")], tag
        for name in ("src", "href", "srcset", "data"):
            assert (attributes.get(name) or "#").startswith(("#", "data:")), f"{tag} loads {attributes[name]}"
    policy = next((a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy"), "")
    for script in re.findall("<script>(.*?)</script>", html, re.DOTALL):
        assert base64.b64encode(sha256(script.encode()).digest()).decode() in (policy or "")
    assert not re.search(r"url\(|@import", re.sub("<script.*?</script>", "", html, flags=re.DOTALL))


def write_reports(profile: Profile, context: dict, directory: Path) -> list[Path]:
    return write_document(document(profile, context), directory, "experiment_report.md")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    directory = tmp_path_factory.mktemp("experiment")
    profile = a_profile(3, n=20, model=EVIL, data="a|b *c*", distinct=2)
    figures = write_figures(profile, directory / "runs/run_0/visualizations")
    paths = write_reports(
        profile, {"figures": figures, "command": f"todacomm run --model '{EVIL}'"}, directory / "reports"
    )
    return directory, paths


def test_reports_are_written_and_nothing_half_written_is_left(page):
    directory, paths = page
    assert [p.name for p in paths] == ["experiment_report.md", "report.html"]
    assert sorted(p.name for p in (directory / "reports").iterdir()) == ["experiment_report.md", "report.html"]


def test_the_page_loads_nothing_and_runs_nothing(page):
    assert_self_contained(page[1][1].read_text())


def test_the_check_for_self_contained_pages_can_fail():
    for bad in (
        "<script>1</script>",
        '<img src="https://example.org/a.png">',
        '<p onclick="x()">',
        "<style>@import 'a'</style>",
    ):
        with pytest.raises(AssertionError):
            assert_self_contained(bad)


def test_names_are_escaped_in_the_page_and_shown_as_they_are(page):
    html = page[1][1].read_text()
    assert "<script" not in html
    assert EVIL in "".join(Page(html).words)


def test_names_are_escaped_in_markdown(page):
    text = page[1][0].read_text()
    outside = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    assert r"\<script\>" in outside
    assert not re.search(r"(?<!\\)<script", outside)
    assert r"a\|b \*c\*" in outside


def test_the_page_holds_every_figure_with_a_caption(page):
    directory, paths = page
    images = [a for tag, a in Page(paths[1].read_text()).tags if tag == "img"]
    files = sorted((directory / "runs/run_0/visualizations").iterdir())
    assert len(images) == len(files) == 5
    assert {base64.b64decode(a["src"].split(",")[1]) for a in images} == {f.read_bytes() for f in files}
    assert all(len(a["alt"]) > 40 for a in images)


def test_markdown_links_to_the_figures_from_where_it_lies(page):
    _, (markdown, _) = page
    targets = re.findall(r"!\[.*?\]\(<(.+?)>\)", markdown.read_text())
    assert len(targets) == 5
    assert all((markdown.parent / target).is_file() for target in targets)


def test_the_answer_is_the_first_part_and_reproduction_stands_near_the_end(page):
    ids = [a["id"] for tag, a in Page(page[1][1].read_text()).tags if tag == "section"]
    assert ids[0] == "answer"
    assert (
        ids.index("layers")
        < ids.index("figures")
        < ids.index("expansion")
        < ids.index("terms")
        < ids.index("reproduce")
    )


def test_every_table_scrolls_in_its_own_box(page):
    tags = Page(page[1][1].read_text()).tags
    for i, (tag, _) in enumerate(tags):
        if tag == "table":
            assert tags[i - 1][1]["class"] == "scroll"


def test_one_cloud_has_a_report(tmp_path):
    markdown, html = write_reports(a_cloud(), {"figures": write_figures(a_cloud(), tmp_path / "v")}, tmp_path)
    assert "## The answer" in markdown.read_text()
    assert len([1 for tag, _ in Page(html.read_text()).tags if tag == "img"]) == 2


def test_the_interpretation_has_no_figures_and_no_machinery():
    text = interpretation(a_profile(2, n=12))
    assert "![" not in text
    assert "How to run it again" not in text


def an_experiment(directory: Path, *profiles: Profile) -> str:
    records = []
    for i, profile in enumerate(profiles):
        run = directory / "runs" / f"run_{i}"
        (run / "visualizations").mkdir(parents=True)
        (run / "visualizations/tda_summary.png").write_bytes(b"a picture")
        manifest = {"command": "todacomm run --model m", "cross_checked": ["layer_0"], "versions": {"numpy": "2",
            "torch": None},
                    "texts": {"name": profile.data, "count": 12, "sha256": f"{i}" * 64}}  # fmt: skip
        records.append(Record(profile, manifest))
    paths = write_experiment_reports(directory, records, config="models: [m]\n")
    assert [p.relative_to(directory).as_posix() for p in paths] == [
        "reports/experiment_report.md",
        "reports/report.html",
    ]
    assert_self_contained(paths[1].read_text())
    return paths[0].read_text()


def test_an_experiment_tells_how_its_run_was_made(tmp_path):
    text = an_experiment(tmp_path, a_profile(1, n=12))
    for said in (
        "todacomm run --model m",
        "models: [m]",
        "12 of wikitext2",
        "0" * 64,
        "same bars at layer_0",
        "| numpy | 2 |",
    ):
        assert said in text
    assert "torch" not in text
    assert "(<../runs/run_0/visualizations/tda_summary.png>)" in text


def test_several_runs_share_one_report_with_all_answers_first(tmp_path):
    text = an_experiment(tmp_path, a_profile(1, n=12), a_profile(1, n=12, data="squad", seed=5))
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles[:2] == ["wikitext2, pooling last: The answer", "squad, pooling last: The answer"]
    assert titles.count("How to read this") == titles.count("How to run it again") == 1
    assert "squad, pooling last: Where the numbers come from" in titles
    assert "(<../runs/run_1/visualizations/tda_summary.png>)" in text


@pytest.mark.parametrize("text", ["# no heading", "- no list", "1. no list", "*b* _i_ `c` [l](u) <b> a|b \\"])
def test_markdown_shows_text_as_it_stands(text):
    from markdown_it import MarkdownIt

    parsed = MarkdownIt("commonmark").parse(escaped(text))
    assert [t.type for t in parsed] == ["paragraph_open", "inline", "paragraph_close"]
    assert "".join(c.content for c in parsed[1].children) == text


def test_layer_names_stay_legible_in_markdown():
    assert escaped("layer_3 and 38.7 times") == "layer_3 and 38.7 times"


def test_every_kind_of_piece_is_rendered_both_ways(tmp_path):
    picture = tmp_path / "p.png"
    picture.write_bytes(b"png")
    pieces = (Paragraph("P-plain"), Paragraph("P-answer", "answer"), Paragraph("P-warning", "warning"), Bullets(("B",)),
              Terms((("T", "meaning"),)), Table(("H", "N"), (("cell", "7"),)), Code("x ```` y"), Picture(picture,
                  "Title", "Caption"))  # fmt: skip
    written = Document("D", "S", (Part("p", "Part", pieces),))
    for text in (to_markdown(written, tmp_path), to_html(written)):
        for word in ("P-plain", "P-answer", "P-warning", "B", "meaning", "cell", "x ```` y", "Caption"):
            assert word in text
    assert "`````\nx ```` y\n`````" in to_markdown(written, tmp_path)


def test_an_unknown_section_suggests_a_neighbour():
    with pytest.raises(UnknownName, match="Did you mean 'expansion'"):
        sections["expantion"]


def test_the_terminal_table_fits_and_holds_every_layer():
    profile = a_profile(31, n=10, model="/a/very/long/path/" * 6, distinct=2, massive=["layer_7"])
    text = rendered(summary_table(profile))
    assert max(map(len, text.splitlines())) <= 100
    for layer in profile.layers:
        assert re.search(rf"^ *{layer} ", text, re.MULTILINE)
    assert "…" not in "".join(text.splitlines()[2:])


def test_no_column_of_the_terminal_table_is_lost_at_80_columns():
    lines = rendered(summary_table(a_profile(12, n=20, distinct=2, massive=["layer_11"])), width=80).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("embedding" in line and "undefined" in line and "×" in line for line in lines)
    assert any("layer_11" in line and "○" in line for line in lines)


def test_marks_of_the_terminal_table_are_explained():
    profile = a_profile(3, n=20, distinct=2, massive=["layer_1"])
    text = rendered(summary_table(profile))
    assert re.search(r"embedding .*undefined.*×", text)
    assert re.search(r"layer_1 .*○", text)
    assert legend(profile).splitlines() == [
        (
            f"○ doubtful: layer_1 (one dimension holds {profile.at('layer_1').facts.largest_variance_share:.0%} of the "
            "variance)"
        ),
        "× undefined: embedding (2 distinct points of 20)",
    ]
    assert legend(a_profile(1, n=10)) == ""


def test_names_are_no_markup_in_the_terminal():
    assert "[red]m[/red]" in rendered(summary_table(a_profile(1, n=10, model="[red]m[/red]")))
    assert "[b]x[/b]" in rendered(summary_table(a_cloud(20, layer="[b]x[/b]")))


def test_without_h1_the_terminal_table_has_no_column_for_it():
    assert "H1" not in rendered(summary_table(a_profile(1, n=10, recipe=Recipe(maxdim=0, components=6))))


def test_the_comparison_page_is_self_contained_and_shows_failures(tmp_path):
    comparison = compare(four(), failures={"<b>gpt2</b>": "the hub cannot be reached"})
    markdown, html = write_comparison_reports(tmp_path, {"wikitext2_mean": comparison})
    assert_self_contained(html.read_text())
    assert "<b>gpt2</b>: the hub cannot be reached" in "".join(Page(html.read_text()).words)
    assert "1 model failed" in markdown.read_text()
    tags = Page(html.read_text()).tags
    charts = {attributes.get("data-chart") for tag, attributes in tags if tag == "figure"}
    assert charts >= {"comparison_profiles", "comparison_expansion", "comparison_tree"}
    assert "img" not in {tag for tag, _ in tags}
    assert {p.name for p in (tmp_path / "visualizations").iterdir()} == {
        "comparison_profiles.png",
        "comparison_expansion.png",
        "comparison_tree.png",
        "comparison_distances.png",
    }


def test_several_comparisons_stand_in_one_document(tmp_path):
    groups = {f"wiki/text2_{pooling}": compare(four(pooling)[:2]) for pooling in ("mean", "last")}
    text = write_comparison_reports(tmp_path, groups)[0].read_text()
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert titles[:2] == ["wikitext2, pooling mean: The answer", "wikitext2, pooling last: The answer"]
    targets = re.findall(r"!\[.*?\]\(<(.+?)>\)", text)
    assert len(set(targets)) == 4
    assert all((tmp_path / target).is_file() for target in targets)


@pytest.mark.parametrize("scale", ["median", "rms"])
def test_the_terminal_table_gives_scale_free_numbers_once(scale):
    text = rendered(summary_table(a_profile(2, n=12, recipe=Recipe(components=6, scale=scale))), width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert all(head in text for head in ("H0/scale", "H1/scale", "H1 max/scale"))
    assert "…" not in text
    assert "H0 total" not in text
    assert "H1 total" not in text
