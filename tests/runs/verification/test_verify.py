"""Verify: every planted corruption is found, also with its digests made anew, and nothing in what is sound."""

import hashlib
import json
import shutil

import numpy as np
import pytest

import todacomm as td
import trained
from real_directories import ended
from small_studies import DECODER, ENCODER, one_line
from todacomm.records.files.io import SEAL, read_arrays, seal_of, write_arrays
from todacomm.runs import training_results, training_runs
from todacomm.runs.config import Study
from todacomm.runs.run_study import execute, write_measured
from todacomm.runs.verification.verify import verify

slow = pytest.mark.slow
STUDY = Study(
    models=(DECODER, ENCODER), samples=24, pooling=("mean",), layers=("embedding", "layer_1", "layer_4"), resamples=24,
    null_draws=19,
)  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A directory of each kind: of a run, a comparison, an ablation, loops, a training."""
    place = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        outcome = execute(STUDY.but(output_dir=str(place / "experiments")))
        run = outcome.experiments[0]
        rng, angle = np.random.default_rng(0), 2 * np.pi * np.arange(60) / 60
        circle = 3 * np.c_[np.cos(angle), np.sin(angle), np.zeros((60, 2))] + 0.1 * rng.normal(size=(60, 4))
        np.savez("clouds.npz", layer_0=rng.normal(size=(60, 4)), layer_1=circle)
        for command in (
            ["compare", *map(str, outcome.experiments), "--fail-if", "shape_growth:ratio<0.01", "--name", "gated"],
            ["ablate", "clouds.npz", "--points", "all,0.5", "--components", "none,2", "--null-draws", "19", "--claim",
             "expansion>0.1"],
            ["loops", "clouds.npz"],
        ):  # fmt: skip
            assert ended((*command, "--quiet")) == 0
    experiment = trained.experiment(seeds=(46, 47), controls=2)
    training = place / "training"
    training.mkdir()
    training_runs.write_plan(training, experiment)
    list(training_runs.perform_all(training, experiment.plans, number=1))
    training_results.concluded(training, {}, command="todacomm grok")
    found = {name: next((place / "experiments").glob(f"{name}_*")) for name in ("ablation", "loops")}
    gated = next((place / "experiments").glob("comparison_gated_*"))
    return {**found, "run": run, "comparison": gated, "training": training}


def sealed_again(directory):
    """Make every digest fit what the files hold now."""
    for name in ("manifest.json", "finished.json"):
        for path in directory.rglob(name):
            found = json.loads(path.read_text(encoding="utf-8"))
            there = [one for one in found.get("files", {}) if (path.parent / one).exists()]
            found["files"] = {one: hashlib.sha256((path.parent / one).read_bytes()).hexdigest() for one in there}
            path.write_text(json.dumps({**found, SEAL: seal_of(found)}), encoding="utf-8")
    for path in directory.rglob("*.json"):
        found = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(found, dict) and SEAL in found:
            path.write_text(json.dumps({**found, SEAL: seal_of(found)}), encoding="utf-8")


FIRST = object()  # key of a mapping


def edited(path, *steps):
    """Change the value at the end of ``steps`` (keys, then a function) in a JSON file."""
    *keys, last, change = steps
    found = json.loads(path.read_text(encoding="utf-8"))
    inner = found
    for key in keys:
        inner = inner[next(iter(inner)) if key is FIRST else key]
    inner[last] = change(inner[last])
    path.write_text(json.dumps(found), encoding="utf-8")


def arrays(path, name, change):
    found = read_arrays(path)
    found[name] = change(found[name].copy())
    write_arrays(path, found, {"schema": 1})


def first_line(path, *steps):
    """Change a value in the second line of records.jsonl."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    *keys, last, change = steps
    row = json.loads(lines[1])
    inner = row
    for key in keys:
        inner = inner[key]
    inner[last] = change(inner[last])
    path.write_text("".join([lines[0], json.dumps(row) + "\n", *lines[2:]]), encoding="utf-8")


def more(value):
    return value * 1.1 if value else 0.1


def another(value):
    return value + 1


def summary(name, change=more):
    return lambda at: edited(at / "tda_summaries.json", "layer_1", name, change)


def claim(*steps):
    return lambda at: edited(at / "tda_claims.json", *steps)


