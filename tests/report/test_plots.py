"""The figures: what is written, what is drawn where, and what is left out."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from report_profiles import a_cloud, a_profile, layer_names, measurement, profile_of
from todacomm.comparison.compare import compare
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address
from todacomm.report.comparison.all_charts import comparison_charts, write_comparison_charts
from todacomm.report.comparison.comparison_charts import chosen_expansions, depths, hands
from todacomm.report.document import style
from todacomm.report.document.matplotlib_renderer import figure_of
from todacomm.report.layers import diagram_plots
from todacomm.report.layers.all_figures import drawings, write_figures
from todacomm.report.words import phrases

NAMES = {"tda_summary", "layer_persistence", "scale_shape", "betti_curves", "persistence_diagrams"}


def small_print(figure: Figure) -> str:
    return " ".join(figure.get_supxlabel().split())


def dots(axes, *, hollow: bool) -> list[float]:
    """The heights of the markers of one kind, by depth."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None" and len(line.get_xdata())]
    found = [line for line in lines if (line.get_markerfacecolor() == "white") == hollow]
    return [float(y) for line in found for y in line.get_ydata()]


@pytest.fixture(scope="module")
def doubtful():
    """Twelve blocks; few distinct points at the embedding, one loud dimension at layer_3 and layer_4."""
    return a_profile(12, n=24, distinct=8, massive=["layer_3", "layer_4"])


@pytest.mark.slow
def test_every_figure_is_written_at_200_dpi_and_not_blank(tmp_path, doubtful):
    paths = write_figures(doubtful, tmp_path / "visualizations")
    assert {p.stem for p in paths} == NAMES == set(drawings) - {"against_noise"}
    for path in paths:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert image.width == round(style.WIDTH * style.DPI)
            assert np.asarray(image.convert("L")).std() > 5, f"{path.name} is blank"


@pytest.mark.slow
def test_a_figure_is_the_same_file_twice(tmp_path):
    first, second = (write_figures(a_cloud(), tmp_path / name) for name in "ab")
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_one_cloud_gets_no_figure_along_layers(tmp_path):
    assert {p.stem for p in write_figures(a_cloud(), tmp_path)} == {"betti_curves", "persistence_diagrams"}


@pytest.mark.parametrize(("maxdim", "panels"), [(0, 3), (1, 6), (2, 9)])
def test_the_summary_has_a_row_for_each_homology_dimension(maxdim, panels):
    profile = a_profile(2, n=16, recipe=Recipe(maxdim=maxdim, components=6))
    assert len(drawings["tda_summary"].draw(profile).axes) == panels


def test_panels_hold_the_numbers_of_the_profile(doubtful):
    axes = drawings["tda_summary"].draw(doubtful).axes[1]
    shown = sorted(dots(axes, hollow=False) + dots(axes, hollow=True))
    assert shown == pytest.approx(sorted(doubtful["H0_total_persistence"]))


def test_doubtful_layers_are_hollow_and_explained(doubtful):
    figure = drawings["tda_summary"].draw(doubtful)
    marked = [doubtful.at(layer).summary["H1_total_persistence"] for layer in ("embedding", "layer_3", "layer_4")]
    assert dots(figure.axes[4], hollow=True) == pytest.approx(marked)
    assert "embedding (8 distinct points of 24)" in small_print(figure)
    assert "layer_3 and layer_4 (one dimension holds" in small_print(figure)


def test_sound_profiles_explain_no_hollow_marker():
    assert "hollow" not in small_print(drawings["tda_summary"].draw(a_profile(2, n=16)))


def test_undefined_layers_are_left_out_and_named():
    figure = drawings["tda_summary"].draw(a_profile(3, n=16, distinct=2))
    assert len(dots(figure.axes[0], hollow=False)) == 4  # three blocks and final
    assert dots(figure.axes[0], hollow=True) == []
    assert "not drawn, undefined: embedding (2 distinct points of 16)" in small_print(figure)


@pytest.mark.parametrize(
    ("recipe", "unit"),
    [
        (Recipe(components=6), "(activation units)"),
        (Recipe(components=6, scale="median"), "(scale-free, / median)"),
        (Recipe(components=6, scale="sphere"), "(on the unit sphere)"),
        (Recipe(components=6, distance="cosine"), "(1 − cosine)"),
    ],
)
def test_axes_of_degree_one_carry_their_unit(recipe, unit):
    count, total, longest, *_ = drawings["tda_summary"].draw(a_profile(1, n=16, recipe=recipe)).axes
    assert unit in total.get_ylabel()
    assert unit in longest.get_ylabel()
    assert unit not in count.get_ylabel()


