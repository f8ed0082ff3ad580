"""Rules that fail a comparison: each kind, what is malformed, what is refused, and the exit codes."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from todacomm import measure
from todacomm.comparison.compare import compare
from todacomm.comparison.expressions import RULES
from todacomm.comparison.gate import judge
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.types import Activations, Address, PointCloud, Texts
from todacomm.records.runs import Record, write_record
from todacomm.statistics.intervals import spread_of

SHAPE = "H0_total_persistence_scaled"
N = 120


def layers_of(seed=1, n=N):
    rng = np.random.default_rng(seed)
    base = rng.normal(size=(n, 4))
    return {"embedding": base, "layer_0": 2 * base, "layer_1": 3 * base + rng.normal(size=(n, 4))}


def changed():
    layers = layers_of()
    rng = np.random.default_rng(4)
    return {**layers, "layer_1": layers["layer_1"] + 20 * (rng.random((N, 1)) > 0.5)}


def profile_of(layers, name="base", **settings):
    found = measure(layers, name=name, **{"null_draws": 0, "resamples": 40, **settings})
    return replace(found, language={"bits_per_byte": 1.0 if name == "base" else 1.1}, texts_sha256="ab" * 32)


CLOUDS = {"base": layers_of(), "tuned": changed()}


@pytest.fixture(scope="module")
def base():
    return profile_of(CLOUDS["base"])


@pytest.fixture(scope="module")
def tuned():
    return profile_of(CLOUDS["tuned"], "tuned")


@pytest.fixture(scope="module")
def comparison(base, tuned):
    def clouds(profile):
        return lambda layer: PointCloud(CLOUDS[profile.model][layer], profile.at(layer).address)

    return compare([base, tuned], clouds=clouds)


def judged(comparison, rule):
    return judge([RULES.read(rule)], {"all": comparison})[0]


def expected_values(comparison):
    base, tuned = comparison.profiles
    pair, apart = comparison.pairs[0], comparison.apart[0]
    a, b = base[SHAPE][2], tuned[SHAPE][2]
    deviation = spread_of(SHAPE, base.claims.halves["layer_1"]).deviation
    growths = [p.expansions[0].growth for p in (base, tuned)]
    shape = growths[1].shape / growths[0].shape
    return {
        f"{SHAPE}@layer_1:diff": b - a,
        f"{SHAPE}@layer_1:abs": abs(b - a),
        f"{SHAPE}@layer_1:rel": abs(b - a) / a,
        f"{SHAPE}@layer_1:ratio": b / a,
        f"{SHAPE}@layer_1:effect": abs(b - a) / deviation,
        f"{SHAPE}@layer_1:p": pair.differences[SHAPE][2].p,
        "variance_kept@layer_1:diff": 0.0,
        "shape_growth:rel": abs(shape - 1),
        "shape_growth:ratio": shape,
        "scale_growth:diff": growths[1].scale - growths[0].scale,
        "expansion:p": pair.growths["ratio"].adjusted,
        "bits_per_byte:rel": 0.1,
        "bits_per_byte:diff": 0.1,
        "bottleneck_H1@layer_1:abs": apart.diagrams["H1"][2].bottleneck,
        "wasserstein_H0@layer_1:abs": apart.diagrams["H0"][2].wasserstein,
        "wasserstein_H0@layer_1:p": apart.diagrams["H0"][2].p,
        "cka@layer_1:abs": apart.cka[2],
    }


def test_every_kind_of_rule_fires_beyond_its_number_and_not_short_of_it(comparison):
    for head, expected in expected_values(comparison).items():
        value, directed = float(expected), head.rpartition(":")[2] in ("diff", "ratio")
        more, less = value + 0.01, value - 0.01
        assert [one.value for one in judged(comparison, f"{head}<{more!r}").fired] == [pytest.approx(value)], head
        assert not judged(comparison, f"{head}>={more!r}").fired, head
        if directed or less >= 0:
            assert [one.value for one in judged(comparison, f"{head}>{less!r}").fired] == [pytest.approx(value)], head
            assert not judged(comparison, f"{head}<={less!r}").fired, head


def test_a_rule_on_p_takes_that_of_the_layer_or_those_adjusted_over_all(comparison):
    rows = comparison.pairs[0].differences[SHAPE]
    found = judged(comparison, f"{SHAPE}:p<=1")
    assert sorted(one.value for one in found.fired) == sorted(d.adjusted for d in rows)
    assert judged(comparison, f"{SHAPE}@layer_1:p<=1").fired[0].value == rows[2].p < rows[2].adjusted


def test_a_rule_without_a_layer_fires_where_any_layer_does_and_says_which(comparison):
    found = judged(comparison, f"{SHAPE}:rel>0.01")
    assert [(one.pair, one.layer) for one in found.fired] == [("base and tuned", "layer_1")]
    assert found.looked_at == 3
    assert found.fired[0].beyond == pytest.approx(found.fired[0].value - 0.01)


def test_a_rule_that_does_not_fire_says_what_came_nearest(comparison):
    found = judged(comparison, f"{SHAPE}:rel>0.99")
    assert not found.fired
    assert found.nearest.layer == "layer_1"
    assert found.nearest.beyond < 0


def test_identical_models_pass_every_rule(base):
    twin = compare([base, replace(base)])
    for rule in (
        f"{SHAPE}:rel>0",
        f"{SHAPE}:p<0.9999",
        "shape_growth:p<0.9999",
        "bottleneck_H1:abs>0",
        "H1_count:effect>0",
    ):
        assert not judged(twin, rule).fired, rule


@pytest.mark.parametrize(
    "rule",
    ["", "shape_growth", "shape_growth>0.2", "shape_growth:rel", "shape_growth:rel=0.2", "shape_growth:rel>", ":rel>1",
     "shape growth rel 0.2", "a@:rel>1", "shape_growth:rel>0.2>0.1"],
)  # fmt: skip
def test_a_malformed_rule_says_what_was_expected(rule):
    with pytest.raises(InvalidInput, match=r"expected <quantity>\[@layer\]:<rel\|diff\|abs\|ratio\|p\|effect>"):
        RULES.read(rule)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("shape_growth:relative>0.2", "'relative' is not a kind that todacomm knows. Did you mean 'ratio'"),
        ("shape_growth:rel>a", "a is no number"),
        ("shape_growth:rel<-0.1", "of 0 or more, for it is a size; diff and ratio have a direction"),
        ("shape_growth:p<1.5", "p is compared with a number from 0 to 1"),
        ("shape_growth:diff>inf", "a number that is finite"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(rule, problem):
    with pytest.raises((InvalidInput, UnknownName)) as raised:
        RULES.read(rule)
    assert problem in str(raised.value)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("H1_totl:rel>1", "'H1_totl' is not a quantity that todacomm knows. Did you mean"),
        (f"{SHAPE}@layer_9:rel>1", "'layer_9' is not a layer of both that todacomm knows"),
        ("shape_growth@layer_1:rel>1", "shape_growth is of a whole model and has no layers"),
        ("shape_growth:effect>1", "shape_growth has rel, diff, abs, ratio and p, but no effect"),
        ("bits_per_byte:p<0.1", "bits_per_byte has rel, diff, abs and ratio; no test is made of it"),
        ("perplexity:rel>0.1", "cannot be decided: base and tuned: perplexity was not measured for both"),
        ("bottleneck_H1:p<0.1", "bottleneck has abs, the distance itself; p is that of wasserstein"),
        ("wasserstein_H1:rel>0.1", "wasserstein has abs, the distance itself, and p"),
        ("wasserstein_H2:abs>0.1", "'H2' is not a dimension of both that todacomm knows"),
        ("cka:rel>0.1", "cka has abs, the alignment itself"),
        ("variance_kept:p<0.1", "no interval is made of it, so that it has no p and no effect"),
    ],
)
def test_a_quantity_that_there_is_not_is_refused(comparison, rule, problem):
    with pytest.raises((InvalidInput, UnknownName)) as raised:
        judged(comparison, rule)
    assert problem in str(raised.value)


def moved(profile, data):
    found = (replace(m, address=Address("tuned", data, m.address.layer)) for m in profile.measurements)
    return replace(profile, measurements=tuple(found))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda p: replace(p, texts_sha256="cd" * 32),
            "the texts of base and tuned are not the same (SHA-256 abababababab and cdcdcdcdcdcd)"),
        (lambda p: moved(p, "squad"), "the dataset is arrays for base and squad for tuned"),
        (lambda _: profile_of(changed(), "tuned", seed=7), "seed is 42 for base and 7 for tuned"),
        (lambda _: profile_of(layers_of(n=60), "tuned"),
            "base has 120 points and tuned 60: totals, counts and entropies grow"),
        (lambda _: profile_of(changed(), "tuned", components=2), "components is 50 for base and 2 for tuned"),
        (lambda _: profile_of(changed(), "tuned", scale="median"), "scale is none for base and median for tuned"),
    ],
)  # fmt: skip
def test_like_is_compared_with_like_alone(base, tuned, change, why):
    with pytest.raises(InvalidInput) as raised:
        judged(compare([base, change(tuned)]), f"{SHAPE}:rel>0.1")
    assert f"the gate compares like with like: {why}" in str(raised.value)


def test_runs_with_no_dataset_in_common_are_refused(base):
    with pytest.raises(InvalidInput, match="wikitext2 was measured for base alone"):
        judge([RULES.read("expansion:rel>1")], {"wikitext2": compare([base])})


def test_without_resamples_a_rule_on_p_cannot_be_decided_but_one_on_size_can(base, tuned):
    found = compare([base, profile_of(changed(), "tuned", resamples=0)])
    assert judged(found, f"{SHAPE}:rel>0.01").fired
    with pytest.raises(InvalidInput, match="cannot be decided: .* no resamples: run again with --resamples 100"):
        judged(found, f"{SHAPE}:p<0.05")


# The command


@pytest.fixture(scope="module")
def written(base, tuned, tmp_path_factory):
    place = tmp_path_factory.mktemp("runs")
    for profile in (base, tuned):
        texts = Texts("arrays", tuple(map(str, range(N))))
        layers = {k: x.astype(np.float32) for k, x in CLOUDS[profile.model].items()}
        write_record(place / profile.model, Record(profile, {}), Activations(layers, profile.model, texts, "given"))
    return place


@pytest.fixture
def gate(todacomm, written, tmp_path, monkeypatch):
    """``todacomm compare base tuned`` on a copy of the runs, without figures."""
    for run in written.iterdir():
        shutil.copytree(run, tmp_path / run.name)
    monkeypatch.setattr("todacomm.report.comparison.all_charts.write_comparison_charts", lambda *_: [])
    return lambda *arguments: todacomm("compare", "base", "tuned", *arguments)


@pytest.mark.parametrize("form", ["--figures=png", "--quiet", "--json"])
def test_the_exit_code_is_1_where_a_rule_fires_and_the_rule_is_named_on_standard_error(gate, form):
    code, out, err = gate("--fail-if", f"{SHAPE}:rel>0.01", "--fail-if", "bits_per_byte:rel>0.5", form)
    assert code == 1
    assert f"FIRED {SHAPE}:rel>0.01" in err
    assert "base and tuned, layer_1: rel 0." in err
    assert "beyond 0.01" in err
    assert "passed" not in err
    told = "passed bits_per_byte:rel>0.5\n  nearest: base and tuned: rel 0.1, 0.4 short of 0.5" in out
    assert told == (form == "--figures=png")


def test_the_exit_code_is_0_where_none_fires_and_without_rules(gate):
    assert gate("--fail-if", "bits_per_byte:rel>0.5")[0] == 0
    assert gate()[0] == 0


@pytest.mark.parametrize("rule", ["shape_growth", "nothing:rel>1", "shape_growth:rel>x"])
def test_the_exit_code_is_2_where_a_rule_is_wrong(gate, rule):
    code, _, err = gate("--fail-if", rule)
    assert code == 2
    assert "error:" in err


def test_a_failure_that_nobody_foresaw_is_2_as_well_with_its_traceback_on_request(gate, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("of a test")

    monkeypatch.setattr("todacomm.comparison.gate.judge", broken)
    code, _, err = gate("--fail-if", "expansion:rel>1")
    assert code == 2
    assert "error: ZeroDivisionError: of a test (in compare.py, line " in err
    assert "Traceback" not in err
    assert "Traceback" in gate("--fail-if", "expansion:rel>1", "--traceback")[2]
    monkeypatch.setenv("TODACOMM_TRACEBACK", "1")
    assert "Traceback" in gate("--fail-if", "expansion:rel>1")[2]


def test_json_lists_every_rule_and_its_outcome_and_the_file_holds_the_same(gate, tmp_path):
    code, out, _ = gate("--json", "--fail-if", f"{SHAPE}:rel>0.01", "--fail-if", "cka:abs<0", "--output-dir", "out")
    assert code == 1
    found = json.loads(out)
    assert found == json.loads(
        next((tmp_path / "out").glob("comparison_*/comparison.json")).read_text(encoding="utf-8")
    )
    fired, passed = found["gate"]["rules"]
    assert (found["gate"]["passed"], fired["fired"], passed["fired"]) == (False, True, False)
    assert fired["found"][0]["layer"] == "layer_1"
    pair = found["groups"]["arrays_given"]["pairs"][0]
    assert pair["verdict"].startswith("base and tuned differ in")
    assert pair["layers"][2]["cka"] == pytest.approx(passed["nearest"]["value"], abs=0.5)
    assert pair["layers"][2]["diagrams"]["H1"]["p"] is not None


def test_a_run_without_activations_says_why_there_is_no_cka(gate, tmp_path):
    for file in (tmp_path / "tuned" / "activations").iterdir():
        file.unlink()
    _, out, _ = gate("--json")
    assert json.loads(out)["groups"]["arrays_given"]["pairs"][0]["no_cka"] == (
        "no activations lie beside the run of tuned (--no-cache)"
    )
    code, _, err = gate("--fail-if", "cka:abs<0.5")
    assert code == 2
    assert "no activations lie beside the run of tuned" in " ".join(err.split())


def test_groups_and_the_model_compared_with_are_options(gate):
    assert gate("--against", "tuned")[0] == 0
    code, _, err = gate("--group", "x")
    assert (code, "--group x: expected LABEL=MODEL,MODEL" in " ".join(err.split())) == (2, True)
    code, _, err = gate("--against", "nobody")
    assert (code, "'nobody' is not a model of this comparison" in " ".join(err.split())) == (2, True)
