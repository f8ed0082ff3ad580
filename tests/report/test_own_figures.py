"""Functions that draw into Axes of one's own: what they draw, in which units, and what they refuse."""

import re

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import todacomm as td
from report_profiles import a_profile, cloud, measurement
from test_docs import FENCE, ROOT
from todacomm.comparison.compare import compare
from todacomm.core.errors import InvalidCloud, InvalidInput, UnknownName
from todacomm.core.inference_types import Claims, InferenceSettings, LoopBar, NullTest
from todacomm.core.types import Address, Measurement, Profile
from todacomm.report.document import style
from todacomm.report.document.figure_formats import FORMATS
from todacomm.report.layers.all_figures import drawings
from todacomm.training.fourier import multiplicative_characters


@pytest.fixture(scope="module")
def profile():
    """Three blocks and the final layer, with a null of known draws that differs everywhere."""
    return against_a_null(adjusted=0.02)


def against_a_null(*, adjusted: float) -> Profile:
    """The profile of these tests; ``adjusted`` is the p-value of each number."""
    plain = a_profile(3, n=24)
    names = ("H0_total_persistence", "H1_max_lifetime")
    tests = {
        m.address.layer: {name: a_test(name, m.summary[name], adjusted) for name in names} for m in plain.measurements
    }
    loops = {m.address.layer: tuple(loop_of(m, bar) for bar in m.diagrams.finite[1][::3]) for m in plain.measurements}
    claims = Claims(
        asked=InferenceSettings(resamples=0), intervals={}, one_by_one={}, growths={}, peaks={},
        tests={"gaussian": tests}, loops=loops, halves={}, missing={},
    )  # fmt: skip
    return a_profile(3, n=24, claims=claims)


def loop_of(m: Measurement, bar: np.ndarray) -> LoopBar:
    """A bar that stands out of its layer and of a group of ten points."""
    birth, death = bar.tolist()
    return LoopBar(
        birth,
        death,
        m.facts.scale,
        cycle=(1, 2, 3, 4),
        group=tuple(range(10)),
        p_layer=0.01,
        p_group=0.02,
        draws=199,
        groups=2,
    )


def a_test(name: str, observed: float, adjusted: float) -> NullTest:
    """One whose draws have twice the number as their mean, and a tenth of it as their spread."""
    found = {"p": 0.01, "adjusted": adjusted, "family_wise": adjusted, "smallest": 0.005}
    drawn = {"mean": 2 * observed, "spread": observed / 10, "draws": 199, "null": "gaussian"}
    return NullTest(metric=name, observed=observed, alternative="two-sided", **found, **drawn)


@pytest.fixture(scope="module")
def training():
    """One layer at five steps that are not evenly apart."""
    steps = (0, 10, 20, 40, 80)
    clouds = [cloud(i, 5, n=20, d=4, seed=2, growth_of_scale=2.0) for i in range(5)]
    found = [measurement(c, Address("net", "task", "embedding", s)) for c, s in zip(clouds, steps, strict=True)]
    return Profile(tuple(found), along="step")


def numbers_in(axes) -> list[float]:
    """The heights of all markers but stars."""
    lines = [line for line in axes.lines if line.get_linestyle() == "None" and line.get_marker() != "*"]
    return [float(y) for line in lines for y in line.get_ydata()]


def test_new_axes_are_one_column_wide_and_unknown_to_pyplot(profile):
    axes = td.plots.profile(profile, "H1_max_lifetime")
    assert axes.figure.get_figwidth() == td.plots.COLUMN
    assert not plt.get_fignums()
    assert axes.get_title() == ""


def test_given_axes_are_drawn_into_and_keep_their_style(profile):
    axes = Figure(figsize=(9, 4)).add_subplot()
    size = axes.xaxis.label.get_size()
    assert td.plots.expansion(profile, axes) is axes
    assert axes.xaxis.label.get_size() == size != 8


