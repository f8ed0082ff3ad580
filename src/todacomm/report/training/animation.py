"""Animate the embedding as it turns into circles: a GIF of the planes of the final frequencies beside the curves."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from todacomm.records.files.io import write_atomically
from todacomm.records.training import characters_of, frequencies
from todacomm.report.document import style
from todacomm.report.document.matplotlib_renderer import frame_axis, set_scale, shielded
from todacomm.report.training.clock_plots import AROUND, Clock, around, bare, clocks_at
from todacomm.report.training.read_experiment import Exhibit, Trained
from todacomm.report.training.training_figure_parts import heading, step_axis
from todacomm.report.words.phrases import share

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

Frame = UInt8[np.ndarray, "h w 3"]
FRAMES = 56
OF_FREQUENCIES = 3
PIXELS, INCHES = (700, 500), (7.0, 5.0)  # 100 dots an inch
MILLISECONDS, LAST_MILLISECONDS = 110, 2500
COLOURS_OF_A_GIF, NEARLY_WHITE = 96, 248
SIDE = 1.9  # of a plane, in root mean square radii


def write_animation(exhibit: Exhibit, path: Path) -> Path | None:
    """Write the GIF of the chosen run; None without circles or with a single checkpoint. Raises CannotWrite."""
    run = exhibit.chosen
    characters = characters_of(run.directory)[0] if run else None
    chosen = frequencies(run.directory).get(run.last_step, ())[:OF_FREQUENCIES] if run else ()
    if run is None or run.course is None or characters is None or not chosen or len(run.course) < 2:
        return None
    steps = frame_steps(run)
    seen = [clocks_at(run, step, chosen, characters) for step in steps]
    if not all(seen):
        return None
    with style.styled():
        return write_atomically(path, gif(_frames(exhibit, run, steps, seen)))


def frame_steps(run: Trained) -> list[int]:
    """At most `FRAMES` checkpoints: three quarters of them up to 1.25 × generalising, where the circles form."""
    if run.course is None:
        return []
    steps = np.asarray(run.course.steps)
    if len(steps) <= FRAMES:
        return [int(step) for step in steps]
    generalised = run.told.milestones.generalised_at if run.told else None
    turn = int(np.searchsorted(steps, 1.25 * generalised)) if generalised is not None else len(steps) - 1
    turn = min(max(turn, 1), len(steps) - 1)
    many = (3 * FRAMES) // 4 if turn < len(steps) - 1 else FRAMES
    before = np.linspace(0, turn, min(many, turn + 1))
    after = np.linspace(turn, len(steps) - 1, FRAMES - many + 1)[1:] if many < FRAMES else np.empty(0)
    return [int(steps[i]) for i in dict.fromkeys(np.concatenate([before, after]).round().astype(int).tolist())]


def gif(frames: Sequence[Frame]) -> bytes:
    """Frames as a GIF that loops, on one palette, the last one held."""
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    palette = _palette(images)
    flat = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    times = [MILLISECONDS] * (len(flat) - 1) + [LAST_MILLISECONDS]
    target = BytesIO()
    flat[0].save(
        target, "GIF", save_all=True, append_images=flat[1:], duration=times, loop=0, optimize=False, disposal=1
    )
    return target.getvalue()


def _palette(images: "Sequence[Picture]") -> "Picture":
    """The colours of the first and the last frame together, the lightest of them made white."""
    from PIL import Image

    first, last = images[0], images[-1]
    both = Image.new("RGB", (first.width, 2 * first.height))
    both.paste(first, (0, 0))
    both.paste(last, (0, first.height))
    reduced = both.quantize(COLOURS_OF_A_GIF)
    colours = np.reshape(reduced.getpalette() or [], (-1, 3))
    colours[colours.min(axis=1) >= NEARLY_WHITE] = 255
    reduced.putpalette(colours.ravel().tolist())
    return reduced


# One picture that moves


def _frames(exhibit: Exhibit, run: Trained, steps: Sequence[int], seen: Sequence[Sequence[Clock]]) -> list[Frame]:
    """The standing parts are drawn once; over them, for each step, what moves."""
    drawn = Figure(figsize=INCHES, dpi=PIXELS[0] / INCHES[0])
    canvas = FigureCanvasAgg(drawn)
    drawn.suptitle(shielded(heading(exhibit, run)), fontsize=9.5)
    grid = drawn.add_gridspec(2, 6, height_ratios=(1.45, 1))
    planes = [drawn.add_subplot(grid[0, 2 * i : 2 * i + 2]) for i in range(len(seen[0]))]
    curves = [drawn.add_subplot(grid[1, :3]), drawn.add_subplot(grid[1, 3:])]
    turning = [_plane(axes, one) for axes, one in zip(planes, seen[-1], strict=True)]
    followed = {exhibit.followed: ("H1 max", style.HOMOLOGY[1])}
    running = [_curve(axes, exhibit, run, lines) for axes, lines in zip(curves, (ACCURACY, followed), strict=True)]
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib gives them no types
    drawn.set_layout_engine("none")
    behind = canvas.copy_from_bbox(drawn.bbox)  # type: ignore[no-untyped-call]
    found = []
    for step, clocks in zip(steps, seen, strict=True):
        canvas.restore_region(behind)  # type: ignore[no-untyped-call]
        for axes, moving, one in zip(planes, turning, clocks, strict=True):
            _turn(axes, moving, one)
        for axes, mark in zip(curves, running, strict=True):
            _move(axes, mark, step)
        found.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())  # type: ignore[no-untyped-call]
    return found


ACCURACY = {"train_accuracy": ("train", style.GREY), "test_accuracy": ("test", style.PALETTE[0])}


@dataclass(frozen=True, slots=True, eq=False)
class Turning:
    """The moving parts of a plane: the line through the hours, the points, the words below."""

    line: Line2D
    points: PathCollection
    words: Text


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """The moving parts of a curve: a line across it, and the step above."""

    line: Line2D
    words: Text


def _plane(axes: Axes, one: Clock) -> Turning:
    """An empty plane with its title."""
    axes.set(xlim=(-SIDE, SIDE), ylim=(-SIDE, SIDE), aspect="equal")
    axes.set_title(f"frequency k = {one.frequency}", fontsize=9)
    bare(axes)
    hours = np.arange(len(one.points)) * one.frequency % len(one.points) / len(one.points)
    line = axes.plot([], [], color="#BDBDBD", linewidth=0.6, animated=True)[0]
    points = axes.scatter([], [], s=13, linewidths=0, animated=True)
    points.set_facecolor(list(AROUND(hours)))
    axes.set_xlabel(" ", fontsize=8)  # room for the words
    words = axes.text(0.5, -0.02, "", transform=axes.transAxes, ha="center", va="top", fontsize=8, animated=True)
    return Turning(line, points, words)


def _turn(axes: Axes, moving: Turning, one: Clock) -> None:
    sequence = around(len(one.points), one.frequency)
    closed = one.points[np.append(sequence, sequence[0])]
    moving.line.set_data(closed[:, 0], closed[:, 1])
    moving.points.set_offsets(one.points)
    moving.words.set_text(f"{share(one.share, 0)} of variance · order {one.order:.2f}")
    for artist in (moving.line, moving.points, moving.words):
        axes.draw_artist(artist)


def _curve(axes: Axes, exhibit: Exhibit, run: Trained, lines: Mapping[str, tuple[str, str]]) -> Running:
    """The whole curves of the run by the name of their number, each with its word and its colour."""
    for name, (word, colour) in lines.items():
        if run.course is not None and run.has(name):
            axes.plot(run.course.steps, run.course[name], color=colour, label=word)
    steps = replace(step_axis(exhibit), most=4)
    set_scale(axes, steps, "x")
    frame_axis(axes, steps, "x")
    axes.set_ylim(bottom=0)
    if len(lines) > 1:
        axes.legend(loc="center right")
        axes.set_ylabel("accuracy")
    else:
        axes.set_ylabel(f"H1 max, {exhibit.layer.replace('_', ' ')}")
    axes.set_title(" ", loc="right", fontsize=8.5)  # room for the step
    line = axes.axvline(0, color="black", linewidth=1, animated=True)
    words = axes.text(1, 1.03, "", transform=axes.transAxes, ha="right", va="bottom", fontsize=8.5, animated=True)
    return Running(line, words)


def _move(axes: Axes, moving: Running, step: int) -> None:
    moving.line.set_xdata([step, step])
    moving.words.set_text(f"step {step:,}")
    axes.draw_artist(moving.line)
    axes.draw_artist(moving.words)
