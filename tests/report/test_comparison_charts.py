"""Charts of a comparison: what figures show, every drawn number in the download, foreign names escaped."""

import json
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.cluster.hierarchy import dendrogram

from report_profiles import a_profile, four
from todacomm import measure
from todacomm.comparison.compare import compare
from todacomm.comparison.diagram_tests import DiagramDistance
from todacomm.core.recipe import Recipe
from todacomm.core.types import ModelCard
from todacomm.report.comparison import clustering_charts, pair_charts
from todacomm.report.comparison.all_charts import comparison_charts
from todacomm.report.comparison.comparison_charts import chosen_expansions
from todacomm.report.comparison.comparison_sections import comparison_document
from todacomm.report.document import page_renderer, style
from todacomm.report.document.chart import Axis, Chart, Panel, Series, exact
from todacomm.report.document.page import to_html
from todacomm.report.document.pieces import Document, Part, Table, to_markdown
from todacomm.report.document.style import PALETTE

EVIL = "<img src=x onerror=alert(1)>"


def on_page(chart):
    """A chart as the page draws it."""
    traces, layout = page_renderer.drawn(chart)
    return SimpleNamespace(traces=traces, layout=layout, data=chart.data, caption=chart.caption)


def charts_of(comparison):
    parts = comparison_document([("", comparison, {})]).parts
    return {piece.name: on_page(piece) for part in parts for piece in part.pieces if isinstance(piece, Chart)}


def named(chart, trace_name):
    return [trace for trace in chart.traces if trace.get("name") == trace_name and "hovertext" in trace]


def legend_of(chart):
    return [trace["name"] for trace in chart.traces if trace.get("showlegend", "name" in trace)]


