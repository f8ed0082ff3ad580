"""Plans: counts as in the run, FLOPs as PyTorch counts them, reductions and refusals."""

import json
import sys
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

import todacomm as td
from tiny_models import tiny, tokenizer
from todacomm.core import memory
from todacomm.core.errors import InvalidInput, TooLarge
from todacomm.core.inference_types import InferenceSettings
from todacomm.core.memory import size_of, spoken
from todacomm.core.recipe import Recipe
from todacomm.models.batching import choose
from todacomm.models.blockwise import STRETCH, decoder_of
from todacomm.models.names import ModelSource, resolve
from todacomm.models.size_and_flops import skeleton
from todacomm.profiles.intervals_and_nulls import cuts_of
from todacomm.runs.config import Study
from todacomm.runs.jobs import cache_of, jobs_of
from todacomm.runs.plan import memory_limit, model_rates
from todacomm.runs.plan.estimate import ENGINE, TO_FETCH, cloud_bytes, halved, plan_of, rates_of
from todacomm.runs.plan.machine_rates import Rates, growing
from todacomm.runs.plan.memory_limit import fewer_at_once, fitted, largest, refusal, smaller_batch
from todacomm.runs.plan.model_rates import ModelRate, _trial
from todacomm.runs.plan.plan import JobPlan, Plan, Stage, duration
from todacomm.runs.run_study import execute

MEBI = 2**20
DECODER, ENCODER = "tiny-preln-decoder", "tiny-postln-encoder"


def planned(study):
    cache = cache_of(study)
    return plan_of(jobs_of(study), cache, rates_of(cache))


def manifest_of(directory, model, **settings):
    """Of a model that was run, with what had been planned for it."""
    study = Study(models=(model,), samples=12, cache=False, output_dir=str(directory), **settings)
    (experiment,) = execute(study).experiments
    return json.loads((experiment / "runs" / "run_0" / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def of_decoder(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("todacomm.runs.run_study.write_figures", lambda *_: [])
        settings = {"layers": ("embedding", "layer_1"), "language": False, "resamples": 0, "null_draws": 0}
        return manifest_of(tmp_path_factory.mktemp("decoder"), DECODER, **settings)


@pytest.fixture(scope="module")
def of_encoder(tmp_path_factory):
    return manifest_of(tmp_path_factory.mktemp("encoder"), ENCODER, null_draws=19)


DECODER_OR_ENCODER = pytest.mark.parametrize(
    "manifest", ["of_decoder", pytest.param("of_encoder", marks=pytest.mark.slow)]
)


@DECODER_OR_ENCODER
def test_the_counts_of_a_plan_are_those_of_the_run(manifest, request):
    manifest = request.getfixturevalue(manifest)
    plan = manifest["plan"]
    assert plan["model"] == manifest["model"]
    assert plan["pooling"] == manifest["recipe"]["pooling"]
    assert plan["texts"] == plan["points"] == manifest["texts"]["count"] == 12
    assert plan["content_tokens"] == manifest["extraction"]["content_tokens"]
    assert plan["layers"] == len(manifest["layers"])
    assert (plan["parameters"], plan["blocks"], plan["width"]) == tuple(
        manifest["card"][key] for key in ("parameters", "blocks", "width")
    )
    assert plan["padded_tokens"] >= plan["content_tokens"]


@DECODER_OR_ENCODER
def test_the_manifest_has_time_and_memory_beside_the_plan(manifest, request):
    manifest = request.getfixturevalue(manifest)
    plan = manifest["plan"]
    assert plan["seconds"] == pytest.approx(sum(stage["seconds"] for stage in plan["stages"]))
    assert {stage["name"] for stage in plan["stages"]} >= {"load", "tokenise", "forward", "homology"}
    assert all(stage["seconds"] > 0 for stage in plan["stages"] if stage["name"] in ("tokenise", "forward"))
    assert manifest["seconds"]["extraction"] > 0
    assert 50 * MEBI < manifest["peak_memory"] < 50_000 * MEBI
    assert 50 * MEBI < plan["memory"] < 50_000 * MEBI


@pytest.mark.slow
def test_single_tokens_are_counted_as_points():
    job = planned(Study(models=(DECODER,), samples=12, pooling="tokens", subsample=77, cache=False)).jobs[0]
    assert (job.points, job.texts, job.problem) == (77, 12, "")


def test_layers_that_are_not_asked_for_are_not_planned():
    job = planned(Study(models=(DECODER,), samples=12, layers="embedding,layer_3", cache=False)).jobs[0]
    assert job.layers == 2


@pytest.mark.parametrize(
    ("layers", "language", "share"),
    [("embedding,layer_0", False, 1 / 6), ("layer_2,layer_1", False, 0.5), ("all", False, 1), ("layer_0", True, 1)],
)
def test_a_pass_that_ends_early_is_planned_so(layers, language, share):
    def forward(**settings):
        study = Study(models=(DECODER,), samples=12, cache=False, language=language, **settings)
        return next(s for s in planned(study).jobs[0].stages if s.name == "forward")

    assert forward(layers=layers).flops == pytest.approx(share * forward().flops)


@pytest.mark.parametrize("name", ["llama", "bert", "gpt2", "gemma2", "esm", "opt-350m"])
def test_flops_and_parameters_are_those_that_pytorch_counts(name, tmp_path):
    whole = tiny(name)
    whole.network.save_pretrained(tmp_path)
    tokenizer(ends=True).save_pretrained(tmp_path)
    found = skeleton(ModelSource(name, str(tmp_path)), site="block", device="cpu", dtype="float32")
    ids = torch.full((3, 20), 7)
    with FlopCounterMode(display=False) as counter, torch.inference_mode(), sdpa_kernel(SDPBackend.MATH):
        whole.base(input_ids=ids)
    assert found.forward_flops(3, 20) == pytest.approx(counter.get_total_flops(), rel=0.01)
    assert found.parameters == whole.parameters
    assert found.depth == whole.blocks
    assert len(found.cut.anatomy.blocks) == 2
    assert found.layers[-1] == ("final" if whole.anatomy.final_norm is not None else f"layer_{whole.blocks - 1}")


def test_a_checkpoint_without_a_head_is_seen_without_its_weights(tmp_path):
    whole = tiny("bert")
    whole.base.save_pretrained(tmp_path)
    tokenizer(ends=True).save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**whole.network.config.to_dict(), "architectures": None}))
    source = ModelSource("bert", str(tmp_path))
    assert skeleton(source, site="block", device="cpu", dtype="float32").cut.headless
    whole.network.save_pretrained(tmp_path)
    assert not skeleton(source, site="block", device="cpu", dtype="float32").cut.headless


