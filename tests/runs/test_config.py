"""The configuration of a study: what it refuses, where, and that it survives its own YAML."""

import subprocess
import sys
from dataclasses import FrozenInstanceError

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from todacomm.core.errors import InvalidStudy, TodacommError, UnknownName
from todacomm.core.recipe import DISTANCES, SCALES
from todacomm.homology.engines import engines
from todacomm.models.datasets import sources
from todacomm.models.names import PRESETS, SHIPPED
from todacomm.models.pooling import poolings
from todacomm.runs.config import DEFAULT_STUDY, DEVICES, DTYPES, KEYS, SITES, Study
from todacomm.runs.config_files import dump_study, load_shipped, load_study, open_study, shipped_studies, template


@pytest.fixture
def study_file(tmp_path, monkeypatch):
    """Write study.yaml in the working directory; gives its name."""
    monkeypatch.chdir(tmp_path)

    def write(content):
        (tmp_path / "study.yaml").write_bytes(content if isinstance(content, bytes) else content.encode())
        return "study.yaml"

    return write


def assert_told(message, path):
    with pytest.raises(InvalidStudy) as caught:
        load_study(path)
    assert message in str(caught.value)


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
lists = st.lists(names, min_size=1, max_size=4, unique=True).map(tuple)
counts = st.integers(1, 10**9)
layers = st.sampled_from(["embedding", "final"]) | st.integers(0, 99).map("layer_{}".format)


def some(values):
    return st.lists(st.sampled_from(values), min_size=1, unique=True).map(tuple)


studies = st.fixed_dictionaries(
    {},
    optional={
        "models": lists,
        "datasets": lists,
        "samples": st.integers(3, 10**6),
        "shuffle": st.booleans(),
        "min_tokens": counts,
        "max_length": counts,
        "layers": st.just("all") | st.lists(layers, min_size=1, unique=True).map(tuple),
        "site": st.sampled_from(SITES),
        "pooling": st.none() | some(sorted(poolings)),
        "components": st.none() | counts,
        "distance": st.sampled_from(DISTANCES),
        "scale": st.sampled_from(SCALES),
        "maxdim": st.integers(0, 2),
        "engine": st.sampled_from(sorted(engines)),
        "subsample": st.none() | st.integers(3, 10**6),
        "seed": st.integers(0, 2**63),
        "device": st.sampled_from(DEVICES),
        "dtype": st.sampled_from(DTYPES),
        "batch_size": st.just("auto") | counts,
        "num_layers": st.none() | counts,
        "revision": st.none() | names.filter(lambda name: name != "none"),
        "trust_remote_code": st.booleans(),
        "allow_pickle": st.booleans(),
        "language": st.booleans(),
        "cache": st.booleans(),
        "keep_texts": st.booleans(),
        "name": st.none() | names.filter(lambda n: n not in ("none", ".", "..") and "/" not in n and "\\" not in n),
        "output_dir": names,
    },
)


# The type


def test_the_defaults_are_those_of_the_command_line():
    study = Study()
    assert study.models == SHIPPED
    assert (study.datasets, study.samples, study.layers) == (("wikitext2",), 500, "all")
    assert (study.pooling, study.site, study.components) == (None, "block", 50)
    assert (study.max_length, study.min_tokens, study.seed, study.engine) == (128, 1, 42, "bitlink")
    switches = {key: value for key, value in study if isinstance(value, bool)}
    assert [key for key, on in switches.items() if on] == ["language", "cache", "keep_texts"]
    assert len(switches) == 7


def test_a_study_is_frozen_and_hashable():
    study = Study()
    with pytest.raises(FrozenInstanceError):
        study.samples = 3
    assert hash(study) == hash(Study())


@pytest.mark.parametrize("key", ["models", "datasets"])
def test_a_comma_list_is_split(key):
    assert getattr(Study(**{key: "a, b,c"}), key) == ("a", "b", "c")


