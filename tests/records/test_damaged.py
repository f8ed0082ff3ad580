"""Any change of a record gives a message that names it, never a traceback or an invented number."""

import copy
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file

from stored import an_ablation, profile_of, write_experiment
from todacomm.records.files.io import SEAL, write_arrays
from todacomm.records.runs import runs_of
from todacomm.runs.ablation import write
from todacomm.runs.run_study import compared, write_compared

RUN = "one/runs/run_0"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An experiment with claims and texts, a comparison of two, an ablation; without figures."""
    place = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        for name in (
            "comparison.all_charts.write_comparison_charts",
            "ablation.ablation_charts.write_ablation_figures",
        ):
            patch.setattr(f"todacomm.report.{name}", lambda *_, **__: [])
        profiles = [profile_of("a", 0, claims=True), profile_of("b", 1)]
        for name, profile in zip(("one", "two"), profiles, strict=True):
            write_experiment(place / name, [profile])
        runs = dict(zip(map(id, profiles), (runs_of(place / name)[0] for name in ("one", "two")), strict=True))
        write_compared(compared(profiles), place, name="both", run_of=lambda p: runs[id(p)])
        write(an_ablation(), place, "some", {}, "todacomm ablate")
    for kind in ("comparison_both", "ablation_some"):
        next(place.glob(f"{kind}_*")).rename(place / kind)
    return place


@pytest.fixture
def damaged(whole, tmp_path, todacomm):
    """Copies of the records, and the command line in their directory."""
    for path in whole.iterdir():
        shutil.copytree(path, tmp_path / path.name, dirs_exist_ok=True)
    return todacomm


def edited(path, change):
    found = json.loads(path.read_text(encoding="utf-8"))
    change(found)
    path.write_text(json.dumps(found), encoding="utf-8")


def unsealed(directory):
    """The records of a directory as an earlier todacomm wrote them: without digests."""
    for path in directory.rglob("*.json"):
        edited(path, lambda found: (found.pop(SEAL, None), found.pop("files", None)))


def summaries(change):
    return lambda run: edited(run / "tda_summaries.json", change)


def manifest(change):
    return lambda run: edited(run / "manifest.json", change)


def claims(change):
    return lambda run: edited(run / "tda_claims.json", change)


def texts(change):
    return lambda run: edited(run / "texts.json", change)


def arrays(change, name="diagrams.safetensors"):
    def apply(run):
        found = load_file(run / name)
        change(found)
        write_arrays(run / name, found, {"schema": 1})

    return apply


def swapped(found):
    found["layer_0"], found["layer_1"] = found["layer_1"], found["layer_0"]


def deaths_first(found):
    found["layer_0/H1"] = found["layer_0/H1"][:, ::-1]


def exchanged(found):
    found["layer_0/H0"], found["layer_1/H0"] = found["layer_1/H0"], found["layer_0/H0"]


def last_byte_changed(path):
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


# what is changed → what is wrong with it, also where no digest tells (None: only a digest can)
PLANTED = {
    "H1 max times ten": (summaries(lambda s: s["layer_0"].update(H1_max_lifetime=10 * s["layer_0"]["H1_max_lifetime"])),
        "of its bars"),
    "H0 total": (summaries(lambda s: s["layer_0"].update(H0_total_persistence=1e9)), "of its bars"),
    "H0 count": (summaries(lambda s: s["embedding"].update(H0_count=22)), "of its bars"),
    "a number that is a text": (summaries(lambda s: s["layer_0"].update(H1_entropy="much")),
        "expected a finite number"),
    "a number that is missing": (summaries(lambda s: s["layer_0"].pop("points")), "lacks points"),
    "layers swapped": (summaries(swapped), "of its bars"),
    "a layer too few": (summaries(lambda s: s.pop("layer_1")), "different layers"),
    "a layer of another name": (summaries(lambda s: s.update(layer_7=s.pop("layer_1"))), "different layers"),
    "variance above 1": (summaries(lambda s: s["layer_0"].update(variance_kept=1.5)), "from 0 to 1"),
    "a scale below 0": (summaries(lambda s: s["layer_0"].update(scale=-1.0)), "0 or more"),
    "a fact": (summaries(lambda s: s["layer_0"].update(norm=0.5)), None),
    "deaths before births": (arrays(deaths_first), "die before they are born"),
    "a death that is no number": (arrays(lambda a: a["layer_0/H1"].__setitem__((0, 1), np.nan)), "not finite"),
    "diagrams exchanged": (arrays(exchanged), "of its bars"),
    "a diagram that is missing": (arrays(lambda a: a.pop("layer_1/H1")), "lacks layer_1/H1; expected float of shape"),
    "another model": (manifest(lambda m: m.update(model="gpt5")), None),
    "another recipe": (manifest(lambda m: m["recipe"].update(scale="median")), None),
    "a recipe that there is not": (manifest(lambda m: m["recipe"].update(maxdim=9)), "maxdim is 9"),
    "an expansion": (manifest(lambda m: m["expansions"][0]["growth"].update(ratio=99.0)), None),
    "p below 0": (claims(lambda c: c["layers"]["layer_0"]["tests"]["gaussian"]["H1_loop"].update(p=-1)), "from 0 to 1"),
    "an interval upside down": (claims(lambda c: c["layers"]["layer_0"]["intervals"]["H0_entropy"].update(low=9,
        high=1)), "from 9 to 1"),
    "a confidence of 95": (claims(lambda c: c.update(confidence=95)), "from 0 to 1"),
    "edited texts": (texts(lambda t: t["items"].__setitem__(0, "edited")), "sha256"),
    "a perplexity": (lambda run: edited(run / "metrics.json", lambda m: m.update(perplexity="low")),
        "expected a finite number"),
    "activations": (lambda run: last_byte_changed(next(run.glob("activations/*"))), None),
}  # fmt: skip


@pytest.mark.parametrize("what", PLANTED)
def test_what_was_changed_is_named_and_not_shown(damaged, tmp_path, monkeypatch, what):
    monkeypatch.setattr("todacomm.runs.rebuild_reports.write_figures", lambda *_: [])
    change, message = PLANTED[what]
    change(tmp_path / RUN)
    code, out, err = damaged("report", "one")
    assert code in (1, 2)
    told = " ".join(err.split())
    assert "is not as it was written" in told or (message and message in told)
    assert "Traceback" not in err
    assert code == 1 or not out


@pytest.mark.parametrize("what", [what for what, (_, message) in PLANTED.items() if message is not None])
def test_ranges_are_checked_where_a_record_has_no_digests(damaged, tmp_path, monkeypatch, what):
    monkeypatch.setattr("todacomm.runs.rebuild_reports.write_figures", lambda *_: [])
    unsealed(tmp_path / "one")
    assert damaged("report", "one")[0] == 0
    change, message = PLANTED[what]
    change(tmp_path / RUN)
    code, _, err = damaged("report", "one")
    assert code in (1, 2)
    assert message in " ".join(err.split())
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "path", ["one/runs/run_0/manifest.json", "comparison_both/comparison.json", "ablation_some/ablation.json"]
)
@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_sealed_record_that_was_changed_is_not_shown(damaged, tmp_path, path, form):
    directory = path.split("/", maxsplit=1)[0]
    assert damaged("show", directory, *form)[0] == 0
    edited(tmp_path / path, lambda found: found.update(command="rm"))
    code, out, err = damaged("show", directory, *form)
    assert (code, out) == (2, "")
    assert "is not as it was written" in " ".join(err.split())


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"schema": NaN}', '{"schema": 1' + "0" * 5000 + "}", "\ufeff{}", "null", "[]", '"x"']
)
@pytest.mark.parametrize(
    "path",
    [f"{RUN}/manifest.json", f"{RUN}/tda_summaries.json", f"{RUN}/texts.json", "comparison_both/comparison.json"],
)
def test_json_that_is_no_record_is_a_message(damaged, tmp_path, path, text):
    (tmp_path / path).write_text(text, encoding="utf-8")
    code, _, err = damaged("show", path.split("/", maxsplit=1)[0])
    assert code == (0 if path.endswith("texts.json") else 2)  # show needs no texts
    assert "Traceback" not in err
    assert "Nobody foresaw" not in err


# One value at random

ODD = (None, True, -1, 0, 10**400, 1.5, -2.5e300, "", "x", "H0", [], [1], {}, {"a": 1})


def places(found, path=()):
    """The path of every value of a JSON record."""
    inside = found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
    for key, value in inside:
        yield (*path, key)
        yield from places(value, (*path, key))


def with_value(found, path, value):
    changed = copy.deepcopy(found)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


RECORDS = [
    f"{RUN}/{name}" for name in ("manifest.json", "tda_summaries.json", "tda_claims.json", "texts.json", "metrics.json")
]
RECORDS += ["comparison_both/comparison.json", "ablation_some/ablation.json"]


@pytest.mark.slow
@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("command", ["show", "report", "show --json"])
def test_one_value_that_was_changed_never_ends_in_a_traceback(damaged, tmp_path, monkeypatch, record, command):
    """300 changes of values at random, in records without digests, which are the last guard."""
    for name in (
        "todacomm.runs.rebuild_reports.write_figures",
        "todacomm.report.comparison.all_charts.write_comparison_charts",
    ):
        monkeypatch.setattr(name, lambda *_: [])
    monkeypatch.setattr("todacomm.report.ablation.ablation_charts.write_ablation_figures", lambda *_, **__: [])
    unsealed(tmp_path)
    path, directory = tmp_path / record, record.split("/", maxsplit=1)[0]
    found = json.loads(path.read_text(encoding="utf-8"))
    rng, everywhere = np.random.default_rng(len(record)), list(places(found))
    for at in rng.choice(len(everywhere), 15):
        value = ODD[rng.integers(len(ODD))]
        path.write_text(json.dumps(with_value(found, everywhere[at], value)), encoding="utf-8")
        code, _, err = damaged(*command.split(), directory)
        assert code in (0, 1, 2)
        assert "Nobody foresaw" not in err, f"{everywhere[at]} = {value!r}: {err}"
        assert "Traceback" not in err
