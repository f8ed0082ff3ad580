"""Names to texts: the bundled corpora, files, and datasets of the hub (here from a local directory)."""

import gzip
import hashlib
import json
import sys
from collections import Counter
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

import todacomm.models.datasets as module
from todacomm.core.errors import InvalidInput, InvalidTexts, MissingExtra, UnknownName
from todacomm.core.types import Texts
from todacomm.models.datasets import HubDataset, sources, texts

WIKITEXT2_SHA256 = "173c87a53759e0201f33e0ccf978e510c2042d7f2cb78229d9a50d79b9e7dd08"


@pytest.fixture(params=sorted(sources))
def dataset(request):
    return request.param


@pytest.fixture
def written(tmp_path):
    """Write bytes or a string under a name; gives the path as a string."""

    def write(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return str(path)

    return write


def assert_refused(message, source, samples=None, error=InvalidTexts):
    with pytest.raises(error) as caught:
        texts(source, samples)
    assert message in str(caught.value)


def data(name):
    return files("todacomm").joinpath("data", name).read_bytes()


# What ships


def test_the_bundled_wikitext2_is_the_canonical_test_file():
    assert hashlib.sha256(data("wikitext2_test.txt")).hexdigest() == WIKITEXT2_SHA256


def test_the_first_500_rows_of_wikitext2_come_from_11_articles():
    first = texts("wikitext2", 500)
    assert len(first) == 500
    assert len(set(first.groups)) == 11
    assert first.groups[0] == "Robert Boulter"
    assert first.groups[-1] == "The Portage to San Cristobal of A.H."


def test_wikitext2_has_60_articles_and_formulas_open_none():
    """Two wrapped formulas, `= 1 henry and capacitance C =` and its like, look as titles do."""
    everything = texts("wikitext2")
    assert len(everything) == 2891
    assert len(set(everything.groups)) == 60
    formula = everything.items.index("= 1 henry and capacitance C =")
    assert everything.groups[formula] == "Constant k filter"


def test_each_article_of_wikitext2_is_one_run_that_opens_with_its_title():
    everything = texts("wikitext2")
    opened = [i for i, group in enumerate(everything.groups) if i == 0 or everything.groups[i - 1] != group]
    assert [everything.items[i] for i in opened] == [f"= {title} =" for title in dict.fromkeys(everything.groups)]


def test_headings_are_kept():
    assert texts("wikitext2", 3).items[0] == "= Robert Boulter ="
    assert "= = Career = =" in texts("wikitext2", 10).items


def test_squad_is_646_distinct_paragraphs_of_16_articles():
    paragraphs = texts("squad")
    assert len(paragraphs) == len(set(paragraphs.items)) == 646
    assert len(set(paragraphs.groups)) == 16
    assert Counter(paragraphs.groups)["Normans"] == 39
    assert paragraphs.items[0].startswith("The Normans (Norman: Nourmands; French: Normands; Latin: Normanni)")


@pytest.mark.parametrize(
    ("licence", "name", "url"),
    [
        ("LICENSE-wikitext2.txt", "CC BY-SA 3.0", "https://creativecommons.org/licenses/by-sa/3.0/"),
        ("LICENSE-squad.txt", "CC BY-SA 4.0", "https://creativecommons.org/licenses/by-sa/4.0/"),
    ],
)
def test_the_licence_ships_beside_the_text(licence, name, url):
    notice = data(licence).decode()
    assert name in notice
    assert url in notice


def test_every_named_dataset_holds_stripped_texts_with_a_group_each(dataset):
    found = texts(dataset)
    assert found.name == dataset
    assert len(found.groups) == len(found)
    assert all(found.groups)
    assert all(item and item == item.strip() for item in found.items)


# How many


def test_the_default_is_the_first_n_in_file_order(dataset):
    assert texts(dataset, 40).items == texts(dataset).items[:40]


def test_shuffled_texts_are_distinct_rows_and_keep_their_groups(dataset):
    everything, drawn = texts(dataset), texts(dataset, 40, shuffle=True, seed=7)
    rows = Counter(zip(everything.items, everything.groups, strict=True))
    assert Counter(zip(drawn.items, drawn.groups, strict=True)) <= rows
    assert drawn.items != everything.items[:40]


def test_texts_that_are_drawn_know_their_place_in_the_corpus(dataset):
    everything, drawn = texts(dataset), texts(dataset, 40, shuffle=True, seed=7)
    places = drawn.columns["place in the corpus"]
    assert [everything.items[int(place)] for place in places] == list(drawn.items)
    assert texts(dataset, 40).columns == {}


def test_the_seed_decides_what_is_drawn(dataset):
    again = [texts(dataset, 40, shuffle=True, seed=seed).sha256 for seed in (7, 7, 8)]
    assert again[0] == again[1] != again[2]


def test_a_shuffled_sample_opens_the_shuffled_whole():
    assert texts("squad", 40, shuffle=True).items == texts("squad", shuffle=True).items[:40]


def test_fewer_texts_than_asked_is_an_error_that_says_how_many_there_are():
    assert_refused("647 texts asked for, but the dataset 'squad' holds 646", "squad", 647)
    assert_refused("700 texts asked for, but the dataset 'squad' holds 646 that are not blank", "squad", 700)
    assert_refused("ask for 646 samples or fewer", "squad", 700)
    assert len(texts("squad", 646)) == 646


@pytest.mark.parametrize("samples", [2, 0, -1])
def test_fewer_than_three_samples_are_no_cloud(samples):
    assert_refused(f"{samples} samples asked for; a point cloud needs at least 3", "squad", samples, InvalidInput)


def test_an_unknown_name_suggests_a_neighbour_and_the_other_forms():
    assert_refused("Did you mean 'wikitext2'? Known: wikitext2, squad.", "wikitxt2", error=UnknownName)
    assert_refused("path.csv[:field] with a header and one text a row, or hf:owner/name", "wikitxt2", error=UnknownName)


def test_a_registered_dataset_is_found_by_its_name(monkeypatch):
    monkeypatch.setattr(sources, "_entries", dict(sources._entries))
    sources.add("letters", lambda: Texts("letters", ("a", "b", "c")))
    assert texts("letters").items == ("a", "b", "c")


# Files


def test_a_text_file_is_one_text_a_line(written):
    path = written("notes.txt", "\ufeff one \n\n \t\ntwo\r\nthree\rfour\u2028and on")
    found = texts(path)
    assert found.items == ("one", "two", "three", "four\u2028and on")
    assert (found.name, found.groups) == ("notes", None)


lines = st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), max_size=12)