def test_a_length_is_drawn_scale_free_unless_it_is_wanted_as_it_is(profile):
    for scaled, key, unit in (
        (True, "H1_max_lifetime_scaled", "/ median distance"),
        (False, "H1_max_lifetime", "(activation units)"),
    ):
        axes = td.plots.profile(profile, "H1_max_lifetime", scaled=scaled)
        assert sorted(numbers_in(axes)) == pytest.approx(sorted(profile[key]))
        assert axes.get_ylabel() == f"H1 longest bar\n{unit}"
    assert td.plots.profile(profile, "H0_entropy").get_ylabel() == "H0 persistence entropy (nats)"
    assert td.plots.profile(profile, "scale").get_ylabel() == "median distance\n(activation units)"


@pytest.mark.parametrize("scaled", [True, False])
def test_the_null_is_in_the_unit_of_the_number_and_stars_stand_above_all(profile, scaled):
    axes = td.plots.profile(profile, "H0_total_persistence", scaled=scaled)
    values = profile["H0_total_persistence_scaled" if scaled else "H0_total_persistence"]
    dashed = next(line for line in axes.lines if line.get_linestyle() == "--")
    assert dashed.get_ydata() == pytest.approx(2 * values)
    stars = next(line for line in axes.lines if line.get_marker() == "*")
    assert (stars.get_ydata() > 2.2 * values).all()
    without = td.plots.profile(profile, "H0_total_persistence", scaled=scaled, null=False)
    assert not any(line.get_marker() == "*" or line.get_linestyle() == "--" for line in without.lines)


def test_several_profiles_in_one_axes_differ_in_colour_and_are_all_seen(profile):
    larger = a_profile(3, n=24, growth_of_scale=40.0, model="other")
    for first, second in ((profile, larger), (larger, profile)):
        axes = td.plots.profile(first, "scale", label="first")
        td.plots.profile(second, "scale", axes, label="second")
        colours = {line.get_label(): line.get_color() for line in axes.lines if not line.get_label().startswith("_")}
        assert set(colours) == {"first", "second"}
        assert len(set(colours.values())) == 2
        bottom, top = axes.get_ylim()
        assert bottom <= min(*first["scale"], *second["scale"])
        assert top >= max(*first["scale"], *second["scale"])


def test_a_band_that_was_drawn_stays_in_view_below_a_lower_profile(profile):
    axes = td.plots.profile(against_a_null(adjusted=0.5), "H0_total_persistence")
    top = axes.get_ylim()[1]
    assert top >= 2.2 * profile["H0_total_persistence_scaled"].max()
    td.plots.profile(a_profile(3, n=12), "H0_total_persistence", axes)
    assert axes.get_ylim()[1] == top


def test_a_training_is_drawn_at_its_steps(training):
    axes = td.plots.profile(training, "H1_max_lifetime")
    assert axes.get_xlabel() == "training step"
    assert axes.lines[0].get_xdata().tolist() == [0, 10, 20, 40, 80]
    assert not any(line.get_linestyle() == ":" and len(line.get_xdata()) > 1 for line in axes.lines)
    both = td.plots.comparison([training, training], "H1_max_lifetime")
    assert both.get_xlabel() == "training step"
    assert both.lines[0].get_xdata() == pytest.approx([0, 10, 20, 40, 80])
    assert td.plots.expansion(training).get_ylabel() == "relative to step 0"
    assert td.plots.diagram(training, 40).collections
    with pytest.raises(UnknownName, match="'41' is not a step that todacomm knows"):
        td.plots.diagram(training, 41)


def test_the_figure_of_a_report_has_the_lines_of_the_function(profile):
    ours, theirs = td.plots.expansion(profile), drawings["scale_shape"].draw(profile).axes[0]
    assert [line.get_ydata() for line in ours.lines] == [pytest.approx(line.get_ydata()) for line in theirs.lines]
    assert ours.get_title() == ""
    assert theirs.get_title()


