"""What is written is what is shown: every number goes from the record into its own column, cell and sentence.

The profiles here carry numbers that are all different, so that one in the place of another is seen.
"""

import csv
import io
import json
import re
from dataclasses import replace
from itertools import count

import numpy as np
import pytest

import todacomm as td
from grok_directories import judged, write_training
from report_profiles import four
from shapes import circle
from todacomm.cli.terminal.tables import growth_line, write_csv
from todacomm.comparison.compare import compare
from todacomm.comparison.expressions import RULES
from todacomm.comparison.gate import judge
from todacomm.core.types import PointCloud
from todacomm.records.comparisons import pair_record
from todacomm.records.files.codec import plain
from todacomm.records.inference import CLAIMS, read_claims, write_claims
from todacomm.records.training import read_run
from todacomm.report.comparison.comparison_sections import factors_of
from todacomm.report.comparison.pair_charts import HEADER, panels_of, rows_of
from todacomm.report.comparison.pair_sections import growth_table
from todacomm.report.layers.claims_sections import TESTED, differing, interval_table, loop_row, null_table
from todacomm.report.layers.layer_explorer import growth_of, nulls_of
from todacomm.report.layers.series import growth_lines, interval_ends, null_band
from todacomm.report.terminal.table import comparison_table
from todacomm.report.training import read_experiment as reading
from todacomm.report.training.tables import runs as runs_section
from todacomm.report.words import pairs as in_words
from todacomm.report.words.intervals_and_nulls import bracketed, p_text
from todacomm.report.words.loops import loop_cell, loop_sentences
from todacomm.report.words.phrases import baseline, layer_list, padded, times

COLUMNS = {"p": "p", "adjusted": "p_adjusted", "family_wise": "p_family"}  # of a test: in the record, in the CSV
ENDS = ("low", "high")


def noise(seed, size=1.0):
    return size * np.random.default_rng(seed).normal(size=(40, 4))


LAYERS = {
    "embedding": noise(1),
    "layer_0": noise(2, 3.0),
    "layer_1": np.pad(6 * circle(40), ((0, 0), (0, 2))) + noise(3, 0.3),
}


def told_apart(profile):
    """The profile with tests and intervals of distinct numbers, on either side of their nulls, half found."""
    numbers = count(1)

    def test(one):
        k = next(numbers)
        side = 1 if k % 2 else -1
        family = k / 1e4 if k % 3 else 0.7 + k / 1e3
        known = {"p": 0.1 + k / 1e3, "adjusted": 0.4 + k / 1e3, "family_wise": family}
        return replace(one, mean=one.observed - side * k, spread=1.0 + k / 1e3, **known) if one.observed else one

    def interval(one):
        return replace(one, low=one.estimate - next(numbers), high=one.estimate + next(numbers)) if one.defined else one

    def each(change, rows):
        return {layer: {name: change(one) for name, one in row.items()} for layer, row in rows.items()}

    claims = profile.claims
    return replace(
        profile,
        claims=replace(
            claims,
            tests={null: each(test, rows) for null, rows in claims.tests.items()},
            intervals=each(interval, claims.intervals),
            growths=each(interval, claims.growths),
        ),
    )


@pytest.fixture(scope="module")
def profile():
    return told_apart(td.measure(LAYERS, resamples=20, null_draws=19))


@pytest.fixture(scope="module")
def record(profile, tmp_path_factory):
    """Layer → its claims, as they stand in the file."""
    directory = tmp_path_factory.mktemp("claims")
    write_claims(directory, profile.claims)
    assert read_claims(directory) == profile.claims
    return json.loads((directory / CLAIMS).read_text())["layers"]


def every_test(record):
    """Layer, name and row of every test with a p-value that a file holds."""
    for layer, row in record.items():
        for name, one in row["tests"]["gaussian"].items():
            if one["p"] is not None:
                yield layer, name, one


# Record and CSV


def test_every_test_and_every_interval_of_the_record_is_in_its_column_of_the_csv(profile, record, capsys):
    write_csv([profile])
    rows = {row["layer"]: row for row in csv.DictReader(io.StringIO(capsys.readouterr().out))}
    for layer, name, one in every_test(record):
        assert {key: float(rows[layer][f"{name}_{column}"]) for key, column in COLUMNS.items()} == {
            key: one[key] for key in COLUMNS
        }, (layer, name)
    for layer, row in record.items():
        for name, one in row["intervals"].items():
            cells = [rows[layer][f"{name}_{end}"] for end in ENDS]
            assert [float(cell) if cell else None for cell in cells] == [one.get(end) for end in ENDS], (layer, name)


