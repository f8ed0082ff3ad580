"""What stands under which settings: the grid, the claims, and the command on arrays and on shipped models."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from report_profiles import a_profile, measurement, profile_of
from small_studies import DECODER, ENCODER, one_line
from todacomm.ablation.claims import kendall, quantities_of
from todacomm.ablation.judge import Rerun, ablation
from todacomm.ablation.settings import Setting, based, default_grid, settings_of
from todacomm.comparison.expressions import RULES, SIZES, Statement, claim_of
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address
from todacomm.records.ablations import rows_of

BASE = Setting(pooling="mean", max_length=128)


# The grid


def test_one_factor_at_a_time_is_the_base_and_each_value_once():
    found = settings_of(BASE, default_grid(BASE))
    assert found[0] == BASE
    assert len(found) == len(set(found)) == 1 + 4 + 2 * 3 + 1 + 3 + 1 + 1
    assert all(len({name for name in s.changes(BASE) if name != "seed"}) <= 1 for s in found)
    assert {s.components for s in found} == {10, 20, 50, 100, None}
    assert sorted((s.points, s.seed) for s in found if s.points) == [(p, s) for p in (0.25, 0.5) for s in (42, 43, 44)]
    assert {(s.distance, s.scale) for s in found} == {("euclidean", x) for x in ("none", "median", "rms", "sphere")} | {
        ("cosine", "none")
    }
    assert {(s.pooling, s.max_length) for s in found} == {("mean", 128), ("last", 128), ("mean", 64)}


def test_all_combinations_draw_seeds_only_where_points_are_drawn():
    grid = {"components": (10, None), "points": (0.5, None), "seed": (42, 7), "distance": ("euclidean", "cosine")}
    found = settings_of(Setting(components=None), grid, full=True)
    assert found[0] == Setting(components=None)
    assert len(found) == len(set(found)) == 2 * 2 * (2 + 1)
    assert {s.factor(found[0]) for s in found} == {"base", "components", "points", "distance", "several"}


def test_a_base_with_fewer_points_is_drawn_by_every_seed():
    base = Setting(points=20)
    assert settings_of(base, {"seed": (42, 43)}) == (base, replace(base, seed=43))
    assert replace(base, seed=43).factor(base) == "seed"


def test_arrays_have_neither_pooling_nor_length():
    assert "pooling" not in default_grid(Setting(), arrays=True)


def test_the_base_is_among_the_values_that_were_given():
    assert based(BASE, {"components": (10, 50)}) == BASE
    assert based(BASE, {"components": (10, 20)}).components == 10


def test_labels_are_what_is_changed():
    assert BASE.label(BASE) == "base"
    assert replace(BASE, points=0.25, seed=43).label(BASE) == "points 0.25, seed 43"
    assert replace(BASE, components=None, max_length=64).label(BASE) == "components none, length 64"


def test_points_are_a_share_or_a_number_of_those_there_are():
    assert Setting(points=0.25).count(500) == 125
    assert Setting(points=40).count(500) == 40
    assert Setting().count(500) is None
    for points, n in ((0.25, 8), (40, 39)):
        with pytest.raises(InvalidInput, match="no more than there are"):
            Setting(points=points).count(n)


# The grammar


def test_claims_are_read():
    known, tested = ("H1_count",), ("H1_prominence",)
    assert claim_of("expansion>2", known, tested) == Statement("expansion", ">", 2.0)
    assert str(claim_of(" H1_count@layer_3 >= 1e1 ", known, tested)) == "H1_count@layer_3 >= 10"
    on_p = claim_of("H1_prominence@final:p<=0.05", known, tested)
    assert (on_p.layer, on_p.kind, str(on_p)) == ("final", "p", "H1_prominence@final:p <= 0.05")
    at = [claim_of(f"expansion{sign}2", known, tested).holds(2) for sign in (">=", "<=", ">", "<")]
    assert at == [True, True, False, False]


def test_rules_and_claims_are_read_by_one_grammar():
    for text in ("H1_count@layer_3:p<=0.05", " H1_count @ layer_3 : p <= 0.05 "):
        assert (
            RULES.read(text) == claim_of(text, (), ("H1_count",)) == Statement("H1_count", "<=", 0.05, "layer_3", "p")
        )
    assert RULES.read("H1_count@layer_3 / layer_5:rel>1").layer == "layer_3 / layer_5"
    assert [RULES.read(f"x:{kind}>0").kind for kind in SIZES] == list(SIZES)
    assert (Statement("x", ">", 2.0).beyond(3), Statement("x", "<=", 2.0).beyond(3)) == (1, -1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("expansion", "--claim expansion: expected <quantity>"),
        ("expansion=2", "--claim expansion=2: expected <quantity>"),
        ("expansion>much", "much is no number"),
        ("expansion>nan", "a quantity is compared with a number that is finite"),
        ("H1_prominence:p<2", "p is compared with a number from 0 to 1"),
        ("expansion:rel>2", "'rel' is not a kind that todacomm knows. Known: p. In --claim expansion:rel>2"),
        ("H1_count>3", "H1_count is a number of one layer; say which, such as H1_count@layer_3"),
        ("H1_counts@layer_0>3", "'H1_counts' is not a quantity that todacomm knows. Did you mean 'H1_count'?"),
        ("expansion:p<0.05", "'expansion' is not a number with a p-value"),
    ],
)
def test_malformed_claims_say_what_was_expected(text, message):
    with pytest.raises((InvalidInput, UnknownName), match=message.replace("?", r"\?")):
        claim_of(text, ("H1_count",), ("H1_prominence",))


# Claims on profiles made by hand: trees of known length


def bound(text):
    return claim_of(text, quantities_of(1), ())


def chain(model, totals, recipe=None, *, distinct=40):
    """A profile whose layers are one random cloud times a number: H0 total grows by that number alone."""
    recipe = recipe or Recipe(pooling="mean", components=3)
    points = np.random.default_rng(5).normal(size=(40, 4))
    names = ["embedding", *(f"layer_{i}" for i in range(len(totals) - 1))]
    return profile_of(
        [
            measurement(points * total, Address(model, "wikitext2", name), recipe, distinct_points=distinct)
            for name, total in zip(names, totals, strict=True)
        ]
    )


def stands(found, text):
    return next(s for s in found.standings if s.text.startswith(text))


GRID = [Setting(components=c, pooling="mean") for c in (3, 2, 1)]


def reruns(model, totals_by_setting):
    """One rerun a setting, its recipe that of the setting."""
    for setting, totals in zip(GRID, totals_by_setting, strict=True):
        yield Rerun(setting, model, chain(model, totals, Recipe(pooling="mean", components=setting.components)))


def test_a_claim_stands_where_the_base_is_confirmed_and_fails_where_not():
    found = ablation(GRID, reruns("a", [(1, 3, 2), (1, 4, 2), (1, 2, 3)]), [bound("expansion>3.5")])
    peak = stands(found, "a: the peak is layer_0")
    assert (peak.stands, peak.judged, peak.fails, peak.apart) == (1, 2, (GRID[2],), ())
    assert peak.verdicts[GRID[2]].value == "layer_1"
    grows = stands(found, "a: expansion > 1")
    assert (grows.stands, grows.judged) == (2, 2)
    own = stands(found, "a: expansion > 3.5")
    assert own.base.stands is False
    assert [own.verdicts[s].stands for s in GRID[1:]] == [True, False]
    assert own.verdicts[GRID[1]].value == "4"


def test_orders_are_exact_or_fail_with_kendalls_tau():
    first, second = [(1, 2), (1, 2), (1, 5)], [(1, 3), (1, 4), (1, 4)]
    found = ablation(GRID, [*reruns("a", first), *reruns("b", second)])
    order = stands(found, "order by expansion: a < b")
    assert [order.verdicts[s].stands for s in GRID[1:]] == [True, False]
    assert order.verdicts[GRID[2]].tau == -1
    assert order.verdicts[GRID[2]].value == "b < a"


def test_kendalls_tau_counts_pairs():
    first = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    assert kendall(first, first) == 1
    assert kendall(first, {"a": 2.0, "b": 1.0, "c": 3.0, "d": 4.0}) == pytest.approx(4 / 6)
    assert kendall(first, {"a": 4.0, "b": 3.0, "c": 2.0, "d": 1.0}) == -1
    assert kendall(first, {"a": 1.0, "b": 1.0, "c": 3.0, "d": 4.0}) == pytest.approx(5 / 6)


def against(setting, recipe, *, totals=(1.0, 3.0, 2.0), asked=None, **facts):
    """The standing of the claims under one setting beside the base."""
    profiles = [chain("a", (1.0, 3.0, 2.0)), chain("a", totals, recipe, **facts)]
    settings = (GRID[0], setting)
    pairs = [Rerun(s, "a", p) for s, p in zip(settings, profiles, strict=True)]
    return ablation(settings, pairs, [asked] if asked else []), setting


def test_ratios_of_lengths_are_not_judged_in_other_units_but_shapes_and_peaks_are():
    recipe = Recipe(pooling="mean", components=3, distance="cosine")
    found, setting = against(replace(GRID[0], distance="cosine"), recipe)
    assert stands(found, "a: expansion").verdicts[setting].reason == "cosine distances have other units"
    assert stands(found, "a: expansion").judged == 0
    assert stands(found, "a: the peak is layer_0").verdicts[setting].stands is True


def test_a_scale_that_divides_by_one_number_speaks_for_nothing():
    recipe = Recipe(pooling="mean", components=3, scale="median")
    asked = bound("H0_total_persistence@layer_0>1")
    found, setting = against(replace(GRID[0], scale="median"), recipe, asked=asked)
    assert "changes no ratio" in stands(found, "a: expansion").verdicts[setting].reason
    assert "another unit at scale median" in stands(found, "a: H0_total").verdicts[setting].reason


def test_a_setting_that_measures_the_same_clouds_again_is_counted_once():
    found, setting = against(replace(GRID[0], seed=7), Recipe(pooling="mean", components=3, seed=7))
    verdict = stands(found, "a: expansion").verdicts[setting]
    assert (verdict.stands, verdict.reason) == (None, "the same clouds as in the setting 'base'")


def test_a_setting_is_no_repetition_of_one_that_could_not_be_judged():
    few = Recipe(pooling="mean", components=3, subsample=3)
    settings = (GRID[0], replace(GRID[0], points=3), replace(GRID[0], points=3, components=None))
    profiles = [
        a_profile(2, n=n, d=4, model="a", recipe=recipe)
        for n, recipe in ((20, Recipe(pooling="mean", components=3)), (3, few), (3, replace(few, components=None)))
    ]
    found = ablation(settings, [Rerun(s, "a", p) for s, p in zip(settings, profiles, strict=True)])
    assert [s.judged for s in found.standings] == [1] * len(found.standings)
    assert all(s.apart == settings[1:2] for s in found.standings)


def test_a_doubtful_baseline_is_neither_a_failure_nor_a_success():
    found, setting = against(GRID[1], Recipe(pooling="mean", components=2), distinct=10)
    standing = stands(found, "a: expansion")
    assert standing.apart == (setting,)
    assert "10 distinct points of 40" in standing.verdicts[setting].reason


def test_a_setting_that_could_not_be_measured_is_counted_apart():
    gone = Rerun(GRID[1], "a", None, "2 points stand at the centre")
    found = ablation(GRID[:2], [Rerun(GRID[0], "a", chain("a", (1, 3))), gone])
    assert stands(found, "a: expansion").verdicts[GRID[1]].reason == "2 points stand at the centre"
    assert [row.numbers.doubt for row in rows_of(found)] == ["", "2 points stand at the centre"]


def test_fewer_points_than_components_are_told_apart_from_a_projection():
    few = replace(GRID[0], points=3)
    profile = a_profile(2, n=3, d=4, model="a", recipe=Recipe(pooling="mean", components=3, subsample=3))
    base = a_profile(2, n=20, d=4, model="a", recipe=Recipe(pooling="mean", components=3))
    found = ablation((GRID[0], few), [Rerun(GRID[0], "a", base), Rerun(few, "a", profile)])
    reason = "3 points are no more than 3 components, so nothing is projected"
    assert {s.verdicts[few].reason for s in found.standings} == {reason}


def test_a_layer_that_is_not_there_is_refused():
    with pytest.raises(UnknownName, match="layer_7"):
        ablation(GRID[:1], [Rerun(GRID[0], "a", chain("a", (1, 3)))], [bound("H1_count@layer_7>1")])


# The command on arrays


@pytest.fixture
def arrays(tmp_path, rng):
    points = rng.normal(size=(48, 12)) * np.linspace(2, 0.2, 12)
    angle = 2 * np.pi * np.arange(48) / 48
    ring = np.c_[np.cos(angle), np.sin(angle)] @ rng.normal(size=(2, 12)) + 0.02 * rng.normal(size=(48, 12))
    np.savez(tmp_path / "layers.npz", embedding=points, layer_0=3 * points**3, layer_1=2 * points)
    np.save(tmp_path / "ring.npy", 5 * ring)
    return tmp_path


@pytest.mark.slow
def test_arrays_give_a_directory_and_a_table(todacomm, arrays):
    code, out, err = todacomm("ablate", "layers.npz", "--components", "2,4,none", "--claim", "expansion > 2")
    assert code == 0, err
    assert "layers: the peak is layer_0" in one_line(out)
    (directory,) = Path("experiments").iterdir()
    assert directory.name.startswith("ablation_layers_")
    assert {str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file()} == {
        *("ablation.json", "ablation.csv", "ablation.md", "report.html"),
        *(f"visualizations/ablation_{name}.png" for name in ("growth", "peaks", "claims")),
    }
    found = json.loads((directory / "ablation.json").read_text(encoding="utf-8"))
    rows = list(csv.DictReader((directory / "ablation.csv").read_text(encoding="utf-8").splitlines()))
    assert len(rows) == len(found["rows"]) == 1 + 2 + 6 + 1 + 3
    assert found["base"]["components"] == 2
    peak = next(claim for claim in found["claims"] if "the peak" in claim["claim"])
    assert (peak["stands"], peak["judged"]) == (7, 8)
    assert [s["setting"] for s in peak["settings"] if s["stands"] is False] == ["scale sphere"]
    reasons = {s["setting"]: s["reason"] for s in peak["settings"] if s["stands"] is None}
    assert set(reasons) == {"points 0.25, seed 43", "points 0.25, seed 44", "scale median", "scale rms"}
    assert "holds 55% of the variance" in reasons["points 0.25, seed 43"]
    assert "changes no ratio" in reasons["scale rms"]
    assert "![" in (directory / "ablation.md").read_text(encoding="utf-8")


def test_a_loop_is_a_claim_where_draws_are_asked_for(todacomm, arrays):
    options = ("--components", "2,6", "--points", "all", "--scale", "none", "--distance", "euclidean")
    code, out, err = todacomm("ablate", "ring.npy", *options, "--null-draws", 39, "--json")
    assert code == 0, err
    (claim,) = json.loads(out)["claims"]
    assert claim["claim"].endswith(":p <= 0.05")
    assert (claim["base"]["stands"], claim["stands"], claim["judged"]) == (True, 1, 1)


BAD = [
    (("ring.npy",), "there is nothing to claim of a cloud without blocks"),
    (("ring.npy", "--claim", "H1_count>"), "--claim H1_count>: expected <quantity>"),
    (("ring.npy", "--claim", "H1_prominence:p<0.05"), "needs draws of the null: add --null-draws 199"),
    (("ring.npy", "--claim", "H1_count@layer_0>1"), "'layer_0' is not a layer that todacomm knows"),
    (("layers.npz", "--components", "10,many"), "--components 10,many: expected a whole number, found 'many'"),
    (("layers.npz", "--components", ","), "--components: an empty list"),
    (
        ("layers.npz", "--points", "0.5,2"),
        "--subsample 0.5,2: expected a share between 0 and 1, a number of points from 3 on, or all",
    ),
    (("layers.npz", "--points", "99"), "--subsample 99: 99 of 48 points"),
    (("layers.npz", "--scale", "none,meddian"), "'meddian' is not a scale that todacomm knows"),
    (("layers.npz", "--distance", "cosin"), "'cosin' is not a distance that todacomm knows"),
    (("layers.npz", "--seeds", "one"), "--seed one: expected a whole number, found 'one'"),
    (("layers.npz", "--pool", "mean"), "layers.npz and --pooling: arrays need no model and no texts"),
    (("layers.npz", "--model", "gpt2"), "arrays need no model and no texts"),
    (("none.npy",), "none.npy is not a file"),
    (("--model", "gtp2"), "'gtp2' is not a model that todacomm knows"),
    (("--model", DECODER, "--pool", "tokens"), "expected poolings with one vector a text"),
    (("--model", DECODER, "--max-length", "0"), "--max-length 0: expected at least 1, found 0"),
    (("--model", DECODER, "--samples", 20, "--points", "21"), "--subsample 21: 21 of 20 points"),
    (("--model", "a", "--models", "a,b"), "--model and --models both name the models"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD, ids=[" ".join(map(str, a)) for a, _ in BAD])
def test_bad_input_is_told_and_nothing_is_left(todacomm, arrays, arguments, message):
    code, out, err = todacomm("ablate", *arguments)
    assert code == 2
    assert message in one_line(err)
    assert "Traceback" not in err
    assert not out
    assert not list(Path("experiments").glob("*"))


def test_an_interruption_leaves_nothing(todacomm, arrays, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("todacomm.report.ablation.ablation_charts.write_ablation_figures", interrupted)
    code, _, err = todacomm("ablate", "layers.npz", "--components", "2", "--points", "all")
    assert code == 130
    assert "nothing is half-written" in one_line(err)
    assert not list(Path("experiments").glob("*"))


# The command on models


@pytest.fixture
def small(tmp_path, monkeypatch):
    """Options of an ablation on three layers and sixteen texts, without figures, which the arrays have."""
    monkeypatch.setattr("todacomm.report.ablation.ablation_charts.write_ablation_figures", lambda *_: [])
    study = f"models: [{DECODER}, {ENCODER}]\nsamples: 16\nlayers: [embedding, layer_1, layer_4]\n"
    (tmp_path / "small.yaml").write_text(study + "resamples: 0\nnull_draws: 0\n", encoding="utf-8")
    lists = {"components": "4,none", "points": "0.5,all", "scale": "none", "distance": "euclidean", "seeds": "42,1"}
    return ("--config", "small.yaml", *(part for name, values in lists.items() for part in (f"--{name}", values)))


@pytest.mark.slow
def test_models_are_compared_and_a_second_time_no_model_is_loaded(todacomm, small, monkeypatch):
    arguments = (*small, "--pool", "mean,last", "--max-length", "32,128", "--json")
    code, first, err = todacomm("ablate", *arguments)
    assert code == 0, err
    found = json.loads(first)
    assert len(found["rows"]) == 2 * (1 + 1 + 2 + 1 + 1)
    assert {row["pooling"] for row in found["rows"]} == {"mean", "last"}
    assert next(c for c in found["claims"] if c["claim"].startswith("order by expansion"))["judged"]

    def done_again(*_, **__):
        raise AssertionError("not out of the cache")

    monkeypatch.setattr("todacomm.runs.jobs.load", done_again)
    monkeypatch.setattr("todacomm.runs.jobs.measure_task", done_again)
    monkeypatch.setattr("todacomm.runs.plan.estimate.Planner.counted", done_again)
    code, second, err = todacomm("ablate", *arguments)
    assert code == 0, err
    assert json.loads(second)["rows"] == found["rows"]


def test_a_reading_of_a_run_is_not_made_again(todacomm, small, monkeypatch):
    monkeypatch.setattr("todacomm.runs.run_study.figure_files", lambda *_: {})
    monkeypatch.setattr("todacomm.runs.run_study.write_experiment", lambda *_, **__: None)
    assert todacomm("run", "--config", "small.yaml", "--model", DECODER, "--no-language", "--quiet")[0] == 0
    monkeypatch.setattr("todacomm.runs.jobs.load", lambda *_, **__: pytest.fail("a model was loaded"))
    code, _, err = todacomm("ablate", *small, "--model", DECODER, "--pool", "last", "--max-length", "128", "--quiet")
    assert code == 0, err


@pytest.mark.slow
def test_a_model_that_fails_among_several_is_told_and_the_others_go_on(todacomm, small, monkeypatch):
    from todacomm.runs import jobs

    real = jobs.load

    def failing(model, *rest, **more):
        if model == ENCODER:
            raise MemoryError("no room")
        return real(model, *rest, **more)

    monkeypatch.setattr("todacomm.runs.jobs.load", failing)
    code, out, err = todacomm("ablate", *small, "--pool", "mean", "--max-length", "128")
    assert code == 1
    assert f"failed: {ENCODER}: MemoryError: no room" in one_line(err)
    assert f"{DECODER}: the peak is" in one_line(out)
    (report,) = Path("experiments").glob("ablation_2_models_*/ablation.md")
    assert "no room" in report.read_text(encoding="utf-8")
