"""The list of small bugs fits the sources: what it does not find, nobody would plant."""

import pytest

import mutants as bugs


@pytest.mark.parametrize("bug", bugs.mutants(), ids=lambda bug: bug.name)
def test_a_bug_of_the_list_can_be_planted_and_is_tested(bug):
    path = bugs.SOURCES / "todacomm" / bug.file
    text = path.read_text(encoding="utf-8")
    assert bug.planted(text) != text
    assert bug.tests
    for test in bug.tests:
        place, _, name = test.partition("::")
        assert f"def {name.partition('[')[0]}" in (bugs.ROOT / place).read_text(encoding="utf-8")


def test_there_are_enough_of_them_and_in_every_package():
    listed = bugs.mutants()
    packages = {bug.file.split("/")[0] for bug in listed}
    assert len(listed) >= 45
    assert packages >= {
        "cli", "runs", "report", "records", "models", "ablation", "training", "comparison", "profiles", "statistics",
            "homology", "clouds",
    }  # fmt: skip


def test_a_bug_is_planted_and_taken_out_again(tmp_path):
    copy = tmp_path / "src"
    (copy / "todacomm").mkdir(parents=True)
    path = copy / "todacomm" / "half.py"
    path.write_text("half = 1 / 2\n")
    before = path.stat().st_mtime_ns
    with bugs.planted(bugs.Mutant("twice", "half.py", "1 / 2", "1 * 2", ("tests/test_mutants.py",)), copy):
        assert path.read_text() == "half = 1 * 2\n"
        assert path.stat().st_mtime_ns != before
    assert (path.read_text(), path.stat().st_mtime_ns) == ("half = 1 / 2\n", before)


@pytest.mark.parametrize(("find", "what"), [("1", "found it 2 times"), ("3", "found it 0 times")])
def test_a_bug_without_one_place_is_refused(find, what):
    with pytest.raises(ValueError, match=what):
        bugs.Mutant("some", "x.py", find, "2", ()).planted("1 + 1")