@given(lines)
def test_a_text_file_and_a_jsonl_file_of_the_same_lines_are_the_same_texts(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("same")
    rows = ["a", "b", "c", *rows]
    (folder / "t.txt").write_bytes("\n".join(rows).encode())
    (folder / "t.jsonl").write_bytes("\n".join(json.dumps({"text": row}) for row in rows).encode())
    expected = tuple(row.strip() for row in rows if row.strip())
    assert texts(str(folder / "t.txt")).items == texts(str(folder / "t.jsonl")).items == expected


def test_a_jsonl_file_takes_a_field(written):
    path = written(
        "rows.jsonl", '{"body": "a", "text": "x"}\n\n{"body": " b ", "text": "y"}\n{"body": "c", "text": "z"}'
    )
    assert texts(f"{path}:body").items == ("a", "b", "c")
    assert texts(path).items == ("x", "y", "z")
    assert texts(f"{path}:body").name == "rows"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            '{"body": "b"}',
            "rows.jsonl', line 3: there is no field 'text'. Fields: body. Name one with path.jsonl:field",
        ),
        ("{}", "line 3: there is no field 'text'. Fields: none."),
        ('{"text": ', "line 3: not JSON (Expecting value, column 10); expected one object a line"),
        ('"text"', "line 3: a string; expected an object with the field 'text'"),
        ("[1]", "line 3: a list; expected an object"),
        ('{"text": 5}', "line 3: the field 'text' holds a number; expected a string"),
        ('{"text": null}', "line 3: the field 'text' holds null; expected a string"),
        ('{"text": "\\ud83d"}', "line 3: the field 'text' holds half a surrogate pair"),
    ],
)
def test_a_broken_row_is_named_by_its_line(written, row, message):
    assert_refused(message, written("rows.jsonl", f'{{"text": "a"}}\n\n{row}\n'))