def test_a_diagram_holds_the_bars_over_the_median_distance_with_rings_for_signal(profile):
    chosen = profile.at("layer_2")
    axes = td.plots.diagram(profile, "layer_2")
    zero, one, *ring = axes.collections
    for shown, bars in zip((zero, one), chosen.diagrams.finite, strict=True):
        assert np.asarray(shown.get_offsets()) == pytest.approx(bars / chosen.facts.scale)
    assert sum(len(r.get_offsets()) for r in ring) == len(profile.claims.loops["layer_2"]) > 0
    assert [text.get_text() for text in axes.texts] == ["4 in 10"] * min(2, len(profile.claims.loops["layer_2"]))
    assert len(td.plots.diagram(chosen, dimensions=[1]).collections) == 1
    assert td.plots.diagram(chosen, limit=3.0).get_xlim()[1] == 3.0


def test_a_barcode_keeps_the_longest_bars_in_the_order_of_birth_and_points_at_what_never_dies(profile):
    chosen = profile.at("layer_1")
    bars = chosen.diagrams.finite[0] / chosen.facts.scale
    axes = td.plots.barcode(chosen, dimension=0, most=5)
    found = [s for c in axes.collections for s in c.get_segments()]
    assert [s[1, 0] - s[0, 0] for s in found[:5]] == pytest.approx(np.sort(bars[:, 1])[-5:])
    assert len(found) == 6
    assert axes.get_ylabel() == "H0 bars (5 longest of 23)"
    pale, strong, _ = td.plots.barcode(profile, "layer_2").collections
    bars, loops = len(profile.at("layer_2").diagrams.finite[1]), len(profile.claims.loops["layer_2"])
    assert [len(pale.get_segments()), len(strong.get_segments())] == [bars - loops, loops]
    assert len(td.plots.barcode(profile, "layer_2", most=1).collections[1].get_segments()) == loops, (
        "loops are always drawn"
    )


def test_betti_curves_are_of_all_layers_or_of_one(profile):
    of_all = td.plots.betti(profile, dimension=0)
    assert [line.get_ydata()[0] for line in of_all.lines] == [24] * 5
    assert len(of_all.figure.axes) == 2, "the colours of the layers stand beside"
    assert len(td.plots.betti(profile, dimension=0, bar=False).figure.axes) == 1
    one = td.plots.betti(profile, "layer_1")
    assert one.lines[0].get_ydata().tolist() == of_line(td.plots.betti(profile.at("layer_1")))
    assert (one.get_xlabel(), one.get_ylabel()) == ("filtration value / median distance", "Betti number β1")


def of_line(axes) -> list[float]:
    return axes.lines[0].get_ydata().tolist()


def test_several_models_are_drawn_over_their_depth_each_in_its_colour(profile):
    deep = a_profile(5, n=16, model="deep")
    axes = td.plots.comparison([profile, deep], "H1_max_lifetime")
    assert axes.lines[0].get_xdata() == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["tiny-test", "deep"]
    same = td.plots.comparison(compare([profile, deep]), "scale", legend=False)
    assert same.get_legend() is None
    assert same.lines[0].get_ydata() == pytest.approx(profile["scale"][:-1])


def test_a_clock_of_perfect_hours_is_a_circle_in_order():
    angle = 2 * np.pi * 3 * np.arange(11) / 11
    axes = td.plots.clock(np.column_stack([np.cos(angle), np.sin(angle), np.zeros(11)]), 3)
    points = np.asarray(axes.collections[0].get_offsets())
    assert np.hypot(*points.T) == pytest.approx(np.ones(11))
    assert axes.get_xlabel() == "k = 3 · 100 % of the variance · order 1.00"
    assert len(axes.texts) == 11
    rows = np.random.default_rng(0).standard_normal((13, 5))
    assert len(td.plots.clock(rows, 2, characters=multiplicative_characters(13)).collections[0].get_offsets()) == 12