# Record, page and figures


def test_every_test_of_the_record_is_in_its_series_of_the_page(profile, record):
    shown = nulls_of(profile, profile.names)
    compared = 0
    for layer, name, one in every_test(record):
        if name in shown and name != "H1_prominence":  # in whose place the page has the test for loops
            i = profile.layers.index(layer)
            for key in COLUMNS:
                assert shown[name][key][i] == pytest.approx(one[key], rel=1e-4), (layer, name, key)
            assert shown[name]["mean"][i] == pytest.approx(one["mean"], rel=1e-4)
            compared += 1
    assert compared > 20


def test_bands_reach_from_low_to_high(profile, record):
    for layer, name, one in every_test(record):
        mean, low, high = (side[profile.layers.index(layer)] for side in null_band(profile, name))
        assert (mean, high - mean) == pytest.approx((one["mean"], 2 * one["spread"]))
        assert low < mean < high
    for name in ("H0_total_persistence", "H1_count"):
        low, high = interval_ends(profile, name)
        assert [*zip(low, high, strict=True)] == [
            tuple(record[layer]["intervals"][name][end] for end in ENDS) for layer in profile.layers
        ]


def test_growth_lines_are_those_of_scale_and_of_shape(profile):
    base = baseline(profile)
    at, total = profile.layers.index(base.address.layer), profile["H0_total_persistence"]
    expected = {"scale growth": profile["scale"] / profile["scale"][at], "H0 total (expansion)": total / total[at]}
    lines, page = growth_lines(profile, base), growth_of(profile)
    for name, key in (("scale growth", "scale"), ("H0 total (expansion)", "total")):
        assert lines[name] == pytest.approx(expected[name])
        assert page[key] == pytest.approx(expected[name], rel=1e-4)


# Record, tables and sentences of a report


def test_the_table_of_nulls_has_effect_p_and_family_wise_p_of_the_record(profile, record):
    table, _ = null_table(profile, {})
    heads = dict(zip(table.header[1:], range(1, len(table.header)), strict=True))
    rows = {row[0]: row for row in table.rows}
    for layer, name, one in every_test(record):
        if name in TESTED:
            effect = (one["observed"] - one["mean"]) / one["spread"]
            cell = f"{effect:+.1f} sd; p {p_text(one['p'])} / {p_text(one['family_wise'])}"
            assert rows[layer][heads[TESTED[name]]].startswith(cell), (layer, name)


def test_the_table_of_intervals_has_the_ends_of_the_record(profile):
    (table,) = interval_table(profile, {})
    for layer, *cells, _ in table.rows:
        interval = profile.claims.intervals[layer]["H0_total_persistence_scaled"]
        value = profile.at(layer).summary["H0_total_persistence_scaled"]
        assert cells[0] == f"{padded(value)}{bracketed(interval)}"


def test_the_sentence_names_the_layers_above_and_below_their_null_and_no_others(profile, record):
    said = set()
    for name, head in TESTED.items():
        sides = {"larger": [], "smaller": []}
        for layer, other, one in every_test(record):
            if other == name and one["family_wise"] <= 0.05 and not profile.at(layer).facts.doubtful:
                sides["larger" if one["observed"] > one["mean"] else "smaller"].append(layer)
        told = " and ".join(f"{word} at {layer_list(layers)}" for word, layers in sides.items() if layers)
        assert differing(profile, name, head, "gaussian") == (
            f"{head} is {told}." if told else f"{head} is nowhere shown to differ."
        )
        said |= {word for word, layers in sides.items() if layers}
    assert said == {"larger", "smaller"}


