"""Public types are values: a copy, and what comes back from a pickle or another process, equals what was given."""

import copy
import dataclasses
import pickle
from dataclasses import fields, replace

import joblib
import numpy as np
import pytest

import todacomm as td
from todacomm.comparison.layer_distances import layer_distances
from todacomm.core import errors
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.types import CloudFacts
from todacomm.core.value_types import ReadOnly, same
from todacomm.runs.config import Study


def through_joblib(value, tmp_path):
    joblib.dump(value, tmp_path / "value.joblib")
    return joblib.load(tmp_path / "value.joblib")


WAYS = {
    "pickle": lambda value, _: pickle.loads(pickle.dumps(value)),  # noqa: S301
    "pickle, first protocol": lambda value, _: pickle.loads(pickle.dumps(value, 0)),  # noqa: S301
    "copy": lambda value, _: copy.copy(value),
    "deepcopy": lambda value, _: copy.deepcopy(value),
    "joblib": through_joblib,
}


def points(seed=0, n=40):
    return np.random.default_rng(seed).normal(size=(n, 4))


@pytest.fixture(scope="module")
def profiles():
    groups = [str(i // 4) for i in range(40)]
    layers = {"embedding": points(1), "layer_0": points(2), "layer_1": np.ones((40, 2))}
    asked = {"null_draws": 19, "resamples": 20}
    return [
        td.measure({name: x * (1 + i) for name, x in layers.items()}, name=f"m{i}", groups=groups, **asked)
        for i in range(3)
    ]


@pytest.fixture(scope="module")
def values(profiles):
    from todacomm.grokking import Measured, Task, Training

    texts = td.Texts("poems", ("a", "b", "c"), ("x", "x", "y"))
    comparison = td.compare(profiles)
    return {
        "Profile": profiles[0],
        "Claims": profiles[0].claims,
        "Halves": profiles[0].claims.halves["layer_0"],
        "Measurement": profiles[0].measurements[0],
        "Diagrams": profiles[0].measurements[0].diagrams,
        "CloudFacts": profiles[0].measurements[0].facts,
        "Expansion": profiles[0].expansions[0],
        "PointCloud": td.PointCloud(points(), td.Address("m", "d", "layer_3", 7)),
        "Address": td.Address("m", "d", "layer_3", 7),
        "Activations": td.Activations({"layer_0": points()}, "m", texts, "mean", {"texts": 3}),
        "Texts": texts,
        "Recipe": td.Recipe(components=None, maxdim=2),
        "Comparison": comparison,
        "Pair": comparison.pairs[0],
        "Apart": comparison.apart[0],
        "Likeness": comparison.likeness,
        "LayerDistances": layer_distances(profiles[0])[1],
        "InferenceSettings": InferenceSettings(),
        "Study": Study(samples=7),
        "Task": Task("add", 23),
        "Training": Training(),
        "Measured": Measured(),
        "rips": td.rips(points()),
    }


NAMES = (
    *("Profile", "Claims", "Halves", "Measurement", "Diagrams", "CloudFacts", "Expansion", "PointCloud", "Address"),
    *(
        "Activations",
        "Texts",
        "Recipe",
        "Comparison",
        "Pair",
        "Apart",
        "Likeness",
        "LayerDistances",
        "InferenceSettings",
        "Study",
    ),
    *("Task", "Training", "Measured"),
)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", NAMES)
def test_a_copy_equals_its_original(values, name, way, tmp_path):
    value = values[name]
    found = WAYS[way](value, tmp_path)
    assert type(found) is type(value)
    assert found == value
    assert not found != value  # noqa: SIM202 - both operators


def test_diagrams_of_rips_come_back(values, tmp_path):
    for way in WAYS.values():
        assert same(way(values["rips"], tmp_path), values["rips"])


@pytest.mark.slow
def test_what_is_measured_elsewhere_comes_home_as_it_is_measured_here(profiles):
    """Through the processes of joblib, there and back."""
    asked = {"null_draws": 0, "resamples": 0}
    away = joblib.Parallel(n_jobs=2)(joblib.delayed(td.measure)(points(seed), **asked) for seed in (1, 2))
    assert away == [td.measure(points(seed), **asked) for seed in (1, 2)]
    there = joblib.Parallel(n_jobs=2)(joblib.delayed(repr)(profile) for profile in profiles)
    assert there == [repr(profile) for profile in profiles]


def changes(profile):
    """The profile with one thing changed each time."""
    first, *others = profile.measurements
    bars = [array.copy() for array in first.diagrams.finite]
    bars[0][3, 1] += 1e-12
    yield replace(profile, measurements=(replace(first, diagrams=replace(first.diagrams, finite=tuple(bars))), *others))
    yield replace(profile, measurements=(replace(first, summary={**first.summary, "H0_count": 1.0}), *others))
    yield replace(profile, measurements=(replace(first, facts=replace(first.facts, points=41)), *others))
    yield replace(profile, measurements=tuple(others))
    yield replace(profile, notes=("a note",))
    yield replace(profile, claims=None)
    halves = profile.claims.halves
    layer = next(iter(halves))
    changed = replace(halves[layer], values=halves[layer].values + 1)
    yield replace(profile, claims=replace(profile.claims, halves={**halves, layer: changed}))


def test_what_differs_in_one_number_is_not_equal(profiles):
    for changed in changes(profiles[0]):
        assert changed != profiles[0]
    assert profiles[0] != "a string"
    assert profiles[0] != profiles[1]


def test_equal_values_have_equal_hashes(values, tmp_path):
    for name in ("Profile", "Diagrams", "PointCloud", "Activations", "Comparison", "Texts"):
        assert hash(WAYS["pickle"](values[name], tmp_path)) == hash(values[name])


def test_nothing_can_be_written_to_what_came_back(values, tmp_path):
    found = WAYS["pickle"](values["Profile"], tmp_path).measurements[0]
    for writes in (
        lambda: found.summary.update(H0_count=3),
        lambda: found.summary.__setitem__("H0_count", 3),
        lambda: found.summary.pop("H0_count"),
        found.summary.clear,
    ):
        with pytest.raises(TypeError, match="this mapping is read-only"):
            writes()
    with pytest.raises(ValueError, match="read-only"):
        found.diagrams.finite[0][0, 1] = 9
    cloud = copy.deepcopy(values["PointCloud"])
    with pytest.raises(ValueError, match="read-only"):
        cloud.points[0, 0] = 9


def test_a_profile_is_a_tree_of_plain_things(profiles):
    """``dataclasses.asdict`` takes it apart, mappings included."""
    found = dataclasses.asdict(profiles[0])
    assert found["measurements"][0]["summary"] == dict(profiles[0].measurements[0].summary)
    assert set(found["measurements"][0]["facts"]) == {f.name for f in fields(CloudFacts)}


def test_a_read_only_mapping_is_one_still_when_it_is_joined_or_changed():
    one = ReadOnly({"a": 1, "b": float("nan")})
    assert same(copy.deepcopy(one), one)
    assert type(pickle.loads(pickle.dumps(one))) is ReadOnly  # noqa: S301
    assert one | {"a": 2} == {"a": 2, "b": one["b"]}
    with pytest.raises(TypeError, match="read-only"):
        one |= {"a": 2}


ERRORS = (
    errors.UnknownName("engine", "ripsr", ["ripser", "redzed"], hint="Or none."),
    errors.MissingExtra("torch", "models", "Extracting"),
    errors.InvalidCloud("3 points"),
    errors.CannotWrite("no room"),
    errors.NothingLegible("nothing"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_says_the_same_in_another_process(error, tmp_path):
    for way in WAYS.values():
        found = way(error, tmp_path)
        assert (type(found), str(found), found.args, vars(found)) == (type(error), str(error), error.args, vars(error))


def test_a_refused_study_comes_back_with_its_problems():
    with pytest.raises(errors.InvalidStudy) as caught:
        Study(sampels=3)
    found = pickle.loads(pickle.dumps(caught.value))  # noqa: S301
    assert (str(found), found.problems) == (str(caught.value), caught.value.problems)