def test_a_figure_of_ones_own_is_saved_without_a_date_in_the_format_of_its_suffix(tmp_path):
    for form in FORMATS:
        figure = Figure(figsize=(1, 1))
        figure.add_subplot().set_title("a title")
        first = td.plots.save(figure, tmp_path / "new" / f"first.{form}")
        second = td.plots.save(figure.axes[0], tmp_path / f"second.{form}")
        assert first.read_bytes() == second.read_bytes()
        assert not re.search(rb"Date|dc:date|Type3|Matplotlib v", first.read_bytes())
    with Image.open(tmp_path / "second.png") as image:
        assert image.width == style.DPI


# What is refused


def undefined() -> Profile:
    return a_profile(2, n=16, distinct=2)


def along_both() -> list[Profile]:
    step = measurement(cloud(1, 2, n=12, d=3, seed=0, growth_of_scale=1.0), Address("m", "d", "embedding", 5))
    return [a_profile(1, n=12), Profile((step,), along="step")]


@pytest.mark.parametrize(
    ("call", "error", "said"),
    [
        (lambda p: td.plots.profile(p, "H1_max_lifetme"), UnknownName, "Did you mean 'H1_max_lifetime'?"),
        (td.plots.diagram, InvalidInput, "5 layers; say with at= which one is meant: embedding, layer_0"),
        (lambda p: td.plots.diagram(p, "layer_9"), UnknownName, "'layer_9' is not a layer"),
        (lambda p: td.plots.barcode(p.at("final"), "final"), InvalidInput, "one measurement needs none"),
        (lambda p: td.plots.diagram(p, "layer_0", dimensions=[2]), InvalidInput, "H0 to H1 were computed, maxdim=2"),
        (lambda p: td.plots.diagram(p, "layer_0", dimensions=[]), InvalidInput, "no dimension is wanted"),
        (lambda p: td.plots.betti(p, dimension=2), InvalidInput, "dimension 2; H0 to H1 were computed"),
        (lambda p: td.plots.barcode(p, "layer_0", most=0), InvalidInput, "most=0: expected the number of bars"),
        (lambda _: td.plots.barcode(undefined(), "embedding"), InvalidInput, "2 distinct points of 16, so that there"),
        (lambda _: td.plots.comparison([], "scale"), InvalidInput, "found none"),
        (lambda _: td.plots.comparison(along_both(), "scale"), InvalidInput, "some of layers and some of steps"),
        (lambda _: td.plots.clock(np.eye(7), 4), InvalidInput, "order 7 has those from 1 to 3"),
        (lambda _: td.plots.clock(np.eye(7)[0], 1), InvalidCloud, "shape (7,) of type float64"),
        (lambda _: td.plots.clock(np.full((5, 2), np.nan), 1), InvalidCloud, "5 of 5 rows hold NaN"),
        (
            lambda _: td.plots.clock(np.eye(5), 1, characters=multiplicative_characters(7)),
            InvalidInput,
            "5 rows; these characters speak of rows up to 6",
        ),
        (lambda p: td.plots.save(td.plots.expansion(p), "figure.jpg"), InvalidInput, "ends in .png, .pdf, .svg"),
        (lambda p: td.plots.write_figures(p, "nowhere", formats="eps"), UnknownName, "'eps' is not a format"),
    ],
)
def test_what_cannot_be_drawn_is_told(profile, call, error, said):
    with pytest.raises(error, match=re.escape(said)):
        call(profile)


# The page


def test_the_page_on_figures_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    session = {}
    with mpl.rc_context():
        for block in FENCE.findall((ROOT / "docs" / "figures.md").read_text(encoding="utf-8")):
            exec(compile(block, "figures.md", "exec"), session)  # noqa: S102 - our own page
    plt.close("all")
    for name in re.findall(r'"([\w-]+\.(?:pdf|png|svg))"', (ROOT / "docs" / "figures.md").read_text(encoding="utf-8")):
        assert (tmp_path / name).stat().st_size > 1000
