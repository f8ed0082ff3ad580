"""Adapters of PEFT: what is loaded is what PEFT computes, and what cannot be loaded so is refused."""

import copy
import json
import shutil

import numpy as np
import pytest
import torch
import transformers

import todacomm as td
from tiny_models import TEXTS, tiny
from todacomm.core.errors import InvalidInput, MissingExtra, ModelUnavailable, UnsafeModel
from todacomm.models.checkpoints import adapters
from todacomm.models.checkpoints.base_and_adapter import parts_of
from todacomm.models.checkpoints.loading import adopt, load_model
from todacomm.models.extraction import extract
from todacomm.models.names import ModelSource, resolve
from todacomm.runs.cache.keys import checkpoint_of
from todacomm.runs.cache.store import Cache

peft = pytest.importorskip("peft", reason="installed by the extra `adapters`")
pytestmark = [pytest.mark.filterwarnings(f"ignore::{kind}") for kind in ("FutureWarning", "UserWarning")]  # PEFT's own


def trained(name, config, *, seed=0):
    """The tiny model of a family with an adapter whose every number is drawn at random."""
    network = peft.get_peft_model(copy_of(name), config)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def copy_of(name):
    network = tiny(name).network
    fresh = type(network)(copy.deepcopy(network.config))
    fresh.load_state_dict(network.state_dict())
    return fresh.eval()


def save_base(name, directory):
    tiny(name).network.save_pretrained(directory)
    tiny(name).tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture
def base(tmp_path):
    return lambda name: save_base(name, tmp_path / "base")


def save_adapter(network, directory, base=None):
    """What PEFT writes, with the place of the base that its configuration names."""
    network.save_pretrained(directory)
    edit(directory, base_model_name_or_path=base and str(base))
    return directory


def edit(directory, name="adapter_config.json", **changes):
    path = directory / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def load(directory, **options):
    return load_model(resolve(str(directory)), device="cpu", **options)


def layers(model):
    return extract(model, TEXTS, samples=5, language=False, pooling="mean")[0].layers


def assert_same(found, wanted):
    assert list(found) == list(wanted)
    for layer, points in wanted.items():
        np.testing.assert_allclose(found[layer], points, atol=2e-4 * np.abs(points).max(), err_msg=layer)


def as_peft_computes(name, network):
    """The layers of the base with the adapter beside its weights, not merged."""
    return layers(adopt(network.get_base_model(), tiny(name).tokenizer, name=name))


