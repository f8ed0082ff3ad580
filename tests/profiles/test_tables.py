"""A profile and a comparison as tables: each number, interval and p-value in its own cell; and names that lead on."""

import numpy as np
import pytest

import todacomm as td
from todacomm.core.errors import InvalidInput, UnknownName

pytest.importorskip("pandas")


@pytest.fixture(scope="module")
def profile():
    rng = np.random.default_rng(0)
    return td.measure({"a": rng.normal(size=(40, 4)), "b": rng.normal(size=(40, 4))}, resamples=20, null_draws=19)


def test_a_tidy_table_has_every_number_with_its_interval_and_its_test(profile):
    table = profile.to_frame(tidy=True).set_index(["layer", "number"])
    loops = 2 * len(profile.layers)  # H1_loop and H1_loop_centroids beside them
    assert len(table) == sum(len(m.summary) for m in profile.measurements) + loops
    for m in profile.measurements:
        layer = m.address.layer
        for name, value in m.summary.items():
            assert table.loc[(layer, name), "value"] == pytest.approx(value)
        row, interval = (
            table.loc[(layer, "H1_total_persistence")],
            profile.interval("H1_total_persistence", layer=layer),
        )
        assert (row.low, row.high) == pytest.approx((interval.low, interval.high))
        loop, test = table.loc[(layer, "H1_loop")], profile.test("H1_loop", layer=layer)
        columns = ("gaussian_mean", "gaussian_p", "gaussian_p_adjusted", "gaussian_p_family")
        known = [float(loop[column]) for column in columns]
        assert known == pytest.approx([test.mean, test.p, test.adjusted, test.family_wise], nan_ok=True)
        assert loop.gaussian_found == test.found


def test_a_table_without_claims_has_values_alone(profile):
    bare = td.measure(np.eye(5), resamples=0, null_draws=0).to_frame(tidy=True)
    assert not [column for column in bare.columns if column.startswith("gaussian")]
    assert bare.low.isna().all()
    assert profile.to_frame().index.tolist() == ["a", "b"]


def test_a_comparison_is_a_short_line_and_a_table(profile):
    other = td.measure({"a": 2 * np.eye(40, 4), "b": np.eye(40, 4)}, name="other", resamples=20, null_draws=19)
    found = td.compare([profile, other])
    assert repr(found) == "Comparison(array, other: 2 profiles, 1 pairs)"
    table = found.to_frame()
    [pair] = found.pairs
    for name, row in pair.differences.items():
        cells = table[table.number == name]
        assert cells.first_layer.tolist() == [one.first for one in pair.layers]
        for column, of in (("first", "first"), ("second", "second"), ("p", "p"), ("p_adjusted", "adjusted")):
            expected = [np.nan if getattr(d, of) is None else getattr(d, of) for d in row]
            assert cells[column].astype(float).tolist() == pytest.approx(expected, nan_ok=True)
        ends = [(d.relative.low, d.relative.high) for d in row]
        drawn = list(zip(cells.relative_low, cells.relative_high, strict=True))
        assert np.array(drawn, dtype=float) == pytest.approx(np.array(ends, dtype=float), nan_ok=True)


def test_the_name_of_a_test_leads_to_the_test(profile):
    with pytest.raises(UnknownName, match=r"profile\.test\('H1_loop', layer='a'\)"):
        profile["H1_loop"]
    with pytest.raises(UnknownName) as unknown:
        profile["H1_lop"]
    assert "It is a test" not in str(unknown.value)


@pytest.mark.parametrize(("word", "ours"), [("pool", "pooling"), ("pca", "components"), ("points", "subsample")])
def test_a_word_of_others_leads_to_ours_in_the_library(word, ours):
    with pytest.raises(UnknownName, match=f"{word} is called {ours} here"):
        td.measure(np.eye(5), **{word: 3})


def test_a_word_of_others_leads_to_ours_in_studies():
    with pytest.raises(InvalidInput, match="n_components is called components here"):
        td.run("tiny-preln-decoder", n_components=3)


def test_progress_shows_bars_and_changes_no_number(capsys, monkeypatch):
    with_bar = td.measure(np.eye(6), resamples=0, null_draws=0, progress=True)
    assert with_bar["H0_count"].tolist() == td.measure(np.eye(6), resamples=0, null_draws=0)["H0_count"].tolist()
    assert capsys.readouterr().out == ""
    from todacomm.core.progress import bars, shown, silent

    assert shown(silent, progress=True) is bars
    assert shown(silent, progress=False) is silent
    assert list(bars([1, 2], "counting")) == [1, 2]
    seen = []
    monkeypatch.setattr("rich.progress.track", lambda *given, console, transient: seen.append((*given, console.stderr)))
    bars([1, 2], "counting", 2)
    assert seen == [([1, 2], "counting", 2, True)]