@pytest.mark.parametrize(("given_layers", "kept"), [("all", "all"), (["all"], "all"), ("final", ("final",))])
def test_layers_are_all_or_a_list(given_layers, kept):
    assert Study(layers=given_layers).layers == kept


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        (3, "found 3; blocks are called layer_0, layer_1, …, so write 'layer_3'"),
        (0, "found 0; blocks are called .* so write 'layer_0'"),
        (-1, "found -1; blocks are called"),
        ("transformer.h.3.mlp", r"A module by its name: td.activations\(network, batches, \['transformer.h.3.mlp'\]\)"),
    ],
)
def test_a_layer_is_called_by_its_name(layers, message):
    with pytest.raises(TodacommError, match=message):
        Study(layers=layers)


def test_layers_and_poolings_take_comma_lists():
    study = Study(layers="embedding,layer_5,final", pooling="mean,last")
    assert study.layers == ("embedding", "layer_5", "final")
    assert study.pooling == ("mean", "last")


@pytest.mark.parametrize("key", ["components", "pooling", "subsample", "num_layers", "revision", "name"])
def test_none_is_a_word(key):
    assert getattr(Study(**{key: "none"}), key) is None


@pytest.mark.parametrize(
    ("key", "wrong", "near"),
    [
        ("distance", "euclidian", "euclidean"),
        ("scale", "med", "median"),
        ("site", "blok", "block"),
        ("device", "cpuu", "cpu"),
        ("dtype", "float23", "float32"),
        ("engine", "ripsr", "ripser"),
        ("pooling", "meen", "mean"),
        ("layers", "embeding", "embedding"),
        ("device_map", "autos", "auto"),
        ("nulls", "txt", "text"),
    ],
)
def test_an_unknown_choice_suggests_a_neighbour_and_in_a_file_its_line(study_file, key, wrong, near):
    with pytest.raises(UnknownName, match=f"'{wrong}' is not an? .* Did you mean '{near}'[?] Known: "):
        Study(**{key: wrong})
    assert_told(f"study.yaml, line 2: {key}: '{wrong}' is not a", study_file(f"seed: 1\n{key}: {wrong}\n"))
    assert_told(f"Did you mean '{near}'?", "study.yaml")


def test_an_unknown_key_is_refused_with_a_suggestion():
    with pytest.raises(InvalidStudy, match="'smaples' is not a study key that todacomm knows. Did you mean 'samples'?"):
        Study(smaples=3)


def test_a_value_of_the_wrong_type_is_refused_in_our_words():
    with pytest.raises(InvalidStudy, match="samples: expected a whole number, found 'many'"):
        Study(samples="many")


def test_a_changed_study_is_checked_anew():
    study = Study(models="gpt2", components=None)
    assert study.but(samples=10) == Study(models="gpt2", components=None, samples=10)
    assert study.but() == study
    with pytest.raises(InvalidStudy, match="samples: expected at least 3, found 2"):
        study.but(samples=2)


def test_the_recipe_of_a_study_is_that_of_its_clouds():
    study = Study(
        site="mlp", max_length=64, scale="rms", components=None, distance="cosine", subsample=9, seed=3, maxdim=0
    )
    recipe = study.but(engine="ripser").recipe("mean")
    assert (recipe.pooling, recipe.site, recipe.max_length, recipe.scale) == ("mean", "mlp", 64, "rms")
    assert (recipe.components, recipe.distance, recipe.subsample, recipe.seed) == (None, "cosine", 9, 3)
    assert (recipe.engine, recipe.maxdim) == ("ripser", 0)


