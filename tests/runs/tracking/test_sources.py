"""Which checkpoints a track has: folders, revisions of the hub, single models, aliases."""

from types import SimpleNamespace

import pytest

from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.runs.tracking.revisions import hub_steps, spread, step_of
from todacomm.runs.tracking.sources import checkpoints_of

REFS = ("main", "step0", "step512", "step1000", "step64000", "step143000", "step8")


def folder(place, *names):
    for name in names:
        (place / name).mkdir(parents=True)
        (place / name / "config.json").write_text("{}", encoding="utf-8")
    return str(place)


@pytest.fixture
def hub(monkeypatch):
    """The hub's list of branches and tags, as huggingface_hub gives it; what was asked of it."""
    asked = []

    def refs(_, repository, **__):
        asked.append(repository)
        return SimpleNamespace(branches=[SimpleNamespace(name=name) for name in REFS], tags=[])

    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_refs", refs)
    return asked


def told(found):
    return [(one.series, one.step, one.name) for one in found]


def test_a_folder_gives_its_numbered_checkpoints_by_number_the_broken_among_them(tmp_path):
    place = folder(tmp_path / "run", "checkpoint-20", "checkpoint-100", "logs-7/x")
    (tmp_path / "run" / "checkpoint-60").mkdir()
    (tmp_path / "run" / "runs").mkdir()
    assert told(checkpoints_of([place])) == [("run", 20, "checkpoint-20"), ("run", 60, "checkpoint-60"),
                                             ("run", 100, "checkpoint-100")]  # fmt: skip
    assert [one.step for one in checkpoints_of([place], select="20,checkpoint-100")] == [20, 100]
    assert [one.step for one in checkpoints_of([place], select="log:2")] == [20, 100]
    with pytest.raises(UnknownName, match="checkpoint of"):
        checkpoints_of([place], select="30")


def test_two_series_keep_their_names_apart(tmp_path):
    one, other = (folder(tmp_path / name, "checkpoint-1", "checkpoint-2") for name in "ab")
    found = checkpoints_of([one, f"{other}=mine"])
    assert told(found) == [("a", 1, "a@checkpoint-1"), ("a", 2, "a@checkpoint-2"), ("mine", 1, "mine@checkpoint-1"),
                           ("mine", 2, "mine@checkpoint-2")]  # fmt: skip
    again = folder(tmp_path / "other" / "a", "checkpoint-1", "checkpoint-2")
    with pytest.raises(InvalidInput, match=r"are both called 'a'; give one of them a name: .*=NAME"):
        checkpoints_of([one, again])


def test_single_models_are_one_series_or_steps_of_one_folder(tmp_path):
    folder(tmp_path / "x", "checkpoint-5", "checkpoint-10")
    parts = [str(tmp_path / "x" / name) for name in ("checkpoint-10", "checkpoint-5")]
    assert told(checkpoints_of(parts)) == [("x", 5, "checkpoint-5"), ("x", 10, "checkpoint-10")]
    base, tuned = folder(tmp_path, "base", "tuned"), str(tmp_path / "tuned")
    assert told(checkpoints_of([f"{base}/base", tuned])) == [("models", 0, "base"), ("models", 1, "tuned")]


def test_two_checkpoints_of_one_name_need_an_alias(tmp_path):
    for name in "ab":
        folder(tmp_path / name, "checkpoint-500")
    places = [str(tmp_path / name / "checkpoint-500") for name in "ab"]
    with pytest.raises(InvalidInput, match=r"are both called 'checkpoint-500'; give one of them a name"):
        checkpoints_of(places)
    found = checkpoints_of([f"{places[0]}=base", places[1]])
    assert told(found) == [("models", 0, "base"), ("models", 1, "checkpoint-500")]


def test_revisions_are_asked_of_the_hub_but_for_a_list(hub):
    model = "EleutherAI/pythia-70m"
    named = checkpoints_of([model], select="step512,step0")
    assert not hub
    assert [(one.step, one.revision, one.name) for one in named] == [
        (0, "step0", "pythia-70m@step0"),
        (512, "step512", "pythia-70m@step512"),
    ]
    assert [one.step for one in checkpoints_of([model], select="all")] == [0, 8, 512, 1000, 64000, 143000]
    assert [one.step for one in checkpoints_of([model], select="log:3")] == [0, 512, 143000]
    assert hub == [model, model]
    with pytest.raises(InvalidInput, match="'main' holds no number of a step"):
        checkpoints_of([model], select="main")
    with pytest.raises(InvalidInput, match=r"--revisions log:1; expected a number of at least 2"):
        checkpoints_of([model], select="log:1")


def test_a_hub_model_without_steps_is_refused(monkeypatch):
    none = SimpleNamespace(branches=[SimpleNamespace(name="main")], tags=[])
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_refs", lambda *_, **__: none)
    with pytest.raises(InvalidInput, match="no branch or tag with a number in its name"):
        hub_steps(SimpleNamespace(location="a/b", name="a/b"))


def test_what_is_no_series_is_refused(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidInput, match="holds no checkpoint"):
        checkpoints_of([str(tmp_path / "empty")])
    with pytest.raises(InvalidInput, match="no checkpoints: give a folder"):
        checkpoints_of([])
    with pytest.raises(InvalidInput, match="is one model; revisions are of a hub id"):
        checkpoints_of([f"{folder(tmp_path, 'base')}/base"], select="all")
    twice = folder(tmp_path / "run", "checkpoint-1", "checkpoint-01")
    with pytest.raises(InvalidInput, match="are of one step"):
        checkpoints_of([twice])


def test_steps_are_spread_by_their_logarithms():
    assert spread(range(0, 1000, 10), 4) == [0, 10, 100, 990]
    assert spread([0, 1, 2], 5) == [0, 1, 2]
    assert step_of("global_step12-seed3") == 12