@pytest.mark.parametrize(("name", "content"), [("e.txt", ""), ("e.txt", " \n\t\n"), ("e.jsonl", '{"text": " "}\n')])
def test_a_file_without_text_is_refused(written, name, content):
    assert_refused("holds no text: it is empty, or all of it is blank", written(name, content))


@pytest.mark.parametrize(("content", "count"), [("a\n", "1 text that is"), ("a\nb\n", "2 texts that are")])
def test_a_file_of_fewer_than_three_texts_is_refused(written, content, count):
    assert_refused(f"holds {count} not blank; a point cloud needs at least 3", written("few.txt", content))


def test_bytes_that_are_not_utf8_are_named_by_their_offset(written):
    path = written("latin.txt", b"one\ntwo\ncaf\xe9 noir\n")
    assert_refused("is not UTF-8: byte 0xe9 at offset 11 (line 3) belongs to no character", path)


def assert_match(message, source):
    with pytest.raises(InvalidTexts, match=message):
        texts(source)


ROWS = ("one text", "two texts, with \u00e9", "three texts")


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("ending", [".txt", ".jsonl", ".JSONL"])
def test_a_packed_file_holds_the_same_texts(tmp_path, ending, packed):
    lines = ROWS if ending == ".txt" else [json.dumps({"text": row, "other": 5}) for row in ROWS]
    path = tmp_path / f"poems{ending}{'.gz' * packed}"
    data = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    found = texts(str(path))
    assert (found.name, found.items) == ("poems", ROWS)
    if ending != ".txt":
        assert texts(f"{path}:text") == found


def test_a_damaged_pack_is_refused(tmp_path):
    path = tmp_path / "poems.txt.gz"
    for data in (
        gzip.compress(b"one\ntwo\nthree\n" * 99)[:-12],
        b"no gzip",
        gzip.compress(b"one\n" * 99)[:12] + b"xxxxxxxxx",
    ):
        path.write_bytes(data)
        assert_match("poems.txt.gz' (is damaged|cannot be read)", path)


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("text", ["\n".join(ROWS), "a\nb\nc", "Ein Text. \u042f \u0431\u0443\u043a\u0432\u0430\n" * 5])
def test_another_unicode_is_refused_with_what_to_do(tmp_path, encoding, text):
    """Without its mark, UTF-16 of Latin letters is valid UTF-8 with a U+0000 beside each of them."""
    path = tmp_path / "windows.txt"
    path.write_bytes(text.encode(encoding))
    assert_match(
        f"is not UTF-8 but {encoding[:6].upper()}.*save the file as UTF-8: iconv -f {encoding[:6].upper()}", path
    )


def test_a_zero_among_letters_is_no_other_encoding(tmp_path):
    path = tmp_path / "zeros.txt"
    path.write_text("one\ntw\0o and more\nthree", encoding="utf-8")
    assert texts(str(path)).items == ("one", "tw\0o and more", "three")


