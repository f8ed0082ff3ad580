"""The documents on one profile, made of the registered sections.

Keys of the context, all optional: ``figures`` (paths of PNG files), ``checked`` (layers that the reference engine
confirmed), ``provenance`` and ``versions`` (name → text), ``command`` and ``config`` (to run it again).
"""

from collections.abc import Sequence
from pathlib import Path

from todacomm.report.layers import topology_sections  # isort: skip  # importing them registers their sections, in this order
from todacomm.report.layers import claims_sections  # isort: skip
from todacomm.report.layers import trust_sections  # isort: skip
from todacomm.core.types import Profile
from todacomm.report.document.pieces import Context, Document, parts_of, to_markdown, together
from todacomm.report.words.phrases import counted, plural, single

__all__ = [
    "claims_sections",
    "document",
    "experiment_document",
    "interpretation",
    "topology_sections",
    "trust_sections",
]


def interpretation(profile: Profile) -> str:
    """The plain-language reading (``tda_interpretation.md``): no figures, no context."""
    return to_markdown(document(profile, {}, brief=True), Path())


def document(profile: Profile, context: Context, *, brief: bool = False) -> Document:
    """The pieces of the whole report, of its page, and of the ``brief`` reading."""
    title = f"{profile.model}: topology of {counted(profile)}" + ("" if single(profile) else ", layer by layer")
    return Document(title, subtitle(profile), parts_of(profile, context, brief=brief))


def experiment_document(runs: Sequence[tuple[Profile, Context]]) -> Document:
    """One document on the runs of one model: several datasets or poolings."""
    if len(runs) == 1:
        return document(*runs[0])
    first = runs[0][0]
    labelled = [(f"{p.data}, pooling {p.recipe.pooling or 'given'}", parts_of(p, context)) for p, context in runs]
    return Document(
        f"{first.model}: {plural(len(runs), 'run')}", "; ".join(subtitle(p) for p, _ in runs), together(labelled)
    )


def subtitle(profile: Profile) -> str:
    """Describe the origin of the cloud in one line."""
    pooled = f"pooling {profile.recipe.pooling}, " if profile.recipe.pooling else ""
    return f"{profile.data}, {pooled}{plural(len(profile.measurements), profile.along)}, engine {profile.recipe.engine}"
