import numpy as np
import pytest

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.models.collector import ONLY
from todacomm.models.pooling import poolings

RNG = np.random.default_rng(0)
HIDDEN = RNG.normal(size=(3, 5, 4)).astype(np.float32)
LENGTHS = (2, 5, 3)


def padded(side, lengths=LENGTHS):
    """Hidden states with NaN where there is padding: a pooling that looks there cannot hide it."""
    mask = np.zeros((3, 5), dtype=bool)
    hidden = np.full_like(HIDDEN, np.nan)
    for i, n in enumerate(lengths):
        place = slice(0, n) if side == "right" else slice(5 - n, 5)
        mask[i, place] = True
        hidden[i, place] = HIDDEN[i, :n]
    return hidden, mask


EXPECTED = {
    "last": np.stack([HIDDEN[i, n - 1] for i, n in enumerate(LENGTHS)]),
    "cls": HIDDEN[:, 0],
    "mean": np.stack([HIDDEN[i, :n].mean(axis=0) for i, n in enumerate(LENGTHS)]),
    "max": np.stack([HIDDEN[i, :n].max(axis=0) for i, n in enumerate(LENGTHS)]),
    "tokens": np.concatenate([HIDDEN[i, :n] for i, n in enumerate(LENGTHS)]),
}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", sorted(poolings))
def test_padding_is_never_seen_on_either_side(name, side):
    points = poolings[name](*padded(side))
    np.testing.assert_allclose(points, EXPECTED[name], rtol=1e-6)
    assert points.dtype == np.float32


@pytest.mark.parametrize("name", sorted(poolings))
def test_a_row_without_a_token_is_refused_and_named(name):
    hidden, mask = padded("right")
    mask[1] = False
    with pytest.raises(InvalidInput, match="1 of 3 rows hold no .*token .*row 1"):
        poolings[name](hidden, mask)


@pytest.mark.parametrize("name", sorted(poolings))
def test_a_hole_in_the_mask_is_left_out(name):
    """Special tokens may stand between content tokens."""
    hidden, mask = padded("right", (5, 5, 5))
    mask[:, 2], hidden[:, 2] = False, np.nan
    assert np.isfinite(poolings[name](hidden, mask)).all()


def test_only_cls_sees_special_tokens_and_only_tokens_gives_more_than_one_point_a_text():
    assert [name for name in poolings if poolings[name].special_tokens] == ["cls"]
    assert [name for name in poolings if poolings[name].per_token] == ["tokens"]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("name", sorted(poolings))
def test_a_pooling_looks_at_no_other_token_than_it_says(name, side):
    hidden, mask = padded(side)
    narrowed = np.zeros_like(mask)
    for row, narrow in zip(mask, narrowed, strict=True):
        narrow[np.flatnonzero(row)[ONLY[poolings[name].only]]] = True
    hidden[~narrowed] = np.nan
    np.testing.assert_allclose(poolings[name](hidden, narrowed), EXPECTED[name], rtol=1e-6)


def test_a_misspelt_pooling_suggests_its_neighbour():
    with pytest.raises(UnknownName, match="Did you mean 'mean'"):
        poolings["maen"]