def test_the_p_of_a_loop_is_the_larger_one_in_sentence_and_cell(profile):
    (layer, bars), *_ = profile.claims.loops.items()
    bar = replace(bars[0], p_layer=0.011, p_group=0.042)
    test = replace(profile.claims.tests["gaussian"][layer]["H1_loop"], p=0.012, adjusted=0.013, family_wise=0.014)
    tests = {"gaussian": {layer: {"H1_loop": test}}}
    looped = replace(profile, claims=replace(profile.claims, tests=tests, loops={layer: (bar,)}))
    assert "(p 0.042)" in loop_sentences(looped)[0]
    assert loop_cell(looped, looped.at(layer)) == "0.014"
    assert loop_row(looped, layer, bar)[5:7] == ("0.011", "0.042")


def test_the_family_wise_p_decides(profile):
    test = replace(profile.claims.tests["gaussian"]["layer_1"]["H0_entropy"], p=0.01, adjusted=0.02, family_wise=0.06)
    assert not test.found
    assert replace(test, adjusted=0.9, family_wise=0.05).found


def test_the_terminal_has_ratio_scale_and_shape_with_their_own_intervals(profile):
    (expansion, *_), growths = profile.expansions, profile.claims.growths["embedding"]
    growth = expansion.growth
    parts = {part: f"{padded(getattr(growth, part), 3)}{bracketed(growths[part])}" for part in growths}
    assert len({*parts.values()}) == 3
    said = f"{parts['ratio']} = scale growth {parts['scale']} × shape growth {parts['shape']}"
    assert growth_line(expansion, profile) == f"expansion {growth.baseline} → {growth.peak}: {said}"


@pytest.mark.parametrize(
    ("ratio", "said"), [(3.0, "grows 3 times"), (0.5, "shrinks to 0.5 of"), (1.01, "about the same")]
)
def test_a_ratio_is_said_to_grow_or_to_shrink(ratio, said):
    assert said in times(ratio)


# Comparisons


@pytest.fixture(scope="module")
def comparison():
    other = {name: points * (1 + i / 2) + noise(9 + i, 0.4) for i, (name, points) in enumerate(LAYERS.items())}
    both = {"first": LAYERS, "second": other}
    profiles = [td.measure(layers, name=name, resamples=20, null_draws=0) for name, layers in both.items()]
    return compare(
        profiles, clouds=lambda p: lambda layer: PointCloud(both[p.model][layer], p.at(layer).address)
    )  # fmt: skip


@pytest.fixture(scope="module")
def pair(comparison):
    """The pair with distinct p-values and adjusted ones, some of the first below 0.05, the others above."""
    numbers, (found,) = count(1), comparison.pairs

    def changed(one):
        k = next(numbers)
        return replace(one, p=k / 1e4, adjusted=(0.01 if k % 2 else 0.4) + k / 1e3)

    rows = {name: tuple(map(changed, row)) for name, row in found.differences.items()}
    return replace(found, differences=rows, growths={part: changed(one) for part, one in found.growths.items()})


def test_the_record_of_a_pair_is_in_the_columns_of_its_csv(comparison, pair):
    (apart,) = comparison.apart
    layers = {(one["first"], one["second"]): one for one in plain(pair_record(pair, apart, ""))["layers"]}
    cells = {(row[:2], row[2]): dict(zip(HEADER[3:], row[3:], strict=True)) for row in rows_of(pair, apart)}
    for where, found in layers.items():
        for name, label in panels_of(pair).items():
            one, row = found["differences"][name], cells[where, label]
            share = [x and 100 * x for x in (one["relative"][key] for key in ("estimate", *ENDS))]
            expected = [one["first"], one["second"], *share, one["p"], one["adjusted"]]
            shown = [row[key] for key in ("first", "second", "value", "low", "high", "p", "p, adjusted")]
            assert [float(cell or "nan") for cell in shown] == pytest.approx(
                [np.nan if x is None else x for x in expected], rel=1e-5, nan_ok=True
            ), (where, name)
        for name, one in found["diagrams"].items():
            shown = [
                float(cells[where, f"{name} diagrams, {which}"]["value"]) for which in ("Wasserstein", "bottleneck")
            ]
            assert shown == pytest.approx([one["wasserstein"], one["bottleneck"]], rel=1e-5)