@pytest.fixture(scope="module")
def profiles():
    """Three arrays of three layers: one as it is, one pushed at layer_0, one that is the same."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(24, 4))
    layers = {
        "embedding": base,
        "layer_0": 2 * base + rng.normal(size=base.shape),
        "layer_1": 3 * base + rng.normal(size=base.shape),
    }
    pushed = {**layers, "layer_0": layers["layer_0"] * np.array([30, 30, 30, 1])}
    card = ModelCard("", "causal", "pre-LN", 1, 2, 4, "", "")
    found = {"base": layers, "tuned": pushed, "same": layers}
    return [replace(measure(of, name=name, null_draws=0, resamples=20), card=card) for name, of in found.items()]


@pytest.fixture(scope="module")
def comparison(profiles):
    return compare(profiles)


@pytest.fixture(scope="module")
def charts(comparison):
    return charts_of(comparison)


def test_every_chart_of_a_comparison_stands_in_its_document_once(comparison, charts):
    found = [chart.name for chart in comparison_charts.of(comparison)]
    assert sorted(found) == sorted(charts)
    pairs = {"comparison_differences_1_base_vs_tuned", "comparison_differences_2_base_vs_same"}
    assert {"comparison_profiles", "comparison_expansion", "comparison_tree", "comparison_distances", *pairs} == set(
        found
    )


def test_models_without_claims_and_without_a_third_have_no_chart_of_pairs_and_no_tree():
    comparison = compare([a_profile(2, n=12, model=m, recipe=Recipe(components=6)) for m in "ab"])
    assert set(charts_of(comparison)) == {"comparison_profiles", "comparison_expansion"}


def test_charts_are_json_without_nan_even_where_layers_are_undefined():
    comparison = compare([*four(distinct=1)[:2], four()[2]])
    for chart in charts_of(comparison).values():
        json.dumps([chart.traces, chart.layout], allow_nan=False)


def test_every_chart_has_axes_with_names_and_says_how_to_read_it(charts):
    for chart in charts.values():
        assert len(chart.caption) > 60
        axes = {key: axis for key, axis in chart.layout.items() if key.startswith("xaxis")}
        last = max(axes, key=lambda key: int(key.removeprefix("xaxis") or 1))
        assert axes[last]["title"]["text"]


@pytest.mark.parametrize(
    "name", ["comparison_profiles", "comparison_expansion", "comparison_differences_1_base_vs_tuned"]
)
def test_every_number_drawn_is_in_the_data(charts, name):
    chart, along = charts[name], "x" if name == "comparison_expansion" else "y"
    told = np.array([float(cell) for row in chart.data.rows for cell in row if is_number(cell)])
    drawn = [v for t in chart.traces if t.get("hovertext") for v in t[along] if v is not None]
    assert len(drawn) >= 9
    if name == "comparison_differences_1_base_vs_tuned":  # the axis that reaches far bends its numbers
        drawn = [v for v in drawn if abs(v) < 1]
    assert all(np.isclose(told, v, rtol=1e-4).any() for v in drawn)


def is_number(cell):
    return cell.replace(".", "", 1).replace("-", "").replace("e", "").isdigit()


def test_a_model_has_one_colour_and_the_ninth_another_symbol():
    cards = [ModelCard(f"m{i}", "causal", "pre-LN", 1, 1, 6, "", "") for i in range(9)]
    models = [
        a_profile(1, n=10, seed=i, model=f"m{i}", recipe=Recipe(pooling="mean", components=6), card=c)
        for i, c in enumerate(cards)
    ]
    found = charts_of(compare(models))
    for i in range(9):
        lines = named(found["comparison_profiles"], f"m{i}")
        assert {t["line"]["color"] for t in lines} == {PALETTE[i % 8]}
        assert len(lines) == 4
    first, ninth = (named(found["comparison_profiles"], f"m{i}")[0] for i in (0, 8))
    assert first["marker"]["symbol"][0] != ninth["marker"]["symbol"][0]
    dots = [t for t in found["comparison_expansion"].traces if "marker" in t][:9]
    assert [t["marker"]["line"]["color"][0] for t in dots] == [PALETTE[i % 8] for i in range(9)]


def test_profiles_are_those_of_the_summary_along_relative_depth(profiles, charts):
    first = named(charts["comparison_profiles"], "base")[0]
    assert first["x"] == [0, 0.5, 1]
    assert first["y"] == pytest.approx(profiles[0]["H0_total_persistence_scaled"], rel=1e-4)
    interval = profiles[0].claims.intervals["layer_0"]["H0_total_persistence_scaled"]
    row = next(
        row for row in charts["comparison_profiles"].data.rows if row[3].startswith("H0") and row[4] == "layer_0"
    )
    assert [float(cell) for cell in row[7:9]] == pytest.approx([interval.low, interval.high], rel=1e-5)
    assert "layer_0, depth 0.5" in first["hovertext"][1]
    assert legend_of(charts["comparison_profiles"]) == ["base", "tuned", "same"]


def test_expansions_stand_with_their_intervals_on_log_axes(profiles, comparison, charts):
    chart = charts["comparison_expansion"]
    dots = [t for t in chart.traces if t["hoverinfo"] == "text"]
    for dot, expansion, row in zip(dots[:3], chosen_expansions(profiles), comparison.rows, strict=True):
        interval = row.intervals["expansion"]
        assert dot["x"][0] == pytest.approx(expansion.growth.ratio, rel=1e-4)
        assert dot["x"][0] + dot["error_x"]["array"][0] == pytest.approx(interval.high, rel=1e-3)
        assert dot["x"][0] - dot["error_x"]["arrayminus"][0] == pytest.approx(
            max(interval.low, dot["x"][0] / 10), rel=1e-3
        )
    axes = [chart.layout[f"xaxis{n}"] for n in ("", "2", "3", "4")]
    for axis, of in zip(axes, (dots[:3], dots[3:6], dots[6:9], dots[9:]), strict=True):
        low, high = axis["range"]
        assert axis["type"] == "log"
        for dot in of:
            assert low < math.log10(dot["x"][0]) < high


def test_a_doubtful_growth_is_hollow_and_an_undefined_one_is_said_in_a_word():
    sound = four()[0]
    doubtful = a_profile(
        3, n=20, model="loud", massive=["layer_0", "layer_1", "layer_2"], recipe=Recipe(pooling="mean", components=6)
    )
    compared = compare([replace(sound, expansions=()), replace(doubtful, expansions=doubtful.expansions[:1] * 2)])
    chart = charts_of(compared)["comparison_expansion"]
    undefined, hollow = [t for t in chart.traces if "hovertext" in t][:2]
    assert undefined["text"] == ["undefined"]
    assert hollow["marker"]["color"] == ["paper"]
    assert hollow["marker"]["line"]["color"] == [PALETTE[1]]
    assert chart.data.rows[0][-4:] == ("", "", "", "")


def test_layers_that_differ_are_filled_and_those_that_do_not_are_hollow(comparison, charts):
    pair = comparison.pairs[0]
    row = pair.differences["scale"]
    trace = next(t for t in charts["comparison_differences_1_base_vs_tuned"].traces if "hovertext" in t)
    differs = [d.adjusted is not None and d.adjusted <= 0.05 for d in row]
    assert differs == [False, True, False]
    assert trace["marker"]["color"] == ["paper", PALETTE[1], "paper"]
    shares = np.array([100 * d.relative.estimate for d in row])
    assert trace["y"] == pytest.approx([page_renderer.bent(share, 10) for share in shares], rel=1e-4)
    assert "differs" in trace["hovertext"][1]
    assert "no difference shown" in trace["hovertext"][0]


def test_a_doubtful_layer_is_crossed_and_an_undefined_one_is_left_out(profiles):
    rules = {"largest_variance_share": 0.8, "second_variance_share": 0.01, "dimension": 768}
    changes = {"embedding": rules, "layer_1": {"distinct_points": 1}}
    spoilt = tuple(
        replace(m, facts=replace(m.facts, **changes.get(m.address.layer, {}))) for m in profiles[1].measurements
    )
    chart = charts_of(compare([profiles[0], replace(profiles[1], measurements=spoilt)]))[
        "comparison_differences_1_base_vs_tuned"
    ]
    trace = next(t for t in chart.traces if t.get("hovertext"))
    assert trace["marker"]["symbol"] == ["x-thin", "circle", "x-thin"]
    assert next(t["y"] for t in chart.traces if t["hoverinfo"] == "skip" and t.get("x") == [-0.4, 2.4]) == [0, 0]
    assert [y is None for y in trace["y"]] == [False, False, True]
    assert "doubtful in either model" in legend_of(chart)
    assert "doubtful in either model" not in legend_of(
        charts_of(compare(profiles[:2]))["comparison_differences_1_base_vs_tuned"]
    )
    bands = [t for t in chart.traces if t.get("fill") and t["yaxis"] == "y"]
    assert [t["x"] for t in bands] == [[0, 1, 1, 0]]


def test_bands_are_one_polygon_a_run_of_layers():
    series = Series((0, 1, 2, 3), (0.5, None, 3, 4), low=(0, None, 2, 3), high=(1, None, 4, 5))
    bands = list(page_renderer.bands(Panel((series,), Axis(), Axis()), series))
    assert [(t["x"], t["y"]) for t in bands] == [([0, 0], [1, 0]), ([2, 3, 3, 2], [4, 5, 3, 2])]


def test_an_axis_that_reaches_far_is_linear_within_ten_per_cent_and_logarithmic_beyond():
    values = [-100.0, -10, -5, 0, 10, 100, 1000]
    assert [page_renderer.bent(v, 10) for v in values] == pytest.approx([-2, -1, -0.5, 0, 1, 2, 3])
    axis = pair_charts.difference_axis([-100.0, 400.0], [1200.0])
    assert axis.kind == "bent"
    assert axis.ticks == ((-100, "-100"), (-10, "-10"), (0, "0"), (10, "10"), (100, "100"), (1000, "1,000"))
    assert page_renderer.axis_of(axis, y="x", named=True)["tickvals"] == [-2, -1, 0, 1, 2, 3]
    assert pair_charts.difference_axis([-90.0, 299.0], [1200.0]).kind == "linear"


def test_distances_of_diagrams_and_cka_stand_below_the_differences(comparison, profiles):
    row = tuple(DiagramDistance(0.1 * i, 0.2 * i, p, p, 0.002) for i, p in enumerate((0.9, 0.01, 0.2)))
    apart = replace(comparison.apart[0], diagrams={"H0": row}, cka=(1.0, 0.75, None))
    chart = charts_of(replace(comparison, apart=(apart, comparison.apart[1])))["comparison_differences_1_base_vs_tuned"]
    far, bottleneck = named(chart, "H0 Wasserstein")[0], named(chart, "H0 bottleneck")[0]
    assert (far["y"], bottleneck["y"]) == ([0, 0.2, 0.4], [0, 0.1, 0.2])
    assert far["marker"]["color"] == ["paper", PALETTE[0], "paper"]
    assert chart.traces[-1]["y"] == [0, 0.25, None]
    assert [line[5] for line in chart.data.rows if line[2] == "1 - CKA"] == ["0", "0.25", ""]
    assert [line[-3] for line in chart.data.rows if line[2] == "H0 diagrams, Wasserstein"] == ["0.9", "0.01", "0.2"]


def test_the_tree_is_that_of_scipy():
    found = compare(four()).likeness
    theirs = dendrogram(found.tree, no_plot=True)
    ours = clustering_charts.joins_of(found)
    expected = [
        (x[1], sorted(((a - 5) / 10, (b - 5) / 10)), sorted((x[0], x[3])))
        for x, (a, _, b, _) in zip(theirs["dcoord"], theirs["icoord"], strict=True)
    ]
    assert sorted((j.far, sorted(j.places), sorted(j.starts)) for j in ours) == sorted(expected)
    assert set(ours[-1].members[0] + ours[-1].members[1]) == set(found.models)


def test_the_tree_names_its_models_and_marks_their_families():
    comparison = compare(four())
    found, chart = comparison.likeness, charts_of(comparison)["comparison_tree"]
    names = chart.layout["yaxis"]["ticktext"]
    assert [name.split(" (")[0] for name in names] == [found.models[i] for i in found.order]
    marked = [t for t in chart.traces if "name" in t and "hovertext" in t]
    told = {t["name"]: [text.split("<br>")[0] for text in t["hovertext"]] for t in marked}
    assert legend_of(chart) == [t["name"] for t in marked]
    assert set(told) == {"kind: masked", "kind: causal", "norm place: post-LN", "norm place: pre-LN"}
    assert sorted(told["kind: causal"]) == sorted(m for m in found.models if m.endswith("causal"))
    looks = [(t["marker"]["color"][0], t["marker"]["symbol"][0]) for t in marked]
    assert len({colour for colour, _ in looks}) == len({symbol for _, symbol in looks}) == 4


def test_the_matrix_holds_the_distance_of_each_pair():
    comparison = compare(four())
    found, chart = comparison.likeness, charts_of(comparison)["comparison_distances"]
    place = {model: i for i, model in enumerate(found.models)}
    assert len(chart.data.rows) == 6
    for one, other, far in chart.data.rows:
        assert float(far) == pytest.approx(found.distances[place[one], place[other]], rel=1e-5)
    z = chart.traces[0]["z"]
    assert [z[i][i] for i in range(4)] == [None] * 4


def test_language_is_drawn_where_correlations_are_made_and_nowhere_else(charts):
    def model(i, **more):
        card = ModelCard(f"m{i}", "causal", "pre-LN", 1, 2, 6, "", "")
        recipe = Recipe(pooling="mean", components=6)
        bits = {"bits_per_byte": 1 + i / 10}
        return a_profile(2, n=14, seed=i, model=f"m{i}", recipe=recipe, card=card, language=bits, **more)

    loud = model(5, massive=["embedding", "layer_0", "layer_1"])
    comparison = compare([*(model(i) for i in range(5)), loud])
    (chart,) = map(on_page, comparison_charts.of(comparison, "comparison_language"))
    rows = {row.model: row for row in comparison.rows}
    assert {row[0] for row in chart.data.rows} == {f"m{i}" for i in range(5)}
    for name, _, number, bits, value, *_ in chart.data.rows:
        if number == "expansion":
            assert (float(bits), float(value)) == pytest.approx(
                (rows[name].bits_per_byte, rows[name].expansion), rel=1e-5
            )
    assert "ρ" in chart.layout["annotations"][0]["text"]
    assert not [name for name in charts if "language" in name]


def test_cells_for_download_are_plain_numbers_and_empty_where_there_is_none():
    assert [exact(v) for v in (12345.678, 3, 1e-7, None, math.nan, math.inf)] == [
        "12345.678",
        "3",
        "1e-07",
        "",
        "",
        "",
    ]


def test_ticks_of_a_log_axis_are_few_and_at_round_numbers():
    assert style.log_ticks(0.8, 1.25) == [0.8, 1, 1.2]
    rng = np.random.default_rng(1)
    for low, high in zip(0.8 / 10 ** rng.uniform(0, 3, 200), 1.25 * 10 ** rng.uniform(0, 6, 200), strict=True):
        ticks = style.log_ticks(low, high)
        assert 2 <= len(ticks) <= 6
        assert all(low <= t <= high for t in ticks)
        assert 1 in ticks
        assert len({f"{t:g}" for t in ticks}) == len(ticks)


def test_markdown_has_the_figures_and_none_of_the_charts(comparison):
    text = to_markdown(comparison_document([("", comparison, {})]), Path())
    assert "## Which models are alike" in text
    assert "## Figures" not in text
    assert "## Where they differ" not in text


# Names from outside


def strings(value):
    """Every string within traces and layouts."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from strings(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from strings(inner)