@pytest.mark.slow
def test_what_the_cache_has_costs_nothing(tmp_path):
    study = Study(models=(DECODER,), samples=12, output_dir=str(tmp_path))
    before = planned(study).jobs[0]
    execute(study)
    after = planned(study).jobs[0]
    assert not before.read
    assert after.read
    assert "the model has read these texts before" in after.notes
    assert after.measured == after.layers == before.layers
    assert (after.points, after.width, after.parameters) == (before.points, before.width, before.parameters)
    assert {stage.name: stage.seconds for stage in after.stages}["homology"] == 0
    assert "forward" not in {stage.name for stage in after.stages}
    other = planned(study.but(components=10)).jobs[0]
    assert (other.read, other.measured) == (True, 0)


def test_a_model_that_is_not_here_is_not_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    plan = planned(Study(models=("nobody/has-this-model", DECODER), samples=12, cache=False))
    assert plan.jobs[0].problem == TO_FETCH
    assert plan.jobs[1].problem == ""


def test_a_model_that_cannot_be_planned_does_not_stop_the_others(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "t5", "is_encoder_decoder": true}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    plan = planned(Study(models=(str(tmp_path), DECODER), samples=12, cache=False))
    assert "encoder-decoder" in plan.jobs[0].problem
    assert plan.jobs[1].problem == ""


# Memory


@pytest.mark.parametrize(
    ("text", "size"),
    [("4GiB", 4 * 2**30), ("4GB", 4 * 10**9), ("4g", 4 * 10**9), ("1.5 MiB", 1.5 * 2**20), ("500mb", 5e8), ("12", 12)],
)
def test_sizes_are_read(text, size):
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "4 PB", "GiB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(InvalidInput, match="expected a size such as 4GiB"):
        size_of(text)
    with pytest.raises(InvalidInput, match="expected a size such as 4GiB"):
        Study(max_memory=text)