def test_a_rule_of_the_gate_has_the_numbers_of_the_record(comparison, pair):
    name = "H0_total_persistence"
    changed = replace(comparison, pairs=(pair,))
    for one, found in zip(pair.layers, pair.differences[name], strict=True):
        values = {"p": found.p, "diff": found.second - found.first, "ratio": found.second / found.first}
        values |= {"abs": abs(values["diff"]), "rel": abs(values["diff"]) / found.first, "effect": abs(found.effect)}
        for kind, value in values.items():
            (judgement,) = judge([RULES.read(f"{name}@{one}:{kind}>=0")], {"": changed})
            assert judgement.nearest.value == pytest.approx(value), kind
    (judgement,) = judge([RULES.read(f"{name}:p>=0")], {"": changed})
    assert {one.value for one in judgement.fired} == {d.adjusted for d in pair.differences[name]}
    assert judge([RULES.read("shape_growth:p>=0")], {"": changed})[0].nearest.value == pair.growths["shape"].adjusted


def test_the_gate_takes_runs_of_one_seed_alone(comparison):
    first, second = comparison.profiles
    recipe = replace(second.recipe, seed=7)
    other = replace(second, measurements=tuple(replace(m, recipe=recipe) for m in second.measurements))
    with pytest.raises(td.TodacommError, match="seed is 42 for first and 7 for second"):
        judge([RULES.read("H0_total_persistence:rel>0.1")], {"": compare([first, other])})


def test_sentences_on_a_pair_follow_the_adjusted_p(pair):
    for one in in_words.along(pair):
        rows = zip(pair.layers, pair.differences[one.name], strict=True)
        sound = in_words.sound_layers(pair)
        differing = [layer for i, (layer, d) in enumerate(rows) if i in sound and d.adjusted <= 0.05]
        assert list(one.layers) == differing


def test_the_table_of_growths_has_the_numbers_of_the_record(pair):
    table = growth_table(pair)
    for row, (part, found) in zip(table.rows, pair.growths.items(), strict=True):
        assert row[0] == in_words.GROWTHS[part]
        assert row[1:3] == (padded(found.first), padded(found.second))
        assert row[-1] == f"{found.p:.2g}, {found.adjusted:.2g}"


def test_rows_of_models_are_the_same_in_terminal_and_report():
    found = compare(four())
    table = comparison_table(found)
    cells = {column.header: list(column.cells) for column in table.columns}
    for i, row in enumerate(found.rows):
        parts = (row.expansion, row.scale_growth, row.shape_growth)
        assert row.scale_growth * row.shape_growth == pytest.approx(row.expansion)
        assert [cells[head][i] for head in ("expansion", "= scale", "× shape")] == [padded(x, 3) for x in parts]
        assert factors_of(row).startswith(
            "{} = scale growth {} × shape growth {} (".format(*(padded(x) for x in parts))
        )


def test_doubtful_rows_take_no_part_in_correlations():
    profiles = [
        replace(p, language={"bits_per_byte": 1.0 + i}, card=replace(p.card, kind="causal", name=f"m{i}"))
        for i, p in enumerate([*four(), *four()])
    ]
    profiles = [
        replace(p, measurements=tuple(replace(m, address=replace(m.address, model=f"m{i}")) for m in p.measurements))
        for i, p in enumerate(profiles)
    ]
    doubtful = replace(profiles[0], expansions=tuple(replace(e, doubt="loud") for e in profiles[0].expansions))
    assert {one.models for one in compare(profiles).correlations} == {8}
    assert {one.models for one in compare([doubtful, *profiles[1:]]).correlations} == {7}


# Training


def test_the_table_of_runs_has_plateau_after_and_ratio_of_their_records(tmp_path, monkeypatch):
    monkeypatch.setattr("todacomm.statistics.changepoints.DRAWS", 20)
    rows = write_training(tmp_path)
    signature = judged(tmp_path, rows)
    findings = reading.read_findings(tmp_path, {"": signature}, command="", problems={})
    table = next(iter(runs_section(findings, {})))
    place = {head: i for i, head in enumerate(table.header)}
    for told, row in zip((*signature.runs, *signature.controls), table.rows, strict=True):
        course = read_run(tmp_path / "runs" / told.name).course
        shown = [float(re.sub("[^0-9.]", "", row[place[head]])) for head in ("Plateau", "After", "Ratio")]
        assert shown == pytest.approx([told.rise.plateau, told.rise.after, told.rise.ratio], rel=0.01)
        assert told.rise.after == pytest.approx(np.median(course[signature.followed][-5:]))
        assert row[place["Verdict"]] == told.verdict
