"""Steps × layers: the arrays of a trajectory, from rows and from profiles."""

import numpy as np
import pytest

import todacomm as td
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.profiles.trajectory import Moment, Trajectory


@pytest.fixture(scope="module")
def profiles():
    base = np.random.default_rng(1).normal(size=(40, 6))
    flat = np.repeat(base[:4], 10, axis=0)
    made = {0: {"embedding": base, "layer_0": base}, 50: {"embedding": 2 * base, "layer_0": flat}}
    return {step: td.measure(layers, resamples=20, null_draws=19) for step, layers in made.items()}


def test_a_trajectory_holds_what_each_profile_says(profiles):
    found = Trajectory.from_profiles("run", profiles)
    assert (found.steps, found.layers, found.labels) == ((0, 50), ("embedding", "layer_0"), ("0", "50"))
    for i, profile in enumerate(profiles.values()):
        for name in ("H0_total_persistence", "H1_count", "scale", "distinct_points"):
            assert np.array_equal(found[name][i], profile[name], equal_nan=True)
    first = profiles[0]
    ends = first.interval("H0_total_persistence", layer="embedding")
    assert tuple(found.interval("H0_total_persistence", "embedding")[0]) == (ends.low, ends.high)
    test = first.test("H1_loop", layer="layer_0")
    assert found.p_values["gaussian/H1_loop"][0, 1] == test.family_wise
    assert found["doubtful"].tolist() == [[0, 0], [0, 1]]
    assert found.complaints == {50: ("layer_0: 4 distinct points of 40",)}


def test_what_a_step_lacks_is_nan():
    rows = [
        Moment(10, {"layer_1": {"x": 2.0}}, {"layer_1": {"x": (1.0, None)}}, of_model={"loss": 3.0}, label="ten"),
        Moment(0, {"layer_0": {"x": 1.0}}),
    ]
    found = Trajectory.from_moments("rows", rows)
    assert (found.steps, found.labels, found.layers) == ((0, 10), ("0", "ten"), ("layer_0", "layer_1"))
    assert np.array_equal(found["x"], [[1, np.nan], [np.nan, 2]], equal_nan=True)
    assert np.array_equal(found.interval("x", "layer_1"), [[np.nan, np.nan], [1, np.nan]], equal_nan=True)
    assert np.array_equal(found.of_model["loss"], [np.nan, 3], equal_nan=True)


def test_what_does_not_fit_is_refused():
    grid = {"x": np.zeros((2, 1))}
    with pytest.raises(InvalidInput, match=r"run: steps 5, 5; expected each once, in ascending order"):
        Trajectory("run", (5, 5), ("layer_0",), grid)
    with pytest.raises(InvalidInput, match=r"run: numbers 'x' of shape \(2, 1\); expected \(3, 1\)"):
        Trajectory("run", (0, 1, 2), ("layer_0",), grid)
    with pytest.raises(InvalidInput, match="at least one step and one layer"):
        Trajectory.from_moments("run", [])
    found = Trajectory("run", (0, 1), ("layer_0",), grid)
    with pytest.raises(UnknownName, match="layer_1"):
        found.at("x", "layer_1")
    with pytest.raises(UnknownName, match="number of this trajectory"):
        found["y"]
    with pytest.raises(ValueError, match="read-only"):
        found["x"][0] = 1