LORA = {"r": 4, "lora_alpha": 8, "bias": "none"}
METHODS = {
    "lora": ("gpt2", lambda: peft.LoraConfig(**LORA, target_modules=["c_attn", "c_proj"], fan_in_fan_out=True)),
    "dora": ("llama", lambda: peft.LoraConfig(**LORA, target_modules="all-linear", use_dora=True)),
    "rslora": ("qwen2", lambda: peft.LoraConfig(**LORA, target_modules=["q_proj", "up_proj"], use_rslora=True)),
    "ia3": ("llama", lambda: peft.IA3Config(target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"])),
    "loha": ("bert", lambda: peft.LoHaConfig(r=4, target_modules=["query", "value"])),
    "embedding": ("llama", lambda: peft.LoraConfig(**LORA, target_modules=["embed_tokens", "q_proj"])),
    "tied head": ("gpt2", lambda: peft.LoraConfig(**LORA, target_modules=["lm_head", "c_attn"], fan_in_fan_out=True)),
    "saved module": ("bert", lambda: peft.LoraConfig(**LORA, target_modules=["query"], modules_to_save=["cls"])),
    "pissa": ("llama", lambda: peft.LoraConfig(**LORA, target_modules=["q_proj"], init_lora_weights="pissa")),
    "some tokens": (
        "llama",
        lambda: peft.LoraConfig(**LORA, target_modules=["q_proj"], trainable_token_indices=[5, 6]),
    ),
    "saved embedding": (
        "gpt2",
        lambda: peft.LoraConfig(**LORA, target_modules=["c_attn"], fan_in_fan_out=True, modules_to_save=["wte"]),
    ),
    "biases": ("bert", lambda: peft.LoraConfig(**{**LORA, "bias": "all"}, target_modules=["query"])),
}


@pytest.mark.parametrize("method", METHODS)
def test_an_adapter_alone_is_measured_on_its_base_as_peft_computes_it(method, base, tmp_path):
    name, config = METHODS[method]
    network = trained(name, config())
    directory = save_adapter(network, tmp_path / "tuned", base(name))
    found = load(directory)
    plain = layers(load(tmp_path / "base"))
    wanted = as_peft_computes(name, network)
    assert_same(layers(found), wanted)
    assert any(np.abs(wanted[layer] - plain[layer]).max() > 0.01 for layer in plain)
    ids = torch.arange(1, 9)[None]
    with torch.no_grad():
        np.testing.assert_allclose(found.network(ids)[0], network(ids)[0], atol=1e-3)
    assert (found.name, found.parameters >= tiny(name).parameters) == ("tuned", True)
    assert found.adapter == f"{config().peft_type.value} adapter {directory} merged into {tmp_path / 'base'}"


@pytest.mark.parametrize(
    ("name", "kind"), [("bert", "BertForSequenceClassification"), ("llama", "LlamaForTokenClassification")]
)
def test_an_adapter_of_a_classifier_is_measured_without_its_head(name, kind, base, tmp_path):
    network = getattr(transformers, kind).from_pretrained(base(name))
    config = peft.LoraConfig(task_type="SEQ_CLS", r=4, target_modules=["query", "q_proj"], init_lora_weights=False)
    adapted = peft.get_peft_model(network, config).eval()
    directory = save_adapter(adapted, tmp_path / "tuned", tmp_path / "base")
    assert_same(layers(load(directory)), layers(adopt(network.base_model, tiny(name).tokenizer)))


@pytest.mark.parametrize("trained_on", ["whole", "base"])
def test_an_adapter_beside_its_base_is_merged_whichever_class_it_was_trained_on(trained_on, tmp_path):
    """One trained on AutoModel, as for sentence embeddings, has names without the prefix of the headed class."""
    config = peft.LoraConfig(**LORA, target_modules=["q_proj", "down_proj"])
    directory = save_base("llama", tmp_path / "both")
    if trained_on == "whole":
        network = trained("llama", config)
    else:
        network = peft.get_peft_model(copy_of("llama").model, config)
        with torch.no_grad():
            for parameter in network.parameters():
                if parameter.requires_grad:
                    parameter.add_(0.3)
    save_adapter(network, directory, "/nowhere")
    assert_same(layers(load(directory)), as_peft_computes("llama", network.eval()))
    assert load(directory).adapter.endswith("merged into its own weights")


def test_a_base_is_found_from_here_and_from_beside_the_adapter(base, tmp_path, monkeypatch):
    network = trained("gpt2", peft.LoraConfig(**LORA, target_modules=["c_attn"], fan_in_fan_out=True))
    base("gpt2")
    directory = save_adapter(network, tmp_path / "tuned", "base")
    monkeypatch.chdir(tmp_path)
    assert parts_of(resolve("tuned")).base == ModelSource("base", "base")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    edit(directory, base_model_name_or_path="../base")
    assert parts_of(resolve(str(directory))).base.directory.samefile(tmp_path / "base")


def test_an_adapter_may_name_a_hub_id_with_and_without_an_owner(base, tmp_path):
    network = trained("gpt2", peft.LoraConfig(**LORA, target_modules=["c_attn"], fan_in_fan_out=True))
    for given, location in (
        ("gpt2", "openai-community/gpt2"),
        ("me/x", "me/x"),
        ("bert-base-cased", "bert-base-cased"),
    ):
        directory = save_adapter(network, tmp_path / "tuned", given)
        assert parts_of(resolve(str(directory))).base.location == location
    edit(directory, revision="v1")
    assert parts_of(resolve(str(directory))).base.revision == "v1"


@pytest.fixture
def lora(base, tmp_path):
    network = trained("gpt2", peft.LoraConfig(**LORA, target_modules=["c_attn"], fan_in_fan_out=True))
    return save_adapter(network, tmp_path / "tuned", base("gpt2"))


# identity


def content(directory, cache_place):
    return checkpoint_of(resolve(str(directory)), Cache(cache_place)).content


def retrained(directory):
    save_adapter(
        trained("gpt2", peft.LoraConfig(**LORA, target_modules=["c_attn"], fan_in_fan_out=True), seed=1), directory
    )


def test_training_an_adapter_again_in_place_changes_what_the_model_is_known_by(tmp_path, cache_place):
    directory = save_base("gpt2", tmp_path / "both")
    alone = content(directory, cache_place)
    network = trained("gpt2", peft.LoraConfig(**LORA, target_modules=["c_attn"], fan_in_fan_out=True))
    save_adapter(network, directory)
    first, digest = content(directory, cache_place), load(directory).weights_sha256
    size = (directory / "adapter_model.safetensors").stat().st_size
    retrained(directory)
    assert (directory / "adapter_model.safetensors").stat().st_size == size
    assert len({alone, first, content(directory, cache_place)}) == 3
    assert load(directory).weights_sha256 != digest


@pytest.mark.parametrize(
    "changed", ["base weights", "base config", "tokenizer of the base", "scaling", "version of PEFT"]
)
def test_whatever_decides_the_numbers_is_in_the_identity(lora, changed, tmp_path, cache_place, monkeypatch):
    before = content(lora, cache_place)
    if changed == "base weights":
        save_base("gpt2", tmp_path / "base")
        with torch.no_grad():
            other = copy_of("gpt2")
            other.transformer.h[0].mlp.c_fc.weight.add_(0.1)
        other.save_pretrained(tmp_path / "base")
    elif changed == "base config":
        edit(tmp_path / "base", "config.json", layer_norm_epsilon=1e-3)
    elif changed == "tokenizer of the base":
        edit(tmp_path / "base", "tokenizer_config.json", model_max_length=7)
    elif changed == "scaling":
        edit(lora, lora_alpha=16)
    else:
        monkeypatch.setattr("todacomm.runs.cache.keys.installed", lambda name: "0.0.1")
    assert content(lora, cache_place) != before


def test_the_cache_never_gives_the_numbers_of_the_adapter_before(tmp_path, cache_place):
    """H0 total of the layers, as a run with the cache and as the library without it."""
    from todacomm.runs.config import Study
    from todacomm.runs.jobs import jobs_of, one_by_one

    directory = save_base("gpt2", tmp_path / "both")
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(TEXTS.items))
    save_adapter(trained("gpt2", peft.LoraConfig(**LORA, target_modules=["c_attn"], fan_in_fan_out=True)), directory)
    study = Study(
        models=(str(directory),), datasets=(str(texts),), samples=8, pooling=("mean",), resamples=0, null_draws=0
    )

    def total():
        ((_, found),) = one_by_one(jobs_of(study), Cache(cache_place))
        return found.profile["H0_total_persistence"][-1]

    first = total()
    retrained(directory)
    again = td.run(str(directory), texts=str(texts), samples=8, pooling="mean", resamples=0, null_draws=0)
    assert total() == pytest.approx(again["H0_total_persistence"][-1], rel=1e-6)
    assert abs(first - total()) > 0.01 * first


# refusals


def test_without_peft_an_adapter_is_refused_not_passed_over(lora, tmp_path, monkeypatch):
    there = adapters.importlib.util.find_spec
    monkeypatch.setattr(adapters.importlib.util, "find_spec", lambda name: None if name == "peft" else there(name))
    both = save_base("gpt2", tmp_path / "both")
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        shutil.copy(lora / name, both)
    for directory in (lora, both):
        with pytest.raises(MissingExtra, match=r"The adapter of \w+ at .* needs peft.* pip install '.\[adapters\]'"):
            load(directory)
    assert load(tmp_path / "base").adapter == ""


PROMPTS = {
    "prompt tuning": lambda: peft.PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "prefix tuning": lambda: peft.PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4),
    "p-tuning": lambda: peft.PromptEncoderConfig(task_type="CAUSAL_LM", num_virtual_tokens=4, encoder_hidden_size=16),
    "adaption prompt": lambda: peft.AdaptionPromptConfig(task_type="CAUSAL_LM", adapter_len=4, adapter_layers=2),
}


