"""The frozen types between the stages."""

import dataclasses

import numpy as np
import pytest

from todacomm.core.errors import InvalidInput, InvalidTexts
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, Diagrams, Profile, Texts, is_block, layer_key


def test_layers_sort_by_depth_and_not_by_letters():
    layers = ["final", "layer_10", "layer_2", "embedding", "cloud"]
    assert sorted(layers, key=layer_key) == ["embedding", "layer_2", "layer_10", "final", "cloud"]
    assert [is_block(layer) for layer in layers] == [False, True, True, False, False]


def test_an_address_prints_as_a_path_and_sorts_by_model_data_step_and_depth():
    late, early = Address("m", "d", "layer_2", step=5), Address("m", "d", "final")
    assert str(late) == "m/d/layer_2/step_5"
    assert str(early) == "m/d/final"
    assert sorted([late, Address("m", "d", "layer_10"), early]) == [Address("m", "d", "layer_10"), early, late]


def test_a_dataset_is_identified_by_its_content_and_its_order():
    texts = Texts("t", ("a", "b", "c"), groups=("x", "x", "y"))
    assert texts.sha256 != Texts("t", ("b", "a", "c")).sha256
    assert texts.sha256 != Texts("t", ("ab", "", "c")).sha256
    assert texts.sha256 == Texts("other name", ("a", "b", "c")).sha256
    assert texts.take([2, 0]) == Texts("t", ("c", "a"), ("y", "x"))
    with pytest.raises(InvalidTexts, match="1 texts but 2 group labels"):
        Texts("t", ("a",), ("x", "y"))


def test_diagrams_keep_essential_classes_apart_and_drop_bars_without_length():
    found = Diagrams.from_arrays([np.array([(0.0, 2.0), (0.0, np.inf), (0.0, 1.0), (1.0, 1.0)]), np.zeros((0, 2))])
    np.testing.assert_array_equal(found.finite[0], [(0, 1), (0, 2)])
    np.testing.assert_array_equal(found.essential[0], [0])
    assert found.maxdim == 1
    with pytest.raises(ValueError, match="read-only"):
        found.finite[0][0, 0] = 1
    assert repr(found) == "Diagrams(H0: 2 finite, 1 essential; H1: 0 finite, 0 essential)"


def test_equal_recipes_have_equal_digests_and_different_ones_do_not():
    assert Recipe().digest == Recipe(components=50).digest
    digests = {
        dataclasses.replace(Recipe(), **change).digest
        for change in ({}, {"components": None}, {"seed": 1}, {"scale": "rms"}, {"maxdim": 2}, {"pooling": "mean"})
    }
    assert len(digests) == 6
    with pytest.raises(dataclasses.FrozenInstanceError):
        Recipe().seed = 3


def test_a_profile_needs_a_measurement():
    with pytest.raises(InvalidInput, match="at least one measurement"):
        Profile(())


# Texts


def test_texts_are_given_as_a_list_and_shown_in_a_line():
    texts = Texts("poems", ["one", "two", "three"] * 1000, ["a", "b", "a"] * 1000)
    assert texts == Texts("poems", ("one", "two", "three") * 1000, ("a", "b", "a") * 1000)
    assert repr(texts) == "Texts(poems: 3000 texts, groups: 2)"
    assert repr(texts.take([0, 2])) == "Texts(poems: 2 texts, groups: 1)"
    assert Texts(["one", "two"]) == Texts("texts", ("one", "two"))
    assert hash(Texts(["one", "two"])) == hash(Texts("texts", ("one", "two")))
    assert repr(Texts(np.array(["one", "two"]))) == "Texts(texts: 2 texts)"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("poems", "one text"), "poems: texts are str; expected a list of strings"),
        (("poems", ["one", 2]), "poems: text 1 is int; expected a string"),
        (("poems", [["one"], "two"]), "poems: text 0 is list; expected a string"),
        (("poems", ["one\udc80"]), "poems: text 0 holds half a surrogate pair"),
        (("poems", ["one"], [1]), "poems: group 0 is int; expected a string"),
        (("poems", ["one"], "a"), "poems: groups are str"),
        ((5,), "texts: texts are int; expected a list"),
    ],
)
def test_texts_are_strings(arguments, message):
    with pytest.raises(InvalidTexts, match=message):
        Texts(*arguments)
