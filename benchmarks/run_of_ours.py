"""What todacomm takes for the stages of a run, and for resamples of every layer, one thread at a time.

Called by whole_runs.py, beside the whole of ``todacomm run``.

python run_of_ours.py run MODEL TEXTS.txt POOLING DIRECTORY
python run_of_ours.py resample ACTIVATIONS.npz DRAWS DIRECTORY
python run_of_ours.py save MODEL DIRECTORY

The first two write DIRECTORY/ours.json, CPU seconds by stage, the first DIRECTORY/activations.npz as well. The third
writes a model as safetensors, which both can read where it is GGUF.
"""

import sys
from pathlib import Path

from stages import Stages

SEED = 42


def run(model, texts, pooling, directory):
    stages, directory = Stages(), Path(directory)
    with stages("start"):
        import numpy as np
        import ripser  # noqa: F401  (this and what follows would else be imported in the stage that first uses it)
        from transformers import PreTrainedModel  # noqa: F401

        import todacomm as td
        from todacomm.homology import bitlink
        from todacomm.models.extraction import extract
        from todacomm.records.runs import Record, write_record
        from todacomm.report.layers.all_figures import write_figures
        from todacomm.report.layers.layer_document import interpretation
        from todacomm.report.render import write_experiment_reports
        from todacomm.runs.config import Study
        from todacomm.runs.experiment import load

        bitlink.ready()

    given = td.texts(texts)
    with stages("loading"):
        loaded = load(model, Study())
    with stages("extraction"):
        activations, _ = extract(loaded, given, pooling=pooling, language=True)
    with stages("homology"):
        profile = td.measure(activations, recipe=td.Recipe(pooling=pooling))
    with stages("figures"):
        one = directory / "runs" / "run_0"
        write_figures(profile, one / "visualizations")
        (one / "tda_interpretation.md").write_text(interpretation(profile), encoding="utf-8")
        record = Record(profile, {})
        write_record(one, record, activations)
        write_experiment_reports(directory, [record])
    np.savez(directory / "activations.npz", **activations.layers)
    stages.write(directory / "ours.json", layers=list(activations.layers))


def resample(activations, draws, directory):
    """H0, H1 and every metric of each draw, with replacement; points drawn twice count once."""
    import numpy as np

    import todacomm as td
    from todacomm.clouds.prepare import prepare
    from todacomm.homology import bitlink
    from todacomm.homology.metrics import summarise

    stages, rng, arrays = Stages(), np.random.default_rng(SEED), np.load(activations)
    with stages("resampling"):
        for layer in arrays.files:
            cloud = prepare(td.PointCloud(arrays[layer], td.Address("model", "texts", layer)), td.Recipe())
            edges = bitlink.sorted_edges(cloud.condensed)
            for _ in range(int(draws)):
                found = bitlink.resample(edges, rng.integers(edges.n, size=edges.n))
                summarise(found.diagrams(), scale=cloud.facts.scale)
    stages.write(Path(directory) / "ours.json")


def save(model, directory):
    from todacomm.runs.config import Study
    from todacomm.runs.experiment import load

    loaded = load(model, Study())
    config = loaded.network.config
    del config.quantization_config  # what was GGUF is plain float32 by now
    plain = type(loaded.network)(config)
    plain.load_state_dict(loaded.network.state_dict())
    plain.save_pretrained(directory)
    loaded.tokenizer.save_pretrained(directory)


if __name__ == "__main__":
    {"run": run, "resample": resample, "save": save}[sys.argv[1]](*sys.argv[2:])
