"""What todacomm 0.1.0 takes for a run and for its bootstrap: its own functions, in the order of its own pipeline.

For the Python of an environment that has todacomm 0.1.0; whole_runs.py makes one and calls this.

python run_of_predecessor.py run MODEL TEXTS.txt POOLING DIRECTORY
python run_of_predecessor.py resample ACTIVATIONS.npz LAYERS DRAWS DIRECTORY

Writes DIRECTORY/predecessor.json: CPU seconds by stage.
"""

import contextlib
import json
import sys
from pathlib import Path

from stages import Stages

COMPONENTS, LONGEST, BATCH, MOST_POINTS, SEED = 50, 128, 8, 500, 42  # what its command line sets


def run(model, texts, pooling, directory):
    stages, directory = Stages(), Path(directory)
    with stages("start"):
        import numpy as np
        from pipeline import unified_pipeline as pipeline
        from todacomm.data.language_datasets import LanguageModelingDataset
        from transformers import AutoTokenizer, PreTrainedModel  # noqa: F401  (else imported while the model loads)

    with stages("loading"):
        loaded = pipeline.load_pretrained_transformer(model, task="lm")
        tokenizer = AutoTokenizer.from_pretrained(model)
        tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token

    items = Path(texts).read_text(encoding="utf-8").split("\n")
    layers = [name for name in loaded.get_layer_names() if not name.endswith(("_attention", "_ffn"))]
    with stages("extraction"):
        dataset = LanguageModelingDataset(items, tokenizer, LONGEST)
        batches = pipeline.create_dataloaders({"test": dataset}, batch_size=BATCH)["test"]
        wanted = pipeline.ActivationConfig(layers=layers, max_samples=len(items), pool_strategy=pooling)
        found = pipeline.extract_transformer_activations(loaded, batches, wanted)
        np.savez(directory / "activations.npz", **{layer: data["X"] for layer, data in found.items()})

    tda = {"maxdim": 1, "pca_components": COMPONENTS, "max_points": MOST_POINTS}
    with stages("homology"):
        config = pipeline.TDAConfig(**tda)
        summaries = {
            layer: pipeline.summarize_diagrams(pipeline.compute_persistence(data["X"], config, seed=SEED)["dgms"])
            for layer, data in found.items()
        }

    experiment = pipeline.ExperimentConfig(
        model={"name": model}, dataset={"name": "wikitext2"}, analysis_layers=layers, tda=tda
    )
    with stages("figures"):
        report(pipeline, summaries, experiment, directory)
    stages.write(directory / "predecessor.json", layers=layers)


def report(pipeline, summaries, experiment, directory):
    """The figures, the interpretation and the report, as its run writes them."""
    one = directory / "runs" / "run_0"
    for place in (one / "visualizations", directory / "reports", directory / "artifacts"):
        place.mkdir(parents=True)
    metrics = {"perplexity": 20.0, "accuracy": 0.5}  # where it draws random numbers
    (one / "tda_summaries.json").write_text(json.dumps(summaries), encoding="utf-8")
    (one / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    name = Path(experiment.model["name"]).name
    pipeline.generate_all_visualizations(summaries, one / "visualizations", model_name=name)
    read = pipeline.interpret_tda_results(summaries, model_name=name, sample_count=MOST_POINTS)
    (one / "tda_interpretation.md").write_text(pipeline.format_interpretation_markdown(read), encoding="utf-8")
    result = {"run_id": "run_0", "status": "success", "model": name, "tda_summaries": summaries, "metrics": metrics}
    pipeline.generate_report(
        directory, experiment, pipeline.analyze_experiment_results([result], directory, experiment)
    )


def resample(activations, layers, draws, directory):
    """Its bootstrap of a few layers: each draw fits the components anew and gives the points to ripser."""
    import numpy as np
    from todacomm.tda.persistence import TDAConfig, bootstrap_persistence_ci

    stages, arrays = Stages(), np.load(activations)
    config = TDAConfig(maxdim=1, pca_components=COMPONENTS, max_points=MOST_POINTS)
    with stages("resampling"):
        for layer in layers.split(","):
            bootstrap_persistence_ci(arrays[layer], config, n_bootstrap=int(draws), seed=SEED)
    stages.write(Path(directory) / "predecessor.json")


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):
        {"run": run, "resample": resample}[sys.argv[1]](*sys.argv[2:])
