"""The report on loops: what is said first, the charts of a layer, and loops through layers."""

from dataclasses import replace

import numpy as np
import pytest

from loop_records import HOURS, TEXTS, N, planted
from shapes import agreement
from todacomm.cohomology.passages import Passage
from todacomm.core.errors import InvalidRecord
from todacomm.records.loops import ARRAYS, read_loops_record, write_loops_record
from todacomm.report.document.matplotlib_renderer import figure_of
from todacomm.report.document.page_renderer import page_of
from todacomm.report.document.turns import colour_of
from todacomm.report.loops.chains import chains, others
from todacomm.report.loops.loop_charts import LayerLoops, loop_charts, plateaus_of
from todacomm.report.loops.loop_sections import loops_document, write_loops_report
from todacomm.report.loops.loop_sentences import crowding, loop_sentences
from todacomm.report.loops.ribbon_chart import ribbon_charts
from todacomm.report.loops.texts_around import SECTORS, places_around


@pytest.fixture(scope="module")
def record():
    return planted()


def test_the_layers_with_loops_are_told_first_then_what_runs_around_them(record):
    first, *rest = loop_sentences(record)
    assert first == "3 loops at 3 of 4 layers: layer_0 to layer_2."
    of_hours = next(line for line in rest if line.startswith("Loop 1 of layer_0 runs through"))
    assert "; letters (1.00, p 0.001) runs around it." in of_hours
    assert rest[-1] == "1 loop goes on through layers: loop 1 of layer_0 through 2 layers up to layer_1."


def test_a_loop_that_few_points_go_around_is_told_as_one(record):
    [one] = record.layers[1].loops
    assert crowding(one) == ""
    heap = np.where(np.arange(len(one.angles)) % 20, 1 + 0.1 * np.sin(one.angles), one.angles)
    assert crowding(replace(one, angles=heap)) == "; few go around it, for 90 % of them stand within 11°"


def test_of_layers_without_loops_it_is_said_that_this_is_no_evidence(record):
    alone = replace(record, layers=record.layers[:1], passages=())
    [said] = loop_sentences(alone)
    assert said.startswith("No loop is shown at embedding. That is no evidence that there is none: no loop stands out")


def test_a_record_is_read_as_it_was_written_with_its_arrays(record, tmp_path):
    write_loops_record(tmp_path, record)
    again = read_loops_record(tmp_path)
    one, other = record.layers[1].loops[0], again.layers[1].loops[0]
    assert (other.cycle, other.properties, again.texts) == (one.cycle, one.properties, TEXTS)
    np.testing.assert_array_equal(other.angles, one.angles)
    np.testing.assert_array_equal(other.plane, one.plane)
    (tmp_path / ARRAYS).unlink()
    with pytest.raises(InvalidRecord, match="find the loops again"):
        read_loops_record(tmp_path)


def test_charts_show_the_same_numbers_as_figure_page_and_table(record):
    of = LayerLoops(record, 1)
    [staircase, cycle] = loop_charts.of(of)
    scales, betti = np.array(of.found.staircase).T
    assert [float(row[0]) for row in staircase.data.rows] == pytest.approx(scales.tolist())
    stairs = staircase.panels[0].series[0]
    at = np.searchsorted(stairs.x, scales[3] / of.unit * (1 + 1e-9)) - 1
    assert stairs.y[at] in (betti[2], betti[3])
    [one] = of.found.loops
    assert agreement(one.angles, HOURS) > 0.99
    points, path = cycle.panels[0].series
    assert np.hypot(points.x, points.y).mean() == pytest.approx(1, abs=0.05)
    around = np.arctan2(points.y, points.x)
    assert np.abs(np.angle(np.exp(1j * (around - one.angles)))).mean() < 0.05
    assert (path.x[0], len(path.x)) == (path.x[-1], len(one.cycle) + 1)
    assert points.told[0][1] == TEXTS[0]
    for chart in (staircase, cycle):
        assert figure_of(chart).axes
        assert len(page_of(chart)["traces"]) >= len(chart.panels[0].series)


def test_each_wide_step_and_each_loop_of_the_staircase_is_named(record):
    of = LayerLoops(record, 1)
    [staircase, _] = loop_charts.of(of)
    [one] = of.found.loops
    stairs, bars = staircase.panels
    widest = max(plateaus_of(of.found), key=lambda plateau: plateau.width)
    assert widest.betti == 1
    assert one.birth <= widest.middle <= one.death
    assert widest.middle / of.unit in stairs.series[1].x
    assert bars.y.ticks == ((0, "loop 1"),)
    assert bars.series[0].x == (one.birth / of.unit, one.scale / of.unit, one.death / of.unit)


