"""Files of arrays: all kinds give the same numbers, bad ones are named, nothing too large is unpacked."""

import gzip
import io
import json
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from todacomm.clouds.array_files import read_clouds, read_layers
from todacomm.clouds.table_files import parquet
from todacomm.core.errors import InvalidCloud, MissingExtra, TooLarge, UnknownName

POINTS = np.random.default_rng(0).normal(size=(12, 4))


def brain(values):
    """The upper halves of float32 numbers that need no more."""
    return (np.asarray(values, np.float32).view(np.uint32) >> 16).astype(np.uint16)


def save_brain(path, name, values, others=()):
    """A safetensors file with a bfloat16 tensor, written by hand: NumPy has no such type."""
    data = brain(values).tobytes()
    header = {name: {"dtype": "BF16", "shape": list(np.shape(values)), "data_offsets": [0, len(data)]}}
    for other, array in others:
        header[other] = {
            "dtype": "F32",
            "shape": list(array.shape),
            "data_offsets": [len(data), len(data) + array.nbytes],
        }
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


# bfloat16


def test_bfloat16_is_read_exactly_and_without_torch(tmp_path):
    exact = np.array([[1.0, -2.5, 0.15625, 3e38], [1e-38, 0, -0.0, 7], [np.pi] * 4, [256, 257, 258, 1e10]], np.float32)
    exact = (brain(exact).astype(np.uint32) << 16).view(np.float32)
    other = POINTS.astype(np.float32)
    save_brain(tmp_path / "a.safetensors", "layer_0", exact, [("layer_1", other)])
    found = read_layers(tmp_path / "a.safetensors")
    assert found["layer_0"].dtype == np.float32
    np.testing.assert_array_equal(found["layer_0"].view(np.uint32), exact.view(np.uint32))
    np.testing.assert_array_equal(found["layer_1"], other)
    assert list(read_layers(tmp_path / "a.safetensors", only="layer_0")) == ["layer_0"]


def test_bfloat16_is_what_torch_reads(tmp_path):
    import torch
    from safetensors.torch import save_file as save_torch

    tensors = {"a": torch.randn(20, 3).bfloat16(), "b": torch.randn(9, 2).bfloat16(), "c": torch.randn(5, 2).half()}
    save_torch(tensors, tmp_path / "t.safetensors")
    found = read_layers(tmp_path / "t.safetensors")
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(found[name], tensor.float().numpy())


# What is no cloud


def test_what_is_no_cloud_is_left_out_and_named(tmp_path):
    path = tmp_path / "layers.npz"
    others = {
        "labels": np.arange(12), "names": np.array(["a"] * 12), "objects": np.array([{}] * 3, dtype=object),
        "tokens": np.zeros((12, 3, 4)), "epoch": np.array(3), "two": np.zeros((2, 4)), "none": np.zeros((12, 0)),
        "complex": np.zeros((12, 2), complex), "fields": np.zeros(12, dtype=[("x", "f4")]),
    }  # fmt: skip
    np.savez(path, layer_0=POINTS, **others, ids=np.arange(24).reshape(12, 2))
    found = read_clouds(path)
    assert list(found.layers) == ["layer_0", "ids"]
    assert list(found.left_out) == list(others)
    told = found.told(path)
    assert told.startswith("Left out of layers.npz, for a cloud is numbers of shape (n points, d features): ")
    for part in (
        "labels (of shape (12,))",
        "names (of type text)",
        "objects (of type Python objects)",
        "two (of shape (2, 4))",
    ):
        assert part in told
    only = read_clouds(path, names=["layer_0"])
    assert (list(only.layers), only.told(path)) == (["layer_0"], "")


def test_a_name_is_a_cloud_of_the_file(tmp_path):
    np.savez(tmp_path / "layers.npz", layer_0=POINTS, labels=np.arange(12))
    save_file({"layer_0": POINTS, "labels": np.arange(12)}, tmp_path / "layers.safetensors")
    for ending in ("npz", "safetensors"):
        path = tmp_path / f"layers.{ending}"
        assert list(read_clouds(path).left_out) == ["labels"]
        with pytest.raises(InvalidCloud, match=r"labels of .* is of shape \(12,\); expected numbers of shape"):
            read_clouds(path, names=["labels"])
        with pytest.raises(UnknownName, match="'layer_1' is not a layer .* Did you mean 'layer_0'"):
            read_clouds(path, names=["layer_1"])