def test_total_persistence_stands_above_its_scale_free_twin(doubtful):
    raw, _, twin, _ = drawings["layer_persistence"].draw(doubtful).axes
    assert twin.get_ylabel().endswith("/ median distance")
    assert max(dots(twin, hollow=False)) == pytest.approx(
        max(m.summary["H0_total_persistence_scaled"] for m in phrases.sound(doubtful))
    )
    assert max(dots(raw, hollow=False)) != pytest.approx(max(dots(twin, hollow=False)))


@pytest.mark.parametrize("count", [1, 6, 12, 32, 80])
@pytest.mark.parametrize("most", [9, 14, 24])
def test_labels_of_layers_are_few_and_keep_their_ends(count, most):
    places, labels = style.layer_ticks(layer_names(count), most=most)
    assert labels[0] == "emb"
    assert labels[-1] == "final"
    assert len(labels) <= most + 2
    assert places == sorted(set(places))
    assert all(
        label in ("emb", "final") or place == int(label) + 1 for place, label in zip(places, labels, strict=True)
    )


def test_betti_curves_count_components_from_all_points_down_to_one():
    profile = a_profile(2, n=20, final=False)
    axes = diagram_plots.betti_curves(profile).axes[0]
    assert len(axes.lines) == 3
    for line in axes.lines:
        assert line.get_ydata()[0] == 20
        assert line.get_ydata()[-1] == 1


def test_betti_curves_are_drawn_in_units_of_the_scale():
    small, large = (diagram_plots.betti_curves(a_profile(2, n=20, growth_of_scale=g)) for g in (1.0, 1000.0))
    for a, b in zip(small.axes[1].lines, large.axes[1].lines, strict=True):
        assert a.get_ydata().max() == b.get_ydata().max()
    assert small.axes[1].get_xlim() == pytest.approx(large.axes[1].get_xlim())


def test_at_most_twelve_diagrams_with_first_peak_and_last():
    profile = a_profile(32, n=12)
    chosen = [m.address.layer for m in diagram_plots.chosen_layers(profile)]
    top = phrases.peak(profile)
    assert len(chosen) == 12
    assert chosen[0] == "embedding"
    assert chosen[-1] == "final"
    assert top.address.layer in chosen
    titles = [axes.get_title() for axes in diagram_plots.persistence_diagrams(profile).axes]
    assert f"{top.address.layer} (peak)" in titles


def test_diagrams_show_every_finite_bar_above_the_diagonal():
    profile = a_cloud()
    axes = diagram_plots.persistence_diagrams(profile).axes[0]
    shown = [c.get_offsets() for c in axes.collections]
    assert [len(s) for s in shown] == [len(b) for b in profile.measurements[0].diagrams.finite]
    for points in shown:
        assert (points[:, 1] > points[:, 0]).all()
        assert points.max() <= axes.get_xlim()[1]


def test_expansion_is_the_product_of_scale_and_shape_on_every_layer():
    figure = drawings["scale_shape"].draw(a_profile(4, n=20, final=False))
    expansion, scale, shape = (dots_of(figure.axes[0], marker) for marker in "os^")
    assert expansion == pytest.approx(scale * shape)
    assert expansion[0] == pytest.approx(1)


def dots_of(axes, marker: str) -> np.ndarray:
    lines = [line for line in axes.lines if line.get_marker() == marker and line.get_linestyle() == "None"]
    return np.concatenate([line.get_ydata() for line in lines])


def test_scale_and_shape_name_the_peak_with_the_factors_of_the_expansion():
    profile = a_profile(4, n=20)
    growth = profile.expansions[0].growth
    title = drawings["scale_shape"].draw(profile).axes[0].get_title()
    assert (
        f"at {growth.peak}: expansion {growth.ratio:.3g} = scale {growth.scale:.3g} × shape {growth.shape:.3g}" in title
    )


def test_a_degenerate_embedding_is_no_baseline_and_the_figure_says_so():
    figure = drawings["scale_shape"].draw(a_profile(4, n=20, distinct=1))
    assert figure.axes[0].get_ylabel() == "relative to layer_0"
    assert "Baseline: layer_0, the first sound layer; embedding is undefined as one (1 distinct" in small_print(figure)


def test_a_doubtful_embedding_is_no_baseline_while_a_layer_is_sound(doubtful):
    assert drawings["scale_shape"].draw(doubtful).axes[0].get_ylabel() == "relative to layer_0"


def test_without_a_sound_layer_the_first_defined_one_is_the_baseline_and_doubtful():
    figure = drawings["scale_shape"].draw(a_profile(3, n=20, distinct=1, massive=layer_names(3)[1:]))
    assert "the first defined layer (no layer is sound)" in small_print(figure)
    assert "(doubtful)" in figure.axes[0].get_title()


@pytest.mark.slow
def test_a_model_name_is_no_mathematics(tmp_path):
    profile = a_profile(1, n=16, model="a$b_c$^{" + "x" * 90)
    assert len(write_figures(profile, tmp_path)) == 5


