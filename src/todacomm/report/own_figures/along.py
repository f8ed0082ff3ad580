"""One number along layers or steps, and several models beside one another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from todacomm.comparison.compare import Comparison
from todacomm.core.errors import InvalidInput, UnknownName
from todacomm.core.types import Measurement, Number, Profile
from todacomm.homology.metrics import SCALED
from todacomm.report.comparison import comparison_charts
from todacomm.report.document import figure_parts, style
from todacomm.report.document.matplotlib_renderer import draw_panel, handle
from todacomm.report.layers.along_charts import against_panel, expansion_panel, keys_of
from todacomm.report.layers.series import axis_label
from todacomm.report.own_figures.axes import onto
from todacomm.report.words import phrases

LABELS_AN_INCH = 3.4  # layers that are named along an axis


def profile(
    profile: Profile,
    name: str,
    ax: Axes | None = None,
    *,
    scaled: bool = True,
    band: bool = True,
    null: bool = True,
    label: str | None = None,
    colour: str | None = None,
) -> Axes:
    """Draw one number along the layers of a model, or along the steps of a training run.

    Hollow markers are flagged layers; ``final`` hangs on a dotted line. Draw several profiles of the same layers into
    the same axes, each with a ``label``, and call ``ax.legend()``; `comparison` draws models of different depth.

    Parameters
    ----------
    profile : Profile
        What `run` or `measure` returns.
    name : str
        One of ``profile.names``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes of one column by default.
    scaled : bool, default True
        Divide a length by the median distance of its cloud.
    band : bool, default True
        Draw the confidence intervals, where the profile has them.
    null : bool, default True
        Draw in grey the mean and two standard deviations of the Gaussian null, with a star above each layer that
        differs from it (p ≤ 0.05, adjusted over the layers).
    label, colour : str, optional
        Of the line.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UnknownName
        For a name that the profile does not have.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> rng = np.random.default_rng(0)
    >>> layers = {f"layer_{i}": rng.normal(size=(20, 4)) for i in range(3)}
    >>> axes = td.plots.profile(td.measure(layers, resamples=0, null_draws=0), "H1_max_lifetime")
    >>> " ".join(axes.get_ylabel().split())
    'H1 longest bar / median distance'

    """
    key = _key(profile, name, scaled=scaled)
    with onto(ax) as axes:
        beside, top = _values_in(axes), axes.get_ylim()[1]
        look: Any = {"colour": colour or _free_colour(axes, key), "label": label or "", "band": band, "null": null}
        panel = against_panel(profile, key, axis_label(profile, key), most=_most(axes), beside=beside, **look)
        draw_panel(axes, panel)
        if axes.get_yscale() == "log":
            axes.autoscale(axis="y")
        elif len(beside):
            axes.set_ylim(top=max(top, axes.get_ylim()[1], 1.08 * float(beside.max())))
        return axes


def expansion(profile: Profile, ax: Axes | None = None) -> Axes:
    """Draw how much larger H0 total persistence is than at the baseline, with its two exact factors, on a log axis.

    The H0 ratio is the scale ratio times the shape ratio. The baseline, the first reliable layer or checkpoint, is on
    the axis; a dashed line marks the peak of H0 total persistence.

    Parameters
    ----------
    profile : Profile
        Of two layers or more.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes of one column by default.

    Returns
    -------
    matplotlib.axes.Axes

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> cloud = np.random.default_rng(0).normal(size=(20, 4))
    >>> layers = {"embedding": cloud, "layer_0": 2 * cloud}
    >>> len(td.plots.expansion(td.measure(layers, resamples=0, null_draws=0)).get_lines()) > 2
    True

    """
    with onto(ax) as axes:
        panel = expansion_panel(profile, most=_most(axes))
        draw_panel(axes, panel)
        axes.legend(handles=[handle(key) for key in keys_of(panel)], loc="best")
        return axes


def comparison(
    profiles: Comparison | Sequence[Profile],
    name: str,
    ax: Axes | None = None,
    *,
    scaled: bool = True,
    legend: bool = True,
) -> Axes:
    """Draw one number of several models over relative depth, or of several training runs over their steps.

    Relative depth is 0 at the embedding and 1 at the last block. Colours are models; line styles are datasets or
    poolings.

    Parameters
    ----------
    profiles : Comparison or sequence of Profile
        All along layers, or all along steps.
    name : str
        One of ``profile.names``.
    ax : matplotlib.axes.Axes, optional
        Where to draw; new axes of one column by default.
    scaled : bool, default True
        Divide a length by the median distance of its cloud.
    legend : bool, default True
        Name the lines.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InvalidInput
        For no profile, or some along layers and some along steps.

    Examples
    --------
    >>> import numpy as np
    >>> import todacomm as td
    >>> rng = np.random.default_rng(0)
    >>> some = [
    ...     td.measure({"layer_0": rng.normal(size=(20, 4)), "layer_1": rng.normal(size=(20, 4))}, name=name,
    ...                resamples=0, null_draws=0)
    ...     for name in ("a", "b")
    ... ]
    >>> td.plots.comparison(some, "H0_total_persistence").get_xlabel()
    'relative depth (0: embedding, 1: last block)'

    """
    chosen = list(profiles.profiles if isinstance(profiles, Comparison) else profiles)
    if len({p.along for p in chosen}) != 1:
        found = "some of layers and some of steps" if chosen else "none"
        raise InvalidInput(f"expected profiles along the layers, or along the steps of a training; found {found}")
    key = _key(chosen[0], name, scaled=scaled)
    label = " or\n".join(dict.fromkeys(axis_label(one, key) for one in chosen))
    with onto(ax) as axes:
        draw_panel(axes, comparison_charts.depth_panel(chosen, label, lambda m: _number(m, key)))
        if legend:
            axes.legend(handles=[handle(key) for key in comparison_charts.keys_of(chosen) if key.dashes])
        return axes


def _key(found: Profile, name: str, *, scaled: bool) -> str:
    """The name of a number, or of its scale-free twin where it has one."""
    twin = f"{name}{SCALED}"
    key = twin if scaled and twin in found.names else name
    if key not in found.names:
        raise UnknownName("number of this profile", name, found.names)
    return key


def _number(measurement: Measurement, key: str) -> Number:
    if key in measurement.summary:
        return phrases.summary_of(measurement, key)
    return getattr(measurement.facts, key, None)


def _most(axes: Axes) -> int:
    """The number of layer names along axes of this width."""
    return max(3, int(LABELS_AN_INCH * figure_parts.inches_wide(axes)))


def _values_in(axes: Axes) -> Float[np.ndarray, " v"]:
    """The values that lines in these axes have by now."""
    found = [np.asarray(line.get_ydata(), dtype=np.float64) for line in axes.get_lines()]
    values = np.concatenate([*found, np.empty(0)])
    return values[np.isfinite(values)]


def _free_colour(axes: Axes, key: str) -> str:
    """The colour of the homology dimension, or the next of the palette that no line in these axes has."""
    own = style.HOMOLOGY[int(key[1])] if key[:1] == "H" else style.PALETTE[0]
    used = {to_hex(line.get_color()).upper() for line in axes.get_lines()}
    return next((colour for colour in (own, *style.PALETTE) if colour.upper() not in used), own)
