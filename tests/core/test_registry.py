"""The mechanism behind every extension point."""

import importlib
import sys

import pytest

from todacomm.core import registry
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.registry import Registry
from todacomm.homology.engines import engines
from todacomm.models.datasets import sources, texts


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


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a plugin of this source; it is gone after the test."""

    def install(source):
        (tmp_path / "lent_plugin.py").write_text(source, encoding="utf-8")
        (tmp_path / "lent-1.0.dist-info").mkdir()
        (tmp_path / "lent-1.0.dist-info" / "METADATA").write_text("Name: lent\nVersion: 1.0\n", encoding="utf-8")
        (tmp_path / "lent-1.0.dist-info" / "entry_points.txt").write_text(
            "[todacomm.plugins]\nlent = lent_plugin\n", encoding="utf-8"
        )
        monkeypatch.syspath_prepend(tmp_path)
        importlib.invalidate_caches()

    def forget():
        registry.load_plugins.cache_clear()
        registry.warn_of_broken.cache_clear()

    forget()
    yield install
    engines._entries.pop("lent", None)
    sys.modules.pop("lent_plugin", None)
    forget()


def test_a_plugin_registers_when_a_name_is_not_known(plugin):
    plugin("from todacomm.homology.engines import engines\nengines.add('lent', engines['ripser'])\n")
    assert engines["lent"] is engines["ripser"]


def test_a_plugin_registers_when_all_entries_are_looked_at_also_by_itself(plugin):
    plugin(
        "from todacomm.homology.engines import engines\n"
        "before = sorted(engines)\n"
        "engines.add('lent', engines['ripser'])\n"
    )
    assert "lent" in list(engines)
    assert "lent" not in sys.modules["lent_plugin"].before


BROKEN = [
    "import no_such_module",
    "1 / 0",
    "def f(:",
    "raise SystemExit(3)",
    "from todacomm.core.errors import NoSuchName",
]


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_plugin_is_named_where_a_name_is_not_known_and_costs_nobody_else(plugin, tmp_path, source):
    plugin(source)
    (tmp_path / "notes.txt").write_text("one\ntwo\nthree\n", encoding="utf-8")
    assert len(texts(str(tmp_path / "notes.txt"))) == 3
    assert "lent_plugin" not in sys.modules
    assert not registry.load_plugins.cache_info().currsize, "a file and a known name need no plugin"
    assert engines["ripser"]
    for lookup in (lambda: engines["lent"], lambda: texts("lent")):
        with pytest.raises(UnknownName, match="The plugin 'lent' cannot be imported, so what it adds is not known"):
            lookup()


@pytest.mark.parametrize("source", BROKEN)
def test_a_broken_plugin_is_a_warning_once_where_all_entries_are_looked_at(plugin, caplog, source):
    plugin(source)
    assert "ripser" in list(engines)
    assert len(engines) == len(list(engines))
    [said] = [record.getMessage() for record in caplog.records]
    assert said.startswith("The plugin 'lent' cannot be imported, so what it adds is not known")


def test_a_plugin_adds_a_dataset_that_is_called_like_a_directory(plugin, tmp_path, monkeypatch):
    plugin(
        "from todacomm.models.datasets import sources, Texts\nsources.register('lent')(lambda: Texts('lent', ('a', "
        "'b', 'c')))\n"
    )
    (tmp_path / "lent").mkdir()
    monkeypatch.chdir(tmp_path)
    assert texts("lent").items == ("a", "b", "c")
    sources._entries.pop("lent")
