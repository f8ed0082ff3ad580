"""Laws of every registered chart: one description, of which figure, page and download show the same numbers."""

import json
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.colors import same_color

from grok_directories import judged, write_training, write_turned
from stored import a_probe, an_ablation
from todacomm import measure
from todacomm.comparison.compare import compare
from todacomm.core.types import ModelCard
from todacomm.report.ablation.ablation_charts import ablation_drawings
from todacomm.report.comparison.all_charts import comparison_charts
from todacomm.report.document.chart import Axis, Cells, Chart, Data, Panel, Series, cut_at, names_axis
from todacomm.report.document.matplotlib_renderer import figure_of
from todacomm.report.document.page_renderer import page_of, place_on
from todacomm.report.layers.all_figures import drawings
from todacomm.report.probes import clock_chart  # noqa: F401 - registers its chart
from todacomm.report.probes.probe_charts import probe_drawings
from todacomm.report.training.read_experiment import read_findings
from todacomm.report.training.signature_charts import grok_charts
from todacomm.report.training.training_figure_parts import grok_drawings

FIRST = {
    "comparison_differences": "comparison_differences_1_base_vs_tuned",
    "comparison_language": "comparison_language_0",
}
NAMES = [
    *(FIRST.get(name, name) for name in comparison_charts),
    *grok_charts,
    *(
        name
        for registry in (drawings, ablation_drawings, grok_drawings, probe_drawings)
        for name, drawn in registry.items()
        if drawn.describe
    ),
]


@pytest.fixture(scope="module")
def charts(tmp_path_factory):
    """A chart of every kind, by its name; of layers and pairs that are doubtful, with intervals and a null."""
    directory = tmp_path_factory.mktemp("grok")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.statistics.changepoints.DRAWS", 5)
        findings = grokked(directory)
    cells = tuple(replace(findings.shown, cell=f"decay={i},fraction=0.2") for i in range(2))
    swept = replace(findings, exhibits=cells)
    found = [
        *comparison_charts.of(compare(measured())),
        *comparison_charts.of(compare(spoken()), "comparison_language"),
    ]
    found += grok_charts.of(swept)
    found += [drawn.describe(measured()[1]) for drawn in drawings.values() if drawn.describe]
    found += [drawn.describe(swept.shown) for drawn in grok_drawings.values() if drawn.describe]
    found += [drawn.describe(an_ablation()) for drawn in ablation_drawings.values() if drawn.describe]
    found += [drawn.describe(a_probe()) for drawn in probe_drawings.values()]
    return {chart.name: chart for chart in found if chart}


def grokked(directory):
    """Two runs that grok and two controls."""
    rows = write_training(directory)
    write_turned(directory / "runs" / "seed_1")
    return read_findings(directory, {"": judged(directory, rows)}, command="", problems={})