def test_texts_stand_around_a_loop_in_the_order_of_their_angle(record):
    [one] = record.layers[1].loops
    places = places_around(one, TEXTS)
    assert len(places) == SECTORS
    angles = [one.angles[place.row] for place in places]
    assert angles == sorted(angles)
    assert [place.text for place in places] == [TEXTS[place.row] for place in places]
    assert all(place.on_cycle == (place.row in one.cycle) for place in places)
    written = next(iter(loop_charts.of(LayerLoops(record, 1), "loops_cycle"))).panels[0].around
    assert [np.arctan2(w.y, w.x) % (2 * np.pi) for w in written] == pytest.approx(angles)
    assert [w.number for w in written] == [str(i + 1) for i in range(SECTORS)]
    assert all(np.hypot(w.x, w.y) > 1 for w in written)
    assert {w.side for w in written} == {"left", "right", "center"}


def test_texts_are_plain_to_both_renderers(record):
    chart = next(iter(loop_charts.of(LayerLoops(record, 1), "loops_cycle")))
    notes = page_of(chart)["around"]
    assert all("<b>" not in note["text"] and "&lt;" in note["text"] for note in notes)
    written = [text.get_text() for text in figure_of(chart).axes[0].texts]
    assert [text.replace(r"\$", "$") for text in written] == [one.text for one in chart.panels[0].around]


def test_of_many_points_the_cycle_and_an_even_part_is_drawn(record, monkeypatch):
    monkeypatch.setattr("todacomm.report.loops.loop_charts.FEWEST", 40)
    monkeypatch.setattr("todacomm.report.loops.loop_charts.ROOM", 0)
    [one] = record.layers[1].loops
    chart = next(iter(loop_charts.of(LayerLoops(record, 1), "loops_cycle")))
    rows = {int(told[0].split(",")[0].removeprefix("point ")) for told in chart.panels[0].series[0].told}
    assert set(one.cycle) <= rows
    assert 40 <= len(rows) <= 40 + len(one.cycle)
    assert f"{len(rows)} of {N} points are drawn" in chart.caption
    assert len(chart.data.rows) == N


def test_colours_go_around_once():
    assert colour_of(0.0) == colour_of(2 * np.pi)
    assert len({colour_of(a) for a in 2 * np.pi * np.arange(24) / 24}) == 24


def test_a_ribbon_is_a_loop_from_where_it_is_born_to_where_it_dies(record):
    found = chains(record)
    assert [chain.nodes for chain in found] == [((1, 0), (2, 0)), ((3, 0),)]
    first, second = found
    assert [first.state(i, 3) for i in range(2)] == ["is born", "dies"]
    assert second.state(0, 3) == "is born"
    assert abs(first.passages[0].turns) == 1
    [chart] = ribbon_charts.of(record)
    assert [row[:4] for row in chart.data.rows] == [
        ("layer_0", "1", "0", "is born"),
        ("layer_1", "1", "0", "dies"),
        ("layer_2", "1", str(second.row), "is born"),
    ]
    assert any("winding number" in line for one in chart.panels[0].series for told in one.told for line in told)
    assert figure_of(chart).axes


def test_a_loop_that_goes_on_as_two_has_one_ribbon_and_a_dotted_line(record):
    two = replace(record.layers[2], loops=record.layers[2].loops * 2)
    sure, less = Passage(1, 0, 1, 1, 0.9, 0.001), Passage(1, 0, 0, -1, -0.5, 0.01)
    several = replace(record, layers=(*record.layers[:2], two, record.layers[3]), passages=(less, sure))
    assert [chain.nodes for chain in chains(several)] == [((1, 0), (2, 1)), ((2, 0),), ((3, 0),)]
    assert others(several) == [less]
    [chart] = ribbon_charts.of(several)
    assert "also goes around" in [key.label for key in chart.keys]


def test_layers_of_other_points_are_not_followed(record):
    short = record.layers[3].loops[0]
    cut = replace(record.layers[3], loops=(replace(short, angles=short.angles[:50], plane=short.plane[:50]),))
    assert list(ribbon_charts.of(replace(record, layers=(*record.layers[:3], cut)))) == []


def test_the_document_has_each_part_once_and_folds_layers_away(record):
    document = loops_document(record, {"command": record.command})
    names = [part.name for part in document.parts]
    assert len(set(names)) == len(names)
    assert [part.run for part in document.parts if part.run] == ["embedding", "layer_0", "layer_2"]
    tables = {part.name: [piece for piece in part.pieces if piece.kind == "table"] for part in document.parts}
    assert len(tables["loops-found"][0].rows) == 3
    assert tables["loops-properties"][0].rows[0][:2] == ("layer_0, loop 1", "letters")


@pytest.mark.slow
def test_markdown_and_page_are_written_with_every_figure(record, tmp_path):
    markdown, page = write_loops_report(tmp_path, record)
    said = markdown.read_text(encoding="utf-8")
    assert "![Loops through the layers](<visualizations/loops_ribbon.png>)" in said
    assert "todacomm loops clock" in said
    assert page.name == "report.html"
