"""Build the explorer of a training experiment: trajectories, null band, signature, frames of one run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from todacomm.report.document.page_renderer import page_of
from todacomm.report.document.rounding import all_rounded
from todacomm.report.training.all_figures import MOST_OTHER_CELLS
from todacomm.report.training.curve_charts import Line, Lines, curve_lines, dimension_lines
from todacomm.report.training.curve_plots import MOST_SPECTRA, spectra
from todacomm.report.training.frames import frames_of, thinned
from todacomm.report.training.read_experiment import Exhibit, Findings, Trained, middle, named, null_range, one_more
from todacomm.report.training.signature_charts import signature_chart
from todacomm.report.training.training_figure_parts import CONTROL, CONTROL_DASHES, MEDIAN_FROM, coloured, log_from

MOST_STEPS, FEWEST_STEPS = 400, 50  # of a course on the page
MOST_NUMBERS = 300_000  # of all courses: about 2.5 MB of the page
DASHES = {"-": "solid", "--": "dash", ":": "dot"}
# Figures that the page lets be read off instead: those of all runs, and those of the run that moves.
CURVES = ("training_curves", "local_dimension", "signature")
MOVING = ("persistence_moments", "spectrum_over_time", "clock", "lissajous", "embedding")
VIEWS = (
    {"key": "sphere", "suffix": "", "label": "unit sphere", "unit": "chord on the unit sphere"},
    {"key": "raw", "suffix": "", "label": "raw", "unit": "activation units"},
    {"key": "raw", "suffix": "_scaled", "label": "scale-free", "unit": "over the median distance"},
)


@dataclass(frozen=True, slots=True)
class Words:
    """The title of a number, its unit, and how to read its panel."""

    title: str
    unit: str
    how: str


WORDS = {
    "test_accuracy": Words(
        "Accuracy", "share of answers",
        "Of the training pairs and of the test pairs. Grokking is the gap between the two rises."
    ),
    "test_loss": Words("Loss", "nats", "Cross-entropy, on a logarithmic axis. Small is sure and right."),
    "H1_max_lifetime": Words(
        "H1 max",
        "",
        "The longest-lived loop of the cloud. A rise out of the pale band is what one more control would not show; the "
        "darker band is what the controls did, each over its own plateau, times the plateau of the runs.",
    ),
    "H1_total_persistence": Words("H1 total", "", "The lifetimes of all loops together, short ones included."),
    "H0_total_persistence": Words(
        "H0 total", "", "The length of the shortest tree that joins all points: it falls when points draw together."
    ),
    "fourier_top5_share": Words(
        "Fourier spectrum",
        "share of the variance",
        "What the five strongest frequencies hold of the embedding, and the Gini index of all shares, 1 where one has "
        "everything.",
    ),
    "weight_norm": Words(
        "Norms", "root of the sum of squares", "Weight decay makes them fall."
    ),
    "restricted_loss": Words(
        "Loss of parts",
        "nats",
        "With the five strongest frequencies of the logits alone (restricted), and without them (excluded). The first "
        "falls and the second rises where the network answers by those frequencies.",
    ),
    "local_dimension": Words(
        "Local dimension",
        "TwoNN",
        "Dimension of small neighbourhoods of the deepest hidden states. Memorising spreads them over many "
        "directions; a rule needs few.",
    ),
    "embedding_dimension": Words(
        "Dimension of the embedding",
        "TwoNN",
        "Of the rows as a whole, left out where points are tied. On regular circles neighbours are nearly tied, and "
        "it reads too high.",
    ),
}  # fmt: skip


def grok_explorers(findings: Findings) -> list[dict[str, Any]]:
    """The payload of the page's explorer; empty where no run left a checkpoint.

    The shown cell is told in full, with its frames; the first other cells of a sweep, under ``others``, without.
    """
    if not findings.shown.shown:
        return []
    others = [e for e in findings.exhibits if e.shown and e is not findings.shown][:MOST_OTHER_CELLS]
    most = most_steps([findings.shown, *others])
    first, *more = (cell_of(exhibit, most) for exhibit in (findings.shown, *others))
    frames = frames_of(findings.shown)
    shows = [*CURVES, *(MOVING if frames else ())]
    return [{"kind": "grok", "shows": shows, **first, "frames": frames, "others": more}]


def most_steps(exhibits: Sequence[Exhibit]) -> int:
    """The number of steps of a trajectory that fit on the page."""
    numbers = sum(len(keys_of(e)) * (len(e.shown) + len(e.beside)) for e in exhibits)
    return min(MOST_STEPS, max(FEWEST_STEPS, MOST_NUMBERS // max(numbers, 1)))


def keys_of(exhibit: Exhibit) -> list[str]:
    """The numbers that any panel can show: topology of every cloud in every view, the others as they are."""
    names = [line.name for panel in panels_of(exhibit) for line in panel.lines]
    places = [(cloud, view) for cloud in clouds_of(exhibit) for view in VIEWS]
    found = (
        [f"{cloud}/{view['key']}/{metric_of(name)}{view['suffix']}" for cloud, view in places]
        if "/" in name
        else [name]
        for name in names
    )
    return [key for keys in found for key in keys]


def cell_of(exhibit: Exhibit, most: int = MOST_STEPS) -> dict[str, Any]:
    """The runs and controls of one cell along at most ``most`` steps, and the verdict on them."""
    keys = keys_of(exhibit)
    return {
        "cell": exhibit.cell.replace(",", ", "),
        "heading": heading_of(exhibit),
        "verdict": exhibit.verdict,
        "followed": exhibit.followed,
        "followed_label": named(exhibit.followed),
        "without_fourier": exhibit.without_fourier,
        "log_steps": log_from(exhibit) is not None,
        "clouds": [{"key": cloud, "label": cloud.replace("_", " ")} for cloud in clouds_of(exhibit)],
        "views": [dict(view) for view in VIEWS],
        "runs": [*lines_of(exhibit, keys, most), *median_of(exhibit, keys, most)],
        "panels": [panel_record(panel, exhibit) for panel in panels_of(exhibit)],
        "band": band_of(exhibit, most),
        "spectra": spectra_of(exhibit, most),
        "signature": page_of(signature_chart(exhibit)),
    }


def heading_of(exhibit: Exhibit) -> str:
    """Network and task."""
    about = exhibit.about
    told = (about.get("settings", {}).get("network", ""), str(about.get("task", "")))
    return f"Along the training: {', '.join(filter(None, told))}"


# Courses


def lines_of(exhibit: Exhibit, keys: Sequence[str], most: int) -> list[dict[str, Any]]:
    """Every run in its colour, then every control in grey."""
    runs = [course_record(run, colour, "solid", keys, most) for run, colour in coloured(exhibit.shown)]
    dashes = [(control, DASHES[CONTROL_DASHES.get(control.kind, ":")]) for control in exhibit.beside]
    return [*runs, *(course_record(control, CONTROL, dash, keys, most) for control, dash in dashes)]


def course_record(run: Trained, colour: str, dash: str, keys: Sequence[str], most: int) -> dict[str, Any]:
    """The numbers of one run at its steps, thinned where there are very many."""
    steps, places = thinned_places(run.course.steps if run.course else (), most)
    passed = run.told.milestones if run.told else None
    return {
        "label": run.label,
        "kind": run.kind,
        "colour": colour,
        "dash": dash,
        "steps": steps,
        "memorised": passed.memorised_at if passed else None,
        "generalised": passed.generalised_at if passed else None,
        "series": {key: all_rounded(run.course[key][places]) for key in keys if run.course and run.has(key)},
    }


def thinned_places(steps: Sequence[int], most: int) -> tuple[list[int], list[int]]:
    """At most ``most`` of the steps, and which places they have."""
    kept = set(thinned(steps, most))
    places = [i for i, step in enumerate(steps) if step in kept]
    return [steps[i] for i in places], places


def median_of(exhibit: Exhibit, keys: Sequence[str], most: int) -> list[dict[str, Any]]:
    """The median over runs, where there are many, as one more course."""
    if len(exhibit.shown) < MEDIAN_FROM:
        return []
    found = {key: middle(exhibit.shown, key) for key in keys if any(run.has(key) for run in exhibit.shown)}
    steps = thinned(sorted({step for known, _ in found.values() for step in known}), most)
    values = {key: dict(zip(known, value.tolist(), strict=True)) for key, (known, value) in found.items()}
    series = {key: all_rounded([at.get(step) for step in steps]) for key, at in values.items()}
    about = {"label": "median of the runs", "kind": "median", "colour": "ink", "dash": "solid"}
    return [{**about, "steps": steps, "memorised": None, "generalised": None, "series": series}]


# Panels


def panels_of(exhibit: Exhibit) -> list[Lines]:
    """The panels of training curves and dimension, each once; the norm of the embedding beside that of all weights."""
    found = {panel.lines[0].name: panel for panel in (*curve_lines(exhibit), *dimension_lines(exhibit))}
    if "weight_norm" in found:
        both = (Line("weight_norm", label="all weights"), Line("embedding_norm", ":", "embedding", of_controls=False))
        found["weight_norm"] = Lines("", both)
    return [panel for panel in found.values() if panel.known(exhibit)]


def metric_of(name: str) -> str:
    """The number without its cloud and view.

    >>> metric_of("embedding/sphere/H1_max_lifetime"), metric_of("test_loss")
    ('H1_max_lifetime', 'test_loss')
    """
    return name.rsplit("/", 1)[-1]


def panel_record(panel: Lines, exhibit: Exhibit) -> dict[str, Any]:
    """One panel: its lines, and whether they are of a cloud that the reader chooses."""
    first = metric_of(panel.lines[0].name)
    words = WORDS.get(first) or Words(panel.label.replace("\n", " "), "", "")
    return {
        "label": words.title,
        "unit": words.unit,
        "how": words.how,
        "log": panel.log,
        "range": list(panel.limits) if panel.limits else None,
        "of_cloud": first != panel.lines[0].name,
        "lines": [
            {
                "key": metric_of(line.name),
                "label": line.label,
                "dash": DASHES[line.dashes],
                "controls": line.of_controls,
            }
            for line in panel.known(exhibit)
        ],
        "controls": any(line.of_controls for line in panel.lines),
    }


def clouds_of(exhibit: Exhibit) -> list[str]:
    """The layers with topology, that of the followed number first."""
    names = [name for run in exhibit.shown if run.course for name in run.course.numbers]
    found = dict.fromkeys(name.split("/")[0] for name in names if name.endswith("/sphere/H1_max_lifetime"))
    return sorted(found, key=lambda layer: layer != exhibit.layer)


# The null band and the spectra


def band_of(exhibit: Exhibit, most: int) -> dict[str, Any] | None:
    """What the controls did, in units of the plateau of the runs, and between which values one more would end."""
    found, ahead = null_range(exhibit), one_more(exhibit)
    if found is None and ahead is None:
        return None
    steps, low, high = found if found is not None else ([], np.empty(0), np.empty(0))
    kept, places = thinned_places(steps, most)
    return {
        "key": exhibit.followed,
        "steps": kept,
        "low": all_rounded(low[places]),
        "high": all_rounded(high[places]),
        "one_more": all_rounded(ahead) if ahead else None,
    }


def spectra_of(exhibit: Exhibit, most: int) -> list[dict[str, Any]]:
    """The spectra of the first runs along their steps, as rows of shares (f,), one a step."""
    found = [(run, seen) for run in exhibit.shown[:MOST_SPECTRA] if run.whole and (seen := spectra(run)) is not None]
    return [{"run": run.label, **thinned_spectrum(*seen, most)} for run, seen in found]


def thinned_spectrum(steps: Sequence[int], shares: Float[np.ndarray, "f T"], most: int) -> dict[str, Any]:
    """The columns of a spectrum that are kept, as rows of shares."""
    kept, places = thinned_places(steps, most)
    return {"steps": kept, "shares": [all_rounded(shares[:, i]) for i in places]}