# Files that are refused


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            "\nsmaples: 3\n",
            "study.yaml, line 2: 'smaples' is not a study key that todacomm knows. Did you mean 'samples'?",
        ),
        ("1: 3\n", "line 1: '1' is not a study key"),
        (
            "# why\n\nsamples: many\n",
            "study.yaml, line 3: samples: expected a whole number, found 'many' (Number of texts",
        ),
        ("samples: 2\n", "line 1: samples: expected at least 3, found 2"),
        ("samples: 500.0\n", "samples: expected a whole number, found 500.0"),
        ("samples: true\n", "samples: expected a whole number, found true"),
        ("samples:\n", "samples: expected a whole number, found nothing"),
        ("shuffle: 1\n", "shuffle: expected true or false, found 1"),
        ("maxdim: 3\n", "maxdim: expected at most 2, found 3"),
        ("seed: -1\n", "seed: expected at least 0, found -1"),
        ("components: 0\n", "components: expected at least 1, found 0 (Keep N principal components; none keeps"),
        ("batch_size: big\n", "batch_size: expected 'auto' or a whole number, found 'big'"),
        ("subsample: 2\n", "subsample: expected at least 3, found 2"),
        ("models: 5\n", "models: expected a list, found 5"),
        ("models:\n  - gpt2\n  - 8\n", "line 1: models: expected a string, found 8; put it in quotes"),
        ("models: []\n", "models: expected one name or more, found an empty list"),
        ("models: ['']\n", "models: expected one name or more, found an empty name"),
        ("models: [gpt2, gpt2]\n", "models: 'gpt2' stands twice"),
        ("models: {gpt2: 1}\n", "models: expected a list, found {'gpt2': 1}"),
        ("layers: [3]\n", "layers: expected 'all' or a string, found [3]"),
        ("layers: []\n", "layers: expected one name or more, found an empty list"),
        ("pooling: []\n", "pooling: expected one name or more, found an empty list"),
        ("revision: 123456\n", "revision: expected a string, found 123456; put it in quotes"),
        ("output: a/b\n", "name: expected a name without slashes, found 'a/b'; the directory is output_dir"),
        ("output_dir: ''\n", "output_dir: expected a name, found ''"),
        ("seed: 1\nsamples: 5\nseed: 2\n", "study.yaml, line 3: 'seed' stands twice, first in line 1"),
        ("seed: 1\n[a]: 3\n", "study.yaml, line 2: a key is a name; found a list or a mapping"),
        ("", "study.yaml: expected keys and values such as 'samples: 500', found nothing"),
        ("- gpt2\n", "expected keys and values such as 'samples: 500', found a list"),
        ("gpt2\n", "expected keys and values such as 'samples: 500', found 'gpt2'"),
        ("samples: 5\n seed: 3\n", "study.yaml, line 2: not YAML (mapping values are not allowed here)"),
        ("seed: [1, 2\n", "not YAML (expected ',' or ']', but got '<stream end>')"),
        ("seed: \x01\n", "study.yaml: not YAML (unacceptable character #x0001"),
        ("seed: 1\n---\nseed: 2\n", "line 2: not YAML (but found another document)"),
        ("models: &m [*m]\n", "not YAML (found unconstructable recursive node)"),
        (
            "seed: !!python/object/apply:os.getpid []\n",
            "line 1: not YAML (could not determine a constructor for the tag",
        ),
        (b"seed: 1 # caf\xe9\n", "the study file 'study.yaml' cannot be read: 'utf-8' codec can't decode byte 0xe9"),
    ],
)
def test_a_file_is_refused_with_key_line_and_what_was_found(study_file, content, message):
    assert_told(message, study_file(content))


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("samples: 0500", "samples", 500),
        ("samples: +0042", "samples", 42),
        ("samples: 0x1F4", "samples", 500),
        ("samples: 0o764", "samples", 500),
        ("seed: 00", "seed", 0),
        ("max_length: 0077", "max_length", 77),
        ("confidence: 9e-1", "confidence", 0.9),
        ("confidence: 95E-2", "confidence", 0.95),
        ("confidence: .9", "confidence", 0.9),
        ("name: no", "name", "no"),
        ("name: On", "name", "On"),
        ("name: y", "name", "y"),
        ("name: 12:30:00", "name", "12:30:00"),
        ("name: 2026-01-01", "name", "2026-01-01"),
        ("revision: 2020-13-45", "revision", "2020-13-45"),
        ("name: 1_000", "name", "1_000"),
        ("name: =", "name", "="),
        ("name: '0500'", "name", "0500"),
        ("models: [on, off, no]", "models", ("on", "off", "no")),
        ("datasets: [yes, 1:30]", "datasets", ("yes", "1:30")),
        ("shuffle: yes", "shuffle", True),
        ("language: Off", "language", False),
        ("shuffle: TRUE", "shuffle", True),
        ("subsample: none", "subsample", None),
    ],
)
def test_a_file_says_what_a_reader_thinks_it_says(study_file, line, key, value):
    """YAML 1.1 makes 320 of 0500, false of no, and 45000 of 12:30:00."""
    found = getattr(load_study(study_file(line)), key)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("samples: 12:30:00", "line 1: samples: expected a whole number, found '12:30:00'"),
        ("samples: 1_000", "samples: expected a whole number, found '1_000'"),
        ("samples: 5e2", "samples: expected a whole number, found 500.0"),
        ("samples: 08a", "samples: expected a whole number, found '08a'"),
        ("output: 0500", "name: expected a string, found 500; put it in quotes"),
        ("output: 1e-3", "name: expected a string, found 0.001; put it in quotes"),
        ("confidence: 95%", "confidence: expected a valid number, found '95%'"),
        ("shuffle: maybe", "shuffle: expected true or false, found 'maybe'"),
        ("shuffle: 'y'", "shuffle: expected true or false, found 'y'"),
        ("\nsamples: !!int abc", "line 2: not YAML .expected a whole number, found 'abc'"),
        ("samples: !!int ''", "line 1: not YAML .expected a whole number, found ''"),
        ("samples: !!bool maybe", "line 1: not YAML .expected true or false, found 'maybe'"),
        ("samples: !!float [1]", "not YAML"),
        ("samples: !!null 5", "line 1: not YAML .expected nothing, found '5'"),
        ("output: !!timestamp x", "line 1: not YAML .could not determine a constructor for the tag"),
        ("output: !!binary 'ü'", "line 1: not YAML .could not determine a constructor for the tag"),
        ("models: !!set {a, b}", "line 1: not YAML .could not determine a constructor"),
        ("models: !!omap 5", "line 1: not YAML"),
        ("output: !!python/object/apply:os.system [ls]", "line 1: not YAML"),
        ("output: !mine x", "line 1: not YAML"),
        ("samples: " + "9" * 5000, "line 1: not YAML .a number of 5000 digits"),
        ("models: " + "[" * 5000, "brackets within brackets, too deep"),
        ("models: " + "{" * 5000, "brackets within brackets, too deep"),
        ("models: " + "[" * 5000 + "]" * 5000, "brackets within brackets, too deep"),
        ("output: a\0b", "not YAML"),
        ("models: &a [*a]", "unconstructable recursive node"),
        ("<<: {samples: 5}", "'<<' is not a study key"),
    ],
)
def test_what_a_file_cannot_mean_is_refused(study_file, content, message):
    with pytest.raises(InvalidStudy, match=message):
        load_study(study_file(content))


