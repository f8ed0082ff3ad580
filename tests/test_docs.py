"""The documents are true: what they show runs, what is generated is fresh, what they link to is there."""

import importlib
import re
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"```python\n(.*?)```", re.DOTALL)
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
DOCUMENTS = sorted(
    [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *ROOT.glob("docs/**/*.md"), *ROOT.glob("src/**/*.md")]
)


@pytest.mark.slow
def test_how_it_works_runs():
    session = {}
    for block in FENCE.findall((ROOT / "docs" / "how-it-works.md").read_text(encoding="utf-8")):
        exec(compile(block, "how-it-works.md", "exec"), session)  # noqa: S102 - our own page


def test_the_first_python_of_the_readme_prints_what_it_says(capsys):
    block = FENCE.findall((ROOT / "README.md").read_text(encoding="utf-8"))[0]
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102 - our own page
    said = [line.rsplit("# ", 1)[1] for line in block.splitlines() if line.startswith("print")]
    assert capsys.readouterr().out.splitlines() == said


def test_the_command_line_reference_is_fresh():
    made = subprocess.run([sys.executable, ROOT / "docs" / "make_cli.py"], capture_output=True, text=True, check=True)
    assert made.stdout == (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), (
        "run: python docs/make_cli.py > docs/cli.md"
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    for target in LINK.findall(path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_architecture_fits_on_a_page():
    assert len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines()) <= 80
    assert len((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").splitlines()) <= 60


def test_the_commands_of_the_readme_exist():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"^make (\w+)", readme, re.MULTILINE)):
        assert f"\n{target}:" in makefile
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", readme)) - {"--config"}
    reference = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert not {option for option in options if f"`{option}`" not in reference}


def test_the_page_of_models_has_a_row_for_each_architecture():
    """What each row says is held by tests/models/test_architectures.py."""
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    measured = [line for line in page.split("## Measured")[1].split("\n## ")[0].splitlines() if line.startswith("| ")][
        2:
    ]
    assert len(measured) >= 100
    assert {line.count("|") for line in measured} == {8}
    assert f"{len(measured)} agree with a reference" in page


def test_the_glossary_is_fresh():
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_glossary.py"], capture_output=True, text=True, check=True
    )
    assert made.stdout == (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8"), (
        "run: python docs/make_glossary.py > docs/glossary.md"
    )


def test_the_drawn_loop_is_fresh():
    made = subprocess.run([sys.executable, ROOT / "docs" / "make_loop.py"], capture_output=True, text=True, check=True)
    assert made.stdout == (ROOT / "docs" / "figures" / "loop.svg").read_text(encoding="utf-8"), (
        "run: python docs/make_loop.py > docs/figures/loop.svg"
    )


def test_the_site_leads_to_every_page_and_every_decision():
    named = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {p.relative_to(ROOT / "docs").as_posix() for p in (ROOT / "docs").glob("**/*.md")}
    decisions = {p for p in pages if re.match(r"decisions/\d", p)}
    assert {p for p in pages - decisions if p not in named} == set()
    index = (ROOT / "docs" / "decisions" / "index.md").read_text(encoding="utf-8")
    assert {p for p in decisions if f"({p.removeprefix('decisions/')})" not in index} == set()


@pytest.mark.parametrize("note", sorted((ROOT / "docs" / "decisions").glob("0*.md")), ids=lambda p: p.stem)
def test_a_decision_opens_with_its_status_date_and_one_line(note):
    head, status, _ = note.read_text(encoding="utf-8").split("\n\n", maxsplit=2)
    assert re.match(rf"# {note.name[:3]}\. \S", head)
    assert re.match(r"\*Accepted, 20\d\d-\d\d-\d\d\.\* \S.*\.$", " ".join(status.split()))


def rows_of(page, heading):
    """The cells of each row of the first table after a heading."""
    section = (ROOT / "docs" / page).read_text(encoding="utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


def test_what_is_said_of_grokking_without_a_loop_is_what_its_seeds_show():
    verdicts = Counter(
        row[-1] for row in rows_of("grokking.md", "Without a loop, or nearly: one hidden layer") if row[0].isdigit()
    )
    assert sum(verdicts.values()) == 6
    words = {2: "two", 3: "three", 1: "one"}
    page = " ".join((ROOT / "docs" / "grokking.md").read_text(encoding="utf-8").split())
    assert (
        f"{words[verdicts['grokked without a loop']]} show none, {words[verdicts['signature present']]} a small one"
        in page
    )
    assert f"and {words[verdicts['grokked, the loop came late']]} rises so slowly" in page


def test_loops_that_are_none_are_told_with_their_rates(monkeypatch):
    """Each population that Rips takes for a loop is simulated and stands in the table; the page says which."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    populations = importlib.import_module("null_populations").loops_to_rips(30)
    note = (ROOT / "docs" / "decisions" / "030-loops-in-groups.md").read_text(encoding="utf-8")
    rates = {name: re.search(rf"\| {re.escape(name)} \| ([\d.]+) \| ([\d.]+) \|", note) for name in populations}
    assert all(rates.values()), rates
    assert min(float(rates[name][1]) for name in ("open C, gap of 45°", "Swiss roll")) > 0.9
    page = (ROOT / "docs" / "methodology.md").read_text(encoding="utf-8")
    assert "An open curve whose gap is narrower than it is wide (a C, a rolled-up sheet) *is* a loop to Rips" in page


def test_no_bound_is_below_what_is_known_to_fail():
    """Of typer 0.12.0 to 0.12.5 no command started, with scipy 1.11.1 three tests failed."""
    bounds = dict(re.findall(r'"([A-Za-z-]+)>=([\d.]+)', (ROOT / "pyproject.toml").read_text(encoding="utf-8")))
    least = {name: tuple(map(int, bounds[name].split("."))) for name in ("typer", "scipy")}
    assert least["typer"] > (0, 12, 5)
    assert least["scipy"] > (1, 11, 1)


def test_every_package_and_every_shipped_file_has_its_licence():
    listed = (ROOT / "docs" / "licences.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    used = [one for name, given in extras.items() if name not in ("all", "dev", "docs", "test") for one in given]
    for requirement in (*project["dependencies"], *used):
        name = canonicalize_name(re.match(r"[\w.-]+", requirement)[0])
        assert f"| {name} | " in listed, name
    for pattern in project["license-files"]:
        for path in ROOT.glob(pattern):
            assert path.name == "LICENSE" or path.relative_to(ROOT / "src" / "todacomm").as_posix() in listed


def test_the_versions_of_ci_are_those_of_the_readme():
    installed = (ROOT / ".ci" / "requirements.txt").read_text(encoding="utf-8")
    hashed = dict(re.findall(r"^(\S+)==(\S+) ", installed, re.MULTILINE))
    pinned = re.findall(r"^(\S+)==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(pinned) > 50
    assert [(name, version) for name, version in pinned if hashed[canonicalize_name(name)] != version] == []
