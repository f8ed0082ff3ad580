"""The strata: imports point one way only, and the light ways in stay light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import todacomm

ROOT = Path(todacomm.__file__).parent
STRATA = [
    {
        "errors",
        "registry",
        "recipe",
        "types",
        "addresses",
        "cards",
        "claims",
        "quantities",
        "progress",
        "values",
        "_version",
    }
    | {"distances", "projection", "landmarks", "fourier", "figures", "plain"}
    | {"given", "matrices", "facts", "sameness", "threads"},
    {
        "pooling",
        "cloud",
        "engines",
        "metrics",
        "pvalues",
        "geometry",
        "permutations",
        "dimension",
        "changepoints",
    },
    {
        "models",
        "checkpoints",
        "parts",
        "adapters",
        "completeness",
        "held",
        "families",
        "feeding",
        "hooks",
        "chains",
        "probing",
        "kinds",
        "loading",
        "placement",
        "batching",
        "extraction",
        "axes",
        "sites",
        "collecting",
        "layerwise",
        "language",
        "zoo",
        "skeletons",
        "grokking",
    },
    {
        "expansion",
        "homology",
        "between_diagrams",
        "measurement",
        "comparison",
        "halves",
        "splits",
        "intervals",
        "nulls",
        "evidence",
        "profiles",
        "loops",
        "loop_groups",
        "filled",
        "pairing",
        "blocks",
        "likeness",
        "gate",
        "grid",
        "statements",
        "ablation",
        "watching",
        "milestones",
        "judging",
        "signature",
        "views",
        "layer_distances",
        "diagram_distances",
    },
    {
        "arrays",
        "tables_of_numbers",
        "sources",
        "study",
        "store",
        "claims_store",
        "files",
        "locks",
        "study_files",
        "plain_yaml",
        "model_nulls",
        "versions",
        "experiment",
    }
    | {
        "clouds_store",
        "comparison_store",
        "grok_store",
        "laboratory",
        "places",
        "salvage",
        "typed",
        "leftovers",
        "directories",
        "correcting",
        "ablation_store",
        "texts_store",
    }
    | {"cache", "digests", "kept", "jobs", "remote", "workers", "reruns"}
    | {"memory", "plan", "calibration", "trials", "counting", "planning", "fitting"},
    {"report", "plots"},
    {"execution", "ablating", "concluding", "grok_execution", "reporting", "cli", "__init__", "__main__"},
]
LEVEL = {name: level for level, names in enumerate(STRATA) for name in names}
PURE = STRATA[0] | STRATA[1] | STRATA[3]
KNOWS_NO_MODEL = {"measurement", "comparison", "expansion", "metrics", "engines", "report"} | {
    "splits",
    "halves",
    "intervals",
    "watching",
    "signature",
}


def part_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(tree):
    """The parts of todacomm that a module imports, anywhere in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "todacomm":
            inner = node.module.split(".")[1:]
            yield from [inner[0]] if inner else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("todacomm."))


def modules():
    return sorted(path for path in ROOT.rglob("*.py"))


def violations(part, found):
    """The imports that point up, and those between two modules of the stratum of pure functions."""
    for other in found:
        if other == part or other not in LEVEL:
            continue
        if LEVEL[other] > LEVEL[part] or (LEVEL[part] == LEVEL[other] == 1):
            yield f"{part} imports {other}"


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    part = part_of(path)
    assert part in LEVEL, f"{part} has no place in the strata: give it one here and in ARCHITECTURE.md"
    if part == "__init__":
        return
    found = set(imported(ast.parse(path.read_text(encoding="utf-8"))))
    assert not list(violations(part, found))
    if part in KNOWS_NO_MODEL:
        assert not found & STRATA[2]


def test_an_import_turned_round_is_seen():
    assert list(violations("cloud", {"experiment"})) == ["cloud imports experiment"]
    assert list(violations("cloud", {"metrics"})) == ["cloud imports metrics"]
    assert not list(violations("experiment", {"cloud", "experiment"}))
    assert set(imported(ast.parse("def f():\n    from todacomm.store import x\n    from todacomm import cloud"))) == {
        "store",
        "cloud",
    }


FORBIDDEN_NAMES = {"print", "open"}


@pytest.mark.parametrize("path", [p for p in modules() if part_of(p) in PURE], ids=lambda p: str(p.relative_to(ROOT)))
def test_pure_strata_do_not_print_read_a_clock_or_touch_global_randomness(path):
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
    assert broad == [str(Path("cli") / "ending.py")]


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
    sentence = "A study is a set of point clouds with addresses (model, data, layer, step); everything after the cloud is the same code."
    assert sentence in todacomm.__doc__
    repository = ROOT.parents[1]
    for name in ("README.md", "ARCHITECTURE.md"):
        assert sentence in " ".join((repository / name).read_text(encoding="utf-8").split()), name


def test_every_public_name_is_there():
    assert set(todacomm.__all__) == set(todacomm._PLACES) | {"__version__"}
    for name in todacomm.__all__:
        assert getattr(todacomm, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        todacomm.nothing  # noqa: B018 - the attribute is the test
