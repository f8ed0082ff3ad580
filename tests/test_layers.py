"""The packages: imports point one way only, what is private stays so, and the light ways in stay light."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import todacomm

ROOT = Path(todacomm.__file__).parent
REPOSITORY = ROOT.parents[1]
MOST = 16  # modules of one folder
# the order, top to bottom, is the table of packages in ARCHITECTURE.md and stands nowhere else
PACKAGES = re.findall(r"^\| `(\w+)/` \|", (REPOSITORY / "ARCHITECTURE.md").read_text(encoding="utf-8"), re.MULTILINE)
DOORS = {"__init__", "__main__", "plots", "grokking"}  # above all packages: what users import
ALONE = {"zoo"}  # the shipped models and the script that trained them; imports nothing of ours
KNOW_NO_MODEL = PACKAGES[PACKAGES.index("models") + 1 :]
TRAINS = (
    "training/networks.py",
    "training/training_loop.py",
    "training/turned_embedding.py",
    *(
        f"stability/{name}.py"
        for name in ("batched_layers", "copies", "distances", "laboratory", "measure", "sharpness")
    ),
)
TAKES_TORCH = ("core/array_input.py", *TRAINS)  # tensors that are handed over; networks that are trained
OUTSIDE = (  # modules of pure packages that look at files, clocks or the machine
    "clouds/array_files.py",
    "clouds/array_formats.py",
    "clouds/table_files.py",
    "core/memory.py",
    "core/parallel.py",
    "core/versions.py",
    *TRAINS,
)


def modules():
    return sorted(ROOT.rglob("*.py"))


def place_of(path):
    return path.relative_to(ROOT).as_posix()


def package_of(place):
    """The package of a file or of a dotted name; a door is its own."""
    return re.split(r"[/.]", place)[0]


def is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.is_dir() or path.with_suffix(".py").is_file()


def imported(tree):
    """The modules of todacomm that a module imports, anywhere in it, dotted and without `todacomm`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "todacomm":
            base = node.module.removeprefix("todacomm").removeprefix(".")
            for alias in node.names:
                inner = f"{base}.{alias.name}".removeprefix(".")
                yield inner if is_module(inner) else base or "__init__"
        elif isinstance(node, ast.Import):
            yield from (a.name.removeprefix("todacomm.") for a in node.names if a.name.startswith("todacomm."))


def turned_round(package, found):
    """The imports that point up, to a package above or to a door."""
    for name in sorted(found):
        other = package_of(name)
        if other not in PACKAGES or PACKAGES.index(other) < PACKAGES.index(package):
            yield f"{package} imports {name}"


def intruding(place, found):
    """The imports of what another folder does not list in its `__all__`."""
    for name in sorted(found):
        folder, _, last = name.rpartition(".")
        within = place == f"{folder.replace('.', '/')}/__init__.py" or place.startswith(f"{folder.replace('.', '/')}/")
        is_folder = (ROOT.joinpath(*name.split(".")) / "__init__.py").is_file()
        if folder and not within and not is_folder and last not in shown(folder):
            yield f"{place} imports {name}, which is private"


def shown(folder):
    tree = ast.parse((ROOT.joinpath(*folder.split(".")) / "__init__.py").read_text(encoding="utf-8"))
    lists = [
        node.value for node in tree.body if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
    ]
    return ast.literal_eval(lists[0]) if lists else []


def imports_of(path):
    return set(imported(ast.parse(path.read_text(encoding="utf-8"))))


def test_every_package_has_its_place_in_the_one_list():
    folders = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert folders == {*PACKAGES, *ALONE}
    assert len(PACKAGES) == len(set(PACKAGES)) == 17
    assert {path.stem for path in ROOT.glob("*.py")} == DOORS


@pytest.mark.parametrize("path", modules(), ids=place_of)
def test_imports_point_down_and_to_what_is_public(path):
    place = place_of(path)
    package = package_of(place.removesuffix(".py"))
    found = imports_of(path)
    assert not list(intruding(place, found))
    if package in ALONE:
        assert not found
    elif package not in DOORS:
        assert not list(turned_round(package, found))


