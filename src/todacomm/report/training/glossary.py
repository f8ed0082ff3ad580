"""The figures of an experiment of training, what its words mean, what it does not claim, and what it is taken from."""

from collections.abc import Iterator
from pathlib import Path

from todacomm.report.document.pieces import Bullets, Context, Paragraph, Picture, Piece, Terms, picture_parts, section
from todacomm.report.training.read_experiment import Findings
from todacomm.report.words.glossary import GLOSSARY
from todacomm.report.words.phrases import plural, share
from todacomm.training.milestones import DELAY, GENERALISED, LAST, LOW, MEMORISED, PLATEAU_END
from todacomm.training.verdict import LAG, LEVEL, RULES

REFERENCES = (
    "arXiv:2605.06352: the published recipes, and persistent homology of the embedding while it groks.",
    "Nanda et al. 2023, arXiv:2301.05217: Fourier circuits, restricted and excluded loss.",
    "Power et al. 2022, arXiv:2201.02177: grokking.",
    "Gromov 2023, arXiv:2301.02679: networks that solve modular addition in closed form.",
    "Facco et al. 2017, https://doi.org/10.1038/s41598-017-11873-y: TwoNN, the dimension from two nearest neighbours.",
)


# Figures


@section("grok-figures", title="Figures", record=Findings, brief=False)
def figures(findings: Findings, context: Context) -> Iterator[Piece]:
    """Every figure with how to read it, and why some are left out."""
    from todacomm.report.training.all_figures import ANIMATION, MOST_OTHER_CELLS, absent, cell_directory
    from todacomm.report.training.signature_charts import grok_charts
    from todacomm.report.training.training_figure_parts import grok_drawings
    from todacomm.report.training.turned_sections import TURNING

    paths = [Path(path) for path in context.get("figures", ())]
    place = findings.directory / "visualizations"
    if findings.swept:
        yield Paragraph(f"The figures are of the cell {findings.shown.cell}.")
    yield from (Paragraph(text) for text in absent(findings.shown))
    own = {name: drawn for name, drawn in grok_drawings.items() if name != TURNING}  # which has its own section
    known = {**own, **{chart.name: chart for chart in grok_charts.of(findings, "signature")}}
    yield from picture_parts([path for path in paths if path.parent == place], known)
    yield from (Picture(path, *ANIMATION) for path in paths if path.suffix == ".gif")
    for exhibit in findings.exhibits:
        for path in paths:
            if path.parent == cell_directory(place, exhibit.cell) != place:
                yield Picture(path, f"Training curves of {exhibit.cell}", "As those above.")
    left = [e for e in findings.exhibits if e is not findings.shown][MOST_OTHER_CELLS:]
    if left:
        yield Paragraph(
            f"The curves of {plural(len(left), 'more cell')} are not drawn; their numbers are in the tables."
        )


# Meanings


@section("grok-definitions", title="Definitions", record=Findings)
def definitions(findings: Findings, _: Context) -> Iterator[Piece]:
    """Each word of the tables in one line."""
    yield Terms(
        (
            (
                "Memorised",
                ("the first of three consecutive evaluations on the whole training set with an accuracy of "
                f"{share(MEMORISED, 0)} or more."),
            ),
            (
                "Generalised",
                ("the first of three consecutive evaluations with a test accuracy of "
                f"{share(GENERALISED, 0)} or more."),
            ),
            (
                "Grokked",
                (f"it generalised at {DELAY:g} times the step of memorising, or later, and gave fewer than "
                f"{share(LOW, 0)} of the test answers when it memorised."),
            ),
            (
                "Plateau",
                (f"the median over the checkpoints from memorised to {PLATEAU_END:g} × generalised; of a run that does "
                "not generalise, over the first half after memorisation."),
            ),
            ("After", f"the median over the last {LAST} checkpoints."),
            (
                "Null band",
                (f"where the ratio after / plateau of one more control would fall ({share(LEVEL, 0)}: Student's "
                "prediction interval of the logarithms of the ratios of the controls that memorised only)."),
            ),
            *((verdict.capitalize(), f"{rule}.") for verdict, rule in RULES.items()),
            (
                "Controls",
                ("the same training with the answers permuted among the training pairs, or without weight decay: they "
                "can memorise, and nothing more."),
            ),
            ("Bar", GLOSSARY["Bar"]),
            ("H0, H1", "bars of clusters, and of loops; total: the sum of their lifetimes, max: the longest."),
            (
                "H1 max",
                (f"the longest bar of H1 of the cloud {findings.shown.layer.replace('_', ' ')}: rows centred, each "
                "then put on the unit sphere; lengths are chords."),
            ),
            (
                "Onset",
                ("where a level and a straight rise that join fit the course best, up to nine tenths of the way to its "
                "highest."),
            ),
            ("Lag", f"{LAG}."),
        )
    )  # fmt: skip


@section("grok-limits", title="What this does not claim", record=Findings)
def limits(findings: Findings, _: Context) -> Iterator[Piece]:
    """State the limits of the verdict."""
    found = findings.shown.signature
    yield Bullets(
        (
            (
                "Topology is not shown to predict grokking, or to see anything that the Fourier share of the embedding "
                "and the norm of the weights do not show as well: they stand in the same tables, and are cheaper to "
                "have."
            ),
            (
                "A loop is no necessity: networks can grok by many frequencies at once without a rise of H1 max (the "
                "verdict 'grokked without a loop')."
            ),
            (
                "An embedding of several circles has several loops of like size on the unit sphere, each shorter than "
                "that of one circle alone: H1 max depends on which frequencies a network has, not on how well it "
                "generalises."
            ),
            f"The null band rests on {plural(found.band.controls, 'control')}: with so few it is wide, and what lies "
            "inside it may still be a rise."
            if found
            else "Without a null band nobody knows what a rise means.",
            (
                "One recipe is no other: optimiser, decay and network decide whether the loop is seen (compare with "
                "--sweep)."
            ),
        )
    )


@section("grok-references", title="References", record=Findings, brief=False)
def references(findings: Findings, _: Context) -> Iterator[Piece]:  # noqa: ARG001 - a section takes both
    """List the sources of definitions and recipes."""
    yield Bullets(REFERENCES)
