"""Execute studies, measurements, ablations and training experiments; write directories of records and reports."""

__all__ = [
    "ablation",
    "ablation_measurements",
    "config",
    "config_files",
    "experiment",
    "fields",
    "jobs",
    "locate",
    "rebuild_reports",
    "run_study",
    "training_experiment",
    "training_results",
    "training_runs",
]