def measured():
    """Three arrays of three layers: one plain, one doubtful (pushed along one dimension), one copy."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=(30, 4))
    layers = {
        name: (i + 1) * base + i * rng.normal(size=base.shape)
        for i, name in enumerate(("embedding", "layer_0", "layer_1"))
    }
    pushed = {**layers, "layer_0": layers["layer_0"] * np.array([30, 30, 30, 1])}
    card = ModelCard("", "causal", "pre-LN", 1, 2, 4, "", "")
    found = {"base": layers, "tuned": pushed, "same": layers}
    profiles = [replace(measure(of, name=name, null_draws=19, resamples=20), card=card) for name, of in found.items()]
    return [profiles[0], spoilt(profiles[1]), profiles[2]]


def spoilt(profile):
    """The profile with a doubtful last layer."""
    rules = {"largest_variance_share": 0.8, "second_variance_share": 0.01, "dimension": 768}
    *others, last = profile.measurements
    return replace(profile, measurements=(*others, replace(last, facts=replace(last.facts, **rules))))


def spoken():
    """Five models whose bits per byte are known."""
    found = []
    for i in range(5):
        rng = np.random.default_rng(i)
        layers = {
            name: (k + 1) * rng.normal(size=(20, 4)) for k, name in enumerate(("embedding", "layer_0", "layer_1"))
        }
        card = ModelCard(f"m{i}", "causal", "pre-LN", 1, 2, 4, "", "")
        profile = measure(layers, name=f"m{i}", null_draws=0, resamples=20)
        found.append(replace(profile, card=card, language={"bits_per_byte": 1 + i / 10}))
    return found


def drawn_in(axes):
    """The numbers of all lines in some axes, along x and along y."""
    lines = [line for line in axes.get_lines() if len(line.get_xdata())]
    return [
        np.concatenate([np.asarray(data(line), dtype=float) for line in lines] or [[]])
        for data in (lambda one: one.get_xdata(), lambda one: one.get_ydata())
    ]


def traces_of(page, panel):
    """The traces of one panel of a page."""
    n = str(panel + 1) if panel else ""
    return [trace for trace in page["traces"] if trace["xaxis"] == f"x{n}"]


def numbers_of(traces, which):
    return np.array([v for trace in traces for v in trace.get(which, ()) if v is not None], dtype=float)


def series_of(chart):
    """Every series with its place among the panels."""
    return [(i, panel, one) for i, panel in enumerate(chart.panels) for one in panel.series]


def within(values, others):
    """Whether each of some numbers is among others, to the five digits of a page."""
    return all(np.isclose(others, v, rtol=1e-4, atol=1e-9).any() for v in values)


@pytest.mark.parametrize("name", NAMES)
def test_one_description_gives_a_figure_and_a_chart_of_the_page(charts, name):
    chart = charts[name]
    figure, page = figure_of(chart), page_of(chart)
    json.dumps(page, allow_nan=False)
    assert len([axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]) == len(chart.panels)
    assert len([key for key in page["layout"] if key.startswith("yaxis")]) == len(chart.panels)
    assert page["how"].startswith(chart.caption)
    labels = [
        text.get_text()
        for legend in (*figure.legends, *(a.get_legend() for a in figure.axes))
        if legend
        for text in legend.get_texts()
    ]
    assert labels == [key.label for key in chart.keys] == [t["name"] for t in page["traces"] if t.get("x") == [None]]


@pytest.mark.parametrize("name", NAMES)
def test_figure_page_and_description_hold_the_same_numbers(charts, name):
    chart = charts[name]
    figure, page = figure_of(chart), page_of(chart)
    for i, panel, one in series_of(chart):
        for which, axis, of, drawn in zip(
            "xy", (panel.x, panel.y), (one.x, one.y), drawn_in(figure.axes[i]), strict=True
        ):
            values = [v for v in of if v is not None]
            shown = [place_on(axis, v) if axis.kind == "bent" else v for v in values]
            assert within(values, drawn)
            assert within(shown, numbers_of(traces_of(page, i), which))


@pytest.mark.parametrize("name", NAMES)
def test_every_number_that_is_told_at_a_mark_is_in_the_download(charts, name):
    chart = charts[name]
    cells = np.array([float(cell) for row in chart.data.rows for cell in row if is_number(cell)])
    values = [
        v
        for _, panel, one in series_of(chart)
        if is_of_record(name, one)
        for v in (one.x if panel.y.named else one.y)
        if v is not None
    ]
    values += [v for panel in chart.panels if panel.cells for row in panel.cells.values for v in row if v is not None]
    ends = [
        v
        for _, _, one in series_of(chart)
        if one.reach == "band"
        for v in (*one.low, *one.high)
        if v is not None and one.told
    ]
    assert values or name == "ablation_claims"
    assert within([*values, *ends], cells)


def is_number(cell):
    return bool(cell) and cell.replace(".", "", 1).replace("-", "").replace("e", "").isdigit()


def is_of_record(name, one):
    """Whether marks are at numbers of the record: not branches, stars, verdicts, or runs that never generalised."""
    return (
        bool(one.told)
        and one.marker != "*"
        and name != "ablation_claims"
        and not (name == "comparison_tree" and one.label)
    )


@pytest.mark.parametrize("name", NAMES)
def test_hollow_marks_are_hollow_in_both(charts, name):
    chart = charts[name]
    figure, page = figure_of(chart), page_of(chart)
    for i, panel, one in series_of(chart):
        hollow = [
            (x, y) for x, y, is_hollow in zip(one.x, one.y, one.hollow, strict=False) if is_hollow and y is not None
        ]
        faces = [line for line in figure.axes[i].get_lines() if line.get_markerfacecolor() == "white"]
        assert set(hollow) <= {(float(x), float(y)) for line in faces for x, y in zip(*line.get_data(), strict=True)}
        marked = [t for t in traces_of(page, i) if "marker" in t and t["x"] != [None]]
        empty = {
            (x, y)
            for t in marked
            for x, y, c in zip(t["x"], t["y"], t["marker"]["color"], strict=False)
            if c == "paper"
        }
        assert all(
            any(
                np.allclose((x, place_on(panel.y, y) if panel.y.kind == "bent" else y), there, rtol=1e-4)
                for there in empty
            )
            for x, y in hollow
        )


@pytest.mark.parametrize("name", NAMES)
def test_intervals_are_drawn_in_both(charts, name):
    chart = charts[name]
    figure, page = figure_of(chart), page_of(chart)
    for i, panel, one in series_of(chart):
        along = "x" if one.reach == "x" else "y"
        ends = [
            v
            for low, high in one.ends
            if low is not None and high is not None
            for v in (cut_at(panel, low, along), high)
        ]
        bands = [path.vertices[:, 1] for c in figure.axes[i].collections for path in c.get_paths()]
        axis = panel.x if along == "x" else panel.y
        assert within(ends, np.concatenate([drawn_in(figure.axes[i])["xy".index(along)], *bands]))
        filled = [t for t in traces_of(page, i) if t.get("fill") == "toself"]
        whisked = [t for t in traces_of(page, i) if f"error_{one.reach}" in t]
        on_page = [
            *numbers_of(filled, along),
            *(v + e for t in whisked for v, e in zip(t[along], t[f"error_{one.reach}"]["array"], strict=True)),
        ]
        on_page += [
            v - e for t in whisked for v, e in zip(t[along], t[f"error_{one.reach}"]["arrayminus"], strict=True)
        ]
        assert within([place_on(axis, v) if axis.kind == "bent" else v for v in ends], np.array(on_page))


def test_what_the_laws_speak_of_is_there(charts):
    """Hollow marks, bands, whiskers, a null and stars are among the samples, so that no law holds for want of any."""
    series = [one for chart in charts.values() for _, _, one in series_of(chart)]
    assert any(any(one.hollow) for one in series)
    assert {one.reach for one in series if any(v is not None for v in one.low)} == {"band", "x", "y"}
    assert any(one.dashes == "--" and same_color(one.colour, "#6E6E6E") and one.low for one in series)


@pytest.mark.parametrize("written", [True, False])
def test_numbers_as_colours_are_written_or_have_a_scale(written):
    """Of few models each number stands in its place; of many a scale beside them tells."""
    cells = Cells(((None, 1.25), (1.25, None)), "distance", ((("a",),) * 2,) * 2, written=written)
    panel = Panel((), Axis("models", named=True), names_axis(["a", "b"]), cells=cells)
    chart = Chart("c", "Title", "Read it so.", (panel,), Data((), ()))
    figure, (trace,) = figure_of(chart), page_of(chart)["traces"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.25"] * 2 * written
    assert [axes.get_ylabel() for axes in figure.axes[1:]] == [] if written else ["distance"]
    assert trace["z"] == [[None, 1.25], [1.25, None]]
    assert trace["showscale"] is not written


def test_a_dollar_is_no_formula_and_a_tag_no_markup():
    series = Series((0.0,), (1.0,), label="a$b$<i>", told=(("a$b$<i>",),))
    chart = Chart(
        "c", "Title", "Read it so.", (Panel((series,), Axis("x $"), Axis("y <b>")),), Data((), ()), keys=(series,)
    )
    figure, page = figure_of(chart), page_of(chart)
    assert figure.axes[0].get_xlabel() == r"x \$"
    assert figure.legends[0].get_texts()[0].get_text() == r"a\$b\$<i>"
    assert page["traces"][0]["name"] == "a$b$&lt;i&gt;"
    assert page["layout"]["annotations"][0]["text"] == "y &lt;b&gt;"
