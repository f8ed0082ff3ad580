"""What is held against the angles of loops: what a run keeps of its texts, and columns of a file of the user."""

import json
from dataclasses import replace

import numpy as np
import pytest

from todacomm.core.errors import InvalidInput
from todacomm.core.recipe import Recipe
from todacomm.core.types import Activations, Texts, TokenFacts
from todacomm.profiles.from_arrays import measure
from todacomm.records.loops import read_loops_record
from todacomm.records.runs import Record, write_record
from todacomm.records.texts import TEXTS_RECORD, texts_to_keep
from todacomm.runs.loops.find_loops import find_loops, source_of_arrays, source_of_run, with_properties
from todacomm.runs.loops.text_properties import properties_of_run, read_properties

N = 96
RNG = np.random.default_rng(3)
TRUTH = 2 * np.pi * RNG.uniform(size=N)
HOURS = (24 * TRUTH / (2 * np.pi)).round(3)
NOISE = RNG.normal(size=N).round(3)
SEASONS = ["spring" if a < 2 else "summer" if a < 4 else "autumn" for a in TRUTH]
ITEMS = tuple(f"text {i}" for i in range(N))
CIRCLE = np.pad(np.c_[np.cos(TRUTH), np.sin(TRUTH)], ((0, 0), (0, 4))) + 0.05 * RNG.normal(size=(N, 6))


def run_in(directory, texts, tokens=None, *, whole=True):
    """A run of one layer, a circle, as it lies on disk."""
    place = directory / "clock_tda_20260101_000000" / "runs" / "run_0"
    profile = measure({"layer_0": CIRCLE}, name="clock", recipe=Recipe(pooling="last"), resamples=0, null_draws=0)
    TEXTS_RECORD.write(place, texts_to_keep(texts, tokens, whole=whole))
    activations = Activations({"layer_0": CIRCLE}, "clock", texts, "last")
    write_record(place, Record(profile, {"command": "", "versions": {}}), activations)
    return place.parents[1]


def around(source):
    """The properties of the only loop by name, and the names of those that pass over all of them, best first."""
    [[found]] = find_loops(source, draws=39, top=1, number=1).properties
    return {one.name: one for one in found}, [one.name for one in found if (one.adjusted or 1) <= 0.05]


def written(path, rows):
    """Rows as .csv or .jsonl."""
    if path.suffix == ".jsonl":
        path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    else:
        lines = [",".join("" if value is None else str(value) for value in row.values()) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *lines]), encoding="utf-8")
    return path


ROWS = [
    {"noise": noise, "hour%24": hour, "season": season, "text": text}
    for noise, hour, season, text in zip(NOISE.tolist(), HOURS.tolist(), SEASONS, ITEMS, strict=True)
]


@pytest.mark.parametrize("name", ["mine.csv", "mine.jsonl"])
def test_a_circle_whose_angle_is_a_column_of_a_file_is_found_as_that_column(tmp_path, name):
    source = with_properties(source_of_run(run_in(tmp_path, Texts("clock", ITEMS))), written(tmp_path / name, ROWS))
    found, passing = around(source)
    assert passing[0] == "hour%24"
    assert set(passing) == {"hour%24", "season"}
    assert (found["hour%24"].kind, found["season"].kind, found["noise"].kind) == ("angle", "category", "number")
    assert found["hour%24"].strength > 0.99 > found["season"].strength > 0.65
    assert found["noise"].adjusted >= found["noise"].p > 0.05
    assert "text" not in found


def test_a_column_article_says_which_texts_are_not_exchangeable(tmp_path):
    """What is the same throughout an article is held against articles: it proves nothing beside them."""
    article = [f"day {int(a)}" for a in TRUTH]
    rows = [{"article": one, "mood": mood} for one, mood in zip(article, np.cos(TRUTH.astype(int)), strict=True)]
    source = source_of_arrays({"a": CIRCLE}, "a", Recipe())
    found, passing = around(with_properties(source, written(tmp_path / "m.csv", rows)))
    assert passing == ["article"]
    assert (found["article"].adjusted, found["mood"].p) == (0.001, 1)
    alone = written(tmp_path / "n.csv", [{"mood": row["mood"]} for row in rows])
    assert around(with_properties(source, alone))[1] == ["mood"]


def test_each_column_is_held_against_the_angle_row_by_row(tmp_path):
    """The same values, one row further, run around nothing."""
    moved = [{"hour%24": hour} for hour in np.roll(HOURS, 1).tolist()]
    source = with_properties(source_of_arrays({"a": CIRCLE}, "a", Recipe()), written(tmp_path / "m.csv", moved))
    assert around(source)[1] == []


def test_columns_of_the_file_of_the_texts_are_kept_with_the_run_and_found(tmp_path):
    columns = {"hour%24": HOURS.tolist(), "season": SEASONS, "tokens": NOISE.tolist()}
    tokens = TokenFacts(tuple(int(9 + 8 * np.cos(a)) for a in TRUTH), (7,) * N, (N,) * N, tuple(NOISE.tolist()))
    texts = Texts("clock", ITEMS, ("day",) * 48 + ("night",) * 48, columns)
    found, passing = around(source_of_run(run_in(tmp_path, texts, tokens)))
    assert passing[0] == "hour%24"
    assert set(passing) == {"hour%24", "season", "tokens"}
    assert found["tokens"].strength > 0.95
    assert found["tokens (column)"].adjusted > 0.05
    assert found["loss"].p == found["tokens (column)"].p
    assert found["last token"].note == found["how usual the last token is"].note == "all texts have the same value"
    assert {"article", "letters", "place in the corpus", "norm of the activation"} < set(found)


