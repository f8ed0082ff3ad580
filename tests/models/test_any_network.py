"""`todacomm.activations`: one point a row, pooled over all but rows and channels, or a question."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from todacomm.core.errors import InvalidCloud, InvalidInput, ModelFailed, UnknownName
from todacomm.models.any_network import activations


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 4)
        self.blocks = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 6)])
        self.image = nn.Conv2d(1, 3, 2)
        self.idle = nn.Linear(2, 2)

    def forward(self, ids, attention_mask=None, times=1):  # noqa: ARG002
        hidden = self.embed(ids)
        self.image(hidden[:, None])
        for _ in range(times):
            hidden_two = self.blocks[0](hidden)
        return self.blocks[1](hidden_two.mean(dim=1))


IDS = torch.arange(12).reshape(4, 3) % 10


def test_any_module_gives_its_activations_by_dotted_name():
    torch.manual_seed(0)
    module = Small()
    found = activations(module, [IDS[:3], (IDS[3:],)], ["blocks.0", "blocks.1", "image"])
    hidden = module.blocks[0](module.embed(IDS)).detach()
    np.testing.assert_allclose(found.layers["blocks.0"], hidden.mean(dim=1).numpy(), rtol=1e-5)
    np.testing.assert_allclose(found.layers["blocks.1"], module(IDS).detach().numpy(), rtol=1e-5)
    assert found.layers["image"].shape == (4, 3)
    np.testing.assert_allclose(
        found.layers["image"], module.image(module.embed(IDS)[:, None]).mean(dim=(2, 3)).detach().numpy(), rtol=1e-4
    )
    assert (found.model, len(found.texts), module.training) == ("Small", 4, True)


def test_a_mask_among_the_keywords_leaves_padding_out():
    module = Small()
    mask = torch.tensor([[1, 1, 0], [1, 1, 1], [1, 0, 0], [1, 1, 1]])
    found = activations(module, [{"ids": IDS, "attention_mask": mask}], ["embed"], pooling="last")
    expected = module.embed.weight.detach()[IDS[torch.arange(4), mask.sum(dim=1) - 1]].numpy()
    np.testing.assert_array_equal(found.layers["embed"], expected)


def test_the_sites_of_a_module_are_checked():
    with pytest.raises(UnknownName, match="'block.0' is not a module .*Did you mean 'blocks.0'"):
        activations(Small(), [IDS], ["block.0"])
    with pytest.raises(InvalidInput, match="idle gave 0 tensors"):
        activations(Small(), [IDS], ["idle"])
    with pytest.raises(InvalidInput, match="blocks.0 gave 2 tensors"):
        activations(Small(), [{"ids": IDS, "times": 2}], ["blocks.0"])
    with pytest.raises(InvalidInput, match="no site or no batch"):
        activations(Small(), [], ["embed"])
    with pytest.raises(InvalidInput, match=r"Linear|shape \(12,\)"):
        activations(nn.Sequential(nn.Flatten(0)), [IDS.float()], ["0"])


def close(found, expected):
    np.testing.assert_allclose(found, expected.detach().numpy(), rtol=1e-4, atol=1e-5)


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


# Rows


class Recurrent(nn.Module):
    """Takes (b, t, d), and gives its encoder (t, b, d), as PyTorch's layers want it."""

    def __init__(self, kind):
        super().__init__()
        self.inner = kind

    def forward(self, x):
        found = self.inner(x.transpose(0, 1))
        return (found if isinstance(found, torch.Tensor) else found[0]).transpose(0, 1)


