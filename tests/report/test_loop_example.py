"""The drawn example of a loop is computed: another engine gives its bars, and the drawing has each of them."""

import re

import numpy as np
import pytest
from ripser import ripser
from scipy.spatial.distance import pdist, squareform

from todacomm.report.document.loop_example import COUNT, H0, H1, drawing, example, told


def test_its_bars_are_those_of_the_reference():
    found, bars = example(), ripser(example().points, maxdim=1)["dgms"]
    for ours, theirs in ((found.clusters, bars[0][:-1]), (found.loops, bars[1])):
        assert np.sort(ours, axis=0) == pytest.approx(np.sort(theirs, axis=0), abs=1e-5)
    assert len(found.clusters) == COUNT - 1


def test_the_triangle_fills_the_longest_loop():
    found, apart = example(), squareform(pdist(example().points))
    a, b, c = found.triangle
    assert max(apart[a, b], apart[b, c], apart[a, c]) == pytest.approx(found.longest[1], rel=1e-6)


def test_every_bar_is_drawn_and_the_longest_one_is_thick():
    bars = re.findall(
        r'<line x1="[\d.]+" x2="[\d.]+" y1="[\d.]+" y2="[\d.]+" stroke="(#\w+)" stroke-width="(\d)"', drawing()
    )
    found = example()
    assert bars.count((H0, "2")) == len(found.clusters)
    assert bars.count((H1, "2")) == len(found.loops) - 1
    assert bars.count((H1, "5")) == 1


def test_the_words_have_the_numbers_of_the_longest_bar():
    birth, death = example().longest
    assert death - birth == max(death - birth for birth, death in example().loops)
    assert f"At the distance {birth:.2f} the ring closes" in told()
    assert f"At {death:.2f} a triangle" in told()
    assert f"born at {birth:.2f}" in drawing()
    assert f"filled at {death:.2f}" in drawing()