def test_of_texts_that_are_left_out_articles_and_tokens_remain(tmp_path):
    tokens = TokenFacts((3,) * N, (7,) * N, (N,) * N, None)
    texts = Texts("clock", ITEMS, ("day",) * N, {"season": SEASONS})
    source = source_of_run(run_in(tmp_path, texts, tokens, whole=False))
    assert set(source.properties) == {"article", "tokens", "how usual the last token is"}


def test_texts_that_were_drawn_have_the_place_that_they_had_in_the_corpus():
    places = tuple(map(float, RNG.permutation(N)))
    kept = texts_to_keep(Texts("t", ITEMS, columns={"place in the corpus": places}), whole=True)
    found = properties_of_run(kept)
    assert found["place in the corpus"] == places
    assert not [name for name in found if "(column)" in name]


def test_few_whole_numbers_are_names_unless_a_period_is_declared():
    kept = texts_to_keep(Texts("t", ITEMS), whole=True)
    month = tuple(float(1 + i % 12) for i in range(N))
    columns = {"month": month, "month%12": month, "count": tuple(map(float, range(N))), "half": (0.5, 1.0) * 48}
    found = properties_of_run(replace(kept, columns=columns))
    assert found["month"][:2] == ("1", "2")
    assert {name: found[name] for name in ("month%12", "count", "half")} == {
        name: columns[name] for name in ("month%12", "count", "half")
    }


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (ROWS[1:], "'m.csv' has 95 rows for 96 points; expected one row a point, in the order of the texts"),
        ([ROWS[1], ROWS[0], *ROWS[2:]], "row 1: its text is 'text 1', and text 1 of the run is 'text 0'; expected the"),
        ([{"text": text} for text in ITEMS], "'m.csv' has no column of numbers or names; expected one at least"),
        (
            [{"hour%24": 3}, {"hour%24": "noon"}] * 48,
            "the column 'hour%24' repeats after 24 and holds '3'; expected numbers",
        ),
    ],
)
def test_a_file_that_does_not_fit_the_run_is_refused(tmp_path, monkeypatch, rows, message):
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path / "m.csv", rows).relative_to(tmp_path)
    with pytest.raises(InvalidInput, match=message):
        read_properties(path, N, ITEMS)


def test_layers_of_several_sizes_and_other_files_are_refused(tmp_path):
    two = source_of_arrays({"a": CIRCLE, "b": CIRCLE[:50]}, "a", Recipe())
    with pytest.raises(InvalidInput, match="the layers have 50, 96 points; properties need one row a point: choose"):
        with_properties(two, written(tmp_path / "m.csv", ROWS))
    with pytest.raises(InvalidInput, match="m.txt' holds no properties; expected a .csv or .jsonl file"):
        read_properties(tmp_path / "m.txt", N)
    with pytest.raises(InvalidInput, match="none.csv' cannot be read: No such file"):
        read_properties(tmp_path / "none.csv", N)


def test_a_loop_of_fewer_than_six_points_is_told_without_properties(todacomm, tmp_path):
    square = np.array([[1, 0], [0, 1], [-1, 0], [0, -1], [1.1, 1.1]])
    np.save(tmp_path / "few.npy", np.vstack([square, 100 + 0.1 * RNG.normal(size=(30, 2))]))
    code, out, err = todacomm("loops", "few.npy", "--null-draws", "0", "--components", "none")
    assert code == 0, err
    said = "loop 1 of cloud: 5 points with an angle, 5 of them different: an angle that no text varies is associated"
    assert said in " ".join(out.split())
    [directory] = (tmp_path / "experiments").glob("loops_few_*")
    [loop] = read_loops_record(directory).layers[0].loops
    assert (loop.properties, len(loop.cycle)) == ((), 4)


def test_the_command_takes_a_file_of_properties(todacomm, tmp_path):
    np.save(tmp_path / "ring.npy", CIRCLE)
    written(tmp_path / "mine.csv", ROWS)
    code, out, err = todacomm("loops", "ring.npy", "--null-draws", "39", "--properties", "mine.csv")
    assert code == 0, err
    assert "hour%24 1.00" in " ".join(out.split())
    [directory] = (tmp_path / "experiments").glob("loops_ring_*")
    [loop] = read_loops_record(directory).layers[0].loops
    assert loop.properties[0].name == "hour%24"


def test_a_training_run_has_no_texts_for_properties(todacomm, tmp_path):
    (tmp_path / "seed_1").mkdir()
    (tmp_path / "seed_1" / "weights.safetensors").touch()
    said = todacomm("loops", "seed_1", "--properties", "mine.csv")[2]
    assert "seed_1 is a training run, which has no texts; leave --properties out" in said
