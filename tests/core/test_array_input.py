"""What people hold their numbers in: taken as it is meant, or refused with a sentence."""

import decimal
import fractions
import warnings

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

import todacomm as td
from todacomm.clouds.intrinsic_dimension import two_nn
from todacomm.core.array_input import array_of
from todacomm.core.errors import InvalidInput, TodacommError

QUICK = {"null_draws": 0, "resamples": 0}


def points(n=12, d=3, seed=0):
    return np.random.default_rng(seed).integers(-40, 40, (n, d)) / 8  # exact in bfloat16


def mapped(array, place):
    np.save(place, array)
    return np.load(place, mmap_mode="r")


CONTAINERS = {
    "list": lambda a: a.tolist(),
    "tuple": lambda a: tuple(map(tuple, a.tolist())),
    "list of arrays": list,
    "Fortran order": np.asfortranarray,
    "reversed": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "big-endian": lambda a: a.astype(">f8"),
    "float16": lambda a: a.astype(np.float16),
    "long double": lambda a: a.astype(np.longdouble),
    "read-only": lambda a: np.broadcast_to(a, a.shape),
    "objects": lambda a: a.astype(object),
    "fractions": lambda a: [[fractions.Fraction(x) for x in row] for row in a],
    "decimals": lambda a: [[decimal.Decimal(x) for x in row] for row in a],
    "masked, nothing missing": np.ma.masked_invalid,
    "frame": pd.DataFrame,
    "frame of nullable numbers": lambda a: pd.DataFrame(a).astype("Float64"),
    "tensor": torch.tensor,
    "tensor with gradients": lambda a: torch.tensor(a, requires_grad=True),
    "bfloat16": lambda a: torch.tensor(a, dtype=torch.bfloat16),
    "half": lambda a: torch.tensor(a, dtype=torch.float16, requires_grad=True),
    "transposed tensor": lambda a: torch.tensor(a.T.copy()).T,
    "negated view": lambda a: torch._neg_view(torch.tensor(-a)),
    "sparse tensor": lambda a: torch.tensor(a).to_sparse(),
    "sparse matrix": scipy.sparse.csr_matrix,
    "sparse array": scipy.sparse.coo_array,
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_gives_what_the_array_gives(name):
    array = points()
    held = CONTAINERS[name](array)
    np.testing.assert_array_equal(array_of(held), array)
    for ours, theirs in zip(td.rips(held), td.rips(array), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    found, expected = td.measure(held, **QUICK), td.measure(array, **QUICK)
    assert found["H0_total_persistence"] == pytest.approx(expected["H0_total_persistence"], rel=1e-6)
    assert two_nn(held) == pytest.approx(two_nn(array), rel=1e-6)


@pytest.mark.parametrize("name", [n for n in CONTAINERS if "sparse" not in n])
def test_every_container_of_distances_gives_what_the_matrix_gives(name):
    line = np.arange(6.0)
    matrix = np.abs(line[:, None] - line) % 5
    held = CONTAINERS[name](matrix)
    for ours, theirs in zip(td.rips(held, metric="precomputed"), td.rips(matrix, metric="precomputed"), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(td.persistence(held).finite[0], td.persistence(matrix).finite[0])


def test_a_memory_mapped_array_is_measured_where_it_lies(tmp_path):
    array = points()
    held = mapped(array, tmp_path / "a.npy")
    np.testing.assert_array_equal(td.rips(held)[0], td.rips(array)[0])
    distances = mapped(squareform(pdist(array)), tmp_path / "d.npy")
    np.testing.assert_array_equal(td.rips(distances, metric="precomputed")[0], td.rips(array)[0])
    assert td.measure(held, **QUICK)["H0_count"] == 11


@pytest.mark.parametrize("kind", [scipy.sparse.coo_array, scipy.sparse.csr_matrix, scipy.sparse.lil_array])
@pytest.mark.parametrize("stored", ["both sides", "upper", "lower"])
def test_a_distance_that_a_sparse_matrix_lacks_is_no_edge(kind, stored):
    """A square without its diagonals: a loop that nothing fills."""
    ring = np.zeros((4, 4))
    for i in range(4):
        j = (i + 1) % 4
        if stored == "both sides" or (i < j) == (stored == "upper"):
            ring[i, j] = 1
        if stored == "both sides" or (j < i) == (stored == "upper"):
            ring[j, i] = 1
    clusters, loops = td.rips(kind(ring), metric="precomputed")
    np.testing.assert_array_equal(clusters, [[0, 1], [0, 1], [0, 1], [0, np.inf]])
    np.testing.assert_array_equal(loops, [[1, np.inf]])
    with pytest.raises(InvalidInput, match="NaN or infinite"):
        td.persistence(kind(ring))


def test_condensed_distances_are_told_by_their_one_axis():
    array = points()
    condensed = pdist(array)
    expected = td.rips(array)
    for found in (td.rips(condensed), td.rips(condensed, metric="precomputed"), td.rips(condensed.tolist())):
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    np.testing.assert_array_equal(
        td.rips(pdist(array[:2]))[0], [[0, pdist(array[:2])[0].astype(np.float32)], [0, np.inf]]
    )
    for wrong in (condensed[:-1], np.ones(2), np.ones((0,)), np.ones(5)):
        for door in (td.rips, lambda x: td.rips(x, metric="precomputed"), td.persistence):
            with pytest.raises(InvalidInput):
                door(wrong)


REFUSED = {
    "complex": 1j * points(),
    "complex with nothing imaginary": points().astype(complex),
    "complex tensor": torch.tensor(1j * points()),
    "complex objects": [[1j, 2], [3, 4]],
    "text": [["a", "b"], ["c", "d"]],
    "numbers as text": np.array([["1", "2"], ["3", "4"]]),
    "objects of text": np.array([["1", "2"], ["3", "4"]], dtype=object),
    "bytes": np.array([[b"1", b"2"]] * 3),
    "dates": np.array([["2020-01-01"] * 2] * 3, dtype="datetime64[D]"),
    "spans": np.array([[1, 2]] * 3, dtype="timedelta64[s]"),
    "records": np.zeros((3, 3), dtype=[("x", float)]),
    "ragged": [[1.0, 2], [3], [4, 5]],
    "nested": [[[1.0, 2]], [[3]]],
    "nothing": None,
    "a word": "points",
    "mapping of mappings": {"a": {"b": 1}},
    "a set": {1, 2, 3},
    "a generator": (x for x in range(3)),
    "a number": 3.0,
    "three axes": np.zeros((3, 3, 3)),
    "empty": [],
    "no columns": np.zeros((5, 0)),
    "no rows": np.zeros((0, 5)),
    "frame with text": pd.DataFrame({"x": [1.0, 2, 3], "y": ["a", "b", "c"]}),
    "frame with a gap": pd.DataFrame({"x": [1.0, None, 3], "y": [1, 2, 3]}),
    "frame with a nullable gap": pd.DataFrame({"x": [1, None, 3], "y": [1, 2, 3]}, dtype="Int64"),
    "masked": np.ma.masked_greater(points(), 3),
    "masked whole": np.ma.masked_all((4, 4)),
    "meta tensor": torch.zeros((4, 4), device="meta"),
    "tensors of two lengths": [torch.zeros(2), torch.zeros(3)],
    "sparse complex": scipy.sparse.csr_array(1j * points()),
    "huge whole numbers": [[10**400, 1], [1, 2], [3, 4]],
    "beyond float64": np.array([["1e400", "1"]] * 3, dtype=np.longdouble),
    "a function": np.sum,
    "a module": np,
}
DOORS = {
    "rips": td.rips,
    "rips in double precision": lambda x: td.rips(x, precision="float64"),
    "cosine": lambda x: td.rips(x, metric="cosine"),
    "precomputed": lambda x: td.rips(x, metric="precomputed"),
    "persistence": td.persistence,
    "measure": lambda x: td.measure(x, **QUICK),
    "two_nn": two_nn,
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("name", REFUSED)
def test_what_holds_no_real_numbers_is_refused_at_every_door(name, door):
    with pytest.raises(TodacommError) as problem:
        DOORS[door](REFUSED[name])
    assert str(problem.value)


@pytest.mark.parametrize("metric", [np.hypot, 2, None, "precomputd", np.eye(2)])
def test_a_metric_that_is_no_name_is_refused_by_name(metric):
    with pytest.raises(TodacommError, match="is not a metric that todacomm knows"):
        td.rips(points(), metric=metric)


@pytest.mark.parametrize(
    "options",
    [
        {"maxdim": "1"},
        {"maxdim": 3},
        {"maxdim": None},
        {"threshold": "far"},
        {"threshold": np.nan},
        {"threshold": [1, 2]},
    ],
)
def test_wrong_options_are_refused(options):
    for door in (td.rips, lambda x, **o: td.persistence(pdist(x), **o)):
        with pytest.raises(InvalidInput, match="maxdim is|the threshold is"):
            door(points(), **options)


# Distances that are given as points


@pytest.mark.parametrize("noise", [0, 1e-15, 1e-7])
def test_a_matrix_of_distances_given_as_points_gets_a_warning(noise):
    matrix = squareform(pdist(points())) + noise * np.random.default_rng(0).normal(size=(12, 12))
    for door in (td.rips, lambda x: td.measure(x, **QUICK), lambda x: td.measure({"a": x}, **QUICK)):
        with pytest.warns(UserWarning, match="look like a matrix of distances.*precomputed"):
            door(matrix)


@pytest.mark.parametrize(
    "square",
    [
        np.array([[0.0, 1], [1, 0]]),
        np.array([[0.0, 1, 2], [1, 0, 1], [2, 1, 1]]),
        np.array([[0.0, 1, 2], [1, 0, 1], [2.1, 1, 0]]),
        np.array([[0.0, -1, 2], [-1, 0, 1], [2, 1, 0]]),
        np.random.default_rng(0).normal(size=(9, 9)),
        np.eye(5),
    ],
)
def test_other_squares_are_points_without_a_word(square):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        td.rips(square)


# Anything


def held(array, how):
    """An array in some container and dtype, whole or with something wrong in it."""
    container, dtype, flaw = how
    with np.errstate(over="ignore", invalid="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = array.astype(dtype)
        if flaw is not None and array.size and array.dtype.kind in "fc":
            array.flat[-1] = flaw
    if container == "read-only" and array.ndim != 2:
        return array
    return CONTAINERS[container](array) if container in CONTAINERS else array


DTYPES = ["f2", "f4", "f8", ">f4", "<f8", "g", "i1", "i4", "u8", "?", "c8", "O", "U8"]
EXACT = ["list", "tuple", "Fortran order", "masked, nothing missing", "frame", "sparse matrix", "read-only", ""]
tensors = st.sampled_from(["tensor", "tensor with gradients", "bfloat16", "sparse tensor"])


@st.composite
def anything(draw):
    shape = draw(
        st.sampled_from(
            [(n, d) for n in (0, 1, 2, 3, 4, 7) for d in (0, 1, 2, 3, 4, 7)] + [(6,), (5,), (0,), (2, 2, 2), ()]
        )
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    with np.errstate(over="ignore", invalid="ignore"):
        array = np.asarray(rng.normal(size=shape) * 10.0 ** draw(st.integers(-320, 308)))
        if len(shape) == 2 and shape[0] == shape[1] and draw(st.booleans()):
            array = np.abs(array + array.T) * (1 - np.eye(shape[0]))
    if draw(st.booleans()):
        array = np.asarray(np.round(rng.normal(size=shape) * 2))
    flaw = draw(st.sampled_from([None, None, np.nan, np.inf, -np.inf, -1.0, 1e308, 5e-324]))
    if draw(st.integers(0, 3)) == 0:
        with np.errstate(over="ignore"):
            array = np.array(array, dtype=np.float32 if draw(st.booleans()) else np.float64)
        return CONTAINERS[draw(tensors)](array)
    how = (draw(st.sampled_from(EXACT)), draw(st.sampled_from(DTYPES)), flaw)
    try:
        return held(array, how)
    except (TypeError, ValueError, OverflowError):  # this container does not hold such an array
        return array


def knock(array, threshold, maxdim):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of NumPy, say
        warnings.filterwarnings("ignore", "the .* points|distances are made symmetric", UserWarning)
        for metric in ("euclidean", "cosine", "precomputed"):
            for precision in ("float32", "float64"):
                answer(td.rips, array, metric=metric, precision=precision, threshold=threshold, maxdim=maxdim)
        answer(td.persistence, array, maxdim=maxdim, threshold=threshold)
        for distance in ("euclidean", "cosine"):
            answer(td.measure, array, distance=distance, components=None, maxdim=min(maxdim, 1), **QUICK)
        answer(two_nn, array)


def answer(door, array, **options):
    """An answer without NaN, or an error of ours."""
    try:
        found = door(array, **options)
    except TodacommError:
        return
    if isinstance(found, list):
        assert all((rows[:, 0] <= rows[:, 1]).all() for rows in found)


@given(array=anything(), threshold=st.sampled_from([np.inf, 0.0, 1.0, 1e-300, -1.0]), maxdim=st.sampled_from([0, 1]))
def test_whatever_is_given_only_our_errors_come_back(array, threshold, maxdim):
    knock(array, threshold, maxdim)


@pytest.mark.slow
@settings(max_examples=2000)
@given(array=anything(), threshold=st.sampled_from([np.inf, 0.0, 1.0, 1e-300, -1.0]), maxdim=st.sampled_from([0, 1, 2]))
def test_of_two_thousand_things_only_our_errors_come_back(array, threshold, maxdim):
    knock(array, threshold, maxdim)