@pytest.mark.parametrize(
    "name",
    [
        "no",
        "1e-3",
        "0500",
        "12:30:00",
        "0o17",
        "0x1F",
        "~",
        "null",
        "true",
        ".inf",
        "1.",
        "2026-01-01",
        "=",
        "<<",
        "1_000",
        "-.5e+3",
    ],
)
def test_a_name_that_looks_like_something_else_survives_its_yaml(study_file, name):
    written = dump_study(Study(name=name, models=(name, "b")), version="0")
    found = load_study(study_file(written))
    assert (found.name, found.models) == (name, (name, "b"))
    import yaml

    assert yaml.safe_load(written)["name"] == name  # and to those who read YAML 1.1


def test_every_mistyped_key_of_a_file_is_told_with_its_line(study_file):
    path = study_file("samples: 2\nshuffle: false\nseed: x\n")
    assert_told("study.yaml, line 1: samples: expected at least 3, found 2", path)
    assert_told("\nstudy.yaml, line 3: seed: expected a whole number, found 'x'", path)


def test_a_missing_file_names_the_studies_that_ship(tmp_path):
    assert_told("none.yaml'. Studies that ship: article, encoder-decoder, families, quick.", tmp_path / "none.yaml")
    assert_told("cannot be read", tmp_path)


