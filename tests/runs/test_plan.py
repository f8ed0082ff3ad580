"""Plans: counts as in the run, FLOPs as PyTorch counts them, reductions and refusals."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from tiny_models import tiny, tokenizer
from todacomm.core import memory
from todacomm.core.errors import InvalidInput, TooLarge
from todacomm.core.memory import format_bytes, size_of
from todacomm.core.recipe import Recipe
from todacomm.models.blockwise import STRETCH, decoder_of
from todacomm.models.names import ModelSource
from todacomm.models.size_and_flops import skeleton
from todacomm.profiles.intervals_and_nulls import cuts_of
from todacomm.runs.config import Study
from todacomm.runs.jobs import cache_of, jobs_of
from todacomm.runs.plan import calibration, estimate, memory_limit, reading
from todacomm.runs.plan.calibration import Rates
from todacomm.runs.plan.estimate import Planner, plan_of, rates_of
from todacomm.runs.plan.memory_limit import fewer_at_once, fitted, largest, refusal, smaller_batch
from todacomm.runs.plan.memory_sizes import ENGINE, cloud_bytes
from todacomm.runs.plan.plan import CLAIMS, FURTHER_NULLS, NULL_PASSES, TO_FETCH, JobPlan, Plan, Stage, duration
from todacomm.runs.plan.reading import ModelRate
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
    assert [format_bytes(size) for size in (2000, 300 * MEBI, 1.3 * 2**30)] == ["2 KiB", "300 MiB", "1.3 GiB"]
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


@pytest.mark.parametrize("name", ["language", NULL_PASSES])
def test_batches_are_made_smaller_where_that_fits(name):
    stage = Stage(name, 1.0, (10 + 160) * MEBI, each=160 * MEBI)
    assert smaller_batch(plan_with(stage, limit=270)) is None
    assert smaller_batch(plan_with(stage, limit=190)) == (8, "8 of the longest texts in a batch in place of 16")
    assert smaller_batch(plan_with(stage, limit=115)) is None


@pytest.mark.parametrize("name", [CLAIMS, FURTHER_NULLS])
def test_fewer_layers_at_a_time_make_room_for_intervals_and_nulls_too(name):
    stage = Stage(name, 1.0, (10 + 4 * 60) * MEBI, each=60 * MEBI)
    assert fewer_at_once(plan_with(stage, limit=240, at_once=4))[0] == 2


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


@pytest.fixture
def counted():
    """A function: the texts of a job of the decoder as they will be read."""

    def of(**settings):
        job, *_ = jobs_of(Study(**{"models": (DECODER,), "samples": 12, "max_length": 32, "cache": False, **settings}))
        return Planner(None, Rates(None), 1).counted(job)

    return of


def test_the_speed_of_a_block_is_what_one_more_block_takes(counted, monkeypatch):
    """A clock by which one block takes 2 units a token, all else 3, the language metrics 5 beside these."""

    def seconds(few, layers, _clock, *, language=False):
        blocks = 2 if layers == "all" else sum(layer.startswith("layer") for layer in layers)
        return few.tokens * (2 * blocks + 3 + 5 * language)

    monkeypatch.setattr(reading, "_seconds", seconds)
    monkeypatch.setattr(calibration, "_KNOWN", {})
    found = counted()
    monkeypatch.setattr(reading.Counted, "flops", property(lambda self: 1000.0 * self.tokens))
    rate = reading.model_rate(found, Rates(None))
    assert rate.layers(found, 1.0) == pytest.approx(found.tokens * (6 * 2 + 3))
    assert rate.layers(found, 1 / 6) == pytest.approx(found.tokens * (2 + 3))
    assert rate.language(found) == pytest.approx(found.tokens * 5)


def test_what_is_tried_has_texts_of_all_lengths(counted):
    found = counted(max_length=128)
    few = found.some(found.tokens / 4)
    assert 0 < len(few.rows) <= 4
    lengths = sorted(map(len, found.rows))
    assert lengths[0] <= min(map(len, few.rows)) < lengths[6]
    assert max(map(len, few.rows)) >= lengths[6]
    assert len(found.some(1).rows) == 1
    assert len(found.some(10**9).rows) == 12


def test_rates_are_kept_for_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(calibration, "_KNOWN", {})
    assert Rates(tmp_path).of("key", lambda: [1, 2]) == [1, 2]
    monkeypatch.setattr(calibration, "_KNOWN", {})
    assert Rates(tmp_path).of("key", lambda: [3]) == [1, 2]
    assert Rates(tmp_path, fresh=True).of("key", lambda: [4]) == [4]
    monkeypatch.setattr(calibration, "_KNOWN", {})
    monkeypatch.setattr(calibration, "DAY", 0.0)
    assert Rates(tmp_path).of("key", lambda: [5]) == [5]


# Null models


UNITS = ModelRate(flop=0.0, token=1.0, scored=1.0)  # a pass takes as many seconds as there are tokens


@pytest.fixture
def in_units(monkeypatch):
    """A pass takes a second a token, a part of the measurement a second."""
    monkeypatch.setattr(reading, "model_rate", lambda *_: UNITS)
    monkeypatch.setattr(estimate, "seconds_of", lambda *_: 1.0)
    monkeypatch.setattr(Rates, "yard", 0.0)


def of_nulls(nulls, **settings):
    study = Study(
        models=(DECODER,), samples=24, max_length=32, cache=False, nulls=nulls, null_runs=5, jobs=1, **settings
    )
    job = plan_of(jobs_of(study), None, Rates(None)).jobs[0]
    return job, {stage.name: stage for stage in job.stages}


@pytest.mark.usefixtures("in_units")
@pytest.mark.parametrize(("nulls", "passes"), [((), 1), (("text",), 6), (("text", "untrained"), 11), (("columns",), 1)])
def test_every_pass_of_a_null_model_is_counted(nulls, passes):
    job, stages = of_nulls(nulls)
    assert job.passes == passes
    assert (NULL_PASSES in stages) == (passes > 1)
    assert job.flops == pytest.approx(passes * stages["forward"].flops + stages["language"].flops)
    if passes > 1:
        assert stages[NULL_PASSES].seconds == (passes - 1) * (job.padded_tokens + job.layers)


@pytest.mark.usefixtures("in_units")
def test_the_passes_of_nulls_end_at_the_deepest_layer_though_the_head_is_scored_before():
    _, stages = of_nulls(("text",), layers="embedding,layer_2")
    assert stages[NULL_PASSES].flops == pytest.approx(5 * 0.5 * stages["forward"].flops)


@pytest.mark.usefixtures("in_units")
def test_draws_of_further_nulls_are_a_stage_of_their_own():
    job, stages = of_nulls(("columns",), null_draws=39)
    assert stages[FURTHER_NULLS].seconds == 39 * job.layers
    assert stages[CLAIMS].seconds == of_nulls((), null_draws=39)[1][CLAIMS].seconds


@pytest.mark.usefixtures("in_units")
def test_an_untrained_network_is_held_beside_the_model():
    (job, text), (_, untrained) = of_nulls(("text",)), of_nulls(("untrained",))
    assert untrained[NULL_PASSES].memory - text[NULL_PASSES].memory == 4 * job.parameters


@pytest.mark.parametrize(("model", "passes"), [(ENCODER, 4), (DECODER, 1)])
def test_the_passes_of_language_metrics_are_counted(model, passes, counted):
    found = counted(models=(model,))
    assert found.plan().passes == passes
    assert replace(found, job=replace(found.job, study=found.job.study.but(language=False))).plan().passes == 1


@pytest.mark.slow
def test_nulls_of_a_reading_in_the_cache_take_passes_until_they_are_there_too(tmp_path):
    study = Study(models=(DECODER,), samples=20, output_dir=str(tmp_path), nulls="text", null_runs=2)
    plain = study.but(nulls="none")
    execute(plain)
    before = planned(study).jobs[0]
    assert (before.read, before.passes, before.measured) == (True, 2, before.layers)
    assert {"load", NULL_PASSES} < {stage.name for stage in before.stages}
    assert not {"forward", "language", "tokenise"} & {stage.name for stage in before.stages}
    execute(study)
    after = planned(study).jobs[0]
    assert (after.read, after.passes) == (True, 0)
    assert NULL_PASSES not in {stage.name for stage in after.stages}


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


def pickled(directory):
    """A checkpoint of two blocks whose index of safetensors names a pickle."""
    tiny("gpt2").network.save_pretrained(directory, max_shard_size="20KB")
    tokenizer(ends=True).save_pretrained(directory)
    index = directory / "model.safetensors.index.json"
    found = json.loads(index.read_text())
    found["weight_map"] = dict.fromkeys(found["weight_map"], "shard.bin")
    index.write_text(json.dumps(found))
    return str(directory)


def test_a_model_that_would_be_refused_ends_the_plan_as_it_ends_the_run(todacomm, tmp_path):
    model = pickled(tmp_path / "bad")
    for command in (("plan",), ("plan", "--json"), ("run",)):
        code, out, err = todacomm(*command, "--model", model, "--samples", "12", "--no-cache")
        assert (code, out) == (2, "")
        assert "names shard.bin among its files, which is no safetensors file" in err


def test_a_model_that_would_be_refused_among_others_is_told_after_their_plan(todacomm, tmp_path):
    models = f"{pickled(tmp_path / 'bad')},{DECODER}"
    code, out, err = todacomm("plan", "--models", models, "--pool", "mean", "--samples", "12", "--no-cache")
    assert code == 1
    assert "1 of 2 jobs are not counted" in out
    assert "failed: bad:" in err


def test_a_pickle_is_planned_where_it_was_asked_for(todacomm, tmp_path):
    tiny("gpt2").network.save_pretrained(tmp_path / "old")
    tokenizer(ends=True).save_pretrained(tmp_path / "old")
    torch.save(tiny("gpt2").network.state_dict(), tmp_path / "old" / "pytorch_model.bin")
    (tmp_path / "old" / "model.safetensors").unlink()
    ask = ("plan", "--model", str(tmp_path / "old"), "--samples", "12", "--no-cache")
    assert todacomm(*ask)[0] == 2
    assert todacomm(*ask, "--allow-pickle")[0] == 0


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


def test_arrays_of_several_sizes_are_planned_with_the_nulls_that_are_asked_for(todacomm, tmp_path):
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "two.npz", **{f"layer_{i}": rng.normal(size=(n, 4)) for i, n in enumerate((10, 80, 80))})
    code, out, _ = todacomm("plan", tmp_path / "two.npz", "--nulls", "columns", "--null-draws", "19", "--json")
    (job,) = json.loads(out)["jobs"]
    assert (code, job["points"], job["layers"]) == (0, 80, 3)
    assert [stage["name"] for stage in job["stages"]] == ["homology", "cross-check", CLAIMS, FURTHER_NULLS]
    assert all(stage["seconds"] > 0 for stage in job["stages"])


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
    assert min(s.seconds for s in whole.stages if s.name == "forward") > 0


def test_the_tokens_of_a_stretch_and_the_matrices_of_a_block_are_counted_in_its_memory():
    decoder = decoder_of(tiny("llama").anatomy, longest=60)
    per_token = 4 * (2 * 16 + (2 * 2 + 2 * 1) * 8)
    assert decoder.bytes_for(3000) - decoder.bytes_for(2000) == 1000 * per_token
    assert decoder.bytes_for(10**6) == decoder.bytes_for(STRETCH)
    assert decoder.bytes_for(0) > 2 * 4 * sum(p.numel() for p in tiny("llama").base.layers[0].parameters())


@pytest.mark.usefixtures("in_units")
@pytest.mark.parametrize("articles", [1, 2, 12])
def test_layers_are_halved_as_often_as_there_are_splits(articles):
    """The splits of `todacomm.profiles.intervals_and_nulls`: by points, and by articles unless they are too few."""
    study = Study(models=(DECODER,), samples=24, cache=False, null_draws=0, jobs=1)
    groups = tuple(f"article {i % articles}" for i in range(24))
    jobs = [replace(job, texts=replace(job.texts, groups=groups)) for job in jobs_of(study)]
    job = plan_of(jobs, None, Rates(None)).jobs[0]
    splits = len(cuts_of(np.arange(24), 24, Recipe().seed, study.asked(), groups))
    claims = next(stage for stage in job.stages if stage.name == CLAIMS)
    assert claims.seconds == splits * job.layers * study.resamples / 4
    assert splits == 1 + (articles == 12)
