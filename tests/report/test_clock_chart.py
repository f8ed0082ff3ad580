"""The clock of a probe: one description for the figure and for every frame of the page."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest

from stored import a_probe
from todacomm.records.files.fault_messages import Spot
from todacomm.records.files.io import SEAL
from todacomm.records.probes import PROBE_RECORD, ProbeRun
from todacomm.report.document.matplotlib_renderer import figure_of
from todacomm.report.document.turns import degrees
from todacomm.report.probes.clock_chart import INNER, chart_of, clock, clock_explorer, given


@pytest.fixture
def probed():
    """Six words whose answers turn with them, but for the last word."""
    found = a_probe()
    [turned] = found.asked.turned.values()
    answers = tuple((*((k + i) % 6 for k in range(5)), 5) for i in range(6))
    return replace(found, asked=replace(found.asked, turned={"layer_0": replace(turned, answers=answers)}))


def angle(x, y):
    """The angle of a place on a clock, from the top and with its hands."""
    return np.arctan2(x, y) % (2 * pi)


def test_each_word_is_turned_and_joined_to_its_answer(probed):
    chart = chart_of(probed, probed.asked, [2])
    *lines, options, words, by, answered = chart.panels[0].series
    turned = [angle(x, y) for x, y in zip(words.x, words.y, strict=True)]
    assert np.exp(1j * np.array(turned)) == pytest.approx(np.exp(2j * pi * (np.arange(6) + 2) / 6))
    assert np.hypot(words.x, words.y) == pytest.approx(INNER)
    assert [line.told[0] for line in lines] == [
        ("f: c",),
        ("a: d",),
        ("b: e",),
        ("c: f",),
        ("d: a",),
        ("e: f",),
    ]
    first = lines[0]
    assert angle(first.x[1], first.y[1]) == pytest.approx(2 * pi * 2 / 6)
    assert angle(first.x[0], first.y[0]) == pytest.approx(2 * pi * (5 + 2) / 6 % (2 * pi))
    assert angle(by.x[1], by.y[1]) == pytest.approx(2 * pi * 2 / 6)
    assert angle(answered.x[1], answered.y[1]) == pytest.approx(0.95 * 2 * pi * 2 / 6)
    assert [one.text for one in chart.panels[0].around] == list(probed.probe.words)
    assert len(options.x) == 6


def test_figure_and_frames_are_of_the_same_turns(probed):
    chart, explorer = clock(probed), clock_explorer(probed)
    assert [panel.title for panel in chart.panels] == [explorer["frames"][i]["label"] for i in (0, 1, 3, 4)]
    assert len(explorer["frames"]) == 6
    assert explorer["frames"][1]["label"] == "words turned by 60°, answers by 57°"
    assert explorer["shows"] == [chart.name]
    assert len(explorer["rows"]) == 36
    assert len(figure_of(chart).axes) == 4
    moved = [frame["traces"] for frame in explorer["frames"]]
    assert moved[0] != moved[1]


def test_records_without_single_answers_have_the_hands_alone():
    found = a_probe()
    assert list(given(found, found.asked, 1)) == []
    assert len(chart_of(found, found.asked, [1]).panels[0].series) == 4
    assert clock_explorer(replace(found, asked=None)) is None
    assert clock(replace(found, asked=None)) is None


def test_older_records_are_read_without_single_answers(tmp_path):
    row = {**PROBE_RECORD.row(ProbeRun(a_probe(), "todacomm probe")), "schema": 1}
    del row[SEAL]  # records had none
    for turned in row["found"]["asked"]["turned"].values():
        del turned["answers"]
    assert PROBE_RECORD.parsed(row, Spot(tmp_path / "probe.json", "")).found == a_probe()
    row["found"]["asked"] = None
    assert PROBE_RECORD.parsed(row, Spot(tmp_path / "probe.json", "")).found.asked is None


def test_degrees_are_whole_with_a_true_minus():
    assert [degrees(value) for value in (0.0, -1e-9, pi / 2, -pi)] == ["0°", "0°", "90°", "−180°"]
