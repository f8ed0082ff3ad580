"""What every registered kind of file must obey: texts and arrays, those of plugins as well."""

import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from todacomm.clouds.array_files import read_clouds
from todacomm.clouds.array_formats import array_formats
from todacomm.core.errors import InvalidCloud, InvalidInput, InvalidTexts, UnknownName
from todacomm.models.datasets import texts
from todacomm.models.text_files import forms, path_and_field, text_formats

text_kinds = pytest.mark.parametrize("kind", sorted(text_formats))
array_kinds = pytest.mark.parametrize("kind", sorted(array_formats))
any_bytes = given(content=st.binary(max_size=200))
one_folder = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@text_kinds
@one_folder
@any_bytes
def test_any_bytes_are_texts_or_refused_packed_and_not(kind, tmp_path, content):
    def outcome(name, data):
        (tmp_path / name).write_bytes(data)
        try:
            return texts(str(tmp_path / name)).items
        except InvalidTexts as refused:
            return str(refused).replace(".gz", "")

    assert outcome(f"a{kind}", content) == outcome(f"a{kind}.gz", gzip.compress(content))


@text_kinds
def test_messages_name_every_kind_of_text_file(kind, tmp_path):
    (tmp_path / "a.unheard").write_text("one\n")
    with pytest.raises(InvalidTexts, match="is not a file of texts") as refused:
        texts(str(tmp_path / "a.unheard"))
    assert text_formats[kind].told in forms()
    assert forms() in str(refused.value)


@text_kinds
def test_a_field_is_split_off_where_the_rows_have_fields(kind):
    path, field = path_and_field(f"a{kind.upper()}.gz:b:c")
    assert (path.name, field) == (
        (f"a{kind.upper()}.gz", "b:c") if text_formats[kind].fields else (f"a{kind.upper()}.gz:b:c", "text")
    )


@array_kinds
@one_folder
@any_bytes
def test_any_bytes_are_arrays_or_refused_by_the_name_of_the_file(kind, tmp_path, content):
    path = tmp_path / f"a{kind}"
    path.write_bytes(content)
    refused, found = "", {}
    try:
        found = read_clouds(path).layers
    except InvalidInput as problem:
        refused = str(problem)
    assert bool(found) == (str(path) not in refused)
    assert all(points.ndim == 2 for points in found.values())


@array_kinds
def test_messages_name_every_kind_of_array_file(kind, tmp_path):
    with pytest.raises(InvalidCloud, match=f"is not a file; expected .*\\{kind}"):
        read_clouds(tmp_path / f"none{kind}")
    (tmp_path / "a.unheard").touch()
    with pytest.raises(UnknownName, match=f"kind of array file .* Known: .*\\{kind}"):
        read_clouds(tmp_path / "a.unheard")
