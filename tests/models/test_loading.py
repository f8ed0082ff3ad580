import gc
import hashlib
import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers as hf
from huggingface_hub import errors as hub
from torch import nn

from tiny_models import TEXTS, tiny, tokenizer
from todacomm.core.errors import InvalidInput, MissingExtra, ModelUnavailable, UnsafeModel
from todacomm.models.checkpoints.loading import adopt, load_model
from todacomm.models.extraction import extract
from todacomm.models.names import resolve


def save(name, directory, network=None):
    (network or tiny(name).network).save_pretrained(directory)
    tiny(name).tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Directories of saved models, each written once."""
    root = tmp_path_factory.mktemp("models")
    return lambda name: root / name if (root / name).is_dir() else save(name, root / name)


@pytest.fixture
def copied(saved, tmp_path):
    """A copy of a saved model that a test may damage."""
    return lambda name: Path(shutil.copytree(saved(name), tmp_path / name))


def load(directory, **options):
    return load_model(resolve(str(directory)), **{"device": "cpu", **options})


def edit(directory, name="config.json", **changes):
    path = directory / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gpt2", "causal"),
        ("roformer-decoder", "causal"),
        ("esm-decoder", "causal"),
        ("bert", "masked"),
        ("esm", "masked"),
    ],
)
def test_a_saved_model_loads_with_its_kind_head_and_weights(saved, name, kind, capfd):
    """ESM as a decoder has no causal class of its own: its kind comes from the configuration."""
    directory = saved(name)
    capfd.readouterr()  # writing it may have drawn a bar
    model = load(directory)
    assert (model.kind, model.headless, model.name, model.blocks) == (kind, "", name, tiny(name).blocks)
    assert not model.network.training
    weights = (saved(name) / "model.safetensors").read_bytes()
    assert model.weights_sha256 == hashlib.sha256(weights).hexdigest()
    assert model.parameters == tiny(name).parameters
    found, expected = (extract(m, TEXTS, samples=3) for m in (model, tiny(name)))
    for layer, points in expected[0].layers.items():
        np.testing.assert_allclose(found[0].layers[layer], points, atol=1e-5)
    for key, value in expected[1].as_dict().items():
        assert getattr(found[1], key) == (pytest.approx(value, rel=1e-5) if isinstance(value, float) else value), key
    assert capfd.readouterr() == ("", "")
    assert json.dumps(model.as_dict())


@pytest.mark.parametrize("headed", [False, True])
def test_a_checkpoint_without_a_head_is_its_base_model(tmp_path, headed):
    """As all-MiniLM-L6-v2, a BertModel; also where the configuration claims a head that the weights lack."""
    directory = save("bert", tmp_path / "bert", hf.BertModel(tiny("bert").network.config))
    if headed:
        edit(directory, architectures=["BertForMaskedLM"])
    model = load(directory)
    assert (model.headless, type(model.network).__name__) == (
        "the checkpoint has no language-modelling head",
        "BertModel",
    )
    activations, language = extract(model, TEXTS, samples=3)
    assert (len(activations.layers), language.reason) == (4, model.headless)


def test_weights_are_read_in_the_precision_asked_for(saved):
    model = load(saved("gpt2"), dtype="bfloat16")
    assert next(model.network.parameters()).dtype == torch.bfloat16
    assert extract(model, TEXTS, samples=3, language=False)[0].layers["final"].dtype == np.float32


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "tpu"}, "device 'tpu'; expected one of auto, cpu, cuda, mps"),
        ({"dtype": "int8"}, "dtype 'int8'; expected one of float32, float16, bfloat16"),
        ({"num_layers": 12}, "--num-layers 12, but gpt2 has 3 layers"),
    ],
)
def test_options_that_do_not_fit_are_refused(saved, options, message):
    with pytest.raises(InvalidInput, match=message):
        load(saved("gpt2"), **options)


def test_the_right_number_of_layers_is_accepted(saved):
    assert load(saved("gpt2"), num_layers=3).blocks == 3


@pytest.mark.parametrize("device", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_and_auto_falls_back(saved, device, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InvalidInput, match=f"device '{device}' is not there: torch .* finds cpu; use --device auto"):
        load(saved("gpt2"), device=device)
    assert load(saved("gpt2"), device="auto").device == "cpu"


# what cannot be loaded


def test_a_directory_without_a_configuration_says_which_file_is_missing(tmp_path):
    with pytest.raises(
        ModelUnavailable, match=r"is not a model: config.json is missing. Expected .* or one .gguf file"
    ):
        load(tmp_path)


def test_a_directory_without_weights_says_so(copied):
    directory = copied("gpt2")
    (directory / "model.safetensors").unlink()
    with pytest.raises(ModelUnavailable, match="gpt2: no weights at .*; expected model.safetensors"):
        load(directory)


def test_a_directory_without_a_tokenizer_says_so(copied):
    """transformers 5 would make an empty tokenizer, to which each word is unknown."""
    directory = copied("bert")
    for path in directory.glob("tokenizer*"):
        path.unlink()
    with pytest.raises(ModelUnavailable, match="bert: .*tokenizer"):
        load(directory)


def test_weights_that_lack_a_block_are_no_model(copied):
    directory = copied("gpt2")
    edit(directory, n_layer=4)
    with pytest.raises(
        ModelUnavailable, match=r"lack 12 of the tensors of GPT2LMHeadModel \(the first is transformer.h.3"
    ):
        load(directory)


@pytest.mark.parametrize("content", ["{", '{"model_type": "gpt2", "n_layer": "three"}'])
def test_a_damaged_configuration_is_explained(copied, content):
    directory = copied("gpt2")
    (directory / "config.json").write_text(content)
    with pytest.raises(ModelUnavailable, match="gpt2 .* cannot be loaded: "):
        load(directory)


def test_damaged_weights_are_explained(copied):
    directory = copied("gpt2")
    (directory / "model.safetensors").write_bytes(b"nothing of the kind")
    with pytest.raises(ModelUnavailable, match="gpt2 .* cannot be loaded: "):
        load(directory)


def test_a_type_that_transformers_does_not_know_is_named(copied):
    directory = copied("gpt2")
    edit(directory, model_type="gpt99")
    with pytest.raises(ModelUnavailable, match="model type 'gpt99', which transformers .* does not know"):
        load(directory)


def test_encoder_decoders_are_refused(tmp_path):
    hf.T5Config(vocab_size=300, d_model=16, num_layers=2, num_heads=2).save_pretrained(tmp_path)
    with pytest.raises(
        InvalidInput, match=r"is an encoder-decoder \(t5\); todacomm measures decoder-only and encoder-only"
    ):
        load(tmp_path)


def test_what_is_no_language_model_is_refused(tmp_path):
    hf.ViTConfig().save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match="of type 'vit', neither a causal nor a masked language model"):
        load(tmp_path)


# what is unsafe to load


def pickled(directory, content=None):
    torch.save(tiny("gpt2").network.state_dict() if content is None else content, directory / "pytorch_model.bin")
    (directory / "model.safetensors").unlink()
    return directory


def test_pickled_weights_are_refused_unless_asked_for(copied):
    directory = pickled(copied("gpt2"))
    with pytest.raises(UnsafeModel, match=r"gpt2: .* pickle \(pytorch_model.bin at .*--allow-pickle"):
        load(directory)
    model = load(directory, allow_pickle=True)
    assert torch.equal(model.network.transformer.wte.weight, tiny("gpt2").network.transformer.wte.weight)
    assert model.weights_sha256 == hashlib.sha256((directory / "pytorch_model.bin").read_bytes()).hexdigest()


class Bomb:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (os.mkdir, (str(self.marker),))


def test_a_pickle_that_holds_code_is_not_run_even_when_pickles_are_allowed(copied, tmp_path):
    directory, marker = pickled(copied("gpt2"), {"bomb": Bomb(tmp_path / "exploded")}), tmp_path / "exploded"
    with pytest.raises(UnsafeModel, match="holds more than weights"):
        load(directory, allow_pickle=True)
    assert not marker.exists()
    with (directory / "pytorch_model.bin").open("rb") as stream, pytest.raises(pickle.UnpicklingError):
        torch.load(stream, weights_only=True)


def test_safetensors_win_over_a_pickle_beside_them(copied):
    directory = copied("gpt2")
    (directory / "pytorch_model.bin").write_bytes(b"broken")
    assert load(directory, allow_pickle=True).blocks == 3


def test_remote_code_is_refused_and_does_not_run(copied, tmp_path):
    directory, marker = copied("gpt2"), tmp_path / "ran"
    edit(directory, model_type="mine", auto_map={"AutoConfig": "code.Mine", "AutoModelForCausalLM": "code.MineModel"})
    (directory / "code.py").write_text(f"import pathlib; pathlib.Path({str(marker)!r}).mkdir()\n")
    with pytest.raises(UnsafeModel, match="gpt2: loading it would run Python code .* --trust-remote-code"):
        load(directory)
    assert not marker.exists()


def test_remote_code_of_a_known_type_is_passed_over(copied, tmp_path):
    """Many checkpoints still name the code that transformers has taken over since."""
    directory, marker = copied("gpt2"), tmp_path / "ran"
    edit(directory, auto_map={"AutoConfig": "code.Mine", "AutoModelForCausalLM": "code.MineModel"})
    (directory / "code.py").write_text(f"import pathlib; pathlib.Path({str(marker)!r}).mkdir()\n")
    assert load(directory).blocks == 3
    assert not marker.exists()


# the hub


def test_a_hub_that_cannot_be_reached_names_the_model_and_what_works_without(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelUnavailable) as caught:
        load_model(resolve("gpt2"))
    assert "gpt2 (openai-community/gpt2) is not in the cache and the hub cannot be reached" in str(caught.value)
    assert "tiny-preln-decoder" in str(caught.value)
    assert "todacomm run" in str(caught.value)


def raising(kind):
    """As a download from the hub does."""

    def fail(*_args, **_options):
        raise kind.__new__(kind)

    return fail


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (
            hub.GatedRepoError,
            r"gemma2-2b \(google/gemma-2-2b\) is gated: accept its terms .* log in with `hf auth login`",
        ),
        (hub.RepositoryNotFoundError, "is not on the hub, or is private: check the spelling"),
        (hub.RevisionNotFoundError, "has no revision 'v9' on the hub"),
        (hub.LocalEntryNotFoundError, "the hub cannot be reached"),
        (ConnectionError, "the hub cannot be reached"),
        (FileNotFoundError, r"gemma2-2b \(google/gemma-2-2b\) cannot be loaded: FileNotFoundError"),
    ],
)
def test_errors_of_the_hub_become_one_sentence_that_helps(monkeypatch, kind, message):
    monkeypatch.setattr("transformers.utils.hub.hf_hub_download", raising(kind))
    with pytest.raises(ModelUnavailable, match=message):
        load_model(resolve("gemma2-2b", revision="v9"))


# adopting


def test_an_adopted_model_and_its_tokenizer_are_left_as_they_were():
    bare = tokenizer(ends=False)
    before = (bare.pad_token, bare.padding_side, bare.truncation_side, bare.backend_tokenizer.padding)
    network = tiny("gpt2").network
    model = adopt(network, bare)
    extract(model, TEXTS, samples=4, batch_size=3)
    assert (bare.pad_token, bare.padding_side, bare.truncation_side, bare.backend_tokenizer.padding) == before
    assert (model.name, model.kind, model.headless, model.dtype, model.device) == (
        "GPT2LMHeadModel",
        "causal",
        "",
        "float32",
        "cpu",
    )
    assert len(model.weights_sha256) == 64


def test_the_digest_of_an_adopted_model_follows_its_weights():
    other = hf.GPT2LMHeadModel(tiny("gpt2").network.config)
    other.load_state_dict(tiny("gpt2").network.state_dict())
    same = adopt(other, tokenizer(ends=False)).weights_sha256
    assert same == tiny("gpt2").weights_sha256
    with torch.no_grad():
        other.transformer.wte.weight[0, 0] += 1
    assert adopt(other, tokenizer(ends=False)).weights_sha256 != same


def test_adopting_a_base_model_gives_no_head():
    assert adopt(tiny("gpt2").base, tokenizer(ends=False)).headless == "the checkpoint has no language-modelling head"


def test_what_cannot_be_adopted_is_told_why():
    with pytest.raises(InvalidInput, match="Linear has no configuration"):
        adopt(nn.Linear(2, 2), tokenizer(ends=False))
    with pytest.raises(InvalidInput, match="needs its tokenizer: tokenizer="):
        adopt(tiny("gpt2").network, None)


@pytest.fixture
def cache(monkeypatch, tmp_path, saved):
    """A hub cache without a hub: what a download of owner/gpt2 leaves, all or some of its files."""

    def fill(*names):
        repository = tmp_path / "models--owner--gpt2"
        snapshot = repository / "snapshots" / COMMIT
        shutil.copytree(saved("gpt2"), snapshot, ignore=lambda _, there: [n for n in there if names and n not in names])
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(COMMIT)
        return resolve("owner/gpt2")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return fill


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_a_model_of_the_cache_loads_without_a_hub_and_knows_its_commit_and_digest(cache, saved):
    model = load_model(cache(), device="cpu")
    assert (model.name, model.revision, model.blocks) == ("owner/gpt2", COMMIT, 3)
    assert model.weights_sha256 == load(saved("gpt2")).weights_sha256


def test_weights_that_were_never_downloaded_are_not_taken_for_missing(cache):
    with pytest.raises(ModelUnavailable, match="owner/gpt2 is not in the cache and the hub cannot be reached"):
        load_model(cache("config.json"), device="cpu")


def test_a_pickle_of_the_hub_is_refused(cache, tmp_path):
    source = cache("config.json")
    pickle_file = tmp_path / "models--owner--gpt2" / "snapshots" / COMMIT / "pytorch_model.bin"
    pickle_file.write_bytes(b"")
    with pytest.raises(UnsafeModel, match=r"pytorch_model.bin at owner/gpt2"):
        load_model(source, device="cpu")


@pytest.mark.parametrize("name", ["gpt2", "bert", "llama"])
def test_a_model_spread_over_memory_and_disk_gives_the_same_bytes(saved, name):
    whole = load(saved(name))
    half = sum(p.numel() * 4 for p in whole.network.parameters()) // 2000
    spread = load(saved(name), device="auto", device_map="auto", max_memory={"cpu": f"{half}KB"})
    places = spread.network.hf_device_map
    assert "disk" in places.values()
    assert any(p.device.type == "meta" for p in spread.network.parameters())
    assert spread.weights_sha256 == whole.weights_sha256
    (a, ours), (b, theirs) = (extract(model, TEXTS, batch_size=2) for model in (whole, spread))
    assert list(a.layers) == list(b.layers)
    for layer in a.layers:
        assert a.layers[layer].tobytes() == b.layers[layer].tobytes(), layer
    assert ours == theirs


def test_the_folder_of_a_spread_model_goes_with_it(saved, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    model = load(saved("gpt2"), device="auto", device_map="auto", max_memory={"cpu": "60KB"})
    assert list(tmp_path.iterdir())
    del model
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_device_beside_a_device_map_is_refused(saved):
    with pytest.raises(InvalidInput, match=r"--device-map auto and --device cpu both say"):
        load(saved("gpt2"), device_map="auto")


def test_spreading_without_accelerate_names_the_extra(saved, monkeypatch):
    monkeypatch.setattr("todacomm.models.checkpoints.placement.importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"--device-map auto needs accelerate.*\[large\]"):
        load(saved("gpt2"), device="auto", device_map="auto")
