"""What the report of an experiment of training tells of the loops that were turned."""

import shutil

import numpy as np
import pytest

from grok_directories import TURNED_LOOPS, judged, write_plan, write_run, write_training, write_turned
from todacomm.cli.grok import turned_in
from todacomm.records.files.damaged import Salvage
from todacomm.records.files.io import write_atomically
from todacomm.records.training import TURNED
from todacomm.report.document.pieces import parts_of
from todacomm.report.training.read_experiment import read_findings
from todacomm.report.training.training_document import write_grok_report
from todacomm.report.training.turned_sections import told_of
from todacomm.report.training.turning_chart import turning_chart
from todacomm.training.turned_run import TurnedRun


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A run, which was turned, and a control."""
    place = tmp_path_factory.mktemp("grok")
    rows = [write_run(place, "seed_2", "run", 2, grokked=True, count=4)]
    rows += [write_run(place, "permuted_labels_1", "permuted labels", 1, grokked=False, count=2)]
    write_plan(place, [{"cell": "", **row} for row in rows])
    write_turned(place / "runs" / "seed_2")
    return place


@pytest.fixture(scope="module")
def findings(directory):
    return read_findings(directory, {}, command="", problems={})


def test_the_terminal_tells_the_same_of_each_run_and_leaves_a_damaged_record_to_the_report(directory, tmp_path):
    [line] = turned_in(directory)
    assert line.startswith("seed_2: of 3 loops 2 are used: frequencies 3 and 5 (3 found without labels).")
    place = tmp_path / "again"
    shutil.copytree(directory, place)
    write_atomically(place / "runs" / "seed_2" / TURNED, "{")
    assert list(turned_in(place)) == []


def section_of(findings):
    parts = {part.name: part for part in parts_of(findings, {})}
    return parts.get("grok-turned")


def test_a_run_that_was_turned_is_told_with_its_frequencies_and_cost(findings):
    part = section_of(findings)
    first, chart, table, _, cost = part.pieces
    assert " ".join(first.items) == (
        "seed 2: of 3 loops 2 are used: frequencies 3 and 5 (3 found without labels). Found and not used: 7 (by steps "
        "of 11). All that are used, turned together by some steps, move the answers by as many: 1 (100 %), 5 (98 %)."
    )
    assert chart.name == "turning"
    assert [row[:3] for row in table.rows] == [
        ("seed 2", "7 (by steps of 11)", "topology"),
        ("seed 2", "3 (by steps of 13)", "topology"),
        ("seed 2", "5", "spectrum"),
    ]
    assert table.rows[1][5:] == ("1.00", "0.030", "0.95", "0.96", "0.05", "used")
    assert table.rows[0][-1] == "represented, not used"
    assert cost.text == (
        "Finding and turning took 0.3 s over 1 run, 20 % of the time of training and measuring these runs."
    )


def test_the_chart_has_every_loop_the_line_and_flat_placebos(findings):
    chart = turning_chart(findings.shown)
    [panel] = chart.panels
    placebos, line, *loops = panel.series
    assert [one.label for one in loops] == ["7, topology", "3, topology", "5, spectrum"]
    assert [one.hollow[0] for one in loops] == [True, False, False]
    assert loops[1].y == pytest.approx(line.y)
    assert np.ptp(loops[0].y) == 0
    assert placebos.y.count(None) == sum(len(loop.turned.placebos) for loop in TURNED_LOOPS)
    assert len(chart.data.rows) == 3 * 12


def test_where_no_loop_is_used_that_is_said():
    assert told_of(TurnedRun("seed_1", TURNED_LOOPS[:1], ())) == "the answers turn with none of 1 loop."


def test_older_experiments_have_reports_without_that_part(directory, tmp_path):
    place = shutil.copytree(directory, tmp_path / "old")
    (place / "runs" / "seed_2" / TURNED).unlink()
    findings = read_findings(place, {}, command="", problems={})
    assert section_of(findings) is None
    assert turning_chart(findings.shown) is None


def test_a_damaged_record_is_left_out_and_told(directory, tmp_path):
    place = shutil.copytree(directory, tmp_path / "damaged")
    path = place / "runs" / "seed_2" / TURNED
    write_atomically(path, path.read_text(encoding="utf-8").replace('"slope": 1.0', '"slope": 0.5'))
    salvage = Salvage()
    findings = read_findings(place, {}, command="", problems={}, attempt=salvage)
    assert [loss.what for loss in salvage.losses] == ["turned loops of seed_2"]
    assert section_of(findings) is None
    assert findings.shown.runs[0].course is not None


@pytest.mark.slow
def test_markdown_page_and_figure_have_the_loops(tmp_path):
    rows = write_training(tmp_path)
    write_turned(tmp_path / "runs" / "seed_2")
    markdown, page, *figures = write_grok_report(tmp_path, {"": judged(tmp_path, rows)})
    assert "turning.png" in {path.name for path in figures}
    said = markdown.read_text(encoding="utf-8")
    assert "## Which loops the networks use" in said
    assert "(<../visualizations/turning.png>)" in said
    assert 'data-chart="turning"' in page.read_text(encoding="utf-8")
