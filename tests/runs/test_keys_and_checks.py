"""What a key must know, what a served measurement must have been through, and when the reference engine is asked."""

from dataclasses import fields, replace

import numpy as np
import pytest

import trained
from grok_directories import P, checkpoint, circles
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.recipe import Recipe
from todacomm.core.types import Address, PointCloud
from todacomm.profiles.measure import Task, measure_task
from todacomm.runs import training_runs
from todacomm.runs.cache.entries import find_measured, keep_measured
from todacomm.runs.cache.keys import claims_key, measurement_key
from todacomm.runs.cache.store import Cache
from todacomm.runs.config import Study
from todacomm.training import observe

RECIPE = Recipe(
    pooling="mean", max_length=64, scale="rms", components=7, subsample=20, threshold=3.0, landmarks=9, seed=1
)
OTHER_RECIPES = {
    "pooling": "last", "site": "mlp", "max_length": 32, "centre": False, "scale": "none", "components": 8,
        "distance": "cosine",
    "subsample": 21, "seed": 2, "engine": "ripser", "maxdim": 2, "threshold": 4.0, "landmarks": 8,
}  # fmt: skip
OTHER_ASKED = {"confidence": 0.9, "resamples": 40, "null_draws": 39, "nulls": ("text",), "null_runs": 4}
CLOUDS = {"layer_0": "a", "layer_1": "b"}


def test_the_key_of_a_measurement_knows_its_cloud_and_every_setting_of_its_recipe():
    assert OTHER_RECIPES.keys() == {f.name for f in fields(Recipe)}
    keys = [measurement_key("a", replace(RECIPE, **{name: value})) for name, value in OTHER_RECIPES.items()]
    keys += [measurement_key("a", RECIPE), measurement_key("b", RECIPE)]
    assert len(set(keys)) == len(keys)


def test_the_key_of_claims_knows_clouds_recipe_groups_and_all_that_was_asked():
    assert OTHER_ASKED.keys() == {f.name for f in fields(InferenceSettings)}
    asked, groups = InferenceSettings(), ["x", "x", "y"]
    keys = [claims_key(CLOUDS, RECIPE, replace(asked, **{name: value}), groups) for name, value in OTHER_ASKED.items()]
    keys += [claims_key(CLOUDS, RECIPE, asked, labels) for labels in (None, groups, ["x", "y", "y"])]
    keys += [
        claims_key(CLOUDS, replace(RECIPE, seed=2), asked, groups),
        claims_key({**CLOUDS, "layer_1": "c"}, RECIPE, asked, groups),
    ]
    assert len(set(keys)) == len(keys)


def test_what_a_study_asks_is_what_its_keys_say():
    asked = Study(confidence=0.9, resamples=40, null_draws=39, nulls=("text",), null_runs=4).asked()
    assert {f.name: getattr(asked, f.name) for f in fields(InferenceSettings)} == OTHER_ASKED


def test_only_a_confirmed_measurement_is_served_where_one_must_be(cache_place):
    cache, cloud = Cache(cache_place), PointCloud(np.random.default_rng(0).normal(size=(20, 3)), Address("m", "d", "x"))
    recipe = Recipe(components=None)
    for check in (False, True):
        keep_measured(measure_task(Task(cloud, recipe, check)), "digest", cache)
        assert find_measured("digest", cloud.address, recipe, cache, check=False) is not None
        assert (find_measured("digest", cloud.address, recipe, cache, check=True) is not None) == check


# The reference engine, while training is observed


@pytest.fixture
def asked(monkeypatch):
    """The steps and clouds of which the reference engine is asked."""
    found = []
    monkeypatch.setattr(observe, "cross_check", lambda *_, where, **__: found.append(where))
    return found


@pytest.mark.parametrize("check", [True, False])
def test_the_reference_engine_is_asked_of_the_first_cloud_where_a_checkpoint_is_checked(check, asked):
    rng = np.random.default_rng(0)
    seen = checkpoint(3, rng, 1.0, circles(rng))
    assert len(seen.clouds) > 1
    observe.watch(seen, model="m", data="d", check=check)
    assert asked == [str(Address("m", "d", next(iter(seen.clouds)), seen.step))] * check
    assert len(seen.clouds["embedding"]) == P


class Stopped(Exception):
    """The process was stopped."""


def test_checks_stay_on_their_schedule_where_a_run_goes_on(tmp_path, monkeypatch):
    """Every third checkpoint is checked, whether the run was stopped between or not."""
    monkeypatch.setattr(training_runs, "CHECKED_EVERY", 3)
    monkeypatch.setattr(training_runs, "SECONDS_BETWEEN_STATES", -1.0)
    watch, checked, left = observe.watch, {}, [4]

    def watched(seen, *, check, **about):
        left[0] -= 1
        if left[0] < 0:
            raise Stopped
        checked[seen.step] = check
        return watch(seen, check=False, **about)

    monkeypatch.setattr(observe, "watch", watched)
    (plan, *_) = trained.experiment(steps=100).plans
    with pytest.raises(Stopped):
        training_runs.perform(tmp_path, plan)
    left[0] = 100
    training_runs.perform(tmp_path, plan)
    assert list(checked) == list(plan.training.checkpoints)
    assert list(checked.values()) == [i % 3 == 0 for i in range(len(checked))]
