"""What a report on stability says: exponents in words, saturation, permuted units, correlations with intervals."""

from dataclasses import replace

import numpy as np
import pytest

from stable_runs import stable_findings, stable_run
from todacomm.report.document.pieces import Table
from todacomm.report.stability.stability_charts import stability_drawings
from todacomm.report.stability.stability_findings import StabilityFindings
from todacomm.report.stability.stability_sections import (
    HEAD,
    groups,
    row_of,
    sentences,
    titles,
    told_of_association,
    told_over_recipes,
    told_over_seeds,
)
from todacomm.stability.association import Association
from todacomm.stability.stability import Copying


def test_an_exponent_is_told_with_its_interval_and_its_time(stable):
    first, outputs, raw, epsilon, units = sentences(stable)
    value = stable.exponent().value
    assert f"small differences of the weights grow; exponent {1000 * value:+#.3g} [" in first
    assert "renormalised every 25 steps" in first
    assert "twice as far after" in first
    assert outputs.startswith("In the outputs for held-out inputs it is +1.")
    assert f"too low by up to ln(N) / 2T, here {np.log(60_000):.2g}" in raw
    assert epsilon == "It is the same for perturbations from 1e-05 to 0.001 of the norm of each tensor."
    assert "40 % of the distance is left in the copy where most is gained" in units


def test_shrinking_saturated_and_lost_copies_are_told():
    shrinking = stable_run(np.random.default_rng(0), rate=-0.003)
    assert "small differences of the weights shrink" in sentences(shrinking)[0]
    assert "half as far after" in sentences(shrinking)[0]
    wide = replace(shrinking, weight_norms=np.full(21, 0.1))
    assert wide.saturated == 50
    assert "They saturate: by step 50 they are further apart than 10 % of the norm" in sentences(wide)[2]
    lost = replace(shrinking, growths=np.full_like(shrinking.growths, np.nan))
    assert sentences(lost)[0].endswith("no exponent; the copies are identical: they are at distance 0 at every step.")
    alone = replace(shrinking, copying=Copying(copies=6, scanned=()), growths=shrinking.growths[:, :, :5],
        distances=shrinking.distances[:, :, :5])  # fmt: skip
    assert not any("perturbations from" in one for one in sentences(alone))


def test_a_range_of_epsilons_that_is_not_whole_is_told(stable):
    growths = stable.growths.copy()
    growths[0][:, 5] = 0.5  # the copy of the least epsilon grows by rounding
    said = sentences(replace(stable, growths=growths))[3]
    assert said.startswith("It depends on the length of the perturbation: +20.0 at 1e-05, ")
    assert said.endswith(" of the norm of each tensor; it is flat from 0.0001 to 0.001 only.")
    growths[0][:, 6] = 0.3
    assert sentences(replace(stable, growths=growths))[3].endswith("it is flat at 0.001 alone.")


def test_every_run_and_every_group_has_its_row(stable):
    findings = StabilityFindings((("recipe_1", stable),))
    assert len(row_of(stable)) == len(HEAD)
    assert row_of(stable)[-2] == f"{np.log(4):+.2f}"
    [table, _] = groups(findings, {})
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["embed", "head"]
    assert titles(findings) == ("Stability of training: mlp, add mod 59", "1 run, 6 copies a run")


@pytest.mark.slow
def test_seeds_of_one_recipe_have_an_interval_of_their_own():
    runs = [("recipe_1", one) for one in stable_findings().of("recipe_1")]
    said = told_over_seeds(StabilityFindings(tuple(runs)))
    values = sorted(one.exponent().value for _, one in runs)
    assert said.startswith(f"Over 3 seeds it is {1000 * values[1]:+#.3g} [")
    assert f", from {1000 * values[0]:+#.3g} to {1000 * values[2]:+#.3g}; in the outputs +" in said


def test_correlations_come_with_both_intervals():
    one = Association("exponent", "change", (), 24, 8, 0.5, 0.1, 0.75, -0.3, 0.9, 0.04)
    assert told_of_association(one) == (
        "The exponent goes with the change by ρ = +0.50 [+0.10, +0.75] over 24 runs taken as independent, "
        "[-0.30, +0.90] with whole recipes drawn (p = 0.04)."
    )
    findings = stable_findings()
    assert told_over_recipes(findings).startswith("Over 8 recipes the exponent is above 0 in 12 of 24 runs.")
    assert findings.chosen.seed == 47  # the first that generalised


@pytest.mark.parametrize("name", stability_drawings)
def test_every_chart_has_its_numbers_and_none_without_something_to_show(name, stable):
    several, one = stable_findings(), StabilityFindings((("recipe_1", stable),))
    chart = stability_drawings[name].describe(several)
    assert chart.panels
    assert len(chart.data.rows) > 2
    assert all(series.x for panel in chart.panels for series in panel.series)
    assert (stability_drawings[name].describe(one) is None) == (name == "recipes")