def test_rows_of_json_may_hold_what_python_does_not_take(tmp_path):
    path = tmp_path / "rows.jsonl"
    numbers = [f'{{"text": "{row}", "id": {"7" * 5000}, "x": NaN}}' for row in ROWS]
    path.write_text("\n".join(numbers), encoding="utf-8")
    assert texts(str(path)).items == ROWS
    path.write_text("\n".join([*numbers[:2], '{"text": ' + "9" * 5000 + "}"]), encoding="utf-8")
    assert_match("line 3: the field 'text' holds a number; expected a string", path)
    for deep in ("[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"text": ' * 50_000):
        path.write_text("\n".join([*numbers[:2], deep]), encoding="utf-8")
        assert_match("line 3: (brackets within brackets, too deep|not JSON)", path)


def test_what_is_not_a_file_of_texts_is_refused(written, tmp_path):
    assert_refused("is a directory; expected a .txt file with one text a line", str(tmp_path))
    assert_refused("there is no file", str(tmp_path / "none.txt"))
    assert_refused(
        "there is no file 'Salesforce/wikitext'. Datasets with a name: wikitext2, squad.", "Salesforce/wikitext"
    )
    assert_refused("table.tsv' is not a file of texts that todacomm reads", written("table.tsv", "a\nb\nc\n"))


# Columns beside the texts

TABLE = [
    {"text": "one, two", "plant": "moss", "hour%24": 3.5, "good": True},
    {"text": "  ", "plant": "gone", "hour%24": 99, "good": True},
    {"text": ' "three" ', "plant": "fern", "hour%24": None, "good": False},
    {"text": "four\nfive", "plant": None, "hour%24": 21, "good": True},
]
COLUMNS = {"plant": ("moss", "fern", None), "hour%24": (3.5, None, 21.0), "good": ("true", "false", "true")}


def test_the_other_columns_of_a_file_go_with_the_texts(written):
    found = texts(written("rows.jsonl", "\n".join(map(json.dumps, TABLE))))
    assert (found.items, found.columns) == (("one, two", '"three"', "four\nfive"), COLUMNS)
    content = (
        'text,plant,hour%24,good\n"one, two",moss,3.5,true\n  ,gone,99,true\n'
        '" ""three"" ", fern ,,false\r\n\n"four\nfive",,21,true\n'
    )
    assert texts(written("rows.csv", content)).columns == COLUMNS
    assert texts(written("rows.csv", content)) == found


def test_columns_stay_with_their_texts_when_these_are_drawn(written):
    rows = [{"text": f"text {i}", "number": i} for i in range(40)]
    drawn = texts(written("rows.jsonl", "\n".join(map(json.dumps, rows))), 12, shuffle=True)
    assert [f"text {number:g}" for number in drawn.columns["number"]] == list(drawn.items)
    assert drawn.columns["number"] != tuple(sorted(drawn.columns["number"]))


def test_lists_objects_long_texts_and_what_is_empty_are_no_columns(written):
    beside = {"tags": ["a"], "about": {"b": 1}, "abstract": "w" * 201, "nothing": None, "empty": "", "good": 2}
    rows = [{"text": f"text {i}", **beside, "late": 1} if i else {"text": "first", "good": 1} for i in range(4)]
    found = texts(written("rows.jsonl", "\n".join(map(json.dumps, rows))))
    assert found.columns == {"good": (1.0, 2.0, 2.0, 2.0), "late": (None, 1.0, 1.0, 1.0)}
    numbers = '{"text": "%s", "a": NaN, "b": "\\ud800", "c": 1e999}'
    assert texts(written("rows.jsonl", "\n".join(numbers % i for i in "abc"))).columns == {
        "a": (None,) * 3,
        "b": ("?",) * 3,
        "c": (None,) * 3,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv' is empty; expected names of columns in the first line, then one row a text"),
        ("body\na\nb\n", "t.csv': there is no column 'text'. Columns: body. Name one with path.csv:column"),
        ("text,a,a\nx,1,2\n", "t.csv': 2 columns are called 'a'; expected one of a name"),
        ("text,a\nx,1\ny,1,2\n", "t.csv', line 3: 3 values; expected 2, as in the first line"),
        ("text\n" + "w" * 140_000, "t.csv', line 2: field larger than field limit (131072); expected values separated"),
        ("text,a\n", "holds no text: it is empty, or all of it is blank"),
    ],
)
def test_a_table_that_cannot_be_read_is_refused(written, content, message):
    assert_refused(message, written("t.csv", content))


def test_columns_of_texts_are_checked():
    with pytest.raises(InvalidTexts, match="notes: the column 'a' has 2 values for 3 texts; expected one each"):
        Texts("notes", ["a", "b", "c"], columns={"a": [1, 2]})
    with pytest.raises(InvalidTexts, match="notes: the column 'a' holds list; expected numbers, strings and None"):
        Texts("notes", ["a", "b", "c"], columns={"a": [1, 2, []]})