LAYERS = {
    "attention": lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2, enable_nested_tensor=False),
    "LSTM": lambda: nn.LSTM(8, 8),
    "GRU": lambda: nn.GRU(8, 8, 2),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_tokens_before_rows_is_what_layers_take_that_are_not_told_otherwise(kind):
    """40 texts of 5 tokens are 40 points, whether the network turns (b, t, d) round itself or is given (t, b, d)."""
    layer, texts = LAYERS[kind](), torch.randn(40, 5, 8)
    network = Recurrent(layer).eval()
    expected = network(texts).mean(dim=1)
    close(activations(network, [texts[:30], texts[30:]], ["inner"]).layers["inner"], expected)
    outer = nn.Sequential(layer, nn.Identity()).eval() if kind == "attention" else None
    if outer:
        close(activations(outer, [texts.transpose(0, 1)], ["0", "1"]).layers["1"], expected)
        assert activations(outer, [texts.transpose(0, 1)], ["0.layers.0.linear1"]).layers[
            "0.layers.0.linear1"
        ].shape == (40, 16)


def test_as_many_texts_as_tokens_cannot_be_told_apart_there():
    network = Recurrent(LAYERS["LSTM"]())
    with pytest.raises(InvalidInput, match="a batch of 5 × 5, of which the rows may be either.*batch_first"):
        activations(network, [torch.randn(5, 5, 8)], ["inner"])
    plain = nn.Sequential(nn.LSTM(8, 8, batch_first=True))
    assert activations(plain, [torch.randn(5, 5, 8)], ["0"]).layers["0"].shape == (5, 8)