def test_comparison_figures_are_written(tmp_path):
    profiles = [a_profile(3, n=16, model="one"), a_profile(5, n=16, model="two", seed=9)]
    paths = write_comparison_charts(compare(profiles), tmp_path)
    assert {p.stem for p in paths} == {"comparison_profiles", "comparison_expansion"}
    for path in paths:
        with Image.open(path) as image:
            assert image.width == round(style.WIDTH * style.DPI)


def test_a_model_has_one_colour_and_a_pooling_one_marker():
    mean, last = Recipe(pooling="mean", components=6), Recipe(pooling="last", components=6)
    profiles = [a_profile(1, n=12, model=m, recipe=r) for r in (mean, last) for m in ("one", "two")]
    one, two, one_last, two_last = hands(profiles)
    assert one.colour == one_last.colour != two.colour == two_last.colour
    assert one.marker == two.marker != one_last.marker == two_last.marker
    assert [one.label, one_last.label] == ["one (mean)", "one (last)"]


def test_more_models_than_colours_are_told_apart():
    found = hands([a_profile(1, n=8, model=f"m{i}") for i in range(11)])
    assert len({(h.colour, h.marker) for h in found}) == 11


def test_depth_runs_from_the_embedding_to_the_last_block():
    assert [x for x, _ in depths(a_profile(4, n=12))] == pytest.approx([0, 0.25, 0.5, 0.75, 1])


def test_depth_counts_blocks_that_were_not_measured():
    some = [m for m in a_profile(4, n=12).measurements if m.address.layer in ("embedding", "layer_1", "layer_3")]
    assert [x for x, _ in depths(profile_of(some))] == pytest.approx([0, 0.5, 1])


def test_models_are_compared_on_one_kind_of_baseline():
    sound, degenerate = a_profile(2, n=16, model="sound"), a_profile(2, n=16, model="other", distinct=1)
    assert [e.baseline for e in chosen_expansions([sound, sound])] == ["embedding", "embedding"]
    assert [e.baseline for e in chosen_expansions([sound, degenerate])] == ["embedding", "layer_0"]


@pytest.mark.slow
def test_a_cloud_without_loops_draws_nothing_wrong(tmp_path):
    line = np.arange(8.0)[:, None] ** 1.5
    profile = profile_of([measurement(line, Address("m", "d", name)) for name in layer_names(2)])
    assert len(write_figures(profile, tmp_path)) == 5


def test_importing_the_package_or_its_texts_loads_no_matplotlib():
    code = (
        "import sys, todacomm, todacomm.report, todacomm.report.render, todacomm.report.terminal.table; "
        "print('matplotlib' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
        == "False"
    )


@pytest.mark.parametrize("scale", ["median", "rms"])
def test_the_split_is_the_same_whatever_the_recipe_divides_by(scale):
    plain, profile = (a_profile(4, n=20, recipe=Recipe(components=6, scale=s)) for s in ("none", scale))
    drawn, expected = (drawings["scale_shape"].draw(p).axes[0] for p in (profile, plain))
    for marker in "os^":
        assert dots_of(drawn, marker) == pytest.approx(dots_of(expected, marker))
    growth = profile.expansions[0].growth
    assert drawn.get_title() == expected.get_title()
    assert f"at {growth.peak}: expansion {growth.ratio:.3g} = scale {growth.scale:.3g}" in drawn.get_title()
    assert dots_of(drawn, "s").max() > 2


def test_scale_free_totals_are_drawn_once_and_no_caption_speaks_of_another_row():
    profile = a_profile(2, n=16, recipe=Recipe(components=6, scale="median"))
    assert len(drawings["layer_persistence"].draw(profile).axes) == 2
    for drawing in drawings.values():
        assert not {"above", "below"} & set(drawing.caption.lower().replace("far above", "").replace(",", "").split())


def test_a_doubtful_block_of_the_largest_shape_growth_is_hollow_in_its_panel_alone(shapely):
    sound, doubtful = shapely
    (chart,) = comparison_charts.of(compare([sound, doubtful]), "comparison_expansion")
    panels = figure_of(chart).axes
    assert [panel.get_title() for panel in panels][-1] == "largest shape growth"
    assert [dots(panel, hollow=True) for panel in panels] == [[], [], [], [1]]
    assert [dots(panel, hollow=False) for panel in panels] == [[0, 1], [0, 1], [0, 1], [0]]


@pytest.fixture
def shapely():
    """Two profiles; in the second the block with the largest shape growth is doubtful, and is not the peak."""
    plain = a_profile(4, n=24, model="sound", growth_of_scale=40)
    layer = plain.expansions[0].largest_shape.peak
    assert layer != plain.expansions[0].growth.peak
    return plain, a_profile(4, n=24, model="doubtful", growth_of_scale=40, massive=[layer])
