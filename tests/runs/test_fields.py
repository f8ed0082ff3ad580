"""Each field of a study is declared once; from its mark follow the keys of the cache, from a recipe's what is alike."""

import re
from dataclasses import replace
from inspect import signature

import numpy as np
import pytest

from todacomm import measure, run
from todacomm.comparison.differences import incomparable
from todacomm.comparison.gate import refuse_unlike
from todacomm.core.errors import InvalidInput, InvalidStudy
from todacomm.core.recipe import GATE, NOWHERE, NUMBERS, Recipe, RecipeSettings, alike
from todacomm.core.types import Texts
from todacomm.runs import fields
from todacomm.runs.cache.keys import Checkpoint, claims_key, measurement_key, model_key, reading_key
from todacomm.runs.config import OLD, OPTIONS, RunSettings, Study, keys_of
from todacomm.runs.config_files import load_study, template

MARKS = {getattr(fields, name) for name in (
    "CHOICE", "LOADING", "READING", "MEASURING", "INFERENCE", "MACHINE", "STUDY", "OUTPUT",
)}  # fmt: skip
OTHER = {  # another value of each field
    "models": "gpt2", "datasets": "squad", "samples": 20, "shuffle": True, "min_tokens": 2, "max_length": 64,
    "layers": "final", "site": "mlp", "pooling": "mean", "components": 7, "distance": "cosine", "scale": "rms",
    "maxdim": 2, "engine": "ripser", "subsample": 9, "landmarks": 9, "confidence": 0.9, "resamples": 50,
    "null_draws": 99, "nulls": "text", "null_runs": 3, "seed": 7, "device": "cpu", "device_map": "auto",
    "dtype": "bfloat16", "batch_size": 3, "num_layers": 5, "revision": "v1", "tokenizer": "gpt2",
    "trust_remote_code": True, "allow_pickle": True, "language": False, "backend": "loky", "jobs": 2,
    "scheduler": "tcp://a:1", "max_memory": "1GiB", "cache": False, "keep_texts": False, "figures": "pdf",
    "figures_bare": True, "name": "mine", "output_dir": "elsewhere",
}  # fmt: skip
BASE = Study(pooling="tokens")  # of tokens, subsample and seed decide what is read


@pytest.mark.parametrize("key", OPTIONS)
def test_every_field_has_one_help_sentence_a_panel_and_a_mark_and_stands_in_the_yaml_of_init(key):
    told = OPTIONS[key]
    assert re.fullmatch(r"[A-Z].*[^.]", told.help)
    assert not re.search(r"\. [A-Z]", told.help)
    assert told.panel
    assert told.bears_on
    assert told.bears_on <= MARKS
    assert re.search(rf"\n\n# {re.escape(told.help)}.*\n{key}:", template())


def keys_made(study):
    """The four keys of the cache."""
    weights, pooling = Checkpoint("weights", "content"), study.pooling[0]
    recipe = study.recipe(pooling)
    return {
        "model": model_key(weights, study),
        "reading": reading_key(weights, Texts("t", ("a", "b")), study, pooling, "masked"),
        "measuring": measurement_key("digest", recipe),
        "inference": claims_key({"layer_0": "digest"}, recipe, study.asked(), None),
    }


@pytest.mark.parametrize("key", OPTIONS)
def test_a_changed_field_changes_the_keys_that_it_bears_on_and_no_others(key):
    before, after = keys_made(BASE), keys_made(BASE.but(**{key: OTHER[key]}))
    changed = {name for name in before if before[name] != after[name]}
    marks = OPTIONS[key].bears_on
    expected = marks & {fields.READING, fields.MEASURING, fields.INFERENCE}
    expected |= {fields.INFERENCE} if fields.MEASURING in marks else set()
    assert changed == expected | ({"model"} if key == "trust_remote_code" else set())


def test_where_texts_are_points_neither_subsample_nor_seed_is_of_the_reading():
    study, weights, texts = Study(pooling="mean"), Checkpoint("weights", "content"), Texts("t", ("a", "b"))
    base = reading_key(weights, texts, study, "mean", "causal")
    assert reading_key(weights, texts, study.but(subsample=9, seed=7), "mean", "causal") == base
    assert reading_key(weights, texts, study.but(seed=7), "mean", "masked") != base  # masks are drawn


def test_a_study_gives_a_recipe_and_inference_all_that_bears_on_them():
    assert set(keys_of(fields.MEASURING)) == set(Recipe.__dataclass_fields__) - {"centre", "threshold"}
    assert set(keys_of(fields.INFERENCE)) == set(BASE.asked().__dataclass_fields__)