class Routed(nn.Module):
    def __init__(self):
        super().__init__()
        self.gate, self.out, self.first = nn.Linear(8, 3), nn.Linear(8, 8), nn.Identity()

    def forward(self, x):
        self.gate(x.reshape(-1, 8))
        self.first(x[: len(x) // 2])
        return self.out(x)


def test_a_site_that_flattens_tokens_or_picks_rows_is_no_cloud_of_the_batch():
    texts = [torch.randn(12, 10, 8)]
    with pytest.raises(InvalidInput, match=r"gate gives 120 rows \(shape \(120, 3\)\) for a batch of 12"):
        activations(Routed(), texts, ["out", "gate"])
    with pytest.raises(InvalidInput, match="first gives 6 rows"):
        activations(Routed(), texts, ["first"])
    assert activations(Routed(), texts, ["out"]).layers["out"].shape == (12, 8)


# Channels


def test_frames_are_averaged_and_the_channels_of_a_convolution_kept():
    sound = torch.randn(6, 3, 30)
    network = nn.Sequential(nn.Conv1d(3, 5, 4), nn.BatchNorm1d(5), nn.ReLU(), nn.MaxPool1d(2))
    found = activations(network, [sound], ["0", "1", "2", "3"])
    assert {points.shape for points in found.layers.values()} == {(6, 5)}
    close(found.layers["0"], network[0](sound).mean(dim=2))


class Windows(nn.Module):
    """Pictures (b, h, w, c), as Swin has them, after a convolution that gives (b, c, h, w)."""

    def __init__(self, width=12):
        super().__init__()
        self.patch, self.norm = nn.Conv2d(3, width, 2, 2), nn.LayerNorm(width)
        self.mixed, self.back = nn.Linear(width, width), nn.Identity()

    def forward(self, pictures):
        return self.back(self.mixed(self.norm(self.patch(pictures).permute(0, 2, 3, 1))).permute(0, 3, 1, 2))


def test_channels_are_kept_wherever_they_stand():
    pictures = torch.randn(4, 3, 14, 16)
    network = Windows()
    found = activations(network, [pictures], ["patch", "norm", "mixed", "back"]).layers
    assert {points.shape for points in found.values()} == {(4, 12)}
    close(found["patch"], network.patch(pictures).mean(dim=(2, 3)))
    close(found["norm"], network.norm(network.patch(pictures).permute(0, 2, 3, 1)).mean(dim=(1, 2)))
    np.testing.assert_allclose(found["back"], found["mixed"], rtol=1e-4, atol=1e-6)


def test_the_largest_over_space_is_the_largest_over_space():
    pictures = torch.randn(4, 3, 14, 16)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.Conv2d(5, 5, 3))
    close(activations(network, [pictures], ["0"], pooling="max").layers["0"], network[0](pictures).amax(dim=(2, 3)))
    volume = nn.Sequential(nn.Conv3d(1, 6, 2))
    assert activations(volume, [torch.randn(4, 1, 5, 5, 5)], ["0"]).layers["0"].shape == (4, 6)


def test_channels_that_may_be_either_are_asked_for():
    square, network = torch.randn(4, 3, 24, 24), Windows()
    with pytest.raises(
        InvalidInput, match=r"back gives shape \(4, 12, 12, 12\), of which axis 1 or axis 3 .*channels=1"
    ):
        activations(network, [square], ["back"])
    first, last = (activations(network, [square], ["back"], channels=axis).layers["back"] for axis in (1, {"back": -1}))
    hidden = network(square)
    close(first, hidden.mean(dim=(2, 3)))
    close(last, hidden.mean(dim=(1, 2)))
    close(activations(network, [square], ["mixed"]).layers["mixed"], hidden.mean(dim=(2, 3)))
    for axis in (0, 4, True, "1"):
        with pytest.raises(InvalidInput, match="whose axes are 1 to 3, or -1"):
            activations(network, [square], ["back"], channels=axis)


def test_what_a_later_layer_writes_in_place_is_not_what_left_the_site():
    network, x = nn.Sequential(nn.Linear(4, 6), nn.ReLU(inplace=True)), torch.randn(20, 4)
    found = activations(network, [x], ["0", "1"]).layers
    close(found["0"], x @ network[0].weight.T + network[0].bias)
    assert (found["0"] < 0).any()
    assert (found["1"] >= 0).all()


# Masks


class Pair(nn.Module):
    """An encoder and a decoder with masks of their own, and a head that may stand on either."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.head = nn.Embedding(20, 4), nn.Embedding(20, 4), nn.Identity()

    def forward(self, input_ids, decoder_input_ids, attention_mask=None, decoder_attention_mask=None):  # noqa: ARG002
        self.encoder(input_ids)
        return self.head(self.decoder(decoder_input_ids))


def padded(lengths, longest):
    return (torch.arange(longest)[None] < torch.tensor(lengths)[:, None]).long()


def over(hidden, mask):
    return (hidden * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def test_a_decoder_has_the_mask_of_the_decoder():
    network, read = Pair(), padded([2, 5, 3], 5)
    ids, written = torch.randint(20, (2, 3, 5))
    batch = {"input_ids": ids, "decoder_input_ids": written, "attention_mask": read}
    close(activations(network, [batch], ["encoder"]).layers["encoder"], over(network.encoder(ids), read))
    close(activations(network, [batch], ["decoder"]).layers["decoder"], network.decoder(written).mean(dim=1))
    batch["decoder_attention_mask"] = padded([5, 1, 4], 5)
    found = activations(network, [batch], ["encoder", "decoder"]).layers
    close(found["encoder"], over(network.encoder(ids), read))
    close(found["decoder"], over(network.decoder(written), batch["decoder_attention_mask"]))


def test_two_possible_masks_are_asked_for():
    network, read = Pair(), padded([2, 5, 3], 5)
    ids, written = torch.randint(20, (2, 3, 5))
    batch = {"input_ids": ids, "decoder_input_ids": written, "attention_mask": read}
    with pytest.raises(
        InvalidInput, match=r"head gives 5 positions .* more than one may be its mask.*mask='attention_mask'"
    ):
        activations(network, [batch], ["head"])
    hidden = network(ids, written)
    close(activations(network, [batch], ["head"], mask="attention_mask").layers["head"], over(hidden, read))
    close(activations(network, [batch], ["head"], mask={"head": "none"}).layers["head"], hidden.mean(dim=1))
    with pytest.raises(InvalidInput, match="mask='tgt_mask': the batch has no such entry. It has: input_ids, "):
        activations(network, [batch], ["head"], mask="tgt_mask")
    shorter = {**batch, "decoder_input_ids": written[:, :3]}
    close(activations(network, [shorter], ["head"]).layers["head"], network(ids, written[:, :3]).mean(dim=1))


class Longer(nn.Module):
    """Puts two tokens of its own before each text."""

    def __init__(self):
        super().__init__()
        self.embed, self.block = nn.Embedding(20, 4), nn.Linear(4, 4)

    def forward(self, ids, attention_mask=None, src_key_padding_mask=None):  # noqa: ARG002
        hidden = self.embed(ids)
        return self.block(torch.cat([hidden[:, :1], hidden[:, :1], hidden], dim=1))


def test_a_mask_that_does_not_fit_is_no_mask_unless_nothing_is_padded():
    network, ids = Longer(), torch.randint(20, (3, 5))
    whole, part = padded([5, 5, 5], 5), padded([2, 5, 3], 5)
    hidden = network(ids)
    close(activations(network, [{"ids": ids, "attention_mask": whole}], ["block"]).layers["block"], hidden.mean(dim=1))
    with pytest.raises(InvalidInput, match=r"block gives 7 positions .*attention_mask \(3, 5\): none is its mask"):
        activations(network, [{"ids": ids, "attention_mask": part}], ["block"])


def test_a_padding_mask_of_pytorch_is_true_where_there_is_padding():
    network, ids, real = Longer(), torch.randint(20, (3, 5)), padded([2, 5, 3], 5)
    found = activations(network, [{"ids": ids, "src_key_padding_mask": real == 0}], ["embed"]).layers["embed"]
    close(found, over(network.embed(ids), real))


@pytest.mark.parametrize("mask", [torch.ones(3, 1, 5, 5), torch.tensor([[0.0, -1e9, 0, 0, 0]] * 3)])
def test_a_mask_of_another_form_is_refused(mask):
    with pytest.raises(InvalidInput, match=r"attention_mask has shape .*; expected \(rows, positions\) of 0 and 1"):
        activations(Longer(), [{"ids": torch.randint(20, (3, 5)), "attention_mask": mask}], ["embed"])


# What is given


def test_one_mapping_is_one_batch_and_one_name_one_site():
    network, ids = Longer(), torch.randint(20, (3, 5))
    assert activations(network, {"ids": ids}, "embed").layers["embed"].shape == (3, 4)


def test_a_module_without_parameters_has_activations():
    assert activations(nn.Sequential(nn.Tanh()), [torch.randn(5, 3)], ["0"]).layers["0"].shape == (5, 3)
    with pytest.raises(InvalidCloud, match="0 of Sequential: 1 of 5 points hold NaN"):
        activations(nn.Sequential(nn.Tanh()), [torch.cat([torch.randn(4, 3), torch.full((1, 3), torch.nan)])], ["0"])


class Alias(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = self.other = nn.Linear(3, 4)

    def forward(self, x):
        return self.one(x)


def test_a_module_under_two_names_is_read_under_both():
    found = activations(Alias(), [torch.randn(5, 3)], ["one", "other"]).layers
    np.testing.assert_array_equal(found["one"], found["other"])


def test_pairs_of_a_loader_are_refused_with_what_to_do():
    loader = DataLoader(TensorDataset(torch.randn(6, 3), torch.arange(6)), batch_size=3)
    with pytest.raises(
        InvalidInput, match=r"batch 0 has 2 positional arguments, which Sequential.forward .*\(x for x, y in"
    ):
        activations(nn.Sequential(nn.Linear(3, 4)), loader, ["0"])
    assert activations(nn.Sequential(nn.Linear(3, 4)), (x for x, y in loader), ["0"]).layers["0"].shape == (6, 4)


@pytest.mark.parametrize(
    ("batches", "error", "message"),
    [
        ([{"x": 1}], InvalidInput, "batch 0 has x, which Sequential.forward does not take"),
        (["a text"], InvalidInput, "batch 0 is of type str; expected a tensor"),
        ([torch.randn(4, 3), np.zeros((4, 3))], InvalidInput, "batch 1 is of type ndarray"),
        (np.zeros((2, 4, 3)), InvalidInput, "the batches are of type ndarray; expected a list of batches"),
        (torch.randn(4, 3), InvalidInput, r"one tensor of shape \(4, 3\); put it in a list"),
        (5, InvalidInput, "the batches are of type int"),
        ("abc", InvalidInput, "the batches are of type str"),
        ([None], InvalidInput, "batch 0 is of type NoneType"),
        (
            [torch.randn(4, 3), torch.randn(4, 7)],
            ModelFailed,
            "batch 1: Sequential stopped with RuntimeError: mat1 and mat2",
        ),
        ([torch.zeros(4, 3, dtype=torch.int64)], ModelFailed, "batch 0: Sequential stopped with RuntimeError"),
    ],
)
def test_what_is_no_batch_is_refused_by_its_place(batches, error, message):
    with pytest.raises(error, match=message):
        activations(nn.Sequential(nn.Linear(3, 4)), batches, ["0"])


def test_a_name_is_no_module():
    with pytest.raises(InvalidInput, match=r"takes a torch module, found str; td\.run takes the names of models"):
        activations("gpt2", [], ["0"])


def test_sites_of_different_numbers_of_points_are_no_layers_of_one_cloud():
    network = nn.Sequential(nn.Conv1d(3, 5, 4), nn.MaxPool1d(2))
    with pytest.raises(InvalidInput, match="different numbers of points .0 162, 1 78."):
        activations(network, [torch.randn(6, 3, 30)], ["0", "1"], pooling="tokens")


@pytest.mark.parametrize("sites", [3, [0], None, [nn.Tanh()], ["0", 1]])
def test_a_site_is_a_name(sites):
    with pytest.raises(InvalidInput, match="a site is .*; expected dotted names of modules"):
        activations(nn.Sequential(nn.Linear(3, 4)), [torch.randn(4, 3)], sites)


# Architectures


def test_the_decoder_of_t5_is_pooled_over_its_own_tokens():
    from transformers import T5Config, T5Model

    model = T5Model(T5Config(vocab_size=50, d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)).eval()
    ids, written = torch.randint(50, (2, 6, 7))
    batch = {"input_ids": ids, "attention_mask": padded([2, 7, 3, 5, 7, 1], 7), "decoder_input_ids": written}
    out = model(**batch, output_hidden_states=True)
    found = activations(model, [batch], ["encoder.block.0", "decoder.block.0"]).layers
    close(found["encoder.block.0"], over(out.encoder_hidden_states[1], batch["attention_mask"]))
    close(found["decoder.block.0"], out.decoder_hidden_states[1].mean(dim=1))


def test_the_stages_of_swin_keep_their_channels():
    from transformers import SwinConfig, SwinModel

    config = SwinConfig(image_size=32, patch_size=2, embed_dim=12, depths=[1, 1], num_heads=[2, 2], window_size=4)
    model = SwinModel(config).eval()
    pictures = torch.randn(4, 3, 32, 32)
    site = "encoder.layers.0.blocks.0"
    hidden = model(pixel_values=pictures, output_hidden_states=True)
    found = activations(model, [{"pixel_values": pictures}], [site, "embeddings.patch_embeddings.projection"]).layers
    assert {points.shape for points in found.values()} == {(4, 12)}
    assert len(hidden.hidden_states[0][0]) == 256


def test_the_gate_of_mixtral_has_tokens_for_rows():
    from transformers import MixtralConfig, MixtralModel

    config = MixtralConfig(
        vocab_size=50, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=2, num_local_experts=4,
    )  # fmt: skip
    model, batch = MixtralModel(config).eval(), {"input_ids": torch.randint(50, (12, 10))}
    with pytest.raises(InvalidInput, match="gate gives 120 rows .* for a batch of 12"):
        activations(model, [batch], ["layers.0", "layers.0.mlp.gate"])
    assert activations(model, [batch], ["layers.0"]).layers["layers.0"].shape == (12, 16)