# Round trips


@given(studies)
@example({"models": ("line\x85end", "naïve"), "output_dir": "\ufeff\u2028"})
def test_a_study_survives_its_own_yaml(tmp_path_factory, keys):
    study = Study(**keys)
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(dump_study(study, version="1.0"), encoding="utf-8", newline="")
    assert load_study(path) == study


def test_the_dump_names_the_version_and_every_key_in_order():
    dumped = dump_study(Study(name="mine"), version="9.8.7")
    assert dumped.startswith("# Written by todacomm 9.8.7: ")
    assert tuple(yaml.safe_load(dumped)) == KEYS
    assert dumped == dump_study(Study(name="mine"), version="9.8.7")
    assert "\npooling: none\n" in dumped


def test_the_template_is_the_defaults_with_every_key_explained(study_file):
    assert load_study(study_file(template())) == load_shipped(DEFAULT_STUDY)
    assert tuple(yaml.safe_load(template())) == KEYS
    paragraphs = template().split("\n\n")[1:]
    assert len(paragraphs) == len(KEYS)
    assert all(paragraph.startswith("# ") for paragraph in paragraphs)


def test_every_choice_is_named_in_the_template():
    choices = (*poolings, *SITES, *DEVICES, *DTYPES, *DISTANCES, *SCALES, *engines, *sources)
    assert [name for name in choices if name not in template()] == []


# Studies that ship


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_every_study_that_ships_loads_describes_itself_and_survives_its_yaml(name, study_file):
    study = load_shipped(name)
    description = shipped_studies()[name]
    assert description.endswith((".", "?"))
    assert not description.startswith("#")
    assert load_study(study_file(dump_study(study, version="1"))) == study == open_study(name)


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_every_model_of_a_study_that_ships_is_a_preset_or_ships_too(name):
    assert [model for model in load_shipped(name).models if model not in (*PRESETS, *SHIPPED)] == []


def test_the_studies_that_ship_are_four():
    assert tuple(shipped_studies()) == ("article", "encoder-decoder", "families", "quick")


def test_the_default_study_measures_the_four_models_with_the_same_two_poolings():
    assert load_shipped(DEFAULT_STUDY) == Study(pooling=("mean", "last"))


def test_the_quick_study_is_100_texts():
    assert load_shipped("quick") == Study(samples=100, pooling=("mean",))


def test_the_article_is_500_texts_of_wikitext2_pooled_by_kind():
    article = load_shipped("article")
    assert article == Study(models=article.models)
    assert {"gpt2", "distilgpt2", "bert", "pythia-70m", "pythia-410m", "smollm2-360m", "qwen2-0.5b"} <= set(
        article.models
    )


def test_an_unknown_study_suggests_a_neighbour():
    with pytest.raises(UnknownName, match=r"Did you mean 'quick'\?.*Or give the path of a study file"):
        load_shipped("quik")


def test_a_configuration_is_a_path_or_the_name_of_a_study(study_file, tmp_path):
    assert open_study(study_file("samples: 7\n")).samples == 7
    assert open_study(tmp_path / "study.yaml").samples == 7
    assert open_study("quick").samples == 100
    with pytest.raises(InvalidStudy, match="there is no study file 'quik'"):
        open_study("quik")


def test_neither_torch_nor_datasets_is_loaded_for_a_study():
    code = (
        "import sys, todacomm.runs.config, todacomm.models.datasets; "
        "print([m for m in ('torch', 'datasets') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
