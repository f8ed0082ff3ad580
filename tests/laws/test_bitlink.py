"""Laws of our own engine beyond those of every engine: exact equality, what makes each bar, resamples, early ends."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import pdist, squareform

import todacomm
from shapes import circle
from small_clouds import all_differences, differences, sorted_bars
from todacomm.core.errors import InvalidInput
from todacomm.homology import bitlink, engines
from todacomm.homology.bitlink.edge_order import encoded
from todacomm.homology.engines import persistence

matrices = st.integers(2, 9).flatmap(
    lambda n: st.lists(st.integers(0, 5), min_size=n * (n - 1) // 2, max_size=n * (n - 1) // 2)
)


@given(values=matrices, threshold=st.sampled_from([0.0, 1.0, 2.5, 4.0, np.inf]))
def test_every_small_matrix_of_integers_gives_what_ripser_gives(values, threshold):
    assert list(differences(np.array(values, np.float32), threshold)) == []


def test_random_clouds_give_what_ripser_gives_bit_for_bit():
    assert list(all_differences(seed=0, count=250)) == []


@pytest.mark.slow
def test_ten_thousand_random_clouds_give_what_ripser_gives_bit_for_bit():
    assert list(all_differences(seed=1, count=10_000)) == []


def shapes(rng, n, kind):
    d = int(rng.choice([2, 3, 10, 50]))
    if kind == "circle":
        angle = rng.uniform(0, 2 * np.pi, n)
        return (
            np.pad(np.c_[np.cos(angle), np.sin(angle)], ((0, 0), (0, d - 2))) + 0.1 * rng.normal(size=(n, d)) / d**0.5
        )
    points = rng.normal(size=(n, d))
    if kind == "power":
        return points / np.arange(1, d + 1)
    return points + 5 * rng.normal(size=(10, d))[rng.integers(10, size=n)] if kind == "clustered" else points


@pytest.mark.slow
def test_a_hundred_large_clouds_give_what_redzed_gives_bit_for_bit(rng):
    for kind, _ in itertools.product(("gaussian", "power", "circle", "clustered"), range(25)):
        n = int(np.exp(rng.uniform(np.log(200), np.log(2000))))
        condensed = pdist(shapes(rng, n, kind)).astype(np.float32)
        ours, theirs = (persistence(condensed, engine=name) for name in ("bitlink", "redzed"))
        for a, b in zip(ours.finite, theirs.finite, strict=True):
            np.testing.assert_array_equal(a, b)


def late_ring(rng):
    """A blob, and far from it nine points whose loop is born after nearly all edges of the blob are there."""
    ring = 60 * circle(9) + 200
    return pdist(np.concatenate([rng.normal(size=(300, 2)), ring])).astype(np.float32)


def test_a_loop_that_is_born_long_after_all_others_have_died_is_not_missed(rng):
    condensed = late_ring(rng)
    assert list(differences(condensed, np.inf)) == []
    last = bitlink.homology(condensed).bars[-1]
    assert last[0] > np.quantile(condensed, 0.9)


@pytest.mark.parametrize("searches", [0, 10**9])
def test_no_edge_beyond_the_longest_bearing_one_is_in_the_relative_neighbourhood_graph(rng, searches):
    """With searches without end it is exactly the longest of these edges, with none an upper bound."""
    from todacomm.homology.bitlink import edges

    condensed = pdist(np.concatenate([rng.normal(size=(60, 3)), 20 + 9 * circle(7) @ rng.normal(size=(2, 3))]))
    condensed = condensed.astype(np.float32)
    matrix = squareform(condensed)
    n, low = len(matrix), np.quantile(condensed, 0.3).astype(np.float32)
    rows = bitlink._new_state(n).rows
    for u, v in np.argwhere(np.triu(matrix <= low, 1)):
        rows[u, v // 64] |= np.uint64(1) << np.uint64(v % 64)
        rows[v, u // 64] |= np.uint64(1) << np.uint64(u % 64)
    near = np.ascontiguousarray(matrix[:32])
    found = edges.longest_bearing(condensed, n, low, near, rows, np.empty(n + 1, np.int64), searches)
    nearest = np.array([[np.maximum(matrix[u], matrix[v]).min() for v in range(n)] for u in range(n)])
    longest = matrix[(nearest >= matrix) & (matrix > low)].max(initial=0)
    assert longest > 0
    assert found == longest if searches else found >= longest


@pytest.mark.parametrize("prime", [2, 3])
def test_clouds_are_measured_alike_when_room_runs_out_at_every_step(rng, monkeypatch, prime):
    condensed = [late_ring(rng), pdist(rng.normal(size=(120, 8))).astype(np.float32)]
    roomy = [bitlink.homology(c, prime=prime).bars for c in condensed]
    ample = bitlink._new_state

    def cramped(*asked):
        state = ample(*asked)
        table = np.full((2, 2), -1, np.int32)
        return state._replace(table=table, classes=state.classes[:1], values=state.values[:1], pool=state.pool[:1])

    monkeypatch.setattr(bitlink, "_new_state", cramped)
    for c, bars in zip(condensed, roomy, strict=True):
        np.testing.assert_array_equal(bitlink.homology(c, prime=prime).bars, bars)


def test_double_precision_tells_apart_what_single_precision_cannot():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1 + 1e-10]])
    exact = bitlink.homology(pdist(square)).bars
    assert exact.shape == (1, 2)
    np.testing.assert_array_equal(exact[0], [pdist(square).max(initial=0, where=pdist(square) < 1.2), np.sqrt(2)])
    assert bitlink.homology(pdist(square).astype(np.float32)).bars[0, 0] == 1.0


def test_double_precision_gives_the_same_bars_but_for_rounding(rng):
    condensed = pdist(rng.normal(size=(200, 5)))
    single, double = bitlink.homology(condensed.astype(np.float32)), bitlink.homology(condensed)
    assert np.isin(double.bars, condensed).all()
    np.testing.assert_allclose(sorted_bars(double.bars)[:, 0], sorted_bars(single.bars)[:, 0], rtol=2e-7)
    np.testing.assert_allclose(double.merges, linkage(condensed, "single")[:, 2], rtol=1e-12)
    assert bitlink.merges(condensed).tolist() == double.merges.tolist()


def test_infinite_distances_are_edges_that_never_come():
    condensed = pdist(np.array([[0], [0], [0], [1], [1], [1]]), lambda a, b: 1.0 if a == b else np.inf)
    for precision in (np.float32, np.float64):
        found = bitlink.homology(condensed.astype(precision))
        assert found.merges.tolist() == [1.0] * 4
        assert np.isinf(found.clusters()[:, 1]).sum() == 2
        assert bitlink.merges(condensed.astype(precision)).tolist() == [1.0] * 4


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_a_threshold_is_met_by_the_distances_that_equal_it(precision):
    condensed = pdist(np.array([[0.0], [0.1], [0.3]])).astype(precision)
    for threshold, expected in (
        (-1.0, 0),
        (0.0999999, 0),
        (float(condensed[0]), 1),
        (float(condensed[2]), 2),
        (np.inf, 2),
    ):
        assert len(bitlink.homology(condensed, threshold=threshold).merges) == expected
        assert len(bitlink.merges(condensed, threshold=threshold)) == expected


@pytest.mark.parametrize("pairs", [0, 1])
def test_one_and_two_points(pairs):
    found = bitlink.homology(np.ones(pairs, np.float32))
    assert found.merges.tolist() == bitlink.merges(np.ones(pairs, np.float32)).tolist() == [1.0] * pairs
    assert found.bars.shape == (0, 2)
    assert found.diagrams().essential[0].tolist() == [0.0]


def test_resamples_of_threads_that_share_the_edges_are_those_of_one(rng):
    edges = bitlink.sorted_edges(pdist(rng.normal(size=(150, 6))).astype(np.float32))
    draws = [rng.integers(150, size=150) for _ in range(40)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda draw: bitlink.resample(edges, draw).bars, draws))
    for draw, bars in zip(draws, together, strict=True):
        np.testing.assert_array_equal(bars, bitlink.resample(edges, draw).bars)


@pytest.mark.parametrize("indices", [[], [0, 5], [-1, 2]])
def test_indices_of_a_resample_that_are_no_points_are_refused(indices):
    edges = bitlink.sorted_edges(pdist(circle(5)).astype(np.float32))
    with pytest.raises(InvalidInput, match=r"must be some of 0 … 4"):
        bitlink.resample(edges, np.array(indices))


def test_more_points_than_a_key_can_name_are_refused():
    n = 2**16 + 1
    distances = np.broadcast_to(np.float32(1), n * (n - 1) // 2)
    with pytest.raises(InvalidInput, match=r"65537 points; this engine takes at most 65536"):
        encoded(distances)


def test_without_numba_redzed_gives_the_same(rng, monkeypatch):
    condensed = pdist(rng.normal(size=(60, 4))).astype(np.float32)
    ours = [persistence(condensed, maxdim=k) for k in (0, 1)]
    monkeypatch.setattr(engines.bitlink, "available", lambda: False)
    for k, found in enumerate(ours):
        for a, b in zip(found.finite, persistence(condensed, maxdim=k).finite, strict=True):
            np.testing.assert_array_equal(a, b)


def test_only_a_compilation_that_takes_its_time_is_announced(monkeypatch, caplog):
    compiled = []
    monkeypatch.setattr("todacomm.homology.compiled.anything_compiled", lambda: compiled)
    monkeypatch.setattr(bitlink, "PATIENCE", 0.05)
    with bitlink._announced():
        pass
    time.sleep(0.1)
    assert not caplog.records
    with bitlink._announced():
        time.sleep(0.1)
    assert not caplog.records, "loaded slowly, beside other work"
    compiled.append("a loop")
    with bitlink._announced():
        time.sleep(0.1)
    assert [record.getMessage() for record in caplog.records] == [
        "compiling the engine for this machine, once; a few seconds"
    ]


PLANTED = {
    "marks are not looked at": ("insertion", "if some == 0 or marked != 0:", "if some == 0:"),
    "equal classes do not cancel": ("annotations", "            i, j = i + 1, j + 1\n", "            j = j + 1\n"),
    "the oldest class dies": (
        "annotations",
        "    c = s.pool[end - 1]\n    s.classes[c, RULE] = new_value(s, begin, end - 1)",
        "    c = s.pool[begin]\n    s.classes[c, RULE] = new_value(s, begin + 1, end)",
    ),
    "a link has one component": ("annotations", "s.link[j] &= ~s.rows[w, j]", "s.link[j] = np.uint64(0)"),
    "vertices without marks are left out": ("annotations", "        if s.link[k]:\n", "        if False:\n"),
    "rules are not followed": ("annotations", "used = gather(s, s.classes[dead, RULE], used)", "used = used"),
    "dead classes stay": ("annotations", "            rewrite(s, x)\n            break", "            break"),
    "two components stay two": ("insertion", "            s.parent[a] = b\n", ""),
    "a lone class is carried by both edges": ("lone_class", "        odd = s.rows[u, width + k] ^ s",
        "        odd = s.rows[u, width + k] & s"),
    "a lone class never dies": ("lone_class", "    if without == 0:\n", "    if True:\n"),
    "two classes are taken for a lone one": ("lone_class", "    if s.count[LIVE] != 1:\n",
        "    if s.count[LIVE] > 2:\n"),
    "a lone class passes all": ("lone_class", "if (odd == 0) == (even == 0):", "if odd == 0 and even == 0:"),
    "marks are lost where a lone class gets company": ("lone_class",
        "                    mark(s, u, v, s.count[SOLE])\n", "                    pass\n"),
    "a lone class is not carried on": ("lone_class", "            join(s.rows, u, v, width)\n", "            pass\n"),
    "the end is that of the first band": ("insertion", "        c.at[LONGEST], c.at[BOUNDED] = min(",
        "        c.at[LONGEST], c.at[BOUNDED] = 0 * min("),
    "it ends with the first class": ("insertion", "            if i >= barren:\n",
        "            if s.count[CLASSES]:\n"),
    "the longest distance is left out": ("edges", "<= span)", "< span)"),
    "one end decides": ("edges", "np.uint64((a | b) >= 0)", "np.uint64(a >= 0)"),
    "every pair has a witness": ("edges", "    return False\n\n\n@jit\ndef is_between",
        "    return True\n\n\n@jit\ndef is_between"),
    "an edge has no direction": ("odd_primes", "return x if u < v else -x", "return x"),
    "triangles are added, not compared": ("odd_primes", "y = added(s, x, -y)", "y = added(s, x, y)"),
    "a class dies by another multiple": ("odd_primes",
        "prime - inverse(s.pool[last] & COEFFICIENT, prime)", "prime - 1"),
    "rules lose their coefficient": ("odd_primes", "RULE], factor, used)", "RULE], 1, used)"),
    "vertices without marks are left out over Z/p": ("odd_primes", "        if s.link[k]:\n", "        if False:\n"),
    "dead classes stay over Z/p": ("odd_primes",
        "            rewrite(s, value)\n            break", "            break"),
    "Prim forgets": ("edges", "outside[chosen], nearest[chosen] = outside[there], nearest[there]",
        "outside[chosen] = outside[there]"),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("planted", PLANTED)
def test_a_bug_planted_in_a_step_of_the_algorithm_is_noticed(planted, tmp_path):
    module, right, wrong = PLANTED[planted]
    source = Path(todacomm.__file__).parent
    beside = shutil.ignore_patterns("__pycache__", "data", "zoo", "report", "cli", "runs")
    shutil.copytree(source, tmp_path / "todacomm", ignore=beside)
    changed = tmp_path / "todacomm" / "homology" / "bitlink" / f"{module}.py"
    text = changed.read_text(encoding="utf-8")
    assert text.count(right) == 1
    changed.write_text(text.replace(right, wrong), encoding="utf-8")
    program = [sys.executable, Path(__file__).parents[1] / "small_clouds.py", "3", "400"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "NUMBA_OPT": "1"}
    try:
        done = subprocess.run(program, env=environment, capture_output=True, text=True, timeout=100, check=False)
    except subprocess.TimeoutExpired:
        return  # it does not even end
    assert "all equal" not in done.stdout


@pytest.mark.slow
def test_without_a_planted_bug_the_same_program_finds_nothing():
    program = [sys.executable, Path(__file__).parents[1] / "small_clouds.py", "3", "400"]
    assert "all equal" in subprocess.run(program, capture_output=True, text=True, check=True).stdout