H0, LONGEST, LOOP = "H0_total_persistence", "H1_max_lifetime", "H1_loop"
OF_RUN = {
    **{name: summary(name) for name in (
        H0, LONGEST, "H0_mean_lifetime", "H0_persistence_norm", "H0_entropy", "H1_total_persistence", "H1_prominence",
        "H0_total_persistence_scaled", "H1_birth_of_longest", "H1_death_birth_ratio", "scale", "rms_distance", "norm",
        "participation_ratio", "H1_max_lifetime_Z3", "largest_variance_share",
    )},
    "H0_count": summary("H0_count", another),
    "H1_count": summary("H1_count", another),
    "distinct_points": summary("distinct_points", lambda n: n - 1),
    "doubt": summary("doubt", lambda _: "the layer is odd"),
    "perplexity": lambda at: edited(at / "metrics.json", "perplexity", more),
    "bits per byte": lambda at: edited(at / "metrics.json", "bits_per_byte", more),
    "seed": lambda at: edited(at / "manifest.json", "recipe", "seed", another),
    "recipe digest": lambda at: edited(at / "manifest.json", "recipe_digest", lambda _: "0" * 64),
    "expansion": lambda at: edited(at / "manifest.json", "expansions", 0, "growth", "ratio", more),
    "scale growth": lambda at: edited(at / "manifest.json", "expansions", 0, "growth", "scale", more),
    "peak": lambda at: edited(at / "manifest.json", "expansions", 0, "growth", "peak", lambda _: "embedding"),
    "baseline": lambda at: edited(at / "manifest.json", "expansions", 0, "baseline", lambda _: "layer_4"),
    "number of texts": lambda at: edited(at / "manifest.json", "texts", "count", another),
    "digest of texts": lambda at: edited(at / "manifest.json", "texts_sha256", lambda _: "0" * 64),
    "confirmed layer": lambda at: edited(at / "manifest.json", "cross_checked", 0, lambda _: "layer_9"),
    "a text": lambda at: edited(at / "texts.json", "items", 0, lambda text: text + "!"),
    "its length": lambda at: edited(at / "texts.json", "lengths", 0, another),
    "estimate": claim("layers", "layer_1", "intervals", H0, "estimate", more),
    "lower end": claim("layers", "layer_1", "intervals", H0, "low", lambda x: x * 0.9),
    "growth's end": claim("growths", "embedding", "shape", "high", more),
    "peak's share": claim("peaks", "layer_4", lambda x: 1 - x / 2),
    "impossible p": claim("layers", "layer_1", "tests", "gaussian", H0, "p", lambda _: 0.01234),
    "adjusted p": claim("layers", "layer_1", "tests", "gaussian", H0, "adjusted", lambda p: p / 2),
    "family-wise p": claim("layers", "layer_1", "tests", "gaussian", H0, "family_wise", lambda _: 0.012),
    "least p": claim("layers", "layer_1", "tests", "gaussian", H0, "smallest", lambda p: p / 2),
    "observed": claim("layers", "layer_1", "tests", "gaussian", H0, "observed", more),
    "bars": lambda at: arrays(at / "diagrams.safetensors", "layer_1/H0", lambda bars: bars * 1.01),
    "one bar": lambda at: arrays(at / "diagrams.safetensors", "layer_1/H1", lambda bars: bars[:-1]),
    "half-samples": lambda at: arrays(at / "claims.safetensors", "layer_1/values", lambda x: x * 1.5),
    "whole cloud": lambda at: arrays(at / "claims.safetensors", "layer_1/whole", lambda x: x * 1.01),
    "file gone": lambda at: (at / "texts.json").unlink(),
    "file of another": lambda at: (at / "notes.txt").write_text("mine"),
    "file of a user in figures' place": lambda at: (at / "numbers.csv").write_text("1"),
    "unfinished file": lambda at: (at / f"metrics.json.{'0' * 32}.part").write_text("{"),
    "cut off": lambda at: (at / "diagrams.safetensors").write_bytes(
        (at / "diagrams.safetensors").read_bytes()[:-40]),
    "interpretation": lambda at: (at / "tda_interpretation.md").write_text("All is well."),
}  # fmt: skip
OF_OTHERS = {
    "comparison": {
        "row": lambda at: edited(at / "comparison.json", "groups", FIRST, "rows", 1, "expansion", more),
        "verdict": lambda at: edited(at / "comparison.json", "groups", FIRST, "pairs", 0, "verdict", lambda _: "Same."),
        "difference": lambda at: edited(at / "comparison.json", "groups", FIRST, "pairs", 0, "layers", 0, "differences",
                                        H0, "p", lambda _: 0.9),
        "gate": lambda at: edited(at / "comparison.json", "gate", "passed", lambda passed: not passed),
        "runs": lambda at: edited(at / "comparison.json", "experiments", lambda both: both[::-1]),
        "page": lambda at: (at / "report.html").write_text(
            (at / "report.html").read_text(encoding="utf-8").replace("expansion", "contraction", 1)),
    },
    "ablation": {
        "stands": lambda at: edited(at / "ablation.json", "claims", 0, "stands", another),
        "row": lambda at: edited(at / "ablation.json", "rows", 1, "peak_layer", lambda _: "layer_1"),
        "table": lambda at: (at / "ablation.csv").write_text(
            (at / "ablation.csv").read_text(encoding="utf-8").replace("0", "1", 1)),
    },
    "loops": {
        "angle": lambda at: (at / "angles.csv").write_text(
            (at / "angles.csv").read_text(encoding="utf-8").replace(".1", ".2", 1)),
        "scale": lambda at: edited(at / "loops.json", "layers", 1, "loops", 0, "scale", lambda x: 100 * x),
        "cycle": lambda at: edited(at / "loops.json", "layers", 1, "loops", 0, "cycle", 0, lambda _: 5000),
    },
    "training": {
        "number": lambda at: first_line(at / "runs/seed_46/records.jsonl", "numbers", f"embedding/sphere/{H0}", more),
        "metric": lambda at: first_line(at / "runs/seed_46/records.jsonl", "clouds", "sphere", "embedding",
                                        "H0_entropy", more),
        "accuracy": lambda at: first_line(at / "runs/seed_47/records.jsonl", "numbers", "test_accuracy",
                                          lambda _: 1.5),
        "step": lambda at: first_line(at / "runs/seed_46/records.jsonl", "step", lambda _: 0),
        "seed": lambda at: edited(at / "runs/seed_46/run.json", "seed", another),
        "plan": lambda at: edited(at / "experiment.json", "runs", 0, "settings", "prime", another),
        "bars": lambda at: arrays(at / "runs/seed_46/checkpoints/step_00000020.safetensors", "embedding/sphere/H1",
                                  lambda bars: bars * 1.1),
        "definitions": lambda at: edited(at / "signature.json", "command", lambda _: "todacomm run"),
    },
}  # fmt: skip
UNSEEN = {("training", "accuracy"), ("training", "definitions")}  # see the test of what cannot be derived again