def test_an_import_turned_round_is_seen():
    assert list(turned_round("clouds", {"runs.experiment"})) == ["clouds imports runs.experiment"]
    assert list(turned_round("clouds", {"plots"})) == ["clouds imports plots"]
    assert not list(turned_round("runs", {"clouds.prepare", "runs.jobs"}))
    tree = ast.parse("def f():\n    from todacomm.records.runs import x\n    from todacomm.clouds import prepare")
    assert set(imported(tree)) == {"records.runs", "clouds.prepare"}


def test_a_private_module_in_other_hands_is_seen():
    assert "_version" not in shown("clouds")
    assert list(intruding("runs/jobs.py", {"clouds._of_our_own"})) == [
        "runs/jobs.py imports clouds._of_our_own, which is private"
    ]
    assert not list(intruding("clouds/prepare.py", {"clouds._of_our_own"}))


def test_what_a_folder_shows_is_there_and_wanted():
    wanted = {(place_of(path), name) for path in modules() for name in imports_of(path)}
    for init in ROOT.glob("*/**/__init__.py"):
        folder = place_of(init.parent)
        for name in shown(folder.replace("/", ".")):
            dotted = f"{folder.replace('/', '.')}.{name}"
            others = [place for place, other in wanted if other == dotted and not place.startswith(f"{folder}/")]
            folder_too = ROOT.joinpath(*dotted.split(".")).is_dir()  # a folder may be shown to users alone
            assert others or folder_too or not is_module(dotted), dotted


def test_no_folder_holds_more_modules_than_one_can_look_over():
    held = {place_of(init.parent): len(list(init.parent.glob("[!_]*.py"))) for init in ROOT.rglob("__init__.py")}
    assert not {folder: n for folder, n in held.items() if n > MOST}


def test_reports_know_of_models_no_more_than_where_texts_come_from():
    found = {name for path in (ROOT / "report").rglob("*.py") for name in imports_of(path)}
    assert {name for name in found if package_of(name) == "models"} <= {"models.datasets"}


def of_packages(names):
    return [path for path in modules() if package_of(place_of(path)) in names]


@pytest.mark.parametrize("path", of_packages(KNOW_NO_MODEL), ids=place_of)
def test_after_the_cloud_nothing_knows_torch(path):
    text = path.read_text(encoding="utf-8")
    assert place_of(path) in TAKES_TORCH or not re.search(r"^ *(import|from) (torch|transformers)", text, re.MULTILINE)


FORBIDDEN_NAMES = {"print", "open"}


@pytest.mark.parametrize("path", [p for p in of_packages(KNOW_NO_MODEL) if place_of(p) not in OUTSIDE], ids=place_of)
def test_pure_packages_do_not_print_read_a_clock_or_touch_global_randomness(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in FORBIDDEN_NAMES, node.lineno
        if isinstance(node, ast.Attribute) and ast.unparse(node).startswith(("np.random.", "time.")):
            assert ast.unparse(node) in ("np.random.Generator", "np.random.default_rng"), ast.unparse(node)


def test_no_broad_except_but_the_last_net_of_the_command_line():
    broad = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ExceptHandler):
                caught = ast.unparse(node.type) if node.type else "everything"
                broad += [f"{path.relative_to(ROOT)}"] * (caught in ("everything", "Exception", "BaseException"))
    assert broad == [str(Path("cli") / "terminal" / "ending.py")]


def test_no_file_is_over_400_lines():
    long = {
        str(p.relative_to(ROOT)): n for p in modules() if (n := len(p.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert not long


def loaded_after(code):
    heavy = ["torch", "transformers", "matplotlib", "scipy", "pandas", "jinja2"]
    script = f"{code}\nimport sys\nprint(*[m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize("code", ["import todacomm", "import todacomm.cli"])
def test_the_light_ways_in_load_nothing_heavy(code):
    assert loaded_after(code) == []


def test_the_sentence_is_the_same_everywhere():
    sentence = (
        "A study is a set of point clouds with addresses (model, data, layer, step); everything after the cloud is "
        "the same code."
    )
    assert sentence in " ".join(todacomm.__doc__.split())
    for name in ("README.md", "ARCHITECTURE.md"):
        assert sentence in " ".join((REPOSITORY / name).read_text(encoding="utf-8").split()), name


def test_every_public_name_is_there():
    assert set(todacomm.__all__) == set(todacomm._PLACES) | {"__version__"}
    for name in todacomm.__all__:
        assert getattr(todacomm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        todacomm.nothing  # noqa: B018 - the attribute is the test
