"""``equality.py`` finds what is planted: differences of each kind of file, and not those that it masks."""

import json
import sys

import numpy as np
import pytest
from safetensors.numpy import save

import equality
from normalised import Mask, keep, kept_page

VERSION = "1.2.3"
MANIFEST = {
    "created": "2026-01-02T03:04:05+00:00",
    "peak_memory": 1000,
    "seconds": {"figures": 1.5},
    "versions": {"todacomm": VERSION, "numpy": "2.0"},
    "files": {"metrics.json": "ab12"},
    "seal": "cd34",
}
SUMMARY = {"embedding": {"H0_count": 3, "scale": 0.1}, "final": {"H0_count": 4, "scale": 0.30000000000000004}}
TENSORS = {"final/H0": np.arange(6.0).reshape(3, 2), "final/H1": np.zeros((0, 2))}
FILES = {
    "run_20260102_030405/manifest.json": json.dumps(MANIFEST, indent=2),
    "run_20260102_030405/summaries.json": json.dumps(SUMMARY, indent=2),
    "run_20260102_030405/records.jsonl": '{"step": 0, "loss": 1.5}\n{"step": 20, "loss": 0.5}\n',
    "run_20260102_030405/rows.csv": "layer,points,scale\nembedding,60,1.5\nfinal,60,2.5\n",
    "run_20260102_030405/diagrams.safetensors": save(TENSORS, metadata={"todacomm": '{"schema": 1}'}),
    "run_20260102_030405/report.md": f"# Finding\n\ntodacomm {VERSION}, 35 over 2 runs (wall clock)\n\nIt grows.\n",
    "run_20260102_030405/figure.png": b"\x89PNG",
}


def making(directory, files):
    """A directory as ``make`` leaves it, of files that are given."""
    for name, content in files.items():
        path = directory / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    kept = keep(directory, [directory / "made" / name for name in files], VERSION)
    (directory / equality.DIGESTS).write_text(json.dumps({"files": kept}))
    return directory


@pytest.fixture
def comparison(tmp_path, capsys, monkeypatch):
    """The exit code and what is printed where files of the second making are others (None: it is missing)."""

    def compare(changed, *options):
        second = {name: changed.get(name.partition("/")[2], content) for name, content in FILES.items()}
        first = making(tmp_path / "a", FILES)
        other = making(tmp_path / "b", {name: content for name, content in second.items() if content is not None})
        monkeypatch.setattr(sys, "argv", ["equality.py", "compare", str(first), str(other), *options])
        return equality.main(), capsys.readouterr().out

    return compare


def test_equal_makings_are_equal(comparison):
    code, said = comparison({})
    assert (code, said) == (0, "records: all 5 files are equal\nreports: all 2 files are equal\n")


def test_moments_durations_memory_and_seals_are_masked_and_nothing_beside(comparison):
    later = {"created": "2027-11-12T13:14:15+01:00", "peak_memory": 7, "seconds": {"figures": 9.0}, "seal": "ff"}
    assert comparison({"manifest.json": json.dumps(MANIFEST | later, indent=2)})[0] == 0
    code, said = comparison(
        {"manifest.json": json.dumps(MANIFEST | later | {"files": {"metrics.json": "ab13"}}, indent=2)}
    )
    assert code == 1
    assert "differs: run_TIME/manifest.json\n      files.metrics.json: " in said


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("summaries.json", json.dumps(SUMMARY, indent=2).replace("0.30000000000000004", "0.3"),
         "final.scale: 0.30000000000000004 → 0.3"),
        ("summaries.json", json.dumps(SUMMARY, indent=2).replace("3,", "3.0,"), "embedding.H0_count: 3 → 3.0"),
        ("summaries.json", json.dumps({**SUMMARY, "layer_0": {}}, indent=2), "layer_0 is new"),
        ("summaries.json", json.dumps({"embedding": SUMMARY["embedding"]}, indent=2), "final is missing"),
        ("summaries.json", json.dumps(dict(reversed(SUMMARY.items())), indent=2), "the keys stand in another order"),
        ("summaries.json", json.dumps(SUMMARY, indent=1), "the same values in other bytes"),
        ("manifest.json", json.dumps(MANIFEST), "the same values in other bytes"),
        ("records.jsonl", '{"step": 0, "loss": 1.5}\n{"step": 20, "loss": 0.25}\n', "line 2: loss: 0.5 → 0.25"),
        ("records.jsonl", '{"step": 0, "loss": 1.5}\n', "line 2 is missing"),
        ("rows.csv", "layer,points,scale\nembedding,60,1.5\nfinal,60,2.25\n", "line 3: scale: 2.5 → 2.25"),
        ("rows.csv", "layer,scale,points\nembedding,1.5,60\nfinal,2.5,60\n",
         "line 1: points: points → scale, scale: scale → points"),
        ("diagrams.safetensors", save(TENSORS | {"final/H0": np.arange(6.0).reshape(3, 2)[::-1].copy()},
                                      metadata={"todacomm": '{"schema": 1}'}), 'tensors.final/H0: "F64 [3, 2] '),
        ("diagrams.safetensors", save({"final/H0": TENSORS["final/H0"]}, metadata={"todacomm": '{"schema": 1}'}),
         "tensors.final/H1 is missing"),
        ("diagrams.safetensors", save(TENSORS, metadata={"todacomm": '{"schema": 2}'}),
         "metadata.todacomm.schema: 1 → 2"),
        ("report.md", "# Finding\n\nA line more.\n\ntodacomm 1.2.3, 44 over 2 runs (wall clock)\n\nIt shrinks.\n",
         "line 5: It grows. → It shrinks."),
        ("summaries.json", None, "missing: run_TIME/summaries.json"),
        ("figure.png", None, "missing: run_TIME/figure.png"),
    ],
)  # fmt: skip
def test_a_planted_difference_is_told(comparison, name, content, told):
    code, said = comparison({name: content})
    assert code == 1
    assert told in said
    assert "1 of" in said


