"""Figures for a paper: formats, bare figures, the style file, and functions that draw into Axes of one's own."""

import os
import pickle
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image
from typer.testing import CliRunner

import todacomm as td
from report_profiles import a_cloud, a_profile, cloud
from todacomm.cli import app
from todacomm.comparison.compare import compare
from todacomm.core.errors import InvalidInput, InvalidStudy, UnknownName
from todacomm.core.inference_types import InferenceSettings
from todacomm.report.document import figure_parts, style
from todacomm.report.document.figure_formats import FORMATS, PNG, Figures
from todacomm.report.document.figure_parts import save
from todacomm.report.layers.all_figures import drawings
from todacomm.runs import ablation, training_experiment
from todacomm.runs import run_study as execution
from todacomm.runs.ablation_measurements import Means
from todacomm.runs.config import Study
from todacomm.runs.config_files import dump_study, load_study
from todacomm.runs.run_study import figure_files
from todacomm.runs.training_runs import FinishedRun
from trained import experiment


@pytest.fixture(scope="module")
def profile():
    """Three blocks and the layer after the final norm; the embedding has doubtful numbers."""
    return a_profile(3, n=24, distinct=10)


@pytest.fixture(scope="module")
def written(tmp_path_factory, profile):
    """One figure in all formats with its words, and bare without PDF: its files by their names."""
    place = tmp_path_factory.mktemp("figures")
    names = {}
    for bare in (False, True):
        with style.drawn_as(Figures(("svg",) if bare else FORMATS, bare)):
            save(drawings["scale_shape"].draw(profile), place / str(bare) / "scale_shape.png")
        names[bare] = {path.name: path.read_bytes() for path in (place / str(bare)).iterdir()}
    return names


@pytest.fixture
def undrawn(monkeypatch):
    """Figures by the names of their files, which are not rendered."""
    seen = {}

    def write(drawn, path):
        seen[path.name] = drawn
        path.write_bytes(b"drawn")

    monkeypatch.setattr(figure_parts, "write_figure", write)
    return seen


# How figures are written


def test_png_is_always_among_the_formats_and_each_stands_once():
    assert Figures(("svg", "pdf", "svg")).formats == ("png", "pdf", "svg")
    assert Figures.read(" pdf ,png", bare=True) == Figures(("png", "pdf"), bare=True)
    assert Figures() == PNG == Figures(("png",))


def test_another_format_and_no_format_are_refused():
    with pytest.raises(UnknownName, match=r"'psf' is not a format of figures that todacomm knows. Did you mean 'pdf'?"):
        Figures.read("png,psf")
    with pytest.raises(InvalidInput, match="--figures ', ': expected png, pdf, svg, with commas between"):
        Figures.read(", ")


def test_a_study_keeps_how_its_figures_are_written(tmp_path):
    study = Study(figures="svg,pdf", figures_bare=True)
    (tmp_path / "study.yaml").write_text(dump_study(study, version="0"))
    assert load_study(tmp_path / "study.yaml").drawn_as() == study.drawn_as() == Figures(FORMATS, bare=True)
    assert Study().drawn_as() == PNG


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("figures: [png, bmp]", "line 2: figures: 'bmp' is not a format of figures that todacomm knows."),
        ("figures: []", "line 2: figures: expected one name or more, found an empty list"),
        ("figures: pdf, pdf", "line 2: figures: 'pdf' stands twice"),
        ("figures_bare: 1", "line 2: figures_bare: expected true or false, found 1"),
    ],
)
def test_a_study_file_with_wrong_figures_names_the_line(tmp_path, line, said):
    (tmp_path / "study.yaml").write_text(f"seed: 1\n{line}\n")
    with pytest.raises(InvalidStudy, match=re.escape(said)):
        load_study(tmp_path / "study.yaml")