# What is alike

RECIPES = {
    "pooling": "mean", "site": "mlp", "max_length": 64, "centre": False, "scale": "rms", "components": 2,
    "distance": "cosine", "subsample": 9, "seed": 7, "engine": "ripser", "maxdim": 0, "threshold": 5.0, "landmarks": 9,
}  # fmt: skip


@pytest.fixture(scope="module")
def profile():
    return measure(np.random.default_rng(3).normal(size=(12, 3)), resamples=0, null_draws=0)


@pytest.mark.parametrize("name", Recipe.__dataclass_fields__)
def test_a_changed_field_of_a_recipe_is_refused_where_it_is_marked(profile, name):
    changed = (replace(m, recipe=replace(m.recipe, **{name: RECIPES[name]})) for m in profile.measurements)
    other = replace(profile, measurements=tuple(changed))
    assert (f"{name} is " in incomparable(profile, other)) == (name in alike(NUMBERS))
    if name in alike(NOWHERE):
        refuse_unlike(profile, other)
    else:
        with pytest.raises(InvalidInput, match=f"the gate compares like with like: {name} is "):
            refuse_unlike(profile, other)
    assert name in (*alike(NUMBERS), *alike(GATE), *alike(NOWHERE))


# Old words


def test_an_old_word_is_taken_without_a_warning(tmp_path):
    assert OLD == {
        "pool": "pooling",
        "pca": "components",
        "points": "subsample",
        "output": "name",
        "texts": "keep_texts",
    }
    path = tmp_path / "study.yaml"
    path.write_text("output: mine\npool: mean\npca: 5\npoints: 9\ntexts: no\n", encoding="utf-8")
    found = load_study(path)
    assert found == Study(name="mine", pooling="mean", components=5, subsample=9, keep_texts=False)
    assert found.but(output="other").name == "other"


def test_an_old_word_and_the_new_one_are_one_setting(tmp_path):
    with pytest.raises(InvalidStudy, match="pca and components are one setting; give one of them"):
        Study(pca=5, components=6)
    path = tmp_path / "study.yaml"
    path.write_text("name: a\noutput: b\n", encoding="utf-8")
    with pytest.raises(InvalidStudy, match="line 2: 'name' stands twice, first in line 1"):
        load_study(path)


def test_the_marks_are_those_that_the_keys_were_made_of():
    """A mark that is lost would leave a field out of its key, and old results would be taken for new ones."""
    assert keys_of(fields.READING) == (
        "samples", "min_tokens", "max_length", "site", "pooling", "subsample", "seed", "device", "dtype", "batch_size",
        "trust_remote_code", "language",
    )  # fmt: skip
    assert keys_of(fields.LOADING) == (
        "device", "device_map", "dtype", "num_layers", "revision", "trust_remote_code", "allow_pickle",
    )  # fmt: skip
    assert keys_of(fields.STUDY, fields.OUTPUT) == (
        "models", "datasets", "backend", "scheduler", "max_memory", "cache", "keep_texts", "figures", "figures_bare",
        "name", "output_dir",
    )  # fmt: skip
    assert alike(NUMBERS) == ("centre", "scale", "distance", "threshold")
    assert alike(NOWHERE) == ("engine", "maxdim")


# The library


def test_run_and_measure_show_each_of_their_keywords():
    shown = {name: signature(function).parameters for name, function in (("run", run), ("measure", measure))}
    assert set(RunSettings.__annotations__) == set(OPTIONS) - {"tokenizer", *keys_of(fields.STUDY, fields.OUTPUT)}
    assert set(RecipeSettings.__annotations__) == set(Recipe.__dataclass_fields__)
    assert set(shown["run"]) == {"model", "texts", "tokenizer", "track", "progress", *RunSettings.__annotations__}
    own = {"data", "name", "recipe", "confidence", "resamples", "null_draws", "nulls", "groups", "track", "progress"}
    assert set(shown["measure"]) == own | set(RecipeSettings.__annotations__)
    assert {key: shown["run"][key].default for key in RunSettings.__annotations__} == {
        key: OPTIONS[key].default for key in RunSettings.__annotations__
    }
    assert shown["measure"]["components"].default == 50
    types = {name: field.type for name, field in Recipe.__dataclass_fields__.items()}
    assert RecipeSettings.__annotations__ == types


def test_defaults_are_the_same_for_arrays_and_for_models():
    shown = signature(measure).parameters
    shared = set(shown) & set(OPTIONS) - {"name", "pooling", "max_length"}
    assert len(shared) == 13
    assert {key: shown[key].default for key in shared} == {key: OPTIONS[key].default for key in shared}
