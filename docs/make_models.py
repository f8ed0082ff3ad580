"""Write docs/models.md: what becomes of every architecture that transformers can build small.

python docs/make_models.py > docs/models.md
"""

import sys
import warnings
from collections.abc import Iterable
from pathlib import Path

import torch
import transformers

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from architectures import Outcome, outcome, types

AGREEING = ("Type", "Class", "A token sees", "Scored", "Norm", "Batches", "Blocks by")
HEAD = """# Models

Every model type of transformers {version} that reads text and has a head for language: {count} types,
three layers of width 32 with random weights and one vocabulary, built offline from their configuration classes.
{agree} agree with a reference that reads one text at a time without padding
(the `hidden_states` that transformers reports, a hook on the last block,
the loss of the next token where no token sees those after it) to 1e-4 of the norm of a point;
{refuse} are refused in one sentence; {unbuilt} cannot be built at this size.
One by one and in automatic batches the layers agree to 1e-5.
Written by `python docs/make_models.py > docs/models.md`; `pytest -m slow tests/models/test_architectures.py` holds it.

Nothing of this is a table in the code: blocks, norms, padding and direction are found by reading a short text when a
model is loaded (docs/format.md, `probe`).
*A token sees*: asked by changing the last token.
*Scored*: what the language metrics are of; none where a token sees what it is to predict.
*Norm*: where it reads the stream.
*Batches*: which texts may share one; those of equal lengths where padding changes a text.
*Blocks by*: what leaves a block enters the next, or what the model itself reports.
"""


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table in Markdown."""
    lines = [header, tuple("-" for _ in header), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)


def page(found: list[Outcome]) -> str:
    """The page for these outcomes."""
    agree, refused, unbuilt = (
        [o for o in found if o.agrees],
        [o for o in found if o.refused],
        [o for o in found if o.unbuilt],
    )
    counts = {"count": len(found), "agree": len(agree), "refuse": len(refused), "unbuilt": len(unbuilt)}
    return "\n\n".join(
        [
            HEAD.format(version=transformers.__version__, **counts).rstrip(),
            "## Measured",
            table(AGREEING, [o.row() for o in agree]),
            "## Refused",
            table(("Type", "Class", "In these words"), [o.row() for o in refused]),
            "## Not built",
            table(("Type", "What transformers says"), [o.row() for o in unbuilt]),
        ]
    )


def main() -> None:
    """Print the page; stop where a type neither agrees nor is refused."""
    warnings.simplefilter("ignore")
    transformers.utils.logging.set_verbosity(transformers.utils.logging.CRITICAL)
    torch.set_num_threads(1)
    found = []
    for name in types():
        found.append(outcome(name))
        one = found[-1]
        sys.stderr.write(f"{name}: {one.differs:.0e} {one.batches:.0e} {one.loss} {one.refused}{one.unbuilt}\n")
    wrong = [o.name for o in found if not (o.agrees or o.refused or o.unbuilt)]
    if wrong:
        sys.stderr.write(f"neither agree nor are refused: {', '.join(wrong)}\n")
        raise SystemExit(1)
    sys.stdout.write(f"{page(found)}\n")


if __name__ == "__main__":
    main()
