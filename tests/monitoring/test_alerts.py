"""Rules that flag a training or stop it."""

import pytest

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.recipe import Recipe
from todacomm.monitoring.alerts import Watch, rule_of
from todacomm.monitoring.numbers import names_recorded

LAYERS = ("embedding", "layer_0", "blocks.3.mlp")
NAMES = names_recorded(Recipe())


def rule(text, action="flag", consecutive=None, layers=LAYERS):
    return rule_of(text, action, consecutive, layers, NAMES)


def fired(text, *values, layer="embedding", quantity="H1_max_lifetime", consecutive=None):
    """At which of the values of a layer a rule fires."""
    watch = Watch(rule(text, consecutive=consecutive))
    return [i for i, value in enumerate(values) if watch.look(i, {layer: {quantity: value, "points": 100}}, {})]


def test_a_number_of_a_layer_is_compared():
    assert fired("embedding:H1_max_lifetime>0.3", 0.1, 0.3, 0.31, 0.2) == [2]
    assert fired("H1_max_lifetime@embedding>0.3", 0.1, 0.31) == [1]
    assert fired("blocks.3.mlp:scale<1", 2, 0.5, layer="blocks.3.mlp", quantity="scale") == [1]


def test_another_layer_is_not():
    assert fired("layer_0:H1_max_lifetime>0.3", 0.9) == []
    assert fired("*:H1_max_lifetime>0.3", 0.9) == [0]


def test_distinct_points_are_a_share_of_the_points():
    assert fired("layer_0:distinct_points<0.5", 100, 50, 49, layer="layer_0", quantity="distinct_points") == [2]


@pytest.mark.parametrize(
    ("kind", "where"), [("ratio<0.5", [6]), ("diff<-1", [6]), ("abs>1", [6, 7]), ("rel>0.5", [6, 7])]
)
def test_a_kind_compares_with_the_first_values(kind, where):
    assert fired(f"embedding:scale:{kind}", 2.0, 2.4, 1.6, 2.0, 2.0, 1.5, 0.9, 4.0, quantity="scale") == where


def test_so_many_in_a_row_must_hold_and_an_undefined_one_does_not():
    assert fired("embedding:H1_max_lifetime>0.3", 0.4, 0.4, None, 0.4, 0.4, 0.4, 0.4, consecutive=3) == [5, 6]


def test_a_rule_on_the_whole_model_has_no_layer():
    watch = Watch(rule("loss:ratio>2"))
    assert [bool(watch.look(i, {}, {"loss": loss})) for i, loss in enumerate((1.0, 1.5, 1.0, 3.0))] == [False] * 3 + [
        True
    ]


LOOP = "{0}:H1_screen_2_components > 1.2 and {0}:H1_max_lifetime_sphere:ratio > 1.1{1}"


def test_two_statements_must_hold_in_one_layer():
    watch = Watch(rule("*:scale>1 and *:norm<5"))
    layers = {"layer_0": {"scale": 2.0, "norm": 9.0}, "layer_1": {"scale": 2.0, "norm": 1.0}, "final": {"scale": 0.5}}
    assert [(one.layer, one.values) for one in watch.look(0, layers, {})] == [("layer_1", (2.0, 1.0))]
    with pytest.raises(InvalidInput, match="one layer"):
        rule("embedding:scale>1 and layer_0:norm<5")


def test_rules_by_name_know_their_layer():
    assert str(rule("loop")) == LOOP.format("embedding", " in 3 measurements in a row")
    assert str(rule("layer_0:loop", consecutive=1)) == LOOP.format("layer_0", "")
    assert str(rule("collapse")) == "*:relative_scale:ratio < 0.4"
    assert rule("collapse", "stop").action == "stop"


def test_it_says_where_and_on_what_it_fired():
    watch = Watch(rule("*:scale:ratio<0.5"))
    assert not [one for step in range(3) for one in watch.look(step, {"layer_0": {"scale": 2.0}}, {})]
    [one] = watch.look(4, {"layer_0": {"scale": 0.5}}, {})
    assert (one.step, one.layer, one.values) == (4, "layer_0", (0.25,))
    assert str(one) == "layer_0:scale:ratio < 0.5 (now 0.25)"


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("layer_9:scale>1", UnknownName, "layer_0"),
        ("embedding:scal>1", UnknownName, "Did you mean 'scale'"),
        ("embedding:scale=1", InvalidInput, "expected"),
        ("embedding:scale>x", InvalidInput, "no number"),
        ("embedding:scale:p<1", UnknownName, "ratio"),
    ],
)
def test_what_says_nothing_is_refused(text, error, says):
    with pytest.raises(error, match=says):
        rule(text)


def test_a_loop_is_looked_for_in_the_embedding_or_where_it_is_said():
    with pytest.raises(InvalidInput, match="as a:loop"):
        rule("loop", layers=("a", "b"))
    assert rule("loop", layers=("a",)).layer == "a"


def test_an_unknown_action_is_refused():
    with pytest.raises(UnknownName, match="flag, stop"):
        rule("collapse", "halt")
    with pytest.raises(InvalidInput, match="consecutive=0"):
        rule("collapse", consecutive=0)