def test_a_file_without_a_cloud_says_why_of_each_array(tmp_path):
    np.savez(tmp_path / "labels.npz", labels=np.arange(12), names=np.array(["a"]))
    with pytest.raises(InvalidCloud, match=r"holds no arrays .*: labels is of shape \(12,\); names is of type text"):
        read_clouds(tmp_path / "labels.npz")
    np.savez(tmp_path / "empty.npz")
    with pytest.raises(InvalidCloud, match="holds no arrays"):
        read_clouds(tmp_path / "empty.npz")


def test_the_ending_may_be_in_capitals(tmp_path):
    with (tmp_path / "cloud.NPY").open("wb") as file:
        np.save(file, POINTS)
    with (tmp_path / "cloud.Npz").open("wb") as file:
        np.savez(file, a=POINTS)
    np.testing.assert_array_equal(read_layers(tmp_path / "cloud.NPY")["cloud"], POINTS)
    np.testing.assert_array_equal(read_layers(tmp_path / "cloud.Npz")["a"], POINTS)


# Memory


def bomb(path, shape, kind="<f8"):
    """A small file whose header promises an array of this shape, all zeros."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("layer_0.npy", header.getvalue() + bytes(2**20))


@pytest.mark.parametrize("kind", ["<f8", "<f4", "<i2"])
def test_what_does_not_fit_is_refused_by_its_headers(tmp_path, kind):
    path = tmp_path / "bomb.npz"
    bomb(path, (600_000, 1000), kind)
    tracemalloc.start()
    with pytest.raises(
        TooLarge, match=r"its arrays take .* GiB of memory \(layer_0 of shape \(600000, 1000\).*--max-memory"
    ):
        read_clouds(path, limit=2**30)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def test_a_part_that_fits_is_read_from_a_file_that_does_not(tmp_path):
    from todacomm.core.memory import resident

    np.savez_compressed(tmp_path / "layers.npz", small=POINTS, large=np.zeros((2_000_000, 20)))
    limit = resident() + 2**27
    with pytest.raises(TooLarge, match="large of shape"):
        read_clouds(tmp_path / "layers.npz", limit=limit)
    np.testing.assert_array_equal(
        read_clouds(tmp_path / "layers.npz", names=["small"], limit=limit).layers["small"], POINTS
    )


def test_every_kind_of_file_is_held_to_the_limit(tmp_path):
    np.save(tmp_path / "a.npy", POINTS)
    save_file({"a": POINTS}, tmp_path / "a.safetensors")
    np.savetxt(tmp_path / "a.csv", POINTS, delimiter=",")
    for path in tmp_path.iterdir():
        with pytest.raises(TooLarge, match="its arrays take"):
            read_clouds(path, limit=1)


# Tables


def csv(tmp_path, text, name="table.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("text", "points", "left_out"),
    [
        ("1,2\n3,4\n5,6\n", [[1, 2], [3, 4], [5, 6]], {}),
        ("x,y\n1,2\n3,4\n5,6\n", [[1, 2], [3, 4], [5, 6]], {}),
        ("\ufeffx,y\r\n1,2\r\n3,4\r\n\r\n5,6", [[1, 2], [3, 4], [5, 6]], {}),
        ("0,1\n7,2\n3,4\n5,6\n", [[7, 2], [3, 4], [5, 6]], {}),  # pandas names the columns of an array 0, 1 …
        (",0,1\n0,7,2\n1,3,4\n2,5,6\n", [[7, 2], [3, 4], [5, 6]], {"": "an index that counts the rows"}),
        (",x,y\n9,7,2\n4,3,4\n2,5,6\n", [[9, 7, 2], [4, 3, 4], [2, 5, 6]], {}),  # no index: it does not count
        ("text,x,y\na,1,2\nb,3,4\n3,5,6\n", [[1, 2], [3, 4], [5, 6]], {"text": "text"}),
        ('x,text\n1,"a, b"\n3,"c\nd"\n5,e\n', [[1], [3], [5]], {"text": "text"}),
        ("1e-3,-inf\n3,nan\n ,6\n", [[1e-3, -np.inf], [3, np.nan], [np.nan, 6]], {}),
    ],
)
def test_a_table_is_one_cloud_of_its_numbers(tmp_path, text, points, left_out):
    found = read_clouds(csv(tmp_path, text))
    np.testing.assert_array_equal(found.layers["cloud"], points)
    assert found.left_out == left_out


def test_tabs_separate_a_tsv(tmp_path):
    found = read_layers(csv(tmp_path, "x\ty\n1\t2\n3\t4\n5\t6\n", "table.TSV"))
    np.testing.assert_array_equal(found["cloud"], [[1, 2], [3, 4], [5, 6]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n3\n5,6\n", "line 2: 1 values; expected 2, as in the first line"),
        ("1;2\n3;4\n5;6\n", "has no column of numbers; expected values separated by commas, with a point"),
        ("a,b\nc,d\n", "has no column of numbers"),
        ("", "has no column of numbers"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, message):
    with pytest.raises(InvalidCloud, match=message):
        read_clouds(csv(tmp_path, text))
    (tmp_path / "latin.csv").write_bytes("x\nä\n".encode("latin-1"))
    with pytest.raises(InvalidCloud, match="cannot be read as a table in UTF-8"):
        read_clouds(tmp_path / "latin.csv")


def test_parquet_gives_columns_or_lists(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {"x": POINTS[:, 0], "label": ["a"] * 12, "y": POINTS[:, 1].astype(np.float32), "n": np.arange(12)}
    parquet.write_table(pa.table(columns), tmp_path / "columns.parquet")
    found = read_clouds(tmp_path / "columns.parquet")
    np.testing.assert_allclose(found.layers["cloud"], np.c_[POINTS[:, :2], np.arange(12)], rtol=1e-6)
    assert found.left_out == {"label": "string"}
    lists = {
        "text": ["a"] * 12,
        "layer_0": POINTS.tolist(),
        "layer_1": (2 * POINTS[:, :3]).tolist(),
        "id": np.arange(12),
    }
    parquet.write_table(pa.table(lists), tmp_path / "lists.parquet", row_group_size=5)
    found = read_clouds(tmp_path / "lists.parquet")
    np.testing.assert_array_equal(found.layers["layer_0"], POINTS)
    np.testing.assert_array_equal(found.layers["layer_1"], 2 * POINTS[:, :3])
    assert list(found.left_out) == ["text", "id"]
    assert list(read_clouds(tmp_path / "lists.parquet", names=["layer_1"]).layers) == ["layer_1"]
    with pytest.raises(TooLarge):
        read_clouds(tmp_path / "lists.parquet", limit=1)
    parquet.write_table(pa.table({"ragged": [[1.0], [1.0, 2.0], [3.0]]}), tmp_path / "ragged.parquet")
    with pytest.raises(InvalidCloud, match="lists of the column ragged have several lengths"):
        read_clouds(tmp_path / "ragged.parquet")
    parquet.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "text.parquet")
    with pytest.raises(InvalidCloud, match="has no column of numbers; its columns: text"):
        read_clouds(tmp_path / "text.parquet")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 nothing of the kind")
    with pytest.raises(InvalidCloud, match="cannot be read as Parquet"):
        read_clouds(tmp_path / "broken.parquet")


def test_a_pyarrow_that_does_not_fit_its_numpy_is_told(tmp_path, monkeypatch):
    class Finder:
        def find_spec(self, name, *_):
            if name == "pyarrow":
                message = "pyarrow requires NumPy 2.0 or newer, found 1.26.0"
                raise ImportError(message)

    for name in [name for name in sys.modules if name.split(".")[0] == "pyarrow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Finder(), *sys.meta_path])
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(InvalidCloud, match=r"a\.parquet: pyarrow requires NumPy 2\.0 .* install versions that fit"):
        read_clouds(tmp_path / "a.parquet")


def test_parquet_needs_pyarrow_and_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").touch()
    with pytest.raises(MissingExtra, match=r"Reading a.parquet needs pyarrow.*pip install '\.\[models\]'"):
        parquet(tmp_path / "a.parquet")


def test_damaged_archives_are_refused_by_name(tmp_path):
    path = tmp_path / "layers.npz"
    np.savez_compressed(path, a=POINTS)
    whole = path.read_bytes()
    for cut in (5, 60, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:cut])
        with pytest.raises(InvalidCloud, match="cannot be read as NumPy arrays"):
            read_clouds(path)
    path.write_bytes(whole[:80] + bytes(40) + whole[120:])
    with pytest.raises(InvalidCloud, match="cannot be read as NumPy arrays"):
        read_clouds(path)
    path.write_bytes(gzip.compress(b"no archive"))
    with pytest.raises(InvalidCloud, match="cannot be read as NumPy arrays"):
        read_clouds(path)