def test_a_name_that_is_markup_reaches_every_chart_as_a_name(profiles):
    def called(p, name):
        return replace(
            p, measurements=tuple(replace(m, address=replace(m.address, model=name)) for m in p.measurements)
        )

    comparison = compare([called(p, f"{EVIL}{i}&%{{x}}") for i, p in enumerate(profiles)])
    for chart in charts_of(comparison).values():
        texts = [text for text in strings([chart.traces, chart.layout]) if text != page_renderer.BREAK]
        assert not [text for text in texts if "<" in text.replace(page_renderer.BREAK, "") or "&%" in text]
        assert any("&lt;img" in text for text in texts)
        assert not [
            key for trace in chart.traces for key in trace if key.endswith("template") and trace[key] != "%{z:.2f}"
        ]
    assert named(charts_of(comparison)["comparison_profiles"], "&lt;img src=x onerror=alert(1)&gt;0&amp;%{x}")
    assert charts_of(comparison)["comparison_profiles"].data.rows[0][0] == f"{EVIL}0&%{{x}}"
    assert "<img" not in to_html(comparison_document([("", comparison, {})]))


def test_plain_text_is_what_a_reader_of_tags_shows():
    assert page_renderer.plain("<b> & &lt;") == "&lt;b&gt; &amp; &amp;lt;"
    assert page_renderer.hover("a <b>", "", "c") == "a &lt;b&gt;<br>c"


# Tables


def table_page(*, sortable):
    rows = (("a", "1,000 [900, 1,100]"), ("b", "20"))
    return to_html(Document("t", "", (Part("p", "P", (Table(("model", "number"), rows, sortable=sortable),)),)))


def test_a_page_with_a_sortable_table_alone_has_one_script_and_its_hash():
    page = table_page(sortable=True)
    assert page.count("<script") == 1
    assert page.count("sha256-") == 1
    assert "<table data-sortable>" in page
    assert "noscript" not in page


def test_a_page_with_a_plain_table_has_no_script():
    page = table_page(sortable=False)
    assert "<script" not in page
    assert "sha256" not in page


def test_the_table_of_models_is_sortable_where_there_are_several():
    def tables(models):
        parts = comparison_document([("", compare(models), {})]).parts
        return [
            piece
            for part in parts
            if part.name == "comparison-table"
            for piece in part.pieces
            if isinstance(piece, Table)
        ]

    assert [table.sortable for table in tables(four())] == [True]
    assert [table.sortable for table in tables(four()[:1])] == [False]
