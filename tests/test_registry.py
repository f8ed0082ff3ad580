"""The mechanism behind every extension point."""

import importlib
import sys

import pytest

from todacomm import registry
from todacomm.engines import engines
from todacomm.errors import InvalidInput, UnknownName
from todacomm.registry import Registry


@pytest.fixture
def colours():
    found = Registry("colour")
    found.register("red")(1)
    found.add("blue", 2)
    return found


def test_a_registry_is_a_mapping_in_the_order_of_registration(colours):
    assert list(colours) == ["red", "blue"]
    assert colours["blue"] == 2
    assert len(colours) == 2


def test_an_unknown_name_suggests_a_neighbour_and_lists_the_rest(colours):
    with pytest.raises(UnknownName, match="'bleu' is not a colour.*Did you mean 'blue'.*Known: red, blue."):
        colours["bleu"]


def test_a_name_is_taken_once(colours):
    with pytest.raises(InvalidInput, match="two entries for the colour 'red'"):
        colours.add("red", 3)


def test_a_plugin_registers_when_a_name_is_not_known(tmp_path, monkeypatch):
    (tmp_path / "lent_engine.py").write_text(
        "from todacomm.engines import engines\nengines.add('lent', engines['ripser'])\n", encoding="utf-8"
    )
    (tmp_path / "lent-1.0.dist-info").mkdir()
    (tmp_path / "lent-1.0.dist-info" / "METADATA").write_text("Name: lent\nVersion: 1.0\n", encoding="utf-8")
    (tmp_path / "lent-1.0.dist-info" / "entry_points.txt").write_text(
        "[todacomm.plugins]\nlent = lent_engine\n", encoding="utf-8"
    )
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    registry.load_plugins.cache_clear()
    try:
        assert engines["lent"] is engines["ripser"]
    finally:
        engines._entries.pop("lent", None)
        sys.modules.pop("lent_engine", None)
        registry.load_plugins.cache_clear()