def test_sizes_and_times_are_said_with_their_units():
    assert [spoken(size) for size in (2000, 300 * MEBI, 1.3 * 2**30)] == ["2 KiB", "300 MiB", "1.3 GiB"]
    assert [duration(s) for s in (0.234, 41.7, 300, 9000)] == ["0.23 s", "42 s", "5 min", "2.5 h"]


def test_the_memory_of_this_process_is_known():
    held = np.ones(40 * MEBI // 8)
    assert held.nbytes < memory.resident() <= memory.peak()
    assert memory.resident() < memory.default_limit()


def test_distances_grow_with_the_square_and_landmarks_stop_that():
    assert 3.9 < cloud_bytes(20000, 50, Recipe()) / cloud_bytes(10000, 50, Recipe()) < 4.1
    assert cloud_bytes(20000, 50, Recipe(landmarks=1000)) < cloud_bytes(20000, 50, Recipe()) / 20
    alone = 4 * 20000 * 19999 // 2 + 8 * 20000 * 50  # the distances of all pairs, and the points
    assert cloud_bytes(20000, 50, Recipe(maxdim=0)) > alone + ENGINE[0] * 20000**2
    most = largest(50, Recipe(), 100 * MEBI)
    assert cloud_bytes(most, 50, Recipe()) <= 100 * MEBI < cloud_bytes(round(1.2 * most), 50, Recipe())


def plan_with(*stages, limit, at_once=1, workers=1):
    job = JobPlan(
        "model", "texts", "mean", points=9000, layers=8, width=50, batch=16, parameters=1000, stages=stages, texts=9000
    )
    return Plan((job,), base=100 * MEBI, limit=limit * MEBI, at_once=at_once, workers=workers)


def test_a_plan_adds_up():
    plan = plan_with(Stage("load", 1.0, 20 * MEBI), Stage("homology", 2.0, 50 * MEBI), limit=160)
    plan = replace(plan, jobs=plan.jobs * 2)
    assert plan.seconds == 6.0
    assert plan.stages == {"load": 2.0, "homology": 4.0}
    assert plan.memory == 150 * MEBI
    assert plan.fits
    assert not replace(plan, limit=149 * MEBI).fits
    assert plan.line() == "about 6 s: homology 4 s, load 2 s; 150 MiB of memory"
    assert replace(plan, workers=2).seconds == 3.0
    assert replace(plan, workers=2).memory == 300 * MEBI


@pytest.mark.parametrize(("claims", "said"), [(2000.0, True), (1500.0, False), (250.0, False)])
def test_what_takes_nearly_all_of_a_long_run_is_said_with_the_way_to_leave_it_out(claims, said):
    rest = 10.0 if claims < 1000 else 200.0
    plan = Plan(
        (JobPlan("m", "d", stages=(Stage("homology", rest), Stage("intervals and nulls", claims))),), 0, None, 1
    )
    assert ("--resamples 0 --null-draws 0" in plan.line()) == said


def test_fewer_layers_are_measured_at_a_time_where_that_fits():
    stage = Stage("homology", 1.0, (10 + 4 * 30) * MEBI, each=30 * MEBI)
    assert fewer_at_once(plan_with(stage, limit=1000, at_once=4)) is None
    number, told = fewer_at_once(plan_with(stage, limit=180, at_once=4))
    assert number == 2
    assert told == "2 layers at a time in place of 4, for one takes 30 MiB while it is measured"
    number, told = fewer_at_once(plan_with(stage, limit=1000, at_once=4, workers=5))
    assert (number, told) == (4, "4 processes in place of 5")


def test_batches_are_made_smaller_where_that_fits():
    stage = Stage("language", 1.0, (10 + 160) * MEBI, each=160 * MEBI)
    assert smaller_batch(plan_with(stage, limit=270)) is None
    assert smaller_batch(plan_with(stage, limit=190)) == (8, "8 of the longest texts in a batch in place of 16")
    assert smaller_batch(plan_with(stage, limit=115)) is None


def test_a_refusal_has_the_numbers_and_the_ways_out():
    job = type("Job", (), {"study": Study()})
    stage = Stage("homology", 1.0, 400 * MEBI, each=390 * MEBI)
    told = refusal(plan_with(stage, limit=200), [job])
    assert "500 MiB of memory would be needed, 100 MiB of it by the program itself" in told
    assert "for the distances of 9,000 points; 200 MiB may be used" in told
    assert "--landmarks 4600" in told
    assert "--subsample 4600" in told
    told = refusal(plan_with(Stage("tokenise", 1.0, 300 * MEBI), limit=200), [job])
    assert "300 MiB are the weights of 1,000 parameters; 200 MiB may be used" in told
    assert "--dtype bfloat16" in told


def test_a_study_is_thinned_and_says_so(monkeypatch):
    study = Study(models=(DECODER,), samples=12, cache=False)
    jobs = jobs_of(study)
    whole = fitted(jobs, None, Rates(None))[1]
    language = next(s for s in whole.jobs[0].stages if s.name == "language")
    tight = replace(whole, limit=whole.base + language.memory - language.each // 2)
    plans = iter([tight])
    first = memory_limit.plan_of
    monkeypatch.setattr(memory_limit, "plan_of", lambda *given: next(plans, None) or first(*given))
    thinned, plan = fitted(jobs, None, Rates(None))
    assert plan.changes
    assert isinstance(thinned[0].study.batch_size, int)
    assert plan.fits


def test_what_does_not_fit_is_refused_before_it_is_begun(tmp_path):
    study = Study(models=(DECODER,), samples=12, cache=False, max_memory="60MiB", output_dir=str(tmp_path))
    with pytest.raises(TooLarge, match="does not fit: .* of memory would be needed"):
        execute(study)
    assert not list(tmp_path.iterdir())


# Time


def test_a_trial_is_one_of_all_its_tokens_where_the_head_is_tried_on_few_before():
    """Time is told by a clock that moves on by one whenever it is read."""
    model = skeleton(resolve(DECODER), site="block", device="cpu", dtype="float32")
    rows = choose(model.cut, td.texts("wikitext2", 8), samples=8, min_tokens=1, max_length=32).encoded
    study = Study(models=(DECODER,), samples=8, max_length=32)
    plain, headed = (_trial(model, rows, study.but(language=x), count().__next__) for x in (False, True))
    assert plain.length == headed.length == 32
    assert abs(headed.rest) < 0.2


@pytest.mark.parametrize(("language", "blocks"), [(True, 6), (False, 5.25)])
def test_the_last_block_is_counted_whole_only_where_the_next_token_is_scored(language, blocks, monkeypatch):
    rate = ModelRate(((32, 1e-5),), pooling=0.0, rest=0.0, deepest=0.25)
    monkeypatch.setattr(model_rates, "model_rate", lambda *_, **__: rate)
    study = Study(models=(DECODER,), samples=8, max_length=32, language=language, cache=False)
    (job,) = planned(study).jobs
    (forward,) = (stage for stage in job.stages if stage.name == "forward")
    assert job.blocks == 6
    assert forward.seconds == pytest.approx(blocks * 1e-5 * job.padded_tokens)


@pytest.mark.parametrize(("exponent", "n"), [(2.0, 5000), (1.5, 3000), (4.0, 500)])
def test_what_is_too_large_to_try_is_extrapolated(exponent, n):
    sizes = []

    def seconds(size):
        sizes.append(size)
        return 1e-4 * (size / 64) ** exponent

    found, tried = growing(seconds, n, steepest=5.0, patience=0.01)
    assert found == pytest.approx(1e-4 * (n / 64) ** exponent, rel=1e-6)
    assert max(sizes) == tried <= n


def test_rates_are_kept_for_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr("todacomm.runs.plan.machine_rates._KNOWN", {})
    assert Rates(tmp_path).of("key", lambda: [1, 2]) == [1, 2]
    monkeypatch.setattr("todacomm.runs.plan.machine_rates._KNOWN", {})
    assert Rates(tmp_path).of("key", lambda: [3]) == [1, 2]
    assert Rates(tmp_path, fresh=True).of("key", lambda: [4]) == [4]
    monkeypatch.setattr("todacomm.runs.plan.machine_rates._KNOWN", {})
    monkeypatch.setattr("todacomm.runs.plan.machine_rates.DAY", 0.0)
    assert Rates(tmp_path).of("key", lambda: [5]) == [5]


# The command line


def test_plan_prints_a_table_and_runs_nothing(todacomm, tmp_path):
    code, out, _ = todacomm("plan", "--model", DECODER, "--samples", "12", "--no-cache")
    assert code == 0
    for part in (
        "tiny-preln-decoder · wikitext2 · pooling last",
        "forward",
        "GFLOP",
        "iB",  # MiB, or GiB where much is loaded already
        "In all: about",
        "12 texts",
    ):
        assert part in out
    assert not list(tmp_path.iterdir())


def test_plan_prints_json(todacomm):
    code, out, _ = todacomm("plan", "--model", DECODER, "--samples", "12", "--no-cache", "--json")
    found = json.loads(out)
    assert code == 0
    assert found["seconds"] == pytest.approx(sum(job["seconds"] for job in found["jobs"]))
    assert found["memory"] == found["base"] + max(job["memory"] for job in found["jobs"])


def test_plan_takes_every_option_of_run(todacomm):
    code, _, err = todacomm("plan", "--model", DECODER, "--samples", "12", "--pool", "meen", "--no-cache")
    assert code == 2
    assert "Did you mean 'mean'?" in err


def test_a_run_that_does_not_fit_leaves_with_2(todacomm):
    for command in ("plan", "run"):
        code, _, err = todacomm(command, "--model", DECODER, "--samples", "12", "--max-memory", "50MB", "--no-cache")
        assert code == 2
        assert "does not fit" in err


def test_arrays_that_do_not_fit_are_refused_before_any_distance(todacomm, tmp_path, monkeypatch):
    np.save(tmp_path / "cloud.npy", np.zeros((30000, 3)))
    monkeypatch.setattr("todacomm.clouds.prepare.pairwise", lambda *_: sys.exit("a distance was computed"))
    held = memory.resident() // MEBI + 600
    for command in ("plan", "measure"):
        code, _, err = todacomm(command, tmp_path / "cloud.npy", "--max-memory", f"{held}MiB")
        assert code == 2
        assert "cloud: the distances of 30,000 points take 3." in err
        assert "--landmarks" in err


def test_arrays_are_planned_by_their_file(todacomm, tmp_path):
    np.save(tmp_path / "cloud.npy", np.random.default_rng(0).normal(size=(120, 5)))
    code, out, _ = todacomm("plan", tmp_path / "cloud.npy")
    assert code == 0
    assert "120 points in 5 dimensions" in out


# Block by block


@pytest.fixture
def llama(tmp_path):
    """The directory of a tiny Llama, which is read block by block."""
    tiny("llama").network.save_pretrained(tmp_path / "llama")
    tokenizer(ends=False).save_pretrained(tmp_path / "llama")
    return str(tmp_path / "llama")


def test_a_model_that_is_read_block_by_block_is_tried_and_planned_so(llama, tmp_path):
    study = Study(models=(llama,), samples=24, cache=False, output_dir=str(tmp_path / "out"))
    whole, plain = (planned(study.but(batch_size=size)).jobs[0] for size in ("auto", 8))
    (quick,), (slow,) = ([s for s in job.stages if s.name == "language"] for job in (whole, plain))
    assert not whole.problem
    assert quick.each > slow.each  # the stream of all texts, and a block laid out
    assert min(s.seconds for s in whole.stages if s.name in ("forward", "pooling")) > 0


def test_the_tokens_of_a_stretch_and_the_matrices_of_a_block_are_counted_in_its_memory():
    decoder = decoder_of(tiny("llama").anatomy, longest=60)
    per_token = 4 * (2 * 16 + (2 * 2 + 2 * 1) * 8)
    assert decoder.bytes_for(3000) - decoder.bytes_for(2000) == 1000 * per_token
    assert decoder.bytes_for(10**6) == decoder.bytes_for(STRETCH)
    assert decoder.bytes_for(0) > 2 * 4 * sum(p.numel() for p in tiny("llama").base.layers[0].parameters())


def test_layers_are_halved_twice_where_whole_articles_are_drawn_too():
    """The splits: by points, and by articles unless they are too few or one holds most texts."""
    asked = InferenceSettings()
    assert halved(asked, None) == 1
    assert halved(asked, ("one", "two") * 10) == 1  # refused: two articles are too few
    assert halved(asked, tuple(f"article {i}" for i in range(20))) == 2
    assert halved(replace(asked, resamples=0), tuple(f"article {i}" for i in range(20))) == 1
    grouped = cuts_of(np.arange(40), 40, Recipe().seed, asked, tuple(f"article {i % 20}" for i in range(40)))
    assert len(grouped) == halved(asked, tuple(f"article {i % 20}" for i in range(40)))