def test_a_file_that_cannot_be_read_is_refused(written, monkeypatch):
    path = written("closed.txt", "a")

    def denied(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(module.Path, "read_bytes", denied)
    assert_refused("closed.txt' cannot be read: Permission denied", path)


# The hub


@pytest.mark.parametrize(
    ("source", "parts", "name"),
    [
        ("hf:imdb", ("imdb", None, None, None), "imdb"),
        ("hf:owner/name", ("owner/name", None, None, None), "name"),
        ("hf:owner/name:train", ("owner/name", None, "train", None), "name"),
        ("hf:owner/name/config:test:body", ("owner/name", "config", "test", "body"), "config"),
        ("hf:owner/name::body", ("owner/name", None, None, "body"), "name"),
        ("hf:owner/name:train[:100]:body", ("owner/name", None, "train[:100]", "body"), "name"),
        ("hf:./folder/rows:train", ("./folder/rows", None, "train", None), "rows"),
    ],
)
def test_the_parts_of_a_hub_source(source, parts, name):
    parsed = HubDataset.parse(source)
    assert parsed == HubDataset(source, *parts)
    assert parsed.name == name


@pytest.mark.parametrize("source", ["hf:", "hf::train", "hf:owner/", "hf:a/b/c/d", "hf:a/b:train:text:more"])
def test_a_malformed_hub_source_is_refused(source):
    assert_refused(f"'{source}' names no dataset of the hub; expected hf:owner/name[/config][:split][:field]", source)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Write a local directory that `datasets` reads: file name to rows; gives its source."""
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def write(**splits):
        folder = tmp_path / "rows"
        folder.mkdir()
        for split, rows in splits.items():
            (folder / f"{split}.jsonl").write_text("\n".join(map(json.dumps, rows)))
        return f"hf:{folder}"

    return write


def rows(prefix, **more):
    return [{"text": f" {prefix} {i} ", **more} for i in range(4)]


def test_a_hub_dataset_is_read_with_its_default_split_and_field(hub):
    source = hub(train=rows("train", n=1), test=[*rows("test", n=1), {"text": "", "n": 1}, {"text": None, "n": 1}])
    found = texts(source)
    assert found.items == ("test 0", "test 1", "test 2", "test 3")
    assert found.name == "rows"
    assert texts(f"{source}:train[:3]").items == ("train 0", "train 1", "train 2")


def test_validation_comes_before_train(hub):
    assert texts(hub(train=rows("train"), validation=rows("valid"))).items[0] == "valid 0"


def test_the_only_field_of_strings_is_the_default(hub):
    assert texts(hub(train=[{"body": word, "n": 1} for word in "abc"])).items == ("a", "b", "c")


def test_two_fields_of_strings_need_a_choice(hub):
    source = hub(train=[{"body": word, "title": word.upper(), "n": 1} for word in "abc"])
    assert_refused("no field is called 'text'. Fields of strings: body, title. Name one with hf:", source)
    assert texts(f"{source}::title").items == ("A", "B", "C")
    assert_refused("'n' is not a field of strings. Fields of strings: body, title.", f"{source}::n")


def test_a_split_that_is_not_there_names_those_that_are(hub):
    assert_refused("cannot be loaded: Unknown split \"dev\". Should be one of ['train']", f"{hub(train=rows('a'))}:dev")


def test_a_default_split_is_a_usual_one_or_the_only_one():
    wanted = HubDataset.parse("hf:owner/name")
    assert module._default_split(["extra", "train"], wanted) == "train"
    assert module._default_split(["dev"], wanted) == "dev"
    with pytest.raises(InvalidTexts, match=r"no split is called test, validation, train\. Splits: dev, extra\."):
        module._default_split(["dev", "extra"], wanted)


def test_a_hub_that_cannot_be_reached_names_the_dataset_and_what_works_offline(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def unreachable(*_):
        raise ConnectionError("Couldn't reach 'owner/name' on the Hub")

    monkeypatch.setattr(datasets, "get_dataset_split_names", unreachable)
    assert_refused(
        "the dataset 'hf:owner/name' cannot be loaded: Couldn't reach 'owner/name' on the Hub", "hf:owner/name"
    )
    assert_refused("wikitext2 and squad ship with todacomm and work offline", "hf:owner/name")


def test_an_error_of_the_http_client_is_told_too(monkeypatch):
    datasets = pytest.importorskip("datasets")
    client_error = pytest.importorskip("huggingface_hub.errors").HfHubHTTPError.__bases__[0]

    def broken(*_, **__):
        raise client_error("peer closed connection")

    monkeypatch.setattr(datasets, "load_dataset", broken)
    assert_refused("'hf:owner/name:test' cannot be loaded: peer closed connection", "hf:owner/name:test")


def test_without_the_datasets_library_the_install_command_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    assert_refused(
        "the dataset 'hf:owner/name' needs datasets, which is not installed", "hf:owner/name", error=MissingExtra
    )
    assert_refused("pip install '.[models]'", "hf:owner/name", error=MissingExtra)
