"""Figures of circles: the clock of each dominant frequency, Lissajous figures of frequencies and of neurons."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import combinations

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from todacomm.records.training import WEIGHTS, characters_of, frequencies, read_checkpoint, read_weights
from todacomm.report.document import style
from todacomm.report.document.matplotlib_renderer import shielded
from todacomm.report.training.read_experiment import Exhibit, Trained
from todacomm.report.training.training_figure_parts import grok_figure, heading
from todacomm.report.words.phrases import share
from todacomm.training.fourier import Characters, additive_characters, coefficients, plane, shares

MOST_CLOCKS = 5
LABELS = 12  # residues that are named on a clock
LEAST_ANGLE = 0.2  # radians between two names: three digits of 6.5 points on the ring of a small panel
RGBA = tuple[float, float, float, float]
OF_PAIRS = 3  # frequencies whose pairs are drawn
# Once around and back to where it began, all hues about equally dark, so that thin lines stay visible.
AROUND = LinearSegmentedColormap.from_list(
    "around", ("#0072B2", "#7A5BC0", "#CC4C9A", "#D55E00", "#B8860B", "#4F9D3A", "#009E8E", "#0072B2")
)


@dataclass(frozen=True, slots=True, eq=False)
class Clock:
    """The rows of the embedding on the plane of one frequency: ``points`` (order, 2) in the order of the group.

    ``share`` is the fraction of the variance, ``order`` how well the residues fit their hours (`in_order`), ``loop``
    the longest H1 bar of the plane, None where unknown.
    """

    frequency: int
    points: Float[np.ndarray, "order 2"]
    share: float
    order: float
    loop: float | None = None


def in_order(points: Float[np.ndarray, "order 2"], frequency: int) -> float:
    """How well places are ordered around the circle of a frequency: |mean exp i(θ − 2πk·place / order)|, at most 1.

    Near 0 for residues at random angles, whatever the radius. A `plane` is chosen for its frequency, so random rows
    have more on theirs: `order_by_chance`.
    """
    hours = 2 * np.pi * frequency * np.arange(len(points)) / len(points)
    angles = np.arctan2(points[:, 1], points[:, 0])
    return float(np.abs(np.exp(1j * (angles - hours)).mean()))


@cache
def order_by_chance(order: int, width: int) -> float:
    """The mean `in_order` of 20 Gaussian embeddings (order, width), each on its plane of frequency 1."""
    rng = np.random.default_rng(0)
    group = additive_characters(order)
    drawn = (plane(rng.standard_normal((order, width)), group, 1) for _ in range(20))
    return float(np.mean([in_order(points, 1) for points in drawn]))


def around(order: int, frequency: int) -> Int[np.ndarray, " order"]:
    """The places of a group as they follow each other around the circle of a frequency, from place 0.

    >>> around(7, 2).tolist()  # 2 · 4 = 1 mod 7: each place is four on from the one before
    [0, 4, 1, 5, 2, 6, 3]
    """
    return np.argsort(np.arange(order) * frequency % order, kind="stable")


def elements(characters: Characters) -> Int[np.ndarray, " order"]:
    """The residue at each place of the group."""
    found = np.empty(characters.order, dtype=np.int64)
    found[characters.places] = characters.members
    return found


def clocks_at(run: Trained, step: int, chosen: tuple[int, ...], characters: Characters) -> list[Clock]:
    """The clocks of these frequencies at one step; none where the run has no embedding."""
    rows = read_checkpoint(run.directory, step).embedding_rows
    if rows is None:
        return []
    table = coefficients(rows, characters)
    spectrum = shares(table)
    made = ((k, plane(rows, characters, k, table)) for k in chosen)
    return [Clock(k, points, float(spectrum[k - 1]), in_order(points, k)) for k, points in made]


def final_clocks(run: Trained) -> tuple[list[Clock], Characters, float] | None:
    """The clocks of the dominant frequencies at the last checkpoint, with loops, characters, and random order.

    None without characters.
    """
    characters, _ = characters_of(run.directory)
    chosen = frequencies(run.directory).get(run.last_step, ())[:MOST_CLOCKS]
    if characters is None or run.course is None or not chosen:
        return None
    names = [f"plane_{rank}_H1_max_lifetime" for rank in range(1, len(chosen) + 1)]
    loops = [float(run.course[name][-1]) if run.has(name) else None for name in names]
    found = clocks_at(run, run.last_step, chosen, characters)
    told = [Clock(c.frequency, c.points, c.share, c.order, h) for c, h in zip(found, loops, strict=False)]
    rows = read_checkpoint(run.directory, run.last_step).embedding_rows
    return None if rows is None else (told, characters, order_by_chance(characters.order, rows.shape[1]))


# The clock


@grok_figure(
    "clock",
    title="The clock: residues around the circle of each dominant frequency",
    caption="The embedding of the last checkpoint on the plane of each of its strongest frequencies k, in units of the "
    "root mean square radius. Colour is the hour, k·a mod p: where the colours run once around, the residues stand in "
    "order. The thin line goes from each residue to the next on an ideal circle, a + k⁻¹; it is a circle where they "
    "are in order and a tangle where not. Some residues are named, on a ring in the direction of their point. Order is "
    "|mean exp i(angle − hour)|: 1 for perfect hours. Each plane is chosen for its frequency, so that even rows drawn "
    "at random stand in some order on it: the first line says how much. For multiplication and division a stands for "
    "the discrete logarithm of the residue.",
)
def clock(exhibit: Exhibit) -> Figure | None:
    """One panel for each dominant frequency."""
    run = exhibit.chosen
    found = final_clocks(run) if run else None
    if run is None or found is None:
        return None
    clocks, characters, chance = found
    columns = min(3, len(clocks))
    rows = -(-len(clocks) // columns)
    side = style.WIDTH / 3
    drawn = Figure(figsize=(max(4.2, side * columns), (side + 0.2) * rows + 0.3))
    by_chance = f" · order of random rows {chance:.2f}"
    drawn.suptitle(f"{shielded(heading(exhibit, run))} · step {run.last_step:,}{by_chance}", fontsize=9)
    panels = drawn.subplots(rows, columns, squeeze=False)
    for axes, one in zip(panels.flat, clocks, strict=False):
        draw_clock(axes, one, characters)
        axes.set_title(clock_title(one), fontsize=7.5)
    for spare in panels.flat[len(clocks) :]:
        spare.set_axis_off()
    return drawn


def clock_title(one: Clock) -> str:
    """Frequency, share, loop and order of a clock."""
    loop = "" if one.loop is None or math.isnan(one.loop) else f"H1 max {one.loop:.2f} · "
    return f"k = {one.frequency} · {share(one.share, 0)} of the variance\n{loop}order {one.order:.2f}"


def draw_clock(axes: Axes, one: Clock, characters: Characters, *, labels: int = LABELS) -> None:
    """The points of a clock at their hours, joined in their order, some of them named."""
    order, names = characters.order, elements(characters)
    sequence = around(order, one.frequency)
    closed = one.points[np.append(sequence, sequence[0])]
    axes.plot(closed[:, 0], closed[:, 1], color="#B5B5B5", linewidth=0.6, zorder=1)
    hours = np.arange(order) * one.frequency % order / order
    axes.scatter(one.points[:, 0], one.points[:, 1], s=9, c=AROUND(hours), linewidths=0, zorder=2)
    ring = 1.05 * float(np.hypot(*one.points.T).max(initial=1.0)) + 0.2
    named = sequence[np.linspace(0, order, min(labels, order), endpoint=False).astype(int)]
    for place in apart(one.points, named):
        label_outside(axes, one.points[place], str(names[place]), AROUND(hours[place]), ring)
    limit = ring + 0.15
    axes.set(xlim=(-limit, limit), ylim=(-limit, limit), aspect="equal")
    bare(axes)


def apart(points: Float[np.ndarray, "order 2"], places: Int[np.ndarray, " k"]) -> list[int]:
    """The places whose directions from the centre are far enough apart for names on a ring."""
    kept: list[int] = []
    angles = np.arctan2(points[:, 1], points[:, 0])
    for place in places:
        away = np.abs((angles[kept] - angles[place] + np.pi) % (2 * np.pi) - np.pi)
        if (away >= LEAST_ANGLE).all():
            kept.append(int(place))
    return kept


def label_outside(axes: Axes, point: Float[np.ndarray, "2"], name: str, colour: RGBA, ring: float) -> None:
    """A name on a ring around all points, in the direction of its point, with a thin line from it where it is far."""
    radius = math.hypot(*point)
    x, y = point * (ring / radius) if radius else np.array([ring, 0.0])
    if radius < 0.75 * ring:
        axes.plot([point[0], 0.92 * x], [point[1], 0.92 * y], color=colour, linewidth=0.4, alpha=0.6, zorder=1)
    axes.text(x, y, name, ha="center", va="center", fontsize=6.5, color=colour)


def bare(axes: Axes) -> None:
    """No ticks, no grid, no frame: a panel of a shape."""
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


# Lissajous figures


def folded(frequency: int, order: int) -> int:
    """The frequency from 0 to order // 2 that has the same cosine."""
    return min(frequency % order, -frequency % order)


