"""What is said of several models: extremes, factors, marks, and H1 beside its scale-free twin."""

import re
from dataclasses import replace
from pathlib import Path

from report_profiles import a_profile, four, rendered
from todacomm.comparison.compare import Comparison, compare
from todacomm.core.recipe import Recipe
from todacomm.report.comparison.comparison_sections import comparison_document
from todacomm.report.document.pieces import to_markdown
from todacomm.report.terminal.table import comparison_legend, comparison_table
from todacomm.report.words import phrases


def report_on(comparison: Comparison) -> str:
    return to_markdown(comparison_document([("", comparison, {})]), Path())


def test_the_comparison_names_the_extremes_with_their_factors():
    comparison = compare(four())
    text = report_on(comparison)
    ranked = sorted(comparison.rows, key=lambda r: r.expansion)
    assert f"for {ranked[0].model} to" in text
    assert f"for {ranked[-1].model}. They differ {ranked[-1].expansion / ranked[0].expansion:.3g} times" in text


def test_crossed_models_show_which_factor_goes_with_the_larger_difference():
    text = report_on(compare(four()))
    assert text.index("With the place of the norm the mean expansion differs") < text.index(
        "With the direction of attention"
    )
    assert "no test and no interval stands behind them" in text


def test_models_that_are_not_crossed_give_no_factor():
    text = report_on(compare([four()[0], four()[3]]))
    assert "not crossed evenly" in text
    assert "With the place of the norm" not in text


def test_a_doubtful_row_is_marked_and_speaks_no_sentence():
    profiles = [
        *four()[:1],
        a_profile(
            3,
            n=20,
            model="loud",
            massive=["layer_0", "layer_1", "layer_2"],
            recipe=Recipe(pooling="mean", components=6),
        ),
    ]
    text = report_on(compare(profiles))
    assert "only post-LN-masked has a sound expansion" in text
    assert re.search(r"^\| loud .*○ \|$", text, re.MULTILINE)


def test_models_with_nothing_in_common_are_not_ranked():
    text = report_on(compare([four("mean")[0], four("last")[1]]))
    assert "No two of these share dataset and pooling, so none is ranked above another" in text
    assert "runs from" not in text


def test_several_poolings_are_told_apart_and_compared_within_each():
    comparison = compare([*four("mean"), *four("last")])
    text = report_on(comparison)
    assert "On wikitext2, pooling last" in text
    assert "On wikitext2, pooling mean" in text
    assert "Different poolings are compared" in text
    assert "| Pooling |" in text


def test_the_comparison_table_fits_and_explains_its_marks():
    profiles = [*four("mean"), *four("last", distinct=1)]
    comparison = compare(
        [replace(p, expansions=()) if i == 2 else p for i, p in enumerate(profiles)], failures={"x": "no"}
    )
    text = rendered(comparison_table(comparison))
    assert max(map(len, text.splitlines())) <= 100
    assert "pooling" in text
    assert "Comparison · wikitext2\n" in re.sub(r" +\n", "\n", text)
    assert "Comparison · wikitext2 · mean" in rendered(comparison_table(compare(four("mean"))))
    assert "× pre-LN-masked (mean): no blocks were measured" in comparison_legend(comparison)
    assert "failed: x: no" in comparison_legend(comparison)


def test_a_doubtful_block_of_the_largest_shape_growth_is_marked_beside_a_sound_expansion():
    layer = four()[0].expansions[0].largest_shape.peak
    massive = a_profile(
        3, n=20, model="m", growth_of_scale=40, massive=[layer], recipe=Recipe(pooling="mean", components=6)
    )
    comparison = compare([massive])
    row = comparison.rows[0]
    assert (row.largest_shape_layer, row.doubt) == (layer, "")
    share = massive.at(layer).facts.doubtful
    text = report_on(comparison)
    assert re.search(rf"^\| m \|.* \({layer}\) ○ \|", text, re.MULTILINE)
    assert "| Mark |" not in text  # no row is marked as a whole
    assert "| Mark |" in report_on(compare([massive, replace(four()[0], expansions=())]))
    assert f"- ○ m (mean), largest shape growth, at {layer}: {share}." in text
    assert re.search(rf"{phrases.number(row.largest_shape_growth, 3)} ○", rendered(comparison_table(comparison)))
    assert comparison_legend(comparison) == f"○ m (mean), largest shape growth, at {layer}: {share}"


def test_h1_of_several_models_stands_beside_its_scale_free_twin_at_its_own_block():
    profile = four()[3]
    text = report_on(compare([profile]))
    head, _, line = (row.split(" | ") for row in text.split("## Model by model\n\n")[1].splitlines()[:3])
    cells = dict(zip(head, line, strict=True))
    for title, name in (
        ("H1 total, peak", "H1_total_persistence"),
        ("H1 total / median distance, peak", "H1_total_persistence_scaled"),
    ):
        top = max((profile.at(f"layer_{i}") for i in range(3)), key=lambda m, n=name: m.summary[n])
        assert cells[title] == f"{phrases.padded(top.summary[name])} ({top.address.layer})"
    assert "| Model |" not in text.split("## H1: cycles\n")[1].split("## ")[0]
    assert "H1 has not been tested" in text


def test_scale_free_h1_stands_once_in_the_comparison_and_no_h1_nowhere():
    def head(recipe: Recipe) -> str:
        return report_on(compare([a_profile(2, n=12, recipe=recipe)])).split("## Model by model\n\n")[1].split("\n")[0]

    assert "| H1 total / median distance, peak |" in head(Recipe(components=6, scale="median"))
    assert "H1 total, peak" not in head(Recipe(components=6, scale="median"))
    assert "H1" not in head(Recipe(components=6, maxdim=0))


def test_the_terms_of_a_comparison_are_those_of_its_clouds():
    profiles = [a_profile(1, n=12, model=m, recipe=Recipe(pooling="tokens", components=6)) for m in "ab"]
    assert "one point for each token:" in report_on(compare(profiles))


def test_a_doubt_that_the_row_has_told_is_not_told_again():
    layers = ["layer_0", "layer_1", "layer_2"]
    loud = a_profile(3, n=20, model="loud", massive=layers, recipe=Recipe(pooling="mean", components=6))
    same = replace(loud.expansions[0], largest_shape=loud.expansions[0].growth)
    comparison = compare([replace(loud, expansions=(same, same))])
    assert comparison.rows[0].largest_shape_doubt
    assert comparison_legend(comparison) == f"○ loud (mean): {comparison.rows[0].doubt}"