def test_keys_of_the_cache_are_masked_and_tensors_under_them_are_not(tmp_path):
    def kept(place, key, value):
        name = f"activations/{key[:16]}.safetensors"
        facts = {"entry": f"activations/{key}", "pooling": "mean"}
        arrays = save({"final": np.full(3, value)}, metadata={"todacomm": json.dumps(facts), "sha256": key})
        return making(place, {name: arrays, "manifest.json": json.dumps({"files": {name: key}})})

    first, same, other = (kept(tmp_path / f"{i}", f"{i}" * 64, value) for i, value in enumerate((1.0, 1.0, 2.0)))
    assert equality.compared(first, same, equality.RECORDS, 5) == []
    told = equality.compared(first, other, equality.RECORDS, 5)
    assert [line.partition(":")[0].strip() for line in told] == ["differs", "tensors.final"]


def test_reports_are_apart_and_may_be_left_out(comparison):
    words = {"report.md": "# Other words\n"}
    assert "records: all 5 files are equal\nreports: 1 of 2 files differ" in comparison(words)[1]
    assert comparison(words, "--records") == (0, "records: all 5 files are equal\n")


def test_what_is_new_is_told_and_long_lists_are_cut(tmp_path, capsys):
    first = making(tmp_path / "a", {"x.json": json.dumps(dict.fromkeys("abcdefgh", 1))})
    second = making(tmp_path / "b", {"x.json": json.dumps(dict.fromkeys("abcdefgh", 2)), "y.csv": "a\n1\n"})
    assert equality.compare(first, second, limit=2, classes=(equality.RECORDS,)) == 1
    said = capsys.readouterr().out
    assert "new: y.csv" in said
    assert "b: 1 → 2\n      and 6 more\n" in said


def test_of_a_page_words_and_data_are_kept_and_pictures_scripts_and_styles_are_not(tmp_path):
    page = (
        "<head><meta http-equiv='Content-Security-Policy' content='sha256-xyz'><style>p {}</style></head><body><p>made "
        "2026-01-02T03:04:05+00:00</p><img src='data:image/png;base64,AAAA'><table><td>long<wbr>name</td></table>"
        '<script type="application/json" id="page-data">{"rows": [1.5], "shielded": "\\u003c/script\\u003e"}</script>'
        "<script>draw()</script></body>"
    ).replace("<style>", "\n<style>")
    kept = json.loads(kept_page(page, Mask(tmp_path, VERSION)))
    assert kept == {"words": ["made TIME", "longname"], "data": {"rows": [1.5], "shielded": "</script>"}}


def test_a_making_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SystemExit, match="digests.json cannot be read"):
        equality.compare(tmp_path, tmp_path, limit=5, classes=(equality.RECORDS,))


def test_a_making_is_never_written_over(tmp_path):
    with pytest.raises(SystemExit, match="is there already"):
        equality.make(tmp_path, equality.ROOT / "src")