def slowest(order: int, first: int, second: int) -> tuple[int, int, int]:
    """The stride through a cyclic group at which two frequencies turn slowest, and how often each turns then.

    >>> slowest(113, 17, 34)  # 17 · 20 = 1 mod 113
    (20, 1, 2)
    """
    units = [s for s in range(1, order) if math.gcd(s, order) == 1]
    stride = min(units, key=lambda s: (max(folded(s * first, order), folded(s * second, order)), s))
    return stride, folded(stride * first, order), folded(stride * second, order)


def curve(axes: Axes, x: Float[np.ndarray, " order"], y: Float[np.ndarray, " order"], stride: int) -> None:
    """Two waves over the group against each other, residues joined in strides and coloured by their turn."""
    order = len(x)
    sequence = np.arange(order + 1) * stride % order
    at = np.column_stack([x[sequence], y[sequence]])
    turns = AROUND(np.arange(order) / order)
    axes.add_collection(
        LineCollection(list(np.stack([at[:-1], at[1:]], axis=1)), colors=turns, linewidths=0.8, alpha=0.7)
    )
    axes.scatter(at[:-1, 0], at[:-1, 1], s=5, c=turns, linewidths=0, zorder=2)
    for limits, values in ((axes.set_xlim, x), (axes.set_ylim, y)):
        low, high = float(values.min()), float(values.max())
        room = 0.08 * (high - low) or 1.0
        limits(low - room, high + room)
    axes.set_box_aspect(1)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)


