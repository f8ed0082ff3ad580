"""The data of the explorer along the layers: what it holds, that it is right, and how much of it is sent."""

import json
import weakref
from dataclasses import replace

import numpy as np
import pytest

from todacomm.clouds.planes_and_clusters import views_of
from todacomm.clouds.prepare import prepare
from todacomm.comparison.layer_distances import layer_distances
from todacomm.core.errors import InvalidRecord
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.recipe import Recipe
from todacomm.core.types import PointCloud, Texts
from todacomm.core.value_types import Missing
from todacomm.homology.diagram_distances import wasserstein
from todacomm.profiles.from_arrays import measure_arrays
from todacomm.records.files.damaged import Salvage
from todacomm.records.texts import LEFT_OUT, NONE_KEPT, TEXTS, TEXTS_RECORD, texts_to_keep
from todacomm.report.document.style import PALETTE
from todacomm.report.layers import layer_explorer
from todacomm.report.layers.diagram_plots import signal_bars
from todacomm.report.layers.explorers import UNKNOWN, UNREADABLE, explorer_of, unknown_run
from todacomm.report.layers.layer_explorer import OF_TOKENS, OTHERS, Looks, layers_explorer, snippet
from todacomm.report.words import phrases

N = 40
LAYERS = ("embedding", "layer_0", "layer_1", "final")
WORDS = Texts(
    "notes", tuple(f"text {i} </script> {'word ' * i}" for i in range(N)), tuple("abcd"[i // 10] for i in range(N))
)


def arrays():
    """An embedding with two distinct points, noise, a noisy circle, and the circle smaller."""
    rng = np.random.default_rng(7)
    angle = np.sort(rng.uniform(0, 2 * np.pi, N))
    tilted = np.array([[1, 1, 1, 1], [1, -1, 1, -1]]) / 2
    circle = np.c_[np.cos(angle), np.sin(angle)] @ tilted + 0.14 * rng.standard_normal((N, 4))
    two = np.arange(N)[:, None] % 2 * np.ones((1, 4))
    return dict(zip(LAYERS, (two, 3 * rng.standard_normal((N, 4)), 10 * circle, circle), strict=True))


@pytest.fixture(scope="module")
def measured():
    found = arrays()
    profile, _ = measure_arrays(
        found, name="ring", recipe=Recipe(), asked=InferenceSettings(resamples=20, null_draws=39)
    )
    profile = replace(profile, texts_sha256=WORDS.sha256)
    return profile, lambda layer: PointCloud(found[layer], profile.at(layer).address)


@pytest.fixture(scope="module")
def explorer(measured):
    profile, clouds = measured
    return layers_explorer([profile], [clouds], [texts_to_keep(WORDS, whole=True)], ["ring"])


@pytest.fixture
def one(explorer):
    return explorer["profiles"][0]


def near(values):
    """NaN stands for None, which approx takes only as it is."""
    return [None if np.isnan(v) else pytest.approx(v, rel=1e-4, abs=1e-12) for v in values]


def test_it_is_json_without_undefined_numbers(explorer):
    text = json.dumps(explorer, allow_nan=False)
    numbers = []
    json.loads(text, parse_float=lambda word: numbers.append(float(word)))
    assert json.loads(text) == explorer
    assert len(numbers) > 500
    assert all(float(f"{x:.5g}") == x for x in numbers)


def test_every_part_of_the_contract_is_there_for_every_layer(explorer, one):
    assert set(explorer) == {"kind", "shows", "along", "metrics", "profiles"}
    assert (explorer["kind"], explorer["along"]) == ("layers", "layer")
    assert set(one) == {
        *(
            "id",
            "label",
            "colour",
            "data",
            "pooling",
            "points",
            "layers",
            "short",
            "places",
            "unit",
            "values",
            "low",
            "high",
        ),
        *("confidence", "null", "growth", "strip", "details", "no_views", "distances", "texts"),
    }
    assert (one["id"], one["label"], one["colour"], one["points"]) == ("p0", "ring", PALETTE[0], N)
    assert (one["layers"], one["short"]) == (list(LAYERS), ["emb", "0", "1", "final"])
    assert one["places"] == near([0, 1 / 3, 2 / 3, 1])
    assert (one["unit"], one["confidence"], one["no_views"]) == ("activation units", 0.95, "")
    columns = [*one["values"].values(), *one["low"].values(), *one["high"].values(), *one["strip"].values()]
    columns += [column for tested in one["null"].values() for column in tested.values()]
    assert {len(column) for column in (*columns, one["details"], *(d["values"] for d in one["distances"]))} == {
        len(LAYERS)
    }
    for detail in one["details"]:
        assert set(detail) == {
            *("bars", "essential", "left_out", "significant", "loop", "median"),
            *("views", "rows", "clusters", "clusters_note"),
        }
        assert [len(view[axis]) for view in detail["views"] for axis in "xy"] == [N] * 4
        assert (detail["rows"], len(detail["clusters"]), detail["left_out"]) == (list(range(N)), N, [0, 0])


def test_the_metrics_are_those_of_the_profile(explorer, one, measured):
    profile, _ = measured
    keys = [m["key"] for m in explorer["metrics"]]
    assert {*keys, *(m["scaled"] for m in explorer["metrics"] if m["scaled"])} == set(profile.measurements[0].summary)
    assert {m["key"] for m in explorer["metrics"] if m["integer"]} == {"H0_count", "H1_count"}
    assert all(bool(m["scaled"]) == (m["degree"] == 1) for m in explorer["metrics"])
    assert {"key": "H1_max_lifetime", "label": "H1 longest bar", "dimension": 1, "degree": 1,
        "scaled": "H1_max_lifetime_scaled", "integer": False} in explorer["metrics"]  # fmt: skip
    for name in ("H0_total_persistence", "H1_max_lifetime_scaled", "H1_count"):
        assert one["values"][name] == near([np.nan, *profile[name][1:]])
        low, high = profile.claims.bounds(name, LAYERS).T
        assert one["low"][name] == near([np.nan, *low[1:]])
        assert one["high"][name] == near([np.nan, *high[1:]])


def test_the_null_is_that_of_the_figure_in_both_units(one, measured):
    profile, _ = measured
    tests = profile.claims.tests["gaussian"]
    median = profile["scale"]
    for i, layer in enumerate(LAYERS[1:], 1):
        test, raw, free = (
            tests[layer]["H1_total_persistence"],
            *(one["null"][f"H1_total_persistence{x}"] for x in ("", "_scaled")),
        )
        assert [raw["mean"][i], raw["low"][i], raw["high"][i]] == near(
            np.array([test.mean, test.mean - 2 * test.spread, test.mean + 2 * test.spread])
        )
        assert free["high"][i] == pytest.approx(raw["high"][i] / median[i], rel=1e-4)
        for found in (raw, free):
            assert [found["p"][i], found["adjusted"][i], found["family_wise"][i]] == near(
                np.array([test.p, test.adjusted, test.family_wise])
            )
        assert one["null"]["H1_prominence"]["p"][i] == pytest.approx(tests[layer]["H1_loop"].p, rel=1e-4)
        assert one["null"]["H1_prominence"]["mean"][i] == pytest.approx(tests[layer]["H1_prominence"].mean, rel=1e-4)
    assert "H0_count" not in one["null"]
    assert one["null"]["H1_count"]["mean"][0] is None


def test_growth_is_exactly_the_product_of_its_factors(one, measured):
    profile, _ = measured
    growth = one["growth"]
    assert growth["baseline"] == phrases.baseline(profile).address.layer == "layer_0"
    assert growth["total"][1] == growth["scale"][1] == growth["shape"][1] == 1
    assert growth["scale"] == near([np.nan, *profile["scale"][1:] / profile["scale"][1]])
    products = np.array(growth["scale"][1:]) * growth["shape"][1:]
    assert growth["total"][1:] == pytest.approx(products.tolist(), rel=1e-4)


def test_bars_of_signal_are_those_of_the_figure_and_the_loop_is_told(one, measured):
    profile, _ = measured
    for layer, detail in zip(LAYERS[1:], one["details"][1:], strict=True):
        m = profile.at(layer)
        assert detail["bars"][1] == [near(bar) for bar in m.diagrams.finite[1]]
        assert detail["significant"] == np.flatnonzero(signal_bars(profile, m)).tolist()
        assert detail["median"] == pytest.approx(phrases.median_distance(m), rel=1e-4)
    assert len(one["details"][2]["significant"]) == 1
    assert one["details"][2]["loop"].startswith("Loop: one through ")
    assert one["details"][1]["loop"].startswith("No loop is shown")
    assert one["details"][0]["loop"] == ""
    assert one["details"][0]["essential"] == [[0], []]


def test_the_planes_are_the_views(one, measured):
    profile, clouds = measured
    views = views_of(prepare(clouds("layer_0"), profile.recipe))
    components, mds = one["details"][1]["views"]
    size = np.ptp(views.scaled)
    assert np.c_[components["x"], components["y"]] == pytest.approx(views.components, abs=size / 1000)
    assert np.c_[mds["x"], mds["y"]] == pytest.approx(views.scaled, abs=size / 1000)
    assert components["note"] == f"they hold {100 * views.variance:.0f} % of the variance"
    assert mds["note"] == f"stress {views.stress:.2f}"
    assert one["details"][1]["clusters"] == views.labels.tolist()
    assert (
        "at each distance from" in one["details"][1]["clusters_note"]
        or "no distance" in one["details"][1]["clusters_note"]
    )


def test_what_cannot_be_believed_is_said(one):
    strip = one["strip"]
    assert strip["distinct"] == [2, N, N, N]
    assert strip["doubt"][0].startswith("2 distinct points")
    assert strip["doubt"][1] == ""
    for found in one["distances"]:
        assert all(row[0] is None for row in found["values"])


def test_distances_between_layers_are_of_each_dimension_over_the_median_distance(one, measured):
    profile, _ = measured
    assert [found["dimension"] for found in one["distances"]] == [0, 1]
    for k, found in enumerate(one["distances"]):
        a, b = (profile.at(layer).diagrams.finite[k] / profile.at(layer).facts.scale for layer in LAYERS[1:3])
        assert found["values"][1][2] == pytest.approx(wasserstein(a, b, degree=2), rel=1e-4)
        assert found["values"][2][1] == found["values"][1][2]
        assert f"between H{k} diagrams, each over its median distance" in found["label"]
        assert "longest" not in found["label"]


def test_distances_of_the_longest_bars_are_within_their_error(measured):
    profile, _ = measured
    whole, part = layer_distances(profile)[1], layer_distances(profile, most=3)[1]
    assert (whole.matched, whole.error) == (None, 0)
    assert part.matched == 3
    wrong = np.abs(whole.values - part.values)[1:, 1:]
    assert 0 < wrong.max() <= part.error
    lives = [np.sort(np.diff(m.diagrams.finite[1])[:, 0])[:-3] / m.facts.scale for m in profile.measurements[1:]]
    assert part.error == pytest.approx(sum(sorted(float(np.linalg.norm(lost / 2)) for lost in lives)[-2:]))
    assert "of the 3 longest bars of each, at most " in layer_explorer.distances_of(part)["label"]


def test_of_h0_all_bars_are_matched(measured):
    profile, _ = measured
    whole, part = layer_distances(profile)[0], layer_distances(profile, most=3)[0]
    assert (part.dimension, part.matched, part.error) == (0, None, 0)
    np.testing.assert_array_equal(whole.values, part.values)
    assert (np.diag(whole.values)[1:] == 0).all()
    assert (whole.values[1, 2:] > 0).all()


def test_there_are_as_many_tables_as_dimensions_and_none_of_one_layer(measured):
    profile, _ = measured
    alone = replace(profile, measurements=profile.measurements[:1])
    flat = replace(profile, measurements=tuple(replace(m, recipe=Recipe(maxdim=0)) for m in profile.measurements))
    assert layer_distances(alone) == ()
    assert [found.dimension for found in layer_distances(flat)] == [0]


# Texts


def test_texts_stand_beside_the_points(one):
    texts = one["texts"]
    assert (texts["count"], texts["why_not"], texts["groups"]) == (N, "", ["a", "b", "c", "d"])
    assert texts["length"] == [len(item) for item in WORDS.items]
    assert [texts["groups"][group] for group in texts["group"]] == list(WORDS.groups)
    assert texts["items"][3] == "text 3 </script> word word word"


def test_a_snippet_is_one_line_of_so_many_letters():
    assert snippet("a\n b\t\u2028c ", 5) == "a b c"
    assert snippet("abcdef", 5) == "abcd…"


def texts_data(profile, texts):
    return layer_explorer.texts_data(layer_explorer.texts_of(profile, texts), {}, 280)


def test_texts_that_are_not_there_are_said_to_be_so(measured):
    profile, _ = measured
    lean = texts_data(profile, texts_to_keep(WORDS, whole=False))
    assert (lean["items"], lean["groups"], lean["why_not"]) == (None, None, LEFT_OUT)
    assert (len(lean["length"]), len(lean["group"])) == (N, N)
    assert texts_data(profile, NONE_KEPT)["why_not"] == NONE_KEPT.reason
    assert texts_data(profile, texts_to_keep(Texts("other", WORDS.items[1:]), whole=True))["why_not"] == OTHERS
    tokens = replace(
        profile, measurements=tuple(replace(m, recipe=Recipe(pooling="tokens")) for m in profile.measurements)
    )
    assert texts_data(tokens, texts_to_keep(WORDS, whole=True)) == {
        **dict.fromkeys(("length", "group", "groups", "items")), "count": 0, "why_not": OF_TOKENS,
    }  # fmt: skip


# What is not there, and what is left out


def test_without_clouds_everything_else_is_there(explorer, measured):
    profile, _ = measured
    found = layers_explorer([profile], [Missing("no activations")], [NONE_KEPT], ["ring"])["profiles"][0]
    assert found["no_views"] == "no activations"
    assert all((d["views"], d["rows"], d["clusters"]) == ([], [], []) for d in found["details"])
    whole = explorer["profiles"][0]
    assert [d["bars"] for d in found["details"]] == [d["bars"] for d in whole["details"]]
    assert found["values"] == whole["values"]


def test_without_claims_there_are_neither_intervals_nor_nulls(measured):
    profile = replace(measured[0], claims=None)
    found = layers_explorer([profile], [Missing("gone")], [NONE_KEPT], ["ring"])
    one = found["profiles"][0]
    assert (one["low"], one["high"], one["null"], one["confidence"]) == ({}, {}, {}, None)
    assert all((d["significant"], d["loop"]) == ([], "") for d in one["details"])
    assert "against_noise" not in found["shows"]


def test_of_large_clouds_and_diagrams_a_part_is_sent(measured, monkeypatch):
    profile, clouds = measured
    for name in ("FEWEST_POINTS", "FEWEST_BARS", "FEWEST_LETTERS"):
        monkeypatch.setattr(layer_explorer, name, 2)
    monkeypatch.setattr(layer_explorer, "ROOM", {"points": 48, "bars": 8, "letters": 320})
    found = layers_explorer([profile], [clouds], [texts_to_keep(WORDS, whole=True)], ["ring"])
    one, detail = found["profiles"][0], found["profiles"][0]["details"][2]
    assert (len(detail["rows"]), detail["rows"][0], detail["rows"][-1]) == (12, 0, N - 1)
    assert all("; 12 of 40 points are shown, evenly spaced" in view["note"] for view in detail["views"])
    bars = profile.at("layer_1").diagrams.finite
    assert [len(sent) for sent in detail["bars"]] == [2, 2]
    assert detail["left_out"] == [len(b) - 2 for b in bars]
    lives = np.sort(bars[0][:, 1] - bars[0][:, 0])
    assert np.diff(detail["bars"][0]).min() == pytest.approx(lives[-2], rel=1e-3)
    assert np.flatnonzero(signal_bars(profile, profile.at("layer_1"))) >= 2
    (longest,) = detail["significant"]
    assert np.diff(detail["bars"][1][longest])[0] == max(np.diff(detail["bars"][1]).ravel())
    items = one["texts"]["items"]
    assert {i for i, item in enumerate(items) if item} == set(detail["rows"])
    assert max(map(len, items)) == 8
    assert set(found["shows"]) == {"tda_summary", "layer_persistence", "scale_shape", "against_noise"}


def test_the_explorer_stands_for_the_figures_of_a_run(explorer):
    whole = {"tda_summary", "layer_persistence", "scale_shape", "against_noise", "betti_curves", "persistence_diagrams"}
    assert set(explorer["shows"]) == whole


def test_one_cloud_at_a_time_is_in_memory(measured):
    profile, _ = measured
    seen = []

    def clouds(layer):
        assert not [ref for ref in seen if ref() is not None]
        array = arrays()[layer].copy()
        seen.append(weakref.ref(array))
        return PointCloud(array, profile.at(layer).address)

    layer_explorer.look(profile, clouds, 10)
    assert len(seen) == len(LAYERS)


def test_what_was_looked_at_once_is_remembered(measured):
    profile, clouds = measured
    looks, asked = Looks(), []

    def counted(layer):
        asked.append(layer)
        return clouds(layer)

    first = looks(profile, counted, 10)
    assert looks(profile, counted, 10) is first
    assert asked == list(LAYERS)
    assert looks(profile, counted, 12) is not first


def test_several_profiles_have_colours_in_their_order_and_all_numbers_of_any(measured):
    profile, _ = measured
    flat = measure_arrays(
        arrays(), name="flat", recipe=Recipe(maxdim=0), asked=InferenceSettings(resamples=0, null_draws=0)
    )[0]
    found = layers_explorer([flat, profile], [Missing("gone")] * 2, [NONE_KEPT] * 2, ["a", "b"], heading="Both")
    assert [(p["id"], p["label"], p["colour"]) for p in found["profiles"]] == [
        ("p0", "a", PALETTE[0]),
        ("p1", "b", PALETTE[1]),
    ]
    assert found["heading"] == "Both"
    assert "H1_count" in [m["key"] for m in found["metrics"]]
    assert "H1_count" not in found["profiles"][0]["values"]
    assert [[d["dimension"] for d in p["distances"]] for p in found["profiles"]] == [[0], [0, 1]]


# Files


def test_texts_and_clouds_are_read_from_the_run(measured, tmp_path):
    profile, _ = measured
    run = tmp_path / "run_0"
    run.mkdir()
    TEXTS_RECORD.write(run, texts_to_keep(WORDS, whole=True))
    one = explorer_of([profile], [run], ["ring"])["profiles"][0]
    assert one["texts"]["items"] == [""] * N
    assert "no activations" in one["no_views"]
    nowhere = explorer_of([profile], [unknown_run(profile)], ["ring"])["profiles"][0]
    assert (nowhere["no_views"], nowhere["texts"]["why_not"]) == (UNKNOWN.reason, UNKNOWN.reason)


def test_a_damaged_file_costs_what_it_holds_alone(measured, tmp_path):
    profile, _ = measured
    (tmp_path / TEXTS).write_text("{", encoding="utf-8")
    (tmp_path / "activations").mkdir()
    (tmp_path / "activations" / "0.safetensors").write_bytes(b"damaged")
    with pytest.raises(InvalidRecord):
        explorer_of([profile], [tmp_path], ["ring"])
    salvage = Salvage()
    one = explorer_of([profile], [tmp_path], ["ring"], attempt=salvage)["profiles"][0]
    assert (one["no_views"], one["texts"]["why_not"]) == (UNREADABLE.reason, UNREADABLE.reason)
    assert [loss.what.split(" of ")[0] for loss in salvage.losses] == ["activations", "texts"]
