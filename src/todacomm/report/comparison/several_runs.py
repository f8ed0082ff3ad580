"""The page over several runs, whatever their models and texts: the answer of each, then all of them side by side."""

from collections.abc import Sequence
from itertools import islice

from todacomm.comparison.compare import Comparison, baseline_index, row, warnings
from todacomm.core.types import Profile
from todacomm.report.comparison import comparison_sections  # registered first: its sections are those of a Comparison
from todacomm.report.document.pieces import Context, Document, Paragraph, Part, Terms, parts_of
from todacomm.report.layers.topology_sections import answer
from todacomm.report.words.phrases import plural

__all__ = ["comparison_sections", "several_document", "side_by_side"]


def side_by_side(profiles: Sequence[Profile]) -> Comparison:
    """The rows of the profiles and what to bear in mind, without a comparison of pairs: no p-value is computed."""
    which = baseline_index(profiles)
    rows = tuple(row(p, which) for p in profiles)
    return Comparison(tuple(profiles), rows, tuple(warnings(profiles, rows)))


def several_document(beside: Comparison, labels: Sequence[str], context: Context) -> Document:
    """The document on profiles that have a label each."""
    answers = tuple((label, answer_of(profile)) for label, profile in zip(labels, beside.profiles, strict=True))
    first, *rest = parts_of(beside, context)
    parts = (
        Part("answer", "The answers", (Terms(answers),)),
        Part("side-by-side", "Side by side", first.pieces),
        *rest,
    )
    names = list(dict.fromkeys(profile.model for profile in beside.profiles))
    return Document(plural(len(labels), "run"), ", ".join(names), parts)


def answer_of(profile: Profile) -> str:
    """The finding in plain words and with its numbers; loops, marks and doubts are in the tables."""
    return " ".join(piece.text for piece in islice(answer(profile, {}), 2) if isinstance(piece, Paragraph))