def _strided(stride: int) -> str:
    return "every residue" if stride == 1 else f"every {ordinal(stride)} residue"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th, 21st."""
    endings = {1: "st", 2: "nd", 3: "rd"}
    return f"{number}{'th' if 10 <= number % 100 <= 20 else endings.get(number % 10, 'th')}"


@grok_figure(
    "lissajous",
    title="Lissajous figures of pairs of frequencies",
    caption="The cosine components of the embedding at two of its strongest frequencies against each other (root mean "
    "square radius 1), above, and the same of ideal waves, below. The residues are joined in the stride at which both "
    "turn slowest (17 and 34 in strides of 20 are 1 and 2 turns, mod 113), which is the Lissajous figure of that "
    "ratio; colour is the turn. Where the network has no such circles the line is a tangle.",
)
def lissajous(exhibit: Exhibit) -> Figure | None:
    """Pairs of the strongest frequencies, as they are and as they would be."""
    run = exhibit.chosen
    found = final_clocks(run) if run else None
    if run is None or found is None or len(found[0]) < 2:
        return None
    pairs = list(combinations(found[0][:OF_PAIRS], 2))
    drawn = Figure(figsize=(style.WIDTH if len(pairs) > 1 else 3.6, 5.3))
    drawn.suptitle(f"{shielded(heading(exhibit, run))} · step {run.last_step:,}", fontsize=9)
    panels = drawn.subplots(2, len(pairs), squeeze=False)
    for (above, below), (one, other) in zip(panels.T, pairs, strict=True):
        order = found[1].order
        stride, m, n = slowest(order, one.frequency, other.frequency)
        curve(above, one.points[:, 0], other.points[:, 0], stride)
        angles = 2 * np.pi * np.arange(order) / order
        curve(below, np.cos(one.frequency * angles), np.cos(other.frequency * angles), stride)
        above.set_title(f"k = {one.frequency} and {other.frequency}: {m} : {n}\n{_strided(stride)}", fontsize=7.5)
        for axes, word in ((above, "embedding"), (below, "ideal")):
            axes.set_xlabel(f"cos, k = {one.frequency} ({word})", fontsize=7)
            axes.set_ylabel(f"cos, k = {other.frequency} ({word})", fontsize=7)
    return drawn


# Neurons


@dataclass(frozen=True, slots=True, eq=False)
class Neuron:
    """A neuron of the first feed-forward layer as a function of a.

    ``wave`` (order,) is in the order of the group, centred, over its root mean square; then its strongest frequency,
    the fraction of its variance there, and its phase in radians.
    """

    number: int
    wave: Float[np.ndarray, " order"]
    frequency: int
    share: float
    phase: float


def first_layer(weights: Mapping[str, np.ndarray]) -> Float[np.ndarray, "c h"] | None:
    """The first feed-forward layer applied to each row of the embedding as the first input; None without such a layer.

    Biases, norms and attention are left out: they do not depend on the residue, or mix it with the other input.
    """
    table = weights.get("embed.weight")
    if table is None:
        return None
    rows, width = table.astype(np.float64), table.shape[1]
    if "layers.0.linear1.weight" in weights:
        return rows @ weights["layers.0.linear1.weight"].astype(np.float64).T
    if "up" in weights:
        return rows @ weights["up"].astype(np.float64)
    first = weights.get("layers.0.weight")
    return None if first is None or first.shape[1] < width else rows @ first[:, :width].astype(np.float64).T


def neurons_of(given: Float[np.ndarray, "c h"], characters: Characters) -> list[Neuron]:
    """Every neuron that varies, the purest first."""
    waves = given[elements(characters)]
    waves = waves - waves.mean(axis=0)
    size = np.sqrt((waves**2).mean(axis=0))
    power = np.abs(np.fft.rfft(waves, axis=0)[1:]) ** 2
    best = power.argmax(axis=0)
    phases = np.angle(np.fft.rfft(waves, axis=0)[best + 1, np.arange(waves.shape[1])])
    total = power.sum(axis=0)
    alive = np.flatnonzero(size > 1e-9 * (float(size.max(initial=0.0)) or 1.0))
    found = [
        Neuron(
            int(i),
            waves[:, i] / size[i],
            int(best[i]) + 1,
            float(power[best[i], i] / total[i]),
            float(phases[i]),
        )
        for i in alive
    ]
    return sorted(found, key=lambda neuron: (-neuron.share, neuron.number))


def neuron_pairs(found: list[Neuron]) -> list[tuple[Neuron, Neuron]]:
    """Three pairs of one frequency a quarter turn apart, then three of different frequencies, of the purest neurons."""
    purest: dict[int, list[Neuron]] = {}
    for neuron in found:
        purest.setdefault(neuron.frequency, []).append(neuron)
    leading = list(purest.values())[:OF_PAIRS]
    same = [(group[0], _a_quarter_from(group[0], group[1:12])) for group in leading if len(group) > 1]
    return [*same, *combinations([group[0] for group in leading], 2)]


def _a_quarter_from(one: Neuron, others: list[Neuron]) -> Neuron:
    return min(others, key=lambda other: (abs(math.cos(one.phase - other.phase)), other.number))


@grok_figure(
    "lissajous_neurons",
    title="Lissajous figures of pairs of neurons",
    caption="What two neurons of the first feed-forward layer are given by the embedding of the first input alone "
    "(before bias, norm, attention and activation), as a function of the residue, against each other. Chosen are the "
    "neurons with the most of their variance in one frequency: above, two of one frequency about a quarter turn apart, "
    "which draw an ellipse; below, two of different frequencies. Residues are joined in the stride at which both turn "
    "slowest; colour is the turn.",
)
def lissajous_neurons(exhibit: Exhibit) -> Figure | None:
    """Pairs of the purest neurons of the last step."""
    run = exhibit.chosen
    characters = characters_of(run.directory)[0] if run else None
    if run is None or characters is None or not (run.directory / WEIGHTS).exists():
        return None
    given = first_layer(read_weights(run.directory))
    pairs = neuron_pairs(neurons_of(given, characters)) if given is not None else []
    if not pairs:
        return None
    columns = min(3, len(pairs))
    rows = -(-len(pairs) // columns)
    drawn = Figure(figsize=(2.4 * columns if columns > 1 else 3.6, 2.75 * rows + 0.3))
    drawn.suptitle(f"{shielded(heading(exhibit, run))} · step {run.last_step:,}", fontsize=9)
    panels = drawn.subplots(rows, columns, squeeze=False)
    for axes, (one, other) in zip(panels.flat, pairs, strict=False):
        stride, m, n = slowest(characters.order, one.frequency, other.frequency)
        curve(axes, one.wave, other.wave, stride)
        ratio = "one frequency" if one.frequency == other.frequency else f"{m} : {n}"
        axes.set_title(f"{ratio} · {_strided(stride)}", fontsize=7.5)
        axes.set_xlabel(neuron_label(one), fontsize=7)
        axes.set_ylabel(neuron_label(other), fontsize=7)
    for spare in panels.flat[len(pairs) :]:
        spare.set_axis_off()
    return drawn


def neuron_label(neuron: Neuron) -> str:
    """The number of a neuron, its frequency and how much of it that is."""
    return f"neuron {neuron.number} (k = {neuron.frequency}, {share(neuron.share, 0)})"