@pytest.mark.parametrize("method", PROMPTS)
def test_what_is_no_change_of_weights_is_refused_in_one_sentence(method, base, tmp_path):
    network = peft.get_peft_model(copy_of("llama"), PROMPTS[method]())
    directory = save_adapter(network, tmp_path / "tuned", base("llama"))
    with pytest.raises(
        InvalidInput, match=r"^tuned: its adapter \([A-Z_]+, at .* is no change of weights .*td.activations"
    ):
        load(directory)


@pytest.mark.parametrize("option", [{"alora_invocation_tokens": [5, 6]}, {"layer_replication": [[0, 2], [1, 3]]}])
def test_what_cannot_be_merged_truly_is_refused(option, base, tmp_path):
    """Weights that act after some tokens alone, and blocks that are run twice."""
    config = peft.LoraConfig(**LORA, target_modules=["q_proj"], **option)
    directory = save_adapter(trained("llama", config), tmp_path / "tuned", base("llama"))
    with pytest.raises(
        InvalidInput, match=r"^tuned: its adapter \(LORA, at .* is no change of weights that can be merged"
    ):
        load(directory)


def without(directory, name):
    (directory / name).unlink()


DAMAGES = {
    "no weights": (lambda d: without(d, "adapter_model.safetensors"), "expected adapter_model.safetensors beside it"),
    "no configuration": (lambda d: without(d, "adapter_config.json"), "is an adapter without its adapter_config.json"),
    "no base": (lambda d: edit(d, base_model_name_or_path=None), "names no base model; write its directory"),
    "a base that is gone": (
        lambda d: edit(d, base_model_name_or_path="/gone/base"),
        "base model '/gone/base' is not there",
    ),
    "no kind": (lambda d: edit(d, peft_type=None), "names no peft_type"),
    "an unknown kind": (lambda d: edit(d, peft_type="TELEPATHY"), "tuned .* cannot be loaded: .*TELEPATHY"),
    "a setting of a later version": (
        lambda d: edit(d, telepathy=3),
        r"sets telepathy, which PEFT [\d.]+ does not know",
    ),
    "no JSON": (lambda d: (d / "adapter_config.json").write_text("{"), "it is no JSON"),
    "a list": (lambda d: (d / "adapter_config.json").write_text("[]"), "expected a JSON object, found a list"),
    "other modules": (lambda d: edit(d, target_modules=["q_proj"]), "tuned .* cannot be loaded: .*q_proj"),
    "fewer modules": (
        lambda d: edit(d, layers_to_transform=[0]),
        "has for no module of 4 of the tensors of GPT2LMHeadModel",
    ),
    "damaged": (lambda d: (d / "adapter_model.safetensors").write_bytes(b"no"), "tuned .* cannot be loaded: "),
    "another rank": (lambda d: edit(d, r=2), "tuned .* cannot be loaded: .*size mismatch"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_adapter_is_named(damage, lora):
    spoil, message = DAMAGES[damage]
    spoil(lora)
    with pytest.raises(ModelUnavailable, match=message):
        load(lora)


def test_an_adapter_that_lacks_a_block_is_named(lora):
    from safetensors.numpy import load_file, save_file

    there = load_file(lora / "adapter_model.safetensors")
    save_file({k: v for k, v in there.items() if ".h.2." not in k}, lora / "adapter_model.safetensors")
    with pytest.raises(
        ModelUnavailable, match=r"lacks 2 of the tensors of GPT2LMHeadModel \(the first is transformer.h.2"
    ):
        load(lora)


def test_an_adapter_of_an_adapter_is_refused(lora, tmp_path):
    other = shutil.copytree(lora, tmp_path / "other")
    edit(other, base_model_name_or_path=str(lora))
    with pytest.raises(ModelUnavailable, match="has an adapter of its own; merge that"):
        load(other)


def test_a_pickled_adapter_is_refused_unless_asked_for(lora):
    from safetensors.torch import load_file

    wanted = layers(load(lora))
    torch.save(load_file(lora / "adapter_model.safetensors"), lora / "adapter_model.bin")
    (lora / "adapter_model.safetensors").unlink()
    with pytest.raises(UnsafeModel, match=r"only there as a pickle .*--allow-pickle"):
        load(lora)
    assert_same(layers(load(lora, allow_pickle=True)), wanted)


def test_an_adapter_with_the_model_spread_over_devices_is_refused(lora):
    with pytest.raises(InvalidInput, match="--device-map auto: the adapter of tuned is merged"):
        load(lora, device_map="auto")


def test_a_directory_of_checkpoints_names_them(lora, tmp_path):
    for step in (500, 1000, 1500, 2000):
        shutil.copytree(lora, tmp_path / "run" / f"checkpoint-{step}")
    with pytest.raises(
        ModelUnavailable,
        match=r"run is not a model: .* holds 4 models: give one of them, as .*1000, .*1500, .*run/checkpoint-2000\.",
    ):
        load(tmp_path / "run")


# the hub

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cached(tmp_path, monkeypatch):
    """A hub cache without a hub: what a download of a directory as owner/name leaves."""

    def fill(directory, name):
        repository = tmp_path / "hub" / f"models--owner--{name}"
        shutil.copytree(directory, repository / "snapshots" / COMMIT)
        (repository / "refs").mkdir()
        (repository / "refs" / "main").write_text(COMMIT)

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return fill


def test_an_adapter_of_the_hub_is_measured_on_a_base_of_the_hub(lora, cached, tmp_path, cache_place):
    wanted = layers(load(lora))
    edit(lora, base_model_name_or_path="owner/base")
    cached(lora, "tuned")
    with pytest.raises(ModelUnavailable, match=r"owner/base, the base of owner/tuned, .* is not in the cache"):
        load("owner/tuned")
    assert checkpoint_of(resolve("owner/tuned"), Cache(cache_place)) is None
    cached(tmp_path / "base", "base")
    found = load("owner/tuned")
    assert_same(layers(found), wanted)
    assert found.revision == COMMIT
    assert found.adapter == f"LORA adapter owner/tuned merged into owner/base@{COMMIT}"
    assert checkpoint_of(resolve("owner/tuned"), Cache(cache_place)).weights_sha256 == found.weights_sha256


# what is said


def test_a_profile_says_what_it_was_made_of_and_a_run_takes_the_adapter(lora):
    profile = td.run(str(lora), texts=TEXTS, resamples=0, null_draws=0, pooling="mean")
    assert profile.card.adapter.startswith("LORA adapter ")
    assert any("those of its base with an adapter: LORA" in note for note in profile.notes)


def test_the_tokenizer_of_an_adapter_is_its_own_where_it_has_one(lora, tmp_path):
    assert parts_of(resolve(str(lora))).tokenizer.location == str(tmp_path / "base")
    tiny("bert").tokenizer.save_pretrained(lora)
    assert parts_of(resolve(str(lora))).tokenizer.location == str(lora)
    assert load(lora).tokenizer.mask_token_id is not None


def test_a_setting_of_a_later_version_that_does_nothing_is_no_hindrance(lora):
    edit(lora, telepathy=None, clairvoyance=False, levitation=[])
    assert load(lora).blocks == 3


def test_a_plan_of_an_adapter_is_that_of_its_base(lora, tmp_path):
    from todacomm.models.size_and_flops import skeleton

    options = {"site": "block", "device": "cpu", "dtype": "float32"}
    found, wanted = (skeleton(resolve(str(d)), **options) for d in (lora, tmp_path / "base"))
    assert (found.parameters, found.depth, found.layers) == (wanted.parameters, wanted.depth, wanted.layers)