@slow
def test_what_is_sound_is_found_sound(made):
    for directory in made.values():
        assert verify(directory).faults == ()


@slow
@pytest.mark.parametrize("name", OF_RUN)
def test_a_corruption_of_a_run_is_found_with_its_digests_made_anew(made, tmp_path, name):
    copy = shutil.copytree(made["run"], tmp_path / made["run"].name)
    OF_RUN[name](copy / "runs" / "run_0")
    sealed_again(copy)
    assert verify(copy).faults


@slow
@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, of in OF_OTHERS.items() for name in of
                                            if (kind, name) not in UNSEEN])  # fmt: skip
def test_a_corruption_of_a_study_is_found_with_its_digests_made_anew(made, tmp_path, kind, name):
    copy = tmp_path / made[kind].name
    for other in made[kind].parent.iterdir():
        (tmp_path / other.name).symlink_to(other)
    copy.unlink()
    shutil.copytree(made[kind], copy)
    OF_OTHERS[kind][name](copy)
    sealed_again(copy)
    assert verify(copy).faults


@slow
@pytest.mark.parametrize(("kind", "name"), sorted(UNSEEN))
def test_what_cannot_be_derived_again_is_found_by_its_digest(made, tmp_path, kind, name):
    copy = shutil.copytree(made[kind], tmp_path / made[kind].name)
    OF_OTHERS[kind][name](copy)
    assert verify(copy, reports=False).faults


def measured(place, number):
    """A directory of arrays, each of another kind."""
    rng = np.random.default_rng(number)
    n = int(rng.integers(10, 40))
    layers = {
        f"layer_{i}": rng.normal(size=(n, int(rng.integers(1, 8)))) * 10.0 ** rng.integers(-3, 4) for i in range(2)
    }
    if number % 5 == 0:
        layers["layer_1"] = np.repeat(layers["layer_1"][: n // 2], 2, axis=0)[:n]
    settings = {
        "scale": ("none", "median", "rms", "sphere")[number % 4],
        "maxdim": (1, 2)[number % 7 == 0],
        "null_draws": (0, 19)[number % 3 == 0],
        "resamples": (0, 24)[number % 2],
        "components": (None, 2, 50)[number % 3],
    }
    if number % 6 == 5:
        settings["landmarks"] = n // 2
    profile = td.measure(layers, name=f"m{number}", **settings)
    from todacomm.profiles.measure import CrossCheck

    write_measured(place, profile, CrossCheck(()), source=place)
    return place


@slow
def test_nothing_is_found_in_a_hundred_sound_directories(tmp_path, no_figures):
    for number in range(100):
        place = measured(tmp_path / str(number), number)
        assert verify(place, reports=False).faults == (), number


def test_the_command_says_what_is_wrong_and_fails(todacomm, tmp_path, no_figures):
    place = measured(tmp_path / "mine", 3)
    assert todacomm("verify", place, "--records-only")[0] == 0
    edited(place / "tda_summaries.json", "layer_0", "H0_entropy", more)
    code, out, err = todacomm("verify", place, "--records-only")
    assert (code, out) == (1, "")
    told = one_line(err)
    assert "tda_summaries.json" in told
    sealed_again(place)
    code, out, _ = todacomm("verify", place, "--records-only", "--json")
    (found,) = json.loads(out)
    assert code == 1
    assert "tda_summaries.json" in {fault["file"] for fault in found["faults"]}
    assert any(fault["what"].startswith("layer_0.H0_entropy is ") for fault in found["faults"])
    code, _, err = todacomm("verify", tmp_path)
    assert code == 2
    assert "holds no records" in err
