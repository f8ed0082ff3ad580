"""What a package of others adds, in one file each, is found in the command line, the records and the report."""

import json
import os
import re
import subprocess
import sys

import pytest

PLUGIN = '''
"""One of each."""

import numpy as np

from todacomm.clouds.array_formats import CLOUD, Held, Opened, array_format
from todacomm.homology.engines import engine, ripser
from todacomm.homology.metrics import lifetimes, metric
from todacomm.models.datasets import Texts, sources
from todacomm.models.pooling import pooling
from todacomm.models.text_files import text_format
from todacomm.report.document.pieces import Paragraph, section
from todacomm.statistics.layer_statistics import statistic
from todacomm.statistics.null_models import null_model


@metric("middle_lifetime", degree=1, label="median lifetime")
def middle_lifetime(bars):
    """The median finite lifetime; undefined for an empty diagram."""
    return float(np.median(lifetimes(bars))) if len(bars) else None


@engine("lent", "lent")
def lent(condensed, *, maxdim, threshold):
    return ripser(condensed, maxdim=maxdim, threshold=threshold)


@null_model("mirrored", "clouds in which each value has a random sign")
def mirrored(layers, rng):
    return [points * rng.choice([-1, 1], size=points.shape) for points in layers]


@statistic("H1_share", head="H1 share", needs=("H0_total_persistence", "H1_total_persistence"),
           sentence="H1 share: of the length of all bars, that of H1.")
def share(given):
    h0, h1 = map(given.of, ("H0_total_persistence", "H1_total_persistence"))
    return given.tested(h1 / (h0 + h1))


@section("greeting", title="A word of others")
def greeting(profile, _context):
    yield Paragraph(f"Greetings to {profile.model}.")


@pooling("second")
def second(hidden, mask):
    return hidden[:, 1]


@sources.register("counting")
def counting():
    return Texts("counting", tuple(f"The {i} texts of a long list are counted." for i in range(40)))


@text_format(".stanzas", "texts between blank lines")
def stanzas(file):
    return file.content.split("\\n\\n")


@array_format(".raw", called="raw numbers in four columns")
def raw(path):
    numbers = np.fromfile(path).reshape(-1, 4)
    return Opened({CLOUD: Held(numbers.shape, "<f8")}, lambda names: [(name, numbers) for name in names])
'''


@pytest.fixture
def environment(tmp_path):
    """The environment of a new process in which the plugin is installed."""
    (tmp_path / "lent").mkdir()
    (tmp_path / "lent" / "lent_plugin.py").write_text(PLUGIN, encoding="utf-8")
    about = tmp_path / "lent" / "lent-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: lent\nVersion: 1.0\n", encoding="utf-8")
    (about / "entry_points.txt").write_text("[todacomm.plugins]\nlent = lent_plugin\n", encoding="utf-8")
    place = os.pathsep.join([str(tmp_path / "lent"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": place, "COLUMNS": "200"}


def test_no_plugin_is_imported_for_a_command_that_needs_none(environment):
    code = "import sys, todacomm.cli, todacomm.runs.config; print('lent_plugin' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.fixture
def run(tmp_path, environment):
    """Run the command line in that process."""

    def command(*arguments):
        done = subprocess.run(
            [sys.executable, "-m", "todacomm", *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    return command


def test_a_metric_an_engine_a_null_model_a_section_and_a_file_of_arrays_are_found(run, tmp_path, rng):
    rng.normal(size=(40, 4)).tofile(tmp_path / "cloud.raw")
    run(
        "measure",
        "cloud.raw",
        "--engine",
        "lent",
        "--nulls",
        "mirrored",
        "--null-draws",
        39,
        "--resamples",
        0,
        "--output",
        "out",
    )
    summaries = json.loads((tmp_path / "out" / "tda_summaries.json").read_text(encoding="utf-8"))
    [layer] = summaries.values()
    assert layer["H1_middle_lifetime"] > 0
    claims = json.loads((tmp_path / "out" / "tda_claims.json").read_text(encoding="utf-8"))
    assert claims["layers"]["cloud"]["tests"]["mirrored"]["H1_middle_lifetime"]["draws"] == 39
    for null in ("gaussian", "mirrored"):
        test = claims["layers"]["cloud"]["tests"][null]["H1_share"]
        shares = layer["H1_total_persistence"] / (layer["H0_total_persistence"] + layer["H1_total_persistence"])
        assert test["observed"] == pytest.approx(shares)
        assert 1 / 40 <= test["p"] <= 1
    said = " ".join((tmp_path / "out" / "tda_interpretation.md").read_text(encoding="utf-8").split())
    assert "Greetings to cloud." in said
    assert re.search(r"H1 share is (larger|smaller|nowhere shown to differ)", said)
    assert "tested against clouds in which each value has a random sign (39 draws)" in said


@pytest.mark.slow
def test_a_pooling_a_dataset_and_a_file_of_texts_are_found(run, tmp_path):
    (tmp_path / "poems.stanzas").write_text("\n\n".join(f"The {i} lines\nof a verse." for i in range(40)))
    run("run", "--model", "tiny-preln-decoder", "--datasets", "counting,poems.stanzas", "--samples", 40, "--pool",
        "second",
        "--nulls", "mirrored", "--null-draws", 19, "--resamples", 0, "--no-language", "--output", "mine")  # fmt: skip
    manifests = [
        json.loads(path.read_text("utf-8")) for path in tmp_path.glob("experiments/mine_*/runs/*/manifest.json")
    ]
    assert sorted(found["data"] for found in manifests) == ["counting", "poems"]
    assert {found["recipe"]["pooling"] for found in manifests} == {"second"}
    page = next(tmp_path.glob("experiments/mine_*/reports/report.html")).read_text(encoding="utf-8")
    assert "Greetings to tiny-preln-decoder." in page
    assert "clouds in which each value has a random sign" in page
    assert re.search(r"<th[^>]*>H1 share</th>", page)
    assert "H1 share: of the length of all bars, that of H1." in page
