"""The texts beside a run: what is kept of them, what is not, and what a damaged file says."""

import json
from dataclasses import replace

import pytest

from todacomm.core.errors import InvalidRecord
from todacomm.core.types import Texts, TokenFacts
from todacomm.records.texts import NONE_KEPT, TEXTS, TEXTS_RECORD, read_texts, texts_to_keep

FACTS = TokenFacts((4, 5, 2), (7, 8, 7), (3, 1, 3), (2.5, None, 0.25))
WORDS = Texts("notes", ("first <b>text</b>", "zweiter\u2028Text", "🙂 third"), ("Moss", "Fern", "Moss"))


def test_texts_are_read_as_they_were_written(tmp_path):
    TEXTS_RECORD.write(tmp_path, texts_to_keep(WORDS, whole=True))
    found = read_texts(tmp_path)
    assert (found.name, found.sha256, found.items) == ("notes", WORDS.sha256, WORDS.items)
    assert found.lengths == (17, 12, 7)
    assert [found.group_names[group] for group in found.groups] == list(WORDS.groups)
    assert len(found) == 3
    record = json.loads((tmp_path / TEXTS).read_text(encoding="utf-8"))
    keys = ["schema", "name", "sha256", "lengths", "groups", "group_names", "items", "tokens", "columns"]
    assert list(record) == keys


def test_tokens_and_columns_are_kept_and_left_out_with_the_texts(tmp_path):
    with_columns = Texts(
        WORDS.name, WORDS.items, WORDS.groups, {"plant": ("Moss", None, "Moss"), "hour%24": (1, 2.5, 3)}
    )
    TEXTS_RECORD.write(tmp_path, texts_to_keep(with_columns, FACTS, whole=True))
    found = read_texts(tmp_path)
    assert (found.tokens, found.columns) == (FACTS, with_columns.columns)
    path = TEXTS_RECORD.write(tmp_path, texts_to_keep(with_columns, FACTS, whole=False))
    found = read_texts(tmp_path)
    assert (found.tokens, found.columns) == (replace(FACTS, last=None), None)
    assert "Moss" not in path.read_text(encoding="utf-8")


def test_a_run_of_before_is_read_without_tokens_and_columns(tmp_path):
    path = TEXTS_RECORD.write(tmp_path, texts_to_keep(WORDS, FACTS, whole=True))
    old = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("tokens", "columns")}
    path.write_text(json.dumps(old), encoding="utf-8")
    assert (read_texts(tmp_path).tokens, read_texts(tmp_path).columns) == (None, None)


def test_of_texts_that_are_left_out_lengths_and_numbers_of_groups_remain(tmp_path):
    path = TEXTS_RECORD.write(tmp_path, texts_to_keep(WORDS, whole=False))
    found = read_texts(tmp_path)
    assert (found.lengths, found.groups, found.group_names, found.items) == ((17, 12, 7), (0, 1, 0), None, None)
    written = path.read_text(encoding="utf-8")
    assert not [word for word in ("first", "Text", "third", "Moss", "Fern") if word in written]


def test_texts_of_no_known_group_have_none(tmp_path):
    TEXTS_RECORD.write(tmp_path, texts_to_keep(Texts("notes", ("a", "b", "c")), whole=True))
    assert (read_texts(tmp_path).groups, read_texts(tmp_path).group_names) == (None, None)


def test_a_run_without_the_file_keeps_no_texts(tmp_path):
    assert read_texts(tmp_path) == NONE_KEPT


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"schema": 2}, "has schema 2"),
        ({"items": ["a"]}, "as many lengths, groups and items"),
        ({"groups": [0, 1]}, "as many lengths, groups and items"),
        ({"groups": [0, 1, 2]}, "a group has no name"),
        ({"groups": [0, -1, 0]}, "a group has no name"),
        ({"items": ["a", 2, "c"]}, "items.1 is 2; expected a text"),
        ({"tokens": {"counts": [1], "last": None, "occurrences": [1], "losses": None}}, "as many lengths and values"),
        ({"columns": {"plant": ["Moss"]}}, "as many lengths and values of tokens and columns"),
        ({"columns": {"plant": [["Moss"]] * 3}}, "columns.plant.0 is .* expected a finite number or a text or null"),
        ({"lengths": "abc"}, "lengths is 'abc'; expected a list"),
        ({"lengths": None}, "lengths is None; expected a list"),
        ({"items": 7}, "items is 7; expected a list"),
    ],
)
def test_a_damaged_file_is_told_of(tmp_path, change, said):
    path = TEXTS_RECORD.write(tmp_path, texts_to_keep(WORDS, whole=True))
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **change}), encoding="utf-8")
    with pytest.raises(InvalidRecord, match=said):
        read_texts(tmp_path)


@pytest.mark.parametrize("content", ["[]", '{"schema": 1}', '{"schema": 1, "lengths"'])
def test_a_file_that_is_no_record_is_told_of(tmp_path, content):
    (tmp_path / TEXTS).write_text(content, encoding="utf-8")
    with pytest.raises(InvalidRecord, match=TEXTS):
        read_texts(tmp_path)


def holding(directory, words):
    """The files below a directory in which one of these words stands, as it is or as JSON writes it."""
    forms = [form.encode() for word in words for form in (word, json.dumps(word)[1:-1])]
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.name for path in files if any(form in path.read_bytes() for form in forms)}


SECRET = ("Plinthe zwölf", "the bursar's anemone", "<i>quorum of weasels</i>")


@pytest.mark.usefixtures("no_figures")
@pytest.mark.parametrize(("options", "expected"), [((), {TEXTS, "report.html"}), (("--no-texts",), set())])
def test_no_texts_keeps_every_text_out_of_records_and_page(todacomm, tmp_path, monkeypatch, options, expected):
    monkeypatch.setattr("todacomm.runs.run_study.write_figures", lambda *_: [])
    monkeypatch.setattr(
        "todacomm.models.datasets.sources", {"memoir": lambda: Texts("memoir", SECRET * 4, ("Zimt",) * 12)}
    )
    monkeypatch.setattr("todacomm.runs.run_study.jobs_of", jobs_of_memoir)
    chosen = ("--layers", "layer_5", "--samples", "12", "--resamples", "0", "--null-draws", "0", "--no-language")
    code, _, err = todacomm("run", "--model", "tiny-preln-decoder", "--pool", "mean", *chosen, *options, "-q")
    assert (code, err) == (0, "")
    assert holding(tmp_path / "experiments", [*SECRET, "Zimt", "anemone"]) == expected


def jobs_of_memoir(study):
    """The jobs of a study on texts of one group that are in no file."""
    from todacomm.runs.jobs import jobs_of

    return jobs_of(study.but(datasets=("memoir",)))
