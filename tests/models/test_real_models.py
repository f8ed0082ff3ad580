"""Two real pretrained models on real text, against numbers that were computed elsewhere."""

import math

import numpy as np
import pytest
from scipy.cluster.hierarchy import linkage

import real_weights
import todacomm as td
from todacomm.clouds.prepare import prepare
from todacomm.homology.engines import assert_agreement, persistence
from todacomm.models.architecture.hooks import evaluating
from todacomm.models.batching import EncodedText, pad, pad_id
from todacomm.models.perplexity import Tally, logits_at, predicted, scored
from todacomm.runs.config import Study
from todacomm.runs.experiment import load, profile_of

pytestmark = pytest.mark.slow
STUDY = Study(samples=500)


@pytest.fixture(scope="module")
def decoder():
    return load(real_weights.decoder(), STUDY)


@pytest.fixture(scope="module")
def decoder_result(decoder):
    return profile_of(decoder, td.texts("wikitext2", 500), STUDY, pooling=None)


@pytest.fixture(scope="module")
def encoder_result():
    return profile_of(load(real_weights.encoder(), STUDY), td.texts("wikitext2", 500), STUDY, pooling=None)


def test_the_decoder_has_the_perplexity_that_others_measured(decoder):
    """30.4 on the first 8 windows of 512 tokens of the raw test file, tokenised once, no BOS, 511 predictions each."""
    from importlib.resources import files

    raw = (files("todacomm") / "data" / "wikitext2_test.txt").read_text(encoding="utf-8")
    ids = np.array(decoder.tokenizer(raw, add_special_tokens=False, verbose=False).input_ids[: 8 * 512]).reshape(8, 512)
    tally = Tally()
    for i, window in enumerate(ids):
        row = EncodedText(i, "", window, special=np.zeros(512, dtype=bool), predicted_bytes=None, truncated=False)
        batch = pad([row], pad_id(decoder), "right")
        targets = predicted(batch)
        assert len(targets.ids) == 511
        with evaluating(decoder.network):
            tally.add(batch, targets, scored(logits_at(decoder, batch, targets), targets.ids))
    assert math.exp(tally.mean) == pytest.approx(30.4, abs=0.3)


def test_the_decoder_is_read_from_the_model_itself(decoder_result):
    profile = decoder_result.profile
    assert profile.card.blocks == 30
    assert profile.card.width == 576
    assert (profile.card.kind, profile.card.norm_place) == ("causal", "pre-LN")
    assert profile.layers == ("embedding", *(f"layer_{i}" for i in range(30)), "final")
    assert profile["points"].tolist() == [500] * 32
    assert 40 < profile.language["perplexity"] < 80
    assert profile.language["bits_per_byte"] < 2
    assert "distinct points of 500" in profile.expansions[0].doubt


def test_the_encoder_has_no_head_and_says_so(encoder_result):
    profile = encoder_result.profile
    assert (profile.card.kind, profile.card.norm_place, profile.card.blocks) == ("masked", "post-LN", 6)
    assert "final" not in profile.layers
    assert profile.language["reason"] == "the checkpoint has no language-modelling head"
    assert profile.language["pseudo_perplexity"] is None


def test_cls_pooling_at_the_embedding_is_one_point_and_no_ratio(encoder_result):
    profile = encoder_result.profile
    assert profile.recipe.pooling == "cls"
    assert profile["distinct_points"][0] == 1
    assert profile.expansions[0].growth is None
    assert profile.expansions[0].reason == "embedding: 1 distinct point of 500"
    assert profile.expansions[1].growth.baseline == "layer_0"


@pytest.mark.parametrize("which", ["decoder_result", "encoder_result"])
def test_bars_on_real_activations_equal_those_of_the_reference_and_the_spanning_tree(which, request):
    result = request.getfixturevalue(which)
    for cloud in list(result.activations.clouds())[::5]:
        measured = result.profile.at(cloud.address.layer)
        ready = prepare(cloud, measured.recipe)
        reference = persistence(ready.distances, engine="ripser", maxdim=1)
        assert_agreement(measured.diagrams, reference, scale=ready.median_distance or 1.0, where=str(cloud.address))
        tree = linkage(ready.condensed, "single")[:, 2].sum()
        assert measured.summary["H0_total_persistence"] == pytest.approx(tree, rel=1e-5, abs=1e-9)