def test_every_format_lies_beside_the_png_which_stays_the_same(tmp_path, profile, written):
    alone = save(drawings["scale_shape"].draw(profile), tmp_path / "scale_shape.png")
    assert written[False]["scale_shape.png"] == alone.read_bytes()
    assert set(written[False]) == {f"scale_shape.{form}" for form in FORMATS}
    assert [path.name for path in tmp_path.iterdir()] == ["scale_shape.png"]


def test_files_hold_no_date_no_writer_and_no_bitmap_font(written):
    for name, content in written[False].items():
        if name.endswith(".pdf"):
            assert b"/CIDFontType2" in content, "text in TrueType fonts"
            assert b"/Type3" not in content
            assert not re.search(rb"/(CreationDate|ModDate|Creator|Producer)\b", content)
        if name.endswith(".svg"):
            assert b"<text" not in content, "an SVG cannot hold the font that its text would need"
            assert not re.search(rb"<dc:(date|creator)|v\d+\.\d+\.\d+", content)


@pytest.mark.slow
def test_another_process_with_other_hashes_writes_the_same_bytes(tmp_path):
    code = (
        "from report_profiles import a_cloud; import todacomm as td; "
        f"td.plots.write_figures(a_cloud(20), {str(tmp_path / 'there')!r}, formats='pdf,svg')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": "7"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
    td.plots.write_figures(a_cloud(20), tmp_path / "here", formats="pdf,svg")
    there, here = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("there", "here"))
    assert there == here


def test_bare_figures_have_no_words_which_lie_beside_as_text(profile, written):
    told = written[True]["scale_shape.txt"].decode()
    figure = drawings["scale_shape"].draw(profile)
    for words in (figure.get_suptitle(), figure.axes[0].get_title(), figure.get_supxlabel()):
        assert words
        assert words in told
    assert not [name for name in written[False] if name.endswith(".txt")]
    for form in ("png", "svg"):
        assert written[True][f"scale_shape.{form}"] != written[False][f"scale_shape.{form}"]


def test_bare_figures_keep_the_titles_of_panels_and_have_one_column_for_one_panel(tmp_path, profile, undrawn):
    assert len(td.plots.write_figures(profile, tmp_path, bare=True)) == len(undrawn) == 5
    assert undrawn["persistence_diagrams.png"].axes[0].get_title() == "embedding ○"
    assert undrawn["scale_shape.png"].axes[0].get_title() == ""
    assert not any(figure.get_suptitle() or figure.get_supxlabel() for figure in undrawn.values())
    widths = {name: figure.get_figwidth() for name, figure in undrawn.items()}
    assert widths == {name: style.COLUMN if name == "scale_shape.png" else style.WIDTH for name in undrawn}


def test_a_small_bare_figure_fits_one_column(tmp_path, undrawn):
    for width, fitted in ((4.2, style.COLUMN), (4.8, 4.8)):
        with style.drawn_as(Figures(bare=True)):
            save(Figure(figsize=(width, 3)), tmp_path / "one.png")
        assert undrawn["one.png"].get_figwidth() == fitted
        assert not (tmp_path / "one.txt").exists(), "there were no words"


def test_files_are_as_wide_as_their_figure(tmp_path, written):
    (tmp_path / "one.png").write_bytes(written[True]["scale_shape.png"])
    with Image.open(tmp_path / "one.png") as image:
        assert image.width == round(style.COLUMN * style.DPI)
    assert float(re.search(rb'width="([\d.]+)pt"', written[True]["scale_shape.svg"])[1]) == 72 * style.COLUMN


def test_what_is_asked_for_ends_with_its_block_even_when_that_fails():
    with style.drawn_as(Figures(("pdf",))):
        with pytest.raises(ZeroDivisionError), style.drawn_as(Figures(bare=True)):
            _ = 1 / 0
        assert style.asked() == Figures(("pdf",))
    assert style.asked() == PNG


def test_workers_are_told_how_to_draw(undrawn):
    draw = pickle.loads(pickle.dumps(partial(figure_files, figures=Figures(("svg",), bare=True))))  # noqa: S301 - our own
    assert set(draw(a_cloud(20))) == {
        f"{name}.{form}" for name in ("betti_curves", "persistence_diagrams") for form in ("png", "svg", "txt")
    }


ASKED = Figures(("pdf",), bare=True)


def test_a_comparison_is_drawn_as_it_is_told(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(execution, "write_comparison_reports", lambda *_, **__: seen.append(style.asked()))
    found = {"": compare([a_profile(1, n=12, model=name) for name in ("one", "two")])}
    execution.write_compared(found, tmp_path, name="two", run_of=lambda _: tmp_path, figures=ASKED)
    assert seen == [ASKED]


def test_an_ablation_is_drawn_as_its_study_says(tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(ablation, "of_arrays", lambda *_: [])
    monkeypatch.setattr(ablation, "ablation", lambda *_: None)
    monkeypatch.setattr(ablation, "write", lambda *_: seen.append(style.asked()))
    study = Study(figures="pdf", figures_bare=True, output_dir=str(tmp_path))
    layers, means = {"layer_0": np.zeros((12, 2))}, Means(None, InferenceSettings(), 1)
    ablation.ablate_arrays(layers, study, study.recipe("last"), [], bounds=(), means=means, name="a")
    assert seen == [ASKED]


def test_an_experiment_of_training_is_drawn_as_it_is_told(tmp_path, monkeypatch):
    seen, planned = [], experiment(seeds=[46])
    monkeypatch.setattr(training_experiment, "device_of", lambda name: name)  # without torch
    monkeypatch.setattr(training_experiment, "check_memory", lambda *_, **__: 0)
    monkeypatch.setattr(training_experiment, "perform_all", lambda *_, **__: iter([FinishedRun(planned.plans[0], "")]))
    monkeypatch.setattr(training_experiment, "concluded", lambda *_, **__: seen.append(style.asked()))
    means = training_experiment.Means(jobs=1, figures=ASKED)
    training_experiment.execute_grok(planned, output_dir=str(tmp_path), means=means)
    assert seen == [ASKED]


def test_the_command_line_asks_for_figures(tmp_path, undrawn):
    np.save(tmp_path / "cloud.npy", cloud(2, 3, n=12, d=3, seed=0, growth_of_scale=1.0))
    options = ["--no-cache", "--resamples", "0", "--null-draws", "0", "--figures", "svg", "--figures-bare", "-q"]
    typed = ["measure", str(tmp_path / "cloud.npy"), *options]
    refused = CliRunner().invoke(app, typed)
    assert isinstance(refused.exception, InvalidInput)
    assert "draw nothing without --output" in str(refused.exception)
    assert CliRunner().invoke(app, [*typed, "--output", str(tmp_path / "out")]).exit_code == 0
    found = {path.suffix for path in (tmp_path / "out" / "visualizations").iterdir()}
    assert found == {".png", ".svg", ".txt"}


@pytest.mark.parametrize("command", ["run", "ablate"])
def test_a_study_is_asked_for_figures_by_options(monkeypatch, command):
    seen = []

    def stop(study, *_, **__):
        seen.append(study.drawn_as())
        raise InvalidInput("seen")

    monkeypatch.setattr("todacomm.runs.run_study.execute", stop)
    monkeypatch.setattr("todacomm.runs.ablation.ablate_models", stop)
    CliRunner().invoke(app, [command, "--model", "tiny-preln-decoder", "--figures", "pdf", "--figures-bare"])
    assert seen == [ASKED]


# The style file


def test_the_style_is_one_file_that_matplotlib_finds():
    with plt.style.context(["default", "todacomm.paper"]):
        users = dict(mpl.rcParams)
    with style.styled():
        assert users == dict(mpl.rcParams)
    assert next(iter(users["figure.figsize"])) == style.COLUMN
    assert users["savefig.dpi"] == style.DPI
    assert tuple(users["axes.prop_cycle"].by_key()["color"]) == style.PALETTE
    assert to_hex(users["axes.edgecolor"]).upper() == style.GREY
